package sla

import (
	"slices"
	"time"

	"rescued/events"
)

// GuaranteeBody is a guarantee as JSON.
type GuaranteeBody struct {
	ID         events.GuaranteeID `json:"id"`
	RequestID  events.RequestID   `json:"request_id"`
	Area       string             `json:"area"`
	Tier       string             `json:"tier" doc:"urban or county"`
	Priority   int                `json:"priority" doc:"0 danger to life, 1 exposed, 2 normal"`
	PartnerID  *events.PartnerID  `json:"partner_id,omitempty"`
	State      GuaranteeState     `json:"state" enum:"armed,breached,met,late,void,waived"`
	Version    int64              `json:"version"`
	OpenedAt   time.Time          `json:"opened_at"`
	Promise    events.Promise     `json:"promise" doc:"As the owner was shown it; it never changes."`
	DueAt      time.Time          `json:"due_at" doc:"The promised moment, moved by pauses."`
	ExpectedAt *time.Time         `json:"expected_at,omitempty" doc:"Expected arrival of the crew on its way, as told when it accepted."`
	AtRiskAt   *time.Time         `json:"at_risk_at,omitempty" doc:"When the alarm was raised."`
	BreachedAt *time.Time         `json:"breached_at,omitempty" doc:"When the passed deadline was noticed; an alarm, not a verdict."`
	StoppedAt  *time.Time         `json:"stopped_at,omitempty" doc:"Arrival, or cancellation."`
	Cancelled  bool               `json:"cancelled" doc:"The clock was stopped by a cancellation."`
	LateS      int64              `json:"late_s" doc:"Lateness in whole seconds, rounded down; the reasons say it exactly."`
	StartedAt  *time.Time         `json:"started_at,omitempty" doc:"When the clock began to run; missing while it waits for what starts it."`
	OwedFen    Fen                `json:"owed_fen" doc:"Owed to the owner by the present verdict, in fen."`
	RawFen     Fen                `json:"raw_fen" doc:"What it would owe without exclusions and caps, in fen."`
	Excluded   string             `json:"excluded,omitempty" doc:"The exclusion that excuses the lateness; late_s stays as it is."`
	Review     string             `json:"review,omitempty" doc:"Why a person must look: finished_unproven, or evidence_disagrees."`
	Reasons    []events.Reason    `json:"reasons" nullable:"false" doc:"The explanation, line by line."`
	ChangedAt  time.Time          `json:"changed_at"`
	ImportID   *events.ImportID   `json:"import_id,omitempty" doc:"The import that brought it in: it is history from elsewhere and was never promised here."`
}

func guaranteeBody(g Guarantee) GuaranteeBody {
	v := g.Verdict
	b := GuaranteeBody{
		ID: g.ID, RequestID: g.RequestID, Area: g.Area, Tier: g.Tier, Priority: g.Priority,
		State: g.State, Version: g.Version, OpenedAt: g.OpenedAt, Promise: g.Promise, DueAt: v.DueAt,
		ExpectedAt: nullable(g.ExpectedAt), AtRiskAt: nullable(g.AtRiskAt), BreachedAt: nullable(g.BreachedAt),
		StoppedAt: nullable(v.StoppedAt), Cancelled: v.Cancelled, LateS: int64(v.Late / time.Second),
		StartedAt: nullable(v.StartedAt), OwedFen: v.Fen, RawFen: v.RawFen, Excluded: v.Excluded, Review: v.Review, Reasons: v.Reasons, ChangedAt: g.ChangedAt,
	}
	if !g.PartnerID.IsZero() {
		b.PartnerID = &g.PartnerID
	}
	if !g.ImportID.IsZero() {
		b.ImportID = &g.ImportID
	}
	return b
}

// OwedBody is what a request's page shows of its compensation.
type OwedBody struct {
	ID        events.CompensationID `json:"id"`
	State     CompensationState     `json:"state" enum:"accrued,disputed,approved,batched,paid,void"`
	Fen       Fen                   `json:"fen"`
	AccruedAt time.Time             `json:"accrued_at"`
	ChangedAt time.Time             `json:"changed_at"`
}

// DifferenceBody is a payment that a later verdict does not bear out.
type DifferenceBody struct {
	CompensationID events.CompensationID `json:"compensation_id"`
	PaidFen        Fen                   `json:"paid_fen"`
	OwedFen        Fen                   `json:"owed_fen" doc:"By the present verdict."`
	NotedAt        time.Time             `json:"noted_at"`
}

// StandingBody is how the promise of a request stands, as JSON.
type StandingBody struct {
	GuaranteeBody
	Compensation *OwedBody        `json:"compensation,omitempty" doc:"What is owed; a void one is not shown."`
	Differences  []DifferenceBody `json:"differences,omitempty" doc:"Payments the present verdict does not bear out; for staff."`
}

// standingBody leaves out what concerns staff alone, unless staff reads it.
func standingBody(st Standing, staff bool) StandingBody {
	b := StandingBody{GuaranteeBody: guaranteeBody(st.Guarantee)}
	if c, ok := st.Live(); ok {
		b.Compensation = &OwedBody{ID: c.ID, State: c.State, Fen: c.Fen, AccruedAt: c.AccruedAt, ChangedAt: c.ChangedAt}
	}
	if staff {
		for _, d := range st.Differences {
			b.Differences = append(b.Differences, DifferenceBody(d))
		}
	}
	return b
}

// forReader leaves out what an owner is paid when a crew reads it: whoever drives to a
// car is not to weigh what lateness pays.
func (b StandingBody) forReader(by events.Actor) StandingBody {
	if !by.Is(events.RoleCrew) {
		return b
	}
	b.Compensation, b.OwedFen, b.RawFen = nil, 0, 0
	for i, reason := range b.Reasons {
		if slices.Contains(outcomeCodes, reason.Code) { // what follows the outcome is what it pays
			b.Reasons = b.Reasons[:i+1]
			break
		}
	}
	return b
}

// CompensationBody is a compensation as finance sees it, as JSON.
type CompensationBody struct {
	ID               events.CompensationID `json:"id"`
	GuaranteeID      events.GuaranteeID    `json:"guarantee_id"`
	RequestID        events.RequestID      `json:"request_id"`
	Area             string                `json:"area"`
	State            CompensationState     `json:"state" enum:"accrued,disputed,approved,batched,paid,void"`
	Version          int64                 `json:"version" doc:"Goes into If-Match."`
	Fen              Fen                   `json:"fen"`
	Policy           string                `json:"policy"`
	PolicyVersion    int                   `json:"policy_version"`
	Reasons          []events.Reason       `json:"reasons" nullable:"false" doc:"The verdict it rests on, line by line."`
	Imported         bool                  `json:"imported" doc:"Of a past rescue that was brought in; never approved by a policy."`
	ImportID         *events.ImportID      `json:"import_id,omitempty" doc:"The import that brought it in."`
	PreparedBy       string                `json:"prepared_by" doc:"Who brought it about; he may not approve it."`
	Approvers        int                   `json:"approvers" doc:"How many persons must approve it: 1 or 2."`
	Queued           []events.Reason       `json:"queued" nullable:"false" doc:"Why the policy did not approve it by itself: imported, four_eyes, no_auto_limit, over_auto_limit, budget_spent, vehicle_month_cap."`
	Vehicle          string                `json:"vehicle,omitempty" doc:"The same for the same car; no plate can be told from it."`
	Bounces          int                   `json:"bounces" doc:"How often its payment came back."`
	BouncedWhy       string                `json:"bounced_why,omitempty" doc:"The latest time."`
	BouncedAt        *time.Time            `json:"bounced_at,omitempty"`
	Month            string                `json:"month" doc:"Business month in which the request was opened." example:"2026-03"`
	AccruedAt        time.Time             `json:"accrued_at"`
	ApprovedBy       string                `json:"approved_by,omitempty"`
	ApprovedWhy      string                `json:"approved_why,omitempty"`
	FirstApprovedBy  string                `json:"first_approved_by,omitempty" doc:"Where two must approve."`
	FirstApprovedWhy string                `json:"first_approved_why,omitempty"`
	DisputedBy       string                `json:"disputed_by,omitempty"`
	DisputedWhy      string                `json:"disputed_why,omitempty"`
	VoidedBy         string                `json:"voided_by,omitempty"`
	VoidedWhy        string                `json:"voided_why,omitempty"`
	ChangedAt        time.Time             `json:"changed_at"`
}

func compensationBody(c Compensation) CompensationBody {
	b := CompensationBody{
		ID: c.ID, GuaranteeID: c.GuaranteeID, RequestID: c.RequestID, Area: c.Area, State: c.State, Version: c.Version,
		Fen: c.Fen, Policy: c.Policy, PolicyVersion: c.PolicyVersion, Reasons: c.Reasons,
		Imported: !c.ImportID.IsZero(), PreparedBy: c.PreparedBy, Approvers: c.Approvers, Queued: c.Queued,
		Vehicle: c.Vehicle, Month: c.Month.Format("2006-01"), Bounces: c.Bounces, BouncedWhy: c.BouncedWhy, BouncedAt: nullable(c.BouncedAt), AccruedAt: c.AccruedAt,
		ApprovedBy: c.ApprovedBy, ApprovedWhy: c.ApprovedWhy, FirstApprovedBy: c.FirstApprovedBy, FirstApprovedWhy: c.FirstApprovedWhy,
		DisputedBy: c.DisputedBy, DisputedWhy: c.DisputedWhy, VoidedBy: c.VoidedBy, VoidedWhy: c.VoidedWhy, ChangedAt: c.ChangedAt,
	}
	if b.Imported {
		b.ImportID = &c.ImportID
	}
	return b
}
