package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"rescued/cmd/rescued/pages"
	"rescued/dispatch"
	"rescued/events"
	"rescued/geo"
	"rescued/internal/pg"
	"rescued/internal/web"
	"rescued/sla"
)

// role is a part of the service that a replica may run.
type role string

const (
	roleAPI      role = "api"      // HTTP: intake, queue, pages
	roleDispatch role = "dispatch" // matching, sweeps, position trails
	roleSLA      role = "sla"      // promises, alarms, compensation
)

func allRoles() []role { return []role{roleAPI, roleDispatch, roleSLA} }

// parseRoles reads names such as api,dispatch.
func parseRoles(names []string) ([]role, error) {
	var roles []role
	for _, n := range names {
		r := role(strings.TrimSpace(n))
		if !slices.Contains(allRoles(), r) {
			return nil, fmt.Errorf("--role %q is unknown: use api, dispatch, sla, or several with commas", n)
		}
		if !slices.Contains(roles, r) {
			roles = append(roles, r)
		}
	}
	if len(roles) == 0 {
		return nil, errors.New("--role is empty: use api, dispatch, sla, or several with commas")
	}
	return roles, nil
}

// migrations are every slice's.
func migrations() []pg.Migrations {
	return []pg.Migrations{events.Migrations, web.Migrations, dispatch.Migrations, sla.Migrations}
}

// systemConfig is what one replica of the service needs.
type systemConfig struct {
	Pool        *pgxpool.Pool
	Kafka       events.ClientConfig
	Clock       *businessClock
	Log         *slog.Logger
	Roles       []role
	PublicURL   string
	OfferTTL    time.Duration
	Disputes    time.Duration // window of a statement; 0 is 7 days
	FreshFor    time.Duration
	Service     time.Duration // expected at the car; 0 is 30 min
	Swaps       bool          // of crews between requests
	Travel      *geo.Routed   // nil is the straight-line model
	Payouts     []sla.Payout  // ways in which batches are paid; without any, none can be submitted
	DrainFor    time.Duration // wall time
	RequestRate int           // calls a minute of one actor
}

// system is one replica: every part, wired, and not yet running.
type system struct {
	cfg       systemConfig
	log       *slog.Logger
	tokens    *web.Tokens
	health    *web.Health
	registry  *prometheus.Registry
	relay     *events.Relay
	feed      *events.FeedTail
	publisher *events.Publisher
	runner    *events.Runner
	dispatch  *dispatch.Service
	api       *dispatch.API
	sla       *sla.Service
	handler   http.Handler
}

// newSystem wires a replica over a migrated database. Close it when it is done.
func newSystem(ctx context.Context, cfg systemConfig) (_ *system, err error) {
	s := &system{cfg: cfg, log: cfg.Log, health: web.NewHealth(), registry: web.NewRegistry()}
	now := cfg.Clock.Now
	metrics := events.NewMetrics(s.registry)
	s.tokens = web.NewTokens(cfg.Pool, now)
	linkKey, err := s.tokens.Secret(ctx, "tracking-links")
	if err != nil {
		return nil, err
	}
	s.feed = events.NewFeedTail(cfg.Pool, cfg.Log)
	if s.relay, err = events.NewRelay(cfg.Kafka, cfg.Pool, cfg.Log, metrics, s.feed.Wake); err != nil {
		return nil, err
	}
	if s.publisher, err = events.NewPublisher(cfg.Kafka); err != nil {
		return nil, err
	}
	s.sla = sla.New(cfg.Pool, sla.Config{
		Now: now, Wake: s.relay.Wake, Log: cfg.Log, Meters: s.registry, Payouts: cfg.Payouts, DisputeWindow: cfg.Disputes,
		Visible: func(ctx context.Context, by events.Actor, id events.RequestID) error {
			_, err := s.dispatch.Request(ctx, by, id)
			return err
		},
	})
	s.dispatch = dispatch.New(cfg.Pool, dispatch.Config{
		Now: now, Promiser: s.sla, Wake: s.relay.Wake, Log: cfg.Log, Meters: s.registry,
		LinkKey: linkKey[:], OfferTTL: cfg.OfferTTL, FreshFor: cfg.FreshFor, Service: cfg.Service, Swaps: cfg.Swaps, Travel: cfg.Travel,
	})
	s.api = dispatch.NewAPI(s.dispatch, dispatch.APIConfig{
		Feed: s.feed, Publish: s.publisher.Publish, Verdicts: s.sla, Standings: s.sla.Standings, PublicURL: cfg.PublicURL, Speed: cfg.Clock.Speed(),
	})
	if s.runner, err = events.NewRunner(cfg.Kafka, cfg.Pool, cfg.Log, metrics, s.handlers(), s.batches()); err != nil {
		s.publisher.Close()
		return nil, err
	}
	s.registerHealth()
	s.handler, err = web.Router(web.Options{
		Log: cfg.Log, Tokens: s.tokens, Health: s.health, Registry: s.registry, Home: home,
		AnonymousPerMinute: min(cfg.RequestRate, 60), ActorPerMinute: cfg.RequestRate,
	}, s.mount)
	if err != nil {
		s.publisher.Close()
		return nil, err
	}
	return s, nil
}

func (s *system) close() { s.publisher.Close() }

func (s *system) has(r role) bool { return slices.Contains(s.cfg.Roles, r) }

// handlers are what this replica's roles consume.
func (s *system) handlers() (out []events.Handler) {
	if s.has(roleDispatch) {
		out = append(out, s.dispatch.Handlers()...)
	}
	if s.has(roleSLA) {
		out = append(out, s.sla.Handlers()...)
	}
	return out
}

func (s *system) batches() []events.Batch {
	if s.has(roleDispatch) {
		return s.dispatch.Batches()
	}
	return nil
}

// home is where a role starts after its login link.
func home(r events.Role) string {
	switch r {
	case events.RoleOperator, events.RoleAdmin:
		return "/queue"
	case events.RoleOwner:
		return "/"
	case events.RoleFinance:
		return "/finance"
	case events.RoleProvider:
		return "/finance/statements"
	}
	return "/docs"
}

// mount adds the routes behind the edge: the API, its documents, the pages. A
// replica without the api role serves health and metrics alone.
func (s *system) mount(r chi.Router) {
	if !s.has(roleAPI) {
		return
	}
	s.operations(web.NewAPI(r, apiTitle, apiVersion))
	mountDocs(r)
	pages.Mount(r, pages.Config{API: s.api, Service: s.dispatch, Money: s.sla, Now: s.cfg.Clock.Now, Speed: s.cfg.Clock.Speed()})
}

// operations registers every operation of the HTTP API. It needs nothing but
// the wiring, so that the OpenAPI document can be made without a database.
func (s *system) operations(api huma.API) {
	s.api.Routes(api)
	s.sla.Register(api)
	registerTokens(api, s.tokens)
}

// registerHealth names what no work can be done without. Kafka is not among
// it: with the broker down requests are still taken and still dispatched.
func (s *system) registerHealth() {
	s.health.Register("database", func(ctx context.Context) error { return s.cfg.Pool.Ping(ctx) })
}

// run serves on listener and runs every loop of this replica's roles until ctx
// ends; then readiness fails, HTTP drains, consumers finish what is in hand.
func (s *system) run(ctx context.Context, listener net.Listener) error {
	if err := s.sla.Install(ctx); err != nil {
		return err
	}
	if err := s.dispatch.Refresh(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	// Loops that fill what others read, and the relay, run in every replica:
	// one relay works, whoever's it is.
	g.Go(func() error { return s.relay.Run(ctx) })
	g.Go(func() error { return s.dispatch.Follow(ctx) })
	g.Go(func() error {
		return events.Tail(ctx, s.cfg.Kafka, events.TopicCrews, s.dispatch.HeardCrew, events.TailLog(s.log), events.TailAge(positionsFrom))
	})
	if s.has(roleAPI) {
		g.Go(func() error { return s.feed.Run(ctx) })
		g.Go(func() error { return s.tokens.Run(ctx) })
	}
	if s.has(roleDispatch) {
		g.Go(func() error { return s.dispatch.Run(ctx) })
	}
	if s.has(roleSLA) {
		g.Go(func() error { return s.sla.Run(ctx) })
	}
	if s.has(roleDispatch) || s.has(roleSLA) {
		g.Go(func() error { return s.runner.Run(ctx) })
	}
	g.Go(func() error { return s.serveHTTP(ctx, listener) })
	return g.Wait()
}

// positionsFrom is how far back, in wall time, positions are read at start.
const positionsFrom = 15 * time.Minute

func (s *system) serveHTTP(ctx context.Context, listener net.Listener) error {
	server := web.Server(s.handler)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve http: %w", err)
	case <-ctx.Done():
	}
	s.health.Drain()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainFor)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		_ = server.Close()
	}
	<-done
	return nil
}

// awaitReady waits, for a bounded time, until this replica answers for all
// that it does.
func (s *system) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		state := s.health.Ready(ctx)
		if state.Status == "ready" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready after a minute: %+v", state.Checks)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
