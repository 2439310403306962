package sla

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// known is what is known of a request, and which events told it.
type known struct {
	facts []Fact
	told  []uuid.UUID // ascending, each once
}

// findKnown gives what is known of some requests, as one statement sees it.
func findKnown(ctx context.Context, db events.Querier, ids []events.RequestID) (map[events.RequestID]known, error) {
	rows, err := db.Query(ctx, `SELECT `+factColumns+`, request_id, event_id FROM sla.facts WHERE request_id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[events.RequestID]known, len(ids))
	for rows.Next() {
		var id events.RequestID
		var told uuid.UUID
		f, err := scanFact(rows, &id, &told)
		if err != nil {
			return nil, err
		}
		k := found[id]
		k.facts, k.told = append(k.facts, f), append(k.told, told)
		found[id] = k
	}
	for id, k := range found {
		slices.SortFunc(k.told, func(a, b uuid.UUID) int { return strings.Compare(string(a[:]), string(b[:])) })
		k.told = slices.Compact(k.told)
		found[id] = k
	}
	return found, rows.Err()
}

// insertAttributions notes on what the attribution of compensations rests, and
// says which of them had none: what was attributed once is not attributed anew.
func insertAttributions(ctx context.Context, tx pgx.Tx, list []Compensation, of map[events.RequestID]known, now time.Time) (fresh map[events.CompensationID]bool, err error) {
	ids, told := make([]events.CompensationID, len(list)), make([]string, len(list))
	for i, c := range list {
		ids[i], told[i] = c.ID, "{"+strings.Join(mapped(of[c.RequestID].told, uuid.UUID.String), ",")+"}"
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO sla.attributions (compensation_id, told, attributed_at)
		SELECT id, told::uuid[], $3 FROM unnest($1::uuid[], $2::text[]) AS a (id, told)
		ON CONFLICT (compensation_id) DO NOTHING RETURNING compensation_id`, ids, told, now)
	if err != nil {
		return nil, err
	}
	fresh = make(map[events.CompensationID]bool, len(list))
	var id events.CompensationID
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error { fresh[id] = true; return nil })
	return fresh, err
}
