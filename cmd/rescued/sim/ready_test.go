package sim_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
)

// Idle crews go where the calls are that nobody would reach in time; the moves
// are legs without a request, the road they take is counted, and more arrive
// in time. The same run gives the same bytes.
func TestStandingReadyInTheSimulator(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all, err := sim.ReadDemand(february, "")
	require.NoError(t, err)
	w := sim.World{
		Calls: all[:1500], Fleet: sim.Placed(all, 14, 3, 0), Model: geo.ConstantSpeed(30, 1.35),
		Turnout: 2 * time.Minute, Service: 30 * time.Minute, Promised: 45 * time.Minute, Pays: world(t, put(t, dir, "d.csv", rows("2016-02-01T08:00:00,0,0,A")), "", put(t, dir, "f.csv", crews("0,0")), "").Pays,
	}
	moves := func(path string) int {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return bytes.Count(text, []byte(",,2016"))
	}
	_, plainLegs, plain := replayed(t, t.TempDir(), w, policy(t, sim.Nearest))
	runs, legs, ready := replayed(t, t.TempDir(), w, sim.StandReady(policy(t, sim.Nearest)))
	again, _, _ := replayed(t, t.TempDir(), w, sim.StandReady(policy(t, sim.Nearest)))

	require.Zero(t, moves(plainLegs))
	require.Zero(t, plain.MovedM)
	require.Greater(t, moves(legs), 100)
	require.Positive(t, ready.MovedM)
	require.Less(t, ready.MovedM, ready.DrivenM)
	late := func(r *sim.Result) (n int) {
		for _, row := range r.Rows {
			if row.Late > 0 {
				n++
			}
		}
		return n
	}
	require.Less(t, late(ready), late(plain))
	first, err := os.ReadFile(runs)
	require.NoError(t, err)
	second, err := os.ReadFile(again)
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
}

// meddling moves a crew itself, and recalls another.
type meddling struct {
	sim.Policy
	asked int
}

func (p *meddling) Decide(v *sim.View, out *sim.Orders) {
	p.asked++
	if p.asked == 1 {
		out.Move(0, geo.Point{Lng: 0.05})
		out.Commit(1, 0)
		return
	}
	p.Policy.Decide(v, out)
}

// What the policy has a crew do is not countermanded.
func TestStandingReadyLeavesOrdersAlone(t *testing.T) {
	t.Parallel()
	_, err := sim.Run(context.Background(), twoCalls(t), sim.StandReady(&meddling{Policy: policy(t, sim.Nearest)}), sim.Watch{})
	require.NoError(t, err)
}
