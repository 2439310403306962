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
		d.Hear(at, geo.Offset(where, 2000*draw.NormFloat64(), 2000*draw.NormFloat64()), crews)
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
		if d.Hear(at, square, 10); at.Sub(midday) > 6*time.Hour {
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
	crowded.Hear(midday.Add(72*time.Hour), square, 2)
	require.Equal(t, 66*time.Minute, crowded.Patience(), "a backlog of three days ago")
}

// covers is the Cover of each crew.
func covers(d *Demand, crews ...Candidate) []float64 {
	d.Cover(crews, midday, promised, terms)
	out := make([]float64, len(crews))
	for c := range crews {
		out[c] = crews[c].Cover
	}
	return out
}

func TestCover(t *testing.T) {
	t.Parallel()
	at := func(km float64) Candidate { return Candidate{At: geo.Offset(square, 1000*km, 0), FreeAt: midday} }
	soon := func(n float64) Candidate { return Candidate{At: square, FreeAt: midday.Add(minutes(n))} }
	busy := afterCalls(60, 2*time.Minute, square, 5)

	alone := covers(busy, at(0))[0]
	require.Greater(t, alone, 0.5)
	require.Zero(t, covers(&Demand{}, at(0))[0], "nothing heard")
	require.Zero(t, covers(busy, at(100))[0], "far away from all calls")
	require.Less(t, covers(afterCalls(60, 20*time.Minute, square, 5), at(0))[0], alone, "where calls are fewer")
	two := covers(busy, at(0), at(1))
	require.Less(t, two[0], alone, "with another beside")
	require.Less(t, covers(busy, at(0), at(1), at(2))[0], two[0], "with two others")
	require.Equal(t, []float64{alone, 0}, covers(busy, at(0), at(100)), "with another far away")
	require.Equal(t, 0.0, covers(busy, soon(10))[0], "a crew that cannot leave now")
	require.Less(t, covers(busy, at(0), soon(10))[0], alone, "with another soon free")
	require.Equal(t, alone, covers(busy, at(0), soon(44))[0], "with another free too late")
	require.Zero(t, covers(busy, doing(0, 5))[0], "a crew on its way")
	require.Equal(t, alone, covers(busy, at(0), doing(0, 5))[0], "with another on its way")
}

func TestCoverIsAShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		_, crews := drawWorld(t, 3, 12)
		d := afterCalls(rapid.IntRange(0, 400).Draw(t, "calls"), time.Duration(rapid.IntRange(1, 900).Draw(t, "seconds"))*time.Second, square, len(crews))
		for c := range crews {
			crews[c].Cover = 0
		}
		d.Cover(crews, midday, promised, terms)
		for _, k := range crews {
			require.GreaterOrEqual(t, k.Cover, 0.0)
			require.Less(t, k.Cover, 1.0)
			require.False(t, k.Cover > 0 && (k.Doing != nil || k.FreeAt.After(midday)), "of a crew that cannot leave")
		}
	})
}
