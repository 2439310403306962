package sla

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// Approve lets a compensation be paid. Like each decision about money it is
// finance's, needs a reason, and is refused with ErrStale unless seen is the
// present version. Above the policy's four-eyes limit the first approval is
// recorded and another person's completes it: ErrSecondApprover.
func (s *Service) Approve(ctx context.Context, by events.Actor, id events.CompensationID, seen int64, why string) (Compensation, error) {
	return s.decide(ctx, by, id, seen, why, evApprove)
}

// Dispute doubts a compensation before it is paid. Operators may as well. An
// approval it had is gone.
func (s *Service) Dispute(ctx context.Context, by events.Actor, id events.CompensationID, seen int64, why string) (Compensation, error) {
	return s.decide(ctx, by, id, seen, why, evDispute)
}

// Uphold decides a dispute for the owner. Whoever raised it may not:
// ErrFourEyes. Where two must approve, two must uphold.
func (s *Service) Uphold(ctx context.Context, by events.Actor, id events.CompensationID, seen int64, why string) (Compensation, error) {
	return s.decide(ctx, by, id, seen, why, evUphold)
}

// Overturn decides a dispute against the compensation, which becomes void.
// Whoever raised it may not: ErrFourEyes.
func (s *Service) Overturn(ctx context.Context, by events.Actor, id events.CompensationID, seen int64, why string) (Compensation, error) {
	return s.decide(ctx, by, id, seen, why, evOverturn)
}

// Void takes a compensation back. It is accrued again only when news of the
// rescue leads to a verdict of another amount.
func (s *Service) Void(ctx context.Context, by events.Actor, id events.CompensationID, seen int64, why string) (Compensation, error) {
	return s.decide(ctx, by, id, seen, why, evVoid)
}

func (s *Service) decide(ctx context.Context, by events.Actor, id events.CompensationID, seen int64, why string, ev CompensationEvent) (c Compensation, err error) {
	defer fault.Wrap(&err, "%s %s", ev, id)
	if !by.Is(events.RoleFinance) && !(ev == evDispute && by.Is(events.RoleOperator)) {
		return Compensation{}, forbidden(by)
	}
	if why, err = checkReason(why); err != nil {
		return Compensation{}, err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if ev == evVoid || ev == evOverturn { // it leaves room in its car's month
			if err := s.lockMonthOf(ctx, tx, id); err != nil {
				return err
			}
		}
		c, err = lockCompensation(ctx, tx, id)
		if pg.NotFound(err) {
			return ErrNoCompensation
		}
		if err != nil {
			return err
		}
		if c.Version != seen {
			return ErrStale.With("version", c.Version)
		}
		if (ev == evApprove || ev == evUphold) && c.Approvers > 1 && c.FirstApprovedBy == "" {
			ev = evEndorse
		}
		c, err = stepCompensation(ctx, tx, c, ev, by, why, s.now())
		return err
	})
	return c, err
}

// lockMonthOf holds the month of the car that a compensation is for, where its
// policy caps it. The car and the month of a compensation never change, so they
// are read before the locks are taken in their order.
func (s *Service) lockMonthOf(ctx context.Context, tx pgx.Tx, id events.CompensationID) error {
	c, err := findCompensation(ctx, tx, id)
	if pg.NotFound(err) {
		return ErrNoCompensation
	}
	if err != nil {
		return err
	}
	policy, err := s.policy(ctx, tx, c.Policy, c.PolicyVersion)
	if err != nil || policy.Caps.PerVehicleMonthFen == 0 || c.Vehicle == "" {
		return err
	}
	return lockMonths(ctx, tx, carMonth{c.Policy, c.Vehicle, c.Month})
}

// stepCompensation moves a locked compensation by its table, books what the
// step means and tells so.
func stepCompensation(ctx context.Context, tx pgx.Tx, c Compensation, ev CompensationEvent, by events.Actor, why string, now time.Time) (Compensation, error) {
	list := []Compensation{c}
	err := stepCompensations(ctx, tx, list, ev, by, func(Compensation) string { return why }, now)
	return list[0], err
}

// stepCompensations takes locked compensations the same step each, in place:
// a decision about one is a decision about a list of one. Nothing else writes
// who decided what; batches move many by moveCompensations.
func stepCompensations(ctx context.Context, tx pgx.Tx, list []Compensation, ev CompensationEvent, by events.Actor, why func(Compensation) string, now time.Time) error {
	if len(list) == 0 {
		return nil
	}
	for i := range list {
		if err := list[i].step(ev, by.String(), why(list[i]), now); err != nil {
			return err
		}
	}
	if err := updateCompensations(ctx, tx, list); err != nil {
		return whoMayNot(err)
	}
	switch ev {
	case evApprove, evUphold:
		if err := chargeBack(ctx, tx, list, by, now); err != nil {
			return err
		}
	case evVoid, evOverturn:
		for _, c := range list {
			if err := postVoid(ctx, tx, c, by, now); err != nil {
				return err
			}
			if err := reverseCharges(ctx, tx, c, by, why(c), now); err != nil {
				return err
			}
		}
	}
	byVersion := map[int64][]events.Event{}
	for _, c := range list {
		byVersion[c.Version] = append(byVersion[c.Version], events.CompensationChanged{
			CompensationID: c.ID, RequestID: c.RequestID, Area: c.Area, State: string(c.State),
			Fen: int64(c.Fen), ChangedAt: now, Reason: why(c),
		})
	}
	for _, version := range slices.Sorted(maps.Keys(byVersion)) {
		if err := events.Append(ctx, tx, by, now, version, byVersion[version]...); err != nil {
			return err
		}
	}
	return nil
}

// step is what a decision makes of a compensation; the next state comes from
// its table.
func (c *Compensation) step(ev CompensationEvent, who, why string, now time.Time) error {
	next, err := compensationTable.Next(c.State, ev)
	if err != nil {
		return err
	}
	switch ev {
	case evEndorse:
		c.FirstApprovedBy, c.FirstApprovedWhy = who, why
	case evApprove, evUphold:
		c.ApprovedBy, c.ApprovedWhy = who, why
	case evDispute:
		c.ApprovedBy, c.ApprovedWhy, c.FirstApprovedBy, c.FirstApprovedWhy = "", "", "", ""
		c.DisputedBy, c.DisputedWhy = who, why
	case evOverturn, evVoid:
		c.VoidedBy, c.VoidedWhy = who, why
	}
	c.State, c.Version, c.ChangedAt = next, c.Version+1, now
	return nil
}

// whoMayNot says in words which rule about persons the database upheld.
func whoMayNot(err error) error {
	switch pg.Violated(err) {
	case "four_eyes":
		return ErrFourEyes.Because(err)
	case "two_approvers":
		return ErrSecondApprover.Because(err)
	case "approver_is_not_preparer":
		return ErrPreparer.Because(err)
	}
	return err
}

const longestReason = 500

// checkReason trims the reason of a decision and refuses none or too long a one.
func checkReason(why string) (string, error) {
	why = strings.TrimSpace(why)
	switch n := utf8.RuneCountInString(why); {
	case n == 0:
		return "", fault.InvalidFields([]fault.Field{{Field: "reason", Code: "required", Detail: "is missing; say why, it is kept with the decision"}})
	case n > longestReason:
		return "", fault.InvalidFields([]fault.Field{{Field: "reason", Code: "too_long", Detail: "is longer than 500 characters; shorten it"}})
	case !utf8.ValidString(why) || strings.ContainsRune(why, 0):
		return "", fault.InvalidFields([]fault.Field{{Field: "reason", Code: "text", Detail: "is not plain text"}})
	}
	return why, nil
}
