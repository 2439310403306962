package dispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/geo"
	"rescued/internal/pgtest"
)

var (
	desk   = events.Actor{Role: events.RoleOperator, Subject: "li.wei"}
	root   = events.Actor{Role: events.RoleAdmin, Subject: "root"}
	system = events.System("test")
	futian = geo.Point{Lat: 22.5431, Lng: 114.0579} // Shenzhen
)

// clock is a business clock that moves only when told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// promise45 promises 45 minutes in town and 60 outside, and 30 to gold
// customers while a yellow alert is declared.
type promise45 struct{}

func (promise45) Promise(_ context.Context, _ pgx.Tx, f events.PromiseFacts) (events.Promise, error) {
	minutes := 45
	if f.Tier == string(geo.County) {
		minutes = 60
	}
	weather := ""
	if f.Product == "gold" {
		minutes, weather = 30, "yellow"
	}
	return events.Promise{
		Weather: weather, Minutes: minutes, DueAt: f.At.Add(time.Duration(minutes) * time.Minute),
		Policy: "example-45", PolicyVersion: 1, Rule: f.Tier, Reason: "as the area promises",
	}, nil
}

// world is a database with one service on it and a clock of its own.
type world struct {
	*dispatch.Service
	t        testing.TB
	ctx      context.Context
	pool     *pgxpool.Pool
	clock    *clock
	provider events.ProviderID
	cars     int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	pool := pgtest.New(t, events.Migrations, dispatch.Migrations)
	w := &world{t: t, ctx: context.Background(), pool: pool, clock: newClock()}
	w.Service = w.replica(pool)
	p, err := w.RegisterProvider(w.ctx, root, dispatch.NewProvider{Name: "Southern Recovery", Phone: "+86 755 1234 5678"})
	require.NoError(t, err)
	w.provider = p.ID
	return w
}

// replica is one more service on the same database.
func (w *world) replica(pool *pgxpool.Pool) *dispatch.Service {
	return dispatch.New(pool, dispatch.Config{
		Now: w.clock.Now, Promiser: promise45{}, LinkKey: []byte("0123456789abcdef0123456789abcdef"),
		Log: slog.New(slog.DiscardHandler), SweepEvery: 10 * time.Millisecond, RetryEvery: 50 * time.Millisecond,
		RefreshEvery: 50 * time.Millisecond, Swaps: true,
	})
}

func as(c dispatch.Crew) events.Actor {
	return events.Actor{Role: events.RoleCrew, Subject: c.ID.String()}
}

func ownerOf(r dispatch.Request) events.Actor {
	return events.Actor{Role: events.RoleOwner, Subject: r.Owner.String()}
}

// crew is a crew on duty that stands so many metres north of the car.
func (w *world) crew(metresNorth float64, can ...string) dispatch.Crew {
	w.t.Helper()
	if len(can) == 0 {
		can = dispatch.AllCapabilities()
	}
	c, err := w.RegisterCrew(w.ctx, root, dispatch.NewCrew{
		Provider: w.provider, Name: fmt.Sprintf("Crew at %.0f", metresNorth), Phone: "13800000000", Capabilities: can,
	})
	require.NoError(w.t, err)
	c, err = w.StartShift(w.ctx, as(c), c.ID)
	require.NoError(w.t, err)
	w.sight(c, metresNorth)
	return c
}

// sight says that a crew stands so many metres north of the car now.
func (w *world) sight(c dispatch.Crew, metresNorth float64) dispatch.Fix {
	f := dispatch.Fix{At: w.clock.Now(), Point: geo.Offset(futian, metresNorth, 0), Accuracy: 10}
	w.Sight(c.ID, f)
	return f
}

func ptr[T any](v T) *T { return &v }

// call is what an owner says; every call is for another car.
func (w *world) call() dispatch.NewRequest {
	w.cars++
	return carCall(w.cars)
}

func carCall(n int) dispatch.NewRequest {
	return dispatch.NewRequest{
		Contact:  dispatch.Contact{Name: "王小明", Phone: "+86 138 0013 8000"},
		Vehicle:  dispatch.Vehicle{Plate: fmt.Sprintf("粤B·%05d", n), Energy: dispatch.EnergyICE},
		Problem:  dispatch.ProblemBatteryJump,
		Location: dispatch.NewLocation{Lat: ptr(futian.Lat), Lng: ptr(futian.Lng), Datum: geo.WGS84},
	}
}

func (w *world) open(edit ...func(*dispatch.NewRequest)) dispatch.Request {
	w.t.Helper()
	in := w.call()
	for _, e := range edit {
		e(&in)
	}
	r, err := w.Open(w.ctx, events.Actor{Role: events.RoleOwner, Subject: events.NewID[events.OwnerID]().String()}, in)
	require.NoError(w.t, err)
	return r
}

func (w *world) match(r dispatch.Request) []dispatch.Offer {
	w.t.Helper()
	offers, err := w.Match(w.ctx, r.Area)
	require.NoError(w.t, err)
	return offers
}

func (w *world) reload(r dispatch.Request) dispatch.Request {
	w.t.Helper()
	r, err := w.Request(w.ctx, desk, r.ID)
	require.NoError(w.t, err)
	return r
}

func (w *world) crewNow(c dispatch.Crew) dispatch.Crew {
	w.t.Helper()
	c, err := w.Crew(w.ctx, desk, c.ID)
	require.NoError(w.t, err)
	return c
}

// assigned is a request that the crew has accepted.
func (w *world) assigned(c dispatch.Crew) dispatch.Request {
	w.t.Helper()
	r := w.open()
	offers := w.match(r)
	require.Len(w.t, offers, 1)
	require.Equal(w.t, c.ID, offers[0].Crew)
	r, err := w.Accept(w.ctx, as(c), offers[0].ID)
	require.NoError(w.t, err)
	return r
}

// told is the types of the events of a request, in order.
func (w *world) told(r dispatch.Request) []string {
	w.t.Helper()
	envs, err := w.History(w.ctx, desk, r.ID)
	require.NoError(w.t, err)
	types := make([]string, len(envs))
	for i, env := range envs {
		types[i] = env.Type
	}
	return types
}
