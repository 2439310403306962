package sla

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// verifyBatches holds every batch against its lines: what was sealed is what
// is there, its results are those of its lines, and every line's compensation
// stands where the line says.
func (s *Service) verifyBatches(ctx context.Context, r *Report) error {
	return r.snapshot(ctx, func(tx pgx.Tx) error {
		for after := (BatchPlace{}); ; {
			list, err := listBatches(ctx, tx, "", after, verifyChunk)
			if err != nil || len(list) == 0 {
				return err
			}
			for _, b := range list {
				if err := verifyBatch(ctx, tx, r, b); err != nil {
					return err
				}
				after = BatchPlace{At: b.CreatedAt, ID: b.ID}
				r.did(1, 0)
			}
		}
	})
}

func verifyBatch(ctx context.Context, tx pgx.Tx, r *Report, b Batch) error {
	sum, err := sumLines(ctx, tx, b.ID)
	if err != nil {
		return err
	}
	differ := func(field, stored, wanted string) {
		if stored != wanted {
			r.differ(b.ID.String(), field, stored, wanted)
		}
	}
	differ("lines", number(b.Lines), number(sum.lines))
	differ("total_fen", number(int64(b.Total)), number(int64(sum.total)))
	unsealed := b.State == BatchDraft || b.State == BatchDiscarded
	if !unsealed || b.Digest != "" {
		differ("digest of the sealed lines", b.Digest, sum.digest())
	}
	if unsealed {
		return nil // nothing of it is promised to anybody
	}
	results, err := sumResults(ctx, tx, b.ID)
	if err != nil {
		return err
	}
	differ("paid lines", number(b.Paid.Lines), number(results[LinePaid].Lines))
	differ("paid fen", number(int64(b.Paid.Fen)), number(int64(results[LinePaid].Fen)))
	differ("bounced lines", number(b.Bounced.Lines), number(results[LineBounced].Lines))
	differ("bounced fen", number(int64(b.Bounced.Fen)), number(int64(results[LineBounced].Fen)))
	strayed, err := listStrayed(ctx, tx, b.ID, mostFindings)
	for _, c := range strayed {
		r.differ(b.ID.String(), "line of "+c.id.String(), string(c.line), "a line its compensation, which is "+string(c.state)+" over "+owedWords(c.fen)+", bears out")
	}
	return err
}

// sumResults counts the lines of a batch by their state.
func sumResults(ctx context.Context, db events.Querier, id events.BatchID) (map[LineState]Tally, error) {
	rows, err := db.Query(ctx, `SELECT state, count(*), sum(fen)::bigint FROM sla.batch_lines WHERE batch_id = $1 GROUP BY state`, id)
	if err != nil {
		return nil, err
	}
	sums := map[LineState]Tally{}
	var state LineState
	var t Tally
	_, err = pgx.ForEachRow(rows, []any{&state, &t.Lines, &t.Fen}, func() error {
		sums[state] = t
		return nil
	})
	return sums, err
}

// strayedLine is a line whose compensation does not bear it out.
type strayedLine struct {
	id    events.CompensationID
	line  LineState
	state CompensationState
	fen   Fen
}

// listStrayed gives lines whose compensation is of another amount, or not on
// its way or paid as the line says. One that bounced may be anywhere.
func listStrayed(ctx context.Context, db events.Querier, id events.BatchID, limit int) ([]strayedLine, error) {
	rows, err := db.Query(ctx, `
		SELECT l.compensation_id, l.state, coalesce(c.state, ''), coalesce(c.fen, 0)
		FROM sla.batch_lines l LEFT JOIN sla.compensations c ON c.id = l.compensation_id
		WHERE l.batch_id = $1 AND ((c.fen, c.request_id) IS DISTINCT FROM (l.fen, l.request_id)
			OR l.state = 'open' AND c.state <> 'batched' OR l.state = 'paid' AND c.state <> 'paid')
		ORDER BY l.compensation_id LIMIT $2`, id, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s strayedLine, err error) {
		err = row.Scan(&s.id, &s.line, &s.state, &s.fen)
		return s, err
	})
}
