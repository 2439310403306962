package pg_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/internal/pg"
	"rescued/internal/pgtest"
)

func counters(t *testing.T) *pgxpool.Pool {
	pool := pgtest.New(t)
	_, err := pool.Exec(context.Background(), `CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL);
		INSERT INTO counter VALUES (1, 0), (2, 0)`)
	require.NoError(t, err)
	return pool
}

func add(ctx context.Context, tx pgx.Tx, id int) error {
	_, err := tx.Exec(ctx, `UPDATE counter SET n = n + 1 WHERE id = $1`, id)
	return err
}

// Two transactions lock the same rows the other way round. Both hold their
// first row before either asks for its second, so one of them must fall.
func TestInTxSurvivesADeadlock(t *testing.T) {
	t.Parallel()
	pool := counters(t)
	var runs atomic.Int32
	var both sync.WaitGroup
	both.Add(2)
	g, ctx := errgroup.WithContext(context.Background())
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		var met sync.Once
		g.Go(func() error {
			return pg.InTx(ctx, pool, func(tx pgx.Tx) error {
				runs.Add(1)
				if err := add(ctx, tx, order[0]); err != nil {
					return err
				}
				met.Do(func() { both.Done(); both.Wait() })
				return add(ctx, tx, order[1])
			})
		})
	}
	require.NoError(t, g.Wait())
	require.EqualValues(t, 3, runs.Load(), "one run fell and was repeated")
	var sum int
	require.NoError(t, pool.QueryRow(context.Background(), `SELECT sum(n) FROM counter`).Scan(&sum))
	require.Equal(t, 4, sum, "each transaction counted once in each row")
}

func TestInTxGivesUpInTheEnd(t *testing.T) {
	t.Parallel()
	pool := counters(t)
	runs := 0
	err := pg.InTx(context.Background(), pool, func(pgx.Tx) error {
		runs++
		return &pgconn.PgError{Code: "40001", Message: "could not serialize"}
	})
	require.ErrorContains(t, err, "gave up after 6 attempts")
	require.True(t, pg.Transient(err))
	require.Equal(t, 6, runs)
}

func TestInTxRollsBackAndDoesNotRepeatOtherFailures(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := counters(t)
	runs, sad := 0, errors.New("no crew")
	err := pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		runs++
		return errors.Join(add(ctx, tx, 1), sad)
	})
	require.ErrorIs(t, err, sad)
	require.Equal(t, 1, runs)
	var n int
	require.NoError(t, pool.QueryRow(ctx, `SELECT n FROM counter WHERE id = 1`).Scan(&n))
	require.Zero(t, n)

	// A lost connection is not repeated in silence either.
	runs = 0
	err = pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		runs++
		_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`)
		return err
	})
	require.True(t, pg.Transient(err), "%v", err)
	require.Equal(t, 1, runs)
}
