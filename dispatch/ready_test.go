package dispatch

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/geo"
)

// metres a second of great circle: 30 km/h on roads 1.35 as long.
const readyPace = 30 / 3.6 / 1.35

var (
	readyNow  = time.Date(2016, 2, 3, 17, 0, 0, 0, time.UTC)
	readyHome = geo.Point{Lat: 40.15, Lng: -75.3}
)

// callsAt are calls from a place some km east of home.
func callsAt(t require.TestingT, km, perHour float64, need geo.Capabilities) ExpectedCalls {
	at := geo.Offset(readyHome, 0, km*1000)
	cell, err := geo.CellAt(at, historyResolution)
	require.NoError(t, err)
	return ExpectedCalls{Cell: cell, At: at, Need: need, PerHour: perHour}
}

func idleAt(km float64) IdleCrew { return IdleCrew{At: geo.Offset(readyHome, 0, km*1000)} }

func readyWith(calls []ExpectedCalls, idle ...IdleCrew) Ready {
	return Ready{
		Now: readyNow, Promise: 45 * time.Minute, Turnout: 2 * time.Minute, Service: 30 * time.Minute, Pace: readyPace,
		Calls: calls, Idle: idle,
	}
}

// Within the promise a crew reaches 15.9 km.
func TestWhereCrewsShouldStand(t *testing.T) {
	t.Parallel()
	const tow = geo.Capabilities(1)
	west, east := callsAt(t, 0, 0.3, 0), callsAt(t, 18, 0.3, 0)
	towEast := callsAt(t, 18, 0.3, tow)
	able := func(c IdleCrew) IdleCrew { c.Can = tow; return c }
	for name, tc := range map[string]struct {
		r     Ready
		crews []int // that are moved, best first
	}{
		"two stand together, and calls come from elsewhere, too": {readyWith([]ExpectedCalls{west, east}, idleAt(0), idleAt(1)), []int{1}},
		"each place has its crew":                                {readyWith([]ExpectedCalls{west, east}, idleAt(0), idleAt(17)), nil},
		"the only crew is where most calls are":                  {readyWith([]ExpectedCalls{west, callsAt(t, 18, 0.2, 0)}, idleAt(0)), nil},
		"the only crew is where few calls are":                   {readyWith([]ExpectedCalls{callsAt(t, 0, 0.05, 0), east}, idleAt(0)), []int{0}},
		"hardly anybody calls":                                   {readyWith([]ExpectedCalls{callsAt(t, 0, 0.01, 0), callsAt(t, 20, 0.01, 0)}, idleAt(0), idleAt(1)), nil},
		"nobody calls":                                           {readyWith(nil, idleAt(0)), nil},
		"too far to be there soon":                               {readyWith([]ExpectedCalls{west, callsAt(t, 35, 0.3, 0)}, idleAt(0), idleAt(1)), nil},
		"only the able one helps":                                {readyWith([]ExpectedCalls{west, towEast}, idleAt(0), able(idleAt(0.5)), idleAt(1)), []int{1}},
		"nobody is able":                                         {readyWith([]ExpectedCalls{west, towEast}, idleAt(0), idleAt(1)), nil},
		"one was moved lately": {func() Ready {
			r := readyWith([]ExpectedCalls{west, east}, idleAt(0), idleAt(1))
			r.Idle[1].MovedAt = readyNow.Add(-restAfterMove + time.Second)
			return r
		}(), []int{0}},
		"one was moved long ago": {func() Ready {
			r := readyWith([]ExpectedCalls{west, east}, idleAt(0), idleAt(1))
			r.Idle[1].MovedAt = readyNow.Add(-restAfterMove)
			return r
		}(), []int{1}},
		"one is another's": {func() Ready {
			r := readyWith([]ExpectedCalls{west, east}, idleAt(0), idleAt(1))
			r.Idle[1].Stays = true
			return r
		}(), []int{0}},
		"one is on its way there": {func() Ready {
			r := readyWith([]ExpectedCalls{west, east}, idleAt(0), idleAt(1), idleAt(2))
			r.Idle[2].To, r.Idle[2].ArrivesAt = east.At, readyNow.Add(12*time.Minute)
			return r
		}(), nil},
		"one will be free there soon": {func() Ready {
			r := readyWith([]ExpectedCalls{west, east}, idleAt(0), idleAt(1))
			r.Busy = []BusyCrew{{At: east.At, FreeAt: readyNow.Add(5 * time.Minute)}}
			return r
		}(), nil},
		"one will be free there, but not soon": {func() Ready {
			r := readyWith([]ExpectedCalls{west, east}, idleAt(0), idleAt(1))
			r.Busy = []BusyCrew{{At: east.At, FreeAt: readyNow.Add(3 * time.Hour)}}
			return r
		}(), []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var crews []int
			for _, m := range tc.r.Advise() {
				crews = append(crews, m.Crew)
			}
			require.Equal(t, tc.crews, crews)
		})
	}
}

// The figures of one move, worked out by hand.
func TestWhatAMoveGains(t *testing.T) {
	t.Parallel()
	r := readyWith([]ExpectedCalls{callsAt(t, 0, 0.3, 0), callsAt(t, 18, 0.25, 0)}, idleAt(0), idleAt(1))
	moves := r.Advise()
	require.Len(t, moves, 1)
	m := moves[0]
	require.Equal(t, 1, m.Crew)
	require.Equal(t, r.Calls[1].Cell, m.To)
	require.InDelta(t, 17_000/readyPace, m.Travel.Seconds(), 1) // 46 min: it counts there in the third slot
	require.Equal(t, 2, firstSlot(r.Turnout+m.Travel))
	// 0.55 calls an hour, for 37.5 min, over two crews.
	q := 0.55 * 37.5 / 60 / 2
	require.InDelta(t, (0.25*(1-q)-0.3*(q-q*q))/readySlots, m.Gain, 1e-9)
	require.InDelta(t, 0.25, m.Reaches.PerHour, 1e-9)
	require.Zero(t, m.Reaches.Others)
	require.InDelta(t, 0.3, m.Leaves.PerHour, 1e-9)
	require.InDelta(t, 1, m.Leaves.Others, 1e-9)
	require.Equal(t, "from there it is in time for 0.25 calls an hour that it does not reach from where it stands, and 0.0 other crews do; it leaves 0.30 calls an hour to 1.0 others", m.Why())
}

func drawReady(t *rapid.T) Ready {
	place := func(name string) geo.Point {
		km := rapid.SampledFrom([]float64{-20, -13, -6, 0, 5, 12, 19})
		return geo.Offset(readyHome, 1000*km.Draw(t, name+" north"), 1000*km.Draw(t, name+" east"))
	}
	can := rapid.Custom(func(t *rapid.T) geo.Capabilities { return geo.Capabilities(rapid.IntRange(0, 3).Draw(t, "can")) })
	minutes := func(from, to int, name string) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Minute
	}
	r := Ready{
		Now: readyNow, Promise: minutes(10, 90, "promise"), Turnout: minutes(0, 5, "turnout"), Service: minutes(0, 60, "service"),
		Pace: rapid.SampledFrom([]float64{3, 6, 10}).Draw(t, "pace"),
	}
	for range rapid.IntRange(0, 20).Draw(t, "calls") {
		at := place("call")
		cell, err := geo.CellAt(at, historyResolution)
		require.NoError(t, err)
		r.Calls = append(r.Calls, ExpectedCalls{cell, at, can.Draw(t, "need"), rapid.SampledFrom([]float64{0, 0.05, 0.2, 0.4}).Draw(t, "per hour")})
	}
	for range rapid.IntRange(0, 10).Draw(t, "idle") {
		c := IdleCrew{At: place("idle"), Can: can.Draw(t, "can"), Stays: rapid.IntRange(0, 5).Draw(t, "stays") == 0}
		if rapid.Bool().Draw(t, "moved") {
			c.MovedAt = readyNow.Add(-minutes(0, 120, "moved ago"))
			c.To, c.ArrivesAt = place("to"), c.MovedAt.Add(minutes(0, 60, "drive"))
		}
		r.Idle = append(r.Idle, c)
	}
	for range rapid.IntRange(0, 4).Draw(t, "busy") {
		r.Busy = append(r.Busy, BusyCrew{place("busy"), can.Draw(t, "can"), readyNow.Add(minutes(-10, 90, "free"))})
	}
	return r
}

// lossAfter is what the model says is lost in an hour when moves are made, by
// its definition: for each call and slot, the crews that are in time for it.
func lossAfter(r Ready, moves []Move) float64 {
	away := map[int]Move{}
	for _, m := range moves {
		away[m.Crew] = m
	}
	total := 0.0
	for _, c := range r.Calls {
		total += c.PerHour
	}
	inTime := func(at, call geo.Point, wait time.Duration) bool {
		drive := geo.Distance(at, call) / r.Pace
		return drive <= (r.Promise - r.Turnout - max(0, wait)).Seconds()
	}
	lost := 0.0
	for s := range readySlots {
		ahead := time.Duration(7.5*float64(time.Minute)) + time.Duration(s)*15*time.Minute
		free := len(r.Idle)
		for _, c := range r.Busy {
			if !c.FreeAt.After(r.Now.Add(ahead)) {
				free++
			}
		}
		q := min(max(total*min(ahead, r.Turnout+r.Promise/3+r.Service).Hours()/math.Max(1, float64(free)), 0.05), 0.95)
		for _, call := range r.Calls {
			nobody := 1.0
			for i, c := range r.Idle {
				at := c.At
				if c.ArrivesAt.After(r.Now) && ahead >= c.ArrivesAt.Sub(r.Now)/2 {
					at = c.To
				}
				if m, moves := away[i]; moves && ahead >= (r.Turnout+m.Travel)/2 {
					at = m.At
				}
				if c.Can.Has(call.Need) && inTime(at, call.At, 0) {
					nobody *= q
				}
			}
			for _, c := range r.Busy {
				if c.Can.Has(call.Need) && inTime(c.At, call.At, c.FreeAt.Sub(r.Now)-ahead) {
					nobody *= q
				}
			}
			lost += call.PerHour * nobody / 3
		}
	}
	return lost
}

// Whatever is asked: a handful of moves, each of another crew that is idle,
// stands, was not moved lately and can do what is asked for where it goes; each
// gains what the model says it does, and that is worth the drive.
func TestAdviceHoldsWhatItSays(t *testing.T) {
	t.Parallel()
	advised := 0
	rapid.Check(t, func(t *rapid.T) {
		r := drawReady(t)
		moves := r.Advise()
		require.Equal(t, moves, r.Advise(), "the same question, the same answer")
		require.LessOrEqual(t, len(moves), mostMoves)
		advised += len(moves)
		seen := map[int]bool{}
		for i, m := range moves {
			crew := r.Idle[m.Crew]
			require.False(t, seen[m.Crew], "once")
			seen[m.Crew] = true
			require.False(t, crew.Stays || crew.ArrivesAt.After(r.Now))
			require.False(t, !crew.MovedAt.IsZero() && r.Now.Sub(crew.MovedAt) < restAfterMove)
			require.GreaterOrEqual(t, m.Gain-driveGain*m.Travel.Hours(), leastGain)
			require.InDelta(t, lossAfter(r, moves[:i])-lossAfter(r, moves[:i+1]), m.Gain, 1e-6)
			require.Positive(t, m.Reaches.PerHour)
			able := false
			for _, c := range r.Calls {
				able = able || crew.Can.Has(c.Need) && geo.Distance(m.At, c.At)/r.Pace <= (r.Promise-r.Turnout).Seconds()
			}
			require.True(t, able, "somebody calls there for what it can do")
		}
	})
	require.Greater(t, advised, 10)
}

// One evaluation of a county: 250 cells, 30 crews.
func BenchmarkAdvise(b *testing.B) {
	draw := rand.New(rand.NewPCG(1, 2))
	h := NewCallHistory(time.UTC, readyNow.Add(-28*24*time.Hour))
	place := func() geo.Point {
		return geo.Offset(readyHome, draw.NormFloat64()*8000, draw.NormFloat64()*10_000)
	}
	for i := range 4000 {
		h.Hear(readyNow.Add(-28*24*time.Hour+time.Duration(i)*10*time.Minute), place(), 0)
	}
	r := readyWith(nil)
	for range 30 {
		r.Idle = append(r.Idle, IdleCrew{At: place()})
	}
	b.Run("expected", func(b *testing.B) {
		for b.Loop() {
			r.Calls = h.Expected(readyNow, ReadyCalls)
		}
	})
	b.Run("advise", func(b *testing.B) {
		for b.Loop() {
			r.Advise()
		}
	})
	b.ReportMetric(float64(len(r.Calls)), "places")
}
