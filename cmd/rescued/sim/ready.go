package sim

import (
	"time"

	"rescued/dispatch"
)

// readyEvery is how often idle crews are advised: an operator looks up now and
// then, and not at every event.
const readyEvery = 10 * time.Minute

// standReady lets another policy decide who serves whom, and then has the
// crews that are left idle follow the service's advice where to stand. It
// knows the calls made so far and no others.
type standReady struct {
	Policy
	history *dispatch.CallHistory
	heard   int
	next    time.Time   // when advice is due
	moved   []time.Time // by crew: when it last set out on a move
	index   []int       // by idle crew asked about: its number
}

// StandReady makes a policy whose idle crews stand where the service advises,
// for one run.
func StandReady(p Policy) Policy { return &standReady{Policy: p} }

// Decide implements Policy.
func (p *standReady) Decide(v *View, out *Orders) {
	p.Policy.Decide(v, out)
	p.hear(v)
	if v.Now.Before(p.next) {
		return
	}
	p.next = v.Now.Add(readyEvery)
	out.WakeAt(p.next)
	for _, m := range p.ask(v, out).Advise() {
		crew := p.index[m.Crew]
		p.moved[crew] = v.Now
		out.Move(crew, m.At)
	}
}

// hear takes in the calls made since the last time.
func (p *standReady) hear(v *View) {
	if p.history == nil {
		p.history = dispatch.NewCallHistory(time.UTC, v.Now) // a demand file's times are local ones, called UTC
		p.moved = make([]time.Time, len(v.Crews))
	}
	for ; p.heard < len(v.Requests); p.heard++ {
		r := &v.Requests[p.heard]
		p.history.Hear(r.CalledAt, r.At, r.Need)
	}
	p.history.Watch(v.Now)
}

// ask puts the question: which crews are idle when the orders are carried out,
// and where the others will be.
func (p *standReady) ask(v *View, out *Orders) dispatch.Ready {
	r := dispatch.Ready{
		Now: v.Now, Promise: v.Promised, Turnout: v.Turnout, Service: v.Service,
		Pace: v.Pace, Calls: p.history.Expected(v.Now.Add(readyEvery), dispatch.ReadyCalls),
	}
	sent := map[int]int{} // crews the policy has orders for: to a request, or to none
	for _, c := range out.commits {
		sent[c.crew] = c.request
	}
	for _, m := range out.moves {
		sent[m.crew] = nobody
	}
	p.index = p.index[:0]
	for i := range v.Crews {
		c := &v.Crews[i]
		request, named := sent[i]
		switch {
		case named && request != nobody:
			at := v.Requests[request].At
			r.Busy = append(r.Busy, dispatch.BusyCrew{At: at, Can: c.Can, FreeAt: v.Arrival(v.Place(i), at).Add(v.Service)})
		case c.State == Idle:
			idle := dispatch.IdleCrew{At: v.Place(i), Can: c.Can, MovedAt: p.moved[i], Stays: named}
			if c.Moves {
				idle.To, idle.ArrivesAt = c.To, c.ArrivesAt
			}
			r.Idle = append(r.Idle, idle)
			p.index = append(p.index, i)
		case c.OnShift && (c.State == Driving || c.State == OnScene) && !named:
			r.Busy = append(r.Busy, dispatch.BusyCrew{At: v.Requests[c.Request].At, Can: c.Can, FreeAt: c.FreeAt})
		}
	}
	return r
}
