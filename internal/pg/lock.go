package pg

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrLockLost is the cause of a Lock's ended context when the connection
// that held the lock died. Somebody else may hold the lock by then.
var ErrLockLost = errors.New("advisory lock lost with its connection")

const (
	lockHeartbeat = 5 * time.Second
	lockPoll      = 50 * time.Millisecond
)

// lockNumber is the 64-bit advisory key of a name (FNV-1a).
func lockNumber(key string) int64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	return int64(h.Sum64())
}

// LockTx takes the advisory lock of key until tx ends, waiting for whoever
// holds it, at most as long as the session's lock_timeout.
func LockTx(ctx context.Context, tx pgx.Tx, key string) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, lockNumber(key)); err != nil {
		return fmt.Errorf("lock %q: %w", key, err)
	}
	return nil
}

// LockAllTx takes the advisory locks of many keys until tx ends, in an order
// that is the same for everybody who takes several at once.
func LockAllTx(ctx context.Context, tx pgx.Tx, keys []string) error {
	numbers := make([]int64, len(keys))
	for i, key := range keys {
		numbers[i] = lockNumber(key)
	}
	slices.Sort(numbers)
	// One at a time and in this order: a function in a select list is called row
	// by row, and OFFSET keeps the rows as they were sorted.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(n) FROM (SELECT n FROM unnest($1::bigint[]) AS u (n) ORDER BY n OFFSET 0) ordered`, numbers); err != nil {
		return fmt.Errorf("lock %d keys: %w", len(keys), err)
	}
	return nil
}

// LockTxShared takes the advisory lock of key as one of many until tx ends:
// it waits for who holds it alone, and he for all who share it.
func LockTxShared(ctx context.Context, tx pgx.Tx, key string) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock_shared($1)`, lockNumber(key)); err != nil {
		return fmt.Errorf("share lock %q: %w", key, err)
	}
	return nil
}

// Lock is a session-wide advisory lock, alive as long as its own connection.
// It is a hint about who works, not a fence: between the loss of the
// connection and its notice two holders can overlap, so what must be true
// once stays a row lock or a unique index.
type Lock struct {
	conn    *pgx.Conn
	ctx     context.Context
	cancel  context.CancelCauseFunc
	watched chan struct{} // closed once the lock is given up
}

// TryLock takes the advisory lock of key on a connection of its own, or
// reports ok=false at once when another session holds it. The lock lives
// until Release, until ctx ends, or until its connection dies; work done
// under it should use Lock.Context, which ends in each of these cases.
func TryLock(ctx context.Context, pool *pgxpool.Pool, key string) (lock *Lock, ok bool, err error) {
	conn, err := lockConn(ctx, pool)
	if err != nil {
		return nil, false, err
	}
	if ok, err = tryLock(ctx, conn, key); err != nil || !ok {
		closeConn(conn)
		return nil, false, err
	}
	return watchLock(ctx, conn), true, nil
}

// waitLock polls rather than waits inside Postgres: a statement waiting for
// a lock holds a snapshot, and CREATE INDEX CONCURRENTLY waits for those.
func waitLock(ctx context.Context, pool *pgxpool.Pool, key string) (*Lock, error) {
	conn, err := lockConn(ctx, pool)
	if err != nil {
		return nil, err
	}
	for {
		ok, err := tryLock(ctx, conn, key)
		if err != nil {
			closeConn(conn)
			return nil, err
		}
		if ok {
			return watchLock(ctx, conn), nil
		}
		select {
		case <-ctx.Done():
			closeConn(conn)
			return nil, fmt.Errorf("wait for lock %q: %w", key, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// Context ends when the lock is released, lost (its cause is ErrLockLost),
// or the context given to TryLock ends.
func (l *Lock) Context() context.Context { return l.ctx }

// Release gives the lock up and closes its connection; whoever asks for the
// lock next finds it free. Where the server is silent that takes a few seconds
// and is left to it. It may be called more than once.
func (l *Lock) Release() {
	l.cancel(nil)
	<-l.watched
}

func lockConn(ctx context.Context, pool *pgxpool.Pool) (*pgx.Conn, error) {
	conn, err := dedicated(ctx, pool, "lock")
	if err != nil {
		return nil, err
	}
	// A host that vanished without a word must not keep the lock for hours.
	_, err = conn.Exec(ctx, `SELECT set_config('tcp_keepalives_idle', '10', false),
		set_config('tcp_keepalives_interval', '5', false),
		set_config('tcp_keepalives_count', '3', false)`)
	if err != nil {
		closeConn(conn)
		return nil, fmt.Errorf("prepare lock connection: %w", err)
	}
	return conn, nil
}

func tryLock(ctx context.Context, conn *pgx.Conn, key string) (bool, error) {
	var ok bool
	err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, lockNumber(key)).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("try lock %q: %w", key, err)
	}
	return ok, nil
}

func watchLock(ctx context.Context, conn *pgx.Conn) *Lock {
	ctx, cancel := context.WithCancelCause(ctx)
	l := &Lock{conn: conn, ctx: ctx, cancel: cancel, watched: make(chan struct{})}
	go func() {
		defer close(l.watched)
		l.watch()
		giveUp(conn)
	}()
	return l
}

// watch reads from the idle connection, so that its end is noticed at once,
// and asks for an answer now and then, so that a silent death is noticed too.
func (l *Lock) watch() {
	for l.ctx.Err() == nil {
		wait, cancel := context.WithTimeout(l.ctx, lockHeartbeat)
		_, err := l.conn.WaitForNotification(wait)
		quiet := wait.Err() != nil
		cancel()
		if l.ctx.Err() != nil {
			return
		}
		if err != nil && quiet {
			// To its end: a question called off half way takes the connection with it.
			ping, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), lockHeartbeat)
			err = l.conn.Ping(ping)
			cancel()
		}
		if err != nil {
			l.cancel(ErrLockLost)
			return
		}
	}
}

// giveUp frees what conn has locked before it closes it, since a server notices
// a closed connection only a while later.
func giveUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = conn.Exec(ctx, `SELECT pg_advisory_unlock_all()`)
	closeConn(conn)
}

// closeConn says goodbye even when the caller's context is over.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}
