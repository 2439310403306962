package sim

import (
	"time"

	"rescued/dispatch"
	"rescued/geo"
)

// promise is the service's own policy: dispatch.Assign over all requests
// without a crew on the spot and all crews on shift, at every event.
type promise struct {
	demand  dispatch.Demand
	heard   int
	look    time.Time // asked for already
	waiting []dispatch.Waiting
	numbers []int // of the waiting, in the view
	crews   []dispatch.Candidate
	index   []int // of the crews of the view, in crews; -1 for one that is not asked
	fleet   []int // of crews, in the view
}

// lateLook is how often requests that are put off are looked at again.
const lateLook = 2 * time.Minute

// Decide implements Policy.
func (p *promise) Decide(v *View, out *Orders) {
	p.hear(v)
	if len(v.Waiting) == 0 {
		return
	}
	terms := dispatch.Terms{Turnout: v.Turnout, Service: v.Service, Patience: p.demand.Patience(), Pace: v.Pace}
	p.muster(v)
	p.gather(v)
	p.demand.Cover(p.crews, v.Now, v.Promised, terms)
	named := map[int]bool{}
	pairings := dispatch.Assign(p.waiting, p.crews, v.Now, terms)
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

// hear feeds the calls made since the last time.
func (p *promise) hear(v *View) {
	for ; p.heard < len(v.Requests); p.heard++ {
		r := &v.Requests[p.heard]
		p.demand.Hear(r.CalledAt, r.At, len(v.Crews))
	}
}

// muster lists the crews, each where it is or will be free.
func (p *promise) muster(v *View) {
	p.crews, p.fleet, p.index = p.crews[:0], p.fleet[:0], p.index[:0]
	p.waiting, p.numbers = p.waiting[:0], p.numbers[:0]
	for i := range v.Crews {
		c := &v.Crews[i]
		k := dispatch.Candidate{At: v.Place(i), FreeAt: v.Now, Until: c.ShiftEnd}
		switch {
		case c.State == Idle && c.OnShift:
		case c.State == Driving && c.OnShift && dispatch.MayTurn(v.Now, c.DepartsAt, c.ArrivesAt, v.Requests[c.Request].Swaps):
			k.Doing = &dispatch.Drive{Request: len(p.numbers), Arrives: c.ArrivesAt}
			p.numbers = append(p.numbers, c.Request)
		case (c.State == Driving || c.State == OnScene) && c.OnShift:
			k.At, k.FreeAt = v.Requests[c.Request].At, c.FreeAt
		default:
			p.index = append(p.index, -1)
			continue
		}
		p.index = append(p.index, len(p.crews))
		p.crews, p.fleet = append(p.crews, k), append(p.fleet, i)
	}
	p.numbers = append(p.numbers, v.Waiting...)
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
