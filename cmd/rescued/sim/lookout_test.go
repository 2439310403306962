package sim_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
)

// watched runs a policy over a world and reports what was announced.
func watched(t testing.TB, w sim.World, b sim.Belief) (sim.Warnings, *sim.Result) {
	t.Helper()
	look := sim.NewLookout(w, b)
	r, err := sim.Run(context.Background(), w, policy(t, sim.Nearest), sim.Watch{Minute: look.Minute})
	require.NoError(t, err)
	return look.Report(r.Rows, nil), r
}

// queueOf is a world with one crew and calls at its place, one a minute from
// noon: it serves one every 30 minutes and 2 of turnout.
func queueOf(t testing.TB, calls int) sim.World {
	t.Helper()
	noon := time.Date(2016, 2, 24, 12, 0, 0, 0, time.UTC)
	w := sim.World{
		Model: geo.ConstantSpeed(30, 1.35), Turnout: 2 * time.Minute, Service: 30 * time.Minute, Promised: 45 * time.Minute,
		Fleet: []sim.Member{{ID: "a", At: geo.Point{Lat: 40.1, Lng: -75.3}, Shift: sim.Always}},
	}
	for i := range calls {
		w.Calls = append(w.Calls, sim.Call{CalledAt: noon.Add(time.Duration(i) * time.Minute), At: w.Fleet[0].At})
	}
	return w
}

// TestLookoutOnAQueueWorkedOutByHand: of four calls the crew is at the first
// after 2 minutes, at the second after 34−1, at the third after 66−2 and at the
// fourth after 98−3: two breaches, both plain from the first minute.
func TestLookoutOnAQueueWorkedOutByHand(t *testing.T) {
	t.Parallel()
	w := queueOf(t, 4)
	got, r := watched(t, w, w.Believes())
	require.Equal(t, 64*time.Minute, r.Rows[2].Response())
	require.Equal(t, 4, got.Requests)
	require.Equal(t, 2, got.Breaches)
	require.Equal(t, sim.Heralds{Announced: 2, AnnouncedShare: 1, FalseAlarms: 0, Rang: 0, LeadP50S: 45 * 60}, got.Expected)
	// The second call waits its 33 minutes for an acceptance, and is kept.
	require.Equal(t, sim.Heralds{Announced: 2, AnnouncedShare: 1, FalseAlarms: 0, Rang: 1, LeadP50S: 45 * 60}, got.Any)
	require.Equal(t, 2, got.Savable, "the crew is free for either in time, though not for both")

	// Who believes that jobs take an hour sees one more breach than there is,
	// until the crew is there after all.
	believed := w.Believes()
	believed.Service = time.Hour
	got, _ = watched(t, w, believed)
	require.Equal(t, 2, got.Expected.Announced)
	require.Equal(t, 1, got.Expected.Rang)
	// Who believes that they take a minute sees the third coming only when it
	// is about to be too late, and the fourth as well.
	believed.Service = time.Minute
	got, _ = watched(t, w, believed)
	require.Zero(t, got.Expected.Announced)
	require.Equal(t, 2, got.Any.Announced, "that nobody accepts is told in any case")
}

// TestLookoutSeesWhatNobodyCanServe: a call that no crew is able to serve is a
// breach from the first minute on.
func TestLookoutSeesWhatNobodyCanServe(t *testing.T) {
	t.Parallel()
	w := queueOf(t, 2)
	w.Calls[1].Kind, w.Needs = "WRECK", map[string]geo.Capabilities{"WRECK": 1}
	got, r := watched(t, w, w.Believes())
	require.False(t, r.Rows[1].Served())
	require.Equal(t, 1, got.Breaches)
	require.Equal(t, 1, got.Expected.Announced)
	require.Zero(t, got.Savable)
}

// TestWatchingChangesNothing: a run that is looked at every minute is the run
// it is unwatched, and the minutes seen are all there are, in order.
func TestWatchingChangesNothing(t *testing.T) {
	t.Parallel()
	calls, err := sim.ReadDemand("testdata/montgomery_2016-02.csv.gz", "")
	require.NoError(t, err)
	var words sim.Vocabulary
	w := queueOf(t, 0)
	w.Calls = calls[:400]
	w.Fleet = sim.Placed(w.Calls, 12, 3, words.All())
	for _, name := range sim.PolicyNames() {
		plain, err := sim.Run(context.Background(), w, policy(t, name), sim.Watch{})
		require.NoError(t, err)
		look := sim.NewLookout(w, w.Believes())
		var last time.Time
		seen, err := sim.Run(context.Background(), w, policy(t, name), sim.Watch{Minute: func(v *sim.View) {
			require.Equal(t, v.Now.Truncate(time.Minute), v.Now)
			require.True(t, last.IsZero() || v.Now.Equal(last.Add(time.Minute)), "after %v comes %v", last, v.Now)
			last = v.Now
			look.Minute(v)
		}})
		require.NoError(t, err)
		require.Equal(t, plain, seen, name)
	}
}

// TestTheStormIsAnnounced holds the warning to what is asked of it, on the
// storm of 24 February 2016 and over that month.
func TestTheStormIsAnnounced(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("replays a month three times, which -short leaves out")
	}
	calls, err := sim.ReadDemand("testdata/montgomery_2016-02.csv.gz", "")
	require.NoError(t, err)
	require.Equal(t, time.Date(2016, 2, 24, 0, 0, 0, 0, time.UTC), sim.BusiestDay(calls))
	var words sim.Vocabulary
	w := queueOf(t, 0)
	w.Calls, w.Fleet = calls, sim.Placed(calls, 20, 1, words.All())
	var cases []sim.WarnCase
	for _, name := range sim.PolicyNames() {
		cases = append(cases, sim.WarnCase{World: w, Policy: name, Belief: w.Believes(), What: "what is so"})
	}
	rows, err := sim.WarnAll(context.Background(), cases, nil)
	require.NoError(t, err)
	for _, row := range rows {
		for _, x := range []sim.Warnings{row.All, row.Storm} {
			require.Positive(t, x.Breaches)
			require.GreaterOrEqual(t, x.Any.AnnouncedShare, sim.WarnAsked, row.Case.Policy)
			require.GreaterOrEqual(t, x.Expected.AnnouncedShare, sim.WarnAsked, row.Case.Policy)
			few := x.Breaches / 4
			if row.Case.Policy == "promise" {
				few = x.Breaches / 3 // its alarms are no more than they were, its breaches fewer
			}
			require.Less(t, x.Expected.FalseAlarms, few, "%s cries wolf", row.Case.Policy)
		}
	}
	var page bytes.Buffer
	missed, err := sim.WarnDoc{World: w, Demand: "calls.csv", Seed: 1}.Write(&page, rows)
	require.NoError(t, err)
	require.Zero(t, missed)
	require.Contains(t, page.String(), "The storm, 24 February 2016")
	rows[0].All.Any.AnnouncedShare = 0.5
	missed, err = sim.WarnDoc{World: w, Demand: "calls.csv", Seed: 1}.Write(&page, rows)
	require.NoError(t, err)
	require.Equal(t, 1, missed, "what is missed is counted")
}
