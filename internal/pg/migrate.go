package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migrations is what one slice brings: the schema it owns and the numbered,
// forward-only goose files that build it. Migrate creates the schema; the
// files name it in every statement.
type Migrations struct {
	// Schema is the Postgres schema, such as "dispatch". Its table
	// "migrations" remembers which files have run.
	Schema string
	// Files holds the *.sql files at its root or in a folder "migrations",
	// as go:embed leaves them.
	Files fs.FS
}

// Progress is one step of Migrate: file Done+1 of Total is about to run.
type Progress struct {
	Schema string
	File   string
	Done   int
	Total  int
}

// String reads "migrating dispatch 3/7".
func (p Progress) String() string {
	return fmt.Sprintf("migrating %s %d/%d", p.Schema, p.Done+1, p.Total)
}

// migrateLock is held by whoever migrates; all others wait.
const migrateLock = "rescued migrate"

// Migrate brings every set up to its newest file, in the order given. Any
// number of replicas may call it at once: one works, the others wait and
// find nothing left to do. A file that fails is rolled back and names
// itself in the error; the files before it stay. A database that is newer
// than this program is refused. progress may be nil.
func Migrate(ctx context.Context, pool *pgxpool.Pool, sets []Migrations, progress func(Progress)) error {
	lock, err := waitLock(ctx, pool, migrateLock)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer lock.Release()
	for _, set := range sets {
		if err := migrateOne(lock.Context(), pool, set, progress); err != nil {
			if lost := context.Cause(lock.Context()); errors.Is(lost, ErrLockLost) {
				err = errors.Join(lost, err)
			}
			return fmt.Errorf("migrate %s: %w", set.Schema, err)
		}
	}
	return nil
}

func migrateOne(ctx context.Context, pool *pgxpool.Pool, set Migrations, progress func(Progress)) error {
	// Not CREATE IF NOT EXISTS alone: that needs the right to create even
	// when an administrator has created the schema for us.
	var exists bool
	err := pool.QueryRow(ctx, `SELECT to_regnamespace(quote_ident($1)) IS NOT NULL`, set.Schema).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look for the schema: %w", err)
	}
	if !exists {
		if _, err := pool.Exec(ctx, `CREATE SCHEMA `+pgx.Identifier{set.Schema}.Sanitize()); err != nil {
			return fmt.Errorf("create the schema: %w", err)
		}
	}
	db := stdlib.OpenDB(*dedicatedConfig(pool, "migrate"))
	defer db.Close()
	provider, err := set.provider(db)
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	if current > target {
		return fmt.Errorf("the database is at version %d, this program knows up to %d: run a newer program", current, target)
	}
	sources := provider.ListSources()
	for done, source := range sources {
		if source.Version <= current {
			continue
		}
		if progress != nil {
			progress(Progress{Schema: set.Schema, File: source.Path, Done: done, Total: len(sources)})
		}
		if _, err := provider.UpByOne(ctx); err != nil {
			return fmt.Errorf("%s: %w", source.Path, err)
		}
	}
	return nil
}

// Pending counts the files that Migrate would run, and changes nothing. Zero
// means that the database fits this program.
func Pending(ctx context.Context, pool *pgxpool.Pool, sets []Migrations) (int, error) {
	pending := 0
	for _, set := range sets {
		var done bool
		err := pool.QueryRow(ctx, `SELECT to_regclass(quote_ident($1) || '.migrations') IS NOT NULL`, set.Schema).Scan(&done)
		if err != nil {
			return 0, fmt.Errorf("look for the migrations of %s: %w", set.Schema, err)
		}
		provider, err := set.provider(stdlib.OpenDB(*dedicatedConfig(pool, "migrate")))
		if err != nil {
			return 0, err
		}
		current := int64(0)
		if done {
			current, err = provider.GetDBVersion(ctx)
		}
		if err := errors.Join(err, provider.Close()); err != nil {
			return 0, fmt.Errorf("read the version of %s: %w", set.Schema, err)
		}
		for _, source := range provider.ListSources() {
			if source.Version > current {
				pending++
			}
		}
	}
	return pending, nil
}

func (m Migrations) provider(db *sql.DB) (*goose.Provider, error) {
	files, err := m.root()
	if err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider(database.DialectPostgres, db, files,
		goose.WithTableName(m.Schema+".migrations"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read the migration files: %w", err)
	}
	return provider, nil
}

func (m Migrations) root() (fs.FS, error) {
	if info, err := fs.Stat(m.Files, "migrations"); err == nil && info.IsDir() {
		return fs.Sub(m.Files, "migrations")
	}
	return m.Files, nil
}
