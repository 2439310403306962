package events

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rescued/internal/pg"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations builds the schema "events": journal, outbox, inbox, dead letters.
var Migrations = pg.Migrations{Schema: "events", Files: migrationFiles}

// Querier reads: a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// maxData bounds a payload. A record over the broker's limit (1 MiB by
// default) could never be published and would hold up the relay for good.
const maxData = 256 << 10

// Append writes events to the journal and the outbox, in the caller's
// transaction: they exist if and only if it commits. by did it, at the
// business time at, and version is the aggregate's after the change.
//
// Call it after the aggregate's row has been locked or changed. The next
// transaction for the same aggregate then draws its insertion numbers only
// after this one has committed, so that an aggregate's events carry their
// order of commit.
func Append(ctx context.Context, tx pgx.Tx, by Actor, at time.Time, version int64, evs ...Event) error {
	_, err := AppendEach(ctx, tx, by, at, version, evs)
	return err
}

// AppendEach appends many events, as Append does, and gives the identifier of
// each.
func AppendEach(ctx context.Context, tx pgx.Tx, by Actor, at time.Time, version int64, evs []Event) ([]EventID, error) {
	if len(evs) == 0 {
		return nil, nil
	}
	if by.Role == "" || by.Subject == "" {
		return nil, errors.New("append events: no actor")
	}
	if at.IsZero() {
		return nil, errors.New("append events: no time")
	}
	rows, ids := make([]Envelope, len(evs)), make([]EventID, len(evs))
	for i, ev := range evs {
		env, err := enclose(by, at, version, ev)
		if err != nil {
			return nil, fmt.Errorf("append events: %w", err)
		}
		if len(env.Data) > maxData {
			return nil, fmt.Errorf("append events: a %s of %d bytes is over the limit of %d", env.Type, len(env.Data), maxData)
		}
		rows[i], ids[i] = env, env.ID
	}
	return ids, insertJournal(ctx, tx, rows)
}

// insertJournal keeps the order of rows: with ORDER BY, Postgres draws the
// identity values after sorting.
func insertJournal(ctx context.Context, tx pgx.Tx, rows []Envelope) error {
	n := len(rows)
	ids, types, topics := make([]EventID, n), make([]string, n), make([]string, n)
	keys, subjects, data := make([]string, n), make([]string, n), make([]string, n)
	for i, env := range rows {
		ids[i], types[i], topics[i] = env.ID, env.Type, string(env.Topic)
		keys[i], subjects[i], data[i] = env.Key, env.Subject, string(env.Data)
	}
	_, err := tx.Exec(ctx, `
		WITH added AS (
			INSERT INTO events.journal (event_id, type, topic, key, subject, actor, at, version, data)
			SELECT id, type, topic, key, subject, $7, $8, $9, data::json
			FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
				WITH ORDINALITY AS e (id, type, topic, key, subject, data, ord)
			ORDER BY ord
			RETURNING seq)
		INSERT INTO events.outbox (seq) SELECT seq FROM added`,
		ids, types, topics, keys, subjects, data, rows[0].Actor.String(), rows[0].At, rows[0].Version)
	if err != nil {
		return fmt.Errorf("append to the journal: %w", err)
	}
	return nil
}

// ReadStream is the timeline of one subject (req_… or crw_…) across topics, in
// the order its changes were committed, at most limit events. Rows that have
// committed but are not numbered yet are in it, with FeedNo 0.
func ReadStream(ctx context.Context, db Querier, subject string, limit int) ([]Envelope, error) {
	return readJournal(ctx, db, `WHERE subject = $1 ORDER BY seq LIMIT $2`, subject, limit)
}

const journalColumns = `event_id, type, topic, key, subject, actor, at, version, coalesce(feed_no, 0), data::text`

func readJournal(ctx context.Context, db Querier, where string, args ...any) ([]Envelope, error) {
	rows, err := db.Query(ctx, `SELECT `+journalColumns+` FROM events.journal `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	envs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Envelope, error) { return scanEnvelope(row) })
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return envs, nil
}

// scanEnvelope reads journalColumns, and whatever follows them into more.
func scanEnvelope(row pgx.Row, more ...any) (Envelope, error) {
	env := Envelope{Source: Source}
	var topic, actor, data string
	into := append([]any{&env.ID, &env.Type, &topic, &env.Key, &env.Subject, &actor,
		&env.At, &env.Version, &env.FeedNo, &data}, more...)
	if err := row.Scan(into...); err != nil {
		return Envelope{}, err
	}
	by, err := ParseActor(actor)
	if err != nil {
		return Envelope{}, err
	}
	env.Topic, env.Actor, env.Data = Topic(topic), by, []byte(data)
	env.At, env.SenderID = env.At.UTC(), env.ID.String()
	return env, nil
}
