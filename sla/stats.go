package sla

import (
	"context"

	"rescued/internal/fault"
)

// Stats are the figures of the status line: guarantees by verdict, history that
// was imported left out, and what is owed in all, void compensation left out.
type Stats struct {
	Armed, Breached int // not decided yet
	Met, Late       int
	Void, Waived    int
	Owed            Fen
}

// Stats counts guarantees and sums what they owe.
func (s *Service) Stats(ctx context.Context) (st Stats, err error) {
	defer fault.Wrap(&err, "stats")
	err = s.pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE state = 'armed'), count(*) FILTER (WHERE state = 'breached'),
			count(*) FILTER (WHERE state = 'met'), count(*) FILTER (WHERE state = 'late'),
			count(*) FILTER (WHERE state = 'void'), count(*) FILTER (WHERE state = 'waived'),
			(SELECT coalesce(sum(fen), 0)::bigint FROM sla.compensations WHERE state <> 'void')
		FROM sla.guarantees WHERE import_id IS NULL`).
		Scan(&st.Armed, &st.Breached, &st.Met, &st.Late, &st.Void, &st.Waived, &st.Owed)
	return st, err
}
