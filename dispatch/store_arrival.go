package dispatch

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
)

func insertWord(ctx context.Context, tx pgx.Tx, m moment, r *Request, w Word) error {
	_, err := tx.Exec(ctx, `INSERT INTO dispatch.words (id, request_id, crew_id, source, at, note, said_by, said_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		uuid.Must(uuid.NewV7()), r.ID, r.Crew, w.Source, w.At, w.Note, m.by.String(), m.at)
	return err
}

// dismissTaps sets aside what a crew has said of its arrival so far.
func dismissTaps(ctx context.Context, tx pgx.Tx, r *Request) error {
	_, err := tx.Exec(ctx, `UPDATE dispatch.words SET dismissed = true
		WHERE request_id = $1 AND crew_id = $2 AND source = 'tap'`, r.ID, r.Crew)
	return err
}

func listWords(ctx context.Context, tx pgx.Tx, r *Request) ([]Word, error) {
	return many(ctx, tx, func(row pgx.CollectableRow) (w Word, err error) {
		err = row.Scan(&w.Source, &w.At, &w.Note)
		utc(&w.At)
		return w, err
	}, `SELECT source, at, note FROM dispatch.words
		WHERE request_id = $1 AND crew_id = $2 AND NOT dismissed ORDER BY id`, r.ID, r.Crew)
}

// insertFixes keeps fixes; one that is known already stays as it is.
func insertFixes(ctx context.Context, tx pgx.Tx, crew events.CrewID, fixes []Fix) error {
	n := len(fixes)
	ats, lats, lngs, accs := make([]time.Time, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i, f := range fixes {
		ats[i], lats[i], lngs[i], accs[i] = f.At, f.Point.Lat, f.Point.Lng, f.Accuracy
	}
	_, err := tx.Exec(ctx, `INSERT INTO dispatch.fixes (crew_id, fixed_at, lat, lng, accuracy_m)
		SELECT $1, * FROM unnest($2::timestamptz[], $3::float8[], $4::float8[], $5::float8[]) ORDER BY 2
		ON CONFLICT DO NOTHING`, crew, ats, lats, lngs, accs)
	return err
}

func listFixes(ctx context.Context, tx pgx.Tx, crew events.CrewID, from, to time.Time) ([]Fix, error) {
	return many(ctx, tx, func(row pgx.CollectableRow) (f Fix, err error) {
		err = row.Scan(&f.At, &f.Point.Lat, &f.Point.Lng, &f.Accuracy)
		utc(&f.At)
		return f, err
	}, `SELECT fixed_at, lat, lng, accuracy_m FROM dispatch.fixes
		WHERE crew_id = $1 AND fixed_at BETWEEN $2 AND $3 ORDER BY fixed_at`, crew, from, to)
}

// listJobsBetween is the requests a crew had at any time between two moments,
// of those where an earlier arrival than the known one could come to light.
func listJobsBetween(ctx context.Context, db events.Querier, crew events.CrewID, from, to time.Time) ([]Request, error) {
	return many(ctx, db, scanRequest, `SELECT `+requestColumns+` FROM dispatch.requests
		WHERE crew_id = $1 AND assigned_at <= $3 AND (closed_at IS NULL OR closed_at >= $2)
			AND (arrived_at IS NULL OR arrived_at > $2) ORDER BY id`, crew, from, to)
}
