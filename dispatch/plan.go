package dispatch

import (
	"math"
	"slices"
	"time"

	"rescued/geo"
)

// routeMost is how many jobs are planned for one crew.
const routeMost = 3

// plan is what each crew is to do next. All times are seconds from now.
type plan struct {
	terms   Terms
	waiting []Waiting
	turnout float64
	service float64
	jobs    []planJob
	units   []planCrew
	late    []bool       // by request: no crew can be there in time
	at      []geo.Vector // of requests
	legs    []float64    // between them; nil when there are too many
	starts  []float64    // by crew and request; nil when there are too many

	routes [][]int // by crew, in order
	costs  []float64
	holder []int // crew of a request, -1 for none
	asks   [][]int
	tick   int
	stamps []int // tick of a route's last change
	room   [3][]int
	round  int
	tried  []int // round in which a crew was last tried
	effort int   // evaluations left
	watch  *watch
}

// planJob is a request in a plan.
type planJob struct {
	opened, due float64
	weight      float64
	skip        float64     // what it costs to leave it out
	must        bool        // its promise is broken, and its turn has come
	reach       []planReach // crews that may go, ascending: turnout and drive
}

// planReach is how long a crew takes to a job.
type planReach struct {
	dist float64
	col  int
}

// planCrew is a crew in a plan.
type planCrew struct {
	free  float64 // 0: now
	until float64 // no job starts after it
	doing int     // the request it drives to, -1 for none
}

// planEffort bounds the search, in routes weighed: a plan may be cut short by
// the size of its problem, never by the clock.
const planEffort = 4_000_000

func newPlan(waiting []Waiting, crews []Candidate, now time.Time, t Terms) *plan {
	n, m := len(waiting), len(crews)
	p := &plan{
		terms: t, waiting: waiting, turnout: t.Turnout.Seconds(), service: t.Service.Seconds(),
		jobs: make([]planJob, n), units: make([]planCrew, m), late: make([]bool, n),
		routes: make([][]int, m), costs: make([]float64, m), holder: make([]int, n), stamps: make([]int, m), tried: make([]int, m), asks: make([][]int, m),
		effort: planEffort,
	}
	for c, k := range crews {
		u := planCrew{free: max(0, k.FreeAt.Sub(now).Seconds()), until: math.Inf(1), doing: -1}
		if !k.Until.IsZero() {
			u.until = k.Until.Sub(now).Seconds()
		}
		if k.Doing != nil {
			u.free, u.doing = 0, k.Doing.Request
		}
		p.units[c] = u
	}
	p.at = make([]geo.Vector, n)
	for i := range waiting {
		p.at[i] = geo.VectorOf(waiting[i].At)
		p.add(i, crews, now)
	}
	if n*m <= 1<<16 {
		p.starts = make([]float64, n*m)
		for k := range p.starts {
			p.starts[k] = math.Inf(1)
		}
		for i := range p.jobs {
			for _, to := range p.jobs[i].reach {
				p.starts[to.col*n+i] = to.dist
			}
		}
	}
	if n <= 256 {
		p.legs = make([]float64, n*n)
		for i := range n {
			for j := range i {
				d := p.turnout + p.at[i].Distance(p.at[j])/t.Pace
				p.legs[i*n+j], p.legs[j*n+i] = d, d
			}
		}
	}
	p.watch = newWatch(&p.terms, crews, p.at)
	return p
}

// add takes a request into the plan.
func (p *plan) add(i int, crews []Candidate, now time.Time) {
	w := &p.waiting[i]
	j := planJob{opened: w.Opened.Sub(now).Seconds(), due: w.Due.Sub(now).Seconds(), weight: classWeight(w.Priority)}
	// Left out, it is broken, and waits about as long again as was promised.
	j.skip = j.weight * (brokenCost + madeCost + waitCost*(w.Due.Sub(w.Opened).Seconds()+p.service))
	soonest, driven := math.Inf(1), false
	for _, to := range w.Reach {
		k := planReach{p.turnout + to.Travel.Seconds(), to.Crew}
		u := &p.units[to.Crew]
		if u.doing == i {
			driven = true
			k.dist = crews[to.Crew].Doing.Arrives.Sub(now).Seconds()
			p.routes[to.Crew], p.holder[i] = append(p.routes[to.Crew], i), to.Crew
			switch {
			case k.dist <= j.due:
				j.skip *= 1.5 // nobody loses a crew to become the one who is left out
			case p.turnCome(w, now):
				j.mustGo()
			default:
				// Late whatever happens: its crew may leave it for whoever can be on time.
				j.due, j.opened, j.skip = math.Inf(1), 0, lateTurnCost*brokenCost*j.weight
			}
		}
		j.reach = append(j.reach, k)
		if u.free <= u.until {
			soonest = min(soonest, u.free+k.dist)
		}
	}
	if !driven {
		p.holder[i] = -1
		switch {
		case soonest <= j.due:
		case p.turnCome(w, now):
			j.mustGo()
			if !math.IsInf(soonest, 1) {
				// However far everybody is, going there costs less than not going.
				j.skip = max(j.skip, 2*j.weight*mustWaitCost*soonest)
			}
		default:
			p.late[i] = true
			j.reach = nil
		}
	}
	slices.SortFunc(j.reach, func(a, b planReach) int { return a.col - b.col })
	for _, to := range j.reach {
		p.asks[to.col] = append(p.asks[to.col], i)
	}
	p.jobs[i] = j
}

// turnCome reports whether a request whose promise is broken is not to be put
// off any more.
func (p *plan) turnCome(w *Waiting, now time.Time) bool {
	return now.Sub(w.Opened) > p.terms.Patience || w.Priority > 0
}

// mustGo plans a late request as if its promise could still be kept, and soon.
func (j *planJob) mustGo() {
	j.must, j.due, j.skip = true, math.Inf(1), j.weight*mustCost*brokenCost
}

// start is the time from a crew's being free to its arrival at its first job.
func (p *plan) start(c, i int) float64 {
	if p.starts != nil {
		return p.starts[c*len(p.jobs)+i]
	}
	k := p.reachAt(i, c)
	if k < 0 {
		return math.Inf(1)
	}
	return p.jobs[i].reach[k].dist
}

// reachAt is where a crew is in a job's reach, -1 for nowhere.
func (p *plan) reachAt(i, c int) int {
	k, ok := slices.BinarySearchFunc(p.jobs[i].reach, c, func(r planReach, c int) int { return r.col - c })
	if !ok {
		return -1
	}
	return k
}

// leg is the time from leaving one car to arriving at the next.
func (p *plan) leg(i, j int) float64 {
	if p.legs != nil {
		return p.legs[i*len(p.jobs)+j]
	}
	return p.turnout + p.at[i].Distance(p.at[j])/p.terms.Pace
}

// able reports whether a crew may do all of these.
func (p *plan) able(c int, jobs []int) bool {
	for _, i := range jobs {
		if math.IsInf(p.start(c, i), 1) {
			return false
		}
	}
	return true
}

// weigh is what a route costs a crew, the calls to come apart: see worth.
func (p *plan) weigh(c int, route []int) float64 {
	p.effort--
	u := &p.units[c]
	total, drive, t := 0.0, 0.0, u.free
	if u.doing >= 0 && (len(route) == 0 || route[0] != u.doing) {
		total += turnCost * brokenCost
	}
	last := -1
	for _, i := range route {
		if t > u.until {
			return math.Inf(1)
		}
		lead, way := t, 0.0
		if last < 0 {
			way = p.start(c, i)
		} else {
			way = p.leg(last, i)
		}
		t += way
		drive += way
		total += p.stop(&p.jobs[i], t, lead)
		t += p.service
		last = i
	}
	return total + driveCost*drive
}

// stop is what it costs to arrive at a job at a time, by a crew that leaves for
// it in lead seconds.
func (p *plan) stop(j *planJob, at, lead float64) float64 {
	cost := waitCost * (at - j.opened)
	if j.must {
		cost = mustWaitCost * at
	}
	if over := at - j.due; over > 0 {
		cost += brokenCost
	} else if lead > 0 {
		margin := tightMargin * min(1, lead/tightLead)
		if short := over + margin; short > 0 {
			cost += brokenCost * tightCost * short / margin
		}
	}
	return cost * j.weight
}

func (p *plan) set(c int, route []int) {
	p.routes[c] = append(p.routes[c][:0], route...)
	for _, i := range route {
		p.holder[i] = c
	}
	p.price(c)
	p.tick++
	p.stamps[c] = p.tick
}

// price works out anew what comes of a crew's route.
func (p *plan) price(c int) {
	p.costs[c] = p.weigh(c, p.routes[c])
	if p.watch != nil {
		p.watch.put(c, p.after(c, p.routes[c]))
	}
}

// make finds the plan.
func (p *plan) make() {
	for c := range p.routes {
		p.price(c)
	}
	p.match()
	p.fill()
	p.improve()
	p.shake()
}

// match gives each crew without a job its first one: the cheapest matching.
func (p *plan) match() {
	var open []int
	var rows [][]edge
	var skip []float64
	for i := range p.jobs {
		if p.holder[i] >= 0 || len(p.jobs[i].reach) == 0 {
			continue
		}
		var row []edge
		for _, to := range p.jobs[i].reach {
			if len(p.routes[to.col]) == 0 {
				now := p.worthNow(to.col)
				if cost := p.worth(to.col, []int{i}, math.Inf(1)) - now; cost < p.jobs[i].skip {
					row = append(row, edge{to.col, cost})
				}
			}
		}
		open, rows, skip = append(open, i), append(rows, row), append(skip, p.jobs[i].skip)
	}
	chosen, _ := matching(rows, len(p.units), skip)
	for k, c := range chosen {
		if c >= 0 {
			p.set(c, []int{open[k]})
		}
	}
}
