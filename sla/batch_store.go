package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/pg"
)

const batchColumns = `id, state, version, title, lines, total_fen, digest, paid_lines, paid_fen, bounced_lines, bounced_fen,
	created_by, created_at, sealed_by, sealed_at, approved_by, approved_why, approved_at, submitted_by, submitted_at,
	ended_by, ended_why, ended_at, released_at, changed_at`

func scanBatch(row pgx.CollectableRow) (Batch, error) {
	var b Batch
	var sealed, approved, submitted, ended, released *time.Time
	err := row.Scan(&b.ID, &b.State, &b.Version, &b.Title, &b.Lines, &b.Total, &b.Digest,
		&b.Paid.Lines, &b.Paid.Fen, &b.Bounced.Lines, &b.Bounced.Fen,
		&b.CreatedBy, &b.CreatedAt, &b.SealedBy, &sealed, &b.ApprovedBy, &b.ApprovedWhy, &approved, &b.SubmittedBy, &submitted,
		&b.EndedBy, &b.EndedWhy, &ended, &released, &b.ChangedAt)
	b.CreatedAt, b.ChangedAt = b.CreatedAt.UTC(), b.ChangedAt.UTC()
	b.SealedAt, b.ApprovedAt, b.SubmittedAt, b.EndedAt, b.releasedAt = utc(sealed), utc(approved), utc(submitted), utc(ended), utc(released)
	return b, err
}

// insertBatch reports false when the key was used before.
func insertBatch(ctx context.Context, tx pgx.Tx, b Batch, key string, hash []byte) (bool, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO sla.batches (id, state, version, title, created_by, created_at, changed_at, key, input_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (key) DO NOTHING`,
		b.ID, b.State, b.Version, b.Title, b.CreatedBy, b.CreatedAt, b.ChangedAt, key, hash)
	return tag.RowsAffected() == 1, err
}

// findBatchByKey gives the batch that a key has opened, and the hash of its input.
func findBatchByKey(ctx context.Context, tx pgx.Tx, key string) (id events.BatchID, hash []byte, err error) {
	err = tx.QueryRow(ctx, `SELECT id, input_hash FROM sla.batches WHERE key = $1`, key).Scan(&id, &hash)
	return id, hash, err
}

// updateBatch writes what may change of b, whose Version is the new one, over
// the version before it.
func updateBatch(ctx context.Context, tx pgx.Tx, b Batch) error {
	tag, err := tx.Exec(ctx, `
		UPDATE sla.batches SET version = $2, state = $3, lines = $4, total_fen = $5, digest = $6,
			paid_lines = $7, paid_fen = $8, bounced_lines = $9, bounced_fen = $10,
			sealed_by = $11, sealed_at = $12, approved_by = $13, approved_why = $14, approved_at = $15,
			submitted_by = $16, submitted_at = $17, ended_by = $18, ended_why = $19, ended_at = $20,
			released_at = $21, changed_at = $22
		WHERE id = $1 AND version = $2 - 1`,
		b.ID, b.Version, b.State, b.Lines, b.Total, b.Digest, b.Paid.Lines, b.Paid.Fen, b.Bounced.Lines, b.Bounced.Fen,
		b.SealedBy, nullable(b.SealedAt), b.ApprovedBy, b.ApprovedWhy, nullable(b.ApprovedAt),
		b.SubmittedBy, nullable(b.SubmittedAt), b.EndedBy, b.EndedWhy, nullable(b.EndedAt), nullable(b.releasedAt), b.ChangedAt)
	if err == nil && tag.RowsAffected() != 1 {
		return ErrStale
	}
	return err
}

// walkIndexes has the statements of tx go from row to row by index. A batch
// grows by a million lines between two counts of the planner, who then sorts
// all of them for each portion, or holds each against each.
func walkIndexes(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
			set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`)
	return err
}

func lockBatch(ctx context.Context, tx pgx.Tx, id events.BatchID) (Batch, error) {
	rows, err := tx.Query(ctx, `SELECT `+batchColumns+` FROM sla.batches WHERE id = $1 FOR UPDATE`, id)
	if err != nil {
		return Batch{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanBatch)
}

func findBatch(ctx context.Context, db events.Querier, id events.BatchID) (Batch, error) {
	rows, err := db.Query(ctx, `SELECT `+batchColumns+` FROM sla.batches WHERE id = $1`, id)
	if err != nil {
		return Batch{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanBatch)
}

// listBatches reads a page by opening, after the row (createdAt, id).
func listBatches(ctx context.Context, db events.Querier, state BatchState, after BatchPlace, limit int) ([]Batch, error) {
	rows, err := db.Query(ctx, `
		SELECT `+batchColumns+` FROM sla.batches
		WHERE ($1 = '' OR state = $1)
			AND (created_at, id) > (coalesce($2, '-infinity'::timestamptz), coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY created_at, id LIMIT $4`, string(state), nullable(after.At), after.ID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanBatch)
}

// BatchPlace is where a page of batches ended.
type BatchPlace = place[events.BatchID]

// payable is what a line is made of.
type payable struct {
	id      events.CompensationID
	request events.RequestID
	fen     Fen
	bounces int
}

// payablePlace is how far approved compensations have been gone through.
type payablePlace = place[events.CompensationID]

// lockPayable takes approved compensations that no batch has, the oldest
// first after a place, leaving those somebody else holds, and gives the place
// of the last.
func lockPayable(ctx context.Context, tx pgx.Tx, f FillFilter, after payablePlace, limit int) (list []payable, last payablePlace, err error) {
	rows, err := tx.Query(ctx, `
		SELECT id, request_id, fen, bounces, accrued_at FROM sla.compensations
		WHERE state = 'approved' AND bounces < $8 AND ($1 = '' OR area = $1) AND ($2 = '' OR policy = $2)
			AND accrued_at >= coalesce($3, '-infinity'::timestamptz) AND accrued_at < coalesce($4, 'infinity'::timestamptz)
			AND ($5 = 0 OR fen <= $5) AND (NOT $6 OR bounces = 0)
			AND NOT EXISTS (SELECT FROM sla.payment_differences d WHERE d.compensation_id = compensations.id AND d.closed_at IS NULL)
			AND (accrued_at, id) > ($9, coalesce($10, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY accrued_at, id LIMIT $7 FOR UPDATE SKIP LOCKED`,
		f.Area, f.Policy, nullable(f.From), nullable(f.To), f.UpTo, f.FirstAttempt, limit, mostAttempts, orInfinity(after.At), after.ID)
	if err != nil {
		return nil, after, err
	}
	list = make([]payable, 0, limit)
	last = after
	var p payable
	_, err = pgx.ForEachRow(rows, []any{&p.id, &p.request, &p.fen, &p.bounces, &last.At}, func() error {
		last.ID = p.id
		list = append(list, p)
		return nil
	})
	return list, last, err
}

// differs reports whether the present verdict does not bear a compensation
// out; it has bounced then, after the verdict changed.
func differs(ctx context.Context, tx pgx.Tx, id events.CompensationID) (yes bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM sla.payment_differences WHERE compensation_id = $1 AND closed_at IS NULL)`, id).Scan(&yes)
	return yes, err
}

// insertLines adds lines to a draft.
func insertLines(ctx context.Context, tx pgx.Tx, id events.BatchID, list []payable) error {
	n := len(list)
	ids, requests := make(uuidArray, n), make(uuidArray, n)
	attempts, references, amounts := make([]int32, n), make([]string, n), make([]int64, n)
	for i, p := range list {
		ids[i], requests[i], attempts[i], amounts[i] = uuidOf(p.id.UUID()), uuidOf(p.request.UUID()), int32(p.bounces+1), int64(p.fen)
		references[i] = paymentReference(p.id, p.bounces+1)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO sla.batch_lines (batch_id, compensation_id, request_id, attempt, reference, fen)
		SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::bigint[])`,
		id, ids, requests, attempts, references, amounts)
	return err
}

// deleteLine takes a line out of a draft and gives its amount.
func deleteLine(ctx context.Context, tx pgx.Tx, id events.BatchID, compensation events.CompensationID) (fen Fen, err error) {
	err = tx.QueryRow(ctx, `DELETE FROM sla.batch_lines WHERE batch_id = $1 AND compensation_id = $2 RETURNING fen`,
		id, compensation).Scan(&fen)
	return fen, err
}

// releaseLines frees open lines of a discarded batch after a place, and gives
// their compensations in order. The batch is locked, so that a line stays
// where it was found.
func releaseLines(ctx context.Context, tx pgx.Tx, id events.BatchID, after events.CompensationID, limit int) ([]events.CompensationID, error) {
	rows, err := tx.Query(ctx, `
		WITH freed AS (
			UPDATE sla.batch_lines l SET state = 'released' FROM (
				SELECT ctid AS place FROM sla.batch_lines
				WHERE batch_id = $1 AND state = 'open' AND compensation_id > coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid)
				ORDER BY compensation_id LIMIT $3) p
			WHERE l.ctid = p.place
			RETURNING l.compensation_id)
		SELECT compensation_id FROM freed ORDER BY compensation_id`, id, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[events.CompensationID])
}

// listToRelease gives discarded batches some of whose lines are not free yet.
func listToRelease(ctx context.Context, db events.Querier, limit int) ([]events.BatchID, error) {
	rows, err := db.Query(ctx, `SELECT id FROM sla.batches WHERE state = 'discarded' AND released_at IS NULL ORDER BY id LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[events.BatchID])
}

const lineColumns = `reference, request_id, fen, compensation_id, attempt, state, paid_on, why`

func scanLine(row pgx.CollectableRow) (BatchLine, error) {
	var l BatchLine
	var paid *time.Time
	err := row.Scan(&l.Reference, &l.Payee, &l.Fen, &l.CompensationID, &l.Attempt, &l.State, &paid, &l.Why)
	l.PaidOn = utc(paid)
	return l, err
}

// listLines reads a page of a batch's lines in their order.
func listLines(ctx context.Context, db events.Querier, id events.BatchID, state LineState, after events.CompensationID, limit int) ([]BatchLine, error) {
	rows, err := db.Query(ctx, `
		SELECT `+lineColumns+` FROM sla.batch_lines
		WHERE batch_id = $1 AND ($2 = '' OR state = $2) AND compensation_id > coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid)
		ORDER BY compensation_id LIMIT $4`, id, string(state), after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanLine)
}

// sumLines reads every line of a batch in order, a row at a time.
func sumLines(ctx context.Context, db events.Querier, id events.BatchID) (*lineSum, error) {
	rows, err := db.Query(ctx, `
		SELECT reference, request_id, fen, compensation_id FROM sla.batch_lines
		WHERE batch_id = $1 ORDER BY compensation_id`, id)
	if err != nil {
		return nil, err
	}
	sum := newLineSum()
	var l PayoutLine
	_, err = pgx.ForEachRow(rows, []any{&l.Reference, &l.Payee, &l.Fen, &l.CompensationID}, func() error { return sum.add(l) })
	return sum, err
}

// sumBacked is sumLines, and says how many of the lines are not backed by a
// batched compensation of their amount. It takes as long as the lines are
// many: whoever waits for it has a bound of his own.
func sumBacked(ctx context.Context, tx pgx.Tx, id events.BatchID) (sum *lineSum, strayed int64, err error) {
	if err := pg.NoLimits(ctx, tx); err != nil {
		return nil, 0, err
	}
	rows, err := tx.Query(ctx, `
		SELECT l.reference, l.request_id, l.fen, l.compensation_id,
			(c.state, c.fen, c.request_id) IS NOT DISTINCT FROM ('batched', l.fen, l.request_id)
		FROM sla.batch_lines l LEFT JOIN sla.compensations c ON c.id = l.compensation_id
		WHERE l.batch_id = $1 ORDER BY l.compensation_id`, id)
	if err != nil {
		return nil, 0, err
	}
	sum = newLineSum()
	var l PayoutLine
	var backed bool
	_, err = pgx.ForEachRow(rows, []any{&l.Reference, &l.Payee, &l.Fen, &l.CompensationID, &backed}, func() error {
		if !backed {
			strayed++
		}
		return sum.add(l)
	})
	return sum, strayed, err
}

// moved is a compensation that a set-based step has moved.
type moved struct {
	id      events.CompensationID
	request events.RequestID
	area    string
	fen     Fen
	version int64
}

// updateStates moves locked compensations to another state. whys are the
// reasons of those that bounce; nil when none does.
//
// It asks for nothing but their identifiers. Were it to ask for the state as
// well, a planner that believes few have it would look through all that do
// for each of them: a batch of a million is in one state, and was in another
// when the planner counted.
func updateStates(ctx context.Context, tx pgx.Tx, ids []events.CompensationID, to CompensationState, whys []string, now time.Time) ([]moved, error) {
	rows, err := tx.Query(ctx, `
		UPDATE sla.compensations c SET state = $3, version = c.version + 1, changed_at = $4,
			bounces = c.bounces + (u.why IS NOT NULL)::int,
			bounced_why = coalesce(u.why, c.bounced_why),
			bounced_at = CASE WHEN u.why IS NOT NULL THEN $4 ELSE c.bounced_at END
		FROM unnest($1::uuid[], $2::text[]) AS u (id, why)
		WHERE c.id = u.id
		RETURNING c.id, c.request_id, c.area, c.fen, c.version`, uuidsOf(ids), whys, string(to), now)
	if err != nil {
		return nil, err
	}
	list := make([]moved, 0, len(ids))
	var m moved
	_, err = pgx.ForEachRow(rows, []any{&m.id, &m.request, &m.area, &m.fen, &m.version}, func() error {
		list = append(list, m)
		return nil
	})
	return list, err
}

// lockInState takes compensations in the order of their identifiers, and says
// how many of them are in a state.
func lockInState(ctx context.Context, tx pgx.Tx, ids []events.CompensationID, in CompensationState) (n int, err error) {
	err = tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE state = $2)
		FROM (SELECT state FROM sla.compensations WHERE id = ANY($1) ORDER BY id FOR UPDATE) AS locked`,
		uuidsOf(ids), string(in)).Scan(&n)
	return n, err
}
