package geo

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawPoint(t *rapid.T, label string) Point {
	return Point{
		Lat: rapid.Float64Range(-90, 90).Draw(t, label+" lat"),
		Lng: rapid.Float64Range(-180, 180).Draw(t, label+" lng"),
	}
}

func TestNewPointRefusesWhatIsNoPlace(t *testing.T) {
	t.Parallel()
	for _, bad := range []struct {
		lat, lng float64
		field    string
	}{
		{90.0001, 0, "lat"}, {-91, 0, "lat"}, {math.NaN(), 0, "lat"}, {math.Inf(1), 0, "lat"},
		{0, 180.0001, "lng"}, {0, -181, "lng"}, {0, math.NaN(), "lng"}, {0, math.Inf(-1), "lng"},
	} {
		_, err := NewPoint(bad.lat, bad.lng)
		var wrong *CoordinateError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, bad.field, wrong.Field)
		require.Contains(t, err.Error(), "degrees")
		require.False(t, Point{bad.lat, bad.lng}.Valid())
	}
	for _, good := range []Point{{90, 180}, {-90, -180}, {0, 0}} {
		p, err := NewPoint(good.Lat, good.Lng)
		require.NoError(t, err)
		require.Equal(t, good, p)
		require.True(t, p.Valid())
	}
}

func TestPointJSON(t *testing.T) {
	t.Parallel()
	out, err := json.Marshal(Point{Lat: 31.25, Lng: 121.5})
	require.NoError(t, err)
	require.JSONEq(t, `{"lat":31.25,"lng":121.5}`, string(out))
}

func TestDistance(t *testing.T) {
	t.Parallel()
	halfAround := math.Pi * EarthRadius
	for name, c := range map[string]struct {
		a, b   Point
		metres float64
	}{
		"a degree of latitude":    {Point{0, 0}, Point{1, 0}, halfAround / 180},
		"a degree at 60 north":    {Point{60, 0}, Point{60, 0.001}, halfAround / 180_000 / 2},
		"over the dateline":       {Point{0, 179.5}, Point{0, -179.5}, halfAround / 180},
		"over the pole":           {Point{89.5, 0}, Point{89.5, 180}, halfAround / 180},
		"pole to pole":            {Point{90, 12}, Point{-90, 77}, halfAround},
		"antipodes":               {Point{12, 34}, Point{-12, -146}, halfAround},
		"the same pole":           {Point{90, 12}, Point{90, -50}, 0},
		"one metre of latitude":   {Point{30, 120}, Point{30 + 180/halfAround, 120}, 1},
		"a millimetre of it":      {Point{30, 120}, Point{30 + 0.18/halfAround, 120}, 0.001},
		"Beijing to Shanghai, km": {Point{39.9042, 116.4074}, Point{31.2304, 121.4737}, 1_067_311},
	} {
		require.InDelta(t, c.metres, Distance(c.a, c.b), 1e-6+c.metres*1e-6, name)
		require.Equal(t, Distance(c.a, c.b), Distance(c.b, c.a), name)
	}
}

func TestMovesGoAsFarAsTheySay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Point{rapid.Float64Range(-85, 85).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lng")}
		north := rapid.Float64Range(-20_000, 20_000).Draw(t, "north")
		east := rapid.Float64Range(-20_000, 20_000).Draw(t, "east")
		q := Offset(p, north, east)
		require.True(t, q.Valid())
		require.InDelta(t, math.Hypot(north, east), Distance(p, q), 0.001)

		back := Offset(p, -north, -east)
		require.InDelta(t, 2*math.Hypot(north, east), Distance(back, q), 0.001)

		to := drawPoint(t, "to")
		whole := Distance(p, to)
		part := rapid.Float64Range(0, 1).Draw(t, "part") * whole
		mid := Toward(p, to, part)
		require.InDelta(t, part, Distance(p, mid), 0.01)
		require.InDelta(t, whole-part, Distance(mid, to), 0.01, "a step toward stays on the way")
		require.Equal(t, to, Toward(p, to, whole+1), "a step never overshoots")
		require.Equal(t, p, Toward(p, to, -1))
	})
}

func TestBearing(t *testing.T) {
	t.Parallel()
	p := Point{30, 120}
	require.InDelta(t, 0, Bearing(p, Point{31, 120}), 1e-9)
	require.InDelta(t, 180, Bearing(p, Point{29, 120}), 1e-9)
	require.InDelta(t, 90, Bearing(Point{0, 179.9}, Point{0, -179.9}), 1e-9)
	require.InDelta(t, 270, Bearing(Point{0, 10}, Point{0, 9}), 1e-9)
}
