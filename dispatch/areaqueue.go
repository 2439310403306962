package dispatch

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"rescued/events"
	"rescued/geo"
)

// areaQueue holds the areas to match next. Triggers for an area that is
// queued already, or is being matched, coalesce into one next round.
type areaQueue struct {
	mu      sync.Mutex
	order   []geo.AreaID
	queued  map[geo.AreaID]bool
	working map[geo.AreaID]bool
	last    map[geo.AreaID]time.Time // wall time the last round began
	crews   map[events.CrewID]bool   // that have come free
	ready   chan struct{}            // an area may be taken
	freed   chan struct{}            // crews may be taken
}

func newAreaQueue() *areaQueue {
	return &areaQueue{
		queued: map[geo.AreaID]bool{}, working: map[geo.AreaID]bool{}, last: map[geo.AreaID]time.Time{},
		crews: map[events.CrewID]bool{}, ready: make(chan struct{}, 1), freed: make(chan struct{}, 1),
	}
}

// put asks for a round in an area.
func (q *areaQueue) put(area geo.AreaID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queued[area] {
		return
	}
	q.queued[area] = true
	q.order = append(q.order, area)
	signal(q.ready)
}

// putQuiet asks for rounds in those areas where none has begun since.
func (q *areaQueue) putQuiet(areas []geo.AreaID, since time.Time) {
	for _, a := range areas {
		q.mu.Lock()
		quiet := q.last[a].Before(since)
		q.mu.Unlock()
		if quiet {
			q.put(a)
		}
	}
}

// take waits for an area that nobody is matching, and marks it so until done.
func (q *areaQueue) take(ctx context.Context) (geo.AreaID, bool) {
	for {
		if area, ok := q.next(); ok {
			return area, true
		}
		select {
		case <-ctx.Done():
			return "", false
		case <-q.ready:
		}
	}
}

func (q *areaQueue) next() (geo.AreaID, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.order, func(a geo.AreaID) bool { return !q.working[a] })
	if i < 0 {
		return "", false
	}
	area := q.order[i]
	q.order = slices.Delete(q.order, i, i+1)
	delete(q.queued, area)
	q.working[area], q.last[area] = true, time.Now()
	if len(q.order) > 0 {
		signal(q.ready) // for the next worker
	}
	return area, true
}

func (q *areaQueue) done(area geo.AreaID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.working, area)
	if q.queued[area] {
		signal(q.ready)
	}
}

// free notes that a crew has come free: something may wait near it.
func (q *areaQueue) free(crew events.CrewID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.crews[crew] = true
	signal(q.freed)
}

// takeFreed waits for crews that have come free.
func (q *areaQueue) takeFreed(ctx context.Context) ([]events.CrewID, bool) {
	select {
	case <-ctx.Done():
		return nil, false
	case <-q.freed:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	crews := slices.Collect(maps.Keys(q.crews))
	clear(q.crews)
	return crews, true
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
