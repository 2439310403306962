package sla

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/events"
	"rescued/internal/fsm"
)

func TestGuaranteeTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"armed: amend → armed · arrive_in_time → met · arrive_late → late · cancel_in_time → void · cancel_late → late · deadline → breached · waive → waived",
		"breached: amend → armed · arrive_in_time → met · arrive_late → late · cancel_in_time → void · cancel_late → late · waive → waived",
		"late: reopen → armed · revise_late → late · revise_met → met · revise_void → void",
		"met: reopen → armed · revise_late → late · revise_met → met · revise_void → void",
		"void: reopen → armed · revise_late → late · revise_met → met · revise_void → void",
		"waived: final",
	}, written(guaranteeTable))
	require.ElementsMatch(t, guaranteeTable.States(), GuaranteeStates())
}

func TestCompensationTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"accrued: approve → approved · dispute → disputed · endorse → accrued · void → void",
		"approved: batch → batched · dispute → disputed · void → void",
		"batched: bounce → approved · pay → paid · unbatch → approved",
		"disputed: endorse → disputed · overturn → void · uphold → approved",
		"paid: final",
		"void: final",
	}, written(compensationTable))
	require.ElementsMatch(t, compensationTable.States(), CompensationStates())
}

func TestBatchTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"approved: submit → submitted",
		"discarded: final",
		"draft: add → draft · discard → discarded · remove → draft · seal → sealed",
		"sealed: approve → approved · reject → discarded",
		"settled: final",
		"submitted: close → settled · record → submitted · resend → submitted",
	}, written(batchTable))
	require.ElementsMatch(t, batchTable.States(), BatchStates())
}

func TestDayTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"closed: final",
		"open: close → closed · sign → signed",
		"signed: close → closed · sign → signed",
	}, written(dayTable))
}

func written[S, E ~string](table fsm.Table[S, E]) []string {
	var lines []string
	for _, s := range table.States() {
		var steps []string
		for ev, to := range table[s] {
			steps = append(steps, fmt.Sprintf("%s → %s", ev, to))
		}
		slices.Sort(steps)
		if table.Final(s) {
			steps = []string{"final"}
		}
		lines = append(lines, fmt.Sprintf("%s: %s", s, strings.Join(steps, " · ")))
	}
	return lines
}

// TestEveryTellingLeadsToOneEnd tells a drawn set of facts in thirty orders,
// with repetitions, and with the sweep striking at random moments of the
// telling. No order may meet a step the table refuses, and all end alike.
func TestEveryTellingLeadsToOneEnd(t *testing.T) {
	t.Parallel()
	p := Example45()
	opened := time.Date(2026, 3, 2, 7, 12, 0, 0, time.UTC)
	promise := p.Promise(opened, Facts{Tier: "urban"})
	end := promise.DueAt.Add(24 * time.Hour)
	crews := []events.CrewID{events.NewID[events.CrewID](), events.NewID[events.CrewID]()}
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Fact {
			f := Fact{At: opened.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "minute")) * time.Minute)}
			f.Kind = rapid.SampledFrom([]FactKind{FactArrived, FactArrived, FactReleased, FactCancelled, FactFinished}).Draw(t, "kind")
			if f.Kind != FactCancelled {
				f.Crew = rapid.SampledFrom(crews).Draw(t, "crew")
			}
			return f
		}), 0, 7).Draw(t, "facts")
		random := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		var first *Guarantee
		for range 30 {
			told := append(slices.Clone(facts), facts...)
			random.Shuffle(len(told), func(i, j int) { told[i], told[j] = told[j], told[i] })
			g := Guarantee{State: Armed, Promise: promise, OpenedAt: opened, Verdict: p.Owed(Timeline{OpenedAt: opened, Promise: promise})}
			sweep := func(now time.Time) {
				if g.State == Armed && now.After(g.Verdict.DueAt) {
					g.State = Breached
				}
			}
			for n := range told {
				if random.Intn(2) == 0 {
					sweep(opened.Add(time.Duration(random.Intn(120)) * time.Minute))
				}
				v := p.Owed(Timeline{OpenedAt: opened, Promise: promise, Facts: told[:n+1]})
				if ev := g.step(v); ev != "" {
					next, err := guaranteeTable.Next(g.State, ev)
					require.NoError(t, err)
					g.State = next
				}
				g.Verdict = v
				if g.Verdict.Outcome != OutcomePending {
					require.Equal(t, string(g.Verdict.Outcome), string(g.State))
				}
			}
			sweep(end)
			if first == nil {
				first = &g
			}
			require.Equal(t, *first, g)
		}
	})
}

func TestAlarms(t *testing.T) {
	t.Parallel()
	due := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		now, expected time.Time
		state         GuaranteeState
		review        string
		want          Alarm
	}{
		"plenty of time":          {due.Add(-11 * time.Minute), time.Time{}, Armed, "", ""},
		"ten minutes left":        {due.Add(-10 * time.Minute), time.Time{}, Armed, "", AlarmDueSoon},
		"the last moment":         {due, time.Time{}, Armed, "", AlarmDueSoon},
		"too late to act":         {due.Add(time.Microsecond), time.Time{}, Armed, "", ""},
		"expected in time":        {due.Add(-40 * time.Minute), due, Armed, "", ""},
		"expected late":           {due.Add(-40 * time.Minute), due.Add(time.Second), Armed, "", AlarmExpectedLate},
		"already broken":          {due.Add(-40 * time.Minute), due.Add(time.Second), Breached, "", ""},
		"met":                     {due.Add(-5 * time.Minute), time.Time{}, Met, "", ""},
		"only a decision missing": {due.Add(-5 * time.Minute), time.Time{}, Armed, ReviewFinishedUnproven, ""},
	} {
		g := Guarantee{State: c.state, ExpectedAt: c.expected, Verdict: Verdict{DueAt: due, Review: c.review}}
		require.Equal(t, c.want, g.alarm(c.now, 10*time.Minute), name)
	}
}
