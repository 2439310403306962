package events

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Told is that something of one type was told of a subject, and what became
// of it in one consumer group.
type Told struct {
	Seq      int64
	Subject  string
	Type     string
	Applied  bool
	SetAside bool
}

// ReadTold walks the journal in order of insertion for events of some types:
// at most limit of those after a place, each with its fate in a group.
func ReadTold(ctx context.Context, db Querier, group string, types []string, after int64, limit int) ([]Told, error) {
	rows, err := db.Query(ctx, `
		SELECT seq, subject, type,
			EXISTS (SELECT FROM events.inbox i WHERE i.consumer_group = $1 AND i.event_id = j.event_id),
			EXISTS (SELECT FROM events.dead_letters d WHERE d.consumer_group = $1 AND d.event_id = j.event_id AND d.retried_at IS NULL)
		FROM events.journal j WHERE seq > $3 AND type = ANY($2) ORDER BY seq LIMIT $4`, group, types, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	told, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Told])
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return told, nil
}
