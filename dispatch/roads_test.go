package dispatch_test

import (
	"context"
	"log/slog"
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
	asked atomic.Int64
}

func (*river) Name() string { return "river" }

func (e *river) Matrix(ctx context.Context, from, to []geo.Point) ([][]time.Duration, error) {
	e.asked.Add(1)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(e.wait):
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
