package dispatch

import (
	"cmp"
	"slices"
	"time"

	"rescued/geo"
)

// readyBoard is who is in time for which calls, slot by slot.
type readyBoard struct {
	Ready
	calls  []geo.Vector          // where they come from
	stands []geo.Vector          // where idle crews are
	busy   [readySlots]float64   // q: how likely a crew is not there any more
	lost   [][readySlots]float64 // by calls: how likely nobody is in time
	others []float64             // by calls: how many crews are in time in the last slot
	from   [][]bool              // by idle crew, and calls: in time from where it stands; nil for one that stays
}

// readyTarget is a place to stand, and the calls that are in reach from it.
type readyTarget struct {
	cell  geo.Cell
	at    geo.Point
	place geo.Vector
	reach []bool
	help  float64 // promises an hour that one more crew there would keep
}

// cover works out who covers what as crews stand and go.
func (r Ready) cover() *readyBoard {
	b := &readyBoard{
		Ready: r, calls: make([]geo.Vector, len(r.Calls)), stands: make([]geo.Vector, len(r.Idle)),
		lost: make([][readySlots]float64, len(r.Calls)), others: make([]float64, len(r.Calls)), from: make([][]bool, len(r.Idle)),
	}
	perHour := 0.0
	for i, c := range r.Calls {
		b.calls[i] = geo.VectorOf(c.At)
		perHour += c.PerHour
		for s := range readySlots {
			b.lost[i][s] = 1
		}
	}
	for s := range readySlots {
		free := len(r.Idle)
		for _, c := range r.Busy {
			if c.FreeAt.Sub(r.Now) <= slotMiddle(s) {
				free++
			}
		}
		taken := perHour * min(slotMiddle(s), r.Turnout+r.Promise/driveShare+r.Service).Hours()
		b.busy[s] = min(max(taken/float64(max(free, 1)), leastBusy), mostBusy)
	}
	for c, crew := range r.Idle {
		b.stands[c] = geo.VectorOf(crew.At)
		here := b.reach(b.stands[c])
		if crew.ArrivesAt.After(r.Now) {
			turn := firstSlot(crew.ArrivesAt.Sub(r.Now))
			b.count(crew.Can, here, 0, turn)
			b.count(crew.Can, b.reach(geo.VectorOf(crew.To)), turn, readySlots)
			continue
		}
		b.count(crew.Can, here, 0, readySlots)
		if !crew.Stays && (crew.MovedAt.IsZero() || r.Now.Sub(crew.MovedAt) >= restAfterMove) {
			b.from[c] = here
		}
	}
	for _, crew := range r.Busy {
		// A call is early enough when the crew, free by then or after, is there
		// within the promise.
		for s := range readySlots {
			wait := max(0, crew.FreeAt.Sub(r.Now)-slotMiddle(s))
			if wait < r.Promise-r.Turnout {
				b.count(crew.Can, b.within(geo.VectorOf(crew.At), r.Promise-r.Turnout-wait), s, s+1)
			}
		}
	}
	return b
}

// reach is the calls that a crew at a place is in time for, by distance.
func (b *readyBoard) reach(at geo.Vector) []bool { return b.within(at, b.Promise-b.Turnout) }

func (b *readyBoard) within(at geo.Vector, drive time.Duration) []bool {
	in := make([]bool, len(b.calls))
	if drive < 0 {
		return in
	}
	chord := geo.Chord(drive.Seconds() * b.Pace)
	for i, call := range b.calls {
		in[i] = at.Within(call, chord)
	}
	return in
}

// drive is how long an idle crew drives to a target.
func (b *readyBoard) drive(crew int, to readyTarget) time.Duration {
	return time.Duration(b.stands[crew].Distance(to.place) / b.Pace * float64(time.Second))
}

// count adds a crew in the slots from first until last.
func (b *readyBoard) count(can geo.Capabilities, reach []bool, first, last int) {
	for i, in := range reach {
		if !in || !can.Has(b.Calls[i].Need) {
			continue
		}
		for s := first; s < last; s++ {
			b.lost[i][s] *= b.busy[s]
		}
		if first < last && last == readySlots {
			b.others[i]++
		}
	}
}

// targets are the places where one more crew would help most, best first:
// middles of cells that calls come from, none close to a better one.
func (b *readyBoard) targets() []readyTarget {
	var all []readyTarget
	seen := map[geo.Cell]bool{}
	for i, c := range b.Calls {
		if seen[c.Cell] {
			continue
		}
		seen[c.Cell] = true
		t := readyTarget{cell: c.Cell, at: c.At, place: b.calls[i], reach: b.reach(b.calls[i])}
		all = append(all, t)
	}
	b.rank(all)
	near := geo.Chord(targetsApart)
	var kept []readyTarget
	for _, t := range all {
		if !slices.ContainsFunc(kept, func(k readyTarget) bool { return t.place.Within(k.place, near) }) {
			kept = append(kept, t)
		}
		if len(kept) == readyTargets {
			break
		}
	}
	return kept
}

// rank sorts targets by how much one more crew there would help. No crew that
// comes from elsewhere, later and leaving something, gains more.
func (b *readyBoard) rank(targets []readyTarget) {
	saves := make([]float64, len(b.Calls))
	for i, c := range b.Calls {
		for s := range readySlots {
			saves[i] += c.PerHour * b.lost[i][s] * (1 - b.busy[s]) / readySlots
		}
	}
	for t := range targets {
		targets[t].help = 0
		for i, in := range targets[t].reach {
			if in {
				targets[t].help += saves[i]
			}
		}
	}
	slices.SortFunc(targets, func(a, b readyTarget) int {
		return cmp.Or(-cmp.Compare(a.help, b.help), cmp.Compare(a.cell, b.cell))
	})
}

// gain is how many promises an hour are kept for sending an idle crew to where
// it reaches the given calls from slot first on.
func (b *readyBoard) gain(crew int, reach []bool, first int) float64 {
	gain, can, here := 0.0, b.Idle[crew].Can, b.from[crew]
	for i, then := range reach {
		if then == here[i] || !can.Has(b.Calls[i].Need) {
			continue
		}
		part := 0.0
		for s := first; s < readySlots; s++ {
			if then {
				part += b.lost[i][s] * (1 - b.busy[s])
			} else {
				part -= b.lost[i][s] * (1/b.busy[s] - 1)
			}
		}
		gain += part * b.Calls[i].PerHour
	}
	return gain / readySlots
}

// move makes a move part of how things stand. The crew is not moved again.
func (b *readyBoard) move(crew int, reach []bool, first int) {
	can, here := b.Idle[crew].Can, b.from[crew]
	for i, then := range reach {
		if then == here[i] || !can.Has(b.Calls[i].Need) {
			continue
		}
		for s := first; s < readySlots; s++ {
			if then {
				b.lost[i][s] *= b.busy[s]
			} else {
				b.lost[i][s] /= b.busy[s]
			}
		}
		if then {
			b.others[i]++
		} else {
			b.others[i]--
		}
	}
	b.from[crew] = nil
}

// compare sums up what an idle crew would reach from elsewhere, and not any
// more.
func (b *readyBoard) compare(crew int, reach []bool) (reaches, leaves Reached) {
	can, here := b.Idle[crew].Can, b.from[crew]
	for i, then := range reach {
		c := b.Calls[i]
		switch {
		case then == here[i] || !can.Has(c.Need):
		case then:
			reaches.PerHour += c.PerHour
			reaches.Others += c.PerHour * b.others[i]
		default:
			leaves.PerHour += c.PerHour
			leaves.Others += c.PerHour * (b.others[i] - 1)
		}
	}
	for _, r := range []*Reached{&reaches, &leaves} {
		if r.PerHour > 0 {
			r.Others /= r.PerHour
		}
	}
	return reaches, leaves
}
