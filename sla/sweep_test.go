package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

func TestAlarmsAreRaisedOnceAndSetNoAmount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"))
	require.Zero(t, r.sweep(due.Add(-10*time.Minute-time.Microsecond)))
	require.Equal(t, 1, r.sweep(due.Add(-10*time.Minute)))
	require.Zero(t, r.sweep(due), "at the deadline it is not broken, and the alarm was raised")
	require.Equal(t, 1, r.sweep(due.Add(time.Microsecond)))
	require.Zero(t, r.sweep(due.Add(time.Hour)))
	st := r.standing(id)
	require.Equal(t, sla.Breached, st.Guarantee.State)
	require.Zero(t, st.Guarantee.Verdict.Fen)
	require.Empty(t, st.Compensations)
	require.Equal(t, 1, r.count(id, events.GuaranteeAtRisk{}))
	require.Equal(t, 1, r.count(id, events.GuaranteeBreached{}))

	r.must(arrivedEvent(id, crewA, due))
	require.Equal(t, sla.Met, r.standing(id).Guarantee.State, "news of an arrival in time still makes it met")

	// A crew that is expected too late is a risk long before.
	id = events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"), asEvent(id, sla.Fact{Kind: sla.FactAssigned, At: opened, Until: due.Add(time.Minute), Crew: crewA}))
	require.Equal(t, 1, r.sweep(opened.Add(time.Minute)))
	require.Equal(t, opened.Add(time.Minute), r.standing(id).Guarantee.AtRiskAt)
}

func TestAClockThatRunsAgainAlarmsAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"))
	require.Equal(t, 1, r.sweep(due.Add(-9*time.Minute)))
	require.Equal(t, 1, r.sweep(due.Add(time.Minute)))
	r.must(arrivedEvent(id, crewA, due.Add(-8*time.Minute)))
	require.Equal(t, sla.Met, r.standing(id).Guarantee.State)
	r.must(releasedEvent(id, crewA, due.Add(-7*time.Minute)))
	g := r.standing(id).Guarantee
	require.Equal(t, sla.Armed, g.State)
	require.Zero(t, g.AtRiskAt)
	require.Zero(t, g.BreachedAt)
	require.Equal(t, 1, r.sweep(due.Add(-6*time.Minute)), "the owner waits again")
	require.Equal(t, 1, r.sweep(due.Add(2*time.Minute)))
	require.Equal(t, 2, r.count(id, events.GuaranteeArmed{}), "told once when opened and once when reopened")
}

func TestAWarningRaisesTheAlarmOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := events.NewID[events.RequestID]()
	warning := events.RequestWarned{
		RequestID: id, Area: "cn-3301", DueAt: due, WarnedAt: opened.Add(4 * time.Minute),
		Reasons: []events.Reason{{Code: "no_movement", ZH: "未移动", EN: "Stands still"}, {Code: "expected_late"}},
		Remedy:  &events.Remedy{CrewID: crewB, ZH: "另派一队", EN: "Another crew", Saves: true},
	}
	r.must(warning) // before the opening: nothing to raise yet
	r.must(r.open(id, "urban"))
	require.Zero(t, r.standing(id).Guarantee.AtRiskAt)

	r.at(opened.Add(4 * time.Minute))
	calm := warning
	calm.Reasons, calm.Remedy = nil, nil
	r.must(calm)
	require.Zero(t, r.standing(id).Guarantee.AtRiskAt, "all is well")
	r.must(warning, warning)
	require.Equal(t, opened.Add(4*time.Minute), r.standing(id).Guarantee.AtRiskAt)
	require.Zero(t, r.sweep(due.Add(-time.Minute)), "it has been raised")
	require.Equal(t, 1, r.count(id, events.GuaranteeAtRisk{}))
	told, err := events.ReadStream(t.Context(), r.pool, id.String(), 100)
	require.NoError(t, err)
	ev, err := events.Decode[events.GuaranteeAtRisk](told[len(told)-1])
	require.NoError(t, err)
	require.Equal(t, "no_movement", ev.Reason)
	require.Equal(t, "Another crew", ev.RemedyEN)

	// A warning that comes when nothing can be saved any more changes nothing.
	for _, end := range []events.Event{
		arrivedEvent(id, crewA, due.Add(-30*time.Minute)), cancelledEvent(id, due.Add(-30*time.Minute)),
	} {
		id := events.NewID[events.RequestID]()
		r.must(r.open(id, "urban"))
		switch e := end.(type) {
		case events.CrewArrived:
			e.RequestID = id
			r.must(e)
		case events.RequestCancelled:
			e.RequestID = id
			r.must(e)
		}
		late := warning
		late.RequestID = id
		r.must(late)
		require.Zero(t, r.count(id, events.GuaranteeAtRisk{}))
	}
	r.at(due.Add(time.Second))
	passed := warning
	passed.RequestID = events.NewID[events.RequestID]()
	r.must(r.open(passed.RequestID, "urban"), passed)
	require.Zero(t, r.count(passed.RequestID, events.GuaranteeAtRisk{}), "what has passed is not at risk but broken")
}
