package sim

import (
	"time"

	"rescued/dispatch"
	"rescued/geo"
)

// promise is the service's own policy: dispatch.Assign over all requests
// without a crew on the spot and all crews on shift, at every event. A fleet
// too large for that is decided place by place: see local.
type promise struct {
	local   *local // nil for a fleet that is decided as a whole
	demand  dispatch.Demand
	heard   int
	look    time.Time // asked for already
	waiting []dispatch.Waiting
	numbers []int // of the waiting, in the view
	crews   []dispatch.Candidate
	fleet   []int // of crews, in the view
}

// lateLook is how often requests that are put off are looked at again.
const lateLook = 2 * time.Minute

// wholeFleet is the largest fleet that is weighed whole at every event.
const wholeFleet = 128

// Decide implements Policy.
func (p *promise) Decide(v *View, out *Orders) {
	if len(v.Crews) > wholeFleet {
		if p.local == nil {
			p.local = newLocal(v)
		}
		p.local.decide(v, out)
		return
	}
	p.hear(v)
	if len(v.Waiting) == 0 {
		return
	}
	terms := v.terms()
	terms.Patience, terms.Prospect = p.demand.Patience(), p.demand.Prospect(v.Now, v.Promised)
	p.muster(v)
	p.gather(v)
	named := map[int]bool{}
	pairings, calm := p.uncontended(len(v.Waiting), v.Now, terms)
	if !calm {
		pairings = dispatch.Assign(p.waiting, p.crews, v.Now, terms)
	}
	for _, pair := range pairings {
		named[p.fleet[pair.To.Crew]] = true
	}
	for _, pair := range pairings {
		request := p.numbers[pair.Request]
		if from := v.Requests[request].Crew; from >= 0 && !named[from] {
			out.Recall(from)
			named[from] = true
		}
		out.Commit(p.fleet[pair.To.Crew], request)
	}
	if len(pairings) < len(v.Waiting) && !p.look.After(v.Now) {
		p.look = v.Now.Add(lateLook)
		out.WakeAt(p.look)
	}
}

// uncontended asks dispatch.Uncontended for those that wait, who are listed
// last.
func (p *promise) uncontended(waiting int, now time.Time, t dispatch.Terms) ([]dispatch.Pairing, bool) {
	first := len(p.waiting) - waiting
	pairings, calm := dispatch.Uncontended(p.waiting[first:], p.crews, now, t)
	for k := range pairings {
		pairings[k].Request += first
	}
	return pairings, calm
}

// terms are how crews work in this world.
func (v *View) terms() dispatch.Terms {
	return dispatch.Terms{Turnout: v.Turnout, Service: v.Service, Pace: v.Pace}
}

// hear feeds the calls made since the last time.
func (p *promise) hear(v *View) {
	for ; p.heard < len(v.Requests); p.heard++ {
		r := &v.Requests[p.heard]
		p.demand.Hear(r.CalledAt, r.At, len(v.Crews), v.terms())
	}
}

// muster lists the crews, each where it is or will be free.
func (p *promise) muster(v *View) {
	p.crews, p.fleet = p.crews[:0], p.fleet[:0]
	p.waiting, p.numbers = p.waiting[:0], p.numbers[:0]
	for i := range v.Crews {
		k, ok := candidate(v, i)
		if !ok {
			continue
		}
		if k.Doing != nil {
			k.Doing.Request = len(p.numbers)
			p.numbers = append(p.numbers, v.Crews[i].Request)
		}
		p.crews, p.fleet = append(p.crews, k), append(p.fleet, i)
	}
	p.numbers = append(p.numbers, v.Waiting...)
}

// candidate is a crew as Assign sees it; false for one that may start no job.
// Of the job that it may leave, it does not know the number yet.
func candidate(v *View, i int) (dispatch.Candidate, bool) {
	c := &v.Crews[i]
	k := dispatch.Candidate{At: v.Place(i), FreeAt: v.Now, Until: c.ShiftEnd}
	switch {
	case !c.OnShift:
		return k, false
	case c.State == Driving && dispatch.MayTurn(v.Now, c.DepartsAt, c.ArrivesAt, v.Requests[c.Request].Swaps):
		k.Doing = &dispatch.Drive{Arrives: c.ArrivesAt}
	case c.State == Driving, c.State == OnScene:
		k.At, k.FreeAt = v.Requests[c.Request].At, c.FreeAt
	}
	return k, true
}

// gather lists the requests that wait, or could have their crew taken, with how
// far every crew is from them.
func (p *promise) gather(v *View) {
	places := make([]geo.Vector, len(p.crews))
	for c := range p.crews {
		places[c] = geo.VectorOf(p.crews[c].At)
	}
	for _, n := range p.numbers {
		r := &v.Requests[n]
		w := dispatch.Waiting{At: r.At, Opened: r.CalledAt, Due: r.Due, Priority: r.Priority}
		at := geo.VectorOf(r.At)
		for c, i := range p.fleet {
			if v.Able(i, n) {
				seconds := places[c].Distance(at) / v.Pace
				w.Reach = append(w.Reach, dispatch.Reach{Crew: c, Travel: time.Duration(seconds * float64(time.Second))})
			}
		}
		p.waiting = append(p.waiting, w)
	}
}
