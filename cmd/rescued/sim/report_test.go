package sim_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
	"rescued/sla"
)

// three requests on the equator and one crew: on time, late, and nobody's.
func threeFates(t *testing.T) (sim.World, *sim.Result, string) {
	dir := t.TempDir()
	w := world(t,
		put(t, dir, "d.csv", rows("2016-02-01T08:00:00,0,0.1,any", "2016-02-01T08:10:00,0,0.1,any", "2016-02-01T08:20:00,0,0.1,ship")), "",
		put(t, dir, "f.csv", crews("0,0")), put(t, dir, "n.json", `{"ship":"diver"}`))
	runs, _, result := replayed(t, dir, w, policy(t, sim.Nearest))
	return w, result, runs
}

func TestSummaryByHand(t *testing.T) {
	t.Parallel()
	w, result, _ := threeFates(t)
	require.Equal(t, []sim.Unable{{Kind: "ship", Calls: 1}}, w.Unable())
	s, err := sim.Summarise(w, sim.Nearest, result)
	require.NoError(t, err)
	// Arrivals at 08:32:01.360 and 09:04:01.360, the second 9 min 1.36 s late;
	// free from 09:34:01.360 on.
	require.Equal(t, sim.Summary{
		Policy: "nearest", SLAPolicy: "example-45 v1", Requests: 3, Served: 2, Unserved: 1, OnTime: 1, Late: 1, OnTimeShare: 0.333333,
		ResponseMeanS: (1921.360 + 3241.360) / 2, ResponseP50S: 1921.360, ResponseP90S: 3241.360, ResponseP99S: 3241.360, ResponseMaxS: 3241.360,
		LateMeanS: 541.360, LateTotalS: 541.360, CompensationFen: 2000, Crews: 1, CrewUtilisation: 1, DrivenKm: 15,
	}, s)
}

func TestRunsAreReadAsWritten(t *testing.T) {
	t.Parallel()
	_, result, path := threeFates(t)
	read, err := sim.ReadRuns(path)
	require.NoError(t, err)
	require.Equal(t, result.Rows, read)
}

// A crew's name may hold what CSV must quote.
func TestNamesAreQuoted(t *testing.T) {
	t.Parallel()
	name := `Li, "Wei"`
	fleet := []sim.Member{{ID: name, Shift: sim.Always}}
	w := sim.World{
		Calls: []sim.Call{{CalledAt: time.Date(2016, 2, 1, 0, 0, 0, 0, time.UTC)}}, Fleet: fleet, Model: geo.ConstantSpeed(30, 1.35), Pays: sla.Example45(),
	}
	runs, legs, _ := replayed(t, t.TempDir(), w, policy(t, sim.Closest))
	require.Equal(t, name, readTable(t, runs)[0]["crew_id"])
	require.Equal(t, name, readTable(t, legs)[0]["crew_id"])
}

func TestCompare(t *testing.T) {
	t.Parallel()
	at := func(min int) time.Time { return time.Date(2016, 2, 1, 8, min, 0, 0, time.UTC) }
	row := func(i int, arrived, late int) sim.Row {
		r := sim.Row{Request: i, CalledAt: at(0)}
		if arrived > 0 {
			r.Crew, r.ArrivedAt, r.Late = "c", at(arrived), time.Duration(late)*time.Minute
		}
		return r
	}
	a := []sim.Row{row(0, 50, 5), row(1, 40, 0), row(2, 30, 0), row(3, 60, 15), row(4, 20, 0), row(5, 0, 0)}
	b := []sim.Row{row(0, 45, 0), row(1, 55, 10), row(2, 25, 0), row(3, 70, 25), row(4, 20, 0), row(5, 60, 15)}
	want := []sim.Change{sim.Gained, sim.Lost, sim.Sooner, sim.Later, sim.Same, sim.Sooner}
	for i := range a {
		require.Equal(t, want[i], sim.Changed(a[i], b[i]), i)
	}
	var out bytes.Buffer
	require.NoError(t, sim.Compare(&out, "a.csv", "b.csv", a, b))
	require.Contains(t, out.String(), "late               2         3        +1")
	require.Contains(t, out.String(), "0,gained,2016-02-01T08:00:00.000Z,c,2016-02-01T08:50:00.000Z,300.000,c,2016-02-01T08:45:00.000Z,0.000\n")
	require.Contains(t, out.String(), "1,lost,")
	require.NotContains(t, out.String(), "2,")

	require.ErrorContains(t, sim.Compare(&out, "a.csv", "b.csv", a, b[1:]), "a.csv has 6 requests and b.csv has 5")
	b[2].CalledAt = at(1)
	require.ErrorContains(t, sim.Compare(&out, "a.csv", "b.csv", a, b), "request 2 was called at 2016-02-01T08:00:00.000Z in a.csv")
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]int{
		"crews=3..5": {3, 4, 5}, "crews=20..80/30": {20, 50, 80}, "crews=2..2": {2}, "crews=1..4/2": {1, 3},
	} {
		n, err := sim.ParseSizes(text)
		require.NoError(t, err)
		require.Equal(t, want, n.List())
	}
	for _, text := range []string{"", "20..80", "crews=20", "crews=a..b", "crews=0..3", "crews=3..5/0", "crews=1..2..3"} {
		_, err := sim.ParseSizes(text)
		require.ErrorContains(t, err, "write crews=20..80", text)
	}
	_, err := sim.ParseSizes("crews=5..3")
	require.ErrorContains(t, err, "write the smaller fleet first")
}

// A smaller fleet of a seed is the beginning of a larger one.
func TestPlacedFleetsNest(t *testing.T) {
	t.Parallel()
	calls, err := sim.ReadDemand(february, "DISABLED_VEHICLE")
	require.NoError(t, err)
	require.Equal(t, sim.Placed(calls, 14, 9, 3), sim.Placed(calls, 40, 9, 3)[:14])
	require.NotEqual(t, sim.Placed(calls, 14, 9, 3), sim.Placed(calls, 14, 8, 3))
}

// A sweep has a row for each run; its plot is well-formed and has a line for
// each policy in each panel.
func TestSweepAndPlot(t *testing.T) {
	t.Parallel()
	calls, err := sim.ReadDemand(february, "DISABLED_VEHICLE")
	require.NoError(t, err)
	w := sim.World{Calls: calls, Model: geo.ConstantSpeed(30, 1.35), Turnout: 2 * time.Minute, Service: 30 * time.Minute, Promised: 45 * time.Minute, Pays: sla.Example45()}
	var cases []sim.Case
	for n := 4; n <= 8; n += 2 {
		w.Fleet = sim.Placed(calls, n, 1, 0)
		for _, p := range sim.PolicyNames() {
			cases = append(cases, sim.Case{World: w, Policy: p})
		}
	}
	all, err := sim.RunAll(context.Background(), cases, nil)
	require.NoError(t, err)
	var table, plot bytes.Buffer
	require.NoError(t, sim.WriteSweep(&table, all))
	read, err := csv.NewReader(&table).ReadAll()
	require.NoError(t, err)
	require.Len(t, read, 10)
	require.Equal(t, []string{"4", "nearest"}, read[1][:2])
	require.Greater(t, all[0].Late, all[6].Late, "fewer crews are late more often")

	require.NoError(t, sim.WritePlot(&plot, "a < b", sim.SweepPanels(all)))
	lines := 0
	for dec := xml.NewDecoder(strings.NewReader(plot.String())); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
			for _, a := range e.Attr {
				if a.Name.Local == "d" && strings.Count(a.Value, "L") == 2 {
					lines++
				}
			}
		}
	}
	require.Equal(t, 6, lines)

	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = sim.RunAll(stopped, cases, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// The criteria of promise, at their bounds.
func TestTrialCriteria(t *testing.T) {
	t.Parallel()
	trial := func(nearest, closest, promise int) sim.Trial {
		of := func(late int) sim.Summary {
			return sim.Summary{Requests: 1000, Late: late, ResponseMaxS: 6000, ResponseMeanS: 1000, LateTotalS: 60}
		}
		return sim.Trial{Month: "2016-02", Crews: 14, Seed: 1, Nearest: of(nearest), Closest: of(closest), Promise: of(promise)}
	}
	for _, tc := range []struct {
		name   string
		trial  sim.Trial
		band   sim.Band
		missed int
	}{
		{"easy, as good", trial(49, 40, 49), sim.Easy, 0},
		{"easy, one more", trial(49, 40, 50), sim.Easy, 1},
		{"busy, at both bounds", trial(50, 30, 10), sim.Busy, 0},
		{"busy, over both", trial(50, 30, 11), sim.Busy, 2},
		{"busy, over a third of closest", trial(400, 30, 11), sim.Busy, 1},
		{"hard: nothing asked", trial(401, 30, 1000), sim.Hard, 0},
		{"collapse, at its bound", trial(601, 400, 300), sim.Collapse, 0},
		{"collapse, over it", trial(601, 400, 301), sim.Collapse, 1},
	} {
		require.Equal(t, tc.band, tc.trial.Band(), tc.name)
		missed := 0
		for _, c := range tc.trial.Criteria() {
			if !c.Pass {
				missed++
			}
		}
		require.Equal(t, tc.missed, missed, tc.name)
	}
	slow := trial(49, 40, 49)
	slow.Promise.ResponseMeanS = 1020.1
	require.False(t, slow.Criteria()[1].Pass)
	long := trial(50, 50, 0)
	long.Promise.ResponseMaxS, long.Promise.LateTotalS = 6001, 61
	require.False(t, long.Criteria()[2].Pass)
	require.False(t, long.Criteria()[3].Pass)
	far := trial(700, 700, 0)
	far.Promise.ResponseMaxS = 6601
	require.False(t, far.Criteria()[1].Pass)

	// Only busy rows are summed: 16 of 8·16, and 16 of 5·16.
	sums := sim.SumCriteria([]sim.Trial{trial(128, 80, 16), trial(10, 10, 10), trial(900, 10, 900)})
	require.True(t, sums[0].Pass && sums[1].Pass)
	sums = sim.SumCriteria([]sim.Trial{trial(128, 80, 17)})
	require.False(t, sums[0].Pass || sums[1].Pass)

	// The page counts them and names those missed.
	var page bytes.Buffer
	doc := sim.TrialDoc{World: sim.World{Model: geo.ConstantSpeed(30, 1.35)}, Demand: "calls.csv", Plot: "p.svg", Seeds: []uint64{1}}
	asked, missed, err := doc.Write(&page, []sim.Trial{trial(50, 30, 11), trial(49, 40, 49)})
	require.NoError(t, err)
	require.Equal(t, []int{2 + 4 + 2, 4}, []int{asked, missed})
	require.Contains(t, page.String(), "| 2016-02, 14 crews, seed 1 (busy) | late arrivals: at most 1/5 of nearest's | 11 of 50 (0.220) |")
	require.Contains(t, page.String(), "no row is collapse: what is asked there was not tried")
}

// Months are cut at the calendar's bounds.
func TestMonths(t *testing.T) {
	t.Parallel()
	var calls []sim.Call
	for _, day := range []string{"2015-12-31T23:59:59Z", "2016-01-01T00:00:00Z", "2016-01-31T10:00:00Z", "2016-03-01T00:00:00Z"} {
		at, err := time.Parse(time.RFC3339, day)
		require.NoError(t, err)
		calls = append(calls, sim.Call{CalledAt: at})
	}
	var sizes []int
	for _, m := range sim.Months(calls) {
		sizes = append(sizes, len(m))
	}
	require.Equal(t, []int{1, 2, 1}, sizes)
}
