package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/sim"
)

const replayFebruary = "sim/testdata/montgomery_2016-02.csv.gz"

// replays runs the program and returns what it said.
func replays(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"replay"}, args...), nil, &out, &errs)
	return code, out.String(), errs.String()
}

func replayFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

const replayFleet = "crew_id,lat,lng,capabilities,shift_start,shift_end\na,40.13,-75.45,tow,,\nb,40.2,-75.3,tow|winch,06:00,18:00\nc,40.1,-75.2,,,\n"

// The contract, through the command line: all three files of a run, two
// policies compared, a lower promise, the policy's payments, and a sweep.
func TestReplayCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fleet := replayFile(t, dir, "fleet.csv", replayFleet)
	needs := replayFile(t, dir, "needs.json", `{"DISABLED_VEHICLE": ["tow"]}`)
	cheap, err := os.ReadFile("../../sla/policies/example-45.json")
	require.NoError(t, err)
	pays := replayFile(t, dir, "cheap.json", strings.NewReplacer("example-45", "cheap", "2000", "1", "5000", "1", "10000", "1").Replace(string(cheap)))
	of := func(name string) string { return filepath.Join(dir, name) }
	world := []string{"--demand", replayFebruary, "--kind", "DISABLED_VEHICLE", "--kind-need", needs}

	for _, policy := range sim.PolicyNames() {
		code, out, errs := replays(t, append(world, "--fleet", fleet, "--policy-assign", policy, "--promise-min", "30", "--sla-policy", pays,
			"--out", of(policy+".csv"), "--summary", of(policy+".json"), "--legs", of(policy+"-legs.csv"))...)
		require.Zero(t, code, errs)
		require.Contains(t, out, policy+" with 3 crews")
		var s sim.Summary
		text, err := os.ReadFile(of(policy + ".json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &s))
		require.Equal(t, s.Requests, s.OnTime+s.Late)
		require.EqualValues(t, s.Late, s.CompensationFen, "a fen for each late arrival")
		runs, err := sim.ReadRuns(of(policy + ".csv"))
		require.NoError(t, err)
		require.Len(t, runs, s.Requests)
	}
	code, out, errs := replays(t, "compare", of("nearest.csv"), of("closest.csv"))
	require.Zero(t, code, errs)
	require.Contains(t, out, "gained")

	few := []string{"--demand", replayFebruary, "--kind", "VEHICLE_FIRE"} // 67 calls: what is many runs is a matter of seconds
	code, out, errs = replays(t, append(few, "--fleet", fleet, "--sweep", "crews=2..3", "--out", of("sweep.csv"))...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "6 runs: ")
	require.FileExists(t, of("sweep.svg"))

	code, out, errs = replays(t, append(world, "--fleet", fleet, "--policy-assign", "nearest", "--stand-ready", "--summary", of("ready.json"), "--legs", of("ready-legs.csv"))...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "to stand ready")
	ready, err := os.ReadFile(of("ready.json"))
	require.NoError(t, err)
	require.Contains(t, string(ready), `"stand_ready": true`)

	code, _, errs = replays(t, slices.Concat([]string{"bench"}, few, []string{"--crews", "30", "--seeds", "4", "--out", of("promise.md")})...)
	page, err := os.ReadFile(of("promise.md"))
	require.NoError(t, err, errs)
	require.Contains(t, string(page), "| 2016-02 | 30 | 4 | easy | nearest |")
	require.Equal(t, strings.Contains(string(page), "What is missed"), code == 1)
	require.FileExists(t, of("promise.svg"))
	code, out, errs = replays(t, slices.Concat([]string{"warn"}, few, []string{"--crews", "3,2", "--policy-assign", "closest,promise",
		"--believed-min", "20", "--believed-kmh", "25", "--out", of("warning.md")})...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "closest    2 crews, jobs of 20 min:")
	require.Contains(t, out, "12 runs: ")
	page, err = os.ReadFile(of("warning.md"))
	require.NoError(t, err)
	require.Contains(t, string(page), "| promise | 3 | 25 km/h |")
	require.Contains(t, string(page), "The storm, 6 February 2016", "the day of the most fires")
	// Nothing half-written is left beside what was asked for.
	left, err := filepath.Glob(of(".*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// What is wrong with a command line is told with its mend, and nothing is
// written.
func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fleet := replayFile(t, dir, "fleet.csv", replayFleet)
	broken := replayFile(t, dir, "broken.csv", "crew_id,lat,lng,capabilities,shift_start,shift_end\na,40,north,,,\n")
	empty := replayFile(t, dir, "empty.csv", "call_time,lat,lng,kind\n")
	policy := replayFile(t, dir, "policy.json", `{"name": "Bad"}`)
	of := func(name string) string { return filepath.Join(dir, name) }
	for _, tc := range []struct {
		name string
		code int
		args []string
		says string
	}{
		{"no demand", 2, []string{"--fleet", fleet}, "--demand"},
		{"no fleet", 1, []string{"--demand", replayFebruary}, "--fleet is missing"},
		{"no such file", 1, []string{"--demand", of("gone.csv"), "--fleet", fleet}, "gone.csv: cannot be opened: no such file"},
		{"a broken fleet", 1, []string{"--demand", replayFebruary, "--fleet", broken}, `broken.csv: line 2: lng: "north" is not a number`},
		{"no calls", 1, []string{"--demand", empty, "--fleet", fleet}, "empty.csv has no calls"},
		{"no such kind", 1, []string{"--demand", replayFebruary, "--kind", "SHIP", "--fleet", fleet}, `no calls of kind "SHIP"`},
		{"an unknown policy", 2, []string{"--demand", replayFebruary, "--fleet", fleet, "--policy-assign", "best"}, `must be one of "nearest","closest","promise"`},
		{"no speed", 1, []string{"--demand", replayFebruary, "--fleet", fleet, "--speed-kmh", "0"}, "--speed-kmh 0: must be a speed above 0"},
		{"not a number", 1, []string{"--demand", replayFebruary, "--fleet", fleet, "--service-min", "NaN"}, "--service-min NaN: must be between 0 and 10080 minutes"},
		{"a short cut", 1, []string{"--demand", replayFebruary, "--fleet", fleet, "--detour", "0.9"}, "--detour 0.9: must be 1 or more"},
		{"a bad policy", 1, []string{"--demand", replayFebruary, "--fleet", fleet, "--sla-policy", policy}, "name: must be lower-case"},
		{"one file twice", 1, []string{"--demand", replayFebruary, "--fleet", fleet, "--out", of("x.csv"), "--legs", of("x.csv")}, "must name different files"},
		{"no such directory", 1, []string{"--demand", replayFebruary, "--fleet", fleet, "--out", of("no/x.csv")}, "no/x.csv cannot be written: no such file or directory"},
		{"a sweep backwards", 1, []string{"--demand", replayFebruary, "--sweep", "crews=9..3"}, "write the smaller fleet first"},
		{"a sweep beyond the fleet", 1, []string{"--demand", replayFebruary, "--fleet", fleet, "--sweep", "crews=2..9"}, "asks for 9 crews and"},
		{"bench of nobody", 1, []string{"bench", "--demand", replayFebruary, "--crews", "0"}, "crews of 1 or more"},
		{"warnings of nobody", 1, []string{"warn", "--demand", replayFebruary, "--crews", "0"}, "crews of 1 or more"},
		{"a job of no time", 1, []string{"warn", "--demand", replayFebruary, "--believed-min", "0"}, "--believed-min 0: must be 1 or more"},
		{"a belief that stands still", 1, []string{"warn", "--demand", replayFebruary, "--believed-kmh", "0"}, "--believed-kmh 0: must be a speed above 0"},
		{"compare with what is no run", 1, []string{"compare", fleet, fleet}, "line 1: request: the heading has no such column"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, _, errs := replays(t, tc.args...)
			require.Equal(t, tc.code, code, errs)
			require.Contains(t, errs, tc.says)
		})
	}
	require.NoFileExists(t, of("x.csv"))

	// A run stopped halfway has failed, and leaves nothing.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, more := range [][]string{{"--fleet", fleet, "--out", of("x.csv")}, {"--sweep", "crews=2..3", "--out", of("x.csv")}} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, 1, run(ctx, append([]string{"replay", "--demand", replayFebruary}, more...), nil, &stdout, &stderr))
		require.Contains(t, stderr.String(), "interrupted; nothing was written")
		left, err := filepath.Glob(of("*x.csv*"))
		require.NoError(t, err)
		require.Empty(t, left)
	}

	// Calls that nobody can serve are told of, and the run goes on.
	needs := replayFile(t, dir, "needs.json", `{"VEHICLE_FIRE": "crane"}`)
	code, out, errs := replays(t, "--demand", replayFebruary, "--kind", "VEHICLE_FIRE", "--kind-need", needs, "--fleet", fleet)
	require.Zero(t, code, errs)
	require.Contains(t, errs, `has all that "VEHICLE_FIRE" needs`)
	require.Contains(t, out, "served 0")
}
