package sla

import (
	"context"
	"embed"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"rescued/events"
	"rescued/internal/pg"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations builds the schema "sla".
var Migrations = pg.Migrations{Schema: "sla", Files: migrationFiles}

// nullable writes the zero time as NULL.
func nullable(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// utc reads a nullable time: NULL is the zero time.
func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// orInfinity writes the zero time as -infinity, for columns of a key.
func orInfinity(t time.Time) pgtype.Timestamptz {
	if t.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	}
	return pgtype.Timestamptz{Time: t, Valid: true}
}

// insertFact reports false when the fact is known already.
func insertFact(ctx context.Context, tx pgx.Tx, id events.RequestID, f Fact, told events.EventID, now time.Time) (bool, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO sla.facts (request_id, kind, happened_at, until_at, crew_id, source, event_id, heard_at,
			ref, by_role, said_at, level, metres, fen, provider_id, record)
		VALUES ($1, $2, $3, coalesce($4, '-infinity'::timestamptz),
			coalesce($5, '00000000-0000-0000-0000-000000000000'::uuid), $6, $7, $8,
			$9, $10, coalesce($11, '-infinity'::timestamptz), $12, $13, $14,
			coalesce($15, '00000000-0000-0000-0000-000000000000'::uuid), $16)
		ON CONFLICT DO NOTHING`,
		id, f.Kind, micro(f.At), nullable(microOrZero(f.Until)), f.Crew, f.Source, told, now,
		f.Ref, f.By, nullable(microOrZero(f.SaidAt)), f.Level, f.Metres, f.Fen, f.Provider, f.Record)
	return tag.RowsAffected() == 1, err
}

func listFacts(ctx context.Context, db events.Querier, id events.RequestID) ([]Fact, error) {
	rows, err := db.Query(ctx, `
		SELECT `+factColumns+` FROM sla.facts WHERE request_id = $1`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Fact, error) { return scanFact(row) })
}

const factColumns = `kind, happened_at, nullif(until_at, '-infinity'),
	nullif(crew_id, '00000000-0000-0000-0000-000000000000'), source,
	ref, by_role, nullif(said_at, '-infinity'), level, metres, fen,
	nullif(provider_id, '00000000-0000-0000-0000-000000000000'), record`

// scanFact reads factColumns, and whatever follows them into more.
func scanFact(row pgx.Row, more ...any) (Fact, error) {
	var f Fact
	var until, said *time.Time
	into := append([]any{&f.Kind, &f.At, &until, &f.Crew, &f.Source, &f.Ref, &f.By, &said, &f.Level, &f.Metres, &f.Fen, &f.Provider, &f.Record}, more...)
	err := row.Scan(into...)
	f.At, f.Until, f.SaidAt = f.At.UTC(), utc(until), utc(said)
	return f, err
}

// guaranteeColumnNames are the columns of a guarantee, in the order in which
// scanGuarantee reads and values writes them.
var guaranteeColumnNames = []string{
	"id", "request_id", "area", "tier", "priority", "partner_id",
	"road_class", "problem", "product", "weather", "state", "version", "opened_at",
	"promise_minutes", "promise_due_at", "promise_rule", "promise_reason", "policy", "policy_version",
	"expected_at", "at_risk_at", "breached_at", "waived_at", "waived_why",
	"outcome", "cancelled", "due_at", "stopped_at", "late_us", "owed_fen", "review", "reasons", "changed_at", "import_id", "provider_id",
	"started_at", "raw_fen", "uncapped_fen", "excluded", "spent_vehicle_fen",
}

var guaranteeColumns = strings.Join(guaranteeColumnNames, ", ")

func scanGuarantee(row pgx.CollectableRow) (Guarantee, error) {
	var g Guarantee
	var expected, atRisk, breached, waived, stopped, started *time.Time
	var lateUS int64
	p, v := &g.Promise, &g.Verdict
	err := row.Scan(&g.ID, &g.RequestID, &g.Area, &g.Tier, &g.Priority, &g.PartnerID,
		&g.RoadClass, &g.Problem, &g.Product, &g.Weather, &g.State, &g.Version, &g.OpenedAt,
		&p.Minutes, &p.DueAt, &p.Rule, &p.Reason, &p.Policy, &p.PolicyVersion,
		&expected, &atRisk, &breached, &waived, &g.WaivedWhy,
		&v.Outcome, &v.Cancelled, &v.DueAt, &stopped, &lateUS, &v.Fen, &v.Review, &v.Reasons, &g.ChangedAt, &g.ImportID, &g.ProviderID,
		&started, &v.RawFen, &v.UncappedFen, &v.Excluded, &g.SpentVehicleFen)
	g.OpenedAt, p.DueAt, v.DueAt, g.ChangedAt = g.OpenedAt.UTC(), p.DueAt.UTC(), v.DueAt.UTC(), g.ChangedAt.UTC()
	g.ExpectedAt, g.AtRiskAt, g.BreachedAt, g.WaivedAt = utc(expected), utc(atRisk), utc(breached), utc(waived)
	v.StartedAt, v.StoppedAt, v.Late = utc(started), utc(stopped), time.Duration(lateUS)*time.Microsecond
	p.Weather = g.Weather
	return g, err
}

// values are what a new guarantee is written as, column by column.
func (g Guarantee) values() []any {
	p, v := g.Promise, g.Verdict
	return []any{
		g.ID, g.RequestID, g.Area, g.Tier, g.Priority, g.PartnerID,
		g.RoadClass, g.Problem, g.Product, g.Weather, string(g.State), g.Version, g.OpenedAt,
		p.Minutes, p.DueAt, p.Rule, p.Reason, p.Policy, p.PolicyVersion,
		nullable(g.ExpectedAt), nullable(g.AtRiskAt), nullable(g.BreachedAt), nullable(g.WaivedAt), g.WaivedWhy,
		string(v.Outcome), v.Cancelled, v.DueAt, nullable(v.StoppedAt), v.Late.Microseconds(), int64(v.Fen), v.Review, v.Reasons, g.ChangedAt, g.ImportID, g.ProviderID,
		nullable(v.StartedAt), int64(v.RawFen), int64(v.UncappedFen), v.Excluded, int64(g.SpentVehicleFen),
	}
}

// insertGuarantee reports false when the request has a guarantee already.
func insertGuarantee(ctx context.Context, tx pgx.Tx, g Guarantee) (bool, error) {
	values := g.values()
	places := make([]string, len(values))
	for i := range places {
		places[i] = "$" + strconv.Itoa(i+1)
	}
	tag, err := tx.Exec(ctx, `INSERT INTO sla.guarantees (`+guaranteeColumns+`) VALUES (`+strings.Join(places, ", ")+`)
		ON CONFLICT (request_id) DO NOTHING`, values...)
	return tag.RowsAffected() == 1, err
}

// updateGuarantee writes what may change of g, whose Version is the new one,
// over the version before it.
func updateGuarantee(ctx context.Context, tx pgx.Tx, g Guarantee) error {
	v := g.Verdict
	tag, err := tx.Exec(ctx, `
		UPDATE sla.guarantees SET state = $3, version = $2,
			expected_at = $4, at_risk_at = $5, breached_at = $6, waived_at = $7, waived_why = $8,
			outcome = $9, cancelled = $10, due_at = $11, stopped_at = $12, late_us = $13, owed_fen = $14,
			review = $15, reasons = $16, changed_at = $17, provider_id = $18,
			started_at = $19, raw_fen = $20, uncapped_fen = $21, excluded = $22, spent_vehicle_fen = $23
		WHERE id = $1 AND version = $2 - 1`,
		g.ID, g.Version, g.State,
		nullable(g.ExpectedAt), nullable(g.AtRiskAt), nullable(g.BreachedAt), nullable(g.WaivedAt), g.WaivedWhy,
		v.Outcome, v.Cancelled, v.DueAt, nullable(v.StoppedAt), v.Late.Microseconds(), v.Fen,
		v.Review, v.Reasons, g.ChangedAt, g.ProviderID,
		nullable(v.StartedAt), v.RawFen, v.UncappedFen, v.Excluded, g.SpentVehicleFen)
	if err == nil && tag.RowsAffected() != 1 {
		return ErrStale
	}
	return err
}

// lockGuarantee gives a request's guarantee, locked until tx ends.
func lockGuarantee(ctx context.Context, tx pgx.Tx, id events.RequestID) (Guarantee, error) {
	rows, err := tx.Query(ctx, `SELECT `+guaranteeColumns+` FROM sla.guarantees WHERE request_id = $1 FOR UPDATE`, id)
	if err != nil {
		return Guarantee{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanGuarantee)
}

func findGuarantee(ctx context.Context, db events.Querier, id events.RequestID) (Guarantee, error) {
	rows, err := db.Query(ctx, `SELECT `+guaranteeColumns+` FROM sla.guarantees WHERE request_id = $1`, id)
	if err != nil {
		return Guarantee{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanGuarantee)
}

// findGuarantees gives the guarantees of some requests.
func findGuarantees(ctx context.Context, db events.Querier, ids []events.RequestID) (map[events.RequestID]Guarantee, error) {
	rows, err := db.Query(ctx, `SELECT `+guaranteeColumns+` FROM sla.guarantees WHERE request_id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanGuarantee)
	found := make(map[events.RequestID]Guarantee, len(list))
	for _, g := range list {
		found[g.RequestID] = g
	}
	return found, err
}

// lockPastDue takes armed guarantees whose deadline has passed, the longest
// passed first, leaving those somebody else holds.
func lockPastDue(ctx context.Context, tx pgx.Tx, now time.Time, limit int) ([]Guarantee, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+guaranteeColumns+` FROM sla.guarantees
		WHERE state = 'armed' AND import_id IS NULL AND started_at IS NOT NULL AND due_at < $1
		ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED`, now, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanGuarantee)
}

// lockAtRisk takes armed guarantees without an alarm that are due by soon, or
// whose crew is expected after the deadline, leaving those somebody else
// holds. What has already passed is not at risk but broken.
func lockAtRisk(ctx context.Context, tx pgx.Tx, now, soon time.Time, limit int) ([]Guarantee, error) {
	// Two arms, so that each can use its own index.
	rows, err := tx.Query(ctx, `
		SELECT `+guaranteeColumns+` FROM sla.guarantees
		WHERE id IN (
			(SELECT id FROM sla.guarantees
			 WHERE state = 'armed' AND import_id IS NULL AND at_risk_at IS NULL AND started_at IS NOT NULL AND review = '' AND due_at BETWEEN $1 AND $2
			 ORDER BY due_at LIMIT $3)
			UNION ALL
			(SELECT id FROM sla.guarantees
			 WHERE state = 'armed' AND import_id IS NULL AND at_risk_at IS NULL AND started_at IS NOT NULL AND review = '' AND expected_at > due_at AND due_at >= $1
			 ORDER BY due_at LIMIT $3))
		AND state = 'armed' AND at_risk_at IS NULL
		ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED`, now, soon, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanGuarantee)
}

// GuaranteeFilter narrows a list of guarantees; zero values do not.
type GuaranteeFilter struct {
	State  GuaranteeState
	Area   string
	Review bool // only those a person must look at
	AtRisk bool // only those with an alarm raised and no verdict yet
	// Imported asks for history that was brought in, instead of what was
	// promised here.
	Imported bool
}

// listGuarantees reads a page by deadline, after the row (dueAt, id).
func listGuarantees(ctx context.Context, db events.Querier, f GuaranteeFilter, after GuaranteePlace, limit int) ([]Guarantee, error) {
	whose := "import_id IS NULL" // in the text, so that the index of either can serve
	if f.Imported {
		whose = "import_id IS NOT NULL"
	}
	rows, err := db.Query(ctx, `
		SELECT `+guaranteeColumns+` FROM sla.guarantees
		WHERE `+whose+` AND ($1 = '' OR state = $1) AND ($2 = '' OR area = $2) AND (NOT $3 OR review <> '')
			AND (NOT $4 OR (at_risk_at IS NOT NULL AND state IN ('armed', 'breached')))
			AND (due_at, id) > (coalesce($5, '-infinity'::timestamptz), coalesce($6, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY due_at, id LIMIT $7`,
		string(f.State), f.Area, f.Review, f.AtRisk, nullable(after.At), after.ID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanGuarantee)
}

// GuaranteePlace, CompensationPlace and ImportPlace are where a page ended: the last row's
// time and identifier. The zero place is before the first row.
type (
	GuaranteePlace    = place[events.GuaranteeID]
	CompensationPlace = place[events.CompensationID]
	ImportPlace       = place[events.ImportID]
)

type place[ID any] struct {
	At time.Time `json:"at"`
	ID ID        `json:"id"`
}
