package sla

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// Pay takes an approved compensation through its batch to paid, by the table.
func Pay(ctx context.Context, s *Service, id events.CompensationID) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		c, err := lockCompensation(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, ev := range []CompensationEvent{evBatch, evPay} {
			if c, err = stepCompensation(ctx, tx, c, ev, events.System("batch"), "paid by a test", s.now()); err != nil {
				return err
			}
		}
		return nil
	})
}
