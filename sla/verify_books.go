package sla

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// payments compares compensations with the books: what is owed, on its way and
// paid is in the accounts as the state of each says, each that is batched or
// paid has one live line, and each business day's payments are booked on it.
func (c *LedgerCheck) payments(ctx context.Context, tx pgx.Tx) error {
	for _, list := range []func(context.Context, events.Querier, int) ([]string, error){listMisbooked, listMischarged, listMisstated, listUnbacked, listMisdated} {
		wrong, err := list(ctx, tx, mostFindings)
		if err != nil {
			return err
		}
		for _, w := range wrong {
			c.find("%s", w)
		}
	}
	return nil
}

// batches compares batches with their lines, and what was spent of the
// programmes with what is counted: every batch is what was sealed.
func (c *LedgerCheck) batches(ctx context.Context, tx pgx.Tx) error {
	wrong, err := listMiscounted(ctx, tx, mostFindings)
	if err != nil {
		return err
	}
	for _, w := range wrong {
		c.find("%s", w)
	}
	rows, err := tx.Query(ctx, `SELECT `+batchColumns+` FROM sla.batches ORDER BY created_at, id`)
	if err != nil {
		return err
	}
	batches, err := pgx.CollectRows(rows, scanBatch)
	if err != nil {
		return err
	}
	for _, b := range batches {
		sum, err := sumLines(ctx, tx, b.ID)
		if err != nil {
			return err
		}
		if sum.lines != b.Lines || sum.total != b.Total || b.Digest != "" && sum.digest() != b.Digest {
			c.find("batch %s was %s with %d lines over %s, digest %s; found are %d over %s, digest %s",
				b.ID, b.State, b.Lines, b.Total, b.Digest, sum.lines, sum.total, sum.digest())
		}
	}
	return nil
}

// listMisbooked says of which compensations the books do not hold what their
// state says, at most limit: what is neither void, on its way nor paid is
// owed, what was submitted is on its way, what is paid has left the bank.
func listMisbooked(ctx context.Context, db events.Querier, limit int) ([]string, error) {
	rows, err := db.Query(ctx, `
		WITH books AS (
			SELECT t.compensation_id AS id,
				-coalesce(sum(e.fen) FILTER (WHERE e.account = 'owner_payable'), 0) AS owed,
				-coalesce(sum(e.fen) FILTER (WHERE e.account = 'payout_clearing'), 0) AS on_way,
				-coalesce(sum(e.fen) FILTER (WHERE e.account = 'cash'), 0) AS paid
			FROM sla.ledger_transactions t JOIN sla.ledger_entries e ON e.transaction_id = t.id
			GROUP BY t.compensation_id
		), stands AS (
			SELECT c.id, c.state, c.fen, c.accrued_at, c.state = 'batched' AND EXISTS (
				SELECT FROM sla.batch_lines l JOIN sla.payouts p ON p.batch_id = l.batch_id
				WHERE l.compensation_id = c.id AND l.state = 'open' AND (p.booked_at IS NOT NULL OR l.compensation_id <= p.booked_to)) AS on_way
			FROM sla.compensations c)
		SELECT format('compensation cmp_%s is %s over %s fen, and the books owe %s, have %s on its way and %s paid',
			s.id, s.state, s.fen, coalesce(b.owed, 0), coalesce(b.on_way, 0), coalesce(b.paid, 0))
		FROM stands s LEFT JOIN books b ON b.id = s.id
		WHERE coalesce(b.owed, 0) <> CASE WHEN s.on_way OR s.state IN ('void', 'paid') THEN 0 ELSE s.fen END
			OR coalesce(b.on_way, 0) <> CASE WHEN s.on_way THEN s.fen ELSE 0 END
			OR coalesce(b.paid, 0) <> CASE WHEN s.state = 'paid' THEN s.fen ELSE 0 END
		ORDER BY s.accrued_at, s.id LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// listUnbacked says which compensations are batched or paid without a line
// that says so, and which lines are open or paid without such a compensation.
func listUnbacked(ctx context.Context, db events.Querier, limit int) ([]string, error) {
	rows, err := db.Query(ctx, `
		SELECT format('compensation cmp_%s is %s, and its line in a batch is %s', c.id, c.state, coalesce(l.state, 'missing'))
		FROM sla.compensations c LEFT JOIN sla.batch_lines l ON l.compensation_id = c.id AND l.state IN ('open', 'paid')
		WHERE (c.state IN ('batched', 'paid') OR l.state IS NOT NULL)
			AND NOT coalesce(c.state = 'batched' AND l.state = 'open' OR c.state = 'paid' AND l.state = 'paid', false)
		ORDER BY c.accrued_at, c.id LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// listMiscounted says which caps count something else than was approved, is
// on its way or paid.
func listMiscounted(ctx context.Context, db events.Querier, limit int) ([]string, error) {
	rows, err := db.Query(ctx, `
		SELECT format('policy %s has %s fen spent, and %s are counted', policy, coalesce(c.fen, 0), coalesce(s.fen, 0))
		FROM (SELECT policy, sum(fen) AS fen FROM sla.compensations WHERE state IN ('approved', 'batched', 'paid') GROUP BY policy) c
		FULL JOIN (SELECT policy, fen FROM sla.spent WHERE vehicle = '') s USING (policy)
		WHERE coalesce(c.fen, 0) <> coalesce(s.fen, 0)
		ORDER BY policy LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// listMisdated says on which business days the books paid something else than
// the batches.
func listMisdated(ctx context.Context, db events.Querier, limit int) ([]string, error) {
	rows, err := db.Query(ctx, `
		SELECT format('on %s batches paid %s fen, and the books %s', day, coalesce(l.fen, 0), coalesce(t.fen, 0))
		FROM (SELECT paid_on AS day, sum(fen) AS fen FROM sla.batch_lines WHERE state = 'paid' GROUP BY paid_on) l
		FULL JOIN (SELECT booked_on AS day, sum(total_fen) AS fen FROM sla.ledger_transactions WHERE kind = 'paid' GROUP BY booked_on) t USING (day)
		WHERE coalesce(l.fen, 0) <> coalesce(t.fen, 0) ORDER BY day LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
