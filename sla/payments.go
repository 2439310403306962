package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
)

// Payment is one attempt to pay a compensation, and the batch it is made in.
type Payment struct {
	BatchID events.BatchID
	BatchLine
}

// PayoutWays names the configured ways to pay; Submit takes the first when
// nobody names one. None means that no batch can be submitted.
func (s *Service) PayoutWays() []string {
	return mapped(s.cfg.Payouts, Payout.Name)
}

// Payments gives the attempts to pay a compensation, the first one first: those
// that bounced, and the one that is under way or has arrived. Lines of batches
// that were given up are left out: nothing was tried with them. Finance and
// administrators may.
func (s *Service) Payments(ctx context.Context, by events.Actor, id events.CompensationID) (_ []Payment, err error) {
	defer fault.Wrap(&err, "payments of %s", id)
	c, err := s.Compensation(ctx, by, id)
	if err != nil {
		return nil, err
	}
	references := make([]string, c.Bounces)
	for i := range references {
		references[i] = paymentReference(id, i+1)
	}
	return listPayments(ctx, s.pool, id, references)
}

// listPayments has two arms, so that each can use its own index.
func listPayments(ctx context.Context, db events.Querier, id events.CompensationID, bounced []string) ([]Payment, error) {
	const columns = `batch_id, ` + lineColumns
	rows, err := db.Query(ctx, `
		SELECT `+columns+` FROM sla.batch_lines WHERE compensation_id = $1 AND state IN ('open', 'paid')
		UNION ALL
		SELECT `+columns+` FROM sla.batch_lines WHERE reference = ANY($2) AND state = 'bounced'
		ORDER BY attempt`, id, bounced)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Payment, error) {
		var p Payment
		var paid *time.Time
		err := row.Scan(&p.BatchID, &p.Reference, &p.Payee, &p.Fen, &p.CompensationID, &p.Attempt, &p.State, &paid, &p.Why)
		p.PaidOn = utc(paid)
		return p, err
	})
}
