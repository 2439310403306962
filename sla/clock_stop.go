package sla

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rescued/events"
)

// arrivals is what the proofs of arrival come to.
type arrivals struct {
	counting *Fact       // the one that stops the clock; nil when none does
	annulled []annulment // those that would have stopped it before and do not count
	unlisted []Fact      // those of a kind the policy does not take for proof
	disagree bool        // the counting crew's proofs lie further apart than they may
}

// annulment is an arrival that does not count and the release that undid it.
type annulment struct{ arrival, release Fact }

// arrivalOf finds the earliest arrival that counts, and for each crew the
// first of those that would have stopped the clock and do not count.
//
// Any later release of the crew annuls, whatever state it was in: a proof
// that comes to light after the release finds a state that depends on the
// order of hearing, and the owner waits on in each case. So all that counts
// of one crew lies after its last release and is one arrival; where the policy
// ranks the kinds of proof, its best proof says when that was.
func (p Policy) arrivalOf(facts []Fact) (a arrivals) {
	visits := map[events.CrewID][]*Fact{}
	for i, f := range facts {
		if f.Kind != FactArrived {
			continue
		}
		if !p.proves(f.Source) {
			a.unlisted = append(a.unlisted, f)
			continue
		}
		release := endedBy(facts, FactReleased, f)
		if release == nil {
			visits[f.Crew] = append(visits[f.Crew], &facts[i])
			continue
		}
		told := slices.ContainsFunc(a.annulled, func(x annulment) bool { return x.release == *release })
		if !told {
			a.annulled = append(a.annulled, annulment{f, *release})
		}
	}
	for _, proofs := range visits {
		best := p.best(proofs)
		if a.counting == nil || compareFacts(*best, *a.counting) < 0 {
			a.counting = best
		}
	}
	if a.counting != nil {
		a.annulled = slices.DeleteFunc(a.annulled, func(x annulment) bool { return compareFacts(x.arrival, *a.counting) > 0 })
		a.disagree = p.disagree(visits[a.counting.Crew])
	}
	return a
}

// proves reports whether a kind of proof stops the clock.
func (p Policy) proves(source string) bool {
	return len(p.ArrivalBy.Evidence) == 0 || slices.Contains(p.ArrivalBy.Evidence, source)
}

// best is the proof that says when a crew arrived: of the best kind the
// policy lists, the earliest; without a list the earliest of all.
func (p Policy) best(proofs []*Fact) *Fact {
	return slices.MinFunc(proofs, func(a, b *Fact) int {
		rank := func(f *Fact) int { return slices.Index(p.ArrivalBy.Evidence, f.Source) }
		return cmp.Or(cmp.Compare(rank(a), rank(b)), compareFacts(*a, *b))
	})
}

// disagree reports whether the kinds of proof of one arrival, each by its
// earliest, lie further apart than the policy lets pass.
func (p Policy) disagree(proofs []*Fact) bool {
	if p.ArrivalBy.DisagreementS == 0 {
		return false
	}
	first := map[string]time.Time{}
	for _, f := range proofs { // in the order of time
		if _, known := first[f.Source]; !known {
			first[f.Source] = f.At
		}
	}
	earliest, latest := proofs[0].At, proofs[0].At
	for _, at := range first {
		earliest, latest = sooner(earliest, at), later(latest, at)
	}
	return latest.Sub(earliest) > seconds(p.ArrivalBy.DisagreementS)
}

func (r ArrivalProof) wrong(c *complaints) {
	const at = "arrival"
	given := len(r.Evidence) > 0 || r.DisagreementS != 0
	c.check(!given || len(r.Evidence) > 0, at+".evidence", "required", "is empty; name the kinds of proof, the best first")
	seen := map[string]bool{}
	for i, kind := range r.Evidence {
		field := fmt.Sprintf("%s.evidence[%d]", at, i)
		c.oneOf(field, kind, arrivalSources)
		c.check(!seen[kind], field, "repeated", "%q is in the list already", kind)
		seen[kind] = true
	}
	c.check(r.DisagreementS >= 0 && r.DisagreementS <= maxSeconds, at+".disagreement_s", "range", "must be between 0 and %d seconds", maxSeconds)
}
