package sla_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

// tried runs a trial over all there is.
func (r *rig) tried(t sla.Trial) (areas []sla.TrialSum, all sla.TrialSum) {
	r.t.Helper()
	areas, all, err := r.Try(context.Background(), t)
	require.NoError(r.t, err)
	return areas, all
}

// history lets rescues happen in two cities: on time, late by 5 and by 40
// minutes, called off, waived, and one under way.
func (r *rig) history() {
	r.t.Helper()
	for _, area := range []string{"cn-3301", "cn-3302"} {
		for n, after := range []time.Duration{-time.Minute, 5 * time.Minute, 40 * time.Minute} {
			id := events.NewID[events.RequestID]()
			ev := r.open(id, "urban")
			ev.Area, ev.VehicleKey = area, "car-"+area
			ev.OpenedAt = ev.OpenedAt.Add(time.Duration(n) * time.Hour)
			ev.Promise.DueAt = ev.OpenedAt.Add(45 * time.Minute)
			r.must(ev, arrivedEvent(id, crewA, ev.Promise.DueAt.Add(after)))
		}
	}
	off, waived, open := events.NewID[events.RequestID](), events.NewID[events.RequestID](), events.NewID[events.RequestID]()
	r.must(r.open(off, "county"), cancelledEvent(off, opened.Add(50*time.Minute)), r.open(waived, "urban"), r.open(open, "urban"))
	_, err := r.Waive(context.Background(), operator, waived, 1, "a test call")
	require.NoError(r.t, err)
	r.must(arrivedEvent(waived, crewA, due.Add(time.Hour)))
}

func TestATrialOfThePolicyInForceChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.history()
	areas, all := r.tried(sla.Trial{Policy: sla.Example45()})
	require.Equal(t, sla.TrialSum{Rescues: 9, LateNow: 4, LateThen: 4, NowFen: 24000, ThenFen: 24000}, all)
	require.Len(t, areas, 2)
	require.Equal(t, sla.TrialSum{Area: "cn-3302", Rescues: 3, LateNow: 2, LateThen: 2, NowFen: 12000, ThenFen: 12000}, areas[1])
	require.Zero(t, all.Difference())
	requireBalance(t, r, 24000)
}

func TestATrialSaysWhatWouldChange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.history()
	shorter := edited(t, func(doc map[string]any) {
		doc["version"] = 2
		for _, rule := range doc["promises"].([]any) {
			rule.(map[string]any)["minutes"] = 40
		}
	})
	var seen []time.Time
	steps := 0
	areas, all := r.tried(sla.Trial{
		Policy: shorter,
		Rescue: func(tried sla.TrialRescue) error {
			seen = append(seen, tried.Guarantee.OpenedAt)
			require.Equal(t, tried.Guarantee.State == sla.Waived, tried.Same)
			if !tried.Same {
				require.Equal(t, 40, tried.Promise.Minutes)
			}
			return nil
		},
		Progress: func(done, total int) {
			steps++
			require.Equal(t, []int{9, 9}, []int{done, total})
		},
	})
	// Four minutes late were on time; five became ten, which is the first tier
	// still; the call off at 50 minutes is ten late instead of in time.
	require.Equal(t, sla.TrialSum{Rescues: 9, LateNow: 4, LateThen: 7, NowFen: 24000, ThenFen: 24000 + 3*2000}, all)
	require.Equal(t, sla.Fen(2000), areas[1].Difference())
	require.Len(t, seen, 9)
	require.IsNonDecreasing(t, millis(seen))
	require.Equal(t, 1, steps)
	_, all = r.tried(sla.Trial{Policy: shorter, Under: "another"})
	require.Zero(t, all.Rescues)
	_, all = r.tried(sla.Trial{Policy: shorter, From: opened.Add(time.Hour), To: opened.Add(2 * time.Hour)})
	require.Equal(t, sla.TrialSum{Rescues: 2, LateNow: 2, LateThen: 2, NowFen: 4000, ThenFen: 4000}, all)
}

func millis(list []time.Time) []int64 {
	out := make([]int64, len(list))
	for i, at := range list {
		out[i] = at.UnixMilli()
	}
	return out
}

func TestATrialUsesUpItsCaps(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.history()
	capped := edited(t, func(doc map[string]any) {
		doc["version"] = 2
		doc["caps"] = map[string]any{"per_vehicle_month_fen": 7000, "budget_fen": 5000}
	})
	areas, all := r.tried(sla.Trial{Policy: capped})
	// Each car has ¥70 a month: ¥20, and then ¥50 instead of ¥100.
	require.Equal(t, sla.Fen(14000), all.ThenFen)
	require.Equal(t, sla.Fen(-5000), areas[0].Difference())
	require.Equal(t, 2, all.OverBudget, "the budget cuts nothing")
	forNobody := edited(t, func(doc map[string]any) {
		doc["version"] = 2
		doc["applies_to"] = map[string]any{"products": []any{"gold"}}
		doc["compensation"] = map[string]any{"kind": "per_minute", "per_minute_fen": 1}
	})
	_, all = r.tried(sla.Trial{Policy: forNobody})
	require.Zero(t, all.Difference(), "whom it is not for, it does not touch")
}
