package events

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Heard is an event of the journal and what has become of it in one consumer
// group.
type Heard struct {
	Envelope
	Applied  bool // the group has applied it
	SetAside bool // it lies among the group's dead letters
}

// ReadHeard gives the timelines of many subjects at once, by subject and then
// in the order of commit, each event with its fate in a consumer group. One
// that is neither applied nor set aside is on its way there.
func ReadHeard(ctx context.Context, db Querier, group string, subjects []string) ([]Heard, error) {
	rows, err := db.Query(ctx, `
		SELECT `+journalColumns+`,
			EXISTS (SELECT FROM events.inbox i WHERE i.consumer_group = $1 AND i.event_id = j.event_id),
			EXISTS (SELECT FROM events.dead_letters d WHERE d.consumer_group = $1 AND d.event_id = j.event_id AND d.retried_at IS NULL)
		FROM events.journal j WHERE subject = ANY($2) ORDER BY subject, seq`, group, subjects)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	heard, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h Heard, err error) {
		h.Envelope, err = scanEnvelope(row, &h.Applied, &h.SetAside)
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return heard, nil
}

// ReadOrdered gives what was told of many subjects, of some types, in the
// order of insertion: of changes that one lock orders, the order of commit.
func ReadOrdered(ctx context.Context, db Querier, types, subjects []string) ([]Envelope, error) {
	return readJournal(ctx, db, `WHERE subject = ANY($1) AND type = ANY($2) ORDER BY seq`, subjects, types)
}

// ReadAfter walks the journal in order of insertion for events of some types:
// at most limit of those after a place, and the place of the last.
func ReadAfter(ctx context.Context, db Querier, types []string, after int64, limit int) (envs []Envelope, last int64, err error) {
	last = after
	rows, err := db.Query(ctx, `SELECT `+journalColumns+`, seq FROM events.journal WHERE seq > $1 AND type = ANY($2) ORDER BY seq LIMIT $3`, after, types, limit)
	if err != nil {
		return nil, after, fmt.Errorf("read the journal: %w", err)
	}
	envs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Envelope, error) { return scanEnvelope(row, &last) })
	if err != nil {
		return nil, after, fmt.Errorf("read the journal: %w", err)
	}
	return envs, last, nil
}
