package sim_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
)

// scripted lets a test say what happens at each decision, by its number.
type scripted struct {
	n    int
	does func(n int, v *sim.View, out *sim.Orders)
}

func (p *scripted) Decide(v *sim.View, out *sim.Orders) {
	p.does(p.n, v, out)
	p.n++
}

// two crews, c0 at 0 and c1 at 0.1 who can tow, and two calls five minutes
// apart that need nothing and a tow, on the equator.
func twoCalls(t *testing.T) sim.World {
	dir := t.TempDir()
	return world(t,
		put(t, dir, "d.csv", rows("2016-02-01T08:00:00,0,0.2,any", "2016-02-01T08:05:00,0,0.3,tow")), "",
		put(t, dir, "f.csv", fleetHeading+"c0,0,0,,,\nc1,0,0.1,tow,,\nlate,0,0,tow,08:00,08:03\n"),
		put(t, dir, "n.json", `{"tow":"tow"}`))
}

// Orders that cannot be carried out stop the run and say why.
func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		does func(n int, v *sim.View, out *sim.Orders)
		says string
	}{
		{"a crew that is not there", func(_ int, _ *sim.View, out *sim.Orders) { out.Commit(3, 0) }, "there is no such crew"},
		{"a crew named twice", func(_ int, _ *sim.View, out *sim.Orders) { out.Commit(0, 0); out.Commit(0, 0) }, "crew c0 to request 0: it is named twice"},
		{"a call not made", func(_ int, _ *sim.View, out *sim.Orders) { out.Commit(1, 1) }, "that call is not made yet"},
		{"one request, two crews", func(_ int, _ *sim.View, out *sim.Orders) { out.Commit(0, 0); out.Commit(1, 0) }, "it does not wait: crew c0 has it"},
		{"no capability", func(n int, _ *sim.View, out *sim.Orders) {
			if n == 2 { // the shift of the third crew ends at n == 1
				out.Commit(0, 1)
			}
		}, "orders of 2016-02-01T08:05:00.000Z: crew c0 to request 1: it lacks a capability"},
		{"not on shift", func(n int, _ *sim.View, out *sim.Orders) {
			if n == 1 {
				out.Commit(2, 0)
			}
		}, "its shift is not on"},
		{"on scene", func(n int, v *sim.View, out *sim.Orders) {
			if n == 0 {
				out.Commit(1, 0)
			} else if v.Crews[1].State == sim.OnScene {
				out.Commit(1, 1)
			}
		}, "it is on scene of request 0 until 2016-02-01T09:02:01.360Z"},
		{"there already", func(n int, _ *sim.View, out *sim.Orders) { out.Commit(1, 0) }, "it drives there already"},
		{"nothing to recall", func(_ int, _ *sim.View, out *sim.Orders) { out.Recall(0) }, "nothing to recall it from"},
		{"a move of one that drives", func(n int, _ *sim.View, out *sim.Orders) {
			if n == 0 {
				out.Commit(0, 0)
			} else {
				out.Move(0, geo.Point{})
			}
		}, "it is not idle"},
		{"a move to nowhere", func(_ int, _ *sim.View, out *sim.Orders) { out.Move(0, geo.Point{Lat: 91}) }, "there is no such place"},
		{"nobody is ever sent", func(int, *sim.View, *sim.Orders) {}, "let 2 requests wait for 8 days"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := sim.Run(context.Background(), twoCalls(t), &scripted{does: tc.does}, sim.Watch{})
			require.ErrorContains(t, err, tc.says)
		})
	}
}

// A crew diverted on its way starts from where it is, with a new turnout; two
// crews swap in one decision; a move of an idle crew is cut short by a job.
func TestDiversionsAndMoves(t *testing.T) {
	t.Parallel()
	var legs []sim.Leg
	watch := sim.Watch{Leg: func(l sim.Leg) error { legs = append(legs, l); return nil }}
	p := &scripted{does: func(n int, v *sim.View, out *sim.Orders) {
		switch v.Now.Format("02 15:04:05") {
		case "01 08:00:00":
			require.Equal(t, []int{0, 1, 2}, v.NewIdle)
			require.Equal(t, []int{0}, v.NewWaiting)
			out.Commit(1, 0)
			out.Move(0, geo.Point{Lng: 0.2})
		case "01 08:05:00":
			// c1 drives since 08:02, at 0.0999… degrees in 1801.36 s.
			require.InDelta(t, 0.1+0.1*180/1801.3603, v.Place(1).Lng, 1e-6)
			require.InDelta(t, 0.1*180/1801.3603, v.Place(0).Lng, 1e-6)
			require.Equal(t, sim.Idle, v.Crews[0].State)
			for c, travel := range v.IdleNear(geo.Point{Lng: 0.2}, 0) {
				require.Equal(t, 0, c)
				require.InDelta(t, 2*1801.3603-180, travel.Seconds(), 0.001)
			}
			for c := range v.EngagedNear(geo.Point{}, 0) {
				require.Equal(t, 1, c)
			}
			out.Commit(1, 1)
			out.Commit(0, 0)
		}
	}}
	result, err := sim.Run(context.Background(), twoCalls(t), p, watch)
	require.NoError(t, err)
	require.Len(t, legs, 4)
	require.Equal(t, []bool{false, false, true, true}, []bool{legs[0].Arrived, legs[1].Arrived, legs[2].Arrived, legs[3].Arrived})
	five := time.Date(2016, 2, 1, 8, 5, 0, 0, time.UTC)
	for _, l := range legs[2:] {
		require.Equal(t, five, l.CommittedAt)
	}
	// Each has (0.2 or 0.1 degree) less 180 s of driving to go.
	require.Equal(t, five.Add(120*time.Second+3422*time.Second+721*time.Millisecond), result.Rows[0].ArrivedAt.Truncate(time.Millisecond))
	require.Equal(t, "c0", result.Rows[0].Crew)
	require.Equal(t, five.Add(120*time.Second+3422*time.Second+721*time.Millisecond), result.Rows[1].ArrivedAt)
	require.Equal(t, "c1", result.Rows[1].Crew)
	require.Equal(t, 1, result.Rows[0].Swaps)
	require.Equal(t, 0, result.Rows[1].Swaps)
}

// Two crews that drive exchange their requests in one decision.
func TestTwoCrewsSwap(t *testing.T) {
	t.Parallel()
	p := &scripted{does: func(n int, v *sim.View, out *sim.Orders) {
		switch v.Now.Format("02 15:04:05") {
		case "01 08:00:00":
			out.Commit(0, 0)
		case "01 08:05:00":
			out.Commit(1, 1)
			out.WakeAt(v.Now.Add(time.Minute))
		case "01 08:06:00":
			require.Empty(t, v.Waiting)
			out.Recall(1)
			out.Commit(0, 1)
		}
	}}
	w := twoCalls(t)
	w.Needs = nil
	_, err := sim.Run(context.Background(), w, p, sim.Watch{})
	require.ErrorContains(t, err, "let 1 requests wait", "the recalled crew's request waits again")

	p = &scripted{does: func(n int, v *sim.View, out *sim.Orders) {
		switch v.Now.Format("02 15:04:05") {
		case "01 08:00:00":
			out.Commit(0, 0)
		case "01 08:05:00":
			out.Commit(1, 1)
			out.WakeAt(v.Now.Add(time.Minute))
		case "01 08:06:00":
			out.Commit(1, 0)
			out.Commit(0, 1)
		}
	}}
	result, err := sim.Run(context.Background(), w, p, sim.Watch{})
	require.NoError(t, err)
	require.Equal(t, "c1", result.Rows[0].Crew)
	require.Equal(t, "c0", result.Rows[1].Crew)
	require.Equal(t, []int{1, 1}, []int{result.Rows[0].Swaps, result.Rows[1].Swaps})
	// c1 was still at its turnout: it starts from 0.1 once more.
	require.Equal(t, "08:38:01.360", result.Rows[0].ArrivedAt.Format("15:04:05.000"))
}
