package dispatch

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/pg"
)

const (
	// aheadAsking is the wall time a routing engine has to time a round's crews
	// before the round begins.
	aheadAsking = 600 * time.Millisecond
	// lockedAsking is what is left for the engine once the round holds its
	// area's lock: enough for figures kept from askAhead, not for a slow answer.
	lockedAsking = 60 * time.Millisecond
)

// withoutEngine is travel times without a routing engine.
func withoutEngine() *geo.Routed {
	r, err := geo.NewRouted(geo.RoutedConfig{})
	if err != nil {
		panic(err) // an empty configuration has nothing wrong
	}
	return r
}

// askAhead lets the routing engine time the crews of an area's next round
// before the round takes its lock: its figures are kept, and the round finds
// them there. What comes of it is a hint; a failure costs only that.
func (s *Service) askAhead(ctx context.Context, area geo.AreaID) {
	if s.cfg.Travel.Engine() == "" {
		return
	}
	var b *board
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		waiting, err := listWaiting(ctx, tx, area, roundLimit)
		if err != nil {
			return err
		}
		b, err = s.seat(ctx, tx, waiting)
		return err
	})
	if err != nil {
		s.log.Debug("the routing engine was not asked ahead", "area", area, "err", err)
		return
	}
	asking, cancel := context.WithTimeout(ctx, aheadAsking)
	defer cancel()
	for _, seat := range b.seats {
		if asking.Err() != nil {
			return
		}
		if err := s.timeNearest(ctx, asking, b, seat); err != nil {
			return
		}
	}
}

// legs are the drives from some places to a request, soonest first. When the
// time to ask a routing engine is up, what it said lately and the model answer.
func (s *Service) legs(ctx, asking context.Context, roads *geo.Routed, from []geo.Point, r *Request, at time.Time) ([]geo.Leg, error) {
	hour := at.In(s.cfg.Zone).Hour()
	if asking.Err() == nil {
		legs, err := roads.Refine(asking, from, r.Place.Point, r.Road, hour)
		if err == nil || ctx.Err() != nil || asking.Err() == nil {
			return legs, err
		}
	}
	return roads.Recall(from, r.Place.Point, r.Road, hour)
}

// roads is the travel times of one decision: by the routing engine, if there is
// one, and by the model as it has been corrected up to now.
func (s *Service) roads() *geo.Routed { return s.cfg.Travel.Over(s.learner.speeds()) }

// travel is the travel times on a road at a moment.
func (s *Service) travel(road geo.RoadClass, at time.Time) geo.TravelTimes {
	return s.roads().At(road, at.In(s.cfg.Zone).Hour())
}

// onTheWay is when a crew under way is expected; planned is the estimate it was
// sent with, which stands if there is no better. An engine that is paid by the
// call is not asked at every bend: what it said lately counts, and else the
// later of planned, which it was asked for, and the model's estimate, so that
// nobody is told too early a time.
func (s *Service) onTheWay(ctx context.Context, from, to geo.Point, road geo.RoadClass, now time.Time, planned *time.Time) *time.Time {
	if !s.cfg.Travel.Metered() {
		times, err := s.travel(road, now).Matrix(ctx, []geo.Point{from}, []geo.Point{to})
		if err != nil {
			return planned
		}
		expected := now.Add(times[0][0])
		return &expected
	}
	legs, err := s.roads().Recall([]geo.Point{from}, to, road, now.In(s.cfg.Zone).Hour())
	if err != nil {
		return planned
	}
	expected := now.Add(legs[0].Time)
	if legs[0].Source.By != s.cfg.Travel.Engine() && planned != nil && planned.After(expected) {
		return planned
	}
	return &expected
}

// sourceOf is where a considered crew's time comes from; empty when it was not
// timed.
func (b *board) sourceOf(seat *seat, crew events.CrewID) string {
	if seat.sent != nil && seat.sent.crew == crew {
		return seat.sent.source.String()
	}
	for k, to := range seat.free {
		if b.crews[to.Crew].Key == crew {
			return seat.source[k].String()
		}
	}
	return ""
}
