package sla

import (
	"context"
	"fmt"
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
	if cfg.SweepEvery <= 0 {
		cfg.SweepEvery = 250 * time.Millisecond
	}
	return &Service{pool: pool, cfg: cfg, now: func() time.Time { return micro(cfg.Now()) }}
}

// Errors of policies.
var (
	ErrNoPolicy      = fault.New(fault.NotFound, "policy_not_found", "There is no such policy version.")
	ErrPolicyChanged = fault.New(fault.Conflict, "policy_version_exists", "This policy version is stored with another content; a version is never edited, so give the change a new version.")
	ErrNotInstalled  = fault.New(fault.Busy, "policy_not_installed", "No policy is in force, so nothing can be promised; install the policies (the service does so when it starts).")
)

// Install stores the policies the service ships, unless they are there. Call
// it once at start, after the migrations.
func (s *Service) Install(ctx context.Context) error {
	_, err := s.AddPolicy(ctx, events.System("policy"), example45)
	return err
}

// AddPolicy stores a policy document as a new version. The same document
// again changes nothing; another one under the same name and version is
// ErrPolicyChanged. A document that cannot be meant is fault.Invalid with
// every wrong field. Administrators and the service itself may.
func (s *Service) AddPolicy(ctx context.Context, by events.Actor, document []byte) (_ Policy, err error) {
	defer fault.Wrap(&err, "add policy")
	if !by.Is(events.RoleAdmin, events.RoleSystem) {
		return Policy{}, forbidden(by)
	}
	p, err := ParsePolicy(document)
	if err != nil {
		return Policy{}, err
	}
	return p, pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		added, err := insertPolicy(ctx, tx, p, string(document), by, s.now())
		if err != nil || added {
			return err
		}
		stored, err := findPolicy(ctx, tx, p.Name, p.Version)
		if err == nil && stored != string(document) {
			err = ErrPolicyChanged.With("policy", p.Name).With("version", p.Version)
		}
		return err
	})
}

// policy gives a stored version. Versions are never edited, so each is read
// once per process.
func (s *Service) policy(ctx context.Context, db events.Querier, name string, version int) (Policy, error) {
	key := policyKey{name, version}
	if p, ok := s.policies.Load(key); ok {
		return p.(Policy), nil
	}
	document, err := findPolicy(ctx, db, name, version)
	if pg.NotFound(err) {
		return Policy{}, ErrNoPolicy.Detailf("There is no policy %s version %d.", name, version)
	}
	if err != nil {
		return Policy{}, err
	}
	p, err := ParsePolicy([]byte(document))
	if err != nil {
		return Policy{}, fmt.Errorf("stored policy %s version %d: %w", name, version, err)
	}
	s.policies.Store(key, p)
	return p, nil
}

// Promise says what the owner of a request is promised, by the policy in
// force at f.At. It reads in the opener's transaction and writes nothing: the
// promise exists once the request does, when RequestOpened is heard.
func (s *Service) Promise(ctx context.Context, tx pgx.Tx, f events.PromiseFacts) (_ events.Promise, err error) {
	defer fault.Wrap(&err, "promise")
	version, err := findPolicyAt(ctx, tx, s.cfg.Policy, f.At)
	if pg.NotFound(err) {
		return events.Promise{}, ErrNotInstalled
	}
	if err != nil {
		return events.Promise{}, err
	}
	p, err := s.policy(ctx, tx, s.cfg.Policy, version)
	if err != nil {
		return events.Promise{}, err
	}
	return p.Promise(f.At, Facts{
		Area: f.Area, Tier: f.Tier, RoadClass: f.RoadClass,
		Problem: f.Problem, Priority: f.Priority, PartnerID: f.PartnerID, Product: f.Product,
	}), nil
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

func forbidden(by events.Actor) error {
	return fault.New(fault.Forbidden, "forbidden", "Your role may not do this.").With("role", string(by.Role))
}
