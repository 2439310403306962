package dispatch

import (
	"context"
	"math"
	"time"

	"golang.org/x/sync/errgroup"

	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// sweepLimit is how many offers one sweep ends.
const sweepLimit = 500

// Sweep ends the offers whose time is up, at most limit of them, and says how
// many it ended. Any number of replicas may sweep at once.
func (s *Service) Sweep(ctx context.Context, limit int) (ended int, err error) {
	defer fault.Wrap(&err, "sweep")
	ids, err := listRunOut(ctx, s.pool, s.now(), limit)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		done, err := s.expire(ctx, id)
		if err != nil {
			return ended, err
		}
		if done {
			ended++
		}
	}
	return ended, nil
}

// Run dispatches until ctx ends: it matches areas as they are triggered, ends
// offers that run out, and tries again what waits. Any number of replicas may
// run it. It needs no broker: what the events would tell, its sweep finds.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range s.cfg.Matchers {
		g.Go(func() error { return s.matchLoop(ctx) })
	}
	g.Go(func() error { return s.freedLoop(ctx) })
	g.Go(func() error { return s.warnLoop(ctx) })
	g.Go(func() error {
		return every(ctx, s.cfg.SweepEvery, func() {
			_, err := s.Sweep(ctx, sweepLimit)
			s.grumble(ctx, "sweep", err)
			s.grumble(ctx, "look for what waits", s.retry(ctx))
		})
	})
	return g.Wait()
}

// Follow keeps this replica's index, cover and learned speeds up to date until
// ctx ends. Every replica needs it, whatever its role: with the broker down it
// is the only news of crews.
func (s *Service) Follow(ctx context.Context) error {
	refresh := func() { s.grumble(ctx, "refresh", s.Refresh(ctx)) }
	learn := func() { s.grumble(ctx, "learn speeds", s.LearnSpeeds(ctx)) }
	refresh()
	learn()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return every(ctx, s.cfg.RefreshEvery, refresh) })
	g.Go(func() error { return every(ctx, s.cfg.LearnEvery, learn) })
	return g.Wait()
}

func (s *Service) matchLoop(ctx context.Context) error {
	for {
		area, ok := s.queue.take(ctx)
		if !ok {
			return nil
		}
		_, err := s.Match(ctx, area)
		s.queue.done(area)
		s.grumble(ctx, "match", err)
	}
}

// freedLoop has the areas matched where a crew that came free could help.
func (s *Service) freedLoop(ctx context.Context) error {
	for {
		crews, ok := s.queue.takeFreed(ctx)
		if !ok {
			return nil
		}
		for _, id := range crews {
			u, known := s.fleet.lookup(id)
			if !known || !u.fixed {
				continue
			}
			degrees := s.maxMetres() / (geo.EarthRadius * math.Pi / 180)
			areas, err := listAreasFor(ctx, s.pool, u.fix.Point, degrees, u.can)
			s.grumble(ctx, "look for work for a crew", err)
			for _, a := range areas {
				s.queue.put(a)
			}
		}
	}
}

// retry has every area matched where something waits and no round began
// lately: triggers may be lost, and crews come into reach without one.
func (s *Service) retry(ctx context.Context) error {
	areas, err := listWaitingAreas(ctx, s.pool)
	if err == nil {
		s.queue.putQuiet(areas, time.Now().Add(-s.cfg.RetryEvery))
	}
	return err
}

// grumble logs what a loop will simply try again.
func (s *Service) grumble(ctx context.Context, what string, err error) {
	switch {
	case err == nil, ctx.Err() != nil:
	case pg.Transient(err):
		s.log.Warn("dispatch: "+what+" failed and is tried again", "err", err)
	default:
		s.log.Error("dispatch: "+what+" failed", "err", err)
	}
}

// every calls do at a wall-clock pace until ctx ends.
func every(ctx context.Context, pace time.Duration, do func()) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			do()
		}
	}
}
