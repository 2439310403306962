package sla

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/pg"
)

// carMonth is what a policy's cap per vehicle and month is held against.
type carMonth struct {
	policy, vehicle string
	month           time.Time // its first day, as monthOf gives it
}

func (k carMonth) lock() string {
	return "sla vehicle " + k.vehicle + " " + k.policy + " " + k.month.Format("2006-01")
}

// capped is the car's month that a promise is held against; false without
// such a cap, or when the car is not known.
func (g Guarantee) capped(p Policy, vehicle string) (carMonth, bool) {
	return carMonth{p.Name, vehicle, monthOf(g.OpenedAt)}, p.Caps.PerVehicleMonthFen > 0 && vehicle != ""
}

// monthsLock is shared by whoever weighs a car's month and held alone by
// whoever changes many of them at once.
const monthsLock = "sla vehicle months"

// lockMonths holds cars' months until tx ends, so that what is weighed against
// their caps is weighed one after the other. It is called before any
// compensation is locked.
func lockMonths(ctx context.Context, tx pgx.Tx, keys ...carMonth) error {
	if len(keys) == 0 {
		return nil
	}
	if err := pg.LockTxShared(ctx, tx, monthsLock); err != nil {
		return err
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.lock()
	}
	return pg.LockAllTx(ctx, tx, names)
}

// lockSpentOfVehicle tells what others of the vehicle's requests of the month
// have used up of its cap, locked until tx ends; 0 without such a cap, or when
// the vehicle is not known. It is called before any compensation is locked.
func lockSpentOfVehicle(ctx context.Context, tx pgx.Tx, p Policy, g Guarantee) (Fen, error) {
	if p.Caps.PerVehicleMonthFen == 0 {
		return 0, nil
	}
	vehicle, err := findVehicle(ctx, tx, g.RequestID)
	key, capped := g.capped(p, vehicle)
	if err != nil || !capped {
		return 0, err
	}
	if err := lockMonths(ctx, tx, key); err != nil {
		return 0, err
	}
	used, err := sumMonths(ctx, tx, []carMonth{key}, g.ID, false)
	return used[key], err
}

// sumMonths tells what has been used up of each car's month by others than one
// promise: by compensations that are not void, and by what was imported to be
// paid and has not accrued yet. history counts what was imported as history
// only as well; that never takes anything from a live promise.
func sumMonths(ctx context.Context, db events.Querier, keys []carMonth, except events.GuaranteeID, history bool) (map[carMonth]Fen, error) {
	n := len(keys)
	policies, vehicles, months := make([]string, n), make([]string, n), make([]time.Time, n)
	for i, k := range keys {
		policies[i], vehicles[i], months[i] = k.policy, k.vehicle, k.month
	}
	rows, err := db.Query(ctx, `
		SELECT k.ord, (
			coalesce((SELECT sum(c.fen) FROM sla.compensations c
				WHERE c.vehicle = k.vehicle AND c.vehicle <> '' AND c.month = k.month AND c.policy = k.policy AND c.state <> 'void'
					AND c.guarantee_id IS DISTINCT FROM $4), 0)
			+ coalesce((SELECT sum(g.owed_fen) FROM sla.vehicles v JOIN sla.guarantees g ON g.request_id = v.request_id JOIN sla.imports i ON i.id = g.import_id
				WHERE v.vehicle = k.vehicle AND g.policy = k.policy AND g.owed_fen > 0 AND g.id IS DISTINCT FROM $4
					AND (g.opened_at AT TIME ZONE 'UTC' + interval '8 hours') >= k.month AND (g.opened_at AT TIME ZONE 'UTC' + interval '8 hours') < k.month + interval '1 month'
					AND ($5 OR i.payable) AND i.state <> 'rejected'
					AND NOT EXISTS (SELECT FROM sla.compensations c WHERE c.guarantee_id = g.id)), 0))::bigint
		FROM unnest($1::text[], $2::text[], $3::date[]) WITH ORDINALITY AS k (policy, vehicle, month, ord)`,
		policies, vehicles, months, except, history)
	if err != nil {
		return nil, err
	}
	used := make(map[carMonth]Fen, n)
	var ord int
	var fen Fen
	_, err = pgx.ForEachRow(rows, []any{&ord, &fen}, func() error {
		used[keys[ord-1]] = fen
		return nil
	})
	return used, err
}

// monthsOf lists the cars' months that judged rescues are held against, each
// once, in an order that is the same for everybody.
func monthsOf(list []past) (keys []carMonth) {
	for _, p := range list {
		if key, capped := p.guarantee.capped(p.policy, p.rescue.VehicleKey); capped {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b carMonth) int {
		return cmp.Or(cmp.Compare(a.vehicle, b.vehicle), a.month.Compare(b.month), cmp.Compare(a.policy, b.policy))
	})
	return slices.Compact(keys)
}
