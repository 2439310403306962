package sim

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"time"

	"rescued/geo"
)

// View is what a policy sees at one instant. Nothing in it may be changed.
type View struct {
	Now      time.Time
	Turnout  time.Duration // from commitment to departure
	Service  time.Duration // from arrival to free
	Promised time.Duration // from call to arrival
	Pace     float64       // of every drive, in metres of the great circle a second
	Requests []Request     // every request called so far, by number
	Crews    []Crew        // the fleet, in the order of its file
	// Waiting are the requests without a crew, in call order. A request that no
	// crew of the fleet could ever serve is not among them.
	Waiting []int
	// NewWaiting and NewIdle are those that became so since the policy was last
	// asked, by anything but its own orders, ascending.
	NewWaiting []int
	NewIdle    []int

	model    geo.StraightLine
	standing *geo.Index[int] // idle crews that stand
	engaged  *geo.Index[int] // crews with a request, at its place
	open     *geo.Index[int] // waiting requests
	moving   *roamers        // idle crews that move
	driving  *roamers        // crews on their way to a request
}

// Request is a request as a policy sees it.
type Request struct {
	CalledAt time.Time
	Due      time.Time // an arrival after it breaks the promise
	At       geo.Point
	Need     geo.Capabilities
	Priority int // class, 0 for the ordinary one, as dispatch.Waiting has it
	Swaps    int // how often a crew on its way was taken from it
	Crew     int // driving to it, on scene or done with it; -1 while it waits
	// Hopeless is set when no crew of the fleet has the capabilities.
	Hopeless bool
}

// CrewState is what a crew is doing.
type CrewState uint8

// The states of a crew. One that finishes a job after its shift is OnScene or
// Driving until then.
const (
	Off     CrewState = iota // not on shift, no job
	Idle                     // on shift, no job; standing, or moving to a better place
	Driving                  // committed to a request: turnout or drive
	OnScene                  // at the car
)

// Crew is a crew as a policy sees it.
type Crew struct {
	ID    string
	Can   geo.Capabilities
	State CrewState
	// OnShift is whether it may start a job now.
	OnShift bool
	// ShiftEnd is when the present shift ends; zero for never, or when it is
	// not on shift.
	ShiftEnd time.Time
	Request  int // while Driving or OnScene; otherwise -1
	// From is where it stands, or where its present leg began. View.Place tells
	// where it is.
	From geo.Point
	// Moves is set while it is under way: Driving, or Idle and moving. Then To
	// is where to, and the three times are those of the leg.
	Moves       bool
	To          geo.Point
	CommittedAt time.Time
	DepartsAt   time.Time // CommittedAt plus turnout
	ArrivesAt   time.Time
	// FreeAt is when it will have finished its job if nothing changes; zero
	// without one.
	FreeAt time.Time

	shift   Shift
	leg     int // counts legs, so that the end of one left early is ignored
	since   time.Time
	working int64 // milliseconds with a job
	present int64 // milliseconds on shift, or finishing
}

// Travel is the driving time between two places, in whole microseconds.
func (v *View) Travel(from, to geo.Point) time.Duration {
	return v.model.Time(from, to, geo.UrbanRoad, 0).Round(time.Microsecond)
}

// Arrival is when a crew at from would arrive at to if it were committed now.
func (v *View) Arrival(from, to geo.Point) time.Time {
	return v.Now.Add(v.Turnout + legTime(v.Travel(from, to)))
}

// legTime is a travel time as a leg takes it.
func legTime(travel time.Duration) time.Duration { return travel.Round(time.Millisecond) }

// Place is where a crew is now: for one under way, the place along the great
// circle that its share of the drive has brought it to.
func (v *View) Place(crew int) geo.Point {
	c := &v.Crews[crew]
	gone := v.Now.Sub(c.DepartsAt)
	if !c.Moves || gone <= 0 {
		return c.From
	}
	whole := c.ArrivesAt.Sub(c.DepartsAt)
	if gone >= whole {
		return c.To
	}
	metres := geo.Distance(c.From, c.To) * (float64(gone) / float64(whole))
	p := geo.Toward(c.From, c.To, metres)
	return geo.Point{Lat: math.Round(p.Lat*1e9) / 1e9, Lng: math.Round(p.Lng*1e9) / 1e9}
}

// Able reports whether a crew has the capabilities for a request.
func (v *View) Able(crew, request int) bool {
	return v.Crews[crew].Can.Has(v.Requests[request].Need)
}

// IdleNear yields the idle crews that have the needed capabilities, with their
// travel time to p: the least first, equal ones in the order of the fleet.
func (v *View) IdleNear(p geo.Point, need geo.Capabilities) iter.Seq2[int, time.Duration] {
	return func(yield func(int, time.Duration) bool) {
		if len(v.moving.member) == 0 {
			v.inOrder(v.standing.Near(p, need), p, yield)
			return
		}
		next, stop := iter.Pull2(v.moving.from(v, p, need))
		defer stop()
		mover, travel, more := next()
		wanted := true
		v.inOrder(v.standing.Near(p, need), p, func(c int, t time.Duration) bool {
			for wanted && more && (reach{mover, travel}).less(reach{c, t}) {
				wanted = yield(mover, travel)
				mover, travel, more = next()
			}
			wanted = wanted && yield(c, t)
			return wanted
		})
		for wanted && more {
			wanted = yield(mover, travel)
			mover, travel, more = next()
		}
	}
}

// DrivingNear yields the crews on their way to a request that have the needed
// capabilities, with their travel time from where they are now to p, as
// IdleNear does.
func (v *View) DrivingNear(p geo.Point, need geo.Capabilities) iter.Seq2[int, time.Duration] {
	return v.driving.from(v, p, need)
}

// EngagedNear yields the crews with a request that have the needed
// capabilities, with the travel time from that request's place to p: the least
// first, equal ones in the order of the fleet.
func (v *View) EngagedNear(p geo.Point, need geo.Capabilities) iter.Seq2[int, time.Duration] {
	return func(yield func(int, time.Duration) bool) {
		v.inOrder(v.engaged.Near(p, need), p, yield)
	}
}

// WaitingNear yields the waiting requests that somebody who can do all that is
// in can could serve, with the travel time from p: the least first, equal ones
// in call order.
func (v *View) WaitingNear(p geo.Point, can geo.Capabilities) iter.Seq2[int, time.Duration] {
	return func(yield func(int, time.Duration) bool) {
		// They are kept with what they do without: need ⊆ can is ¬can ⊆ ¬need.
		v.inOrder(v.open.Near(p, ^can), p, yield)
	}
}

// reach is a thing and its travel time.
type reach struct {
	key    int
	travel time.Duration
}

func (r reach) compare(o reach) int {
	return cmp.Or(cmp.Compare(r.travel, o.travel), cmp.Compare(r.key, o.key))
}

func (r reach) less(o reach) bool { return r.compare(o) < 0 }

// inOrder yields hits, which come by distance, by travel time and then by key.
func (v *View) inOrder(hits iter.Seq[geo.Hit[int]], p geo.Point, yield func(int, time.Duration) bool) {
	// Hits of one travel time are held back until the next differs.
	var room [8]reach
	tied := room[:0]
	give := func() bool {
		for _, r := range tied {
			if !yield(r.key, r.travel) {
				return false
			}
		}
		tied = tied[:0]
		return true
	}
	for hit := range hits {
		r := reach{hit.Key, v.Travel(hit.Point, p)}
		if len(tied) > 0 && r.travel > tied[0].travel && !give() {
			return
		}
		i, _ := slices.BinarySearchFunc(tied, r, reach.compare)
		tied = slices.Insert(tied, i, r)
	}
	give()
}
