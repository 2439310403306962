package dispatch

import (
	"math/bits"
	"time"

	"rescued/geo"
)

// Prospect is where calls are to be expected, and how many. The zero value
// expects none.
type Prospect struct {
	Places  []geo.Vector  // one as likely as another, ProspectPlaces at most
	Rate    float64       // calls an hour, over all places together
	Promise time.Duration // what will be promised them
}

// ProspectPlaces is how many places a Prospect has at most: one bit each.
const ProspectPlaces = 64

// The calls to come are weighed in slices of time, each at its middle. The
// figures were found like those of Assign.
const (
	prospectSlices = 4
	prospectSlice  = 18 * 60.0 // seconds
	// prospectFades is what a slice counts of the one before it: the plan will
	// have changed by then.
	prospectFades = 0.8
	// prospectBusy is how likely it is that a crew which could be in time for a
	// call is needed elsewhere by then.
	prospectBusy = 0.4
)

// watch is what a plan makes of the calls to come: which of them the crews
// could be in time for, once each has done what is planned for it, from where
// it then stands.
//
// The measure is that of the maximal expected covering location model with a
// busy probability (Daskin, Transportation Science 17, 1983): n crews that could
// be in time miss a call with the probability prospectBusy to the power of n.
// Here it is taken over slices of time, since a crew that has a job covers its
// surroundings again afterwards.
type watch struct {
	places  int
	weight  [prospectSlices]float64 // calls at each place in a slice
	reach   float64                 // seconds of driving that a promise leaves
	service float64                 // seconds at a car
	crews   []ring                  // around where each is free
	jobs    []ring                  // around each request
	covers  []coverage              // by crew: what its route leaves covered
	power   []float64               // of prospectBusy
	count   [prospectSlices][ProspectPlaces]int
	missed  [prospectSlices][ProspectPlaces]float64 // calls that nobody is in time for
	total   float64                                 // of missed
	out     [2]coverage                             // the crews counted out for gain: see without
	all     float64                                 // what is missed without them
}

// coverage is a set of places for each slice of time.
type coverage [prospectSlices]uint64

// ring is the places around a point: entry k has those less than k+1 steps of
// driving away.
type ring [64]uint64

const ringStep = 60.0 // seconds

// watchEffort is what a look at the calls to come takes, in routes weighed.
const watchEffort = 5

// newWatch is nil when no calls are to be expected that anybody could be in time
// for. at is where the requests are. No crew covers anything until put says so.
func newWatch(t *Terms, crews []Candidate, at []geo.Vector) *watch {
	o := &t.Prospect
	if len(o.Places) == 0 || o.Rate <= 0 || o.Promise <= t.Turnout {
		return nil
	}
	w := &watch{
		places: min(len(o.Places), ProspectPlaces), reach: (o.Promise - t.Turnout).Seconds(), service: t.Service.Seconds(),
		crews: make([]ring, len(crews)), jobs: make([]ring, len(at)), covers: make([]coverage, len(crews)), power: make([]float64, len(crews)+1),
	}
	for n, all := 0, 1.0; n < len(w.power); n++ {
		w.power[n] = all
		all *= prospectBusy
	}
	calls := o.Rate / float64(w.places) * prospectSlice / 3600
	for s := range w.weight {
		w.weight[s] = calls
		for i := range w.places {
			w.missed[s][i] = calls
			w.total += calls
		}
		calls *= prospectFades
	}
	for c := range crews {
		w.crews[c] = ringAround(geo.VectorOf(crews[c].At), o.Places[:w.places], t.Pace)
	}
	for i := range at {
		w.jobs[i] = ringAround(at[i], o.Places[:w.places], t.Pace)
	}
	return w
}

func ringAround(at geo.Vector, places []geo.Vector, pace float64) (r ring) {
	for i, place := range places {
		if k := int(at.Distance(place) / pace / ringStep); k < len(r) {
			r[k] |= 1 << i
		}
	}
	for k := 1; k < len(r); k++ {
		r[k] |= r[k-1]
	}
	return r
}

// from is what a crew covers that is free at a point of time.
func (w *watch) from(r *ring, free float64) (c coverage) {
	for s := range c {
		if left := w.reach - max(0, free-(float64(s)+0.5)*prospectSlice); left >= 0 {
			c[s] = r[min(int(left/ringStep), len(r)-1)]
		}
	}
	return c
}

// after is what a crew covers when it does a route.
func (p *plan) after(c int, route []int) coverage {
	u, r := &p.units[c], &p.watch.crews[c]
	free := u.free
	for k, i := range route {
		if k == 0 {
			free += p.start(c, i)
		} else {
			free += p.leg(route[k-1], i)
		}
		free += p.service
		r = &p.watch.jobs[i]
	}
	if free > u.until {
		return coverage{}
	}
	return p.watch.from(r, free)
}

// put says what a crew covers from now on.
func (w *watch) put(c int, now coverage) {
	was := w.covers[c]
	w.covers[c] = now
	for s := range now {
		for b := was[s] ^ now[s]; b != 0; b &= b - 1 {
			i := bits.TrailingZeros64(b)
			if now[s]>>i&1 == 1 {
				w.count[s][i]++
			} else {
				w.count[s][i]--
			}
			now := w.weight[s] * w.power[w.count[s][i]]
			w.total += now - w.missed[s][i]
			w.missed[s][i] = now
		}
	}
}

// without prepares gain for crews that are counted out, one or two.
func (w *watch) without(crews ...int) {
	w.out[0], w.out[1] = w.covers[crews[0]], coverage{}
	if len(crews) > 1 {
		w.out[1] = w.covers[crews[1]]
	}
	w.all = w.total
	for s := range w.missed {
		a, b := w.out[0][s], w.out[1][s]
		w.all += (lostOnce-1)*w.sum(s, a^b) + (lostOnce*lostOnce-1)*w.sum(s, a&b)
	}
}

// lostOnce is how many more calls a place misses that one crew less covers.
const lostOnce = 1 / prospectBusy

// sum is what is missed at some places.
func (w *watch) sum(s int, set uint64) (sum float64) {
	missed := &w.missed[s]
	for ; set != 0; set &= set - 1 {
		sum += missed[bits.TrailingZeros64(set)&63]
	}
	return sum
}

// gain is how many of the calls lost without those counted out a crew is
// expected to save.
func (w *watch) gain(c coverage) float64 {
	sum := 0.0
	for s, set := range c {
		a, b := w.out[0][s], w.out[1][s]
		sum += w.sum(s, set&^(a|b)) + lostOnce*w.sum(s, set&(a^b)) + lostOnce*lostOnce*w.sum(s, set&a&b)
	}
	return sum * (1 - prospectBusy)
}

// gainBoth is gain for two crews together.
func (w *watch) gainBoth(a, b coverage) float64 {
	both := a
	for s := range both {
		both[s] &= b[s]
	}
	return w.gain(a) + w.gain(b) - (1-prospectBusy)*w.gain(both)
}

// harm is how many of the calls to come are expected to be lost because a crew
// goes to a request, there in so many seconds, instead of staying as it is.
func (w *watch) harm(c, i int, there float64) float64 {
	if w == nil {
		return 0
	}
	w.without(c)
	return w.gain(w.covers[c]) - w.gain(w.from(&w.jobs[i], there+w.service))
}

// send says that a crew goes to a request, there in so many seconds.
func (w *watch) send(c, i int, there float64) {
	if w != nil {
		w.put(c, w.from(&w.jobs[i], there+w.service))
	}
}

// worth is what a route costs a crew, less what it leaves covered: the crew must
// have been counted out. Beyond bound it need not be exact.
func (p *plan) worth(c int, route []int, bound float64) float64 {
	cost := p.weigh(c, route)
	if p.watch == nil || cost-brokenCost*(1-prospectBusy)*p.watch.all >= bound {
		return cost
	}
	p.effort -= watchEffort
	return cost - brokenCost*p.watch.gain(p.after(c, route))
}

// worthNow is worth for the route a crew has. It counts the crew out.
func (p *plan) worthNow(c int) float64 {
	if p.watch == nil {
		return p.costs[c]
	}
	p.effort -= watchEffort
	p.watch.without(c)
	return p.costs[c] - brokenCost*p.watch.gain(p.watch.covers[c])
}

// worthBoth is worth for two crews, both counted out.
func (p *plan) worthBoth(a, b int, routeA, routeB []int, bound float64) float64 {
	cost := p.weigh(a, routeA)
	if p.watch == nil {
		if cost < bound {
			cost += p.weigh(b, routeB)
		}
		return cost
	}
	most := brokenCost * (1 - prospectBusy*prospectBusy) * p.watch.all
	if cost-most >= bound {
		return cost
	}
	if cost += p.weigh(b, routeB); cost-most >= bound {
		return cost
	}
	p.effort -= watchEffort
	return cost - brokenCost*p.watch.gainBoth(p.after(a, routeA), p.after(b, routeB))
}

// worthBothNow is worthBoth for the routes they have. It counts them out.
func (p *plan) worthBothNow(a, b int) float64 {
	cost := p.costs[a] + p.costs[b]
	if p.watch != nil {
		p.effort -= watchEffort
		p.watch.without(a, b)
		cost -= brokenCost * p.watch.gainBoth(p.watch.covers[a], p.watch.covers[b])
	}
	return cost
}
