package sim_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
)

// Small worlds on the equator, worked out by hand: 0.1 degree is 11,119.5 m of
// great circle, 15,011.3 m of road, 1,801.3603 s at 30 km/h; so a crew 0.1 away
// arrives 1,921.360 s after it is committed and is free 1,800 s later.
func TestSmallWorldsByHand(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		demand  string
		fleet   string
		needs   string
		nearest string // crew and arrival of each request
		closest string
	}{
		{
			name:    "the nearer of two",
			demand:  rows("2016-02-01T08:00:00,0,0.1,A"),
			fleet:   crews("0,0.3", "0,0.2"),
			nearest: "c1 08:32:01.360", closest: "c1 08:32:01.360",
		},
		{
			name:    "a tie goes to the first of the file, on either side",
			demand:  rows("2016-02-01T08:00:00,0,0.2,A"),
			fleet:   crews("0,0.3", "0,0.1"),
			nearest: "c0 08:32:01.360", closest: "c0 08:32:01.360",
		},
		{
			name:    "of one place, the first of the file",
			demand:  rows("2016-02-01T08:00:00,0,0,A", "2016-02-01T08:00:00,0,0,A"),
			fleet:   crews("0,0.1", "0,0.1"),
			nearest: "c0 08:32:01.360 c1 08:32:01.360", closest: "c0 08:32:01.360 c1 08:32:01.360",
		},
		{
			name: "calls of one moment: the first takes the crew that is closer to the second",
			// closest gives c0 to request 1, 0.1 away, and leaves c1, 0.2 + 0.2 away, to request 0.
			demand:  rows("2016-02-01T08:00:00,0,0.2,A", "2016-02-01T08:00:00,0,-0.1,A"),
			fleet:   crews("0,0", "0,0.6"),
			nearest: "c0 09:02:02.721 c1 11:32:09.522", closest: "c1 10:02:05.441 c0 08:32:01.360",
		},
		{
			name: "a freed crew: the oldest, or the closest",
			// c0 is on scene of request 0 at 0.1 until 09:02:01.360.
			demand:  rows("2016-02-01T08:00:00,0,0.1,A", "2016-02-01T08:10:00,0,0.3,A", "2016-02-01T08:20:00,0,0.2,A"),
			fleet:   crews("0,0"),
			nearest: "c0 08:32:01.360 c0 10:04:04.081 c0 11:06:05.441", closest: "c0 08:32:01.360 c0 10:36:04.080 c0 09:34:02.720",
		},
		{
			name:    "a freed crew, equally close: the one that called first, wherever it stands in the file",
			demand:  rows("2016-02-01T08:20:00,0,0,A", "2016-02-01T08:00:00,0,0.1,A", "2016-02-01T08:10:00,0,0.2,A"),
			fleet:   crews("0,0"),
			nearest: "c0 08:32:01.360 c0 09:34:02.720 c0 11:06:05.441", closest: "c0 08:32:01.360 c0 09:34:02.720 c0 11:06:05.441",
		},
		{
			name:    "who is not able is passed over, who can do more is not",
			demand:  rows("2016-02-01T08:00:00,0,0,tow", "2016-02-01T08:00:00,0,0,any"),
			fleet:   fleetHeading + "near,0,0,winch,,\nfar,0,0.1,winch|flatbed,,\n",
			needs:   `{"tow": ["flatbed"]}`,
			nearest: "far 08:32:01.360 near 08:02:00.000", closest: "far 08:32:01.360 near 08:02:00.000",
		},
		{
			name:    "nobody is able: unserved, and nobody waits behind it",
			demand:  rows("2016-02-01T08:00:00,0,0,ship", "2016-02-01T08:00:00,0,0,any"),
			fleet:   crews("0,0.1"),
			needs:   `{"ship": "diver"}`,
			nearest: "- - c0 08:32:01.360", closest: "- - c0 08:32:01.360",
		},
		{
			name: "a shift over midnight; its end is not in it",
			// Request 2 comes at the very end and waits for the next evening.
			demand:  rows("2016-02-01T23:00:00,0,0,A", "2016-02-02T01:00:00,0,0,A", "2016-02-02T02:00:00,0,0,A"),
			fleet:   fleetHeading + "night,0,0,,23:30,02:00\n",
			nearest: "night 23:32:00.000 night 01:02:00.000 night 23:32:00.000", closest: "night 23:32:00.000 night 01:02:00.000 night 23:32:00.000",
		},
		{
			name:    "a job begun in the shift is finished after it, and no other begun",
			demand:  rows("2016-02-01T08:00:00,0,0.1,A", "2016-02-01T08:01:00,0,0.1,A"),
			fleet:   fleetHeading + "c0,0,0,,07:00,08:30\n",
			nearest: "c0 08:32:01.360 c0 07:02:00.000", closest: "c0 08:32:01.360 c0 07:02:00.000",
		},
		{
			name:    "a call between two milliseconds is taken at the second",
			demand:  rows("2016-02-01T08:00:00.0001,0,0,A"),
			fleet:   crews("0,0"),
			nearest: "c0 08:02:00.001", closest: "c0 08:02:00.001",
		},
	} {
		for name, want := range map[string]string{sim.Nearest: tc.nearest, sim.Closest: tc.closest} {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				needs := ""
				if tc.needs != "" {
					needs = put(t, dir, "needs.json", tc.needs)
				}
				w := world(t, put(t, dir, "d.csv", tc.demand), "", put(t, dir, "f.csv", tc.fleet), needs)
				_, _, result := replayed(t, dir, w, policy(t, name))
				var got []string
				for _, r := range result.Rows {
					if !r.Served() {
						got = append(got, "- -")
						continue
					}
					got = append(got, r.Crew+" "+r.ArrivedAt.Format("15:04:05.000"))
				}
				require.Equal(t, want, strings.Join(got, " "))
			})
		}
	}
}

// The same files and settings give the same bytes.
func TestTwoRunsAreTheSame(t *testing.T) {
	t.Parallel()
	calls, err := sim.ReadDemand(february, "")
	require.NoError(t, err)
	for _, name := range sim.PolicyNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var first []string
			for range 2 {
				w := sim.World{
					Calls: calls[:600], Fleet: sim.Placed(calls, 12, 5, 0), Model: geo.ConstantSpeed(30, 1.35),
					Turnout: 2 * time.Minute, Service: 30 * time.Minute, Promised: 45 * time.Minute,
				}
				runs, legs, _ := replayed(t, t.TempDir(), w, policy(t, name))
				var texts []string
				for _, path := range []string{runs, legs} {
					text, err := os.ReadFile(path)
					require.NoError(t, err)
					texts = append(texts, string(text))
				}
				if first == nil {
					first = texts
				}
				require.Equal(t, first, texts)
			}
		})
	}
}

// exhaustive is nearest or closest by their definition, looking at every pair.
type exhaustive struct{ byTravel bool }

func (p exhaustive) Decide(v *sim.View, out *sim.Orders) {
	waiting := slices.Clone(v.Waiting)
	var free []int
	for c := range v.Crews {
		if v.Crews[c].State == sim.Idle {
			free = append(free, c)
		}
	}
	type pair struct {
		travel time.Duration
		r, c   int
	}
	for {
		var pairs []pair
		for _, r := range waiting {
			for _, c := range free {
				if v.Able(c, r) {
					pairs = append(pairs, pair{v.Travel(v.Crews[c].From, v.Requests[r].At), r, c})
				}
			}
		}
		if len(pairs) == 0 {
			return
		}
		best := slices.MinFunc(pairs, func(a, b pair) int {
			if p.byTravel {
				return cmp.Or(cmp.Compare(a.travel, b.travel), cmp.Compare(a.r, b.r), cmp.Compare(a.c, b.c))
			}
			return cmp.Or(cmp.Compare(a.r, b.r), cmp.Compare(a.travel, b.travel), cmp.Compare(a.c, b.c))
		})
		out.Commit(best.c, best.r)
		waiting = slices.DeleteFunc(waiting, func(r int) bool { return r == best.r })
		free = slices.DeleteFunc(free, func(c int) bool { return c == best.c })
	}
}

// nearest and closest do what their definitions say, to the byte, ties
// included: places on a coarse grid make many.
func TestBaselinesAgainstEveryPair(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		demand, fleet, c := smallWorld(rt, t, dir)
		w := world(t, demand, "", fleet, put(t, dir, "needs.json", `{"A": "tow", "B": ["winch", "tow"]}`))
		w.Turnout, w.Service = time.Duration(c.turnout)*time.Second, time.Duration(c.service)*time.Second
		for _, name := range []string{sim.Nearest, sim.Closest} {
			var texts []string
			for _, p := range []sim.Policy{policy(t, name), exhaustive{name == sim.Closest}} {
				runs, _, _ := replayed(t, dir, w, p)
				text, err := os.ReadFile(runs)
				require.NoError(t, err)
				texts = append(texts, string(text))
			}
			if texts[0] != texts[1] {
				rt.Fatal(fmt.Sprintf("%s:\n%s\nby every pair:\n%s", name, texts[0], texts[1]))
			}
		}
	})
}

// The real month decides the same as well.
func TestBaselinesAgainstEveryPairOnAMonth(t *testing.T) {
	t.Parallel()
	calls, err := sim.ReadDemand(february, "")
	require.NoError(t, err)
	w := sim.World{
		Calls: calls, Fleet: sim.Placed(calls, 18, 3, 0), Model: geo.ConstantSpeed(30, 1.35),
		Turnout: 2 * time.Minute, Service: 30 * time.Minute, Promised: 45 * time.Minute,
	}
	for _, name := range []string{sim.Nearest, sim.Closest} {
		_, _, fast := replayed(t, t.TempDir(), w, policy(t, name))
		_, _, slow := replayed(t, t.TempDir(), w, exhaustive{name == sim.Closest})
		require.Equal(t, slow.Rows, fast.Rows, name)
	}
}
