package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"rescued/geo"
	"rescued/sla"
)

// World is what a run is about.
type World struct {
	Calls    []Call // in time order; the place in it is the request's number
	Fleet    []Member
	Needs    map[string]geo.Capabilities // by kind; a kind that is not there needs nothing
	Model    geo.StraightLine            // its urban speed at midnight counts, everywhere and always
	Turnout  time.Duration               // whole milliseconds
	Service  time.Duration               // whole milliseconds
	Promised time.Duration               // from call to arrival; whole milliseconds
	Pays     sla.Policy                  // what a late arrival pays
}

// check refuses what cannot be run.
func (w World) check() error {
	if len(w.Fleet) == 0 {
		return errors.New("the fleet has no crews")
	}
	if err := w.Model.Check(); err != nil {
		return err
	}
	for _, d := range []struct {
		name string
		time.Duration
	}{{"turnout", w.Turnout}, {"service", w.Service}, {"promise", w.Promised}} {
		if d.Duration < 0 || d.Duration%time.Millisecond != 0 {
			return fmt.Errorf("the %s of %v is not a whole number of milliseconds, 0 or more", d.name, d.Duration)
		}
	}
	return nil
}

// Unable is a kind of call that no crew can serve, and how many there are.
type Unable struct {
	Kind  string
	Calls int
}

// Unable lists the kinds that no crew of the fleet has the capabilities for,
// by name.
func (w World) Unable() []Unable {
	counts := map[string]int{}
	for _, c := range w.Calls {
		counts[c.Kind]++
	}
	var out []Unable
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		if !w.anyAble(w.Needs[kind]) {
			out = append(out, Unable{kind, counts[kind]})
		}
	}
	return out
}

func (w World) anyAble(need geo.Capabilities) bool {
	return slices.ContainsFunc(w.Fleet, func(m Member) bool { return m.Can.Has(need) })
}

// Leg is one committed leg of a crew, from its commitment to its end.
type Leg struct {
	Crew        int
	Request     int // -1 for a move of an idle crew
	CommittedAt time.Time
	From        geo.Point
	EndedAt     time.Time
	Arrived     bool // otherwise diverted: sent elsewhere or recalled
}

// Watch is who listens to a run; each may be nil.
type Watch struct {
	Leg      func(Leg) error                 // a leg has ended, in the order of their ends
	Progress func(now time.Time, called int) // after every instant
	// Minute is shown how things stand at every whole minute, after whatever
	// happened in it. It may not change or keep the view.
	Minute func(v *View)
}

// Run lets a policy serve all calls of a world. Its errors are the context's,
// the watch's, and what is wrong with the policy's orders.
func Run(ctx context.Context, w World, p Policy, watch Watch) (*Result, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	e := newEngine(w, p, watch)
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		at, more := e.nextInstant()
		if e.done() {
			break
		}
		if !more {
			return nil, fmt.Errorf("the policy lets %d requests wait for ever, request %d first", len(e.view.Waiting), e.view.Waiting[0])
		}
		e.minutes(at)
		if err := e.instant(at); err != nil {
			return nil, err
		}
	}
	if err := e.finishMoves(); err != nil {
		return nil, err
	}
	return e.result(), nil
}

// eventKind is what is due.
type eventKind uint8

const (
	arrives eventKind = iota // a crew reaches the end of its leg
	frees                    // a crew has finished its job
	shifts                   // a crew's shift begins or ends
	wakes                    // the policy asked to be asked
)

// event is something due. The order of those of one instant does not show:
// the policy is asked when all have happened.
type event struct {
	at   int64 // Unix milliseconds
	kind eventKind
	crew int32
	leg  int32 // arrives: of this leg
}

func (a event) less(b event) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	if a.crew != b.crew {
		return a.crew < b.crew
	}
	return a.kind < b.kind
}

type engine struct {
	world  World
	policy Policy
	watch  Watch
	view   View
	orders Orders
	named  marks // crews named in the present orders
	queue  heap[event]
	asked  map[int64]struct{}        // moments the policy asked for and are to come
	called int                       // calls made
	active int                       // crews with a job
	stirs  time.Time                 // when something last could change
	able   map[geo.Capabilities]bool // whether anybody can
	rows   []Row

	driven, moved float64 // metres of road: all legs, and those of idle crews
}

func newEngine(w World, p Policy, watch Watch) *engine {
	e := &engine{world: w, policy: p, watch: watch, able: map[geo.Capabilities]bool{}, asked: map[int64]struct{}{}, rows: make([]Row, len(w.Calls))}
	e.view = View{
		Turnout: w.Turnout, Service: w.Service, Promised: w.Promised, Pace: w.Model.Pace(geo.UrbanRoad, 0),
		Requests: make([]Request, 0, len(w.Calls)), Crews: make([]Crew, len(w.Fleet)),
		model:    w.Model,
		standing: geo.NewIndex[int](), engaged: geo.NewIndex[int](), open: geo.NewIndex[int](),
		moving: newRoamers(len(w.Fleet)), driving: newRoamers(len(w.Fleet)),
	}
	if len(w.Calls) == 0 {
		return e
	}
	// The clock starts with the first call.
	e.view.Now = w.Calls[0].CalledAt
	e.stirs = e.view.Now
	for i, m := range w.Fleet {
		c := &e.view.Crews[i]
		*c = Crew{ID: m.ID, Can: m.Can, From: m.At, Request: nobody, shift: m.Shift}
		if m.Shift.On(e.view.Now) {
			e.begin(i)
		}
		e.expectShift(i)
	}
	return e
}

// nextInstant is when something happens next.
func (e *engine) nextInstant() (time.Time, bool) {
	next := int64(math.MaxInt64)
	if e.called < len(e.world.Calls) {
		next = e.world.Calls[e.called].CalledAt.UnixMilli()
	}
	if e.queue.len() > 0 {
		next = min(next, e.queue.least().at)
	}
	return time.UnixMilli(next).UTC(), next < math.MaxInt64
}

// done reports whether every call is made and served. A policy that moves idle
// crews about has no end of its own.
func (e *engine) done() bool {
	return e.called == len(e.world.Calls) && len(e.view.Waiting) == 0 && e.active == 0
}

// minutes shows the watch the whole minutes up to the next instant. Nothing
// happens in between but that crews under way get on.
func (e *engine) minutes(next time.Time) {
	if e.watch.Minute == nil {
		return
	}
	v := &e.view
	for at := v.Now.Truncate(time.Minute).Add(time.Minute); at.Before(next); at = at.Add(time.Minute) {
		v.Now = at
		e.watch.Minute(v)
	}
}

// instant lets everything happen that is due at a moment, and then asks.
func (e *engine) instant(at time.Time) error {
	v := &e.view
	v.Now = at
	now := at.UnixMilli()
	for e.queue.len() > 0 && e.queue.least().at == now {
		if err := e.happen(e.queue.pop()); err != nil {
			return err
		}
	}
	for e.called < len(e.world.Calls) && !e.world.Calls[e.called].CalledAt.After(at) {
		e.call()
	}
	// One that was freed at the very end of its shift is not idle.
	v.NewIdle = slices.DeleteFunc(v.NewIdle, func(i int) bool { return v.Crews[i].State != Idle })
	slices.Sort(v.NewIdle)
	v.NewIdle = slices.Compact(v.NewIdle)
	e.orders.reset()
	e.policy.Decide(v, &e.orders)
	v.NewWaiting, v.NewIdle = v.NewWaiting[:0], v.NewIdle[:0]
	if err := e.carryOut(); err != nil {
		return fmt.Errorf("orders of %s: %w", stamp(at), err)
	}
	if e.watch.Progress != nil {
		e.watch.Progress(at, e.called)
	}
	if e.watch.Minute != nil && at.Equal(at.Truncate(time.Minute)) {
		e.watch.Minute(v)
	}
	return e.mustStir()
}

// mustStir ends a run in which nothing can change any more.
func (e *engine) mustStir() error {
	const patience = 8 * day
	if e.active > 0 || e.called < len(e.world.Calls) {
		e.stirs = e.view.Now
	}
	if len(e.view.Waiting) > 0 && e.view.Now.Sub(e.stirs) > patience {
		return fmt.Errorf("at %s the policy has let %d requests wait for 8 days with no crew at work", stamp(e.view.Now), len(e.view.Waiting))
	}
	return nil
}

func (e *engine) happen(ev event) error {
	if ev.kind == wakes {
		delete(e.asked, ev.at)
		return nil
	}
	v := &e.view
	i := int(ev.crew)
	c := &v.Crews[i]
	switch ev.kind {
	case arrives:
		if int(ev.leg) != c.leg || !c.Moves {
			return nil // it was diverted
		}
		return e.arrive(i)
	case frees:
		e.record(c)
		c.Request, c.FreeAt = nobody, time.Time{}
		e.active--
		c.working += milliseconds(v.Now.Sub(c.CommittedAt))
		v.engaged.Remove(i)
		e.settle(i)
	case shifts:
		if c.OnShift {
			c.OnShift, c.ShiftEnd = false, time.Time{}
			if c.State == Idle {
				if err := e.stop(i); err != nil {
					return err
				}
				e.leave(i)
			}
		} else {
			e.begin(i)
		}
		e.expectShift(i)
	}
	return nil
}

// call makes the next call.
func (e *engine) call() {
	v, call, i := &e.view, &e.world.Calls[e.called], e.called
	need := e.world.Needs[call.Kind]
	able, known := e.able[need]
	if !known {
		able = e.world.anyAble(need)
		e.able[need] = able
	}
	v.Requests = append(v.Requests, Request{
		CalledAt: call.CalledAt, Due: call.CalledAt.Add(e.world.Promised), At: call.At,
		Need: need, Crew: nobody, Hopeless: !able,
	})
	e.rows[i] = Row{Request: i, CalledAt: call.CalledAt}
	e.called++
	if able {
		e.wait(i)
		v.NewWaiting = append(v.NewWaiting, i)
	}
}

// wait puts a request among those that wait.
func (e *engine) wait(i int) {
	v := &e.view
	r := &v.Requests[i]
	r.Crew = nobody
	at, _ := slices.BinarySearch(v.Waiting, i)
	v.Waiting = slices.Insert(v.Waiting, at, i) // nearly always at the end
	v.open.Put(i, r.At, ^r.Need, true, v.Now)
}

// expectShift puts the next beginning or end of a crew's shift in the queue.
func (e *engine) expectShift(i int) {
	c := &e.view.Crews[i]
	if next := c.shift.Next(e.view.Now); !next.IsZero() {
		e.queue.push(event{at: next.UnixMilli(), kind: shifts, crew: int32(i)})
	}
}

// begin starts a crew's shift.
func (e *engine) begin(i int) {
	c := &e.view.Crews[i]
	c.OnShift, c.ShiftEnd = true, c.shift.Next(e.view.Now)
	if c.State == Off {
		c.since = e.view.Now
		e.idle(i)
		e.view.NewIdle = append(e.view.NewIdle, i)
	}
}

// settle gives a crew without a job its state: idle, or off.
func (e *engine) settle(i int) {
	if e.view.Crews[i].OnShift {
		e.idle(i)
		e.view.NewIdle = append(e.view.NewIdle, i)
	} else {
		e.leave(i)
	}
}

// idle makes a crew stand free where it is.
func (e *engine) idle(i int) {
	c := &e.view.Crews[i]
	c.State = Idle
	e.view.standing.Put(i, c.From, c.Can, true, e.view.Now)
}

// leave sends a crew home.
func (e *engine) leave(i int) {
	c := &e.view.Crews[i]
	c.State = Off
	c.present += milliseconds(e.view.Now.Sub(c.since))
	e.view.standing.SetFree(i, false)
}

// milliseconds counts a duration. Sums are kept in it: the nanoseconds of a
// large fleet's month do not fit.
func milliseconds(d time.Duration) int64 { return int64(d / time.Millisecond) }

// stamp writes a time as the files have it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
