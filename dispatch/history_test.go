package dispatch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/dispatch"
	"rescued/geo"
)

var (
	monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	day    = 24 * time.Hour
)

func perHour(calls []dispatch.ExpectedCalls) (sum float64) {
	for _, c := range calls {
		sum += c.PerHour
	}
	return sum
}

// Calls every weekday at eight, ten of them in an hour, for twelve weeks: that
// is what is expected then, and little at three in the night.
func TestHoursOfTheWeekAreLearned(t *testing.T) {
	t.Parallel()
	h := dispatch.NewCallHistory(time.UTC, monday)
	for d := range 12 * 7 {
		at := monday.Add(time.Duration(d)*day + 8*time.Hour)
		if wd := at.Weekday(); wd == time.Saturday || wd == time.Sunday {
			continue
		}
		for i := range 10 {
			h.Hear(at.Add(time.Duration(i)*6*time.Minute), futian, 1)
			h.Hear(at.Add(time.Duration(i)*6*time.Minute), geo.Offset(futian, 30_000, 0), 2)
		}
	}
	next := monday.Add(12 * 7 * day)
	h.Watch(next)
	rush := h.Expected(next.Add(8*time.Hour+30*time.Minute), 100)
	require.Len(t, rush, 2)
	require.Equal(t, rush[0].Need|rush[1].Need, geo.Capabilities(3))
	require.InDelta(t, 10, perHour(rush), 2.5, "twenty, less what the smoothing gives to the hours beside it")
	require.InDelta(t, rush[0].PerHour, rush[1].PerHour, 1e-9)
	require.Less(t, perHour(h.Expected(next.Add(3*time.Hour), 100)), 0.5)
	weekend := perHour(h.Expected(next.Add(5*day+8*time.Hour), 100))
	require.Less(t, weekend, perHour(rush)/3)
}

// What was long ago counts less than what was lately.
func TestHistoryForgets(t *testing.T) {
	t.Parallel()
	h := dispatch.NewCallHistory(time.UTC, monday)
	for hour := range 24 * 7 * 52 {
		at := monday.Add(time.Duration(hour) * time.Hour)
		place := futian
		if hour > 24*7*26 {
			place = geo.Offset(futian, 30_000, 0) // the town has moved
		}
		h.Hear(at, place, 0)
	}
	calls := h.Expected(monday.Add(52*7*day), 100)
	require.Len(t, calls, 2)
	old, late := calls[0], calls[1]
	if geo.Distance(old.At, futian) > 10_000 {
		old, late = late, old
	}
	require.InDelta(t, 1, old.PerHour+late.PerHour, 0.1)
	require.Less(t, old.PerHour, late.PerHour/5)
}

// One first call is not a rush, and no calls are none.
func TestAShortHistoryIsNoRush(t *testing.T) {
	t.Parallel()
	h := dispatch.NewCallHistory(time.UTC, monday)
	require.Empty(t, h.Expected(monday, 100))
	h.Hear(monday.Add(time.Minute), futian, 0)
	h.Hear(monday.Add(time.Minute), geo.Point{Lat: 91}, 0)
	h.Watch(monday.Add(2 * time.Minute))
	calls := h.Expected(monday.Add(2*time.Minute), 100)
	require.Len(t, calls, 1)
	require.Less(t, calls[0].PerHour, 1.0, "two minutes, one call: not thirty an hour")
	require.InDelta(t, 1.0/6, perHour(h.Expected(monday.Add(10*time.Hour), 100)), 0.05)
}

// However many places there are, no more come back than asked for; taking them
// together loses no calls; the order in which they were heard does not matter.
func TestPlacesAreTakenTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type call struct {
			at    time.Time
			where geo.Point
			need  geo.Capabilities
		}
		var calls []call
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			calls = append(calls, call{
				monday.Add(time.Duration(rapid.IntRange(0, 60*24*14).Draw(t, "minute")) * time.Minute),
				geo.Offset(futian, float64(rapid.IntRange(-40, 40).Draw(t, "north"))*1000, float64(rapid.IntRange(-40, 40).Draw(t, "east"))*1000),
				geo.Capabilities(rapid.IntRange(0, 1).Draw(t, "need")),
			})
		}
		end := monday.Add(14 * day)
		listen := func(order []call) []dispatch.ExpectedCalls {
			h := dispatch.NewCallHistory(time.UTC, monday)
			for _, c := range order {
				h.Hear(c.at, c.where, c.need)
			}
			h.Watch(end)
			return h.Expected(end, 1000)
		}
		all := listen(calls)
		shuffled := listen(rapid.Permutation(calls).Draw(t, "order"))
		require.Len(t, shuffled, len(all))
		require.InEpsilon(t, perHour(all), perHour(shuffled), 1e-4)

		h := dispatch.NewCallHistory(time.UTC, monday)
		for _, c := range calls {
			h.Hear(c.at, c.where, c.need)
		}
		h.Watch(end)
		few := h.Expected(end, 4)
		require.LessOrEqual(t, len(few), 4)
		require.InDelta(t, perHour(all), perHour(few), 1e-9)
		for _, c := range few {
			require.Positive(t, c.PerHour)
			require.True(t, c.Cell.Valid() && c.At.Valid())
		}
	})
}
