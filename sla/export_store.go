package sla

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

const exportColumns = `id, what, format, filter, zone, made_by, made_at, finished_at, lines, total_fen, digest, ledger_seq, ledger_hash, failed`

func scanExport(row pgx.CollectableRow) (Export, error) {
	var x Export
	err := row.Scan(&x.ID, &x.What, &x.Format, &x.Filter, &x.Zone, &x.MadeBy, &x.MadeAt, &x.FinishedAt, &x.Lines, &x.TotalFen,
		&x.Digest, &x.LedgerHead.Seq, &x.LedgerHead.Hash, &x.Failed)
	x.MadeAt, x.FinishedAt = x.MadeAt.UTC(), nullable(utc(x.FinishedAt))
	return x, err
}

func insertExport(ctx context.Context, db events.Querier, x Export) error {
	_, err := db.Exec(ctx, `
		INSERT INTO sla.exports (id, what, format, filter, zone, made_by, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		x.ID, x.What, x.Format, x.Filter, x.Zone, x.MadeBy, x.MadeAt)
	return err
}

// updateExport closes the record of an export.
func updateExport(ctx context.Context, tx pgx.Tx, x Export) error {
	_, err := tx.Exec(ctx, `
		UPDATE sla.exports SET finished_at = $2, lines = $3, total_fen = $4, digest = $5, ledger_seq = $6, ledger_hash = $7, failed = $8
		WHERE id = $1`,
		x.ID, x.FinishedAt, x.Lines, x.TotalFen, x.Digest, x.LedgerHead.Seq, x.LedgerHead.Hash, x.Failed)
	return err
}

func findExport(ctx context.Context, db events.Querier, id events.ExportID) (Export, error) {
	rows, err := db.Query(ctx, `SELECT `+exportColumns+` FROM sla.exports WHERE id = $1`, id)
	if err != nil {
		return Export{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanExport)
}

func listExports(ctx context.Context, db events.Querier, after ExportPlace, limit int) ([]Export, error) {
	rows, err := db.Query(ctx, `
		SELECT `+exportColumns+` FROM sla.exports
		WHERE (made_at, id) > (coalesce($1, '-infinity'::timestamptz), coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY made_at, id LIMIT $3`, nullable(after.At), after.ID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanExport)
}
