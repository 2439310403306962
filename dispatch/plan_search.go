package dispatch

import (
	"math"
	"slices"
)

// place is where a job fits a route best, and what that adds.
type place struct {
	cost float64
	at   int
}

// probe finds the cheapest place of a job in a crew's route.
func (p *plan) probe(i, c int) place {
	best := place{math.Inf(1), 0}
	route := p.routes[c]
	if len(route) >= routeMost || math.IsInf(p.start(c, i), 1) {
		return best
	}
	with := append(append(p.room[0][:0], i), route...)
	p.room[0] = with
	now := p.worthNow(c)
	for at := 0; ; at++ {
		if cost := p.worth(c, with, now+best.cost) - now; cost < best.cost {
			best = place{cost, at}
		}
		if at == len(route) {
			return best
		}
		with[at], with[at+1] = with[at+1], i
	}
}

// fill takes in the jobs that have no crew, one by one: always the one that
// loses most if it is not taken in now, at its best place. A job that costs
// more than leaving it out stays out.
func (p *plan) fill() {
	type bid struct {
		places       []place // by its reach
		best, second float64
		to           int // index of the best into reach, -1 for none
	}
	bids := make([]*bid, len(p.jobs))
	rank := func(i int, b *bid) {
		b.best, b.second, b.to = p.jobs[i].skip, p.jobs[i].skip, -1
		for k, pl := range b.places {
			switch {
			case pl.cost < b.best:
				b.second, b.best, b.to = b.best, pl.cost, k
			case pl.cost < b.second:
				b.second = pl.cost
			}
		}
	}
	var open []int
	for i := range p.jobs {
		if p.holder[i] >= 0 || len(p.jobs[i].reach) == 0 {
			continue
		}
		b := &bid{places: make([]place, len(p.jobs[i].reach))}
		for k, to := range p.jobs[i].reach {
			b.places[k] = p.probe(i, to.col)
		}
		rank(i, b)
		bids[i], open = b, append(open, i)
	}
	for p.effort > 0 {
		next, most := -1, math.Inf(-1)
		for _, i := range open {
			b := bids[i]
			if b.to < 0 {
				continue
			}
			if regret := b.second - b.best - 1e-3*b.best; regret > most {
				next, most = i, regret
			}
		}
		if next < 0 {
			return
		}
		b := bids[next]
		c, at := p.jobs[next].reach[b.to].col, b.places[b.to].at
		route := append([]int(nil), p.routes[c][:at]...)
		route = append(append(route, next), p.routes[c][at:]...)
		p.set(c, route)
		bids[next] = nil
		k, _ := slices.BinarySearch(open, next)
		open = slices.Delete(open, k, k+1)
		for _, i := range p.asks[c] {
			if b := bids[i]; b != nil {
				b.places[p.reachAt(i, c)] = p.probe(i, c)
				rank(i, b)
			}
		}
	}
}

// improve moves and exchanges jobs between routes until nothing helps.
func (p *plan) improve() {
	last := -1
	for p.effort > 0 {
		from := p.tick
		for a := range p.routes {
			p.improvePairs(a, last)
			p.improveOne(a, last)
		}
		if p.tick == from {
			return
		}
		p.fill()
		last = from
	}
}

// improvePairs tries crew a with every crew that may do one of its jobs.
func (p *plan) improvePairs(a, last int) {
	p.round++
	p.tried[a] = p.round
	for k := 0; k < len(p.routes[a]); k++ {
		for _, to := range p.jobs[p.routes[a][k]].reach {
			b := to.col
			if p.tried[b] == p.round {
				continue
			}
			p.tried[b] = p.round
			if p.stamps[a] <= last && p.stamps[b] <= last {
				continue
			}
			if p.exchange(a, b) {
				k = -1 // the route is another now
				break
			}
		}
	}
}

// exchange finds the best of all tails, jobs and moves between two routes, and
// does it if it helps.
func (p *plan) exchange(a, b int) bool {
	ra, rb := p.routes[a], p.routes[b]
	best := p.worthBothNow(a, b) - 1e-6
	found := false
	var newA, newB []int
	try := func(na, nb []int) {
		if len(na) > routeMost || len(nb) > routeMost {
			return
		}
		if cost := p.worthBoth(a, b, na, nb, best); cost < best {
			best, found = cost, true
			newA, newB = append(newA[:0], na...), append(newB[:0], nb...)
		}
	}
	x, y := p.room[1], p.room[2]
	for i := 0; i <= len(ra); i++ {
		for j := 0; j <= len(rb); j++ {
			// The last of a route is its tail: what follows leaves that case out.
			lastA, lastB := i+1 == len(ra), j+1 == len(rb)
			if (i < len(ra) || j < len(rb)) && p.able(a, rb[j:]) && p.able(b, ra[i:]) { // tails
				x, y = append(append(x[:0], ra[:i]...), rb[j:]...), append(append(y[:0], rb[:j]...), ra[i:]...)
				try(x, y)
			}
			here, there := i < len(ra) && p.able(b, ra[i:i+1]), j < len(rb) && p.able(a, rb[j:j+1])
			if here && there && !(lastA && lastB) { // one for one
				x, y = append(x[:0], ra...), append(y[:0], rb...)
				x[i], y[j] = rb[j], ra[i]
				try(x, y)
			}
			if here && !(lastA && j == len(rb)) {
				x, y = append(append(x[:0], ra[:i]...), ra[i+1:]...), append(append(append(y[:0], rb[:j]...), ra[i]), rb[j:]...)
				try(x, y)
			}
			if there && !(lastB && i == len(ra)) {
				x, y = append(append(append(x[:0], ra[:i]...), rb[j]), ra[i:]...), append(append(y[:0], rb[:j]...), rb[j+1:]...)
				try(x, y)
			}
		}
	}
	p.room[1], p.room[2] = x, y
	if found {
		p.set(a, newA)
		p.set(b, newB)
	}
	return found
}

// improveOne reorders a route, drops from it what costs more than leaving it
// out, and takes in instead what is out.
func (p *plan) improveOne(a, last int) {
	if p.stamps[a] <= last {
		return
	}
	for i := range p.routes[a] {
		for j := range p.routes[a] {
			if i == j {
				continue
			}
			x := append(append(p.room[1][:0], p.routes[a][:i]...), p.routes[a][i+1:]...)
			y := append(append(append(p.room[2][:0], x[:j]...), p.routes[a][i]), x[j:]...)
			p.room[1], p.room[2] = x, y
			if now := p.worthNow(a) - 1e-6; p.worth(a, y, now) < now {
				p.set(a, y)
			}
		}
	}
	for k := 0; k < len(p.routes[a]); k++ {
		route := p.routes[a]
		i := route[k]
		x := append(append(p.room[1][:0], route[:k]...), route[k+1:]...)
		p.room[1] = x
		now := p.worthNow(a) - 1e-6
		// A crew on its way is not called back for nothing.
		if left := now - p.jobs[i].skip; i != p.units[a].doing && p.worth(a, x, left) < left {
			p.set(a, x)
			p.holder[i] = -1
			k--
			continue
		}
		instead, best := -1, now
		for _, q := range p.asks[a] {
			if p.holder[q] >= 0 {
				continue
			}
			y := append(p.room[2][:0], route...)
			p.room[2] = y
			y[k] = q
			change := p.jobs[i].skip - p.jobs[q].skip
			if cost := p.worth(a, y, best-change) + change; cost < best {
				instead, best = q, cost
			}
		}
		if instead >= 0 {
			y := append(p.room[2][:0], route...)
			p.room[2] = y
			y[k] = instead
			p.set(a, y)
			p.holder[i] = -1
		}
	}
}
