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

// countsOf are the counts that a compensation is added to once it is approved.
func countsOf(c Compensation) []spentKey {
	keys := []spentKey{{policy: c.Policy}}
	if c.Vehicle != "" {
		keys = append(keys, spentKey{c.Policy, c.Vehicle, c.Month})
	}
	return keys
}

// spending is what has been spent of caps, locked.
type spending map[spentKey]Fen

// of is what c is weighed against.
func (s spending) of(c Compensation) spent {
	return spent{programme: s[spentKey{policy: c.Policy}], vehicle: s[spentKey{c.Policy, c.Vehicle, c.Month}]}
}

// lockSpent tells what was spent of the caps on some compensations, each with
// its policy, locked until tx ends, so that whoever weighs the same cap next
// sees what came of this. Where there is any cap, it locks all that an approval
// of them would count in, capped or not, and as the count itself goes about it:
// programmes before vehicles, and each kind in order. Were it to lock the capped
// ones only, the count would ask for a programme whose cars it holds.
func lockSpent(ctx context.Context, tx pgx.Tx, list []Compensation, policies []Policy) (spending, error) {
	if !slices.ContainsFunc(policies, func(p Policy) bool { return p.Caps.BudgetFen > 0 || p.Caps.PerVehicleMonthFen > 0 }) {
		return spending{}, nil
	}
	var keys []spentKey
	for _, c := range list {
		keys = append(keys, countsOf(c)...)
	}
	slices.SortFunc(keys, func(a, b spentKey) int {
		return cmp.Or(cmp.Compare(min(1, len(a.vehicle)), min(1, len(b.vehicle))), strings.Compare(a.policy, b.policy), strings.Compare(a.vehicle, b.vehicle), a.month.Compare(b.month))
	})
	keys = slices.Compact(keys)
	n := len(keys)
	policyNames, vehicles, months := make([]string, n), make([]string, n), make([]*time.Time, n)
	for i, k := range keys {
		policyNames[i], vehicles[i], months[i] = k.policy, k.vehicle, nullable(k.month)
	}
	// A lock needs a row: each is made or locked, one after the other.
	if _, err := tx.Exec(ctx, `
		INSERT INTO sla.spent AS s (policy, vehicle, month, fen)
		SELECT policy, vehicle, coalesce(month, '-infinity'), 0
		FROM unnest($1::text[], $2::text[], $3::date[]) WITH ORDINALITY AS k (policy, vehicle, month, nth) ORDER BY nth
		ON CONFLICT (policy, vehicle, month) DO UPDATE SET fen = s.fen WHERE false`, policyNames, vehicles, months); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT k.nth, s.fen FROM unnest($1::text[], $2::text[], $3::date[]) WITH ORDINALITY AS k (policy, vehicle, month, nth)
		JOIN sla.spent s ON s.policy = k.policy AND s.vehicle = k.vehicle AND s.month = coalesce(k.month, '-infinity')`, policyNames, vehicles, months)
	if err != nil {
		return nil, err
	}
	found := make(spending, n)
	var nth int
	var fen Fen
	_, err = pgx.ForEachRow(rows, []any{&nth, &fen}, func() error { found[keys[nth-1]] = fen; return nil })
	return found, err
}
