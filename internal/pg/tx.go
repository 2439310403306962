package pg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	txAttempts = 6
	txBackoff  = 5 * time.Millisecond // before the second attempt; doubles
)

// InTx runs fn in one transaction: committed when fn returns nil, rolled
// back otherwise. When Postgres sacrificed the transaction to a deadlock or
// a serialization failure, it runs fn again from the start, at most five
// more times with a growing, jittered pause; fn must therefore keep its
// effects inside tx. Nothing else is retried: a refused or lost connection
// comes straight back, for the caller to judge with Transient.
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) error) error {
	pause := txBackoff
	for attempt := 1; ; attempt++ {
		err := pgx.BeginFunc(ctx, pool, fn)
		if err == nil || !lostRace(err) {
			return err
		}
		if attempt == txAttempts {
			return fmt.Errorf("gave up after %d attempts: %w", attempt, err)
		}
		// Half fixed, half random: two victims of one deadlock must not meet again.
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), err)
		case <-timer.C:
		}
		pause *= 2
	}
}

func lostRace(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (pgErr.Code == codeSerialization || pgErr.Code == codeDeadlock)
}

// NoLimits lifts the limits on how long a statement, and the pause between
// two, may last, for the rest of tx: for work that reads whole tables.
func NoLimits(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)`)
	return err
}
