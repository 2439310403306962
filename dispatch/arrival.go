package dispatch

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rescued/events"
	"rescued/geo"
)

// What proves an arrival. Distances are metres on the ground.
const (
	// dwellGap is how far apart in time two fixes must be to show a stay and
	// not a drive past.
	dwellGap = 20 * time.Second
	// dwellSpan is how far apart they may be. Beyond it they show two visits.
	dwellSpan = 10 * time.Minute
	// dwellMetres is how near the car both must be, beyond their own accuracy.
	dwellMetres = 150
	// tapFixAge is how old the fix may be that bears out a crew's tap.
	tapFixAge = time.Minute
	// tapMetres is how near the car that fix must be.
	tapMetres = 300
	// worstAccuracy is the accuracy beyond which a fix says nothing about
	// where a crew stands: a position from a mobile mast, not from a satellite.
	worstAccuracy = 200
)

// EvidenceMetres is how near a crew must be to its car for a fix to matter to
// Weigh at all. Fixes further away need not be kept.
const EvidenceMetres = 500

// ArrivalSource says whose proof set the time of an arrival.
type ArrivalSource string

// The sources. Of proofs for one moment, the first in this order is named.
const (
	ByGPS      ArrivalSource = "gps"      // two fixes show a stay
	ByCode     ArrivalSource = "code"     // the crew knew the owner's code
	ByOwner    ArrivalSource = "owner"    // the owner said so
	ByTap      ArrivalSource = "tap"      // the crew said so and a fix bears it out
	ByOperator ArrivalSource = "operator" // an operator decided on a bare tap
)

var sourceOrder = []ArrivalSource{ByGPS, ByCode, ByOwner, ByTap, ByOperator}

// Fix is one position of a crew: where its device was, by the device's clock.
type Fix struct {
	At       time.Time
	Point    geo.Point // WGS-84
	Accuracy float64   // metres, one standard deviation as devices report it
}

// Word is what somebody said about an arrival: that the crew was there at At.
// Its Source is ByCode, ByOwner, ByTap or ByOperator.
type Word struct {
	Source ArrivalSource
	At     time.Time
	Note   string // an operator's reason
}

// Arrival is what the evidence shows.
type Arrival struct {
	// At is when the crew was there: the earliest proof. Zero without any.
	At     time.Time
	Source ArrivalSource
	// UnprovenAt is the crew's earliest tap, when it lies before every proof.
	// Such a tap stops no clock; an operator looks at it. Zero without any.
	UnprovenAt time.Time
	// Evidence keeps the times side by side, for the event and the screen.
	Evidence events.ArrivalEvidence
}

// Proven reports whether the crew is known to have arrived.
func (a Arrival) Proven() bool { return !a.At.IsZero() }

// Weigh says when a crew arrived at a car that stands at scene, given that it
// has had the request since the given moment: nothing from before it counts,
// except as the fix that bears out a tap.
//
// The arrival is the earliest of a stay shown by two fixes (at least 20 s
// apart, both within 150 m plus their accuracy; the time is the first of
// them), the owner's word or code, a tap with a fix at most 60 s old within
// 300 m, and an operator's decision. So more evidence never makes an arrival
// later, and neither the order nor the repetition of evidence changes it.
func Weigh(scene geo.Point, since time.Time, fixes []Fix, words []Word) Arrival {
	fixes = inOrder(fixes)
	var a Arrival
	var proofs []proof
	if first, second, ok := dwell(scene, since, fixes); ok {
		a.Evidence.GPSAt = &first.At
		gap := int(second.At.Sub(first.At).Seconds())
		proofs = append(proofs, proof{source: ByGPS, at: first.At, fix: &first,
			note: fmt.Sprintf("two fixes %d s apart at the car", gap)})
	}
	for _, w := range words {
		if w.At.Before(since) {
			continue
		}
		p := proof{source: w.Source, at: w.At, note: w.Note}
		switch w.Source {
		case ByTap:
			earliest(&a.Evidence.ClaimedAt, w.At)
			fix, near := backing(scene, fixes, w.At)
			if !near {
				continue
			}
			p.fix = &fix
		case ByOwner, ByCode:
			earliest(&a.Evidence.OwnerAt, w.At)
		case ByOperator:
			earliest(&a.Evidence.OperatorAt, w.At)
		}
		proofs = append(proofs, p)
	}
	var shown *Fix
	var shownAt time.Time
	if len(proofs) > 0 {
		p := slices.MinFunc(proofs, proof.compare)
		a.At, a.Source, a.Evidence.Note = p.at, p.source, p.note
		shown, shownAt = p.fix, p.at
	}
	if tap := a.Evidence.ClaimedAt; tap != nil && (!a.Proven() || tap.Before(a.At)) {
		a.UnprovenAt = *tap
		if !a.Proven() {
			shown, shownAt = lastUpTo(fixes, *tap), *tap
			a.Evidence.Note = "no fix at the car bears out the tap"
		}
	}
	if shown != nil {
		metres, age := int(geo.Distance(scene, shown.Point)), int(shownAt.Sub(shown.At).Seconds())
		a.Evidence.FixMetres, a.Evidence.FixAgeS = &metres, &age
	}
	return a
}

// proof is one thing that shows that the crew was there.
type proof struct {
	source ArrivalSource
	at     time.Time
	fix    *Fix // the fix it rests on; nil for a word
	note   string
}

// compare puts the earliest proof first. Proofs of one moment are told apart
// by source and then by note, so that no order of hearing shows.
func (p proof) compare(q proof) int {
	return cmp.Or(p.at.Compare(q.at),
		cmp.Compare(slices.Index(sourceOrder, p.source), slices.Index(sourceOrder, q.source)),
		cmp.Compare(p.note, q.note))
}

// inOrder sorts a copy by time; fixes of one moment by place, so that the
// order in which they came does not matter.
func inOrder(fixes []Fix) []Fix {
	fixes = slices.Clone(fixes)
	slices.SortFunc(fixes, func(a, b Fix) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Point.Lat, b.Point.Lat),
			cmp.Compare(a.Point.Lng, b.Point.Lng), cmp.Compare(a.Accuracy, b.Accuracy))
	})
	return fixes
}

// dwell finds the earliest fix at the car that a later one bears out.
func dwell(scene geo.Point, since time.Time, fixes []Fix) (first, second Fix, ok bool) {
	near := make([]Fix, 0, len(fixes))
	for _, f := range fixes {
		if !f.At.Before(since) && f.usable() && geo.Distance(scene, f.Point) <= dwellMetres+f.Accuracy {
			near = append(near, f)
		}
	}
	j := 0
	for _, f := range near {
		for j < len(near) && near[j].At.Sub(f.At) < dwellGap {
			j++
		}
		if j == len(near) {
			break
		}
		if near[j].At.Sub(f.At) <= dwellSpan {
			return f, near[j], true
		}
	}
	return Fix{}, Fix{}, false
}

// backing finds the newest fix that bears out a tap.
func backing(scene geo.Point, fixes []Fix, tap time.Time) (Fix, bool) {
	for _, f := range slices.Backward(fixes) {
		if age := tap.Sub(f.At); age >= 0 && age <= tapFixAge &&
			f.usable() && geo.Distance(scene, f.Point) <= tapMetres {
			return f, true
		}
	}
	return Fix{}, false
}

// lastUpTo is the newest fix that is not after the moment, if any.
func lastUpTo(fixes []Fix, at time.Time) *Fix {
	for _, f := range slices.Backward(fixes) {
		if !f.At.After(at) {
			return &f
		}
	}
	return nil
}

// usable reports whether the fix is good enough to be evidence.
func (f Fix) usable() bool {
	return f.Point.Valid() && f.Accuracy >= 0 && f.Accuracy <= worstAccuracy
}

// earliest keeps the earlier of two moments.
func earliest(kept **time.Time, at time.Time) {
	if *kept == nil || at.Before(**kept) {
		*kept = &at
	}
}
