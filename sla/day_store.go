package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// closedThrough gives the last closed day, zero before the first, and keeps
// it so until tx ends: whoever asks alone keeps everybody else from posting.
func closedThrough(ctx context.Context, tx pgx.Tx, alone bool) (time.Time, error) {
	var day *time.Time
	err := tx.QueryRow(ctx, `SELECT sla.closed_through($1)`, alone).Scan(&day)
	return utc(day), err
}

func insertReconciliation(ctx context.Context, tx pgx.Tx, r Reconciliation) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO sla.reconciliations (id, source, name, day, digest, lines, total_fen, imported_by, imported_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		r.ID, r.Source, r.Name, r.Day, r.Digest, r.Total.Lines, r.Total.Fen, r.ImportedBy, r.ImportedAt)
	return err
}

// insertTold keeps the lines of a statement, and gives those references that
// another has told before, with its name.
func insertTold(ctx context.Context, tx pgx.Tx, r Reconciliation, lines []ToldLine) (map[string]string, error) {
	references, amounts := make([]string, len(lines)), make([]Fen, len(lines))
	for i, l := range lines {
		references[i], amounts[i] = l.Reference, l.Fen
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO sla.told_payments (reference, reconciliation_id, day, fen)
		SELECT reference, $1, $2, fen FROM unnest($3::text[], $4::bigint[]) AS t (reference, fen)
		ON CONFLICT (reference) DO NOTHING`, r.ID, r.Day, references, amounts)
	if err != nil || tag.RowsAffected() == int64(len(lines)) {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT t.reference, format('%s, rec_%s of %s', r.source, r.id, r.day) FROM sla.told_payments t
		JOIN sla.reconciliations r ON r.id = t.reconciliation_id
		WHERE t.reference = ANY($1) AND t.reconciliation_id <> $2`, references, r.ID)
	if err != nil {
		return nil, err
	}
	told := map[string]string{}
	var reference, by string
	_, err = pgx.ForEachRow(rows, []any{&reference, &by}, func() error {
		told[reference] = by
		return nil
	})
	return told, err
}

const reconciliationColumns = `id, source, name, day, digest, lines, total_fen, imported_by, imported_at`

func scanReconciliation(row pgx.CollectableRow) (Reconciliation, error) {
	var r Reconciliation
	err := row.Scan(&r.ID, &r.Source, &r.Name, &r.Day, &r.Digest, &r.Total.Lines, &r.Total.Fen, &r.ImportedBy, &r.ImportedAt)
	r.Day, r.ImportedAt = r.Day.UTC(), r.ImportedAt.UTC()
	return r, err
}

// findReconciliationLike gives the statement that says the same of the same day.
func findReconciliationLike(ctx context.Context, tx pgx.Tx, like Reconciliation) (Reconciliation, error) {
	rows, err := tx.Query(ctx, `SELECT `+reconciliationColumns+` FROM sla.reconciliations WHERE source = $1 AND day = $2 AND digest = $3`,
		like.Source, like.Day, like.Digest)
	if err != nil {
		return Reconciliation{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanReconciliation)
}

func findReconciliation(ctx context.Context, db events.Querier, id events.ReconciliationID) (Reconciliation, error) {
	rows, err := db.Query(ctx, `SELECT `+reconciliationColumns+` FROM sla.reconciliations WHERE id = $1`, id)
	if err != nil {
		return Reconciliation{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanReconciliation)
}

// ReconciliationPlace is where a page of statements ended.
type ReconciliationPlace = place[events.ReconciliationID]

func listReconciliations(ctx context.Context, db events.Querier, day time.Time, after ReconciliationPlace, limit int) ([]Reconciliation, error) {
	rows, err := db.Query(ctx, `
		SELECT `+reconciliationColumns+` FROM sla.reconciliations
		WHERE ($1::date IS NULL OR day = $1)
			AND (imported_at, id) > (coalesce($2, '-infinity'::timestamptz), coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY imported_at, id LIMIT $4`, nullable(day), nullable(after.At), after.ID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanReconciliation)
}

// compared puts our payments of a day ($1) beside those told of it, in all or
// by one statement ($2); what another statement tells is then left out.
const compared = `
	ours AS (
		SELECT reference, fen, batch_id, compensation_id FROM sla.batch_lines l WHERE state = 'paid' AND paid_on = $1
			AND ($2::uuid IS NULL OR NOT EXISTS (
				SELECT FROM sla.told_payments t WHERE t.reference = l.reference AND t.day = $1 AND t.reconciliation_id <> $2))
	), theirs AS (
		SELECT reference, fen, reconciliation_id FROM sla.told_payments WHERE day = $1 AND ($2::uuid IS NULL OR reconciliation_id = $2)
	), compared AS (
		SELECT reference, o.fen AS ours, t.fen AS theirs, o.batch_id, o.compensation_id, t.reconciliation_id,
			CASE WHEN o.fen IS NULL THEN 'theirs_only' WHEN t.fen IS NULL THEN 'ours_only'
				WHEN o.fen <> t.fen THEN 'amounts_differ' ELSE 'matched' END AS list
		FROM ours o FULL JOIN theirs t USING (reference))`

// sumCompared counts the four lists.
func sumCompared(ctx context.Context, db events.Querier, day time.Time, of events.ReconciliationID) (f DayFigures, err error) {
	rows, err := db.Query(ctx, `WITH `+compared+`
		SELECT list, count(*), coalesce(sum(ours), 0)::bigint, coalesce(sum(theirs), 0)::bigint FROM compared GROUP BY list`, day, of)
	if err != nil {
		return f, err
	}
	var list MatchList
	var n int64
	var ours, theirs Fen
	_, err = pgx.ForEachRow(rows, []any{&list, &n, &ours, &theirs}, func() error {
		switch list {
		case ListMatched:
			f.Matched = Tally{n, ours}
		case ListOursOnly:
			f.OursOnly = Tally{n, ours}
		case ListTheirsOnly:
			f.TheirsOnly = Tally{n, theirs}
		case ListDiffer:
			f.Differ, f.DifferFen = Tally{n, ours}, theirs
		}
		return nil
	})
	return f, err
}

// listCompared reads a page of the lists, with what is known elsewhere of a
// reference that stands on one side alone.
func listCompared(ctx context.Context, db events.Querier, day time.Time, of events.ReconciliationID, list MatchList, after string, limit int) ([]ComparedLine, error) {
	rows, err := db.Query(ctx, `WITH `+compared+`
		SELECT c.list, c.reference, coalesce(c.ours, 0), coalesce(c.theirs, 0), coalesce(c.batch_id, l.batch_id), coalesce(c.compensation_id, l.compensation_id),
			coalesce(r.source, r2.source, ''),
			CASE c.list WHEN 'ours_only' THEN CASE WHEN t.day IS NULL THEN '' ELSE 'another_day' END
				WHEN 'theirs_only' THEN CASE coalesce(l.state, '') WHEN '' THEN 'unknown' WHEN 'open' THEN 'no_result' WHEN 'paid' THEN 'another_day' ELSE l.state END
				ELSE '' END,
			CASE c.list WHEN 'ours_only' THEN t.day WHEN 'theirs_only' THEN l.paid_on END
		FROM (SELECT * FROM compared WHERE ($3 = '' OR list = $3) AND reference > $4 ORDER BY reference LIMIT $5) c
		LEFT JOIN sla.reconciliations r ON r.id = c.reconciliation_id
		LEFT JOIN sla.told_payments t ON c.list = 'ours_only' AND t.reference = c.reference
		LEFT JOIN sla.reconciliations r2 ON r2.id = t.reconciliation_id
		LEFT JOIN sla.batch_lines l ON c.list = 'theirs_only' AND l.reference = c.reference AND l.state <> 'released'
		ORDER BY c.reference`, day, of, string(list), after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (ComparedLine, error) {
		var l ComparedLine
		var other *time.Time
		err := row.Scan(&l.List, &l.Reference, &l.OursFen, &l.TheirsFen, &l.BatchID, &l.CompensationID, &l.Source, &l.Why, &other)
		l.OtherDay = utc(other)
		return l, err
	})
}

func findDay(ctx context.Context, db events.Querier, day time.Time) (Day, error) {
	rows, err := db.Query(ctx, `
		SELECT day, state, version, figures, signed_by, signed_why, signed_at, closed_by, closed_why, closed_at, changed_at
		FROM sla.days WHERE day = $1`, day)
	if err != nil {
		return Day{}, err
	}
	return pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (Day, error) {
		var d Day
		var signed, closed *time.Time
		err := row.Scan(&d.Day, &d.State, &d.Version, &d.Figures, &d.SignedBy, &d.SignedWhy, &signed, &d.ClosedBy, &d.ClosedWhy, &closed, &d.ChangedAt)
		d.Day, d.SignedAt, d.ClosedAt, d.ChangedAt = d.Day.UTC(), utc(signed), utc(closed), d.ChangedAt.UTC()
		d.Signed = d.Figures
		return d, err
	})
}

// upsertDay writes a day, whose Version is the new one, over the version before.
func upsertDay(ctx context.Context, tx pgx.Tx, d Day) error {
	tag, err := tx.Exec(ctx, `
		INSERT INTO sla.days AS d (day, state, version, figures, differs, signed_by, signed_why, signed_at, closed_by, closed_why, closed_at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (day) DO UPDATE SET state = excluded.state, version = excluded.version, figures = excluded.figures, differs = excluded.differs,
			signed_by = excluded.signed_by, signed_why = excluded.signed_why, signed_at = excluded.signed_at,
			closed_by = excluded.closed_by, closed_why = excluded.closed_why, closed_at = excluded.closed_at, changed_at = excluded.changed_at
		WHERE d.version = excluded.version - 1`,
		d.Day, d.State, d.Version, d.Figures, d.Figures.Differs(), d.SignedBy, d.SignedWhy, nullable(d.SignedAt),
		d.ClosedBy, d.ClosedWhy, nullable(d.ClosedAt), d.ChangedAt)
	if err == nil && tag.RowsAffected() != 1 {
		return ErrStale
	}
	return err
}

// firstOpenBefore gives the first day before one, and after those closed, on
// which something was paid or told; zero when there is none.
func firstOpenBefore(ctx context.Context, tx pgx.Tx, day, closed time.Time) (time.Time, error) {
	var first *time.Time
	err := tx.QueryRow(ctx, `
		SELECT least(
			(SELECT min(paid_on) FROM sla.batch_lines WHERE state = 'paid' AND paid_on > coalesce($2::date, '-infinity') AND paid_on < $1::date),
			(SELECT min(day) FROM sla.reconciliations WHERE day > coalesce($2::date, '-infinity') AND day < $1::date))`,
		day, nullable(closed)).Scan(&first)
	return utc(first), err
}

// listDates gives the days on which something happened, the latest first.
func listDates(ctx context.Context, db events.Querier, before time.Time, limit int) ([]time.Time, error) {
	// Payments of a day are many, so the index is walked from day to day.
	rows, err := db.Query(ctx, `
		WITH RECURSIVE paid AS (
			SELECT (SELECT max(paid_on) FROM sla.batch_lines WHERE state = 'paid' AND paid_on < coalesce($1::date, 'infinity')) AS day, 1 AS n
			UNION ALL
			SELECT (SELECT max(paid_on) FROM sla.batch_lines WHERE state = 'paid' AND paid_on < p.day), p.n + 1
			FROM paid p WHERE p.day IS NOT NULL AND p.n < $2
		)
		SELECT day FROM (
			SELECT day FROM sla.days UNION SELECT day FROM sla.reconciliations UNION SELECT day FROM paid) d
		WHERE day < coalesce($1::date, 'infinity') ORDER BY day DESC LIMIT $2`, nullable(before), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (time.Time, error) {
		var day time.Time
		err := row.Scan(&day)
		return day.UTC(), err
	})
}
