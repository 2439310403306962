package sla

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
)

const chargebackColumns = `compensation_id, bearer, bearer_id, request_id, area, state, version, fen, fault_pct, attribution,
	policy, policy_version, charged_at, changed_at, reversed_by, reversed_why`

func scanChargeback(row pgx.CollectableRow) (Chargeback, error) {
	var b Chargeback
	err := row.Scan(&b.CompensationID, &b.Bearer, &b.ID, &b.RequestID, &b.Area, &b.State, &b.Version, &b.Fen, &b.FaultPct, &b.Attribution,
		&b.Policy, &b.PolicyVersion, &b.ChargedAt, &b.ChangedAt, &b.ReversedBy, &b.ReversedWhy)
	b.ChargedAt, b.ChangedAt = b.ChargedAt.UTC(), b.ChangedAt.UTC()
	return b, err
}

// insertChargeback reports false when this bearer was charged for it before.
func insertChargeback(ctx context.Context, tx pgx.Tx, b Chargeback) (bool, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO sla.chargebacks (`+chargebackColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (compensation_id, bearer, bearer_id) DO NOTHING`,
		b.CompensationID, b.Bearer, b.ID, b.RequestID, b.Area, b.State, b.Version, b.Fen, b.FaultPct, b.Attribution,
		b.Policy, b.PolicyVersion, b.ChargedAt, b.ChangedAt, b.ReversedBy, b.ReversedWhy)
	return tag.RowsAffected() == 1, err
}

// updateChargeback writes what may change of b, whose Version is the new one,
// over the version before it.
func updateChargeback(ctx context.Context, tx pgx.Tx, b Chargeback) error {
	tag, err := tx.Exec(ctx, `
		UPDATE sla.chargebacks SET state = $5, version = $4, changed_at = $6, reversed_by = $7, reversed_why = $8
		WHERE compensation_id = $1 AND bearer = $2 AND bearer_id = $3 AND version = $4 - 1`,
		b.CompensationID, b.Bearer, b.ID, b.Version, b.State, b.ChangedAt, b.ReversedBy, b.ReversedWhy)
	if err == nil && tag.RowsAffected() != 1 {
		return ErrStale
	}
	return err
}

// lockChargebacks gives what was charged for a compensation, locked.
func lockChargebacks(ctx context.Context, tx pgx.Tx, id events.CompensationID) ([]Chargeback, error) {
	rows, err := tx.Query(ctx, `SELECT `+chargebackColumns+` FROM sla.chargebacks
		WHERE compensation_id = $1 ORDER BY bearer, bearer_id FOR UPDATE`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanChargeback)
}

// ChargebackFilter narrows a list of chargebacks; zero values do not.
type ChargebackFilter struct {
	Bearer         Bearer
	BearerID       uuid.UUID
	State          ChargebackState
	CompensationID events.CompensationID
	RequestID      events.RequestID
	From, To       time.Time // charged at or after From and before To
}

const chargebackWhere = `($1 = '' OR b.bearer = $1) AND ($2 = '00000000-0000-0000-0000-000000000000'::uuid OR b.bearer_id = $2) AND ($3 = '' OR b.state = $3)
	AND ($4::uuid IS NULL OR b.compensation_id = $4) AND ($5::uuid IS NULL OR b.request_id = $5)
	AND b.charged_at >= coalesce($6, '-infinity'::timestamptz) AND b.charged_at < coalesce($7, 'infinity'::timestamptz)`

func (f ChargebackFilter) args() []any {
	return []any{string(f.Bearer), f.BearerID, string(f.State), f.CompensationID, f.RequestID, nullable(f.From), nullable(f.To)}
}

// ChargebackPlace is where a page of chargebacks ended.
type ChargebackPlace struct {
	At             time.Time             `json:"at"`
	CompensationID events.CompensationID `json:"id"`
	Bearer         uuid.UUID             `json:"bearer"`
}

// listChargebacks reads a page by charging, after the place.
func listChargebacks(ctx context.Context, db events.Querier, f ChargebackFilter, after ChargebackPlace, limit int) ([]Chargeback, error) {
	rows, err := db.Query(ctx, `
		SELECT `+chargebackColumns+` FROM sla.chargebacks b
		WHERE `+chargebackWhere+`
			AND (b.charged_at, b.compensation_id, b.bearer_id) >
				(coalesce($8, '-infinity'::timestamptz), coalesce($9, '00000000-0000-0000-0000-000000000000'::uuid), $10::uuid)
		ORDER BY b.charged_at, b.compensation_id, b.bearer_id LIMIT $11`,
		append(f.args(), nullable(after.At), after.CompensationID, after.Bearer, limit)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanChargeback)
}

// listMischarged says of which compensations the books do not hold what was
// charged back, at most limit.
func listMischarged(ctx context.Context, db events.Querier, limit int) ([]string, error) {
	rows, err := db.Query(ctx, `
		SELECT format('compensation cmp_%s charges others %s fen back, and the books say %s',
			coalesce(c.id, b.id), coalesce(c.fen, 0), coalesce(b.fen, 0))
		FROM (SELECT compensation_id AS id, sum(fen) FILTER (WHERE state = 'charged') AS fen FROM sla.chargebacks GROUP BY compensation_id) c
		FULL JOIN (
			SELECT t.compensation_id AS id, sum(e.fen) AS fen
			FROM sla.ledger_transactions t JOIN sla.ledger_entries e ON e.transaction_id = t.id
			WHERE t.kind IN ('chargeback', 'chargeback_reversal') AND e.account IN ('provider_receivable', 'partner_share')
			GROUP BY t.compensation_id) b ON b.id = c.id
		WHERE coalesce(c.fen, 0) <> coalesce(b.fen, 0)
		ORDER BY 1 LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
