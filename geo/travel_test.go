package geo

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestConstantSpeed(t *testing.T) {
	t.Parallel()
	m := ConstantSpeed(30, DefaultDetour)
	require.NoError(t, m.Check())
	from := Point{31.2, 121.5}
	to := Offset(from, 10_000, 0)
	want := time.Duration(10 * 1.35 / 30 * float64(time.Hour)) // 27 minutes
	for hour := range 24 {
		for _, class := range []RoadClass{UrbanRoad, RuralRoad, Motorway, "?"} {
			require.InDelta(t, want.Seconds(), m.Time(from, to, class, hour).Seconds(), 0.001)
		}
	}
	require.Zero(t, m.Time(from, from, UrbanRoad, 0))
}

func TestDefaultStraightLine(t *testing.T) {
	t.Parallel()
	m := DefaultStraightLine()
	require.NoError(t, m.Check())
	from := Point{31.2, 121.5}
	to := Offset(from, 0, 10_000)
	at := func(class RoadClass, hour int) float64 { return m.Time(from, to, class, hour).Minutes() }

	require.InDelta(t, 27, at(UrbanRoad, 12), 0.01)
	require.InDelta(t, 16.2, at(RuralRoad, 12), 0.01)
	require.InDelta(t, 10.125, at(Motorway, 12), 0.01)
	require.InDelta(t, 27/0.65, at(UrbanRoad, 17), 0.01)
	require.InDelta(t, 10.125/0.825, at(Motorway, 17), 0.01, "rush hours weigh half on a motorway")
	require.Less(t, at(UrbanRoad, 3), at(UrbanRoad, 12))
	require.Equal(t, at(UrbanRoad, 0), at(UrbanRoad, 24))
	require.Equal(t, at(UrbanRoad, 23), at(UrbanRoad, -1))
	require.Equal(t, at(UrbanRoad, 9), at("unknown", 9))
}

func TestMatrixIsTimeForEveryPair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.Custom(func(t *rapid.T) Point { return drawPoint(t, "p") })
		from := rapid.SliceOfN(points, 0, 5).Draw(t, "from")
		to := rapid.SliceOfN(points, 0, 5).Draw(t, "to")
		class := rapid.SampledFrom([]RoadClass{UrbanRoad, RuralRoad, Motorway}).Draw(t, "class")
		hour := rapid.IntRange(-30, 30).Draw(t, "hour")
		m := DefaultStraightLine()
		rows, err := m.At(class, hour).Matrix(context.Background(), from, to)
		require.NoError(t, err)
		require.Len(t, rows, len(from))
		for i := range from {
			require.Len(t, rows[i], len(to))
			for j := range to {
				require.Equal(t, m.Time(from[i], to[j], class, hour), rows[i][j])
				require.GreaterOrEqual(t, rows[i][j], time.Duration(0))
			}
		}
	})
}

func TestMatrixErrors(t *testing.T) {
	t.Parallel()
	some := []Point{{31, 121}}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := DefaultStraightLine().At(UrbanRoad, 8).Matrix(ended, some, some)
	require.ErrorIs(t, err, context.Canceled)

	for _, bad := range []StraightLine{
		{}, ConstantSpeed(0, 1.35), ConstantSpeed(30, 0.9),
		{Detour: 1, UrbanKmh: 30, RuralKmh: 30, MotorwayKmh: 30}, // no rush factors
	} {
		require.Error(t, bad.Check())
		_, err = bad.At(UrbanRoad, 8).Matrix(context.Background(), some, some)
		require.Error(t, err)
	}
}

func TestParseRoadClass(t *testing.T) {
	t.Parallel()
	for _, c := range []RoadClass{UrbanRoad, RuralRoad, Motorway} {
		got, err := ParseRoadClass(string(c))
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	_, err := ParseRoadClass("highway")
	var wrong *RoadClassError
	require.ErrorAs(t, err, &wrong)
}
