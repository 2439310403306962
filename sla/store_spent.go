package sla

import (
	"context"

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

// lockSpent tells what was spent of the caps the policy sets, locked until tx
// ends, so that whoever weighs the same cap next sees what came of this. The
// programme is locked before the vehicle, as the count itself does it.
func lockSpent(ctx context.Context, tx pgx.Tx, p Policy, c Compensation) (used spent, err error) {
	if p.Caps.BudgetFen > 0 {
		if used.programme, err = lockSpentOf(ctx, tx, p.Name, "", nil); err != nil {
			return used, err
		}
	}
	if p.Caps.PerVehicleMonthFen > 0 && c.Vehicle != "" {
		month := c.Month.Format("2006-01-02")
		used.vehicle, err = lockSpentOf(ctx, tx, p.Name, c.Vehicle, &month)
	}
	return used, err
}

// lockSpentOf makes the row when it is missing: a lock needs one.
func lockSpentOf(ctx context.Context, tx pgx.Tx, policy, vehicle string, month *string) (fen Fen, err error) {
	if _, err := tx.Exec(ctx, `
		INSERT INTO sla.spent (policy, vehicle, month, fen) VALUES ($1, $2, coalesce($3::date, '-infinity'), 0)
		ON CONFLICT DO NOTHING`, policy, vehicle, month); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `
		SELECT fen FROM sla.spent WHERE policy = $1 AND vehicle = $2 AND month = coalesce($3::date, '-infinity') FOR UPDATE`,
		policy, vehicle, month).Scan(&fen)
	return fen, err
}

// lockSpentOfVehicle tells what others of the vehicle's requests of the month
// have used up of its cap, locked until tx ends; 0 without such a cap, or when
// the vehicle is not known. It is called before any compensation is locked.
func lockSpentOfVehicle(ctx context.Context, tx pgx.Tx, p Policy, g Guarantee) (fen Fen, err error) {
	if p.Caps.PerVehicleMonthFen == 0 {
		return 0, nil
	}
	vehicle, err := findVehicle(ctx, tx, g.RequestID)
	if err != nil || vehicle == "" {
		return 0, err
	}
	month := monthOf(g.OpenedAt)
	if err := pg.LockTx(ctx, tx, "sla vehicle "+vehicle+" "+p.Name+" "+month.Format("2006-01")); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `
		SELECT coalesce(sum(fen), 0)::bigint FROM sla.compensations
		WHERE vehicle = $1 AND vehicle <> '' AND month = $2 AND policy = $3 AND state <> 'void' AND guarantee_id <> $4`,
		vehicle, month, p.Name, g.ID).Scan(&fen)
	return fen, err
}
