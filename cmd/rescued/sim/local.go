package sim

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"rescued/dispatch"
	"rescued/geo"
)

// local decides for a fleet too large to be weighed as a whole. Whatever
// happens concerns few: a new request, the crews around it; a crew that comes
// free, the requests around it and the crews around those. Each such
// neighbourhood is a problem of its own for dispatch.Assign, so the work of an
// event does not grow with the country.
type local struct {
	regions *regions
	heard   int
	look    time.Time // when those who wait are looked at again
	cursor  int       // the request with which that look goes on
	taken   marks     // crews named in this decision
	served  marks     // requests given a crew, or whose crew was taken, in it
	near    neighbourhood
	seeds   []seed
}

// seed is a request that a neighbourhood is built around.
type seed struct {
	request int
	cell    geo.Cell
}

const (
	localCrews   = 8  // how many idle, driving and engaged crews are weighed around a place
	localWaiting = 8  // how many waiting requests are weighed for a crew that comes free
	localScan    = 32 // and how many are looked at to find them
	localSeeds   = 12 // how many new requests are one problem
	lookMost     = 24 // how many are decided again at a look
	lookScan     = 96 // and how many are looked at to find them
)

func newLocal(v *View) *local { return &local{regions: newRegions(v)} }

func (p *local) decide(v *View, out *Orders) {
	for ; p.heard < len(v.Requests); p.heard++ {
		r := &v.Requests[p.heard]
		p.regions.hear(v, r.CalledAt, r.At)
	}
	p.taken.reset(len(v.Crews))
	p.served.reset(len(v.Requests))
	p.seeds = p.seeds[:0]
	for _, r := range v.NewWaiting {
		if !p.atOnce(v, out, r) {
			p.sow(v, r)
		}
	}
	p.solve(v, out)
	for _, c := range v.NewIdle {
		if !p.taken.has(c) {
			p.around(v, out, c)
		}
	}
	if len(v.Waiting) == 0 {
		return
	}
	if !v.Now.Before(p.look) {
		p.look = v.Now.Add(lateLook)
		p.lookAgain(v, out)
	}
	out.WakeAt(p.look)
}

func (p *local) sow(v *View, r int) {
	p.seeds = append(p.seeds, seed{r, p.regions.cell(v.Requests[r].At)})
}

// hopeful reports whether a request could still be reached in time, if a crew
// stood beside it.
func hopeful(v *View, r int) bool { return !v.Now.Add(v.Turnout).After(v.Requests[r].Due) }

// atOnce sends the soonest crew to a new request if it keeps the promise and
// nobody else who can be helped waits within its reach: what Uncontended would say
// that expects no calls.
func (p *local) atOnce(v *View, out *Orders, r int) bool {
	q := &v.Requests[r]
	crew := nobody
	for c, travel := range v.IdleNear(q.At, q.Need) {
		if p.taken.has(c) {
			continue
		}
		if v.Now.Add(v.Turnout + travel).After(q.Due) {
			return false
		}
		crew = c
		break
	}
	if crew == nobody {
		return false
	}
	seen := 0
	for other, travel := range v.WaitingNear(q.At, v.Crews[crew].Can) {
		if seen++; travel > v.Promised || seen > localScan {
			break
		}
		if other != r && !p.served.has(other) && hopeful(v, other) {
			return false
		}
	}
	p.commit(v, out, crew, r)
	return true
}

// around decides for a crew come free and the requests that it may be for:
// those nearest that can be on time, and a few of the nearest that cannot.
func (p *local) around(v *View, out *Orders, c int) {
	p.seeds = p.seeds[:0]
	able, lost, seen := 0, 0, 0
	for r, travel := range v.WaitingNear(v.Place(c), v.Crews[c].Can) {
		if seen++; travel > v.Promised || seen > localScan || able == localWaiting {
			break
		}
		switch {
		case p.served.has(r):
		case hopeful(v, r):
			able++
			p.sow(v, r)
		case lost < localWaiting/2:
			lost++
			p.sow(v, r)
		}
	}
	if len(p.seeds) == 0 {
		return
	}
	at := v.Place(c)
	p.begin(v, p.seeds)
	demand := &p.regions.at(p.regions.cell(at)).demand
	p.near.crew(v, c)
	p.take(v, v.DrivingNear(at, 0), localCrews)
	p.take(v, v.EngagedNear(at, 0), localCrews)
	p.take(v, v.IdleNear(at, 0), localCrews)
	p.assign(v, out, demand, at)
}

// lookAgain decides again for some of those who wait, in turn: those near whom
// a crew stands idle, and those who have waited out their patience.
func (p *local) lookAgain(v *View, out *Orders) {
	p.seeds = p.seeds[:0]
	from, _ := slices.BinarySearch(v.Waiting, p.cursor)
	for k := range min(lookScan, len(v.Waiting)) {
		r := v.Waiting[(from+k)%len(v.Waiting)]
		p.cursor = r + 1
		if !p.served.has(r) && p.idler(v, r) {
			p.sow(v, r)
		}
		if len(p.seeds) == lookMost {
			break
		}
	}
	p.solve(v, out)
}

// due reports whether a late request has waited out its patience.
func (p *local) due(v *View, r int) bool {
	q := &v.Requests[r]
	return v.Now.Sub(q.CalledAt) > p.regions.at(p.regions.cell(q.At)).demand.Patience()
}

// idler reports whether an idle crew is near a request, or anywhere for one
// that has waited out its patience.
func (p *local) idler(v *View, r int) bool {
	for c, travel := range v.IdleNear(v.Requests[r].At, v.Requests[r].Need) {
		if travel > v.Promised && !p.due(v, r) {
			return false
		}
		if !p.taken.has(c) {
			return true
		}
	}
	return false
}

// solve decides for the seeds, region by region.
func (p *local) solve(v *View, out *Orders) {
	slices.SortFunc(p.seeds, func(a, b seed) int {
		return cmp.Or(cmp.Compare(a.cell, b.cell), cmp.Compare(a.request, b.request))
	})
	p.seeds = slices.DeleteFunc(slices.Compact(p.seeds), func(s seed) bool { return p.served.has(s.request) })
	for from := 0; from < len(p.seeds); {
		to := from + 1
		for to < len(p.seeds) && to < from+localSeeds && p.seeds[to].cell == p.seeds[from].cell {
			to++
		}
		p.decideAround(v, out, p.seeds[from:to])
		from = to
	}
}

// decideAround is Assign for some requests of a region and the crews around
// each.
func (p *local) decideAround(v *View, out *Orders, seeds []seed) {
	p.begin(v, seeds)
	demand := &p.regions.at(seeds[0].cell).demand
	for _, s := range seeds {
		q := &v.Requests[s.request]
		p.take(v, v.IdleNear(q.At, q.Need), localCrews)
		if hopeful(v, s.request) || p.due(v, s.request) {
			p.take(v, v.DrivingNear(q.At, q.Need), localCrews)
			p.take(v, v.EngagedNear(q.At, q.Need), localCrews)
		}
	}
	p.assign(v, out, demand, v.Requests[seeds[0].request].At)
}

// begin starts a problem with its requests.
func (p *local) begin(v *View, seeds []seed) {
	p.near.reset(v)
	for _, s := range seeds {
		p.near.request(s.request)
	}
}

// assign decides the problem, around a place of a region.
func (p *local) assign(v *View, out *Orders, demand *dispatch.Demand, at geo.Point) {
	n := &p.near
	if len(n.crews) == 0 {
		return
	}
	n.gather(v)
	terms := v.terms()
	// Of the crews that cover the region only those asked are known here: too few
	// to say what their absence costs calls to come.
	terms.Patience = demand.Patience()
	p.carry(v, out, dispatch.Assign(n.waiting, n.crews, v.Now, terms))
}

// take adds the first crews of a sequence that may be asked. Crews further than
// the time promised are no use if there are any that are nearer.
func (p *local) take(v *View, near iter.Seq2[int, time.Duration], most int) {
	taken := false
	for c, travel := range near {
		if taken && travel > v.Promised {
			return
		}
		if p.taken.has(c) || v.Crews[c].Request >= 0 && p.served.has(v.Crews[c].Request) {
			continue
		}
		p.near.crew(v, c)
		taken = true
		if most--; most == 0 {
			return
		}
	}
}

// carry gives the orders of the pairings.
func (p *local) carry(v *View, out *Orders, pairings []dispatch.Pairing) {
	n := &p.near
	for _, pair := range pairings {
		p.taken.set(n.fleet[pair.To.Crew])
	}
	for _, pair := range pairings {
		request := n.requests[pair.Request]
		if from := v.Requests[request].Crew; from >= 0 && !p.taken.has(from) {
			out.Recall(from)
			p.taken.set(from)
		}
		p.commit(v, out, n.fleet[pair.To.Crew], request)
	}
}

func (p *local) commit(v *View, out *Orders, crew, request int) {
	out.Commit(crew, request)
	p.taken.set(crew)
	p.served.set(request)
}
