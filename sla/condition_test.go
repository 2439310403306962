package sla_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/internal/web"
	"rescued/sla"
)

func (r *rig) declares(in sla.NewCondition) sla.DeclaredCondition {
	r.t.Helper()
	if in.Note == "" {
		in.Note = "notice 17 of the weather office"
	}
	c, err := r.Declare(context.Background(), operator, in)
	require.NoError(r.t, err)
	return c
}

func (r *rig) spreads() int {
	r.t.Helper()
	n, err := r.SpreadConditions(context.Background(), 10_000)
	require.NoError(r.t, err)
	return n
}

var redAlert = sla.NewCondition{Condition: sla.WeatherAlert, Level: "red", Areas: []string{"cn-3301"}, Evidence: []sla.EvidenceKind{sla.OfficialNotice}}

func TestAnAlertExcusesTheRequestsThereAndThen(t *testing.T) {
	t.Parallel()
	r := pausingRig(t)
	settled := r.rescuedAt(r.opens(), 11*time.Minute) // late before anybody declared anything
	require.Equal(t, sla.Fen(5000), r.live(settled).Fen)
	open := r.opens()
	r.at(opened.Add(50 * time.Minute))
	alert := redAlert
	alert.From = opened.Add(20 * time.Minute) // the notice is of half an hour ago
	c := r.declares(alert)
	after := r.opens()
	require.Equal(t, "red", r.standing(after).Guarantee.Promise.Weather, "what is opened from then on is promised in its light")
	require.Equal(t, 3, r.spreads(), "those before it, and the one that knows already")
	require.Zero(t, r.spreads())

	g := r.standing(settled).Guarantee
	require.Equal(t, "red-alert", g.Verdict.Excluded)
	require.Zero(t, g.Verdict.Fen)
	require.Equal(t, sla.Fen(5000), g.Verdict.RawFen, "the lateness stays in sight")
	require.Zero(t, r.live(settled))
	r.rescuedAt(open, 11*time.Minute)
	require.Equal(t, "red-alert", r.standing(open).Guarantee.Verdict.Excluded)

	// It is lifted, as of before the deadline of nobody: the settled one owes again.
	_, err := r.EndCondition(context.Background(), operator2, c.ID, 1, alert.From, "a mistake: another county")
	require.NoError(t, err)
	require.Equal(t, 3, r.spreads())
	require.Equal(t, sla.Fen(5000), r.live(settled).Fen)
	require.Equal(t, sla.Fen(5000), r.live(open).Fen)
	lines, _ := r.differences()
	require.Empty(t, lines, "conditions are replayed from the journal as well")
}

// rescuedAt lets help come that much after the deadline.
func (r *rig) rescuedAt(id events.RequestID, late time.Duration) events.RequestID {
	r.t.Helper()
	r.happens(arrivedEvent(id, crewA, r.standing(id).Guarantee.Verdict.DueAt.Add(late)))
	return id
}

func TestStormModeBindsOnlyThoseWhoWereShownIt(t *testing.T) {
	t.Parallel()
	r, ctx := pausingRig(t), context.Background()
	before := r.opens()
	r.at(opened.Add(time.Minute))
	_, err := r.Declare(ctx, operator, sla.NewCondition{Condition: sla.StormMode, From: opened, Note: "for those already waiting"})
	require.ErrorContains(t, err, "from", "nobody is put into a storm afterwards")
	storm := r.declares(sla.NewCondition{Condition: sla.StormMode, From: opened.Add(5 * time.Minute), Note: "55 calls an hour"})
	between := r.opens()
	r.at(opened.Add(10 * time.Minute))
	shown := r.opens()
	promise := r.standing(shown).Guarantee.Promise
	require.Equal(t, "storm", promise.Weather)
	require.Equal(t, 120, promise.Minutes, "the owner is shown the promise of a storm")
	require.Equal(t, "120 minutes in storm mode", promise.Reason)
	r.spreads()
	for id, excused := range map[events.RequestID]string{before: "", between: "", shown: "storm"} {
		r.rescuedAt(id, 11*time.Minute)
		g := r.standing(id).Guarantee
		require.Equal(t, excused, g.Verdict.Excluded)
		if excused != "" {
			require.Equal(t, sla.Fen(2500), g.Verdict.Fen)
		}
	}
	_, err = r.EndCondition(ctx, operator, storm.ID, 1, time.Time{}, "over")
	require.NoError(t, err)
	r.at(r.now().Add(time.Second))
	require.Empty(t, r.standing(r.opens()).Guarantee.Promise.Weather)
	r.spreads()
	require.Equal(t, "storm", r.standing(shown).Guarantee.Verdict.Excluded, "what was shown stays")
	lines, _ := r.differences()
	require.Empty(t, lines)
}

func TestWhatIsDeclaredIsChecked(t *testing.T) {
	t.Parallel()
	r, ctx := pausingRig(t), context.Background()
	for want, in := range map[string]sla.NewCondition{
		"condition": {Condition: "fog", Note: "n"},
		"level":     {Condition: sla.WeatherAlert, Level: "purple", Note: "n"},
		"until":     {Condition: sla.Closure, Until: opened.Add(-time.Hour), Note: "n"},
		"areas":     {Condition: sla.Closure, Areas: []string{""}, Note: "n"},
		"evidence":  {Condition: sla.Closure, Evidence: []sla.EvidenceKind{"rumour"}, Note: "n"},
		"note":      {Condition: sla.Closure},
	} {
		_, err := r.Declare(ctx, operator, in)
		require.ErrorContains(t, err, want+":")
	}
	_, err := r.Declare(ctx, finance, sla.NewCondition{Condition: sla.Closure, Note: "n"})
	require.ErrorContains(t, err, "forbidden")
	in := redAlert
	in.Note, in.Key = "notice 17", "k"
	c, err := r.Declare(ctx, operator, in)
	require.NoError(t, err)
	again, err := r.Declare(ctx, operator, in)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, c.ID, again.ID)
	in.Level = "blue"
	_, err = r.Declare(ctx, operator, in)
	require.ErrorIs(t, err, web.ErrKeyReused)
	_, err = r.Redeclare(ctx, operator, c.ID, 7, sla.NewCondition{Level: "blue", Note: "lighter"})
	require.ErrorIs(t, err, sla.ErrStale)
	_, err = r.Redeclare(ctx, operator, events.NewID[events.ConditionID](), 1, sla.NewCondition{Level: "blue", Note: "lighter"})
	require.ErrorIs(t, err, sla.ErrNoCondition)

	d := newDoor(t, r)
	path := "/v1/conditions/" + c.ID.String()
	d.ask(finance, "POST", path+"/change", `{"level":"orange","note":"n"}`, 403, "If-Match", `"1"`)
	got, h := d.ask(operator, "POST", path+"/change", `{"level":"orange","note":"n"}`, 200, "If-Match", `"1"`)
	require.EqualValues(t, 2, got["revision"])
	list, _ := d.ask(theOwner, "GET", "/v1/conditions", "", 200)
	require.Len(t, list["items"], 1)
	require.Equal(t, "operator", list["items"].([]any)[0].(map[string]any)["by"])
	require.Equal(t, "orange", list["items"].([]any)[0].(map[string]any)["level"])
	d.ask(operator, "POST", path+"/end", `{"note":"over"}`, 200, "If-Match", h.Get("ETag"))
	r.at(opened.Add(time.Second))
	list, _ = d.ask(theOwner, "GET", "/v1/conditions", "", 200)
	require.Empty(t, list["items"])
	list, _ = d.ask(theOwner, "GET", "/v1/conditions?all=true", "", 200)
	require.Len(t, list["items"], 1)
	d.ask(operator, "POST", "/v1/conditions", `{"condition":"closure","note":"G60 shut"}`, 200, "Idempotency-Key", "z")
	_, err = r.pool.Exec(ctx, `UPDATE sla.conditions SET level = 'red'`)
	require.True(t, pg.Violates(err, "never_changed"))
}

// TestNoRequestMissesACondition opens requests and declares alerts at once: each
// request there and then knows each of them, whichever came first.
func TestNoRequestMissesACondition(t *testing.T) {
	t.Parallel()
	r, ctx := pausingRig(t), context.Background()
	const requests, alerts = 24, 6
	openings := make([]events.RequestOpened, requests)
	for i := range openings {
		openings[i] = r.opening(events.NewID[events.RequestID]())
	}
	envs := r.journaled(mapTo(openings, func(o events.RequestOpened) events.Event { return o })...)
	var all sync.WaitGroup
	for _, env := range envs {
		all.Go(func() {
			if err := pg.InTx(ctx, r.pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `INSERT INTO events.inbox (consumer_group, event_id) VALUES ('sla', $1)`, env.ID); err != nil {
					return err
				}
				return r.Handlers()[0].Handle(ctx, tx, env)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	for range alerts {
		all.Go(func() {
			if _, err := r.Declare(ctx, operator, sla.NewCondition{Condition: sla.Closure, Note: "shut"}); err != nil {
				t.Error(err)
			}
			if _, err := r.SpreadConditions(ctx, 1000); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r.spreads()
	require.Equal(t, requests*alerts, r.rows(`SELECT count(*) FROM sla.facts WHERE kind = 'condition'`))
	require.Equal(t, requests*alerts, r.rows(`SELECT count(*) FROM events.journal WHERE type = 'cn.rescue.fact.recorded.v1'`), "each is told once")
	require.Zero(t, r.rows(`SELECT count(*) FROM sla.condition_spread WHERE done_at IS NULL`))
	lines, _ := r.differences()
	require.Empty(t, lines)
}

func mapTo[T, U any](list []T, f func(T) U) []U {
	out := make([]U, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}
