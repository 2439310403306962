// Package pg is the service's door to Postgres: a pool with sane limits,
// transactions that survive deadlocks, advisory locks, migrations per slice,
// and the few questions one asks of a database error.
//
// It knows nothing of rescues. Business time never comes from here: no
// statement of this package calls now() for anything that is stored.
package pg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connectTimeout = 5 * time.Second
	openTimeout    = 10 * time.Second
	defaultConns   = 20
)

// defaults are the session settings of every connection. The URL's own
// query parameters win, so that an operator can change any of them.
var defaults = map[string]string{
	"application_name":                    "rescued",
	"timezone":                            "UTC",
	"statement_timeout":                   "60s",
	"lock_timeout":                        "10s",
	"idle_in_transaction_session_timeout": "60s",
	// What is asked here is cheap and asked often; compiling it took three
	// quarters of the time of chaining the ledger.
	"jit": "off",
}

// Open connects to the database at url (a postgres:// URL or a libpq
// keyword string) and proves it with one round trip. Sessions run in UTC,
// call themselves "rescued", and bound every statement (60 s), lock wait
// (10 s) and idle transaction (60 s); parameters in the URL override these
// and the pool's size (pool_max_conns, 20). The error says what to mend and
// never contains the password.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	if strings.TrimSpace(url) == "" {
		return nil, errors.New("no database URL: set RESCUED_DATABASE_URL to postgres://USER:PASSWORD@HOST:5432/DATABASE")
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("the database URL cannot be read, write it as postgres://USER:PASSWORD@HOST:5432/DATABASE: %w", err)
	}
	for name, value := range defaults {
		if _, set := cfg.ConnConfig.RuntimeParams[name]; !set {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = defaultConns
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, explainConnect(cfg.ConnConfig, err)
	}
	return pool, nil
}

// explainConnect turns a failed first connection into a sentence with a mend.
func explainConnect(cfg *pgx.ConnConfig, err error) error {
	at := net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	if strings.HasPrefix(cfg.Host, "/") {
		at = cfg.Host
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case "28P01", "28000":
			return fmt.Errorf("the database at %s refuses user %q, correct the user or password in the database URL: %w", at, cfg.User, err)
		case "3D000":
			return fmt.Errorf("the database at %s has no database %q, create it or correct the database URL: %w", at, cfg.Database, err)
		case "53300":
			return fmt.Errorf("the database at %s has no connection left, raise max_connections there or lower pool_max_conns here: %w", at, err)
		}
	}
	// The driver tells every address and TLS mode it tried, a line each; the
	// first attempt says enough.
	if dial := (*net.OpError)(nil); errors.As(err, &dial) {
		err = dial
	}
	return fmt.Errorf("the database at %s does not answer, start it or correct the database URL: %w", at, err)
}

// dedicated opens one connection beside the pool, for work that belongs to
// a session and must not be cut off by the pool's statement and lock limits.
func dedicated(ctx context.Context, pool *pgxpool.Pool, purpose string) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, dedicatedConfig(pool, purpose))
	if err != nil {
		return nil, fmt.Errorf("connect for %s: %w", purpose, err)
	}
	return conn, nil
}

func dedicatedConfig(pool *pgxpool.Pool, purpose string) *pgx.ConnConfig {
	cfg := pool.Config().ConnConfig.Copy()
	cfg.RuntimeParams = maps.Clone(cfg.RuntimeParams)
	cfg.RuntimeParams["application_name"] = "rescued " + purpose
	cfg.RuntimeParams["statement_timeout"] = "0"
	cfg.RuntimeParams["lock_timeout"] = "0"
	return cfg
}
