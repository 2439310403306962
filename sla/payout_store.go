package sla

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
)

const payoutFields = `batch_id, key, via, state, booked_to, booked_at, attempts, next_at, failure, receipt, sent_at, changed_at`

func scanPayout(row pgx.CollectableRow) (PayoutStatus, error) {
	var p PayoutStatus
	var booked, sent *time.Time
	err := row.Scan(&p.BatchID, &p.Key, &p.Via, &p.State, &p.bookedTo, &booked, &p.Attempts, &p.NextAt, &p.Failure, &p.Receipt, &sent, &p.ChangedAt)
	p.NextAt, p.ChangedAt, p.bookedAt, p.SentAt = p.NextAt.UTC(), p.ChangedAt.UTC(), utc(booked), utc(sent)
	return p, err
}

func insertPayout(ctx context.Context, tx pgx.Tx, p PayoutStatus) error {
	_, err := tx.Exec(ctx, `INSERT INTO sla.payouts (batch_id, key, via, state, next_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		p.BatchID, p.Key, p.Via, p.State, p.NextAt, p.ChangedAt)
	return err
}

// updatePayout writes what may change of a locked payout; never its key.
func updatePayout(ctx context.Context, tx pgx.Tx, p PayoutStatus) error {
	_, err := tx.Exec(ctx, `
		UPDATE sla.payouts SET state = $2, booked_to = $3, booked_at = $4, attempts = $5, next_at = $6, failure = $7, receipt = $8,
			sent_at = $9, changed_at = $10
		WHERE batch_id = $1`,
		p.BatchID, p.State, p.bookedTo, nullable(p.bookedAt), p.Attempts, p.NextAt, p.Failure, p.Receipt, nullable(p.SentAt), p.ChangedAt)
	return err
}

func lockPayout(ctx context.Context, tx pgx.Tx, id events.BatchID) (PayoutStatus, error) {
	rows, err := tx.Query(ctx, `SELECT `+payoutFields+` FROM sla.payouts WHERE batch_id = $1 FOR UPDATE`, id)
	if err != nil {
		return PayoutStatus{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanPayout)
}

func findPayout(ctx context.Context, db events.Querier, id events.BatchID) (PayoutStatus, error) {
	rows, err := db.Query(ctx, `SELECT `+payoutFields+` FROM sla.payouts WHERE batch_id = $1`, id)
	if err != nil {
		return PayoutStatus{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanPayout)
}

// listDuePayouts gives the batches that are to be sent by now, the longest
// waiting first.
func listDuePayouts(ctx context.Context, db events.Querier, now time.Time, limit int) ([]events.BatchID, error) {
	rows, err := db.Query(ctx, `
		SELECT batch_id FROM sla.payouts WHERE state IN ('waiting', 'sending') AND next_at <= $1
		ORDER BY next_at, batch_id LIMIT $2`, now, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[events.BatchID])
}

// knownLine is what the books hold for a reference; the zero batch when they
// do not know it.
type knownLine struct {
	batch        events.BatchID
	compensation events.CompensationID
	attempt      int
	fen          Fen
	state        LineState
	booked       bool // posted as submitted
}

// findLines looks references up, in their order.
func findLines(ctx context.Context, tx pgx.Tx, references []string) ([]knownLine, error) {
	rows, err := tx.Query(ctx, `
		SELECT l.batch_id, l.compensation_id, coalesce(l.attempt, 0), coalesce(l.fen, 0), coalesce(l.state, ''),
			coalesce(p.booked_at IS NOT NULL OR l.compensation_id <= p.booked_to, false)
		FROM unnest($1::text[]) WITH ORDINALITY AS r (reference, place)
		LEFT JOIN sla.batch_lines l ON l.reference = r.reference AND l.state <> 'released'
		LEFT JOIN sla.payouts p ON p.batch_id = l.batch_id
		ORDER BY r.place`, references)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (knownLine, error) {
		var l knownLine
		err := row.Scan(&l.batch, &l.compensation, &l.attempt, &l.fen, &l.state, &l.booked)
		return l, err
	})
}

// insertResult reports false when the same lines were recorded before.
func insertResult(ctx context.Context, tx pgx.Tx, id uuid.UUID, b events.BatchID, in Results, digest string, sum resultSum, by events.Actor, now time.Time) (bool, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO sla.payout_results (id, batch_id, name, digest, lines, repeated, paid_lines, paid_fen, bounced_lines, bounced_fen, recorded_by, recorded_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (batch_id, digest) DO NOTHING`,
		id, b, in.Name, digest, len(in.Lines), sum.repeated, sum.paid.Lines, sum.paid.Fen, sum.bounced.Lines, sum.bounced.Fen, by.String(), now)
	return tag.RowsAffected() == 1, err
}

// resultKnown reports whether the same lines were recorded before.
func resultKnown(ctx context.Context, tx pgx.Tx, b events.BatchID, digest string) (known bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM sla.payout_results WHERE batch_id = $1 AND digest = $2)`, b, digest).Scan(&known)
	return known, err
}

// updateLines writes results on open lines of a locked batch. Each is looked
// up by its key, and stays where it was found.
func updateLines(ctx context.Context, tx pgx.Tx, b events.BatchID, result uuid.UUID, list []landed) (int64, error) {
	n := len(list)
	ids, states, paid, whys := make([]events.CompensationID, n), make([]string, n), make([]*time.Time, n), make([]string, n)
	for i, l := range list {
		ids[i], states[i], paid[i], whys[i] = l.line.compensation, string(l.state), nullable(l.paidOn), l.why
	}
	tag, err := tx.Exec(ctx, `
		UPDATE sla.batch_lines l SET state = r.state, result_id = $2, paid_on = r.paid_on, why = r.why
		FROM unnest($3::uuid[], $4::text[], $5::date[], $6::text[]) AS r (id, state, paid_on, why)
		CROSS JOIN LATERAL (
			SELECT ctid AS place FROM sla.batch_lines WHERE batch_id = $1 AND compensation_id = r.id AND state = 'open' OFFSET 0) AS p
		WHERE l.ctid = p.place`, b, result, uuidsOf(ids), states, paid, whys)
	return tag.RowsAffected(), err
}
