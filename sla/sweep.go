package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
)

// sweepActor is who raises alarms.
var sweepActor = events.System("sweep")

const (
	sweepChunk = 100 // guarantees per transaction
	sweepLimit = 5000
)

// Run sweeps, chains what was posted, accrues what approved imports owe,
// spreads declared conditions, pays batches out and verifies every night,
// until ctx ends: at wall intervals but by the business clock.
func (s *Service) Run(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error {
		return s.every(ctx, "sla sweep fails; deadlines go unnoticed until it recovers", func() error {
			_, err := s.Sweep(ctx, s.now(), sweepLimit)
			return err
		})
	})
	group.Go(func() error {
		return s.every(ctx, "the ledger is not chained; postings stand, and are chained once it recovers", func() error {
			_, err := s.SealLedger(ctx, 10*sealChunk)
			return err
		})
	})
	group.Go(func() error {
		return s.every(ctx, "approved imports do not accrue; what they owe waits until it recovers", func() error {
			_, err := s.AccrueImports(ctx, sweepLimit)
			return err
		})
	})
	group.Go(func() error {
		return s.every(ctx, "declared conditions do not spread; they do once it recovers", func() error {
			_, err := s.SpreadConditions(ctx, sweepLimit)
			return err
		})
	})
	group.Go(func() error { return s.nights(ctx) })
	group.Go(func() error {
		return s.every(ctx, "batches are not paid out; they wait, and go out once it recovers", func() error {
			if _, err := s.ReleaseDiscarded(ctx); err != nil {
				return err
			}
			_, err := s.PayOut(ctx)
			return err
		})
	})
	group.Go(func() error {
		return s.every(ctx, "statements are not confirmed when their window closes, until it recovers", func() error {
			_, err := s.LapseStatements(ctx, s.now(), sweepLimit)
			return err
		})
	})
	return group.Wait()
}

// every does some work at each tick until ctx ends. A failure is said once,
// not at every tick, and so is its end.
func (s *Service) every(ctx context.Context, complaint string, work func() error) error {
	ticker := time.NewTicker(s.cfg.SweepEvery)
	defer ticker.Stop()
	failing := false
	for {
		if err := work(); ctx.Err() != nil {
			return nil
		} else if (err != nil) != failing {
			if failing = err != nil; failing {
				s.cfg.Log.Error(complaint, "error", err)
			} else {
				s.cfg.Log.Info("works again", "before", complaint)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sweep raises the alarms due at now, at most limit of each kind, and returns
// how many it raised: at_risk for what may be missed and can still be saved,
// breached for what is past its deadline. It never sets an amount. Several
// replicas may sweep at once; each alarm is raised once, until an annulled
// arrival sets the clock going again.
func (s *Service) Sweep(ctx context.Context, now time.Time, limit int) (raised int, err error) {
	defer fault.Wrap(&err, "sweep")
	now = micro(now)
	for _, sweep := range []func(context.Context, pgx.Tx, time.Time, int) (int, error){s.sweepPastDue, s.sweepAtRisk} {
		for left := limit; left > 0; {
			chunk, n := min(left, sweepChunk), 0
			if err := s.inTxIf(ctx, func(tx pgx.Tx) (told bool, err error) {
				n, err = sweep(ctx, tx, now, chunk)
				return n > 0, err
			}); err != nil {
				return raised, err
			}
			raised, left = raised+n, left-n
			if n < chunk {
				break
			}
		}
	}
	return raised, nil
}

func (s *Service) sweepPastDue(ctx context.Context, tx pgx.Tx, now time.Time, limit int) (int, error) {
	list, err := lockPastDue(ctx, tx, now, limit)
	if err != nil {
		return 0, err
	}
	for _, g := range list {
		g.BreachedAt = now
		if _, err := stepGuarantee(ctx, tx, g, evDeadline, sweepActor, now); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

func (s *Service) sweepAtRisk(ctx context.Context, tx pgx.Tx, now time.Time, limit int) (int, error) {
	list, err := lockAtRisk(ctx, tx, now, now.Add(s.cfg.AtRiskWithin), limit)
	if err != nil {
		return 0, err
	}
	raised := 0
	for _, g := range list {
		alarm := g.alarm(now, s.cfg.AtRiskWithin)
		if alarm == "" {
			continue
		}
		g.AtRiskAt = now
		if err := noteGuarantee(ctx, tx, g, now, events.GuaranteeAtRisk{
			GuaranteeID: g.ID, RequestID: g.RequestID, Area: g.Area,
			DueAt: g.Verdict.DueAt, NoticedAt: now, Reason: string(alarm),
		}); err != nil {
			return 0, err
		}
		raised++
	}
	return raised, nil
}
