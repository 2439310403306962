package sla

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// countGuarantees says how many promises there are.
func countGuarantees(ctx context.Context, db events.Querier) (n int, err error) {
	err = db.QueryRow(ctx, `SELECT count(*) FROM sla.guarantees`).Scan(&n)
	return n, err
}

// listUnpromised gives those of some requests that have no promise.
func listUnpromised(ctx context.Context, db events.Querier, ids []events.RequestID) ([]events.RequestID, error) {
	rows, err := db.Query(ctx, `
		SELECT id FROM unnest($1::uuid[]) AS wanted (id)
		WHERE NOT EXISTS (SELECT FROM sla.guarantees g WHERE g.request_id = wanted.id) ORDER BY id`, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[events.RequestID])
}

// readKept gives all there is of the next promises after a request, in the
// order of requests.
func readKept(ctx context.Context, tx pgx.Tx, after events.RequestID, limit int) ([]kept, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+guaranteeColumns+` FROM sla.guarantees
		WHERE request_id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid) ORDER BY request_id LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanGuarantee)
	if err != nil {
		return nil, err
	}
	all, ids, subjects := make([]kept, len(list)), make([]events.RequestID, len(list)), make([]string, len(list))
	of := make(map[events.RequestID]*kept, len(list))
	for i, g := range list {
		all[i].guarantee, ids[i], subjects[i] = g, g.RequestID, g.RequestID.String()
		of[g.RequestID] = &all[i]
	}
	for _, read := range []func(context.Context, pgx.Tx, []events.RequestID, map[events.RequestID]*kept) error{
		keptFacts, keptVehicles, keptCompensations, keptNotes, keptImports,
	} {
		if err := read(ctx, tx, ids, of); err != nil {
			return nil, err
		}
	}
	heard, err := events.ReadHeard(ctx, tx, "sla", subjects)
	if err != nil {
		return nil, err
	}
	for _, h := range heard {
		id, err := events.ParseID[events.RequestID](h.Subject)
		if err != nil {
			return nil, err
		}
		of[id].heard = append(of[id].heard, h)
	}
	return all, nil
}

func keptFacts(ctx context.Context, tx pgx.Tx, ids []events.RequestID, of map[events.RequestID]*kept) error {
	rows, err := tx.Query(ctx, `SELECT `+factColumns+`, request_id FROM sla.facts WHERE request_id = ANY($1)`, ids)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id events.RequestID
		f, err := scanFact(rows, &id)
		if err != nil {
			return err
		}
		of[id].facts = append(of[id].facts, f)
	}
	return rows.Err()
}

// keptVehicles reads whose cars the requests are for.
func keptVehicles(ctx context.Context, tx pgx.Tx, ids []events.RequestID, of map[events.RequestID]*kept) error {
	rows, err := tx.Query(ctx, `SELECT request_id, vehicle FROM sla.vehicles WHERE request_id = ANY($1)`, ids)
	if err != nil {
		return err
	}
	var id events.RequestID
	var vehicle string
	_, err = pgx.ForEachRow(rows, []any{&id, &vehicle}, func() error {
		of[id].vehicle = vehicle
		return nil
	})
	return err
}

// keptCompensations reads what is owed and was booked for it, oldest first.
func keptCompensations(ctx context.Context, tx pgx.Tx, ids []events.RequestID, of map[events.RequestID]*kept) error {
	rows, err := tx.Query(ctx, `SELECT `+compensationColumns+` FROM sla.compensations WHERE request_id = ANY($1) ORDER BY accrued_at, id`, ids)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, scanCompensation)
	if err != nil || len(list) == 0 {
		return err
	}
	keys := make([]string, 0, 2*len(list))
	for _, c := range list {
		keys = append(keys, postingKey(c.ID, "accrual"), postingKey(c.ID, "void"))
	}
	posted, err := listPostings(ctx, tx, keys)
	if err != nil {
		return err
	}
	for _, c := range list {
		k := of[c.RequestID]
		k.compensations = append(k.compensations, c)
		k.postings = posted
	}
	return nil
}

// keptNotes reads the open notes on payments the verdict does not bear out.
func keptNotes(ctx context.Context, tx pgx.Tx, ids []events.RequestID, of map[events.RequestID]*kept) error {
	rows, err := tx.Query(ctx, `
		SELECT request_id, compensation_id, paid_fen, owed_fen, noted_at FROM sla.payment_differences
		WHERE request_id = ANY($1) AND closed_at IS NULL`, ids)
	if err != nil {
		return err
	}
	var id events.RequestID
	var d Difference
	_, err = pgx.ForEachRow(rows, []any{&id, &d.CompensationID, &d.PaidFen, &d.OwedFen, &d.NotedAt}, func() error {
		of[id].notes = append(of[id].notes, d)
		return nil
	})
	return err
}

// keptImports says of which past rescues what they owe must have accrued.
func keptImports(ctx context.Context, tx pgx.Tx, ids []events.RequestID, of map[events.RequestID]*kept) error {
	rows, err := tx.Query(ctx, `
		SELECT g.request_id, coalesce(i.state = 'approved' AND (i.accrued_at IS NOT NULL OR g.id <= i.accrued_to), g.import_id IS NULL)
		FROM sla.guarantees g LEFT JOIN sla.imports i ON i.id = g.import_id WHERE g.request_id = ANY($1)`, ids)
	if err != nil {
		return err
	}
	var id events.RequestID
	var due bool
	_, err = pgx.ForEachRow(rows, []any{&id, &due}, func() error {
		of[id].due = due
		return nil
	})
	return err
}

// basis is on what a compensation's attribution rests.
type basis struct {
	told []uuid.UUID
	at   time.Time
}

// readCharged gives all there is of what others bear of the next compensations
// after one, in the order of their identifiers, and the last that was read.
// Those of which nobody else bears anything, nor may by their policy, are left
// out.
func readCharged(ctx context.Context, tx pgx.Tx, shared func(Compensation) (bool, error), after events.CompensationID, limit int) (list []*charged, last events.CompensationID, err error) {
	rows, err := tx.Query(ctx, `
		SELECT `+compensationColumns+` FROM sla.compensations
		WHERE id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid) ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return nil, after, err
	}
	read, err := pgx.CollectRows(rows, scanCompensation)
	if err != nil || len(read) == 0 {
		return nil, after, err
	}
	all, ids := make([]charged, len(read)), make([]events.CompensationID, len(read))
	of := make(map[events.CompensationID]*charged, len(read))
	for i, c := range read {
		all[i] = charged{compensation: c, overturned: map[Counterparty]bool{}, postings: map[string]posting{}}
		ids[i], of[c.ID] = c.ID, &all[i]
	}
	for _, read := range []func(context.Context, pgx.Tx, []events.CompensationID, map[events.CompensationID]*charged) error{
		chargedBases, chargedRows, chargedOverturned, chargedPostings,
	} {
		if err := read(ctx, tx, ids, of); err != nil {
			return nil, after, err
		}
	}
	bySubject := map[string][]*charged{}
	for i := range all {
		c := &all[i]
		may, err := shared(c.compensation)
		if err != nil {
			return nil, after, err
		}
		if may || c.basis != nil || len(c.charges) > 0 || len(c.postings) > 0 {
			list = append(list, c)
			bySubject[c.compensation.RequestID.String()] = append(bySubject[c.compensation.RequestID.String()], c)
		}
	}
	heard, err := events.ReadHeard(ctx, tx, "sla", slices.Collect(maps.Keys(bySubject)))
	if err != nil {
		return nil, after, err
	}
	for _, h := range heard {
		for _, c := range bySubject[h.Subject] {
			c.heard = append(c.heard, h)
		}
	}
	return list, ids[len(ids)-1], nil
}

func chargedBases(ctx context.Context, tx pgx.Tx, ids []events.CompensationID, of map[events.CompensationID]*charged) error {
	rows, err := tx.Query(ctx, `SELECT compensation_id, told, attributed_at FROM sla.attributions WHERE compensation_id = ANY($1)`, ids)
	if err != nil {
		return err
	}
	var id events.CompensationID
	var b basis
	_, err = pgx.ForEachRow(rows, []any{&id, &b.told, &b.at}, func() error {
		of[id].basis = &basis{told: slices.Clone(b.told), at: b.at}
		return nil
	})
	return err
}

func chargedRows(ctx context.Context, tx pgx.Tx, ids []events.CompensationID, of map[events.CompensationID]*charged) error {
	rows, err := tx.Query(ctx, `SELECT `+chargebackColumns+` FROM sla.chargebacks WHERE compensation_id = ANY($1) ORDER BY bearer, bearer_id`, ids)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, scanChargeback)
	for _, b := range list {
		of[b.CompensationID].charges = append(of[b.CompensationID].charges, b)
	}
	return err
}

// chargedOverturned reads whose charge was taken back because he won his
// dispute of it.
func chargedOverturned(ctx context.Context, tx pgx.Tx, ids []events.CompensationID, of map[events.CompensationID]*charged) error {
	rows, err := tx.Query(ctx, `SELECT compensation_id, bearer, bearer_id FROM sla.statement_lines
		WHERE compensation_id = ANY($1) AND kind = 'charge' AND state = 'overturned'`, ids)
	if err != nil {
		return err
	}
	var id events.CompensationID
	var whose Counterparty
	_, err = pgx.ForEachRow(rows, []any{&id, &whose.Bearer, &whose.ID}, func() error {
		of[id].overturned[whose] = true
		return nil
	})
	return err
}

func chargedPostings(ctx context.Context, tx pgx.Tx, ids []events.CompensationID, of map[events.CompensationID]*charged) error {
	rows, err := tx.Query(ctx, `
		SELECT t.id, t.key, t.kind, t.compensation_id, t.reverses_id, e.account, e.fen
		FROM sla.ledger_transactions t JOIN sla.ledger_entries e ON e.transaction_id = t.id
		WHERE t.compensation_id = ANY($1) AND t.kind IN ('chargeback', 'chargeback_reversal') ORDER BY t.id, e.line`, ids)
	if err != nil {
		return err
	}
	var p posting
	var e entry
	_, err = pgx.ForEachRow(rows, []any{&p.id, &p.key, &p.kind, &p.compensation, &p.reverses, &e.account, &e.fen}, func() error {
		books := of[p.compensation].postings
		p.entries = append(books[p.key].entries, e)
		books[p.key] = p
		return nil
	})
	return err
}
