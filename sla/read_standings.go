package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
)

// Standings says for each request how its promise stands: the guarantee's
// state, what is owed for it in fen, and when it is due. Requests without a guarantee are left
// out. The bare struct lets a live queue ask without knowing this package.
func (s *Service) Standings(ctx context.Context, ids []events.RequestID) (_ map[events.RequestID]struct {
	State   string
	OwedFen int64
	DueAt   time.Time
}, err error) {
	defer fault.Wrap(&err, "standings of %d requests", len(ids))
	type standing = struct {
		State   string
		OwedFen int64
		DueAt   time.Time
	}
	found := make(map[events.RequestID]standing, len(ids))
	rows, err := s.pool.Query(ctx, `SELECT request_id, state, owed_fen, due_at FROM sla.guarantees WHERE request_id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	var id events.RequestID
	var st standing
	_, err = pgx.ForEachRow(rows, []any{&id, &st.State, &st.OwedFen, &st.DueAt}, func() error {
		st.DueAt = st.DueAt.UTC()
		found[id] = st
		return nil
	})
	return found, err
}
