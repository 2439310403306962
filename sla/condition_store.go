package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

const conditionColumns = `c.id, c.revision, c.condition, c.level, c.areas, c.from_at, c.until_at, c.evidence, c.note, c.actor, c.declared_at,
	coalesce(c.key, ''), c.input_hash`

func scanCondition(row pgx.CollectableRow) (DeclaredCondition, error) {
	var c DeclaredCondition
	var until *time.Time
	var hash []byte
	var evidence []string
	err := row.Scan(&c.ID, &c.Revision, &c.Condition, &c.Level, &c.Areas, &c.From, &until, &evidence, &c.Note, &c.By, &c.DeclaredAt, &c.key, &hash)
	c.From, c.DeclaredAt, c.Until = c.From.UTC(), c.DeclaredAt.UTC(), utc(until)
	c.Evidence = mapped(evidence, func(kind string) EvidenceKind { return EvidenceKind(kind) })
	copy(c.hash[:], hash)
	return c, err
}

// insertCondition writes a revision, which has yet to be spread.
func insertCondition(ctx context.Context, tx pgx.Tx, c DeclaredCondition) error {
	var key *string
	var hash []byte
	if c.key != "" {
		key, hash = &c.key, c.hash[:]
	}
	_, err := tx.Exec(ctx, `
		WITH declared AS (
			INSERT INTO sla.conditions (id, revision, condition, level, areas, from_at, until_at, evidence, note, actor, declared_at, key, input_hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id, revision)
		INSERT INTO sla.condition_spread (id, revision) SELECT id, revision FROM declared`,
		c.ID, c.Revision, string(c.Condition), c.Level, c.Areas, c.From, nullable(c.Until), wordsOf(c.Evidence), c.Note, c.By, c.DeclaredAt, key, hash)
	return err
}

func findConditionByKey(ctx context.Context, db events.Querier, by events.Actor, key string) (DeclaredCondition, error) {
	rows, err := db.Query(ctx, `SELECT `+conditionColumns+` FROM sla.conditions c WHERE c.actor = $1 AND c.key = nullif($2, '')`, by.String(), key)
	if err != nil {
		return DeclaredCondition{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanCondition)
}

// listRevisions gives all that was said of a condition, in order.
func listRevisions(ctx context.Context, db events.Querier, id events.ConditionID) ([]DeclaredCondition, error) {
	rows, err := db.Query(ctx, `SELECT `+conditionColumns+` FROM sla.conditions c WHERE c.id = $1 ORDER BY c.revision`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanCondition)
}

// listRevisionsOf gives all that was said of the conditions that may bear on a
// request of an area that was opened at a moment.
func listRevisionsOf(ctx context.Context, db events.Querier, area string, opened time.Time) ([]DeclaredCondition, error) {
	rows, err := db.Query(ctx, `
		SELECT `+conditionColumns+` FROM sla.conditions c
		WHERE (c.areas = '{}' OR $1 = ANY(c.areas))
			AND EXISTS (SELECT FROM sla.conditions r WHERE r.id = c.id AND (r.until_at IS NULL OR r.until_at > $2))
		ORDER BY c.id, c.revision`, area, opened)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanCondition)
}

// lastSaid picks of each condition what was said last.
const lastSaid = `NOT EXISTS (SELECT FROM sla.conditions r WHERE r.id = c.id AND r.revision > c.revision)`

// listConditionsInForce gives the conditions in force in an area at a moment.
func listConditionsInForce(ctx context.Context, db events.Querier, area string, at time.Time) ([]DeclaredCondition, error) {
	rows, err := db.Query(ctx, `
		SELECT `+conditionColumns+` FROM sla.conditions c
		WHERE c.from_at <= $2 AND (c.until_at IS NULL OR c.until_at > $2) AND (c.areas = '{}' OR $1 = ANY(c.areas)) AND `+lastSaid, area, at)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanCondition)
}

// listConditions gives conditions as they were last said, those that begin
// last first: all of them, or those that hold at a moment or later.
func listConditions(ctx context.Context, db events.Querier, at time.Time, limit int) ([]DeclaredCondition, error) {
	rows, err := db.Query(ctx, `
		SELECT `+conditionColumns+` FROM sla.conditions c
		WHERE ($1::timestamptz IS NULL OR c.until_at IS NULL OR c.until_at > $1) AND `+lastSaid+`
		ORDER BY c.from_at DESC, c.id LIMIT $2`, nullable(at), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanCondition)
}

// spreading is a revision on its way to the requests it concerns.
type spreading struct {
	id       events.ConditionID
	revision int
}

func listSpreading(ctx context.Context, db events.Querier) ([]spreading, error) {
	rows, err := db.Query(ctx, `SELECT id, revision FROM sla.condition_spread WHERE done_at IS NULL ORDER BY id, revision`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (at spreading, err error) {
		err = row.Scan(&at.id, &at.revision)
		return at, err
	})
}

func findReached(ctx context.Context, db events.Querier, at spreading) (id events.RequestID, err error) {
	err = db.QueryRow(ctx, `SELECT reached FROM sla.condition_spread WHERE id = $1 AND revision = $2`, at.id, at.revision).Scan(&id)
	return id, err
}

// noteReached notes how far a revision came. It never goes back: another
// replica may be further.
func noteReached(ctx context.Context, db events.Querier, at spreading, reached events.RequestID, done bool, now time.Time) error {
	_, err := db.Exec(ctx, `
		UPDATE sla.condition_spread SET reached = greatest(reached, $3), done_at = CASE WHEN $4 THEN $5::timestamptz ELSE done_at END
		WHERE id = $1 AND revision = $2`, at.id, at.revision, reached, done, now)
	return err
}

// listConcerned gives requests a condition bears on, after one of them: of its
// areas, opened before until (zero: whenever), and not over before it began.
func listConcerned(ctx context.Context, db events.Querier, c DeclaredCondition, until time.Time, after events.RequestID, limit int) ([]events.RequestID, error) {
	rows, err := db.Query(ctx, `
		SELECT request_id FROM sla.guarantees
		WHERE import_id IS NULL AND state <> 'waived' AND ($1::text[] = '{}' OR area = ANY($1))
			AND opened_at < coalesce($2, 'infinity'::timestamptz) AND (outcome = 'pending' OR due_at > $3)
			AND request_id > coalesce($4, '00000000-0000-0000-0000-000000000000'::uuid)
		ORDER BY request_id LIMIT $5`, c.Areas, nullable(until), c.From, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[events.RequestID])
}
