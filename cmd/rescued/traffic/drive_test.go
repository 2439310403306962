package traffic

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/geo"
)

var (
	depot = geo.Point{Lat: 30.66, Lng: 104.06}
	start = time.Date(2026, 1, 15, 3, 0, 0, 0, time.UTC)
)

// A crew does one thing after another in business time, and its place is
// always between where it was and where it goes.
func TestDriverLivesForward(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		car := geo.Offset(depot, rapid.Float64Range(-20_000, 20_000).Draw(t, "north"), rapid.Float64Range(-20_000, 20_000).Draw(t, "east"))
		d := &driver{id: "crw", at: depot, lastFix: start}
		d.take("req", car, start, usual, r)
		require.False(t, d.departs.Before(start))
		require.False(t, d.arrives.Before(d.departs))
		require.True(t, d.done.After(d.arrives))

		now, acts := start, []act{}
		for range 10_000 {
			at, what := d.next(usual)
			if at.Before(now) {
				at = now
			}
			now = at
			switch what {
			case actFix:
				d.lastFix = now
			case actDepart:
				d.phase = driving
			case actArrive:
				d.phase = working
			case actTap:
				d.tapped = true
			}
			p := d.where(now)
			require.LessOrEqual(t, geo.Distance(depot, p), geo.Distance(depot, car)+1)
			if what != actFix {
				acts = append(acts, what)
			}
			if what == actFinish {
				require.Equal(t, car, p, "it finishes at the car")
				break
			}
		}
		require.Equal(t, actDepart, acts[0])
		require.Equal(t, actFinish, acts[len(acts)-1])
		require.Contains(t, acts, actArrive)
	})
}

func TestDriverAnswersBeforeTheOfferRunsOutOrNever(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		ttl := time.Duration(rapid.IntRange(1, 90).Draw(t, "ttl")) * time.Second
		d := &driver{id: "crw", at: depot, lastFix: start}
		d.consider("ofr", "req", depot, start, start.Add(ttl), usual, r)
		at, what := d.next(usual)
		require.Equal(t, actAnswer, what)
		require.Equal(t, d.refuses == "no_answer", at.After(start.Add(ttl)))
	})
}

func TestDriverDroppedStaysWhereItHasGotTo(t *testing.T) {
	t.Parallel()
	car := geo.Offset(depot, 10_000, 0)
	d := &driver{at: depot, to: car, phase: driving, departs: start, arrives: start.Add(20 * time.Minute), job: "req"}
	half := start.Add(10 * time.Minute)
	d.drop(half)
	require.Equal(t, idle, d.phase)
	require.InDelta(t, 5000, geo.Distance(depot, d.at), 5)
	require.Equal(t, d.at, d.where(half.Add(time.Hour)))
}
