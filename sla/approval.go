package sla

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// policyActor is who approves by policy.
var policyActor = events.System("policy")

// claim is what a policy looks at before it approves a compensation by itself.
type claim struct {
	fen      Fen
	imported bool // of a past rescue that was brought in
	review   bool // a person must look at the verdict it rests on
	spent    spent
}

// spent is what has been approved or paid before, in fen.
type spent struct {
	programme Fen
	vehicle   Fen // in the month, for the same car; 0 when the car is not known
}

// queue lists why finance must look at a claim; nothing means that the policy
// approves it by itself. Nothing is ever dropped for want of budget: it waits.
func (p Policy) queue(c claim) (why []events.Reason) {
	wait := func(code string, fen Fen, zh, en string, args ...any) {
		why = append(why, events.Reason{Code: code, Fen: int64(fen), ZH: fmt.Sprintf(zh, args...), EN: fmt.Sprintf(en, args...)})
	}
	if c.imported {
		wait("imported", 0, "历史导入的赔付须由财务审核", "Brought in from history: finance decides")
	}
	if c.review {
		wait("review", 0, "所依据的认定待人工核对", "A person must look at the verdict it rests on")
	}
	switch a := p.Approval; {
	case a.FourEyes(c.fen):
		wait("four_eyes", a.FourEyesOverFen, "%s 超过 %s，须由两人审核", "%s is above %s: two persons approve", c.fen, a.FourEyesOverFen)
	case a.AutoUpToFen == 0:
		wait("no_auto_limit", 0, "本政策不自动批准", "This policy approves nothing by itself")
	case !a.Auto(c.fen):
		wait("over_auto_limit", a.AutoUpToFen, "%s 超过自动批准上限 %s", "%s is above the limit of %s for automatic approval", c.fen, a.AutoUpToFen)
	}
	if limit := p.Caps.BudgetFen; limit > 0 && c.fen > limit-c.spent.programme {
		wait("budget_spent", limit, "项目预算 %s 已用 %s，余额不足", "The programme's budget of %s has %s spent and cannot bear this", limit, c.spent.programme)
	}
	if limit := p.Caps.PerVehicleMonthFen; limit > 0 && c.fen > limit-c.spent.vehicle {
		wait("vehicle_month_cap", limit, "该车当月上限 %s 已用 %s", "The limit of %s for one car and month has %s used", limit, c.spent.vehicle)
	}
	return why
}

// approvers is how many persons must approve a compensation of fen.
func (p Policy) approvers(fen Fen) int {
	if p.Approval.FourEyes(fen) {
		return 2
	}
	return 1
}

// autoReason is why the policy approved by itself, as it stands in the books.
func (p Policy) autoReason(fen Fen) string {
	return fmt.Sprintf("政策 %s 第 %d 版自动批准：%s 不超过上限 %s / Approved by policy %s version %d: %s is within its limit of %s",
		p.Name, p.Version, fen, p.Approval.AutoUpToFen, p.Name, p.Version, fen, p.Approval.AutoUpToFen)
}

// accrue records what late arrivals owe and books it. The policy then approves
// each, or says why finance must. preparer is who brought them about, as
// role:subject. The guarantees are locked.
func (s *Service) accrue(ctx context.Context, tx pgx.Tx, late []Guarantee, preparer string, now time.Time) error {
	if len(late) == 0 {
		return nil
	}
	list, policies, err := s.claims(ctx, tx, late, preparer, now)
	if err != nil {
		return err
	}
	used, err := lockSpent(ctx, tx, list, policies)
	if err != nil {
		return err
	}
	var approved []Compensation
	whys := map[events.CompensationID]string{}
	postings, told := make([]posting, len(list)), make([]events.Event, len(list))
	for i := range list {
		c, p := &list[i], policies[i]
		c.Queued = p.queue(claim{fen: c.Fen, imported: !c.ImportID.IsZero(), review: late[i].Verdict.Review != "", spent: used.of(*c)})
		if len(c.Queued) == 0 { // the next of them finds this spent
			for _, key := range countsOf(*c) {
				used[key] += c.Fen
			}
			approved, whys[c.ID] = append(approved, *c), p.autoReason(c.Fen)
		}
		if postings[i], err = accrualOf(*c, clockActor, now); err != nil {
			return err
		}
		told[i] = events.CompensationAccrued{
			CompensationID: c.ID, GuaranteeID: c.GuaranteeID, RequestID: c.RequestID, Area: c.Area, Fen: int64(c.Fen),
			Policy: c.Policy, PolicyVersion: c.PolicyVersion, AccruedAt: c.AccruedAt, Reasons: c.Reasons,
		}
	}
	if err := insertCompensations(ctx, tx, list); err != nil {
		return err
	}
	if err := insertPostings(ctx, tx, postings...); err != nil {
		return err
	}
	if err := events.Append(ctx, tx, clockActor, now, 1, told...); err != nil {
		return err
	}
	return stepCompensations(ctx, tx, approved, evApprove, policyActor, func(c Compensation) string { return whys[c.ID] }, now)
}

// claims makes a compensation of what each guarantee owes, with its policy.
func (s *Service) claims(ctx context.Context, tx pgx.Tx, late []Guarantee, preparer string, now time.Time) ([]Compensation, []Policy, error) {
	requests := make([]events.RequestID, len(late))
	for i, g := range late {
		requests[i] = g.RequestID
	}
	vehicles, err := findVehicles(ctx, tx, requests)
	if err != nil {
		return nil, nil, err
	}
	list, policies := make([]Compensation, len(late)), make([]Policy, len(late))
	for i, g := range late {
		if policies[i], err = s.policy(ctx, tx, g.Promise.Policy, g.Promise.PolicyVersion); err != nil {
			return nil, nil, err
		}
		list[i] = Compensation{
			ID: events.NewID[events.CompensationID](), GuaranteeID: g.ID, RequestID: g.RequestID, Area: g.Area,
			State: Accrued, Version: 1, Fen: g.Verdict.Fen, Policy: g.Promise.Policy, PolicyVersion: g.Promise.PolicyVersion,
			Reasons: g.Verdict.Reasons, ImportID: g.ImportID, PreparedBy: preparer, Approvers: policies[i].approvers(g.Verdict.Fen),
			Vehicle: vehicles[g.RequestID], Month: monthOf(g.OpenedAt), AccruedAt: now, ChangedAt: now,
		}
	}
	return list, policies, nil
}

// businessZone is where a business day and month begin and end. China keeps
// one time without summer time, so a fixed offset says it all.
var businessZone = time.FixedZone("Asia/Shanghai", 8*60*60)

// monthOf is the first day of the business month of a moment.
func monthOf(at time.Time) time.Time {
	local := at.In(businessZone)
	return time.Date(local.Year(), local.Month(), 1, 0, 0, 0, 0, time.UTC)
}
