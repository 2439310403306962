package dispatch

import (
	"math"
	"slices"
	"time"

	"rescued/geo"
)

// Waiting is one request as Assign sees it: it has no crew on the spot yet.
// A request whose crew is on its way and may still be turned round is waiting
// too; the crew names it in Candidate.Doing.
type Waiting struct {
	At     geo.Point // WGS-84
	Opened time.Time // when the owner called
	Due    time.Time // when the promise is broken
	// Priority is the class: a higher class is planned as if every lower one
	// were not there. 0 is ordinary.
	Priority int
	Need     geo.Capabilities
	// Swaps counts how often this request has lost a crew that was on its way.
	// At Terms.MaxSwaps it keeps the crew it has.
	Swaps  int
	Weight float64
	// Reach lists the crews to weigh and how long each drives, from a routing
	// engine or an index. Nil means every capable crew, timed by Terms.Travel.
	// A crew that refused the request is left out of Reach, or named in Refused.
	Reach   []Reach
	Refused []int // indices of crews that may not be asked again
}

// Reach is how far one crew is from one request.
type Reach struct {
	Crew   int           // index into the crews given to Assign
	Travel time.Duration // driving time from Candidate.At, turnout not counted
}

// Candidate is one crew as Assign sees it.
type Candidate struct {
	At     geo.Point // where it will be at FreeAt (WGS-84)
	FreeAt time.Time // not after now: free
	Can    geo.Capabilities
	// Until is the end of the shift: no job starts after it. Zero means never.
	Until time.Time
	// Doing is the index of the request the crew is driving to and may still
	// leave, or -1. At and FreeAt are then its present place and now.
	Doing int
	// Arrive is when it reaches Doing if it is left alone.
	Arrive time.Time
}

// Terms are what Assign plans with.
type Terms struct {
	Turnout time.Duration // from being sent to driving off
	Service time.Duration // expected time on the spot
	// Travel estimates the driving time between two places. It must be pure.
	Travel   func(from, to geo.Point) time.Duration
	MaxSwaps int
	Futures  [][]Likely
	Weight   float64
	Rate     float64 // calls expected per hour
	// Effort bounds the search in steps, never in wall time. 0 is the default.
	Effort int
}

// Act says what to do with a request now.
type Act int

const (
	Hold Act = iota
	Send
	Keep
)

type Pairing struct {
	Request, Crew int
	Act           Act
	Travel        time.Duration
	Arrive        time.Time
}

// Likely is a call that may come.
type Likely struct {
	At     geo.Point
	Opened time.Time
	Due    time.Time
	Need   geo.Capabilities
}

func Assign(waiting []Waiting, crews []Candidate, now time.Time, t Terms) []Pairing {
	n0, m := len(waiting), len(crews)
	if n0 == 0 || m == 0 {
		return nil
	}
	futures := t.Futures
	if len(futures) == 0 {
		futures = make([][]Likely, 1)
	}
	votes := make([]float64, m*n0)
	base := newPlan(waiting, crews, nil, now, t)
	spare := math.Inf(1)
	{
		base.fill(seq(n0))
		base.improve()
		spare = base.spare(t.Rate)
	}
	for _, f := range futures {
		p := base
		if len(f) > 0 {
			p = newPlan(waiting, crews, f, now, t)
			p.fill(seq(p.n))
			if Wt.Improve > 0 {
				p.improve()
			}
		}
		for c := range crews {
			if len(p.route[c]) == 0 || p.avail[c] > 0 {
				continue
			}
			if r := p.route[c][0]; r < n0 {
				votes[c*n0+r] += 1 / float64(len(futures))
			}
		}
	}
	var out []Pairing
	taken := make([]bool, n0)
	done := make([]bool, m)
	for {
		bc, br, bv := -1, -1, Wt.VoteMin
		bd := 0.0
		for c := range crews {
			if done[c] || base.avail[c] > 0 {
				continue
			}
			for r := 0; r < n0; r++ {
				if taken[r] {
					continue
				}
				v := votes[c*n0+r]
				if v > bv || v == bv && bc >= 0 && base.start[c*n0+r] < bd {
					bc, br, bv, bd = c, r, v, base.start[c*n0+r]
				}
			}
		}
		if bc < 0 {
			break
		}
		done[bc], taken[br] = true, true
		if br == base.doing[bc] {
			continue
		}
		tr := t.Travel(crews[bc].At, waiting[br].At)
		if arr := base.start[bc*n0+br]; arr > base.due[br] && arr-base.opened[br] < Wt.Cap && spare < Wt.Reserve {
			continue
		}
		out = append(out, Pairing{Request: br, Crew: bc, Act: Send, Travel: tr, Arrive: now.Add(t.Turnout + tr)})
	}
	return out
}

func seq(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func newPlan(waiting []Waiting, crews []Candidate, f []Likely, now time.Time, t Terms) *plan {
	n, m := len(waiting)+len(f), len(crews)
	p := &plan{n: n, m: m, w: Wt}
	p.service = t.Service.Seconds()
	turn := t.Turnout.Seconds()
	p.due, p.opened, p.weight = make([]float64, n), make([]float64, n), make([]float64, n)
	p.avail, p.until, p.doing = make([]float64, m), make([]float64, m), make([]int, m)
	p.start, p.leg = make([]float64, m*n), make([]float64, n*n)
	p.route, p.cost, p.where = make([][]int, m), make([]float64, m), make([]int, n)
	p.delta, p.at, p.stamp = make([]float64, m*n), make([]int, m*n), make([]int, m)
	at := make([]geo.Point, n)
	need := make([]geo.Capabilities, n)
	for r, w := range waiting {
		p.due[r], p.opened[r], p.weight[r] = w.Due.Sub(now).Seconds(), w.Opened.Sub(now).Seconds(), math.Pow(4, float64(w.Priority))
		at[r], need[r] = w.At, w.Need
	}
	for i, w := range f {
		r := len(waiting) + i
		p.due[r], p.opened[r], p.weight[r] = w.Due.Sub(now).Seconds(), w.Opened.Sub(now).Seconds(), t.Weight
		at[r], need[r] = w.At, w.Need
	}
	for r := range at {
		for q := range r {
			d := turn + t.Travel(at[q], at[r]).Seconds()
			p.leg[q*n+r], p.leg[r*n+q] = d, d
		}
	}
	for c, k := range crews {
		p.avail[c] = max(0, k.FreeAt.Sub(now).Seconds())
		p.until[c] = math.Inf(1)
		if !k.Until.IsZero() {
			p.until[c] = k.Until.Sub(now).Seconds()
		}
		p.doing[c] = k.Doing
		for r := range at {
			p.start[c*n+r] = math.Inf(1)
			if !k.Can.Has(need[r]) || r < len(waiting) && (waiting[r].Reach != nil || slices.Contains(waiting[r].Refused, c)) {
				continue
			}
			p.start[c*n+r] = turn + t.Travel(k.At, at[r]).Seconds()
			if k.Doing == r {
				p.start[c*n+r] = k.Arrive.Sub(now).Seconds() - Wt.Gain
			}
		}
	}
	for r, w := range waiting {
		for _, x := range w.Reach {
			if crews[x.Crew].Can.Has(w.Need) && !slices.Contains(w.Refused, x.Crew) && crews[x.Crew].Doing != r {
				p.start[x.Crew*n+r] = turn + x.Travel.Seconds()
			}
		}
	}
	p.clear()
	return p
}
