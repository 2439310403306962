package geo

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// fakeEngine answers by a function. It may ignore its context, as a bad engine does.
type fakeEngine struct {
	calls  atomic.Int64
	mu     sync.Mutex
	asked  [][]Point // the places of each question
	answer func(ctx context.Context, from []Point, to Point) ([]time.Duration, error)
}

func (e *fakeEngine) Name() string { return "fake" }

func (e *fakeEngine) Matrix(ctx context.Context, from, to []Point) ([][]time.Duration, error) {
	e.calls.Add(1)
	e.mu.Lock()
	e.asked = append(e.asked, from)
	e.mu.Unlock()
	times, err := e.answer(ctx, from, to[0])
	rows := make([][]time.Duration, len(times))
	for i := range times {
		rows[i] = []time.Duration{times[i]}
	}
	return rows, err
}

// twice is a world in which roads take twice the model's time.
func twice(_ context.Context, from []Point, to Point) ([]time.Duration, error) {
	times := make([]time.Duration, len(from))
	for i, p := range from {
		times[i] = 2 * plain.Time(p, to, UrbanRoad, 12)
	}
	return times, nil
}

var plain = DefaultStraightLine()

// queue is places 1 km apart, the first 1 km from the car.
func queue(n int) (from []Point, car Point) {
	for k := range n {
		from = append(from, Offset(futian, float64(k+1)*1000, 0))
	}
	return from, futian
}

func routedOver(t require.TestingT, answer func(context.Context, []Point, Point) ([]time.Duration, error), change func(*RoutedConfig)) (*Routed, *fakeEngine) {
	engine := &fakeEngine{answer: answer}
	cfg := RoutedConfig{Engine: engine, Timeout: 200 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	r, err := NewRouted(cfg)
	require.NoError(t, err)
	return r, engine
}

func sourcesOf(legs []Leg) map[string]int {
	n := map[string]int{}
	for _, leg := range legs {
		n[leg.Source.String()]++
	}
	return n
}

func TestRoutedAsksTheShortlistAndKeepsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, engine := routedOver(t, twice, nil)
		from, car := queue(12)
		legs, err := r.Refine(t.Context(), from, car, UrbanRoad, 12)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"fake": 8, "straight_line (not_shortlisted)": 4}, sourcesOf(legs))
		require.Equal(t, from[:8], engine.asked[0], "the eight nearest")
		for k, leg := range legs {
			require.Equal(t, k, leg.From)
			require.InDelta(t, 2*plain.Time(from[k], car, UrbanRoad, 12).Seconds(), leg.Time.Seconds(), 0.001,
				"those not asked about stand at the engine's level")
		}

		again, err := r.Refine(t.Context(), from, car, UrbanRoad, 12)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"fake (cached)": 8, "straight_line (not_shortlisted)": 4}, sourcesOf(again))
		require.EqualValues(t, 1, engine.calls.Load())

		// A third look after the first three have gone: the list moves up, and only the new ones are asked about.
		_, err = r.Refine(t.Context(), from[3:], car, UrbanRoad, 12)
		require.NoError(t, err)
		require.Equal(t, from[8:11], engine.asked[1])

		_, err = r.Refine(t.Context(), from[:1], car, UrbanRoad, 13)
		require.NoError(t, err)
		require.EqualValues(t, 3, engine.calls.Load(), "another hour is another figure")
		time.Sleep(15 * time.Minute)
		_, err = r.Refine(t.Context(), from[:1], car, UrbanRoad, 12)
		require.NoError(t, err)
		require.EqualValues(t, 4, engine.calls.Load(), "an old figure is none")

		stats := r.Stats()
		require.EqualValues(t, 5, stats.Decisions)
		require.EqualValues(t, 4, stats.EngineCalls)
		require.EqualValues(t, 8+3+1+1, stats.Figures[Source{By: "fake"}])
		require.EqualValues(t, 8+5, stats.Figures[Source{By: "fake", Why: WhyCached}])
		require.Empty(t, stats.Failures)
		require.Equal(t, 12, stats.Kept)
	})
}

func TestRoutedAnswersInTimeWhateverTheEngineDoes(t *testing.T) {
	t.Parallel()
	fail := func(why Failure) func(context.Context, []Point, Point) ([]time.Duration, error) {
		return func(context.Context, []Point, Point) ([]time.Duration, error) {
			return nil, &EngineError{Engine: "fake", Why: why}
		}
	}
	cases := map[string]func(context.Context, []Point, Point) ([]time.Duration, error){
		"timeout": func(ctx context.Context, _ []Point, _ Point) ([]time.Duration, error) {
			time.Sleep(time.Hour) // deaf to its context
			return nil, nil
		},
		"quota": fail(FailQuota), "throttled": fail(FailThrottled), "refused": fail(FailRefused),
		"denied": fail(FailDenied), "malformed": fail(FailMalformed),
		"unavailable": func(context.Context, []Point, Point) ([]time.Duration, error) { return nil, errors.New("boom") },
		"no_route": func(_ context.Context, from []Point, _ Point) ([]time.Duration, error) {
			times := make([]time.Duration, len(from))
			for i := range times {
				times[i] = NoRoute
			}
			return times, nil
		},
	}
	for why, answer := range cases {
		synctest.Test(t, func(t *testing.T) {
			r, _ := routedOver(t, answer, nil)
			from, car := queue(5)
			begun := time.Now()
			got, err := r.MatrixSourced(t.Context(), from, []Point{car, futian}, UrbanRoad, 12)
			require.NoError(t, err)
			require.LessOrEqual(t, time.Since(begun), 200*time.Millisecond)
			want, err := plain.At(UrbanRoad, 12).Matrix(t.Context(), from, []Point{car, futian})
			require.NoError(t, err)
			require.Equal(t, want, got.Times)
			for i := range from {
				require.Equal(t, "straight_line ("+why+")", got.Sources[i][0].String())
			}
			require.Equal(t, why == "no_route", got.Err == nil)

			// With less time than that, the model still answers before the caller's deadline.
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
			defer cancel()
			_, err = r.MatrixSourced(ctx, from, []Point{car}, UrbanRoad, 12)
			require.NoError(t, err)
			require.NoError(t, ctx.Err())
			time.Sleep(3 * time.Hour) // the deaf engine comes back, and nobody is left waiting
		})
	}
}

func TestRoutedManyDestinations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		r, engine := routedOver(t, func(ctx context.Context, from []Point, to Point) ([]time.Duration, error) {
			now := under.Add(1)
			defer under.Add(-1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			time.Sleep(10 * time.Millisecond)
			return twice(ctx, from, to)
		}, nil)
		from, _ := queue(30)
		var cars []Point
		for k := range 40 {
			cars = append(cars, Offset(futian, float64(k)*700, 2500))
		}
		begun := time.Now()
		answer, err := r.MatrixSourced(t.Context(), from, cars, UrbanRoad, 12)
		require.NoError(t, err)
		require.Equal(t, 100*time.Millisecond, time.Since(begun), "40 questions, four at a time")
		require.EqualValues(t, 4, most.Load())
		require.EqualValues(t, 40, engine.calls.Load())
		for j := range cars {
			asked := 0
			for i := range from {
				if answer.Sources[i][j].By == "fake" {
					asked++
				}
				require.InDelta(t, 2*plain.Time(from[i], cars[j], UrbanRoad, 12).Seconds(), answer.Times[i][j].Seconds(), 0.001)
			}
			require.Equal(t, 8, asked)
		}
	})
}

func TestRoutedSlowdownAndModelAlone(t *testing.T) {
	t.Parallel()
	from, car := queue(3)
	r, _ := routedOver(t, func(_ context.Context, from []Point, _ Point) ([]time.Duration, error) {
		return []time.Duration{time.Minute, NoRoute, 2 * time.Minute}, nil
	}, func(c *RoutedConfig) { c.Slowdown = plain.Slowdown; c.Timeout = time.Minute })
	for range 2 { // asked, then kept
		times, err := r.At(UrbanRoad, 17).Matrix(t.Context(), from, []Point{car})
		require.NoError(t, err)
		require.InDelta(t, 60/0.65, times[0][0].Seconds(), 0.01)
		require.Less(t, times[1][0], time.Hour, "no route is answered by the model")
	}
	alone, err := NewRouted(RoutedConfig{})
	require.NoError(t, err)
	legs, err := alone.Refine(t.Context(), from, car, UrbanRoad, 17)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"straight_line": 3}, sourcesOf(legs))
	_, err = alone.Refine(t.Context(), []Point{{91, 0}}, car, UrbanRoad, 17)
	var wrong *CoordinateError
	require.ErrorAs(t, err, &wrong)

	for _, bad := range []RoutedConfig{
		{Shortlist: 9}, {Shortlist: -1}, {Timeout: -1}, {Parallel: -1}, {CachePairs: -1}, {Fallback: StraightLine{}},
	} {
		_, err := NewRouted(bad)
		require.Error(t, err)
	}
}

// Whatever the engine answers, every pair has a time, at least zero and finite,
// and a source.
func TestRoutedIsAlwaysComplete(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		// Drawn up front: the engine runs on other goroutines.
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		r, _ := routedOver(rt, func(_ context.Context, from []Point, _ Point) ([]time.Duration, error) {
			times := make([]time.Duration, len(from))
			if rng.IntN(4) == 0 {
				times = make([]time.Duration, rng.IntN(len(from)+2))
			}
			odd := []time.Duration{0, 1, time.Hour, longestDrive, NoRoute, time.Minute, -1}
			for i := range times {
				times[i] = odd[rng.IntN(len(odd)-rng.IntN(2))]
			}
			if rng.IntN(3) == 0 {
				return times, errors.New("boom")
			}
			return times, nil
		}, func(c *RoutedConfig) { c.Timeout, c.Parallel = time.Minute, 1 })
		places := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Point { return drawPoint(t, "p") }), 0, 12)
		from, to := places.Draw(rt, "from"), places.Draw(rt, "to")
		answer, err := r.MatrixSourced(context.Background(), from, to, UrbanRoad, rapid.IntRange(-200, 200).Draw(rt, "hour"))
		require.NoError(rt, err)
		require.Len(rt, answer.Times, len(from))
		for i := range from {
			require.Len(rt, answer.Times[i], len(to))
			for j := range to {
				require.GreaterOrEqual(rt, answer.Times[i][j], time.Duration(0))
				require.Less(rt, answer.Times[i][j], 10_000*time.Hour, "four times the model around half the Earth")
				require.NotEmpty(rt, answer.Sources[i][j].By)
			}
		}
	})
}

func TestTravelCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newTravelCache(time.Hour, 100)
	now := time.Now()
	key := func(k int) travelKey { return travelKey{from: Cell(k), to: 1} }
	for k := range 1000 {
		c.store(key(k), time.Duration(k), now)
		_, ok := c.find(key(0), now)
		require.True(t, ok, "what is asked for again and again stays")
		require.LessOrEqual(t, c.size(), 100)
	}
	drive, ok := c.find(key(999), now)
	require.True(t, ok)
	require.Equal(t, time.Duration(999), drive)
	_, ok = c.find(key(500), now)
	require.False(t, ok)
	_, ok = c.find(key(999), now.Add(time.Hour))
	require.False(t, ok)
	for hour, want := range map[int]int16{0: 0, 23: 23, 24: 24, 167: 167, 168: 0, -1: 167} {
		require.Equal(t, want, hourOfWeek(hour))
	}
}

// With no time left to ask, what is kept is used and the rest says why.
func TestRoutedRecalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, engine := routedOver(t, twice, nil)
		from, car := queue(12)
		legs, err := r.Recall(from, car, UrbanRoad, 12)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"straight_line (timeout)": 8, "straight_line (not_shortlisted)": 4}, sourcesOf(legs))
		require.Equal(t, plain.Time(from[0], car, UrbanRoad, 12), legs[0].Time)

		_, err = r.Refine(t.Context(), from[:3], car, UrbanRoad, 12)
		require.NoError(t, err)
		asked := engine.calls.Load()
		legs, err = r.Recall(from, car, UrbanRoad, 12)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"fake (cached)": 3, "straight_line (timeout)": 5, "straight_line (not_shortlisted)": 4}, sourcesOf(legs))
		require.Equal(t, asked, engine.calls.Load(), "nobody is asked")
		require.InDelta(t, 2*float64(plain.Time(from[11], car, UrbanRoad, 12)), float64(legs[11].Time), 2, "at the engine's level")

		alone, err := NewRouted(RoutedConfig{})
		require.NoError(t, err)
		legs, err = alone.Recall(from, car, UrbanRoad, 12)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"straight_line": 12}, sourcesOf(legs), "there was nobody to ask")
		_, err = alone.Recall([]Point{{99, 0}}, car, UrbanRoad, 12)
		require.Error(t, err)
	})
}

// Over puts another model behind the same engine, cache and counts.
func TestRoutedOver(t *testing.T) {
	t.Parallel()
	r, engine := routedOver(t, twice, nil)
	from, car := queue(12)
	book, err := NewSpeedBook(plain)
	require.NoError(t, err)
	d, err := NewDrive(from[9], car, UrbanRoad, 12, 3*plain.Time(from[9], car, UrbanRoad, 12))
	require.NoError(t, err)
	book.Learn(d)
	over := r.Over(book.Speeds())
	_, err = r.Refine(t.Context(), from, car, UrbanRoad, 12)
	require.NoError(t, err)
	legs, err := over.Refine(t.Context(), from, car, UrbanRoad, 12)
	require.NoError(t, err)
	require.EqualValues(t, 1, engine.calls.Load())
	require.Equal(t, map[string]int{"fake (cached)": 8, "learned (not_shortlisted)": 4}, sourcesOf(legs))
	require.EqualValues(t, 2, r.Stats().Decisions)
	require.Equal(t, r.Stats(), over.Stats())
}
