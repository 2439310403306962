package pgtest_test

import (
	"context"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/internal/pg"
	"rescued/internal/pgtest"
)

var words = pg.Migrations{Schema: "words", Files: fstest.MapFS{
	"migrations/00001_word.sql": {Data: []byte("-- +goose Up\nCREATE TABLE words.word (text text PRIMARY KEY);\n")},
}}

// Two tests that write the same key do not meet.
func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one", "two", "three"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			pool := pgtest.New(t, words)
			t.Logf("database after %v", time.Since(begin))
			_, err := pool.Exec(context.Background(), `INSERT INTO words.word VALUES ('same')`)
			require.NoError(t, err)
		})
	}
}

func TestDatabaseWithoutMigrationsIsEmpty(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	var exists bool
	err := pool.QueryRow(context.Background(), `SELECT to_regnamespace('words') IS NOT NULL`).Scan(&exists)
	require.NoError(t, err)
	require.False(t, exists)
}

// A database is gone once its test is over.
func TestDatabaseIsDropped(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("test", func(t *testing.T) {
		pool := pgtest.New(t, words)
		require.NoError(t, pool.QueryRow(context.Background(), `SELECT current_database()`).Scan(&name))
	})
	var exists bool
	err := pgtest.New(t).QueryRow(context.Background(),
		`SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&exists)
	require.NoError(t, err)
	require.False(t, exists)
}
