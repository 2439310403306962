package sla

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// Config is what a Service needs beside its pool.
type Config struct {
	// Now is the business clock. Required.
	Now func() time.Time
	// Policy names the policy that new promises are made under; example-45
	// when empty.
	Policy string
	// Visible says whether an owner, crew, provider or partner may see a
	// request; its error is the answer to the caller. Without it they see
	// nothing.
	Visible func(ctx context.Context, by events.Actor, id events.RequestID) error
	// Wake is called after a commit that left events in the outbox. It may be
	// missing.
	Wake func()
	// Log takes what a loop cannot return; slog.Default when nil.
	Log *slog.Logger
	// Meters takes what the nightly verification measures. It may be missing.
	Meters prometheus.Registerer
	// AtRiskWithin is how long before the deadline a guarantee without an
	// arrival raises an alarm, in business time; 10 minutes when zero.
	AtRiskWithin time.Duration
	// Payouts are the ways in which batches can be paid; the first is taken
	// when nobody names one. Without any, none can be submitted.
	Payouts []Payout
	// DisputeWindow is how long, in business time, whom a statement is of may
	// dispute its charges once it is issued; 7 days when zero.
	DisputeWindow time.Duration
	// SweepEvery is the wall time between two sweeps; 250 ms when zero.
	SweepEvery time.Duration
}

// Service keeps promises: one method per command, one transaction each. Any
// number of replicas may run on one database.
type Service struct {
	pool *pgxpool.Pool
	cfg  Config
	now  func() time.Time

	policies sync.Map // policyKey -> Policy; versions never change
}

type policyKey struct {
	name    string
	version int
}

// New makes a Service. It panics without a clock.
func New(pool *pgxpool.Pool, cfg Config) *Service {
	if cfg.Now == nil {
		panic("sla.New: Config.Now is missing")
	}
	if cfg.Policy == "" {
		cfg.Policy = Example45().Name
	}
	if cfg.Wake == nil {
		cfg.Wake = func() {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.AtRiskWithin <= 0 {
		cfg.AtRiskWithin = 10 * time.Minute
	}
	if cfg.DisputeWindow <= 0 {
		cfg.DisputeWindow = 7 * 24 * time.Hour
	}
	if cfg.SweepEvery <= 0 {
		cfg.SweepEvery = 250 * time.Millisecond
	}
	return &Service{pool: pool, cfg: cfg, now: func() time.Time { return micro(cfg.Now()) }}
}

// inTx runs a command in one transaction and lets the relay know.
func (s *Service) inTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return s.inTxIf(ctx, func(tx pgx.Tx) (bool, error) { return true, fn(tx) })
}

// inTxIf wakes the relay only when fn says that it told something.
func (s *Service) inTxIf(ctx context.Context, fn func(tx pgx.Tx) (told bool, err error)) error {
	var told bool
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		told, err = fn(tx)
		return err
	})
	if err == nil && told {
		s.cfg.Wake()
	}
	return err
}

func forbidden(by events.Actor) *fault.Error {
	return fault.New(fault.Forbidden, "forbidden", "Your role may not do this.").With("role", string(by.Role))
}
