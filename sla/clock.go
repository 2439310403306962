package sla

import (
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
	Spent    Spent // what the caps are held against
}

// Spent is what has been accrued already under the same policy, without this
// request: a verdict cannot know it and is told.
type Spent struct {
	VehicleMonthFen Fen // for this vehicle, in the business month of its opening
	BudgetFen       Fen // of the programme's budget; only a trial tells it, for a compensation is weighed against the budget as it accrues
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

// ReviewEvidenceDisagrees marks a request whose proofs of arrival lie further
// apart than the policy lets pass.
const ReviewEvidenceDisagrees = "evidence_disagrees"

// Verdict is what a timeline comes to under a policy.
type Verdict struct {
	Outcome   Outcome
	Cancelled bool          // the clock was stopped by a cancellation, not an arrival
	StartedAt time.Time     // when the clock began to run; zero while it waits for its start
	DueAt     time.Time     // the promised moment, moved by the start and by pauses; while the clock waits, the earliest it can be
	StoppedAt time.Time     // arrival or cancellation; zero while pending
	Late      time.Duration // how long after DueAt it stopped, to the microsecond; 0 when in time. An exclusion leaves it as it is

	RawFen      Fen    // what it would pay without exclusions and caps
	UncappedFen Fen    // what it would pay without caps
	Fen         Fen    // owed to the owner
	Excluded    string // the exclusion that excuses the lateness; empty when none does
	OverBudget  bool   // the programme's budget does not cover Fen: finance must approve it

	Review  string // why a person must look; empty mostly
	Reasons []events.Reason
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
	a := account{timeline: t, facts: facts}
	a.arrivals = p.arrivalOf(facts)
	arrival, cancel := a.arrivals.counting, earliest(facts, FactCancelled)

	var v Verdict
	switch {
	case arrival != nil && (cancel == nil || !cancel.At.Before(arrival.At)):
		a.arrival, v.StoppedAt = arrival, arrival.At
		if a.arrivals.disagree {
			v.Review = ReviewEvidenceDisagrees
		}
	case cancel != nil:
		a.cancel, v.StoppedAt, v.Cancelled = cancel, cancel.At, true
	}
	a.run = p.clock(t, facts, v.StoppedAt)
	v.StartedAt, v.DueAt = a.run.started, a.run.due
	switch {
	case v.StoppedAt.IsZero():
		v.Outcome = OutcomePending
		if earliest(facts, FactFinished) != nil {
			v.Review = ReviewFinishedUnproven
		}
	case !v.StartedAt.IsZero() && v.StoppedAt.Sub(v.DueAt) > p.grace():
		v.Outcome, v.Late = OutcomeLate, v.StoppedAt.Sub(v.DueAt)
	default:
		if !v.StartedAt.IsZero() {
			v.Late = max(0, v.StoppedAt.Sub(v.DueAt)) // within the grace
		}
		v.Outcome = OutcomeMet
		if v.Cancelled {
			v.Outcome = OutcomeVoid
		}
	}
	p.reckon(&v, &a)
	a.verdict = v
	v.Reasons = p.explain(a)
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
