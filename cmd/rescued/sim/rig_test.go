package sim_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
	"rescued/sla"
)

const fleetHeading = "crew_id,lat,lng,capabilities,shift_start,shift_end\n"

// put writes a file of the test.
func put(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// world reads the files of a world with the usual settings.
func world(t testing.TB, demand, kind, fleet, needs string) sim.World {
	t.Helper()
	var words sim.Vocabulary
	w := sim.World{
		Model: geo.ConstantSpeed(30, 1.35), Turnout: 2 * time.Minute, Service: 30 * time.Minute, Promised: 45 * time.Minute,
		Pays: sla.Example45(),
	}
	var err error
	w.Calls, err = sim.ReadDemand(demand, kind)
	require.NoError(t, err)
	if needs != "" {
		w.Needs, err = sim.ReadNeeds(needs, &words)
		require.NoError(t, err)
	}
	w.Fleet, err = sim.ReadFleet(fleet, &words)
	require.NoError(t, err)
	return w
}

// replayed runs a policy and writes its two files.
func replayed(t testing.TB, dir string, w sim.World, p sim.Policy) (runs, legs string, result *sim.Result) {
	t.Helper()
	var rows, ends bytes.Buffer
	to, err := sim.NewLegWriter(&ends, w.Fleet)
	require.NoError(t, err)
	result, err = sim.Run(context.Background(), w, p, sim.Watch{Leg: to.Write})
	require.NoError(t, err)
	require.NoError(t, sim.WriteRuns(&rows, result.Rows))
	return put(t, dir, "runs.csv", rows.String()), put(t, dir, "legs.csv", ends.String()), result
}

func policy(t testing.TB, name string) sim.Policy {
	t.Helper()
	p, err := sim.NewPolicy(name)
	require.NoError(t, err)
	return p
}

// whimsical does whatever the rules allow: it serves whom it likes, diverts
// and recalls crews, moves idle ones about and asks to be woken. When its
// whims are used up it serves whoever waits, so that a run comes to an end.
type whimsical struct {
	draw  *rand.Rand
	whims int
	woken time.Time // when it will be, or was
}

func (p *whimsical) Decide(v *sim.View, out *sim.Orders) {
	meant := map[int]bool{} // requests given a crew now
	for c := range v.Crews {
		crew := &v.Crews[c]
		whim := p.whims > 0 && p.draw.IntN(2) == 0
		if whim {
			p.whims--
		}
		switch {
		case crew.State == sim.Idle && whim && p.draw.IntN(2) == 0:
			out.Move(c, geo.Point{Lat: 40 + p.draw.Float64()/5, Lng: -75 + p.draw.Float64()/5})
		case crew.State == sim.Idle && whim:
			// stands by although somebody may wait
		case crew.State == sim.Driving && whim && p.draw.IntN(3) == 0:
			out.Recall(c)
		case crew.State == sim.Idle, crew.State == sim.Driving && whim && crew.OnShift:
			for _, r := range v.Waiting {
				if v.Able(c, r) && !meant[r] && (!whim || p.draw.IntN(2) == 0) {
					meant[r] = true
					out.Commit(c, r)
					break
				}
			}
		}
	}
	if !v.Now.Before(p.woken) {
		p.woken = v.Now.Add(time.Duration(p.draw.IntN(900_000_000)) * time.Microsecond)
		out.WakeAt(p.woken)
	}
}

// careful holds every search of the view against a look at everything, before
// it lets another policy decide.
type careful struct {
	t    require.TestingT
	draw *rand.Rand
	sim.Policy
	seen map[string]int // how often a search found two or more
}

func (p *careful) Decide(v *sim.View, out *sim.Orders) {
	from := geo.Point{Lat: 40 + float64(p.draw.IntN(9))*0.025, Lng: -75 + float64(p.draw.IntN(9))*0.025}
	set := geo.Capabilities(p.draw.IntN(4))
	type found struct {
		key    int
		travel time.Duration
	}
	compare := func(name string, got iter.Seq2[int, time.Duration], want []found) {
		slices.SortFunc(want, func(a, b found) int { return cmp.Or(cmp.Compare(a.travel, b.travel), cmp.Compare(a.key, b.key)) })
		var all []found
		for k, travel := range got {
			all = append(all, found{k, travel})
		}
		if !slices.Equal(want, all) {
			require.Equal(p.t, want, all, "%s at %s", name, v.Now)
		}
		for k, travel := range got { // stopped at the first
			if first := (found{k, travel}); first != want[0] {
				require.Equal(p.t, want[0], first, "%s at %s", name, v.Now)
			}
			break
		}
		if len(all) > 1 {
			p.seen[name]++
		}
	}
	var idle, driving, engaged, waiting []found
	for i, c := range v.Crews {
		if !c.Can.Has(set) {
			continue
		}
		switch c.State {
		case sim.Idle:
			idle = append(idle, found{i, v.Travel(v.Place(i), from)})
			if c.Moves {
				p.seen["moving"]++
			}
		case sim.Driving:
			driving = append(driving, found{i, v.Travel(v.Place(i), from)})
		}
		if c.Request >= 0 {
			engaged = append(engaged, found{i, v.Travel(v.Requests[c.Request].At, from)})
		}
	}
	for _, r := range v.Waiting {
		if set.Has(v.Requests[r].Need) {
			waiting = append(waiting, found{r, v.Travel(v.Requests[r].At, from)})
		}
	}
	compare("idle", v.IdleNear(from, set), idle)
	compare("driving", v.DrivingNear(from, set), driving)
	compare("engaged", v.EngagedNear(from, set), engaged)
	compare("waiting", v.WaitingNear(from, set), waiting)
	p.Policy.Decide(v, out)
}

// rows makes a demand file.
func rows(calls ...string) string {
	return "call_time,lat,lng,kind\n" + strings.Join(calls, "\n") + "\n"
}

// crews makes a fleet file of crews without capabilities and shifts, each
// given as "lat,lng".
func crews(places ...string) string {
	var b strings.Builder
	b.WriteString(fleetHeading)
	for i, p := range places {
		fmt.Fprintf(&b, "c%d,%s,,,\n", i, p)
	}
	return b.String()
}
