package sla_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/internal/web"
	"rescued/sla"
)

// pausing is the example with reasons for a pause, and excuses.
const pausing = `{
	"name": "pausing", "version": 1, "title": {"zh": "暂停", "en": "pausing"}, "clock_start": "request_accepted",
	"promises": [
		{"rule": "storm", "when": {"weather": ["storm"]}, "minutes": 120, "reason": {"zh": "暴雨模式 120 分钟", "en": "120 minutes in storm mode"}},
		{"rule": "urban", "when": {}, "minutes": 45, "reason": {"zh": "45 分钟", "en": "45 minutes"}}],
	"pauses": [
		{"reason": "owner_unreachable", "words": {"zh": "联系不上车主", "en": "owner unreachable"}, "longest_s": 1200,
		 "opened_by": ["operator", "crew"], "evidence": [{"kind": "call_unanswered", "at_least": 2}]},
		{"reason": "authority_release", "words": {"zh": "等交警放行", "en": "waiting for the police"}, "longest_s": 3600,
		 "retroactive": "needs_approval", "retroactive_after_s": 300}],
	"grace_s": 0,
	"compensation": {"kind": "tiers", "tiers": [{"over_s": 0, "up_to_s": 600, "fen": 2000}, {"over_s": 600, "fen": 5000}]},
	"late_cancellation": "tier_reached",
	"exclusions": [
		{"rule": "red-alert", "because": "weather_alert", "words": {"zh": "红色预警", "en": "a red alert"}, "levels": ["red"], "owes_pct": 0,
		 "evidence": [{"kind": "official_notice"}]},
		{"rule": "storm", "because": "storm_mode", "words": {"zh": "暴雨模式", "en": "storm mode"}, "owes_pct": 50, "evidence": [{"kind": "shown_to_owner"}]}]
}`

// pausingRig keeps promises under pausing.
func pausingRig(t testing.TB) *rig {
	r := newRig(t)
	ctx := context.Background()
	_, err := r.AddPolicy(ctx, finance, []byte(pausing))
	require.NoError(t, err)
	_, err = r.ActivatePolicy(ctx, finance2, "pausing", 1, "for the test")
	require.NoError(t, err)
	r.Service = sla.New(r.pool, sla.Config{Now: r.now, Visible: onlyOwners, Policy: "pausing"})
	return r
}

// opens opens a request now, under the policy in force.
func (r *rig) opens() events.RequestID {
	r.t.Helper()
	id := events.NewID[events.RequestID]()
	r.happens(r.opening(id))
	return id
}

func (r *rig) opening(id events.RequestID) events.RequestOpened {
	r.t.Helper()
	var promise events.Promise
	require.NoError(r.t, pg.InTx(context.Background(), r.pool, func(tx pgx.Tx) (err error) {
		promise, err = r.Promise(context.Background(), tx, events.PromiseFacts{At: r.now(), Area: "cn-3301", Tier: "urban"})
		return err
	}))
	return events.RequestOpened{RequestID: id, Area: "cn-3301", Tier: "urban", OpenedAt: r.now(), Priority: 2, Problem: "tyre", Promise: promise}
}

func (r *rig) version(id events.RequestID) int64 { return r.standing(id).Guarantee.Version }

func (r *rig) records(by events.Actor, id events.RequestID, in sla.NewRecording) sla.Recording {
	r.t.Helper()
	rec, err := r.RecordFact(context.Background(), by, id, in)
	require.NoError(r.t, err)
	return rec
}

var (
	crew      = events.Actor{Role: events.RoleCrew, Subject: "crw_7"}
	operator2 = events.Actor{Role: events.RoleOperator, Subject: "hua"}
	theOwner  = events.Actor{Role: events.RoleOwner, Subject: "own_1"}
	unanswer  = sla.NewRecording{Kind: sla.FactEvidence, Source: string(sla.CallUnanswered)}
	unreached = sla.NewRecording{Kind: sla.FactPaused, Source: string(sla.OwnerUnreachable)}
	letGo     = sla.NewRecording{Kind: sla.FactPaused, Source: string(sla.AuthorityRelease)}
)

func TestAPauseMovesTheDeadline(t *testing.T) {
	t.Parallel()
	r, ctx := pausingRig(t), context.Background()
	id := r.opens()
	r.at(opened.Add(10 * time.Minute))
	pause := r.records(operator, id, unreached)
	list, err := r.Recordings(ctx, operator, id)
	require.NoError(t, err)
	require.False(t, list[0].Counts, "two attempts to reach the owner are missing")
	require.Contains(t, list[0].Against.EN, "there is 0")
	require.Equal(t, due, r.standing(id).Guarantee.Verdict.DueAt)

	r.at(opened.Add(11 * time.Minute))
	r.records(operator, id, unanswer)
	r.at(opened.Add(13 * time.Minute))
	r.records(operator, id, unanswer)
	list, err = r.Recordings(ctx, operator, id)
	require.NoError(t, err)
	require.True(t, list[0].Counts)
	require.Equal(t, due.Add(20*time.Minute), r.standing(id).Guarantee.Verdict.DueAt, "it counts to its longest while it lasts")

	r.at(opened.Add(16*time.Minute + 20*time.Second))
	_, err = r.ClosePause(ctx, operator, id, pause.ID, r.version(id), time.Time{}, "he called back")
	require.NoError(t, err)
	moved := due.Add(6*time.Minute + 20*time.Second)
	require.Equal(t, moved, r.standing(id).Guarantee.Verdict.DueAt)
	require.Equal(t, 2, r.count(id, events.DeadlineMoved{}))
	_, err = r.ClosePause(ctx, operator, id, pause.ID, r.version(id), time.Time{}, "again")
	require.ErrorIs(t, err, sla.ErrPauseOver)
	standings, err := r.Standings(ctx, []events.RequestID{id})
	require.NoError(t, err)
	require.Equal(t, moved, standings[id].DueAt, "the queue shows it")

	r.happens(arrivedEvent(id, crewA, moved.Add(time.Minute)))
	g := r.standing(id).Guarantee
	require.Equal(t, sla.Late, g.State)
	require.Equal(t, time.Minute, g.Verdict.Late)
	lines, _ := r.differences()
	require.Empty(t, lines, "what people recorded is replayed from the journal as well")

	// What was a mistake never counted.
	_, err = r.WithdrawRecording(ctx, crew, id, pause.ID, r.version(id), "not mine")
	require.Error(t, err)
	_, err = r.WithdrawRecording(ctx, operator, id, pause.ID, r.version(id), "another car")
	require.NoError(t, err)
	require.Equal(t, due, r.standing(id).Guarantee.Verdict.DueAt)
	require.Equal(t, sla.Fen(2000), r.live(id).Fen)
	require.Equal(t, 7*time.Minute+20*time.Second, r.standing(id).Guarantee.Verdict.Late)
	_, err = r.WithdrawRecording(ctx, operator, id, pause.ID, r.version(id), "again")
	require.ErrorIs(t, err, sla.ErrWithdrawn)
	lines, _ = r.differences()
	require.Empty(t, lines)
}

func TestAPauseClosesItself(t *testing.T) {
	t.Parallel()
	r, ctx := pausingRig(t), context.Background()
	id := r.opens()
	r.records(operator, id, unanswer)
	r.at(opened.Add(time.Minute))
	r.records(operator, id, unanswer)
	pause := r.records(operator, id, unreached)
	_, err := r.RecordFact(ctx, crew, id, unreached)
	require.Error(t, err, "a crew sees only its own requests")
	_, err = r.RecordFact(ctx, operator2, id, unreached)
	require.ErrorIs(t, err, sla.ErrPauseOpen)
	r.at(opened.Add(22 * time.Minute))
	_, err = r.ClosePause(ctx, operator, id, pause.ID, r.version(id), time.Time{}, "")
	require.ErrorIs(t, err, sla.ErrPauseOver, "it closed itself after twenty minutes")
	require.Equal(t, due.Add(20*time.Minute), r.standing(id).Guarantee.Verdict.DueAt)
	r.records(operator, id, unreached) // and may be opened again
}

func TestABreachThatAPauseUndoesRunsOn(t *testing.T) {
	t.Parallel()
	r, ctx := pausingRig(t), context.Background()
	id := r.opens()
	r.at(due.Add(time.Minute))
	require.Equal(t, 1, r.sweep(r.now()))
	late := letGo
	late.At, late.Until = opened.Add(10*time.Minute), opened.Add(40*time.Minute)
	pause := r.records(operator, id, late)
	require.Equal(t, sla.Breached, r.standing(id).Guarantee.State, "recorded afterwards, it waits for a second person")

	_, err := r.ApproveRecording(ctx, operator, id, pause.ID, r.version(id), "I was there")
	require.ErrorIs(t, err, sla.ErrOwnRecording)
	_, err = r.ApproveRecording(ctx, events.Actor{Role: events.RoleFinance, Subject: operator.Subject}, id, pause.ID, r.version(id), "in another role")
	require.ErrorIs(t, err, sla.ErrOwnRecording)
	_, err = r.ApproveRecording(ctx, operator2, id, pause.ID, r.version(id)-1, "ok")
	require.ErrorIs(t, err, sla.ErrStale)
	_, err = r.ApproveRecording(ctx, operator2, id, pause.ID, r.version(id), "the police wrote")
	require.NoError(t, err)
	g := r.standing(id).Guarantee
	require.Equal(t, sla.Armed, g.State, "the clock runs on")
	require.Equal(t, due.Add(30*time.Minute), g.Verdict.DueAt)
	require.Zero(t, g.BreachedAt)
	require.Equal(t, 1, r.sweep(due.Add(31*time.Minute)), "and may alarm again")
	_, err = r.ApproveRecording(ctx, finance, id, pause.ID, r.version(id), "me too")
	require.ErrorIs(t, err, sla.ErrApproved)
	lines, _ := r.differences()
	require.Empty(t, lines)
}

func TestWhoMayRecordWhat(t *testing.T) {
	t.Parallel()
	r, ctx := pausingRig(t), context.Background()
	id := r.opens()
	r.at(opened.Add(30 * time.Minute))
	for name, c := range map[string]struct {
		by   events.Actor
		in   sla.NewRecording
		want string
	}{
		"an owner may not say he is unreachable": {theOwner, unreached, "forbidden"},
		"finance pauses nothing":                 {finance, unreached, "forbidden"},
		"an owner's unanswered call":             {theOwner, unanswer, "forbidden"},
		"a reason the policy does not know":      {operator, sla.NewRecording{Kind: sla.FactPaused, Source: "road_closed"}, "pause_unknown"},
		"a reason nobody knows":                  {operator, sla.NewRecording{Kind: sla.FactPaused, Source: "lunch"}, "reason"},
		"in the future":                          {operator, sla.NewRecording{Kind: sla.FactPaused, Source: "authority_release", At: opened.Add(time.Hour)}, "at:"},
		"before the request":                     {operator, sla.NewRecording{Kind: sla.FactPaused, Source: "authority_release", At: opened.Add(-time.Hour)}, "at:"},
		"an end before the beginning":            {operator, sla.NewRecording{Kind: sla.FactPaused, Source: "authority_release", At: opened.Add(9 * time.Minute), Until: opened.Add(8 * time.Minute)}, "until:"},
		"a fact that crews report":               {operator, sla.NewRecording{Kind: sla.FactArrived}, "kind"},
		"no distance":                            {operator, sla.NewRecording{Kind: sla.FactMislocated}, "metres"},
		"no price":                               {operator, sla.NewRecording{Kind: sla.FactPriced}, "fen"},
		"no agreed time":                         {operator, sla.NewRecording{Kind: sla.FactScheduled}, "until"},
		"a price of a pause":                     {operator, sla.NewRecording{Kind: sla.FactPaused, Source: "authority_release", Fen: 1}, "fen"},
		"evidence of nothing":                    {operator, sla.NewRecording{Kind: sla.FactEvidence, Source: "hearsay"}, "source"},
		"evidence about what is not there":       {operator, sla.NewRecording{Kind: sla.FactEvidence, Source: "photo", About: events.NewID[events.RecordID]().UUID()}, "recording_not_found"},
		"a stranger":                             {events.Actor{Role: events.RoleProvider, Subject: "prv_1"}, unanswer, "guarantee_not_found"},
	} {
		_, err := r.RecordFact(ctx, c.by, id, c.in)
		require.ErrorContains(t, err, c.want, name)
	}
	require.Zero(t, r.rows(`SELECT count(*) FROM sla.recordings`))
	require.Zero(t, r.rows(`SELECT count(*) FROM sla.facts`))
	_, err := r.RecordFact(ctx, operator, events.NewID[events.RequestID](), unanswer)
	require.ErrorIs(t, err, sla.ErrNoGuarantee)

	past := r.bringIn(pastSpec(false), pastRescue("old", 60))
	require.Equal(t, 1, past.Rescues)
	list, err := r.Guarantees(ctx, operator, sla.GuaranteeFilter{Imported: true}, sla.GuaranteePlace{}, 1)
	require.NoError(t, err)
	_, err = r.RecordFact(ctx, operator, list[0].RequestID, unanswer)
	require.ErrorIs(t, err, sla.ErrPast)

	for _, in := range []sla.NewRecording{
		{Kind: sla.FactLocated}, {Kind: sla.FactScheduled, Until: opened.Add(time.Hour)}, {Kind: sla.FactHandedOver},
		{Kind: sla.FactMislocated, Metres: 900}, {Kind: sla.FactNoCoverage}, {Kind: sla.FactPriced, Fen: 30000},
	} {
		rec := r.records(operator, id, in)
		require.Equal(t, rec.ID.UUID(), rec.Fact.Ref)
	}
	r.records(theOwner, id, sla.NewRecording{Kind: sla.FactEvidence, Source: string(sla.OwnerConfirmed)})
	_, err = r.Waive(ctx, operator, id, r.version(id), "a test")
	require.NoError(t, err)
	_, err = r.RecordFact(ctx, operator, id, unanswer)
	require.ErrorIs(t, err, sla.ErrSettledForAll)
	lines, _ := r.differences()
	require.Empty(t, lines)
}

func TestARecordingIsRepeatedByItsKey(t *testing.T) {
	t.Parallel()
	r, ctx := pausingRig(t), context.Background()
	id := r.opens()
	in := unanswer
	in.Key = "k1"
	first := r.records(operator, id, in)
	r.at(opened.Add(time.Minute))
	again := r.records(operator, id, in)
	require.True(t, again.Replayed)
	require.Equal(t, first.ID, again.ID)
	in.Note = "another input"
	_, err := r.RecordFact(ctx, operator, id, in)
	require.ErrorIs(t, err, web.ErrKeyReused)
	r.records(operator2, id, in) // a key is of whoever uses it
	require.Equal(t, 2, r.count(id, events.FactRecorded{}))
}

func TestPausesOverHTTP(t *testing.T) {
	t.Parallel()
	r := pausingRig(t)
	d := newDoor(t, r)
	id := r.opens()
	path := "/v1/requests/" + id.String()
	r.at(opened.Add(5 * time.Minute))
	d.ask(operator, "POST", path+"/pauses", `{"reason":"authority_release"}`, 400)
	got, h := d.ask(operator, "POST", path+"/pauses", `{"reason":"authority_release","note":"police at km 17, call 139"}`, 200, "Idempotency-Key", "a")
	rec := got["recording"].(map[string]any)
	require.Equal(t, true, rec["counts"])
	require.Equal(t, "operator:wei", rec["by"])
	require.Equal(t, due.Add(time.Hour).Format(time.RFC3339), got["guarantee"].(map[string]any)["due_at"])
	_, again := d.ask(operator, "POST", path+"/pauses", `{"reason":"authority_release","note":"police at km 17, call 139"}`, 200, "Idempotency-Key", "a")
	require.Equal(t, "true", again.Get("Idempotency-Hit"))
	d.ask(operator2, "POST", path+"/pauses", `{"reason":"authority_release"}`, 409, "Idempotency-Key", "b")

	seen, _ := d.ask(theOwner, "GET", path+"/recordings", "", 200)
	item := seen["items"].([]any)[0].(map[string]any)
	require.NotContains(t, item, "note", "what staff noted is for staff")
	require.Equal(t, "operator", item["by"])

	r.at(opened.Add(9 * time.Minute))
	record := path + "/recordings/" + rec["id"].(string)
	d.ask(operator, "POST", record+"/close", `{}`, 428)
	got, h = d.ask(operator, "POST", record+"/close", `{}`, 200, "If-Match", h.Get("ETag"))
	require.Equal(t, due.Add(4*time.Minute).Format(time.RFC3339), got["guarantee"].(map[string]any)["due_at"])
	d.ask(operator, "POST", record+"/withdraw", `{"reason":"wrong car"}`, 200, "If-Match", h.Get("ETag"))
	d.ask(operator, "POST", path+"/facts", `{"kind":"evidence","source":"call_unanswered","about":"`+rec["id"].(string)+`"}`, 200, "Idempotency-Key", "c")
	require.NotContains(t, joinedData(r, id), "km 17", "what people note is not told to other systems")
}

func joinedData(r *rig, id events.RequestID) string {
	r.t.Helper()
	told, err := events.ReadStream(context.Background(), r.pool, id.String(), 1000)
	require.NoError(r.t, err)
	var all strings.Builder
	for _, env := range told {
		all.Write(env.Data)
	}
	return all.String()
}

// TestRacesOfRecordings lets many people record of one request at once.
func TestRacesOfRecordings(t *testing.T) {
	t.Parallel()
	r, ctx := pausingRig(t), context.Background()
	id := r.opens()
	r.at(opened.Add(20 * time.Minute))
	var all sync.WaitGroup
	var mu sync.Mutex
	won, refused := 0, map[string]int{}
	attempt := func(do func() error) {
		all.Go(func() {
			err := do()
			mu.Lock()
			defer mu.Unlock()
			var f *fault.Error
			switch {
			case err == nil:
				won++
			case errors.As(err, &f):
				refused[f.Code]++
			default:
				t.Error(err)
			}
		})
	}
	for n := range 8 {
		attempt(func() error {
			_, err := r.RecordFact(ctx, events.Actor{Role: events.RoleOperator, Subject: string(rune('a' + n))}, id, letGo)
			return err
		})
	}
	all.Wait()
	require.Equal(t, 1, won, "one pause for a reason at a time")
	require.Equal(t, map[string]int{"pause_open": 7}, refused)

	late := letGo
	late.At, late.Until = opened.Add(time.Minute), opened.Add(8*time.Minute)
	pause := r.records(operator, id, late)
	won, refused = 0, map[string]int{}
	version := r.version(id)
	for n := range 6 {
		attempt(func() error {
			_, err := r.ApproveRecording(ctx, events.Actor{Role: events.RoleOperator, Subject: string(rune('p' + n))}, id, pause.ID, version, "ok")
			return err
		})
		attempt(func() error {
			_, err := r.ClosePause(ctx, operator, id, pause.ID, version, time.Time{}, "")
			return err
		})
	}
	r.must(arrivedEvent(id, crewA, opened.Add(15*time.Minute))) // and help comes
	all.Wait()
	require.LessOrEqual(t, won, 1, "an approval counts once, and the others saw another version")
	require.LessOrEqual(t, r.rows(`SELECT count(*) FROM sla.recordings WHERE kind = 'approved'`), 1)
	g := r.standing(id).Guarantee
	require.Equal(t, sla.Met, g.State)
}
