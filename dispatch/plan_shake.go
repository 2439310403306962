package dispatch

import (
	"cmp"
	"slices"
)

// shakeJobs is how many jobs are planned anew together.
const shakeJobs = 5

// shake takes jobs that lie together out of the plan, each request's surroundings
// in turn, plans them anew by regret, and keeps what comes of it when the whole
// is better for it: moving and exchanging alone ends where no single step helps.
// This is the ruin-and-recreate principle (Schrimpf, Schneider, Stamm-Wilbrandt
// and Dueck, Journal of Computational Physics 159, 2000), taking only what is
// better.
//
// Without calls to come, and with too many requests to know all legs, it does
// nothing: such a plan is soon made anew.
func (p *plan) shake() {
	if p.watch == nil || p.legs == nil {
		return
	}
	var jobs []int
	for i := range p.jobs {
		if len(p.jobs[i].reach) > 0 {
			jobs = append(jobs, i)
		}
	}
	if len(jobs) < 3 {
		return
	}
	saved := make([][]int, len(p.routes))
	near := make([]int, len(jobs))
	total := p.total()
	for _, i := range jobs {
		if p.effort <= 0 {
			return
		}
		for c, route := range p.routes {
			saved[c] = append(saved[c][:0], route...)
		}
		copy(near, jobs)
		slices.SortFunc(near, func(a, b int) int { return cmp.Or(cmp.Compare(p.apart(i, a), p.apart(i, b)), a-b) })
		for _, j := range near[:min(shakeJobs, len(near))] {
			p.drop(j)
		}
		p.fill()
		if now := p.total(); now < total-1e-6 {
			total = now
		} else {
			p.restore(saved)
		}
	}
}

// apart is how long it takes from one request to another, itself included.
func (p *plan) apart(i, j int) float64 {
	if i == j {
		return 0
	}
	return p.leg(i, j)
}

// drop takes a job out of the route that has it.
func (p *plan) drop(i int) {
	c := p.holder[i]
	if c < 0 {
		return
	}
	k := slices.Index(p.routes[c], i)
	p.holder[i] = -1
	p.set(c, slices.Delete(slices.Clone(p.routes[c]), k, k+1))
}

// restore gives crews the routes they had.
func (p *plan) restore(saved [][]int) {
	var changed []int
	for c, route := range saved {
		if !slices.Equal(p.routes[c], route) {
			changed = append(changed, c)
			for _, i := range p.routes[c] {
				p.holder[i] = -1
			}
		}
	}
	for _, c := range changed {
		p.set(c, saved[c])
	}
}

// total is what the whole plan costs: the routes, what is left out, and the calls
// to come that it leaves too far from everybody.
func (p *plan) total() float64 {
	sum := 0.0
	for _, cost := range p.costs {
		sum += cost
	}
	for i := range p.jobs {
		if p.holder[i] < 0 && len(p.jobs[i].reach) > 0 {
			sum += p.jobs[i].skip
		}
	}
	if p.watch != nil {
		sum += brokenCost * p.watch.total
	}
	return sum
}
