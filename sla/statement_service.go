package sla

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// DraftStatement draws up a counterparty's month and what it is charged, once
// the month is over in the business zone; ErrNothingToState when there is
// neither a service nor a charge. Finance may.
func (s *Service) DraftStatement(ctx context.Context, by events.Actor, of Counterparty, year int, month time.Month) (st Statement, err error) {
	defer fault.Wrap(&err, "draft the statement of %s for %d-%02d", of.BearerID(), year, month)
	if !by.Is(events.RoleFinance) {
		return Statement{}, forbidden(by)
	}
	if of.ID == uuid.Nil {
		return Statement{}, fault.InvalidFields([]fault.Field{{Field: "provider_id", Code: "required", Detail: "is missing; say whose statement it is, by provider_id or partner_id"}})
	}
	now := s.now()
	first, from, to := monthWindow(year, month)
	if now.Before(to) {
		return Statement{}, ErrMonthOpen
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		st = Statement{
			ID: events.NewID[events.StatementID](), Of: of, Month: first, From: from, To: to,
			State: StatementDraft, Version: 1, DraftedBy: by.String(), DraftedAt: now, ChangedAt: now,
		}
		if err := insertStatement(ctx, tx, st); err != nil {
			return err
		}
		if err := insertStatementLines(ctx, tx, st); err != nil {
			return err
		}
		st.Version++
		if st, err = updateStatement(ctx, tx, st); err != nil {
			return err
		}
		return events.Append(ctx, tx, by, now, st.Version, st.told(now, ""))
	})
	return st, err
}

// IssueStatement shows a draft to whom it is of and opens the window for
// disputes. Finance may.
func (s *Service) IssueStatement(ctx context.Context, by events.Actor, id events.StatementID, seen int64) (Statement, error) {
	return s.changeStatement(ctx, by, id, seen, evIssue, "", func(_ pgx.Tx, st *Statement, now time.Time) error {
		st.IssuedBy, st.IssuedAt, st.DisputesUntil = by.String(), now, now.Add(s.cfg.DisputeWindow)
		return nil
	}, events.RoleFinance)
}

// DiscardStatement gives a draft up; its lines wait for another. Finance may.
func (s *Service) DiscardStatement(ctx context.Context, by events.Actor, id events.StatementID, seen int64, why string) (Statement, error) {
	why, err := checkReason(why)
	if err != nil {
		return Statement{}, err
	}
	return s.changeStatement(ctx, by, id, seen, evDiscardIt, why, func(tx pgx.Tx, st *Statement, _ time.Time) error {
		return discardLines(ctx, tx, st.ID)
	}, events.RoleFinance)
}

// ConfirmStatement agrees to an issued statement. Whom it is of may, once none
// of its lines is in dispute: ErrInDispute. What nobody disputes is confirmed
// by the end of the window.
func (s *Service) ConfirmStatement(ctx context.Context, by events.Actor, id events.StatementID, seen int64) (Statement, error) {
	return s.changeStatement(ctx, by, id, seen, evConfirm, "", func(_ pgx.Tx, st *Statement, now time.Time) error {
		if st.Disputed > 0 {
			return ErrInDispute
		}
		st.ConfirmedBy, st.ConfirmedAt = by.String(), now
		return nil
	}, counterparties...)
}

// RecordFapiao notes the invoice that belongs to a confirmed statement. A
// provider's is for its fees, which are booked: a cost, payable to it. The one
// to a partner is ours, for its share, which was booked when it was charged.
// An invoice belongs to one statement. Finance may, or the provider whose it is.
func (s *Service) RecordFapiao(ctx context.Context, by events.Actor, id events.StatementID, seen int64, f Fapiao) (Statement, error) {
	f.Number = strings.Join(strings.Fields(f.Number), "")
	if err := fault.InvalidFields(f.wrong()); err != nil {
		return Statement{}, err
	}
	return s.changeStatement(ctx, by, id, seen, evInvoice, "", func(tx pgx.Tx, st *Statement, now time.Time) error {
		st.Fapiao, st.InvoicedBy, st.InvoicedAt = f, by.String(), now
		return postStatement(ctx, tx, st.ID, "fees", "service_fees", by, now,
			entry{ServiceCost, st.Fees}, entry{ProviderPayable, -st.Fees})
	}, events.RoleFinance, events.RoleProvider)
}

// SettleStatement books that a statement is settled: nothing is payable to whom
// it is of any more, and nothing receivable from it. Paid, the fees went out and
// what was charged came in, each as money of its own; set off, what a provider
// was charged was kept back from its fees and only the difference was paid, to
// whichever side it falls. A partner has no fees to set its share off against.
// A statement that credits more than it charges is settled the
// other way round, and one of nothing books nothing. What there is to invoice
// must be invoiced before: ErrNotInvoiced. Finance may.
func (s *Service) SettleStatement(ctx context.Context, by events.Actor, id events.StatementID, seen int64, how Settlement) (Statement, error) {
	var wrong []fault.Field
	if how.How != SettledPaid && how.How != SettledSetOff {
		wrong = append(wrong, fault.Field{Field: "how", Code: "unknown", Detail: "is not paid or set_off"})
	}
	if how.Ref = strings.TrimSpace(how.Ref); how.Ref == "" || len(how.Ref) > 200 || !plainText(how.Ref) {
		wrong = append(wrong, fault.Field{Field: "reference", Code: "required", Detail: "is missing or no plain text of at most 200 bytes; give the bank's reference, or what it was set off against"})
	}
	if err := fault.InvalidFields(wrong); err != nil {
		return Statement{}, err
	}
	return s.changeStatement(ctx, by, id, seen, evSettle, how.Ref, func(tx pgx.Tx, st *Statement, now time.Time) error {
		if st.State == StatementConfirmed && st.ToInvoice() != 0 {
			return ErrNotInvoiced
		}
		if how.How == SettledSetOff && st.Of.Bearer != BearerProvider {
			return fault.InvalidFields([]fault.Field{{Field: "how", Code: "no_fees", Detail: "cannot be set_off: no fees are owed to a partner, so there is nothing to keep its share back from; say paid once its payment is there"}})
		}
		st.Settlement, st.SettledBy, st.SettledAt = how, by.String(), now
		lines := []entry{{ProviderPayable, st.Fees}, {st.Of.account(), -st.Charges}}
		if how.How == SettledSetOff {
			lines = append(lines, entry{Cash, st.Charges - st.Fees})
		} else {
			lines = append(lines, entry{Cash, -st.Fees}, entry{Cash, st.Charges})
		}
		return postStatement(ctx, tx, st.ID, "settlement", "settlement_"+string(how.How), by, now, lines...)
	}, events.RoleFinance)
}

// postStatement books what a statement comes to; lines of nothing are left out,
// and nothing is booked when all are.
func postStatement(ctx context.Context, tx pgx.Tx, id events.StatementID, what, kind string, by events.Actor, at time.Time, lines ...entry) error {
	lines = slices.DeleteFunc(lines, func(e entry) bool { return e.fen == 0 })
	if len(lines) == 0 {
		return nil
	}
	p, err := newPosting(fmt.Sprintf("statement:%s:%s", id, what), kind, by, at, lines...)
	if err != nil {
		return err
	}
	return insertPostings(ctx, tx, p)
}

// changeStatement runs one command on a statement: who may, what the caller
// saw, its table, what the command does, and the telling. A provider or partner
// may do so with its own alone, and sees no others.
func (s *Service) changeStatement(ctx context.Context, by events.Actor, id events.StatementID, seen int64, ev StatementEvent, why string,
	do func(pgx.Tx, *Statement, time.Time) error, may ...events.Role) (st Statement, err error) {
	defer fault.Wrap(&err, "%s statement %s", ev, id)
	if !by.Is(may...) {
		return Statement{}, forbidden(by)
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if st, err = lockStatement(ctx, tx, id); err != nil {
			if pg.NotFound(err) {
				err = ErrNoStatement
			}
			return err
		}
		if err := st.visible(by); err != nil {
			return err
		}
		if st.Version != seen {
			return ErrStale.With("version", st.Version)
		}
		now := s.now()
		next, err := statementTable.Next(st.State, ev)
		if err != nil {
			return err
		}
		if err := do(tx, &st, now); err != nil {
			return err
		}
		st, err = stepStatement(ctx, tx, st, next, by, why, now)
		return err
	})
	return st, err
}

// stepStatement writes a locked statement in its next state and tells so.
// Nothing else writes its state.
func stepStatement(ctx context.Context, tx pgx.Tx, st Statement, next StatementState, by events.Actor, why string, now time.Time) (Statement, error) {
	st.State, st.Version, st.ChangedAt = next, st.Version+1, now
	st, err := updateStatement(ctx, tx, st)
	if err != nil {
		return st, err
	}
	return st, events.Append(ctx, tx, by, now, st.Version, st.told(now, why))
}

// visible is ErrNoStatement for a provider or partner that must not see the
// statement.
func (st Statement) visible(by events.Actor) error {
	if by.Is(counterparties...) && (!st.Of.is(by) || st.State == StatementDraft || st.State == StatementDiscarded) {
		return ErrNoStatement
	}
	return nil
}

// lapseActor is who confirms what nobody disputes.
var lapseActor = events.System("statements")

// LapseStatements confirms issued statements whose window has closed and of
// which nothing is in dispute, at most limit, and says how many. Run does it
// all the time; several replicas may at once.
func (s *Service) LapseStatements(ctx context.Context, now time.Time, limit int) (n int, err error) {
	defer fault.Wrap(&err, "lapse statements")
	for n < limit {
		found := false
		err := s.inTxIf(ctx, func(tx pgx.Tx) (bool, error) {
			st, err := lockLapsed(ctx, tx, now)
			if found = !pg.NotFound(err); !found {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			next, err := statementTable.Next(st.State, evLapse)
			if err != nil {
				return false, err
			}
			st.ConfirmedBy, st.ConfirmedAt = lapseActor.String(), now
			_, err = stepStatement(ctx, tx, st, next, lapseActor, "The window for disputes has closed.", now)
			return true, err
		})
		if err != nil || !found {
			return n, err
		}
		n++
	}
	return n, nil
}
