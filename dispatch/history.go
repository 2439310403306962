package dispatch

import (
	"cmp"
	"math"
	"slices"
	"time"

	"rescued/geo"
)

const (
	hoursOfWeek = 7 * 24
	// historyFades is how long it takes a call to count half.
	historyFades = 8 * 7 * 24 * time.Hour
	// historyResolution is that of the cells calls are counted in: about 2 km
	// across, small beside what a crew reaches within a promise.
	historyResolution = 7
	// priorHours is how many hours of watching the coarser figure is worth where
	// the finer one knows little; priorCalls the same in calls, for one cell.
	priorHours = 2.0
	priorCalls = 3.0
	// quietHours is how long nobody called before anybody listened: a first call
	// is not a rush.
	quietHours = 6.0
)

// CallHistory is how often calls came, by place, hour of the week and what
// they needed. It forgets slowly. It is not safe for concurrent use.
type CallHistory struct {
	zone   *time.Location
	since  time.Time // weights are counted from here
	until  time.Time // heard up to here
	hours  [hoursOfWeek]hourTally
	places map[callSource]*placeTally
}

// hourTally is an hour of the week: how long it was listened to, in hours, and
// what was heard, both by weight.
type hourTally struct{ watched, calls float64 }

// callSource tells calls apart.
type callSource struct {
	cell geo.Cell
	need geo.Capabilities
}

type placeTally struct {
	at     geo.Point // the cell's middle
	calls  float64   // by weight
	byHour map[int]float64
}

// ExpectedCalls is how many calls are to be expected from one place that need
// the same.
type ExpectedCalls struct {
	Cell    geo.Cell
	At      geo.Point // the cell's middle
	Need    geo.Capabilities
	PerHour float64
}

// NewCallHistory begins to listen at a moment. Its hours of the week are those
// of zone.
func NewCallHistory(zone *time.Location, since time.Time) *CallHistory {
	return &CallHistory{zone: zone, since: since, until: since, places: map[callSource]*placeTally{}}
}

// Hear takes a call made since it began to listen; calls may come in any order.
// One from no place on Earth is passed over.
func (h *CallHistory) Hear(at time.Time, where geo.Point, need geo.Capabilities) {
	cell, err := geo.CellAt(where, historyResolution)
	if err != nil {
		return
	}
	h.Watch(at)
	weight, hour := h.weight(at), h.hour(at)
	h.hours[hour].calls += weight
	p := h.places[callSource{cell, need}]
	if p == nil {
		middle, _ := cell.Centre() // the cell is one of H3's own
		p = &placeTally{at: middle, byHour: map[int]float64{}}
		h.places[callSource{cell, need}] = p
	}
	p.calls += weight
	p.byHour[hour] += weight
}

// Watch says that all calls before a moment have been heard. An hour without
// calls is knowledge, too.
func (h *CallHistory) Watch(until time.Time) {
	for h.until.Before(until) {
		next := h.until.Truncate(time.Hour).Add(time.Hour)
		if next.After(until) {
			next = until
		}
		h.hours[h.hour(h.until)].watched += h.weight(h.until) * next.Sub(h.until).Hours()
		h.until = next
	}
}

// weight grows with time, which is to forget what was before without touching
// it: double for each historyFades.
func (h *CallHistory) weight(at time.Time) float64 {
	return math.Exp2(at.Sub(h.since).Hours() / historyFades.Hours())
}

// hour is the hour of the week of a moment: 0 begins on Sunday at midnight.
func (h *CallHistory) hour(at time.Time) int {
	at = at.In(h.zone)
	return int(at.Weekday())*24 + at.Hour()
}

// Expected is how many calls an hour are to be expected at a moment, place by
// place, in the order of their cells. When there are more than limit places
// they are taken together into larger cells, until there are not.
//
// There are never enough calls to know each cell at each hour by itself. So
// the hour's figure for everywhere leans on that of the same hour on all days
// as long as it has been watched little, and a cell's figure at the hour is
// its share of all calls, corrected by what was heard from it at that hour as
// far as that is much (the posterior mean of a rate under a gamma prior).
func (h *CallHistory) Expected(at time.Time, limit int) []ExpectedCalls {
	now := h.weight(h.until) // brings weights to calls and hours of today
	hour := h.hour(at)
	rate, total := h.rate(hour, now)
	if total <= 0 || rate <= 0 {
		return nil
	}
	watched, _ := h.around(hour)
	var all []ExpectedCalls
	for source, p := range h.places {
		plain := rate * p.calls / total
		heard := p.byHour[before(hour)]/4 + p.byHour[hour]/2 + p.byHour[after(hour)]/4
		likely := plain * watched / now
		all = append(all, ExpectedCalls{Cell: source.cell, At: p.at, Need: source.need, PerHour: plain * (heard/now + priorCalls) / (likely + priorCalls)})
	}
	order(all)
	for resolution := historyResolution - 1; len(all) > limit && resolution >= 0; resolution-- {
		all = gathered(all, resolution)
	}
	return all
}

// rate is how many calls an hour come from everywhere at an hour of the week;
// total is all calls by weight.
func (h *CallHistory) rate(hour int, now float64) (rate, total float64) {
	var all, day hourTally
	for i, t := range h.hours {
		all.watched, all.calls = all.watched+t.watched, all.calls+t.calls
		if i%24 == hour%24 {
			watched, calls := h.around(i)
			day.watched, day.calls = day.watched+watched, day.calls+calls
		}
	}
	if all.watched <= 0 {
		return 0, 0
	}
	rate = all.calls / now / (all.watched/now + quietHours)
	rate = (day.calls/now + priorHours*rate) / (day.watched/now + priorHours)
	watched, calls := h.around(hour)
	return (calls/now + priorHours*rate) / (watched/now + priorHours), all.calls
}

// around is an hour of the week with half of each neighbour, over two: calls
// do not know when the clock strikes.
func (h *CallHistory) around(hour int) (watched, calls float64) {
	b, m, a := h.hours[before(hour)], h.hours[hour], h.hours[after(hour)]
	return b.watched/4 + m.watched/2 + a.watched/4, b.calls/4 + m.calls/2 + a.calls/4
}

func before(hour int) int { return (hour + hoursOfWeek - 1) % hoursOfWeek }
func after(hour int) int  { return (hour + 1) % hoursOfWeek }

// gathered adds up places in larger cells.
func gathered(all []ExpectedCalls, resolution int) []ExpectedCalls {
	sums := map[callSource]float64{}
	for _, c := range all { // in order, so that the sums do not depend on chance
		if parent, err := c.Cell.Parent(resolution); err == nil {
			sums[callSource{parent, c.Need}] += c.PerHour
		}
	}
	out := make([]ExpectedCalls, 0, len(sums))
	for source, perHour := range sums {
		middle, _ := source.cell.Centre()
		out = append(out, ExpectedCalls{Cell: source.cell, At: middle, Need: source.need, PerHour: perHour})
	}
	order(out)
	return out
}

func order(all []ExpectedCalls) {
	slices.SortFunc(all, func(a, b ExpectedCalls) int {
		return cmp.Or(cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Need, b.Need))
	})
}
