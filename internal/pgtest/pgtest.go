// Package pgtest gives every test a Postgres database of its own.
//
// One throw-away cluster serves all tests of a test binary. It starts with
// the first test that asks, without durability, in a temporary directory,
// and it goes when the binary ends, even when that is killed. Each set of
// migrations is run once into a template, and each test works on a copy of
// it, so tests may run in parallel and name the slices' fixed schemas.
//
// Set RESCUED_TEST_DATABASE_URL to use a server that runs already; its user
// must be allowed to create databases.
package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"rescued/internal/pg"
)

const (
	clusterTimeout = 10 * time.Minute // with the download on a machine without Postgres
	setupTimeout   = 2 * time.Minute
	closeTimeout   = 10 * time.Second
	poolConns      = 10
)

var databases atomic.Int64

// New gives the test a pool on a database of its own, migrated with the
// given sets in order. The pool is closed and the database dropped when the
// test ends; a connection still in use by then fails the test.
func New(t testing.TB, sets ...pg.Migrations) *pgxpool.Pool {
	t.Helper()
	address := URL(t, sets...)
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	pool, err := pg.Open(ctx, small(address))
	require.NoError(t, err)
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { pool.Close(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(closeTimeout):
			t.Errorf("%d database connections are still in use at the end of the test", pool.Stat().AcquiredConns())
		}
	})
	return pool
}

// URL is the address of a new database as New makes it, for tests that
// open it themselves: whole programs, several replicas.
func URL(t testing.TB, sets ...pg.Migrations) string {
	t.Helper()
	srv, err := shared() // takes minutes where Postgres must be fetched first
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	template, err := srv.template(ctx, sets)
	require.NoError(t, err)
	name := fmt.Sprintf("t_%d_%d_%d", os.Getpid(), time.Now().UnixNano()%1_000_000_000, databases.Add(1))
	require.NoError(t, srv.exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		require.NoError(t, srv.exec(ctx, "DROP DATABASE "+quote(name)+" WITH (FORCE)"))
	})
	return srv.url(name)
}

// server is where the databases live.
type server struct {
	address   *url.URL
	templates sync.Map // digest of migrations -> *template
}

type template struct {
	once sync.Once
	name string
	err  error
}

var shared = sync.OnceValues(func() (*server, error) {
	text := os.Getenv("RESCUED_TEST_DATABASE_URL")
	if text == "" {
		var err error
		if text, err = startCluster(); err != nil {
			return nil, err
		}
	}
	address, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("RESCUED_TEST_DATABASE_URL must be a postgres:// URL: %w", err)
	}
	return &server{address: address}, nil
})

// url is the address of a database.
func (s *server) url(database string) string {
	u := *s.address
	u.Path = "/" + database
	u.RawPath = ""
	return u.String()
}

// small bounds the pool that pg.Open makes of a URL, so that many tests at
// once fit into one server.
func small(address string) string {
	join := "?"
	if strings.Contains(address, "?") {
		join = "&"
	}
	return address + join + "pool_max_conns=" + strconv.Itoa(poolConns)
}

// exec runs one statement on the server's maintenance database.
func (s *server) exec(ctx context.Context, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, s.address.String())
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// template is the database that holds the sets, made at the first call.
func (s *server) template(ctx context.Context, sets []pg.Migrations) (string, error) {
	if len(sets) == 0 {
		return "template0", nil
	}
	digest, err := digestOf(sets)
	if err != nil {
		return "", err
	}
	entry, _ := s.templates.LoadOrStore(digest, &template{name: "tmpl_" + strconv.Itoa(os.Getpid()) + "_" + digest})
	tmpl := entry.(*template)
	tmpl.once.Do(func() { tmpl.err = s.build(ctx, tmpl.name, sets) })
	return tmpl.name, tmpl.err
}

func (s *server) build(ctx context.Context, name string, sets []pg.Migrations) error {
	// On a lasting server an earlier process of the same number may have
	// left its template behind.
	if err := s.exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)); err != nil {
		return err
	}
	if err := s.exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE template0"); err != nil {
		return err
	}
	pool, err := pg.Open(ctx, s.url(name))
	if err != nil {
		return err
	}
	defer pool.Close() // a template in use cannot be copied
	return pg.Migrate(ctx, pool, sets, nil)
}

// digestOf names sets by their content.
func digestOf(sets []pg.Migrations) (string, error) {
	sum := sha256.New()
	for _, set := range sets {
		fmt.Fprintf(sum, "schema %s\n", set.Schema)
		err := fs.WalkDir(set.Files, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := fs.ReadFile(set.Files, path)
			fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read migrations of %s: %w", set.Schema, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
