package sla

import (
	"slices"
	"time"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/fsm"
)

// GuaranteeState is where a guarantee stands.
type GuaranteeState string

// The states of a guarantee.
const (
	Armed    GuaranteeState = "armed"    // the clock runs
	Breached GuaranteeState = "breached" // an alarm: due has passed and no arrival is known
	Met      GuaranteeState = "met"      // help arrived in time
	Late     GuaranteeState = "late"     // it did not, and what the policy says is owed
	Void     GuaranteeState = "void"     // called off in time
	Waived   GuaranteeState = "waived"   // set aside by a person, with a reason
)

// GuaranteeEvent moves a guarantee on.
type GuaranteeEvent string

// The events of a guarantee.
const (
	evDeadline     GuaranteeEvent = "deadline"
	evArriveInTime GuaranteeEvent = "arrive_in_time"
	evArriveLate   GuaranteeEvent = "arrive_late"
	evCancelInTime GuaranteeEvent = "cancel_in_time"
	evCancelLate   GuaranteeEvent = "cancel_late"
	evAmend        GuaranteeEvent = "amend"
	evWaive        GuaranteeEvent = "waive"
	evReviseMet    GuaranteeEvent = "revise_met"
	evReviseLate   GuaranteeEvent = "revise_late"
	evReviseVoid   GuaranteeEvent = "revise_void"
	evReopen       GuaranteeEvent = "reopen"
)

// revisions is the row of every verdict. Facts are heard in any order, so a
// verdict may meet an earlier proof, an arrival that was annulled, or a
// cancellation heard before the arrival that preceded it. To come to the same
// outcome in every order it must be possible to go from each verdict to each
// other one, and back to armed when the arrival it rested on counts no more.
var revisions = map[GuaranteeEvent]GuaranteeState{
	evReviseMet: Met, evReviseLate: Late, evReviseVoid: Void, evReopen: Armed,
}

// guaranteeTable is the lifecycle of a guarantee. What reaches a verdict is
// never a step of time: deadline is an alarm and leads to no amount.
var guaranteeTable = fsm.Table[GuaranteeState, GuaranteeEvent]{
	Armed: {
		evDeadline: Breached, evArriveInTime: Met, evArriveLate: Late,
		evCancelInTime: Void, evCancelLate: Late, evAmend: Armed, evWaive: Waived,
	},
	Breached: {
		evAmend: Armed, evArriveInTime: Met, evArriveLate: Late,
		evCancelInTime: Void, evCancelLate: Late, evWaive: Waived,
	},
	Met:  revisions,
	Late: revisions,
	Void: revisions,
}

// GuaranteeStates lists every state, for filters and documents.
func GuaranteeStates() []GuaranteeState {
	return []GuaranteeState{Armed, Breached, Met, Late, Void, Waived}
}

// Guarantee is a promise being kept for one request.
type Guarantee struct {
	ID        events.GuaranteeID
	RequestID events.RequestID
	Area      string
	Tier      string
	Priority  int
	PartnerID events.PartnerID // zero when the owner asked by himself
	RoadClass string
	Problem   string
	Product   string // what the owner has bought; empty when not told
	Weather   string // the weather mode the promise was made under
	State     GuaranteeState
	Version   int64

	OpenedAt time.Time
	Promise  events.Promise // as the owner was shown it; never changes

	ExpectedAt time.Time // expected arrival of the crew on its way; zero when nobody is
	AtRiskAt   time.Time // when the alarm was raised; zero when it was not
	BreachedAt time.Time // when the passed deadline was noticed; zero when it was not
	WaivedAt   time.Time
	WaivedWhy  string

	// SpentVehicleFen is what this vehicle's month had used up of its cap when
	// the verdict was told; 0 without such a cap, and while there is no verdict.
	SpentVehicleFen Fen

	Verdict   Verdict   // the latest; pending while armed or breached
	ChangedAt time.Time // when this row last changed

	ProviderID events.ProviderID // whose crew came, or else was sent last; zero while nobody was
	ImportID   events.ImportID   // the import that brought it in as history; zero for a promise made here
}

// ErrNoGuarantee means that a request has no guarantee, or none for this caller.
var ErrNoGuarantee = fault.New(fault.NotFound, "guarantee_not_found", "This request has no guarantee.")

// asked is what the promise was chosen by.
func (g Guarantee) asked() Facts {
	return Facts{
		Area: g.Area, Tier: g.Tier, RoadClass: g.RoadClass, Problem: g.Problem, Priority: g.Priority,
		PartnerID: g.PartnerID, Product: g.Product, Weather: g.Weather,
	}
}

// timeline is the guarantee with what is known to have happened.
func (g Guarantee) timeline(facts []Fact) Timeline {
	return Timeline{OpenedAt: g.OpenedAt, Promise: g.Promise, Facts: facts, Asked: g.asked(), Spent: Spent{VehicleMonthFen: g.SpentVehicleFen}}
}

// step names the event that takes the guarantee to verdict v; empty when v
// changes nothing that was settled. A waiver stands whatever is heard later.
func (g Guarantee) step(v Verdict) GuaranteeEvent {
	switch g.State {
	case Waived:
		return ""
	case Armed, Breached:
		switch {
		case v.Outcome == OutcomeMet:
			return evArriveInTime
		case v.Outcome == OutcomeVoid:
			return evCancelInTime
		case v.Outcome == OutcomeLate && v.Cancelled:
			return evCancelLate
		case v.Outcome == OutcomeLate:
			return evArriveLate
		}
		return ""
	}
	switch {
	case v.same(g.Verdict):
		return ""
	case v.Outcome == OutcomeMet:
		return evReviseMet
	case v.Outcome == OutcomeLate:
		return evReviseLate
	case v.Outcome == OutcomeVoid:
		return evReviseVoid
	}
	return evReopen
}

// amendable reports whether a deadline that moved sets a pending promise's
// clock anew: one that was noticed as passed only if it lies ahead again.
func (g Guarantee) amendable(v Verdict, now time.Time) bool {
	return g.State == Armed || g.State == Breached && !now.After(v.DueAt)
}

// same reports whether two verdicts say the same, reasons included.
func (v Verdict) same(w Verdict) bool {
	return v.Outcome == w.Outcome && v.Cancelled == w.Cancelled && v.DueAt.Equal(w.DueAt) &&
		v.StartedAt.Equal(w.StartedAt) && v.StoppedAt.Equal(w.StoppedAt) && v.Late == w.Late &&
		v.RawFen == w.RawFen && v.UncappedFen == w.UncappedFen && v.Fen == w.Fen && v.Excluded == w.Excluded && v.Review == w.Review &&
		slices.EqualFunc(v.Reasons, w.Reasons, sameReason)
}

func sameReason(a, b events.Reason) bool {
	sameTime := a.At == b.At || a.At != nil && b.At != nil && a.At.Equal(*b.At)
	return sameTime && a.Code == b.Code && a.ZH == b.ZH && a.EN == b.EN && a.Fen == b.Fen
}

// mayAlarm reports whether there is anything left to save at now.
func (g Guarantee) mayAlarm(now time.Time) bool {
	return g.State == Armed && g.ImportID.IsZero() && !now.After(g.Verdict.DueAt) && g.Verdict.Review == ""
}

// Alarm says why a guarantee is at risk, as far as this slice sees it; what
// dispatch warns of has more reasons.
type Alarm string

const (
	AlarmDueSoon      Alarm = "due_soon"      // little time is left and nobody has arrived
	AlarmExpectedLate Alarm = "expected_late" // whoever is on his way is expected after the deadline
)

// alarm is what threatens an armed guarantee at now; empty when nothing does,
// or when it is too late to act. within is how long before the deadline the
// remaining time itself is a reason.
func (g Guarantee) alarm(now time.Time, within time.Duration) Alarm {
	due := g.Verdict.DueAt
	switch {
	case !g.mayAlarm(now):
		return ""
	case g.ExpectedAt.After(due):
		return AlarmExpectedLate
	case due.Sub(now) <= within:
		return AlarmDueSoon
	}
	return ""
}
