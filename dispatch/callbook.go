package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
)

const (
	// callMemory is how far back calls are read when an area is first planned.
	callMemory = 24 * time.Hour
	// coverMost is how many free crews are counted on to cover an area.
	coverMost = 200
)

// callbook is what this replica has heard of the demand in each area: a hint,
// read again from Postgres after a restart. A call that commits after a later
// one was heard is never heard; one in hundreds changes no figure.
type callbook struct {
	mu    sync.Mutex
	areas map[geo.AreaID]*hearing
}

// hearing is the demand of one area up to a call.
type hearing struct {
	mu     sync.Mutex
	demand Demand
	at     time.Time
	last   events.RequestID
}

func newCallbook() *callbook { return &callbook{areas: map[geo.AreaID]*hearing{}} }

// of is the hearing of an area.
func (c *callbook) of(area geo.AreaID) *hearing {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.areas[area]
	if h == nil {
		h = &hearing{}
		c.areas[area] = h
	}
	return h
}

// hear reads the calls made since the last time. crews is how many are at work
// in the area.
func (h *hearing) hear(ctx context.Context, tx pgx.Tx, area geo.AreaID, now time.Time, crews int, t Terms) error {
	if h.at.IsZero() {
		h.at = now.Add(-callMemory)
	}
	calls, err := listCalls(ctx, tx, area, h.at, h.last)
	if err != nil {
		return err
	}
	for _, c := range calls {
		h.demand.Hear(c.at, c.where, crews, t)
		h.at, h.last = c.at, c.id
	}
	return nil
}

// call is one call for help as demand knows it.
type call struct {
	id    events.RequestID
	at    time.Time
	where geo.Point
}

// listCalls is the calls of an area after one, in their order.
func listCalls(ctx context.Context, tx pgx.Tx, area geo.AreaID, at time.Time, last events.RequestID) ([]call, error) {
	return many(ctx, tx, func(row pgx.CollectableRow) (c call, err error) {
		err = row.Scan(&c.id, &c.at, &c.where.Lat, &c.where.Lng)
		utc(&c.at)
		return c, err
	}, `SELECT id, opened_at, lat, lng FROM dispatch.requests
		WHERE area = $1 AND (opened_at > $2 OR opened_at = $2 AND ($3::uuid IS NULL OR id > $3)) ORDER BY opened_at, id`, area, at, last)
}

// terms hears the area's calls and says what to plan with.
func (s *Service) terms(ctx context.Context, tx pgx.Tx, b *board, area geo.AreaID) error {
	h := s.calls.of(area)
	h.mu.Lock()
	defer h.mu.Unlock()
	for hit := range s.cfg.Index.Near(b.seats[0].r.Place.Point, 0) {
		if hit.Metres > s.maxMetres() || len(b.around) == coverMost {
			break
		}
		if !hit.Seen.Before(b.since) {
			b.around = append(b.around, hit)
		}
	}
	b.terms = Terms{
		Turnout: s.cfg.Turnout, Service: s.cfg.Service,
		Pace: s.cfg.Model.Pace(geo.UrbanRoad, b.m.at.In(s.cfg.Zone).Hour()),
	}
	if err := h.hear(ctx, tx, area, b.m.at, len(b.around)+len(b.jobs), b.terms); err != nil {
		return err
	}
	promise := time.Duration(b.seats[0].r.Promise.Minutes) * time.Minute
	b.terms.Patience, b.terms.Prospect = h.demand.Patience(), h.demand.Prospect(b.m.at, promise)
	return nil
}
