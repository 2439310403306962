package sim_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/cmd/rescued/sim"
)

const february = "testdata/montgomery_2016-02.csv.gz"

// Every policy's month of the real file can be driven, by the arithmetic of
// the checker; so can the month of a policy that uses all that is allowed.
func TestAMonthIsFeasible(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	calls, err := sim.ReadDemand(february, "")
	require.NoError(t, err)
	var b strings.Builder
	b.WriteString(fleetHeading)
	shifts := []string{",", ",", "06:00,18:00", "18:00,06:00"}
	for i, m := range sim.Placed(calls, 24, 7, 0) {
		able := []string{"", "tow", "tow|winch"}[i%3]
		fmt.Fprintf(&b, "c%d,%v,%v,%s,%s\n", i, m.At.Lat, m.At.Lng, able, shifts[i%4])
	}
	fleet := put(t, dir, "fleet.csv", b.String())
	needs := put(t, dir, "needs.json", `{"VEHICLE_ACCIDENT": ["tow"], "VEHICLE_FIRE": "tow|winch"}`)
	c := usual()
	c.needs = map[string][]string{"VEHICLE_ACCIDENT": {"tow"}, "VEHICLE_FIRE": {"tow", "winch"}}

	for _, name := range append(sim.PolicyNames(), "whimsical", "ready") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world(t, february, "", fleet, needs)
			p := sim.Policy(&whimsical{draw: rand.New(rand.NewPCG(1, 2)), whims: 20_000})
			switch name {
			case "whimsical":
			case "ready":
				p = sim.StandReady(policy(t, sim.Closest))
			default:
				p = policy(t, name)
			}
			runs, legs, result := replayed(t, t.TempDir(), w, p)
			require.Len(t, result.Rows, 4183)
			if name == "whimsical" {
				text, err := os.ReadFile(legs)
				require.NoError(t, err)
				require.Greater(t, strings.Count(string(text), "diverted"), 3000)
				require.Greater(t, strings.Count(string(text), ",,2016"), 1000, "moves of idle crews")
			}
			require.Empty(t, check(t, c, february, fleet, runs, legs))
		})
	}
}

// The checker must be able to find something: each of these changes to a
// feasible run makes it complain.
func TestTheCheckerFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fleet := put(t, dir, "fleet.csv", crews("40.1,-75.3", "40.2,-75.4", "40.05,-75.2"))
	demand := put(t, dir, "demand.csv", rows(
		"2016-02-01T08:00:00,40.12,-75.31,A", "2016-02-01T08:01:00,40.2,-75.41,A", "2016-02-01T08:02:00,40.06,-75.25,A", "2016-02-01T08:03:00,40.3,-75.1,A",
	))
	runs, legs, _ := replayed(t, dir, world(t, demand, "", fleet, ""), policy(t, sim.Nearest))
	require.Empty(t, check(t, usual(), demand, fleet, runs, legs))
	for _, tc := range []struct{ name, file, old, new string }{
		{"a leg that ends 2 ms early", legs, ":05:17.587", ":05:17.585"},
		{"a leg from elsewhere", legs, "40.1,-75.3", "40.1001,-75.3"},
		{"a leg before its call", legs, "2016-02-01T08:00:00.000Z,40.1,", "2016-02-01T07:59:59.999Z,40.1,"},
		{"a lateness that is not", runs, ",0.000,0", ",1.000,0"},
		{"a payment that is not", runs, ",0.000,0", ",0.000,2000"},
		{"another crew", runs, "0,c0,", "0,c1,"},
		{"a diversion that never was", legs, "arrived", "diverted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text, err := os.ReadFile(tc.file)
			require.NoError(t, err)
			require.Contains(t, string(text), tc.old)
			bent := put(t, t.TempDir(), "bent.csv", strings.Replace(string(text), tc.old, tc.new, 1))
			files := map[string]string{runs: runs, legs: legs}
			files[tc.file] = bent
			require.NotEmpty(t, check(t, usual(), demand, fleet, files[runs], files[legs]))
		})
	}
}

// Random small worlds, with ties, equal places, calls of one moment and below
// a millisecond, shifts over midnight and capabilities nobody has.
func TestSmallWorldsAreFeasible(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		demand, fleet, c := smallWorld(rt, t, dir)
		needs := put(t, dir, "needs.json", `{"A": "tow", "B": ["winch", "tow"], "C": []}`)
		c.needs = map[string][]string{"A": {"tow"}, "B": {"winch", "tow"}}
		w := world(t, demand, "", fleet, needs)
		w.Turnout, w.Service = time.Duration(c.turnout)*time.Second, time.Duration(c.service)*time.Second
		p := sim.Policy(&whimsical{draw: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "whim"), 0)), whims: 60})
		if name := rapid.SampledFrom(append(sim.PolicyNames(), "whimsical")).Draw(rt, "policy"); name != "whimsical" {
			p = policy(t, name)
		}
		if rapid.Bool().Draw(rt, "stand ready") {
			p = sim.StandReady(p)
		}
		runs, legs, _ := replayed(t, dir, w, p)
		if problems := check(t, c, demand, fleet, runs, legs); len(problems) > 0 {
			rt.Fatal(strings.Join(problems, "\n"))
		}
	})
}

// What a policy finds near a place is what is near it, wherever crews have got
// to.
func TestSearchesAreExact(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		demand, fleet, c := smallWorld(rt, t, dir)
		w := world(t, demand, "", fleet, put(t, dir, "needs.json", `{"A": "tow", "B": ["winch", "tow"]}`))
		w.Turnout, w.Service = time.Duration(c.turnout)*time.Second, time.Duration(c.service)*time.Second
		draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "draw"), 0))
		replayed(t, dir, w, &careful{rt, draw, &whimsical{draw: draw, whims: 60}, seen})
	})
	for _, name := range []string{"idle", "moving", "driving", "engaged", "waiting"} {
		require.Greater(t, seen[name], 100, name)
	}
}

// smallWorld draws a demand and a fleet file.
func smallWorld(rt *rapid.T, t *testing.T, dir string) (demand, fleet string, c contract) {
	c = usual()
	c.turnout = rapid.SampledFrom([]float64{0, 120}).Draw(rt, "turnout")
	c.service = rapid.SampledFrom([]float64{0, 60, 1800}).Draw(rt, "service")
	place := func(name string) string {
		step := rapid.IntRange(0, 8)
		return fmt.Sprintf("%.3f,%.3f", 40+float64(step.Draw(rt, name+" lat"))*0.025, -75+float64(step.Draw(rt, name+" lng"))*0.025)
	}
	var d, f strings.Builder
	d.WriteString("call_time,lat,lng,kind\n")
	start := time.Date(2016, 2, 1, 22, 0, 0, 0, time.UTC)
	for range rapid.IntRange(1, 25).Draw(rt, "calls") {
		at := start.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(rt, "half seconds")) * 500_250 * time.Microsecond)
		fmt.Fprintf(&d, "%s,%s,%s\n", at.Format("2006-01-02T15:04:05.999999"), place("call"), rapid.SampledFrom([]string{"A", "B", "C"}).Draw(rt, "kind"))
	}
	f.WriteString(fleetHeading)
	for i := range rapid.IntRange(1, 6).Draw(rt, "crews") {
		able := rapid.SampledFrom([]string{"", "tow", "winch", "winch|tow"}).Draw(rt, "able")
		shift := rapid.SampledFrom([]string{",", "22:30,02:00", "23:00,01:30", "00:00,12:00"}).Draw(rt, "shift")
		fmt.Fprintf(&f, "c%d,%s,%s,%s\n", i, place("crew"), able, shift)
	}
	return put(t, dir, "demand.csv", d.String()), put(t, dir, "fleet.csv", f.String()), c
}
