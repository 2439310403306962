package sla

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

const importColumns = `id, source, file, digest, policy, policy_version, payable, state, version, rescues, late, owed_fen,
	prepared_by, prepared_at, decided_by, decided_why, decided_at, accrued_to, accrued_at, changed_at`

func scanImport(row pgx.CollectableRow) (Import, error) {
	var i Import
	var decided, accrued *time.Time
	err := row.Scan(&i.ID, &i.Source, &i.File, &i.Digest, &i.Policy, &i.PolicyVersion, &i.Payable, &i.State, &i.Version,
		&i.Rescues, &i.Late, &i.Owed, &i.PreparedBy, &i.PreparedAt, &i.DecidedBy, &i.DecidedWhy, &decided,
		&i.accruedTo, &accrued, &i.ChangedAt)
	i.PreparedAt, i.ChangedAt, i.DecidedAt, i.AccruedAt = i.PreparedAt.UTC(), i.ChangedAt.UTC(), utc(decided), utc(accrued)
	return i, err
}

func insertImport(ctx context.Context, tx pgx.Tx, i Import) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO sla.imports (id, source, file, digest, policy, policy_version, payable, state, version, prepared_by, prepared_at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		i.ID, i.Source, i.File, i.Digest, i.Policy, i.PolicyVersion, i.Payable, i.State, i.Version, i.PreparedBy, i.PreparedAt, i.ChangedAt)
	return err
}

// updateImport writes what may change of i, whose Version is the new one,
// over the version before it.
func updateImport(ctx context.Context, tx pgx.Tx, i Import) error {
	tag, err := tx.Exec(ctx, `
		UPDATE sla.imports SET state = $3, version = $2, rescues = $4, late = $5, owed_fen = $6,
			decided_by = $7, decided_why = $8, decided_at = $9, accrued_to = $10, accrued_at = $11, changed_at = $12
		WHERE id = $1 AND version = $2 - 1`,
		i.ID, i.Version, i.State, i.Rescues, i.Late, i.Owed,
		i.DecidedBy, i.DecidedWhy, nullable(i.DecidedAt), i.accruedTo, nullable(i.AccruedAt), i.ChangedAt)
	if err == nil && tag.RowsAffected() != 1 {
		return ErrStale
	}
	return err
}

func lockImport(ctx context.Context, tx pgx.Tx, id events.ImportID) (Import, error) {
	rows, err := tx.Query(ctx, `SELECT `+importColumns+` FROM sla.imports WHERE id = $1 FOR UPDATE`, id)
	if err != nil {
		return Import{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanImport)
}

func findImport(ctx context.Context, db events.Querier, id events.ImportID) (Import, error) {
	rows, err := db.Query(ctx, `SELECT `+importColumns+` FROM sla.imports WHERE id = $1`, id)
	if err != nil {
		return Import{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanImport)
}

// findLoading gives the import of the same file under the same terms that was
// begun and not finished.
func findLoading(ctx context.Context, db events.Querier, s ImportSpec) (id events.ImportID, err error) {
	err = db.QueryRow(ctx, `
		SELECT id FROM sla.imports WHERE source = $1 AND digest = $2 AND policy = $3 AND policy_version = $4 AND payable = $5 AND state = 'loading'
		ORDER BY prepared_at LIMIT 1`, s.Source, s.Digest, s.Policy, s.PolicyVersion, s.Payable).Scan(&id)
	return id, err
}

// listImports reads a page by preparation, after the row (preparedAt, id).
func listImports(ctx context.Context, db events.Querier, state ImportState, after ImportPlace, limit int) ([]Import, error) {
	rows, err := db.Query(ctx, `
		SELECT `+importColumns+` FROM sla.imports
		WHERE ($1 = '' OR state = $1)
			AND (prepared_at, id) > (coalesce($2, '-infinity'::timestamptz), coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY prepared_at, id LIMIT $4`, string(state), nullable(after.At), after.ID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanImport)
}

// lockAccruing takes an approved import whose rescues have not all accrued,
// leaving what somebody else holds.
func lockAccruing(ctx context.Context, tx pgx.Tx) (Import, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+importColumns+` FROM sla.imports WHERE state = 'approved' AND accrued_at IS NULL
		ORDER BY decided_at LIMIT 1 FOR UPDATE SKIP LOCKED`)
	if err != nil {
		return Import{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanImport)
}

// listOwedOfImport gives guarantees of an import that owe something, locked,
// after one of them.
func listOwedOfImport(ctx context.Context, tx pgx.Tx, id events.ImportID, after events.GuaranteeID, limit int) ([]Guarantee, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+guaranteeColumns+` FROM sla.guarantees
		WHERE import_id = $1 AND id > coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid) AND owed_fen > 0
		ORDER BY id LIMIT $3 FOR UPDATE`, id, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanGuarantee)
}

// knownRescue is a past rescue that was brought in before.
type knownRescue struct {
	digest   [32]byte
	importID events.ImportID
}

// listPast gives those of some references that are known of a source.
func listPast(ctx context.Context, db events.Querier, source string, references []string) (map[string]knownRescue, error) {
	known := make(map[string]knownRescue, len(references))
	rows, err := db.Query(ctx, `SELECT reference, digest, import_id FROM sla.past_rescues WHERE source = $1 AND reference = ANY($2)`, source, references)
	if err != nil {
		return nil, err
	}
	var reference string
	var digest []byte
	var k knownRescue
	_, err = pgx.ForEachRow(rows, []any{&reference, &digest, &k.importID}, func() error {
		copy(k.digest[:], digest)
		known[reference] = k
		return nil
	})
	return known, err
}

// copyPast writes judged rescues in bulk: told[i] is the event that tells
// fresh[i].
func copyPast(ctx context.Context, tx pgx.Tx, source string, id events.ImportID, fresh []past, told []events.EventID, now time.Time) error {
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"sla", "past_rescues"},
		[]string{"source", "reference", "request_id", "import_id", "provider_id", "digest"},
		pgx.CopyFromSlice(len(fresh), func(i int) ([]any, error) {
			p := fresh[i]
			return []any{source, p.rescue.Reference, p.guarantee.RequestID, id, p.rescue.ProviderID, p.digest[:]}, nil
		})); err != nil {
		return err
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"sla", "guarantees"}, guaranteeColumnNames,
		pgx.CopyFromSlice(len(fresh), func(i int) ([]any, error) { return fresh[i].guarantee.values(), nil })); err != nil {
		return err
	}
	cars := slices.DeleteFunc(slices.Clone(fresh), func(p past) bool { return p.rescue.VehicleKey == "" })
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"sla", "vehicles"}, []string{"request_id", "vehicle"},
		pgx.CopyFromSlice(len(cars), func(i int) ([]any, error) {
			return []any{cars[i].guarantee.RequestID, cars[i].rescue.VehicleKey}, nil
		})); err != nil {
		return err
	}
	type row struct {
		request events.RequestID
		told    events.EventID
		fact    Fact
	}
	var facts []row
	for i, p := range fresh {
		for _, f := range setOf(p.facts) {
			facts = append(facts, row{p.guarantee.RequestID, told[i], f})
		}
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"sla", "facts"},
		[]string{"request_id", "kind", "happened_at", "until_at", "crew_id", "source", "event_id", "heard_at",
			"ref", "by_role", "said_at", "level", "metres", "fen", "provider_id", "record"},
		pgx.CopyFromSlice(len(facts), func(i int) ([]any, error) {
			f := facts[i].fact
			return []any{facts[i].request, string(f.Kind), f.At, orInfinity(f.Until), f.Crew.UUID(), f.Source, facts[i].told, now,
				f.Ref, string(f.By), orInfinity(f.SaidAt), f.Level, f.Metres, int64(f.Fen), f.Provider.UUID(), f.Record}, nil
		}))
	return err
}
