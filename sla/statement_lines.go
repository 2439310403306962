package sla

import (
	"cmp"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// DisputeLine doubts a charge of an issued statement, while the window is
// open. Whom the statement is of may, with a reason. seen is the statement's version.
func (s *Service) DisputeLine(ctx context.Context, by events.Actor, id events.StatementID, no int, seen int64, why string) (Statement, error) {
	return s.changeLine(ctx, by, id, no, seen, evItemDispute, why, counterparties...)
}

// UpholdLine decides a dispute for the charge. Finance may, with a reason.
func (s *Service) UpholdLine(ctx context.Context, by events.Actor, id events.StatementID, no int, seen int64, why string) (Statement, error) {
	return s.changeLine(ctx, by, id, no, seen, evItemUphold, why, events.RoleFinance)
}

// OverturnLine decides a dispute for whoever raised it: the charge is reversed, in
// the books by a linked reversal. Finance may, with a reason.
func (s *Service) OverturnLine(ctx context.Context, by events.Actor, id events.StatementID, no int, seen int64, why string) (Statement, error) {
	return s.changeLine(ctx, by, id, no, seen, evItemOverturn, why, events.RoleFinance)
}

func (s *Service) changeLine(ctx context.Context, by events.Actor, id events.StatementID, no int, seen int64, ev ItemEvent, why string, may ...events.Role) (st Statement, err error) {
	defer fault.Wrap(&err, "%s line %d of statement %s", ev, no, id)
	if !by.Is(may...) {
		return Statement{}, forbidden(by)
	}
	if why, err = checkReason(why); err != nil {
		return Statement{}, err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		// What the line is of never changes, so it is read before the locks are
		// taken in their order: compensation, chargeback, statement.
		l, err := findStatementLine(ctx, tx, id, no)
		if err != nil && !pg.NotFound(err) {
			return err
		}
		var charge *Chargeback
		if ev == evItemOverturn && !l.CompensationID.IsZero() {
			if _, err := lockCompensation(ctx, tx, l.CompensationID); err != nil {
				return err
			}
			if charge, err = lockCharge(ctx, tx, l); err != nil {
				return err
			}
		}
		if st, err = lockStatement(ctx, tx, id); err != nil {
			if pg.NotFound(err) {
				err = ErrNoStatement
			}
			return err
		}
		if err := st.visible(by); err != nil {
			return err
		}
		if l, err = findStatementLine(ctx, tx, id, no); err != nil {
			if pg.NotFound(err) {
				err = ErrNoStatementLine
			}
			return err
		}
		now := s.now()
		switch {
		case st.Version != seen:
			return ErrStale.With("version", st.Version)
		case l.Kind != ItemCharge:
			return ErrNotCharged
		}
		next, err := statementTable.Next(st.State, evDecide)
		if err != nil {
			return err
		}
		if ev == evItemDispute && (st.State != StatementIssued || now.After(st.DisputesUntil)) {
			return ErrWindowClosed.With("disputes_until", st.DisputesUntil)
		}
		if l, err = stepStatementLine(ctx, tx, l, ev, by, why, now); err != nil {
			return err
		}
		if charge != nil {
			if err := reverseCharge(ctx, tx, *charge, by, why, now); err != nil {
				return err
			}
		}
		if st, err = stepStatement(ctx, tx, st, next, by, why, now); err != nil {
			return err
		}
		return events.Append(ctx, tx, by, now, st.Version, l.told(now, why))
	})
	return st, err
}

// stepStatementLine moves a line by its table. Its statement is locked, and told by
// the caller.
func stepStatementLine(ctx context.Context, tx pgx.Tx, l StatementLine, ev ItemEvent, by events.Actor, why string, now time.Time) (StatementLine, error) {
	next, err := itemTable.Next(l.State, ev)
	if err != nil {
		return l, err
	}
	switch ev {
	case evItemDispute:
		l.DisputedBy, l.DisputedWhy, l.DisputedAt = by.String(), why, now
	default:
		l.DecidedBy, l.DecidedWhy, l.DecidedAt = by.String(), why, now
	}
	l.State = next
	return l, updateStatementLine(ctx, tx, l)
}

// lockCharge gives the charge that a line lists, locked.
func lockCharge(ctx context.Context, tx pgx.Tx, l StatementLine) (*Chargeback, error) {
	list, err := lockChargebacks(ctx, tx, l.CompensationID)
	for i, b := range list {
		if b.Counterparty == l.Of && err == nil {
			return &list[i], nil
		}
	}
	return nil, cmp.Or(err, error(ErrNoChargeback))
}

// withdrawLine takes a charge that was reversed with its compensation off the
// statement that lists it, while that is open. On a closed statement it
// stands, and the next one credits it.
func withdrawLine(ctx context.Context, tx pgx.Tx, b Chargeback, by events.Actor, why string, now time.Time) error {
	l, err := findChargeLine(ctx, tx, b.Counterparty, b.CompensationID)
	if pg.NotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	st, err := lockStatement(ctx, tx, l.StatementID)
	if err != nil {
		return err
	}
	next, err := statementTable.Next(st.State, evDecide)
	if err != nil {
		return nil // closed by now
	}
	if l, err = findStatementLine(ctx, tx, l.StatementID, l.No); err != nil {
		return err
	}
	if l, err = stepStatementLine(ctx, tx, l, evItemWithdraw, by, why, now); err != nil {
		return err
	}
	if st, err = stepStatement(ctx, tx, st, next, by, why, now); err != nil {
		return err
	}
	return events.Append(ctx, tx, by, now, st.Version, l.told(now, why))
}
