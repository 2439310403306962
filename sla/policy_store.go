package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// insertPolicy reports false when that version is there already.
func insertPolicy(ctx context.Context, tx pgx.Tx, p Policy, document string, by events.Actor, now time.Time) (bool, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO sla.policies (name, version, document, effective_from, effective_to, added_at, added_by)
		VALUES ($1, $2, $3, coalesce($4, '-infinity'::timestamptz), $5, $6, $7)
		ON CONFLICT (name, version) DO NOTHING`,
		p.Name, p.Version, document, p.EffectiveFrom, p.EffectiveTo, now, by.String())
	return tag.RowsAffected() == 1, err
}

// insertActivation reports false when the version is activated already.
func insertActivation(ctx context.Context, tx pgx.Tx, v PolicyVersion) (bool, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO sla.policy_activations (name, version, added_by, activated_at, activated_by, activated_why)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (name, version) DO NOTHING`,
		v.Name, v.Version, v.AddedBy, v.ActivatedAt, v.ActivatedBy, v.ActivatedWhy)
	return tag.RowsAffected() == 1, err
}

// storedPolicy is a version as it is stored.
type storedPolicy struct {
	document                           string
	addedAt                            time.Time
	addedBy, activatedBy, activatedWhy string
	activatedAt                        *time.Time
}

const policyColumns = `p.document, p.added_at, p.added_by, a.activated_at, coalesce(a.activated_by, ''), coalesce(a.activated_why, '')`

func scanPolicy(row pgx.CollectableRow) (v storedPolicy, err error) {
	err = row.Scan(&v.document, &v.addedAt, &v.addedBy, &v.activatedAt, &v.activatedBy, &v.activatedWhy)
	return v, err
}

// findPolicy gives a version, activated or not.
func findPolicy(ctx context.Context, db events.Querier, name string, version int) (storedPolicy, error) {
	rows, err := db.Query(ctx, `
		SELECT `+policyColumns+` FROM sla.policies p LEFT JOIN sla.policy_activations a USING (name, version)
		WHERE p.name = $1 AND p.version = $2`, name, version)
	if err != nil {
		return storedPolicy{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanPolicy)
}

// listPolicies gives all versions, by name and version.
func listPolicies(ctx context.Context, db events.Querier) ([]storedPolicy, error) {
	rows, err := db.Query(ctx, `
		SELECT `+policyColumns+` FROM sla.policies p LEFT JOIN sla.policy_activations a USING (name, version)
		ORDER BY p.name, p.version`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanPolicy)
}

// listInForce gives, for each policy, the version in force at a moment: of
// those activated and effective then, the one that took effect last.
func listInForce(ctx context.Context, db events.Querier, at time.Time) ([]policyKey, error) {
	rows, err := db.Query(ctx, `
		SELECT DISTINCT ON (p.name) p.name, p.version
		FROM sla.policies p JOIN sla.policy_activations a USING (name, version)
		WHERE p.effective_from <= $1 AND (p.effective_to IS NULL OR p.effective_to > $1)
		ORDER BY p.name, p.effective_from DESC, p.version DESC`, at)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k policyKey, err error) {
		err = row.Scan(&k.name, &k.version)
		return k, err
	})
}
