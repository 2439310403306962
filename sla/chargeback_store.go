package sla

import (
	"context"
	"encoding/json"
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

// insertChargebacks writes new chargebacks and gives those of bearers that
// were not charged for the same before, in their order.
func insertChargebacks(ctx context.Context, tx pgx.Tx, list []Chargeback) (added []Chargeback, err error) {
	n := len(list)
	if n == 0 {
		return nil, nil
	}
	ids, bearers, whose := make([]events.CompensationID, n), make([]string, n), make([]uuid.UUID, n)
	requests, areas, states, versions := make([]events.RequestID, n), make([]string, n), make([]string, n), make([]int64, n)
	amounts, faults, attributions := make([]Fen, n), make([]int, n), make([]string, n)
	policies, policyVersions, times := make([]string, n), make([]int, n), make([]time.Time, n)
	for i, b := range list {
		attribution, err := json.Marshal(b.Attribution)
		if err != nil {
			return nil, err
		}
		ids[i], bearers[i], whose[i], requests[i], areas[i], states[i] = b.CompensationID, string(b.Bearer), b.ID, b.RequestID, b.Area, string(b.State)
		versions[i], amounts[i], faults[i], attributions[i] = b.Version, b.Fen, b.FaultPct, string(attribution)
		policies[i], policyVersions[i], times[i] = b.Policy, b.PolicyVersion, b.ChargedAt
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO sla.chargebacks (compensation_id, bearer, bearer_id, request_id, area, state, version, fen, fault_pct, attribution,
			policy, policy_version, charged_at, changed_at)
		SELECT id, bearer, bearer_id, request_id, area, state, version, fen, fault_pct, attribution::json, policy, policy_version, at, at
		FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::int[], $10::text[],
			$11::text[], $12::int[], $13::timestamptz[])
			AS c (id, bearer, bearer_id, request_id, area, state, version, fen, fault_pct, attribution, policy, policy_version, at)
		ON CONFLICT (compensation_id, bearer, bearer_id) DO NOTHING
		RETURNING compensation_id, bearer, bearer_id`,
		ids, bearers, whose, requests, areas, states, versions, amounts, faults, attributions, policies, policyVersions, times)
	if err != nil {
		return nil, err
	}
	type key struct {
		id     events.CompensationID
		bearer Bearer
		whose  uuid.UUID
	}
	fresh, k := make(map[key]bool, n), key{}
	if _, err := pgx.ForEachRow(rows, []any{&k.id, &k.bearer, &k.whose}, func() error { fresh[k] = true; return nil }); err != nil {
		return nil, err
	}
	for _, b := range list {
		if fresh[key{b.CompensationID, b.Bearer, b.ID}] {
			added = append(added, b)
		}
	}
	return added, nil
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
