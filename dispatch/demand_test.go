package dispatch

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/geo"
)

const promised = 45 * time.Minute

// afterCalls is a Demand that has heard calls around a place at even intervals until
// midday.
func afterCalls(calls int, every time.Duration, where geo.Point, crews int) *Demand {
	d := &Demand{}
	draw := rand.New(rand.NewPCG(1, 2))
	for i := range calls {
		at := midday.Add(-every * time.Duration(calls-1-i))
		d.Hear(at, geo.Offset(where, 2000*draw.NormFloat64(), 2000*draw.NormFloat64()), crews, terms)
	}
	return d
}

func TestRateFollowsThePoissonStream(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(3, 4))
	var d Demand
	require.Zero(t, d.Rate(midday), "of nothing heard")
	at, sum, n := midday, 0.0, 0
	for range 20_000 {
		at = at.Add(time.Duration(draw.ExpFloat64() * float64(3*time.Minute)))
		if d.Hear(at, square, 10, terms); at.Sub(midday) > 6*time.Hour {
			// Just before the call, when nothing is known of it.
			sum, n = sum+d.Rate(at)-1, n+1
		}
	}
	require.InDelta(t, 20, sum/float64(n), 0.5, "calls an hour")
	require.InDelta(t, d.Rate(at)/2.718281828, d.Rate(at.Add(time.Hour)), 1e-6, "an hour of silence")
	require.Less(t, d.Rate(at.Add(12*time.Hour)), 0.01)
}

func TestPatienceGrowsWithTheBacklog(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		crews := rapid.IntRange(1, 8).Draw(t, "crews")
		calls := rapid.IntRange(1, 60).Draw(t, "calls")
		every := time.Duration(rapid.IntRange(1, 30).Draw(t, "minutes")) * time.Minute
		p := afterCalls(calls, every, square, crews).Patience()
		require.GreaterOrEqual(t, p, 66*time.Minute)
		require.LessOrEqual(t, afterCalls(calls, every, square, crews+1).Patience(), p, "with a crew more")
		require.GreaterOrEqual(t, afterCalls(calls+1, every, square, crews).Patience(), p, "with a call more")
		require.GreaterOrEqual(t, afterCalls(calls, every/2, square, crews).Patience(), p, "twice as fast")
	})
	idle, crowded := afterCalls(5, time.Hour, square, 5), afterCalls(40, time.Minute, square, 2)
	require.Equal(t, 66*time.Minute, idle.Patience())
	require.Greater(t, crowded.Patience(), 5*time.Hour)
	crowded.Hear(midday.Add(72*time.Hour), square, 2, terms)
	require.Equal(t, 66*time.Minute, crowded.Patience(), "a backlog of three days ago")
}

func TestProspect(t *testing.T) {
	t.Parallel()
	require.Zero(t, (&Demand{}).Prospect(midday, promised).Rate, "nothing heard")
	few := afterCalls(10, 2*time.Minute, square, 5).Prospect(midday, promised)
	require.Len(t, few.Places, 10)
	many := afterCalls(700, 2*time.Minute, square, 5).Prospect(midday, promised)
	require.Len(t, many.Places, ProspectPlaces)
	require.InDelta(t, 30, many.Rate, 1)
	require.Equal(t, promised, many.Promise)
	for _, place := range many.Places {
		require.Less(t, place.Distance(geo.VectorOf(square)), 20_000.0)
	}
}

// What a plan makes of the calls to come is between nothing and all of them,
// and a crew more never makes it worse.
func TestWatchCountsEachCallOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		waiting, crews, with := drawWorld(t, 6, 6)
		p := newPlan(waiting, crews, midday, with)
		p.make()
		if p.watch == nil {
			return
		}
		calls, missed := 0.0, 0.0
		for s := range p.watch.weight {
			calls += p.watch.weight[s] * float64(p.watch.places)
			for i := range p.watch.places {
				missed += p.watch.missed[s][i]
			}
		}
		require.LessOrEqual(t, missed, calls+1e-9)
		saved := 0.0
		for c := range crews {
			p.watch.without(c)
			gain := p.watch.gain(p.watch.covers[c])
			require.GreaterOrEqual(t, gain, 0.0)
			require.InDelta(t, p.watch.all-missed, gain, 1e-9, "what is lost without it is what it saves")
			saved = max(saved, gain)
		}
		require.LessOrEqual(t, saved, calls-missed+1e-9)
	})
}
