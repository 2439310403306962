package events

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/internal/pg"
)

// panicked is a handler's panic as an error. It is permanent: the same record
// would bring it on again.
type panicked struct {
	value any
	stack []byte
}

// Error implements error.
func (p *panicked) Error() string { return fmt.Sprintf("the handler panicked: %v", p.value) }

func guard(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{value: v, stack: debug.Stack()}
		}
	}()
	return fn()
}

// applyOnce runs the handlers in one transaction with the inbox's note. A
// repeat, known by the note, runs none of them. Should a second replica hold
// the same event at the same time, because it was thought dead, the unique
// key makes one of the two wait and then find a repeat.
func (w *work) applyOnce(ctx context.Context, pool *pgxpool.Pool, env Envelope) (repeat bool, err error) {
	err = pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO events.inbox (consumer_group, event_id) VALUES ($1, $2)
			ON CONFLICT DO NOTHING`, w.sub.group, env.ID)
		if err != nil {
			return fmt.Errorf("note the event: %w", err)
		}
		if repeat = tag.RowsAffected() == 0; repeat {
			return nil
		}
		for _, h := range w.handlers {
			if err := guard(func() error { return h.Handle(ctx, tx, env) }); err != nil {
				return err
			}
		}
		return nil
	})
	return repeat, err
}
