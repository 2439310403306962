package dispatch_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/dispatch"
	"rescued/events"
)

// look has the service look ahead and returns how many requests it told of.
func (w *world) look() int {
	w.t.Helper()
	told, err := w.Warn(w.ctx)
	require.NoError(w.t, err)
	return told
}

// warned is every warning told of a request, in order.
func (w *world) warned(r dispatch.Request) (out []events.RequestWarned) {
	w.t.Helper()
	envs, err := w.History(w.ctx, desk, r.ID)
	require.NoError(w.t, err)
	for _, env := range envs {
		if env.Type == (events.RequestWarned{}).EventType() {
			ev, err := events.Decode[events.RequestWarned](env)
			require.NoError(w.t, err)
			out = append(out, ev)
		}
	}
	return out
}

func codes(reasons []events.Reason) []string {
	out := make([]string, len(reasons))
	for i, r := range reasons {
		out[i] = r.Code
	}
	return out
}

// TestACrewThatDoesNotSetOff is warned of once, with the crew that would still
// make it, and the warning ends when it drives.
func TestACrewThatDoesNotSetOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.crew(4000)
	r := w.assigned(a)
	b := w.crew(-5000)
	require.Zero(t, w.look(), "all is well")
	for range 4 {
		w.clock.advance(30 * time.Second)
		w.sight(a, 4000)
	}
	require.Zero(t, w.look(), "two minutes are no reason yet")
	for range 3 {
		w.clock.advance(30 * time.Second)
		w.sight(a, 4000)
	}
	w.sight(b, -5000)
	require.Equal(t, 1, w.look())
	require.Zero(t, w.look(), "told once")

	now := w.reload(r)
	require.Equal(t, []string{"no_movement"}, codes(now.Warning.Reasons))
	require.NotEmpty(t, now.Warning.Reasons[0].ZH)
	require.Equal(t, b.ID, now.Warning.Remedy.CrewID)
	require.Equal(t, b.Name, now.Warning.Remedy.CrewName)
	require.True(t, now.Warning.Remedy.Saves)
	require.Equal(t, w.clock.Now(), now.Warning.RaisedAt)
	require.True(t, now.ExpectedAt.After(*r.ExpectedAt), "every minute it stands is a minute later")

	told := w.warned(r)
	require.Len(t, told, 1)
	require.Equal(t, a.ID, *told[0].CrewID)
	require.Equal(t, b.ID, told[0].Remedy.CrewID)
	require.Equal(t, now.Version, w.version(r), "one step for both events")
	require.Contains(t, w.told(r), events.ArrivalForecast{}.EventType())

	for m := 3800.0; m > 2400; m -= 200 {
		w.clock.advance(30 * time.Second)
		w.sight(a, m)
	}
	require.Equal(t, 1, w.look())
	require.Nil(t, w.reload(r).Warning)
	told = w.warned(r)
	require.Len(t, told, 2)
	require.Empty(t, told[1].Reasons)
	require.Nil(t, told[1].Remedy)
}

// version is that of the last event told of a request.
func (w *world) version(r dispatch.Request) int64 {
	w.t.Helper()
	envs, err := w.History(w.ctx, desk, r.ID)
	require.NoError(w.t, err)
	return envs[len(envs)-1].Version
}

// TestNobodyThere: a request that nobody can take, then one that a crew does
// not answer for.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.open()
	require.Empty(t, w.match(r))
	require.Equal(t, 1, w.look())
	require.Equal(t, []string{"expected_late"}, codes(w.reload(r).Warning.Reasons), "nobody is on duty")
	require.Nil(t, w.reload(r).Warning.ExpectedAt)
	raised := w.clock.Now()

	w.clock.advance(3 * time.Minute)
	require.Equal(t, 1, w.look())
	require.Equal(t, []string{"no_acceptance", "expected_late"}, codes(w.reload(r).Warning.Reasons))
	require.Equal(t, raised, w.reload(r).Warning.RaisedAt)

	c := w.crew(2000)
	require.Equal(t, 1, w.look())
	now := w.reload(r).Warning
	require.Equal(t, []string{"no_acceptance"}, codes(now.Reasons))
	require.Equal(t, c.ID, now.Remedy.CrewID)

	offers := w.match(r)
	require.Len(t, offers, 1)
	w.look()
	require.Equal(t, []string{"no_acceptance"}, codes(w.reload(r).Warning.Reasons), "asked is not accepted")
	require.Nil(t, w.reload(r).Warning.Remedy)
	_, err := w.Accept(w.ctx, as(c), offers[0].ID)
	require.NoError(t, err)
	require.Equal(t, 1, w.look())
	require.Nil(t, w.reload(r).Warning)

	// Given back, its three minutes begin anew.
	w.clock.advance(time.Minute)
	_, err = w.Release(w.ctx, as(c), r.ID, "breakdown", 0)
	require.NoError(t, err)
	w.clock.advance(2 * time.Minute)
	w.look()
	require.NotContains(t, codes(w.reload(r).Warning.Reasons), "no_acceptance")
	require.Contains(t, codes(w.reload(r).Warning.Reasons), "expected_late", "this crew is not asked again")
	w.clock.advance(time.Minute)
	w.look()
	require.Contains(t, codes(w.reload(r).Warning.Reasons), "no_acceptance")
}

// TestTheWarningEndsWithTheDrive: an arrival and an end need no sweep to drop it.
func TestTheWarningEndsWithTheDrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.crew(4000)
	r := w.assigned(a)
	w.clock.advance(4 * time.Minute)
	require.Equal(t, 1, w.look())
	require.Equal(t, []string{"silent"}, codes(w.reload(r).Warning.Reasons))
	arrived, err := w.ConfirmArrival(w.ctx, ownerOf(r), r.ID, time.Time{})
	require.NoError(t, err)
	require.Equal(t, dispatch.RequestOnScene, arrived.State)
	require.Nil(t, w.reload(r).Warning)
	require.Zero(t, w.look(), "help is there: nothing to fear")

	other := w.open()
	w.clock.advance(3 * time.Minute)
	require.Equal(t, 1, w.look())
	now := w.reload(other).Warning
	require.Equal(t, []string{"no_acceptance"}, codes(now.Reasons), "the crew at work will be free in time")
	require.Equal(t, a.ID, now.Remedy.CrewID)
	require.Equal(t, arrived.ArrivedAt.Add(30*time.Minute), now.Remedy.ReadyAt)
	cancelled, err := w.Cancel(w.ctx, ownerOf(other), other.ID, "started again", 0)
	require.NoError(t, err)
	require.Nil(t, cancelled.Warning)
	require.Zero(t, w.look())
}

// TestASlowCrewIsForecastLate: the trail shows it long before the deadline, and
// the expected arrival moves with it.
func TestASlowCrewIsForecastLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.crew(9000)
	r := w.assigned(a)
	require.True(t, r.ExpectedAt.Before(r.Promise.DueAt))
	var raised time.Time
	for at := 9000.0; at > 3000 && raised.IsZero(); at -= 50 {
		w.clock.advance(30 * time.Second)
		w.sight(a, at)
		w.look()
		if slices.Contains(codes(warningOf(w.reload(r)).Reasons), "expected_late") {
			raised = w.clock.Now()
		}
	}
	require.False(t, raised.IsZero())
	require.Greater(t, r.Promise.DueAt.Sub(raised), 10*time.Minute)
	now := w.reload(r)
	require.True(t, now.ExpectedAt.After(now.Promise.DueAt))
	forecasts := 0
	for _, typ := range w.told(r) {
		if typ == (events.ArrivalForecast{}).EventType() {
			forecasts++
		}
	}
	require.Positive(t, forecasts)
	require.Less(t, forecasts, 20, "told when it has moved, not at every look")
}

func warningOf(r dispatch.Request) dispatch.Warning {
	if r.Warning == nil {
		return dispatch.Warning{}
	}
	return *r.Warning
}

// TestManyLookAtOnce: whoever looks, each change is told once.
func TestManyLookAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const requests = 12
	var all []dispatch.Request
	for range requests {
		all = append(all, w.open())
	}
	w.clock.advance(4 * time.Minute)
	var told atomic.Int64
	var group errgroup.Group
	for range 4 {
		replica := w.replica(w.pool)
		group.Go(func() error {
			n, err := replica.Warn(context.Background())
			told.Add(int64(n))
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, requests, told.Load())
	for _, r := range all {
		require.Len(t, w.warned(r), 1)
	}
}

// TestWarningsRunByThemselves: the loop of the service looks ahead unasked.
func TestWarningsRunByThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.open()
	w.clock.advance(4 * time.Minute)
	ctx, stop := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	require.Eventually(t, func() bool { return w.reload(r).Warning != nil }, time.Minute, 20*time.Millisecond)
	stop()
	require.NoError(t, <-done)
}
