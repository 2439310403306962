package dispatch

import (
	"sync"
	"time"

	"rescued/events"
	"rescued/geo"
)

// unit is what this replica knows of one crew. Two streams feed it, changes
// and positions, each in its own order: the newer of each counts.
type unit struct {
	version int64 // 0 as long as only positions have come
	state   CrewState
	can     geo.Capabilities
	fix     Fix
	fixed   bool  // fix is known
	trail   []Fix // where it has been lately, trailEvery apart and more; the last is fix

	// stood is where it was when it last had gone some way, and rolled when that
	// was; the zero time for not since its last job.
	stood  geo.Point
	rolled time.Time
}

// rolledMetres is how far a crew goes before it counts as moved, and not as
// parked elsewhere.
const rolledMetres = 1000.0

const (
	// trailEvery is how far apart in time the kept fixes of a crew are at least,
	// and trailLength how many are kept: enough to see for some minutes whether
	// it comes nearer.
	trailEvery  = 20 * time.Second
	trailLength = 24
)

// fleet is what this replica knows of all crews: a hint, in which the index
// of free crews is kept up to date. It is safe for concurrent use.
type fleet struct {
	mu    sync.RWMutex
	ix    *geo.Index[events.CrewID]
	units map[events.CrewID]*unit
}

func newFleet(ix *geo.Index[events.CrewID]) *fleet {
	return &fleet{ix: ix, units: map[events.CrewID]*unit{}}
}

// change is a crew's row or its CrewChanged event.
func (f *fleet) change(id events.CrewID, version int64, state CrewState, can geo.Capabilities) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.unit(id)
	if version <= u.version {
		return
	}
	if u.state.Busy() && state == CrewAvailable {
		u.stood, u.rolled = u.fix.Point, time.Time{}
	}
	u.version, u.state, u.can = version, state, can
	f.show(id, u)
}

// sight is a position. It reports whether it is the latest known.
func (f *fleet) sight(id events.CrewID, fix Fix) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.unit(id)
	if u.fixed && !fix.At.After(u.fix.At) {
		return false
	}
	switch {
	case !u.fixed:
		u.stood = fix.Point
	case geo.Distance(u.stood, fix.Point) > rolledMetres:
		u.stood, u.rolled = fix.Point, fix.At
	}
	u.fix, u.fixed = fix, true
	u.follow(fix)
	f.show(id, u)
	return true
}

// follow adds a fix to the trail. A fix that came soon after the one before it
// gives way to the next, so that the last is always there.
func (u *unit) follow(fix Fix) {
	if n := len(u.trail); n > 1 && u.trail[n-1].At.Sub(u.trail[n-2].At) < trailEvery {
		u.trail = u.trail[:n-1]
	}
	if len(u.trail) == trailLength {
		u.trail = append(u.trail[:0], u.trail[1:]...)
	}
	u.trail = append(u.trail, fix)
}

// learn takes in a crew's row.
func (f *fleet) learn(c *Crew) {
	f.change(c.ID, c.Version, c.State, c.Capabilities)
	if c.Fix != nil {
		f.sight(c.ID, *c.Fix)
	}
}

func (f *fleet) unit(id events.CrewID) *unit {
	u := f.units[id]
	if u == nil {
		u = &unit{}
		f.units[id] = u
	}
	return u
}

// show keeps the index in step. A crew of which no position is known is not
// in it, and one of which only positions are known is not free.
func (f *fleet) show(id events.CrewID, u *unit) {
	if u.fixed {
		f.ix.Put(id, u.fix.Point, u.can, u.state == CrewAvailable, u.fix.At)
	}
}

func (f *fleet) lookup(id events.CrewID) (unit, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if u := f.units[id]; u != nil {
		return *u, true
	}
	return unit{}, false
}

// ruledOut says why a crew cannot be asked for anything now, or for this
// need; empty when it can.
func (u *unit) ruledOut(need geo.Capabilities, since time.Time) string {
	switch {
	case u.version == 0, u.state == CrewOffDuty:
		return WhyOffDuty
	case u.state.Busy():
		return WhyBusy
	case u.state == CrewHeld:
		return WhyHeld
	case !u.can.Has(need):
		return WhyUnfit
	case !u.fixed:
		return WhyNoPosition
	case u.fix.At.Before(since):
		return WhyStale
	}
	return ""
}

// each visits every crew; visit must not call the fleet.
func (f *fleet) each(visit func(events.CrewID, *unit)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for id, u := range f.units {
		visit(id, u)
	}
}

// Sight records a position in this replica at once, ahead of the topic. It is
// false when a later one is known.
func (s *Service) Sight(crew events.CrewID, f Fix) bool { return s.fleet.sight(crew, f) }

// LastFix is the latest position this replica has heard of a crew.
func (s *Service) LastFix(crew events.CrewID) (Fix, bool) {
	u, ok := s.fleet.lookup(crew)
	return u.fix, ok && u.fixed
}

// lastFix is LastFix, or the sampled position on the row.
func (s *Service) lastFix(c *Crew) (Fix, bool) {
	if f, ok := s.LastFix(c.ID); ok || c.Fix == nil {
		return f, ok
	}
	return *c.Fix, true
}
