package pg_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/internal/pg"
	"rescued/internal/pgtest"
)

func TestTryLockHasOneHolder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	lock, ok, err := pg.TryLock(ctx, pool, "relay")
	require.NoError(t, err)
	require.True(t, ok)

	_, ok, err = pg.TryLock(ctx, pool, "relay")
	require.NoError(t, err)
	require.False(t, ok)
	other, ok, err := pg.TryLock(ctx, pool, "another")
	require.NoError(t, err)
	require.True(t, ok, "another key is another lock")
	other.Release()

	require.NoError(t, lock.Context().Err())
	lock.Release()
	lock.Release()
	require.ErrorIs(t, context.Cause(lock.Context()), context.Canceled)
	for range 50 {
		lock, ok, err = pg.TryLock(ctx, pool, "relay")
		require.NoError(t, err)
		require.True(t, ok, "free as soon as it is released")
		lock.Release()
	}
}

// The holder learns within moments that its session is gone.
func TestLockNoticesItsLoss(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	lock, ok, err := pg.TryLock(ctx, pool, "relay")
	require.NoError(t, err)
	require.True(t, ok)
	defer lock.Release()
	_, err = pool.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name = 'rescued lock' AND datname = current_database()`)
	require.NoError(t, err)
	select {
	case <-lock.Context().Done():
		require.ErrorIs(t, context.Cause(lock.Context()), pg.ErrLockLost)
	case <-time.After(time.Minute):
		t.Fatal("the loss went unnoticed")
	}
}

func TestLockEndsWithItsContext(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	ctx, cancel := context.WithCancel(context.Background())
	_, ok, err := pg.TryLock(ctx, pool, "relay")
	require.NoError(t, err)
	require.True(t, ok)
	cancel()
	require.Eventually(t, func() bool {
		lock, ok, err := pg.TryLock(context.Background(), pool, "relay")
		if ok {
			lock.Release()
		}
		return err == nil && ok
	}, time.Minute, 20*time.Millisecond)
}

// Eight transactions read, wait and write; without the lock they would
// overwrite each other.
func TestLockTxLetsOneInAtATime(t *testing.T) {
	t.Parallel()
	pool := counters(t)
	var inside atomic.Int32
	g, ctx := errgroup.WithContext(context.Background())
	for range 8 {
		g.Go(func() error {
			return pg.InTx(ctx, pool, func(tx pgx.Tx) error {
				if err := pg.LockTx(ctx, tx, "area 310100"); err != nil {
					return err
				}
				require.EqualValues(t, 1, inside.Add(1))
				defer inside.Add(-1)
				var n int
				if err := tx.QueryRow(ctx, `SELECT n FROM counter WHERE id = 1`).Scan(&n); err != nil {
					return err
				}
				time.Sleep(5 * time.Millisecond)
				_, err := tx.Exec(ctx, `UPDATE counter SET n = $1 WHERE id = 1`, n+1)
				return err
			})
		})
	}
	require.NoError(t, g.Wait())
	var n int
	require.NoError(t, pool.QueryRow(context.Background(), `SELECT n FROM counter WHERE id = 1`).Scan(&n))
	require.Equal(t, 8, n)
}
