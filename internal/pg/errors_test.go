package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"rescued/internal/pg"
	"rescued/internal/pgtest"
)

func TestTransientByCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"40001": true, "40P01": true, "40002": false, // lost races, but a constraint is ours
		"57P01": true, "57P03": true, "57014": true, // shutdown, starting, cancelled
		"53300": true, "53100": true, "08006": true, "55P03": true, "25006": true,
		"23505": false, "23514": false, "22P02": false, "42P01": false, "25P02": false, "P0001": false,
	} {
		err := fmt.Errorf("step: %w", &pgconn.PgError{Code: code})
		require.Equal(t, want, pg.Transient(err), code)
	}
	require.False(t, pg.Transient(nil))
	require.False(t, pg.Transient(errors.New("negative sum")))
	require.True(t, pg.Transient(fmt.Errorf("read: %w", io.ErrUnexpectedEOF)))
	require.True(t, pg.Transient(context.Canceled))
}

// A session killed by the server, a closed connection and a closed pool are
// failures of the way, not of the work.
func TestTransientWhenTheConnectionGoes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, `SELECT pg_terminate_backend($1)`, conn.PgConn().PID())
	require.NoError(t, err)
	_, err = conn.Exec(ctx, `SELECT 1`)
	require.Error(t, err)
	require.True(t, pg.Transient(err), "terminated: %v", err)
	_, err = conn.Exec(ctx, `SELECT 1`)
	require.True(t, pg.Transient(err), "closed: %v", err)

	other, err := pg.Open(ctx, pool.Config().ConnString())
	require.NoError(t, err)
	other.Close()
	_, err = other.Exec(ctx, `SELECT 1`)
	require.True(t, pg.Transient(err), "pool: %v", err)
}

func TestViolates(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	_, err := pool.Exec(ctx, `CREATE TABLE crew (plate text CONSTRAINT crew_plate_once UNIQUE, age int CONSTRAINT crew_age_positive CHECK (age > 0))`)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, `INSERT INTO crew VALUES ('A', 1)`)
	require.NoError(t, err)

	_, err = pool.Exec(ctx, `INSERT INTO crew VALUES ('A', 1)`)
	require.True(t, pg.Violates(err, "crew_plate_once"))
	require.False(t, pg.Violates(err, "crew_age_positive"))
	require.False(t, pg.Transient(err))
	_, err = pool.Exec(ctx, `INSERT INTO crew VALUES ('B', 0)`)
	require.Equal(t, "crew_age_positive", pg.Violated(err))
	_, err = pool.Exec(ctx, `INSERT INTO nobody VALUES (1)`)
	require.Empty(t, pg.Violated(err))
	require.False(t, pg.Violates(nil, ""))

	err = pool.QueryRow(ctx, `SELECT 1 WHERE false`).Scan(new(int))
	require.True(t, pg.NotFound(err))
}
