package sim

import (
	"iter"
	"slices"
	"time"

	"rescued/geo"
)

// stale is how old the place of a crew under way may be in its index.
const stale = time.Minute

// roamers finds crews that are under way by where they are now. A place in the
// index is at most a minute old, and a crew cannot have driven for longer than
// that since; so the order of the index, a minute of driving allowed, is enough
// to find the exact one. Crews come into the index when somebody asks, and cost
// a run in which nobody does nothing.
type roamers struct {
	index  *geo.Index[int]
	member []int       // those under way, ascending
	fixed  []time.Time // by crew: when its place in the index was right; zero for not in it
	fresh  []int       // those to be put in, and some that have left since
	fixes  []fix       // by time; those made up by a later one are passed over
}

type fix struct {
	crew int
	at   time.Time
}

func newRoamers(crews int) *roamers {
	return &roamers{index: geo.NewIndex[int](), fixed: make([]time.Time, crews)}
}

// add takes in a crew that was not under way, remove one that is so no more.
func (r *roamers) add(crew int) {
	i, _ := slices.BinarySearch(r.member, crew)
	r.member = slices.Insert(r.member, i, crew)
	if len(r.fresh) > 2*len(r.fixed) { // nobody asks
		r.fresh = append(r.fresh[:0], r.member...)
	} else {
		r.fresh = append(r.fresh, crew)
	}
}

func (r *roamers) remove(crew int) {
	i, _ := slices.BinarySearch(r.member, crew)
	r.member = slices.Delete(r.member, i, i+1)
	if !r.fixed[crew].IsZero() {
		r.index.Remove(crew)
		r.fixed[crew] = time.Time{}
	}
}

// sync brings the index up to date.
func (r *roamers) sync(v *View) {
	put := func(crew int) {
		r.index.Put(crew, v.Place(crew), v.Crews[crew].Can, true, v.Now)
		r.fixed[crew] = v.Now
		r.fixes = append(r.fixes, fix{crew, v.Now})
	}
	for _, crew := range r.fresh {
		_, member := slices.BinarySearch(r.member, crew)
		if member && r.fixed[crew].IsZero() {
			put(crew)
		}
	}
	r.fresh = r.fresh[:0]
	done := 0
	for done < len(r.fixes) && v.Now.Sub(r.fixes[done].at) > stale {
		if f := r.fixes[done]; r.fixed[f.crew].Equal(f.at) {
			put(f.crew)
		}
		done++
	}
	if done > len(r.fixes)/2 {
		r.fixes = append(r.fixes[:0], r.fixes[done:]...)
	} else {
		r.fixes = r.fixes[done:]
	}
}

// from is near as a sequence.
func (r *roamers) from(v *View, p geo.Point, need geo.Capabilities) iter.Seq2[int, time.Duration] {
	return func(yield func(int, time.Duration) bool) { r.near(v, p, need, yield) }
}

// near yields crews under way that have the needed capabilities, with their
// travel time to p: the least first, equal ones in the order of the fleet.
func (r *roamers) near(v *View, p geo.Point, need geo.Capabilities, yield func(int, time.Duration) bool) {
	if len(r.member) == 0 {
		return
	}
	r.sync(v)
	var room [16]reach
	found := heap[reach]{room[:0]}
	for hit := range r.index.Near(p, need) {
		// Whoever comes from here on is no nearer than this; a millisecond is
		// for rounding.
		least := v.Travel(hit.Point, p) - stale - time.Millisecond
		for found.len() > 0 && found.least().travel < least {
			if next := found.pop(); !yield(next.key, next.travel) {
				return
			}
		}
		found.push(reach{hit.Key, v.Travel(v.Place(hit.Key), p)})
	}
	for found.len() > 0 {
		if next := found.pop(); !yield(next.key, next.travel) {
			return
		}
	}
}
