package pg_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/internal/pg"
	"rescued/internal/pgtest"
)

// slice is a set of n files; file k makes table tk, so running one twice fails.
func slice(schema string, n int) pg.Migrations {
	files := fstest.MapFS{}
	for k := 1; k <= n; k++ {
		files[fmt.Sprintf("migrations/%05d_t.sql", k)] = &fstest.MapFile{
			Data: fmt.Appendf(nil, "-- +goose Up\nCREATE TABLE %s.t%d (id int);\n", schema, k),
		}
	}
	return pg.Migrations{Schema: schema, Files: files}
}

// Four replicas start at once on an empty database: every file runs once.
func TestMigrateFromFourReplicas(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	sets := []pg.Migrations{slice("events", 2), slice("dispatch", 3)}
	var mu sync.Mutex
	var said []string
	g, ctx := errgroup.WithContext(context.Background())
	for range 4 {
		g.Go(func() error {
			pool, err := pg.Open(ctx, url)
			if err != nil {
				return err
			}
			defer pool.Close()
			return pg.Migrate(ctx, pool, sets, func(p pg.Progress) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, p.String())
			})
		})
	}
	require.NoError(t, g.Wait())
	require.Equal(t, []string{
		"migrating events 1/2", "migrating events 2/2",
		"migrating dispatch 1/3", "migrating dispatch 2/3", "migrating dispatch 3/3",
	}, said)
}

func TestMigrateGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t, slice("sla", 1))

	broken := slice("sla", 3)
	broken.Files.(fstest.MapFS)["migrations/00003_t.sql"].Data = []byte("-- +goose Up\nCREATE TABLE sla.t3 (id int);\nSELECT 1/0;\n")
	err := pg.Migrate(ctx, pool, []pg.Migrations{broken}, nil)
	require.ErrorContains(t, err, "migrate sla")
	require.ErrorContains(t, err, "00003_t.sql")
	tables := func() (n int) {
		require.NoError(t, pool.QueryRow(ctx, `SELECT count(*) FROM pg_tables WHERE schemaname = 'sla' AND tablename LIKE 't_'`).Scan(&n))
		return n
	}
	require.Equal(t, 2, tables(), "file 2 stays, file 3 left nothing")

	var said []string
	note := func(p pg.Progress) { said = append(said, p.String()) }
	require.NoError(t, pg.Migrate(ctx, pool, []pg.Migrations{slice("sla", 3)}, note))
	require.Equal(t, []string{"migrating sla 3/3"}, said)
	require.Equal(t, 3, tables())

	err = pg.Migrate(ctx, pool, []pg.Migrations{slice("sla", 2)}, nil)
	require.ErrorContains(t, err, "the database is at version 3, this program knows up to 2: run a newer program")
}

func TestPendingCountsAndChangesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t, slice("sla", 2))

	for range 2 { // asking changes nothing
		pending, err := pg.Pending(ctx, pool, []pg.Migrations{slice("events", 2), slice("sla", 3)})
		require.NoError(t, err)
		require.Equal(t, 3, pending, "all of events, the third of sla")
	}
	require.NoError(t, pg.Migrate(ctx, pool, []pg.Migrations{slice("events", 2), slice("sla", 3)}, nil))
	pending, err := pg.Pending(ctx, pool, []pg.Migrations{slice("events", 2), slice("sla", 3)})
	require.NoError(t, err)
	require.Zero(t, pending)
}
