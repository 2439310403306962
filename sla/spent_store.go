package sla

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/pg"
)

// insertVehicle keeps whose car a request is for.
func insertVehicle(ctx context.Context, tx pgx.Tx, id events.RequestID, vehicle string) error {
	_, err := tx.Exec(ctx, `INSERT INTO sla.vehicles (request_id, vehicle) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, vehicle)
	return err
}

// findVehicle gives the car of a request; empty when it was not told.
func findVehicle(ctx context.Context, db events.Querier, id events.RequestID) (vehicle string, err error) {
	err = db.QueryRow(ctx, `SELECT vehicle FROM sla.vehicles WHERE request_id = $1`, id).Scan(&vehicle)
	if pg.NotFound(err) {
		return "", nil
	}
	return vehicle, err
}

// findVehicles gives the cars of some requests, as far as they were told.
func findVehicles(ctx context.Context, db events.Querier, ids []events.RequestID) (map[events.RequestID]string, error) {
	rows, err := db.Query(ctx, `SELECT request_id, vehicle FROM sla.vehicles WHERE request_id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	found := map[events.RequestID]string{}
	var id events.RequestID
	var vehicle string
	_, err = pgx.ForEachRow(rows, []any{&id, &vehicle}, func() error { found[id] = vehicle; return nil })
	return found, err
}

// spentKey names what a cap counts: all of a programme, or, with a vehicle,
// one car's month under it.
type spentKey struct {
	policy, vehicle string
	month           time.Time // zero for the programme
}

// capsOn are the counts that a compensation's policy weighs it against.
func (p Policy) capsOn(c Compensation) (keys []spentKey) {
	if p.Caps.BudgetFen > 0 {
		keys = append(keys, spentKey{policy: p.Name})
	}
	if p.Caps.PerVehicleMonthFen > 0 && c.Vehicle != "" {
		keys = append(keys, spentKey{p.Name, c.Vehicle, c.Month})
	}
	return keys
}

// spending is what has been spent of caps, locked.
type spending map[spentKey]Fen

// of is what c is weighed against. A key nobody asked for is 0.
func (s spending) of(p Policy, c Compensation) spent {
	return spent{programme: s[spentKey{policy: p.Name}], vehicle: s[spentKey{p.Name, c.Vehicle, c.Month}]}
}

// lockSpent tells what was spent of some caps, locked until tx ends, so that
// whoever weighs the same cap next sees what came of this. Programmes are
// locked before vehicles, as the count itself does it, and each kind in order.
func lockSpent(ctx context.Context, tx pgx.Tx, keys []spentKey) (spending, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	slices.SortFunc(keys, func(a, b spentKey) int {
		return cmp.Or(cmp.Compare(min(1, len(a.vehicle)), min(1, len(b.vehicle))), strings.Compare(a.policy, b.policy), strings.Compare(a.vehicle, b.vehicle), a.month.Compare(b.month))
	})
	keys = slices.Compact(keys)
	n := len(keys)
	policies, vehicles, months := make([]string, n), make([]string, n), make([]*time.Time, n)
	for i, k := range keys {
		policies[i], vehicles[i], months[i] = k.policy, k.vehicle, nullable(k.month)
	}
	// A lock needs a row.
	if _, err := tx.Exec(ctx, `
		INSERT INTO sla.spent (policy, vehicle, month, fen)
		SELECT policy, vehicle, coalesce(month, '-infinity'), 0
		FROM unnest($1::text[], $2::text[], $3::date[]) WITH ORDINALITY AS k (policy, vehicle, month, nth) ORDER BY nth
		ON CONFLICT DO NOTHING`, policies, vehicles, months); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT k.nth, s.fen FROM unnest($1::text[], $2::text[], $3::date[]) WITH ORDINALITY AS k (policy, vehicle, month, nth)
		JOIN sla.spent s ON s.policy = k.policy AND s.vehicle = k.vehicle AND s.month = coalesce(k.month, '-infinity')
		ORDER BY k.nth FOR UPDATE OF s`, policies, vehicles, months)
	if err != nil {
		return nil, err
	}
	found := make(spending, n)
	var nth int
	var fen Fen
	_, err = pgx.ForEachRow(rows, []any{&nth, &fen}, func() error { found[keys[nth-1]] = fen; return nil })
	return found, err
}
