package sla_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/sla"
)

// cappedRig keeps promises under example-45 with a month of ¥50.00 for a car
// and a budget of ¥120.00 for all.
func cappedRig(t testing.TB) (*rig, int) {
	r := newRig(t)
	r.under(func(doc map[string]any) {
		doc["approval"] = map[string]any{"auto_up_to_fen": 5000}
		doc["caps"] = map[string]any{"per_vehicle_month_fen": 5000, "budget_fen": 12000}
	})
	var version int
	require.NoError(t, r.pool.QueryRow(context.Background(), `SELECT max(version) FROM sla.policies WHERE name = 'example-45'`).Scan(&version))
	return r, version
}

// drives lets help come to a car, late by so much after a request of a day.
func (r *rig) drives(car string, day int, late time.Duration) events.RequestID {
	r.t.Helper()
	id := events.NewID[events.RequestID]()
	ev := r.open(id, "urban")
	ev.VehicleKey, ev.OpenedAt = car, opened.AddDate(0, 0, day)
	ev.Promise.DueAt = ev.OpenedAt.Add(45 * time.Minute)
	r.happens(ev, arrivedEvent(id, crewA, ev.Promise.DueAt.Add(late)))
	return id
}

// pastOf is a past rescue of a car in the month of the live ones, minutes after
// its call.
func pastOf(reference, car string, minutes int) sla.PastRescue {
	r := pastRescue(reference, minutes)
	r.VehicleKey = car
	for _, at := range []*time.Time{&r.CalledAt, &r.AssignedAt, &r.ArrivedAt, &r.FreedAt} {
		*at = at.AddDate(0, 1, -1)
	}
	return r
}

func (r *rig) owes(id events.RequestID) sla.Fen { return r.standing(id).Guarantee.Verdict.Fen }

// TestACarsMonthHoldsForHistoryAndLiveTogether brings history in between live
// rescues of one car: together they never owe more than its month allows.
func TestACarsMonthHoldsForHistoryAndLiveTogether(t *testing.T) {
	t.Parallel()
	r, version := cappedRig(t)
	ctx := context.Background()
	r.at(opened.AddDate(0, 0, 20))
	live := r.drives("car-a", 0, time.Minute) // ¥20.00
	require.Equal(t, sla.Fen(2000), r.owes(live))

	spec := pastSpec(true)
	spec.PolicyVersion = version
	rows := []sla.PastRescue{
		pastOf("first", "car-a", 50), pastOf("second", "car-a", 50), pastOf("third", "car-a", 50), // ¥20.00, the ¥10.00 left, nothing
		pastOf("other", "car-b", 50), pastOf("nobody's", "", 50),
	}
	seen, err := r.importer(clerk, spec).Preview(ctx, rows)
	require.NoError(t, err)
	imp := r.bringIn(spec, rows...)
	require.Equal(t, sla.Fen(2000+1000+0+2000+2000), imp.Owed)
	require.Equal(t, imp.Owed, seen.Owed, "a preview says the same")
	list, err := r.Guarantees(ctx, operator, sla.GuaranteeFilter{Imported: true}, sla.GuaranteePlace{}, 10)
	require.NoError(t, err)
	capped := 0
	for _, g := range list {
		for _, reason := range g.Verdict.Reasons {
			if reason.Code == "capped_per_vehicle_month" {
				capped++
				require.Contains(t, reason.EN, "Capped at ¥50.00 for one vehicle in a month")
			}
		}
	}
	require.Equal(t, 2, capped)
	lines, _ := r.differences()
	require.Empty(t, lines)

	// Its month is used up for live rescues before a fen of it has accrued.
	later := r.drives("car-a", 1, time.Minute)
	require.Zero(t, r.owes(later))
	require.Equal(t, sla.Fen(2000), r.owes(r.drives("car-b", 1, time.Minute)))
	_, err = r.ApproveImport(ctx, finance, imp.ID, imp.Version, "agreed")
	require.NoError(t, err)
	_, err = r.AccrueImports(ctx, 100)
	require.NoError(t, err)
	require.EqualValues(t, 5000, r.rows(`SELECT sum(fen) FROM sla.compensations WHERE vehicle = 'car-a' AND state <> 'void'`))
	lines, _ = r.differences()
	require.Empty(t, lines)

	// What finance gives up leaves room for the next.
	c := r.live(live)
	_, err = r.Void(ctx, finance, c.ID, c.Version, "a test call")
	require.NoError(t, err)
	require.Equal(t, sla.Fen(2000), r.owes(r.drives("car-a", 2, 5*time.Minute)))
	require.Zero(t, r.owes(later), "what was told stays until there is news of it")
	lines, _ = r.differences()
	require.Empty(t, lines)

	// And so does an import that is refused.
	spec.Digest, spec.File = strings.Repeat("cd", 32), "another.csv"
	refused := r.bringIn(spec, pastOf("fourth", "car-c", 60))
	require.Equal(t, sla.Fen(5000), refused.Owed)
	require.Zero(t, r.owes(r.drives("car-c", 3, time.Minute)))
	_, err = r.RejectImport(ctx, finance, refused.ID, refused.Version, "not ours")
	require.NoError(t, err)
	require.Equal(t, sla.Fen(2000), r.owes(r.drives("car-c", 4, time.Minute)))
	// History that is never paid is held against itself, and takes nothing from anybody.
	spec.Digest, spec.Payable = strings.Repeat("ef", 32), false
	history := r.bringIn(spec, pastOf("fifth", "car-d", 60), pastOf("sixth", "car-d", 60))
	require.Equal(t, sla.Fen(5000), history.Owed)
	require.Equal(t, sla.Fen(5000), r.owes(r.drives("car-d", 5, time.Hour)))
	lines, done := r.differences()
	require.Empty(t, lines)
	require.Equal(t, "caps", done[4].Name)
	require.Positive(t, done[4].Checked)
}

// TestWhatCapsWereWeighedAgainstIsRecomputed tampers with what is kept of caps:
// the journal says what it must be.
func TestWhatCapsWereWeighedAgainstIsRecomputed(t *testing.T) {
	t.Parallel()
	r, _ := cappedRig(t)
	first := r.drives("car-a", 0, 11*time.Minute)  // all of its month
	second := r.drives("car-a", 1, 11*time.Minute) // nothing left
	r.drives("car-b", 1, 11*time.Minute)
	queued := r.drives("car-c", 1, 11*time.Minute) // ¥20.00 of the budget are left
	require.Zero(t, r.owes(second))
	require.Equal(t, "budget_spent", r.live(queued).Queued[0].Code)
	lines, _ := r.differences()
	require.Empty(t, lines)
	for name, c := range map[string]struct {
		do, undo string
		want     []string
	}{
		"what the month had used": {
			`UPDATE sla.guarantees SET spent_vehicle_fen = 0 WHERE spent_vehicle_fen = 5000`, `UPDATE sla.guarantees SET spent_vehicle_fen = 5000 WHERE request_id = '` + second.UUID().String() + `'`,
			[]string{"used up of the vehicle's month: stored 0 fen, must be 5000 fen"},
		},
		"an amount with it, so that both agree": {
			`UPDATE sla.guarantees SET spent_vehicle_fen = 1000, owed_fen = 4000 WHERE spent_vehicle_fen = 5000`, `UPDATE sla.guarantees SET spent_vehicle_fen = 5000, owed_fen = 0 WHERE request_id = '` + second.UUID().String() + `'`,
			[]string{"used up of the vehicle's month: stored 1000 fen, must be 5000 fen", "owed_fen: stored 4000, must be 0"},
		},
		"whose car it is": {
			`UPDATE sla.vehicles SET vehicle = 'car-z' WHERE request_id = '` + first.UUID().String() + `'`, `UPDATE sla.vehicles SET vehicle = 'car-a' WHERE request_id = '` + first.UUID().String() + `'`,
			[]string{"vehicle: stored car-z, must be car-a", "vehicle of cmp_"},
		},
		"what is counted of the programme": {
			`UPDATE sla.spent SET fen = fen - 1 WHERE vehicle = ''`, `UPDATE sla.spent SET fen = fen + 1 WHERE vehicle = ''`,
			[]string{"caps: example-45: spent of the programme: stored 9999 fen, must be 10000 fen"},
		},
		"what is counted of a car": {
			`UPDATE sla.spent SET fen = 1 WHERE vehicle = 'car-b'`, `UPDATE sla.spent SET fen = 5000 WHERE vehicle = 'car-b'`,
			[]string{"caps: example-45: spent of 2026-03 for the car car-b: stored 1 fen, must be 5000 fen"},
		},
	} {
		r.tamper(c.do)
		lines, _ := r.differences()
		for _, want := range c.want {
			require.Contains(t, strings.Join(lines, "\n"), want, name)
		}
		require.Equal(t, 1, strings.Count(strings.Join(lines, "\n"), c.want[0]), "named once")
		r.tamper(c.undo)
		lines, _ = r.differences()
		require.Empty(t, lines, name)
	}
	r.tamper(`UPDATE sla.compensations SET queued = '[]' WHERE state = 'accrued'`)
	lines, _ = r.differences()
	require.Contains(t, strings.Join(lines, "\n"), "caps: "+queued.String()+": why cmp_")
	require.Contains(t, strings.Join(lines, "\n"), `The programme's budget of ¥120.00 has ¥100.00 spent and cannot bear this`)
}

// TestRacesForACarsMonth lets one car's rescues settle, history come in and be
// refused, and finance void, all at once: its month is never overdrawn, and the
// journal tells afterwards what each was weighed against.
func TestRacesForACarsMonth(t *testing.T) {
	t.Parallel()
	r, version := cappedRig(t)
	ctx := context.Background()
	r.at(opened.AddDate(0, 0, 20))
	spec := pastSpec(true)
	spec.PolicyVersion = version
	prepared := r.bringIn(spec, pastOf("before", "car-a", 50))
	given := r.live(r.drives("car-a", 0, time.Minute))
	var all sync.WaitGroup
	for n := range 6 {
		id := events.NewID[events.RequestID]()
		ev := r.open(id, "urban")
		ev.VehicleKey, ev.OpenedAt = "car-a", opened.AddDate(0, 0, n)
		ev.Promise.DueAt = ev.OpenedAt.Add(45 * time.Minute)
		envs := r.journaled(ev, arrivedEvent(id, crewA, ev.Promise.DueAt.Add(time.Minute)))
		all.Go(func() {
			for _, env := range envs {
				if err := pg.InTx(ctx, r.pool, func(tx pgx.Tx) error {
					if _, err := tx.Exec(ctx, `INSERT INTO events.inbox (consumer_group, event_id) VALUES ('sla', $1)`, env.ID); err != nil {
						return err
					}
					return r.Handlers()[0].Handle(ctx, tx, env)
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	other := spec
	other.Source, other.Digest = "another-desk", strings.Repeat("cd", 32)
	all.Go(func() {
		i, err := r.NewImporter(ctx, clerk, other)
		if err == nil {
			_, err = i.Add(ctx, []sla.PastRescue{pastOf("x", "car-a", 50), pastOf("y", "car-b", 50)})
		}
		if err != nil {
			t.Error(err)
		}
	})
	all.Go(func() {
		if _, err := r.Void(ctx, finance, given.ID, given.Version, "a test call"); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() {
		if _, err := r.RejectImport(ctx, finance, prepared.ID, prepared.Version, "not ours"); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	require.LessOrEqual(t, r.rows(`SELECT coalesce(sum(fen), 0) FROM sla.compensations WHERE vehicle = 'car-a' AND state <> 'void'`)+
		r.rows(`SELECT coalesce(sum(g.owed_fen), 0) FROM sla.guarantees g JOIN sla.imports i ON i.id = g.import_id JOIN sla.vehicles v ON v.request_id = g.request_id
			WHERE v.vehicle = 'car-a' AND i.state <> 'rejected'`), 5000)
	lines, _ := r.differences()
	require.Empty(t, lines)
}
