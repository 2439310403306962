package events

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"rescued/internal/fault"
)

var (
	// ErrNoDeadLetter: there is no such dead letter.
	ErrNoDeadLetter = fault.New(fault.NotFound, "dead_letter_not_found", "There is no dead letter of that id.")
	// ErrLetterErased: its content is gone and cannot be applied any more.
	ErrLetterErased = fault.New(fault.Conflict, "dead_letter_erased", "The dead letter's content has been erased; it cannot be tried again.")
	// ErrNoHandler: nobody here consumes that topic in that group.
	ErrNoHandler = fault.New(fault.Conflict, "no_handler", "No handler here reads that topic in that group.")
)

// letterLife is how long a dead letter keeps its content, in wall time. A
// record of the intake topic may hold names and phones.
const letterLife = 7 * 24 * time.Hour

// DeadLetter is a record set aside. Times are wall time.
type DeadLetter struct {
	ID        uuid.UUID  `json:"id"`
	Group     string     `json:"group"`
	Topic     Topic      `json:"topic"`
	Partition int32      `json:"partition"`
	Offset    int64      `json:"offset"`
	EventID   EventID    `json:"event_id,omitzero"` // zero when the record could not be read
	Error     string     `json:"error"`
	At        time.Time  `json:"at"`
	RetriedAt *time.Time `json:"retried_at,omitempty"` // when a retry went through
	ErasedAt  *time.Time `json:"erased_at,omitempty"`
}

// ListDeadLetters is the newest letters first, those without a successful
// retry only, at most limit.
func ListDeadLetters(ctx context.Context, db Querier, limit int) ([]DeadLetter, error) {
	rows, err := db.Query(ctx, `
		SELECT id, consumer_group, topic, "partition", "offset", event_id, error, at, retried_at, erased_at
		FROM events.dead_letters WHERE retried_at IS NULL ORDER BY id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (DeadLetter, error) {
		var d DeadLetter
		var topic string
		err := row.Scan(&d.ID, &d.Group, &topic, &d.Partition, &d.Offset, &d.EventID, &d.Error, &d.At, &d.RetriedAt, &d.ErasedAt)
		d.Topic = Topic(topic)
		return d, err
	})
}

// insertDeadLetter sets a record aside. A record that comes again is not set
// aside twice. Header values are kept as bytes, since a sender may put
// anything there.
func insertDeadLetter(ctx context.Context, db Querier, sub subscription, r *kgo.Record, id EventID, cause error) error {
	headers, err := json.Marshal(r.Headers)
	if err != nil {
		return fmt.Errorf("write dead letter: %w", err)
	}
	text := strings.ToValidUTF8(strings.ReplaceAll(cause.Error(), "\x00", ""), "?")
	if len(text) > 2000 {
		text = strings.ToValidUTF8(text[:2000], "")
	}
	_, err = db.Exec(ctx, `
		INSERT INTO events.dead_letters (id, consumer_group, topic, "partition", "offset", record_at,
			event_id, key, headers, value, error, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (consumer_group, topic, "partition", "offset", record_at) DO NOTHING`,
		uuid.Must(uuid.NewV7()), sub.group, string(sub.topic), r.Partition, r.Offset, r.Timestamp.UTC(),
		id, r.Key, string(headers), r.Value, text, time.Now().UTC())
	if err != nil {
		return fmt.Errorf("write dead letter: %w", err)
	}
	return nil
}

// RetryDeadLetter applies a dead letter with the handlers of its group and
// topic, as if it had just come in, and marks it retried. It comes after all
// that its key has seen since. The handler's own error comes back when it
// fails again; the letter then stays as it was. A letter of a Batch, which
// has no inbox, is ErrNoHandler.
func RetryDeadLetter(ctx context.Context, pool *pgxpool.Pool, handlers []Handler, id uuid.UUID) error {
	sub, r, err := readDeadLetter(ctx, pool, id)
	if err != nil {
		return err
	}
	w := &work{sub: sub}
	for _, h := range handlers {
		if h.Group == sub.group && h.Topic == sub.topic {
			w.handlers = append(w.handlers, h)
		}
	}
	if len(w.handlers) == 0 {
		return ErrNoHandler.Detailf("No handler here reads %s in group %s.", sub.topic, sub.group)
	}
	env, err := openRecord(sub.topic, r)
	if err != nil {
		return err
	}
	if _, err := w.applyOnce(ctx, pool, env); err != nil {
		return err
	}
	// Should this mark be lost, a further retry finds a repeat and marks again.
	_, err = pool.Exec(ctx, `UPDATE events.dead_letters SET retried_at = $2 WHERE id = $1`, id, time.Now().UTC())
	if err != nil {
		return fmt.Errorf("mark dead letter %s: %w", id, err)
	}
	return nil
}

func readDeadLetter(ctx context.Context, db Querier, id uuid.UUID) (subscription, *kgo.Record, error) {
	var (
		sub     subscription
		topic   string
		headers *string
		erased  *time.Time
		r       kgo.Record
	)
	err := db.QueryRow(ctx, `
		SELECT consumer_group, topic, "partition", "offset", record_at, key, headers::text, value, erased_at
		FROM events.dead_letters WHERE id = $1`, id).
		Scan(&sub.group, &topic, &r.Partition, &r.Offset, &r.Timestamp, &r.Key, &headers, &r.Value, &erased)
	switch {
	case err == pgx.ErrNoRows:
		return sub, nil, ErrNoDeadLetter
	case err != nil:
		return sub, nil, fmt.Errorf("read dead letter %s: %w", id, err)
	case erased != nil:
		return sub, nil, ErrLetterErased
	}
	sub.topic = Topic(topic)
	if err := json.Unmarshal([]byte(*headers), &r.Headers); err != nil {
		return sub, nil, fmt.Errorf("read dead letter %s: %w", id, err)
	}
	return sub, &r, nil
}

// EraseDeadLetters removes the content of letters set aside before a moment of
// wall time and reports how many. Their place and error stay.
func EraseDeadLetters(ctx context.Context, db Querier, before time.Time) (int, error) {
	tag, err := db.Exec(ctx, `
		UPDATE events.dead_letters SET key = NULL, headers = NULL, value = NULL, erased_at = $2
		WHERE at < $1 AND erased_at IS NULL`, before.UTC(), time.Now().UTC())
	if err != nil {
		return 0, fmt.Errorf("erase dead letters: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// eraseLetters erases what is old, at start and then every hour.
func (r *Runner) eraseLetters(ctx context.Context) error {
	quiet := quietly{log: r.log, what: "erase old dead letters"}
	for {
		n, err := EraseDeadLetters(ctx, r.pool, time.Now().Add(-letterLife))
		quiet.report(ignoreEnd(ctx, err))
		if n > 0 {
			r.log.Info("erased old dead letters", "letters", n)
		}
		if !pause(ctx, time.Hour) {
			return nil
		}
	}
}
