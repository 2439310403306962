package dispatch

import "math"

// W holds prototype weights.
type W struct {
	B, Late, Late2, Wait, Travel, Margin, Soft, Lead float64
	Cap, Reserve, H, Cycle, RateMul                  float64
	Gain, Ease, Dive, VoteMin                        float64
	Improve                                          float64
}

var Wt = W{B: 30000, Late: 1, Wait: 0.3, Travel: 1, Margin: 300, Soft: 0.3, Lead: 1800, Cap: 14400, Reserve: 3, H: 2700, Cycle: 2700, RateMul: 1, Improve: 1}

// plan is a set of routes: which crew serves which requests, in which order.
type plan struct {
	n, m    int // requests and crews
	w       W
	due     []float64 // seconds from now, as all times here
	opened  []float64
	weight  []float64
	service float64
	avail   []float64
	until   []float64
	doing   []int
	start   []float64 // [c*n+r] from avail to arrival
	leg     []float64 // [q*n+r] from leaving q to arrival at r, turnout included
	route   [][]int
	cost    []float64
	where   []int
	delta   []float64 // [r*m+c] cheapest insertion of r into route c
	at      []int     // its position
	b1, b2  []int
	stamp   []int // round in which a route last changed
	tick    int
}

func (p *plan) stop(r int, arr, lead float64) float64 {
	l := arr - p.due[r]
	w := &p.w
	c := w.Wait * (arr - p.opened[r])
	if l > 0 {
		c += w.B + w.Late*l + w.Late2*l*l
	} else if lead > 0 {
		m := w.Margin
		if lead < w.Lead {
			m *= lead / w.Lead
		}
		if s := l + m; s > 0 {
			c += w.B * w.Soft * s / m
		}
	}
	return c * p.weight[r]
}

func (p *plan) eval(c int, seq []int) float64 {
	total, drive := 0.0, 0.0
	if d := p.doing[c]; d >= 0 && (len(seq) == 0 || seq[0] != d) {
		total = p.w.B * p.w.Dive
	}
	if len(seq) == 0 {
		return total
	}
	t := p.avail[c]
	prev := -1
	for _, r := range seq {
		var d float64
		lead := t
		if prev < 0 {
			d = p.start[c*p.n+r]
			if r == p.doing[c] {
				lead = 0
			}
		} else {
			d = p.leg[prev*p.n+r]
		}
		if p.opened[r] > t {
			t = p.opened[r]
		}
		if t > p.until[c] {
			return math.Inf(1)
		}
		t += d
		drive += d
		total += p.stop(r, t, lead)
		t += p.service
		prev = r
	}
	return total + p.w.Travel*drive
}

// probe finds the cheapest position of r in route c.
func (p *plan) probe(r, c int) {
	k := r*p.m + c
	p.delta[k] = math.Inf(1)
	if math.IsInf(p.start[c*p.n+r], 1) {
		return
	}
	rt := p.route[c]
	b := append(p.b1[:0], r)
	b = append(b, rt...)
	p.b1 = b
	for i := 0; ; i++ {
		if d := p.eval(c, b) - p.cost[c]; d < p.delta[k] {
			p.delta[k], p.at[k] = d, i
		}
		if i == len(rt) {
			return
		}
		b[i], b[i+1] = b[i+1], r
	}
}

func (p *plan) put(r, c, i int) {
	rt := append(p.route[c], 0)
	copy(rt[i+1:], rt[i:])
	rt[i] = r
	p.route[c] = rt
	p.where[r] = c
	p.cost[c] = p.eval(c, rt)
	p.tick++
	p.stamp[c] = p.tick
}

func (p *plan) drop(r int) {
	c := p.where[r]
	rt := p.route[c]
	for i, x := range rt {
		if x == r {
			rt = append(rt[:i], rt[i+1:]...)
			break
		}
	}
	p.route[c] = rt
	p.where[r] = -1
	p.cost[c] = p.eval(c, rt)
	p.tick++
	p.stamp[c] = p.tick
}

// fill places the requests rs by regret.
func (p *plan) fill(rs []int) {
	for _, r := range rs {
		for c := 0; c < p.m; c++ {
			p.probe(r, c)
		}
	}
	rs = append([]int{}, rs...)
	for len(rs) > 0 {
		bk, bc := -1, -1
		bv := math.Inf(-1)
		for k := 0; k < len(rs); k++ {
			r := rs[k]
			best, second, cc := math.Inf(1), math.Inf(1), -1
			for c, d := range p.delta[r*p.m : r*p.m+p.m] {
				if d < best {
					best, second, cc = d, best, c
				} else if d < second {
					second = d
				}
			}
			if cc < 0 {
				continue
			}
			v := second - best
			if math.IsInf(second, 1) {
				v = 1e12
			}
			v -= 1e-3 * best
			if v > bv {
				bv, bk, bc = v, k, cc
			}
		}
		if bk < 0 {
			return
		}
		r := rs[bk]
		p.put(r, bc, p.at[r*p.m+bc])
		rs = append(rs[:bk], rs[bk+1:]...)
		for _, q := range rs {
			p.probe(q, bc)
		}
	}
}

// improve relocates single stops and exchanges tails and stops between routes
// until nothing helps.
func (p *plan) improve() {
	b1, b2 := make([]int, 0, 64), make([]int, 0, 64)
	last := 0
	for pass := 0; pass < 20; pass++ {
		from := p.tick
		for a := 0; a < p.m; a++ {
			for b := a + 1; b < p.m; b++ {
				ra, rb := p.route[a], p.route[b]
				if len(ra) == 0 && len(rb) == 0 || pass > 0 && p.stamp[a] <= last && p.stamp[b] <= last {
					continue
				}
				base := p.cost[a] + p.cost[b]
				bd := base - 1e-6
				kind, bi, bj := 0, 0, 0
				for i := 0; i <= len(ra); i++ {
					for j := 0; j <= len(rb); j++ {
						if p.fits(a, rb[j:]) && p.fits(b, ra[i:]) {
							b1 = append(append(b1[:0], ra[:i]...), rb[j:]...)
							if x := p.eval(a, b1); x < bd {
								b2 = append(append(b2[:0], rb[:j]...), ra[i:]...)
								if d := x + p.eval(b, b2); d < bd {
									bd, kind, bi, bj = d, 1, i, j
								}
							}
						}
						if i < len(ra) && j < len(rb) && p.fits(a, rb[j:j+1]) && p.fits(b, ra[i:i+1]) {
							b1 = append(b1[:0], ra...)
							b1[i] = rb[j]
							if x := p.eval(a, b1); x < bd {
								b2 = append(b2[:0], rb...)
								b2[j] = ra[i]
								if d := x + p.eval(b, b2); d < bd {
									bd, kind, bi, bj = d, 2, i, j
								}
							}
						}
						if i < len(ra) && p.fits(b, ra[i:i+1]) { // move ra[i] into b at j
							b1 = append(append(b1[:0], ra[:i]...), ra[i+1:]...)
							if x := p.eval(a, b1); x < bd {
								b2 = append(append(append(b2[:0], rb[:j]...), ra[i]), rb[j:]...)
								if d := x + p.eval(b, b2); d < bd {
									bd, kind, bi, bj = d, 3, i, j
								}
							}
						}
						if j < len(rb) && p.fits(a, rb[j:j+1]) {
							b2 = append(append(b2[:0], rb[:j]...), rb[j+1:]...)
							if x := p.eval(b, b2); x < bd {
								b1 = append(append(append(b1[:0], ra[:i]...), rb[j]), ra[i:]...)
								if d := x + p.eval(a, b1); d < bd {
									bd, kind, bi, bj = d, 4, i, j
								}
							}
						}
					}
				}
				if kind == 0 {
					continue
				}
				na, nb := append([]int{}, ra...), append([]int{}, rb...)
				switch kind {
				case 1:
					na = append(append([]int{}, ra[:bi]...), rb[bj:]...)
					nb = append(append([]int{}, rb[:bj]...), ra[bi:]...)
				case 2:
					na[bi], nb[bj] = rb[bj], ra[bi]
				case 3:
					na = append(append([]int{}, ra[:bi]...), ra[bi+1:]...)
					nb = append(append(append([]int{}, rb[:bj]...), ra[bi]), rb[bj:]...)
				case 4:
					nb = append(append([]int{}, rb[:bj]...), rb[bj+1:]...)
					na = append(append(append([]int{}, ra[:bi]...), rb[bj]), ra[bi:]...)
				}
				p.set(a, na)
				p.set(b, nb)
			}
		}
		// within a route
		for a := 0; a < p.m; a++ {
			ra := p.route[a]
			if len(ra) < 2 || pass > 0 && p.stamp[a] <= last {
				continue
			}
			for i := range ra {
				for j := range ra {
					if i == j {
						continue
					}
					b1 = append(append(b1[:0], ra[:i]...), ra[i+1:]...)
					b2 = append(append(append(b2[:0], b1[:j]...), ra[i]), b1[j:]...)
					if p.eval(a, b2) < p.cost[a]-1e-6 {
						p.set(a, b2)
						ra = p.route[a]
					}
				}
			}
		}
		if p.tick == from {
			return
		}
		last = from
	}
}

func (p *plan) fits(c int, seq []int) bool {
	for _, r := range seq {
		if math.IsInf(p.start[c*p.n+r], 1) {
			return false
		}
	}
	return true
}

func (p *plan) set(c int, seq []int) {
	p.route[c] = append(p.route[c][:0], seq...)
	for _, r := range seq {
		p.where[r] = c
	}
	p.cost[c] = p.eval(c, p.route[c])
	p.tick++
	p.stamp[c] = p.tick
}

func (p *plan) clear() {
	for c := range p.route {
		p.route[c] = p.route[c][:0]
		p.cost[c] = p.eval(c, nil)
		p.stamp[c] = 0
	}
	for r := range p.where {
		p.where[r] = -1
	}
}

func (p *plan) spare(rate float64) float64 {
	w := &p.w
	sum := 0.0
	for c := 0; c < p.m; c++ {
		t := p.avail[c]
		prev := -1
		for _, r := range p.route[c] {
			var d float64
			if prev < 0 {
				d = p.start[c*p.n+r]
			} else {
				d = p.leg[prev*p.n+r]
			}
			if p.opened[r] > 0 || t+d > p.due[r] {
				break
			}
			t += d + p.service
			prev = r
		}
		sum += math.Max(0, w.H-t) / w.Cycle
	}
	return sum - w.RateMul*rate*w.H/3600
}
