package sim

import (
	"slices"
	"time"
)

// nearest serves in call order: each waiting request takes the free crew with
// the least travel, the first of the fleet among equals.
//
// After it has decided, no free crew could serve a request that waits. So when
// it is asked again, a request that waited before can be served only by a crew
// that is newly idle.
type nearest struct {
	taken marks // crews committed in this decision
	left  int   // newly idle crews not yet committed
}

// Decide implements Policy.
func (p *nearest) Decide(v *View, out *Orders) {
	p.taken.reset(len(v.Crews))
	p.left = len(v.NewIdle)
	fresh := v.NewWaiting
	if p.wanted(v) {
		for _, r := range v.Waiting {
			if p.left == 0 {
				break
			}
			if len(fresh) > 0 && fresh[0] == r {
				fresh = fresh[1:]
			} else if !p.anyNew(v, r) {
				continue
			}
			p.serve(v, out, r)
		}
	}
	for _, r := range fresh {
		p.serve(v, out, r)
	}
}

// serve commits the free crew that is nearest to a request, if there is one.
func (p *nearest) serve(v *View, out *Orders, r int) {
	for c := range v.IdleNear(v.Requests[r].At, v.Requests[r].Need) {
		if p.taken.has(c) {
			continue
		}
		p.taken.set(c)
		out.Commit(c, r)
		if _, isNew := slices.BinarySearch(v.NewIdle, c); isNew {
			p.left--
		}
		return
	}
}

// wanted reports whether a newly idle crew could serve anybody.
func (p *nearest) wanted(v *View) bool {
	for _, c := range v.NewIdle {
		for range v.WaitingNear(v.Crews[c].From, v.Crews[c].Can) {
			return true
		}
	}
	return false
}

// anyNew reports whether a newly idle crew that is still free can serve r.
func (p *nearest) anyNew(v *View, r int) bool {
	return slices.ContainsFunc(v.NewIdle, func(c int) bool { return !p.taken.has(c) && v.Able(c, r) })
}

// closest serves the pair with the least travel, of all waiting requests and
// free crews, again and again; among equal pairs the first request, then the
// first crew.
//
// As with nearest, every pair there can be has a new request or a new crew in
// it. Each of those proposes its best partner; the best proposal whose two are
// both free is the best pair, and one that has lost its partner proposes anew.
type closest struct {
	crews, requests marks // taken in this decision
	best            heap[proposal]
}

type proposal struct {
	travel        time.Duration
	request, crew int
	byCrew        bool
}

func (a proposal) less(b proposal) bool {
	switch {
	case a.travel != b.travel:
		return a.travel < b.travel
	case a.request != b.request:
		return a.request < b.request
	case a.crew != b.crew:
		return a.crew < b.crew
	}
	return a.byCrew && !b.byCrew
}

// Decide implements Policy.
func (p *closest) Decide(v *View, out *Orders) {
	p.crews.reset(len(v.Crews))
	p.requests.reset(len(v.Requests))
	p.best.reset()
	for _, r := range v.NewWaiting {
		p.seekCrew(v, r)
	}
	for _, c := range v.NewIdle {
		p.seekRequest(v, c)
	}
	for p.best.len() > 0 {
		b := p.best.pop()
		noCrew, noRequest := p.crews.has(b.crew), p.requests.has(b.request)
		switch {
		case !noCrew && !noRequest:
			p.crews.set(b.crew)
			p.requests.set(b.request)
			out.Commit(b.crew, b.request)
		case b.byCrew && !noCrew:
			p.seekRequest(v, b.crew)
		case !b.byCrew && !noRequest:
			p.seekCrew(v, b.request)
		}
	}
}

func (p *closest) seekCrew(v *View, r int) {
	for c, travel := range v.IdleNear(v.Requests[r].At, v.Requests[r].Need) {
		if !p.crews.has(c) {
			p.best.push(proposal{travel, r, c, false})
			return
		}
	}
}

func (p *closest) seekRequest(v *View, c int) {
	for r, travel := range v.WaitingNear(v.Crews[c].From, v.Crews[c].Can) {
		if !p.requests.has(r) {
			p.best.push(proposal{travel, r, c, true})
			return
		}
	}
}
