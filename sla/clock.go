package sla

import (
	"slices"
	"time"

	"rescued/events"
)

// Timeline is a promise as it was shown and what is known to have happened
// since. The facts are a set: neither their order nor repetition matters.
type Timeline struct {
	OpenedAt time.Time
	Promise  events.Promise
	Facts    []Fact
	Asked    Facts // what the promise was chosen by
}

// Outcome is how a promise ended.
type Outcome string

const (
	OutcomePending Outcome = "pending" // nothing has stopped the clock
	OutcomeMet     Outcome = "met"     // help arrived in time
	OutcomeLate    Outcome = "late"    // it did not: it came late, or the owner gave up after the deadline
	OutcomeVoid    Outcome = "void"    // the owner called it off in time; nothing was broken
)

// ReviewFinishedUnproven marks a request whose crew reported the end of its
// work while no arrival is proven. The clock runs on until somebody decides:
// finishing is no proof of when help came, so it never makes a promise met.
const ReviewFinishedUnproven = "finished_unproven"

// Verdict is what a timeline comes to under a policy.
type Verdict struct {
	Outcome   Outcome
	Cancelled bool          // the clock was stopped by a cancellation, not an arrival
	DueAt     time.Time     // the promised moment, moved by pauses
	StoppedAt time.Time     // arrival or cancellation; zero while pending
	Late      time.Duration // how long after DueAt it stopped, to the microsecond; 0 when in time
	Fen       Fen           // owed to the owner
	Review    string        // why a person must look; empty mostly
	Reasons   []events.Reason
}

// Owed works out the verdict: a function of the policy and the set of facts
// alone.
//
// The earliest arrival that counts stops the clock. An arrival does not count
// when the same crew gave the request back at or after it: the owner still
// waited. A cancellation before any arrival that counts ends the promise
// instead; at the very same moment the arrival wins.
//
// Stopping exactly at the deadline is in time. A lateness of exactly ten
// minutes belongs to the tier that goes up to ten minutes. Times are compared
// in whole microseconds.
func (p Policy) Owed(t Timeline) Verdict {
	facts := setOf(t.Facts)
	arrival, annulled := arrivalOf(facts)
	cancel := earliest(facts, FactCancelled)

	var v Verdict
	switch {
	case arrival != nil && (cancel == nil || !cancel.At.Before(arrival.At)):
		v.StoppedAt = arrival.At
	case cancel != nil:
		v.StoppedAt, v.Cancelled, arrival = cancel.At, true, nil
	}
	due, pauses := p.due(t, facts, v.StoppedAt)
	v.DueAt = due
	var tier int
	switch {
	case v.StoppedAt.IsZero():
		v.Outcome = OutcomePending
		if earliest(facts, FactFinished) != nil {
			v.Review = ReviewFinishedUnproven
		}
	case v.StoppedAt.Sub(due) > p.grace():
		v.Outcome, v.Late = OutcomeLate, v.StoppedAt.Sub(due)
		if !v.Cancelled || p.LateCancellation == PayTierReached {
			v.Fen, tier = p.Compensation.pay(v.Late)
		}
	default:
		v.Late = max(0, v.StoppedAt.Sub(due)) // within the grace
		v.Outcome = OutcomeMet
		if v.Cancelled {
			v.Outcome = OutcomeVoid
		}
	}
	v.Reasons = p.explain(account{
		timeline: t, verdict: v, arrival: arrival, cancel: cancel,
		annulled: annulled, pauses: pauses, tier: tier,
	})
	return v
}

// Expected is when the crew that has the request now, or was asked last, is
// expected to arrive; zero when nobody is on his way.
func (t Timeline) Expected() time.Time {
	var last *Fact
	facts := setOf(t.Facts)
	for i, f := range facts {
		if f.Kind != FactOffered && f.Kind != FactAssigned {
			continue
		}
		// An offer that was taken ends with the job, as a job does.
		if endedBy(facts, FactReleased, f) != nil || f.Kind == FactOffered && endedBy(facts, FactLapsed, f) != nil {
			continue
		}
		// A promise to come beats a question, whichever is heard last.
		if last == nil || last.Kind == FactOffered && f.Kind == FactAssigned || last.Kind == f.Kind {
			last = &facts[i]
		}
	}
	if last == nil {
		return time.Time{}
	}
	return last.Until
}

// earliest is the first fact of a kind, nil if there is none.
func earliest(facts []Fact, kind FactKind) *Fact {
	for i := range facts {
		if facts[i].Kind == kind {
			return &facts[i]
		}
	}
	return nil
}

// endedBy is the first fact of a kind about the same crew, at or after f.
func endedBy(facts []Fact, kind FactKind, f Fact) *Fact {
	for i := range facts {
		if facts[i].Kind == kind && facts[i].Crew == f.Crew && !facts[i].At.Before(f.At) {
			return &facts[i]
		}
	}
	return nil
}

// annulment is an arrival that does not count and the release that undid it.
type annulment struct{ arrival, release Fact }

// arrivalOf finds the earliest arrival that counts, and for each crew the
// first of those that would have stopped the clock and do not count.
//
// Any later release of the crew annuls, whatever state it was in: a proof
// that comes to light after the release finds a state that depends on the
// order of hearing, and the owner waits on in each case.
func arrivalOf(facts []Fact) (counting *Fact, annulled []annulment) {
	for i, f := range facts {
		if f.Kind != FactArrived {
			continue
		}
		release := endedBy(facts, FactReleased, f)
		if release == nil {
			return &facts[i], annulled
		}
		told := slices.ContainsFunc(annulled, func(a annulment) bool { return a.release == *release })
		if !told {
			annulled = append(annulled, annulment{f, *release})
		}
	}
	return nil, annulled
}

// pause is one stretch in which the clock stood still, and its rule.
type pause struct {
	from, to time.Time
	rule     *PauseRule
}

// due moves the promised moment by the pauses. The clock runs from the
// opening, stands still in the union of the pauses, and is due when it has
// run for the promised time; a pause that begins at or after that moment
// comes too late to move it. A pause that is still open counts to its longest
// length, or to the moment the clock was stopped.
func (p Policy) due(t Timeline, facts []Fact, stopped time.Time) (time.Time, []pause) {
	due, opened := micro(t.Promise.DueAt), micro(t.OpenedAt)
	var moved []pause
	reached := opened // everything before it is accounted for
	for _, ps := range p.pauses(facts, stopped) {
		if !ps.from.Before(due) {
			break
		}
		from := later(ps.from, reached)
		if !from.Before(ps.to) {
			continue
		}
		due = due.Add(ps.to.Sub(from))
		reached = ps.to
		moved = append(moved, pause{from, ps.to, ps.rule})
	}
	return due, moved
}

// pauses are those the policy allows, each cut to its longest length and to
// the moment the clock was stopped, by their beginning. Told as open and as
// ended, a pause has ended; told with two ends, it ended at the first.
func (p Policy) pauses(facts []Fact, stopped time.Time) []pause {
	var list []pause
	for _, f := range facts {
		rule := p.pause(f.Source)
		if f.Kind != FactPaused || rule == nil {
			continue
		}
		to := f.At.Add(seconds(rule.LongestS))
		if !f.Until.IsZero() {
			to = sooner(to, f.Until)
		}
		if !stopped.IsZero() {
			to = sooner(to, stopped)
		}
		if n := len(list); n > 0 && list[n-1].from.Equal(f.At) && list[n-1].rule == rule {
			list[n-1].to = sooner(list[n-1].to, to)
			continue
		}
		list = append(list, pause{f.At, to, rule})
	}
	return list
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
