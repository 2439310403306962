package dispatch

import (
	"context"
	"sync"
	"time"

	"rescued/geo"
)

const (
	// historyReach is how far back calls are read at first. Older ones would
	// count little.
	historyReach = 26 * 7 * 24 * time.Hour
	// historyEvery is how often, in business time, calls are read on, and
	// historyPause the least wall time between: in a demonstration business time
	// flies.
	historyEvery = time.Hour
	historyPause = 10 * time.Second
)

// heard is what calls each area had, read from the requests when somebody asks
// for advice. It is safe for concurrent use; the zero value has read nothing.
type heard struct {
	mu    sync.Mutex
	areas map[geo.AreaID]*areaHistory
	upto  time.Time // business time: every call opened before it is in
	wall  time.Time // of the last reading
}

type areaHistory struct {
	calls    *CallHistory
	promised map[int]int // minutes promised, and how often
}

// areaCalls is what is to be expected in an area.
type areaCalls struct {
	area    geo.AreaID
	calls   []ExpectedCalls
	promise time.Duration
}

// expected is what is to be expected now in those of the areas that had calls.
func (h *heard) expected(ctx context.Context, s *Service, areas []geo.AreaID, now time.Time) ([]areaCalls, error) {
	if len(areas) == 0 {
		return nil, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.areas == nil || now.Sub(h.upto) >= historyEvery && time.Since(h.wall) >= historyPause {
		if err := h.read(ctx, s, now); err != nil {
			return nil, err
		}
	}
	var out []areaCalls
	for _, area := range areas {
		if a := h.areas[area]; a != nil {
			out = append(out, areaCalls{area, a.calls.Expected(now.Add(readyHorizon/2), ReadyCalls), a.promise()})
		}
	}
	return out, nil
}

// read reads on. A request whose opening is still being committed is missed:
// one in many thousands, and this is a statistic.
func (h *heard) read(ctx context.Context, s *Service, now time.Time) (err error) {
	from := h.upto
	if h.areas == nil {
		from, h.areas = now.Add(-historyReach), map[geo.AreaID]*areaHistory{}
	}
	defer func() {
		if err != nil {
			h.areas = nil // half of it may be in: begin anew
		}
	}()
	firsts, err := listFirstCalls(ctx, s.pool, from, now)
	if err != nil {
		return err
	}
	for area, first := range firsts {
		if h.areas[area] == nil {
			h.areas[area] = &areaHistory{calls: NewCallHistory(s.cfg.Zone, first), promised: map[int]int{}}
		}
	}
	err = eachCall(ctx, s.pool, from, now, func(c heardCall) {
		if a := h.areas[c.area]; a != nil { // or its first was committed just now
			a.calls.Hear(c.at, c.where, c.need)
			a.promised[c.promised]++
		}
	})
	if err != nil {
		return err
	}
	for _, a := range h.areas {
		a.calls.Watch(now)
	}
	h.upto, h.wall = now, time.Now()
	return nil
}

// promise is what is promised most often in the area, the shorter of equals.
func (h *areaHistory) promise() time.Duration {
	most := 0
	for minutes, n := range h.promised {
		if m := h.promised[most]; n > m || n == m && minutes < most {
			most = minutes
		}
	}
	return time.Duration(most) * time.Minute
}
