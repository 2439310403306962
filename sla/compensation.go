package sla

import (
	"time"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/fsm"
)

// CompensationState is where a compensation stands.
type CompensationState string

// The states of a compensation.
const (
	Accrued  CompensationState = "accrued"  // owed by verdict, not yet looked at
	Disputed CompensationState = "disputed" // somebody doubts it
	Approved CompensationState = "approved" // may be paid
	Batched  CompensationState = "batched"  // in a batch on its way out
	Paid     CompensationState = "paid"     // the money has arrived
	Voided   CompensationState = "void"     // owed no more
)

// CompensationEvent moves a compensation on.
type CompensationEvent string

// The events of a compensation.
const (
	evApprove  CompensationEvent = "approve"
	evEndorse  CompensationEvent = "endorse" // the first of two approvals
	evDispute  CompensationEvent = "dispute"
	evUphold   CompensationEvent = "uphold"
	evOverturn CompensationEvent = "overturn"
	evVoid     CompensationEvent = "void"
	evBatch    CompensationEvent = "batch"
	evUnbatch  CompensationEvent = "unbatch"
	evBounce   CompensationEvent = "bounce"
	evPay      CompensationEvent = "pay"
)

// compensationTable is the lifecycle of a compensation.
var compensationTable = fsm.Table[CompensationState, CompensationEvent]{
	Accrued:  {evApprove: Approved, evEndorse: Accrued, evDispute: Disputed, evVoid: Voided},
	Disputed: {evEndorse: Disputed, evUphold: Approved, evOverturn: Voided},
	Approved: {evBatch: Batched, evDispute: Disputed, evVoid: Voided},
	Batched:  {evUnbatch: Approved, evBounce: Approved, evPay: Paid},
}

// CompensationStates lists every state, for filters and documents.
func CompensationStates() []CompensationState {
	return []CompensationState{Accrued, Disputed, Approved, Batched, Paid, Voided}
}

// Compensation is what a broken promise owes its owner. Its amount and its
// reasons never change: another verdict voids it and accrues another.
type Compensation struct {
	ID            events.CompensationID
	GuaranteeID   events.GuaranteeID
	RequestID     events.RequestID
	Area          string
	State         CompensationState
	Version       int64
	Fen           Fen
	Policy        string
	PolicyVersion int
	Reasons       []events.Reason // the verdict's, at accrual
	ImportID      events.ImportID // the import of the past rescue it is for; zero for one of our own
	PreparedBy    string          // who brought it about, as role:subject; he approves it never
	Approvers     int             // how many persons must approve it: 1 or 2
	Queued        []events.Reason // why the policy did not approve it by itself; empty when it did
	Vehicle       string          // keyed digest of the plate; empty when not told
	Bounces       int             // how often its payment came back
	BouncedWhy    string          // the latest time
	BouncedAt     time.Time       // the latest time; zero when it never did
	Month         time.Time       // first day of the business month the request was opened in
	AccruedAt     time.Time

	// Who did what and why, as role:subject; each is set by its step.
	ApprovedBy, ApprovedWhy           string
	FirstApprovedBy, FirstApprovedWhy string // where two must approve
	DisputedBy, DisputedWhy           string
	VoidedBy, VoidedWhy               string
	ChangedAt                         time.Time
}

// Errors of compensations.
var (
	ErrNoCompensation = fault.New(fault.NotFound, "compensation_not_found", "There is no such compensation.")
	ErrStale          = fault.New(fault.Stale, "version_stale", "It has changed since you read it; read it again and decide anew.")
	ErrFourEyes       = fault.New(fault.Forbidden, "four_eyes", "Whoever raised a dispute does not decide it; a second person must.")
	ErrSecondApprover = fault.New(fault.Forbidden, "second_approver", "You approved it first; above the limit a second person completes the approval.")
	ErrPreparer       = fault.New(fault.Forbidden, "preparer", "Whoever prepared it does not approve it; a second person must.")
)

// withdrawal is the event by which a new verdict takes a compensation back;
// empty when money is on its way or gone, which no verdict undoes.
func (c Compensation) withdrawal() CompensationEvent {
	switch c.State {
	case Accrued, Approved:
		return evVoid
	case Disputed:
		return evOverturn
	}
	return ""
}
