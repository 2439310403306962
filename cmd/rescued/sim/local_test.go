package sim_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
)

// A fleet too large to be weighed as a whole is decided place by place. That is
// feasible by the checker's arithmetic, leaves nobody unserved, and breaks fewer
// promises than the plain rules do, in quiet and in crowded worlds alike.
func TestALargeFleetIsDecidedPlaceByPlace(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		calls int
	}{{"quiet", 1_200}, {"busy", 2_000}, {"collapse", 4_500}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			demand, fleet := citiesDay(t, dir, tc.calls, 200)
			needs := put(t, dir, "needs.json", `{"B": ["tow"]}`)
			w := world(t, demand, "", fleet, needs)
			c := usual()
			c.needs = map[string][]string{"B": {"tow"}}
			late := map[string]int{}
			for _, name := range sim.PolicyNames() {
				runs, legs, result := replayed(t, t.TempDir(), w, policy(t, name))
				s, err := sim.Summarise(w, name, result)
				require.NoError(t, err)
				require.Zero(t, s.Unserved)
				late[name] = s.Late
				if name == sim.Promise {
					require.Empty(t, check(t, c, demand, fleet, runs, legs))
				}
			}
			t.Logf("late of %d: %v", tc.calls, late)
			require.LessOrEqual(t, late[sim.Promise], late[sim.Nearest])
			require.LessOrEqual(t, late[sim.Promise], late[sim.Closest])
		})
	}
}

// citiesDay writes a day of calls in six cities, more at noon, and a fleet in
// two abilities and two shifts.
func citiesDay(t *testing.T, dir string, calls, crews int) (demand, fleet string) {
	draw := rand.New(rand.NewPCG(uint64(calls), uint64(crews)))
	place := func() string {
		city := draw.IntN(6)
		p := geo.Offset(geo.Point{Lat: 30 + float64(city%2), Lng: 104 + float64(city/2)}, 9000*draw.NormFloat64(), 9000*draw.NormFloat64())
		return fmt.Sprintf("%.6f,%.6f", p.Lat, p.Lng)
	}
	at := make([]time.Duration, calls)
	for i := range at {
		at[i] = time.Duration((draw.Float64()+draw.Float64()+draw.Float64())*8*3_600_000) * time.Millisecond
	}
	slices.Sort(at)
	lines := make([]string, calls)
	for i := range lines {
		called := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC).Add(at[i])
		lines[i] = fmt.Sprintf("%s,%s,%s", called.Format("2006-01-02T15:04:05.000"), place(), []string{"A", "A", "B"}[draw.IntN(3)])
	}
	var b strings.Builder
	b.WriteString(fleetHeading)
	for i := range crews {
		fmt.Fprintf(&b, "c%d,%s,%s,%s\n", i, place(), []string{"", "tow"}[i%2], []string{",", ",", "07:00,19:00"}[i%3])
	}
	return put(t, dir, "demand.csv", rows(lines...)), put(t, dir, "fleet.csv", b.String())
}
