package dispatch

import (
	"context"
	"embed"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/pg"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations builds the slice's schema.
var Migrations = pg.Migrations{Schema: "dispatch", Files: migrationFiles}

// Promiser answers which promise applies to a request that is being opened.
// It is called inside the opening transaction.
type Promiser interface {
	Promise(ctx context.Context, tx pgx.Tx, f events.PromiseFacts) (events.Promise, error)
}

// Config is what a Service needs. Durations are business time unless they say
// wall time.
type Config struct {
	Now      func() time.Time // business clock; required
	Promiser Promiser         // required

	Areas  *geo.Areas                // cover used while none is imported; nil is China's cities
	Index  *geo.Index[events.CrewID] // nil is a new one
	Travel *geo.Routed               // travel times, with or without a routing engine; nil is without
	Model  geo.StraightLine          // answers for the engine, as corrected by what finished jobs teach; zero is geo.DefaultStraightLine
	Zone   *time.Location            // whose rush hours the straight-line model knows; nil is UTC+8
	Wake   func()                    // called after a commit that left something to publish; may be nil
	Log    *slog.Logger              // nil is slog.Default
	Meters prometheus.Registerer     // nil registers nothing

	LinkKey []byte // signs tracking links

	OfferTTL  time.Duration // time to answer an offer; 45 s
	FreshFor  time.Duration // a crew not heard of for longer is not asked; 10 min
	MaxTravel time.Duration // a crew further away is not asked; 2 h
	Turnout   time.Duration // from accepting to driving off; 1 min
	Service   time.Duration // expected time at the car; 30 min
	// Swaps lets an asked crew, or one on its way, be sent to another request
	// when that keeps a promise and breaks none.
	Swaps bool

	SweepEvery   time.Duration // wall time between sweeps; 250 ms
	RetryEvery   time.Duration // wall time before waiting requests are tried again unasked; 2 s
	RefreshEvery time.Duration // wall time between readings of changed crews and areas; 2 s
	LearnEvery   time.Duration // wall time between readings of finished drives; 30 s
	WarnEvery    time.Duration // wall time between looks ahead; 1 s
	Matchers     int           // areas matched at once; 4
}

// Service gets a crew to a car. Its methods are the slice's commands, each one
// transaction; its loops are Run and Follow. It is safe for concurrent use,
// and any number of replicas may work on one database.
type Service struct {
	pool    *pgxpool.Pool
	cfg     Config
	log     *slog.Logger
	fleet   *fleet
	cover   atomic.Pointer[Cover]
	queue   *areaQueue
	calls   *callbook
	meter   *meter
	learner *learner
	heard   heard

	refreshing sync.Mutex
	horizon    string // where the next reading of changed crews goes on
}

// New makes a service over a migrated database. Call Refresh, or run Follow,
// before the first command: until then the index is empty and the cover is
// the default one.
func New(pool *pgxpool.Pool, cfg Config) *Service {
	cfg = cfg.withDefaults()
	s := &Service{
		pool: pool, cfg: cfg, log: cfg.Log,
		fleet: newFleet(cfg.Index), queue: newAreaQueue(), calls: newCallbook(), meter: newMeter(cfg.Meters),
		learner: newLearner(cfg.Model, cfg.Zone),
	}
	if cfg.Meters != nil {
		cfg.Meters.MustRegister(roadMeter{cfg.Travel, s.learner})
	}
	s.cover.Store(&Cover{sets: []*geo.Areas{cfg.Areas}})
	return s
}

func (c Config) withDefaults() Config {
	if c.Areas == nil {
		c.Areas = geo.ChinaAreas()
	}
	if c.Index == nil {
		c.Index = geo.NewIndex[events.CrewID]()
	}
	if c.Model == (geo.StraightLine{}) {
		c.Model = geo.DefaultStraightLine()
	}
	if c.Travel == nil {
		c.Travel = withoutEngine()
	}
	if c.Zone == nil {
		c.Zone = time.FixedZone("UTC+8", 8*60*60)
	}
	if c.Wake == nil {
		c.Wake = func() {}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	for _, d := range []struct {
		at    *time.Duration
		value time.Duration
	}{
		{&c.OfferTTL, 45 * time.Second}, {&c.FreshFor, 10 * time.Minute}, {&c.MaxTravel, 2 * time.Hour},
		{&c.Turnout, time.Minute}, {&c.Service, 30 * time.Minute}, {&c.WarnEvery, time.Second},
		{&c.SweepEvery, 250 * time.Millisecond}, {&c.RetryEvery, 2 * time.Second}, {&c.RefreshEvery, 2 * time.Second},
		{&c.LearnEvery, 30 * time.Second},
	} {
		if *d.at <= 0 {
			*d.at = d.value
		}
	}
	if c.Matchers <= 0 {
		c.Matchers = 4
	}
	return c
}

// now is the business time of one transaction, as the database keeps it.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// Areas is the present cover.
func (s *Service) Areas() *Cover { return s.cover.Load() }

// Index holds every crew this replica knows of.
func (s *Service) Index() *geo.Index[events.CrewID] { return s.cfg.Index }
