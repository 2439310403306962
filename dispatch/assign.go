package dispatch

import (
	"math"
	"slices"
	"time"

	"rescued/geo"
)

// Waiting is one request as Assign sees it: nobody is at the car yet. One whose
// crew is on its way and may still be turned round is waiting too; the crew
// names it in Candidate.Doing.
type Waiting struct {
	At     geo.Point // WGS-84
	Opened time.Time // when the owner called
	Due    time.Time // an arrival after it breaks the promise
	// Priority is the class, 0 for the ordinary one. A request counts four
	// times one of the class below, and one above the ordinary class is never
	// put off.
	Priority int
	Reach    []Reach // the crews that may go, each once, and how long each drives
}

// Reach is how far one crew is from one request.
type Reach struct {
	Crew   int           // index into the candidates
	Travel time.Duration // driving time from Candidate.At, turnout not counted
}

// Candidate is one crew as Assign sees it.
type Candidate struct {
	At     geo.Point // WGS-84: where it is free
	FreeAt time.Time // not after now: it is free
	Until  time.Time // end of its shift, after which it starts no job; zero for never
	Doing  *Drive    // the job it drives to and may leave: it counts as free where it is now
}

// Drive is a crew on its way.
type Drive struct {
	Request int       // index into waiting
	Arrives time.Time // if it is left alone
}

// Terms are what Assign plans with.
type Terms struct {
	Turnout time.Duration // from being sent to driving off
	Service time.Duration // expected time at the car
	// Patience is how long a request whose promise is broken may be put off, from
	// its call, for the sake of promises that can still be kept.
	Patience time.Duration
	// Pace is how fast a drive from one car to the next goes, in metres of the
	// great circle a second.
	Pace float64
	// Prospect is what calls are to be expected. A candidate whom no request
	// reaches still counts: it covers the places around it.
	Prospect Prospect
}

// Pairing sends a crew to a request, now.
type Pairing struct {
	Request int   // index into waiting
	To      Reach // one of its Reach
	// Late says that the promise is broken already: the crew is sent because it
	// can be spared, or because the owner has waited long enough.
	Late bool
}

// What things cost in a plan, in seconds of one owner's waiting. The figures
// were found on the development months of the demand file by trying; they need
// only be of the right size. See deploy/promise.md for what they give.
const (
	brokenCost = 30_000 // a promise broken, or a call to come that will be too far from everybody
	// madeCost is charged beside brokenCost for a promise that is left out: what
	// has been promised is not given up for what may have to be.
	madeCost  = 30_000
	waitCost  = 0.23 // a second an owner waits
	driveCost = 0.75 // a second a crew drives: it keeps crews where they are needed
	// tightCost is charged, as a share of brokenCost, for a promise that is to be
	// kept with no minute to spare by a crew that is not even free yet. It falls
	// to nothing with tightMargin to spare, and the margin shrinks when the crew
	// leaves within tightLead: what is near is certain.
	tightCost   = 0.15
	tightMargin = 900.0
	tightLead   = 1800.0
	turnCost    = 0.0032 // a crew turned round, as a share of brokenCost
	// lateTurnCost is charged for leaving a late request again for one that can
	// be on time.
	lateTurnCost = 0.043
	// A late request whose turn has come counts as mustCost promises, and each
	// second until somebody is there mustWaitCost.
	mustCost     = 5.3
	mustWaitCost = 10.0
	// A late request is served by a crew whose absence is expected to cost less
	// than spareHarm of a promise, and spareHarmHour more for each hour since it
	// was due.
	spareHarm     = 0.06
	spareHarmHour = 0.17
	spareAge      = 0.05 // a minute of age makes a late request this many minutes nearer
	spareFar      = 3.0  // hours of driving that one promise is worth
)

// Assign decides who goes where, now, over all that wait and all crews
// together: crews that are free, crews that soon will be, and crews that are on
// their way and may be turned round. It plans each crew's next jobs (no more
// than three: nobody knows what comes after), so that as few promises are
// broken as can be, higher classes first, of those made and of those to the calls
// that are to be expected: a plan is worth more when the crews, each from where
// and when it leaves them, could be in time wherever calls are likely. Of such
// plans it wants the one that holds the others safest and lets owners wait least. What the plan lets a crew
// start now is what Assign returns. Where nobody competes there is nothing to plan: ask Uncontended first.
//
// A request whose promise cannot be kept any more is put off until a crew can
// be spared, since a crew that hurries to it breaks another promise meanwhile;
// Terms.Patience bounds that.
//
// A crew that is sent off from its Drive leaves that request to whom the
// pairings send there, or waiting. A crew in Drive that is not named goes on,
// unless another crew is sent to its request: then it is free.
//
// It is a pure function: the same arguments give the same pairings. The first
// plan is the cheapest matching of requests with crews (sparse shortest
// augmenting paths); further jobs are inserted by regret, and the whole is
// improved by moving and exchanging jobs and tails between crews until nothing
// helps, and by planning anew what lies together, so it is never worse than that
// matching.
func Assign(waiting []Waiting, crews []Candidate, now time.Time, t Terms) []Pairing {
	p := newPlan(waiting, crews, now, t)
	p.make()
	var out []Pairing
	spare := make([]bool, len(crews))
	for c := range crews {
		u := &p.units[c]
		route := p.routes[c]
		spare[c] = len(route) == 0 && u.free == 0 && u.doing < 0
		if len(route) > 0 && u.free == 0 && route[0] != u.doing {
			out = append(out, Pairing{Request: route[0], To: reachOf(&waiting[route[0]], c)})
		}
	}
	return append(out, assignLate(waiting, p, spare, now, t)...)
}

func reachOf(w *Waiting, crew int) Reach {
	return w.Reach[slices.IndexFunc(w.Reach, func(r Reach) bool { return r.Crew == crew })]
}

// assignLate sends the crews that can be spared to requests whose promise is
// broken, those that cost least first. What a pair costs only rises as crews
// go, so a request whose cost has not risen since it was least is least still.
func assignLate(waiting []Waiting, p *plan, spare []bool, now time.Time, t Terms) []Pairing {
	cheapest := func(i int) (Reach, float64) {
		w := &waiting[i]
		age, limit := now.Sub(w.Opened), spareHarm+spareHarmHour*now.Sub(w.Due).Hours()
		var best Reach
		least := math.Inf(1)
		for _, to := range w.Reach {
			if !spare[to.Crew] || p.units[to.Crew].until < 0 {
				continue
			}
			harm := p.watch.harm(to.Crew, i, (t.Turnout + to.Travel).Seconds())
			if harm > limit {
				continue
			}
			if cost := to.Travel.Seconds() - spareAge*age.Seconds() + spareFar*3600*harm; cost < least {
				best, least = to, cost
			}
		}
		return best, least
	}
	var queue leastFirst // of requests, by cost
	for i := range waiting {
		if p.late[i] {
			if _, cost := cheapest(i); !math.IsInf(cost, 1) {
				queue.push(reached{cost, i})
			}
		}
	}
	var out []Pairing
	for len(queue) > 0 {
		first := queue.take()
		to, cost := cheapest(first.col)
		switch {
		case math.IsInf(cost, 1):
		case cost > first.dist:
			queue.push(reached{cost, first.col})
		default:
			out = append(out, Pairing{Request: first.col, To: to, Late: true})
			spare[to.Crew] = false
			p.watch.send(to.Crew, first.col, (t.Turnout + to.Travel).Seconds())
		}
	}
	return out
}

func classWeight(priority int) float64 {
	weight := 1.0
	for range priority {
		weight *= 4
	}
	return weight
}

const (
	// turnMost is how often a request may lose a crew that is on its way.
	turnMost = 9
	// turnShare is the share of the way after which a crew is never turned round.
	turnShare = 0.95
)

// MayTurn reports whether a crew that departed, or departs, for a request and
// arrives there in time may still be sent elsewhere: when it has the last of
// the way before it, and the request has not lost too many crews already.
func MayTurn(now, departs, arrives time.Time, swaps int) bool {
	done := now.Sub(departs)
	return swaps < turnMost && (done <= 0 || float64(done) <= turnShare*float64(arrives.Sub(departs)))
}
