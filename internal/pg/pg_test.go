package pg_test

import (
	"context"
	"net"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/internal/pg"
	"rescued/internal/pgtest"
)

func TestOpenSetsTheSession(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool, err := pg.Open(ctx, pgtest.URL(t)+"&lock_timeout=3s")
	require.NoError(t, err)
	defer pool.Close()
	for setting, want := range map[string]string{
		"timezone": "UTC", "application_name": "rescued", "statement_timeout": "1min", "jit": "off",
		"lock_timeout": "3s", // the URL's own word counts
	} {
		var got string
		require.NoError(t, pool.QueryRow(ctx, `SELECT current_setting($1)`, setting).Scan(&got))
		require.Equal(t, want, got, setting)
	}
}

func TestOpenNamesTheMend(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, err := pg.Open(ctx, "")
	require.ErrorContains(t, err, "set RESCUED_DATABASE_URL")
	_, err = pg.Open(ctx, "postgres://u:hush@127.0.0.1:port/db")
	require.ErrorContains(t, err, "write it as postgres://")
	require.NotContains(t, err.Error(), "hush")

	_, err = pg.Open(ctx, "postgres://u:hush@127.0.0.1:"+strconv.Itoa(closedPort(t))+"/db")
	require.ErrorContains(t, err, "does not answer, start it or correct the database URL")
	require.NotContains(t, err.Error(), "hush")
	require.True(t, pg.Transient(err))

	cfg, err := pgx.ParseConfig(pgtest.URL(t))
	require.NoError(t, err)
	_, err = pg.Open(ctx, "host="+cfg.Host+" port="+strconv.Itoa(int(cfg.Port))+" user="+cfg.User+" dbname=nowhere")
	require.ErrorContains(t, err, `has no database "nowhere", create it`)
}

// closedPort is a port nobody listens on.
func closedPort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
