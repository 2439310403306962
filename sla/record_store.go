package sla

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// insertRecording writes down who recorded what.
func insertRecording(ctx context.Context, tx pgx.Tx, r Recording) error {
	var key, approvesActor *string
	var hash []byte
	if r.key != "" {
		key, hash = &r.key, r.hash[:]
	}
	var ref *uuid.UUID
	if r.Fact.Ref != r.ID.UUID() && r.Fact.Ref != uuid.Nil {
		ref = &r.Fact.Ref
	}
	if !r.Approves.IsZero() {
		var actor string
		if err := tx.QueryRow(ctx, `SELECT actor FROM sla.recordings WHERE id = $1`, r.Approves).Scan(&actor); err != nil {
			return err
		}
		approvesActor = &actor
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO sla.recordings (id, request_id, kind, source, happened_at, until_at, ref, note, actor, recorded_at, key, input_hash, approves, approves_actor, metres, fen)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		r.ID, r.RequestID, r.Fact.Kind, r.Fact.Source, r.Fact.At, nullable(r.Fact.Until), ref, r.Note, r.By, r.RecordedAt,
		key, hash, r.Approves, approvesActor, r.Fact.Metres, r.Fact.Fen)
	return err
}

const recordingColumns = `id, request_id, kind, source, happened_at, until_at, coalesce(ref, '00000000-0000-0000-0000-000000000000'),
	note, actor, recorded_at, coalesce(key, ''), input_hash, approves, metres, fen`

func scanRecording(row pgx.CollectableRow) (Recording, error) {
	var r Recording
	var until *time.Time
	var hash []byte
	err := row.Scan(&r.ID, &r.RequestID, &r.Fact.Kind, &r.Fact.Source, &r.Fact.At, &until, &r.Fact.Ref,
		&r.Note, &r.By, &r.RecordedAt, &r.key, &hash, &r.Approves, &r.Fact.Metres, &r.Fact.Fen)
	r.Fact.At, r.Fact.Until, r.RecordedAt = r.Fact.At.UTC(), utc(until), r.RecordedAt.UTC()
	r.Fact.SaidAt = r.RecordedAt
	if by, err := events.ParseActor(r.By); err == nil {
		r.Fact.By = by.Role
	}
	switch {
	case r.Fact.Kind == FactEvidence:
		r.Fact.Record = r.ID.UUID()
	case r.Fact.Ref == uuid.Nil:
		r.Fact.Ref = r.ID.UUID()
	}
	copy(r.hash[:], hash)
	return r, err
}

func findRecording(ctx context.Context, db events.Querier, of events.RequestID, id events.RecordID) (Recording, error) {
	rows, err := db.Query(ctx, `SELECT `+recordingColumns+` FROM sla.recordings WHERE id = $1 AND request_id = $2`, id, of)
	if err != nil {
		return Recording{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanRecording)
}

// findRecordingByKey gives what somebody recorded under a key.
func findRecordingByKey(ctx context.Context, db events.Querier, by events.Actor, key string) (Recording, error) {
	rows, err := db.Query(ctx, `SELECT `+recordingColumns+` FROM sla.recordings WHERE actor = $1 AND key = nullif($2, '')`, by.String(), key)
	if err != nil {
		return Recording{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanRecording)
}

func listRecordings(ctx context.Context, db events.Querier, of events.RequestID) ([]Recording, error) {
	rows, err := db.Query(ctx, `SELECT `+recordingColumns+` FROM sla.recordings WHERE request_id = $1 ORDER BY recorded_at, id`, of)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRecording)
}

// factKnown reports whether a fact is known already, whole as it is but for
// the recording it is.
func factKnown(ctx context.Context, db events.Querier, id events.RequestID, f Fact) (known bool, err error) {
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM sla.facts WHERE request_id = $1 AND kind = $2 AND happened_at = $3
		AND until_at = coalesce($4, '-infinity'::timestamptz) AND source = $5 AND ref = $6 AND by_role = $7
		AND said_at = coalesce($8, '-infinity'::timestamptz) AND level = $9 AND metres = $10 AND fen = $11)`,
		id, f.Kind, micro(f.At), nullable(microOrZero(f.Until)), f.Source, f.Ref, f.By, nullable(microOrZero(f.SaidAt)),
		f.Level, f.Metres, f.Fen).Scan(&known)
	return known, err
}
