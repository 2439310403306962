package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/events"
	"rescued/internal/pg"
)

// serveCmd runs the service for real: an outside Postgres and Kafka, the wall
// clock, any number of replicas.
type serveCmd struct {
	Role    []string `help:"Roles of this replica: api, dispatch, sla." default:"api,dispatch,sla"`
	Migrate bool     `help:"Bring the database to this version's schema first."`
}

// Run serves until it is told to stop. It refuses to start on a database that
// holds a development token, an older schema, or a broker without the topics.
func (c serveCmd) Run(a *app) error {
	cfg, err := readConfig(a.env)
	if err == nil {
		err = errors.Join(cfg.needDatabase(), cfg.needKafka())
	}
	if err != nil {
		return err
	}
	roles, err := parseRoles(c.Role)
	if err != nil {
		return err
	}
	log := cfg.logger(os.Stderr)
	log.Info("starting", "version", version, "roles", roles, "config", cfg.redacted())
	pool, err := pg.Open(a.ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	if c.Migrate {
		if err := pg.Migrate(a.ctx, pool, migrations(), func(p pg.Progress) { log.Info(p.String()) }); err != nil {
			return err
		}
	}
	if err := c.ready(a.ctx, cfg, pool); err != nil {
		return err
	}
	travel, err := cfg.travel()
	if err != nil {
		return err
	}
	payouts, err := cfg.payouts()
	if err != nil {
		return err
	}
	sys, err := newSystem(a.ctx, systemConfig{
		Pool: pool, Kafka: cfg.kafka(), Clock: wallClock(), Log: log, Roles: roles, PublicURL: cfg.PublicURL,
		OfferTTL: cfg.OfferTTL, Disputes: cfg.Disputes, FreshFor: cfg.FreshFor, Service: cfg.Service, Swaps: cfg.Swaps, Travel: travel, Payouts: payouts, DrainFor: cfg.DrainFor, RequestRate: cfg.RequestRate,
	})
	if err != nil {
		return err
	}
	defer sys.close()
	tokened, err := sys.tokens.AnyDevelopment(a.ctx)
	if err != nil {
		return err
	}
	if tokened {
		return errors.New("the database holds development tokens, which anybody may know: revoke them with `rescued token revoke --development`, or use another database")
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; set RESCUED_LISTEN to a free address", cfg.Listen, err)
	}
	log.Info("listening", "address", listener.Addr().String())
	err = sys.run(a.ctx, listener)
	log.Info("stopped")
	return err
}

// ready refuses what could only fail later, and says how to mend it.
func (serveCmd) ready(ctx context.Context, cfg Config, pool *pgxpool.Pool) error {
	pending, err := pg.Pending(ctx, pool, migrations())
	if err != nil {
		return err
	}
	if pending > 0 {
		return fmt.Errorf("the database lacks %d migrations: run `rescued migrate`, or start with --migrate", pending)
	}
	states, err := events.CheckTopics(ctx, cfg.kafka())
	if err != nil {
		return fmt.Errorf("%w: start the broker, or correct RESCUED_KAFKA and its settings", err)
	}
	for _, s := range states {
		if s.Mend != "" {
			return fmt.Errorf("topic %s: %s (`rescued topics` creates what is missing)", s.Name, s.Mend)
		}
	}
	return nil
}
