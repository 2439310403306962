package dispatch_test

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/geo"
)

// river is a routing engine that knows what a straight line does not: places
// south of the car lie across the water.
type river struct {
	wait  time.Duration // before each answer, wall time
	fails error         // instead of an answer
	asked atomic.Int64
	most  atomic.Int64 // places in one question
}

func (*river) Name() string { return "river" }

func (e *river) Matrix(ctx context.Context, from, to []geo.Point) ([][]time.Duration, error) {
	e.asked.Add(1)
	for n := int64(len(from) * len(to)); n > e.most.Load(); {
		e.most.CompareAndSwap(e.most.Load(), n)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(e.wait):
	}
	if e.fails != nil {
		return nil, e.fails
	}
	rows := make([][]time.Duration, len(from))
	for i, p := range from {
		rows[i] = make([]time.Duration, len(to))
		for j, q := range to {
			rows[i][j] = 8 * time.Minute
			if p.Lat < q.Lat {
				rows[i][j] = 50 * time.Minute
			}
		}
	}
	return rows, nil
}

func routedWorld(t *testing.T, engine geo.RoutingEngine) *world {
	w := newWorld(t)
	routed, err := geo.NewRouted(geo.RoutedConfig{Engine: engine})
	require.NoError(t, err)
	w.Service = dispatch.New(w.pool, dispatch.Config{
		Now: w.clock.Now, Promiser: promise45{}, LinkKey: []byte("0123456789abcdef0123456789abcdef"),
		Log: slog.New(slog.DiscardHandler), Travel: routed,
	})
	return w
}

func TestTheEngineKnowsTheRiver(t *testing.T) {
	t.Parallel()
	engine := &river{}
	w := routedWorld(t, engine)
	near, far := w.crew(-900), w.crew(4000)
	r := w.open()
	offers, err := w.Match(w.ctx, r.Area)
	require.NoError(t, err)
	require.Len(t, offers, 1)
	require.Equal(t, far.ID, offers[0].Crew, "the nearer crew is across the water")
	require.Equal(t, 8*time.Minute, offers[0].Travel)
	require.Contains(t, offers[0].Why, "river")
	require.EqualValues(t, 1, engine.asked.Load(), "the round under the lock uses the figures asked for ahead of it")

	rounds, err := w.Considered(w.ctx, desk, r.ID)
	require.NoError(t, err)
	require.Equal(t, near.ID, rounds[0].Crews[1].Crew)
	require.Equal(t, "river (cached)", rounds[0].Crews[1].Source)
}

func TestADeadEngineCostsOnlyItsFigures(t *testing.T) {
	t.Parallel()
	w := routedWorld(t, &river{wait: time.Minute})
	near, _ := w.crew(-900), w.crew(4000)
	r := w.open()
	begun := time.Now()
	offers, err := w.Match(w.ctx, r.Area)
	require.NoError(t, err)
	require.Len(t, offers, 1)
	require.Equal(t, near.ID, offers[0].Crew, "the straight line answers")
	require.Contains(t, offers[0].Why, "straight_line (timeout)")
	require.Less(t, time.Since(begun), 20*time.Second, "nobody waits for the engine's minute")
}

// However many crews and requests there are, an engine that is paid by the
// place hears of eight crews for each request, once.
func TestTheEngineIsAskedAboutAShortlist(t *testing.T) {
	t.Parallel()
	engine := &river{}
	w := routedWorld(t, engine)
	for n := range 20 {
		w.crew(500 + 400*float64(n))
	}
	var last dispatch.Request
	for n := range 3 {
		last = w.open(func(in *dispatch.NewRequest) { in.Location.Lat = ptr(futian.Lat + 0.01*float64(n)) })
	}
	offers, err := w.Match(w.ctx, last.Area)
	require.NoError(t, err)
	require.Len(t, offers, 3)
	require.EqualValues(t, 8, engine.most.Load())
	require.EqualValues(t, 3, engine.asked.Load(), "one question for each request, though each weighed 16 crews twice")
	rounds, err := w.Considered(w.ctx, desk, last.ID)
	require.NoError(t, err)
	sources := map[string]int{}
	for _, c := range rounds[0].Crews {
		sources[c.Source]++
	}
	require.Equal(t, map[string]int{"river (cached)": 8, "straight_line (not_shortlisted)": 8, "": 4}, sources)
}

func TestAnExhaustedQuotaIsTold(t *testing.T) {
	t.Parallel()
	w := routedWorld(t, &river{fails: &geo.EngineError{Engine: "river", Why: geo.FailQuota}})
	near, far := w.crew(-900), w.crew(4000)
	r := w.open()
	offers, err := w.Match(w.ctx, r.Area)
	require.NoError(t, err)
	require.Equal(t, near.ID, offers[0].Crew, "the straight line answers")
	require.Contains(t, offers[0].Why, "straight_line (quota)")
	rounds, err := w.Considered(w.ctx, desk, r.ID)
	require.NoError(t, err)
	require.Equal(t, "straight_line (quota)", rounds[0].Crews[0].Source)

	// The desk's own choice says whose figure it rests on, too.
	_, err = w.Reassign(w.ctx, desk, r.ID, far.ID, "knows the way", 0)
	require.NoError(t, err)
	rounds, err = w.Considered(w.ctx, desk, r.ID)
	require.NoError(t, err)
	byHand := rounds[len(rounds)-1].Crews[0]
	require.Equal(t, dispatch.WhyByHand, byHand.Why)
	require.Equal(t, "straight_line (quota)", byHand.Source)
}

// toll is an engine that is paid by the call.
type toll struct{ *river }

func (toll) Metered() bool { return true }

// Who watches his crew come costs no calls, and is not told too early a time.
func TestWatchingACrewAsksNoPaidEngine(t *testing.T) {
	t.Parallel()
	engine := toll{&river{}}
	routed, err := geo.NewRouted(geo.RoutedConfig{Engine: engine})
	require.NoError(t, err)
	e := newEdge(t, func(c *dispatch.Config) { c.Travel = routed })
	crew, owner := e.crew(e.provider(), 3000), newOwner()
	r := e.assign(owner, crew, "粤B12345")
	path := "/v1/requests/" + r.id()
	e.ok(crew, http.MethodPost, path+"/depart", nil)
	planned := e.ok(owner, http.MethodGet, path, nil).Body["expected_at"]
	asked := engine.asked.Load()
	require.Positive(t, asked)

	// By the model the last 1.5 km take 4 minutes; planned were 8 for the whole.
	e.pass(time.Minute)
	e.report(crew, 1500)
	expected := func() (at any) {
		e.follow(owner, path+"/stream", 0, func(ev sent) bool {
			at = ev.Data["expected_at"]
			return ev.Name == "position"
		})
		return at
	}
	require.Equal(t, planned, expected())
	e.pass(20 * time.Minute) // long past it
	e.report(crew, 1500)
	late, err := time.Parse(time.RFC3339Nano, expected().(string))
	require.NoError(t, err)
	require.WithinDuration(t, e.clock.Now().Add(4*time.Minute), late, 10*time.Second)
	require.Equal(t, asked, engine.asked.Load())
}
