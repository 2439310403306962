package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"rescued/events"
	"rescued/geo"
)

// sampleEvery is how often, in business time, a crew's position is kept for a
// start without a broker.
const sampleEvery = time.Minute

// trail takes positions from the topic many at a time. Seeing one again, or
// late, does no harm: fixes have their own time.
type trail struct {
	svc *Service

	mu      sync.Mutex
	sampled map[events.CrewID]time.Time // device time of the last fix kept
}

func newTrail(s *Service) *trail {
	return &trail{svc: s, sampled: map[events.CrewID]time.Time{}}
}

// batch is the trail as a consumer. One replica has each crew's partition, so
// that an arrival is weighed in one place.
func (t *trail) batch() events.Batch {
	return events.Batch{Group: "dispatch.trail", Topic: events.TopicCrews, Handle: t.take}
}

func (t *trail) take(ctx context.Context, envs []events.Envelope) error {
	fixes := map[events.CrewID][]Fix{}
	for _, env := range envs {
		if env.Type != (events.CrewPositioned{}).EventType() {
			continue
		}
		ev, err := events.Decode[events.CrewPositioned](env)
		if err != nil {
			return err
		}
		fix, err := fixOf(ev)
		if err != nil {
			return err
		}
		fixes[ev.CrewID] = append(fixes[ev.CrewID], fix)
	}
	if len(fixes) == 0 {
		return nil
	}
	if err := t.sample(ctx, fixes); err != nil {
		return err
	}
	busy, err := listBusyCrews(ctx, t.svc.pool, sortedKeys(fixes), oldest(fixes))
	if err != nil {
		return err
	}
	for _, crew := range busy {
		if err := t.svc.NoteFixes(ctx, crew, fixes[crew]); err != nil {
			return err
		}
	}
	return nil
}

// sample keeps the last fix of each crew that has not been kept for a minute.
func (t *trail) sample(ctx context.Context, fixes map[events.CrewID][]Fix) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := map[events.CrewID]Fix{}
	for crew, of := range fixes {
		newest := slices.MaxFunc(of, func(a, b Fix) int { return a.At.Compare(b.At) })
		if newest.At.Sub(t.sampled[crew]) >= sampleEvery {
			last[crew] = newest
		}
	}
	if err := t.svc.SampleFixes(ctx, last); err != nil {
		return err
	}
	for crew, fix := range last {
		t.sampled[crew] = fix.At
	}
	return nil
}

func oldest(fixes map[events.CrewID][]Fix) time.Time {
	var at time.Time
	for _, of := range fixes {
		for _, f := range of {
			if at.IsZero() || f.At.Before(at) {
				at = f.At
			}
		}
	}
	return at
}

// fixOf reads a position from the topic, to which others may write too.
func fixOf(ev events.CrewPositioned) (Fix, error) {
	p, err := geo.NewPoint(ev.Location.Lat, ev.Location.Lng)
	if err == nil && !(ev.AccuracyM >= 0 && ev.AccuracyM <= maxAccuracy) {
		err = errors.New("accuracy_m is out of range")
	}
	if err == nil && (ev.CrewID.IsZero() || ev.FixedAt.IsZero()) {
		err = errors.New("crew_id or fixed_at is missing")
	}
	if err != nil {
		return Fix{}, events.ErrUndecodable.Detailf("The position is not one: %v.", err)
	}
	return Fix{At: ev.FixedAt.UTC(), Point: p, Accuracy: ev.AccuracyM}, nil
}
