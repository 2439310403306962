package sla_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/sla"
)

// promised is what a request opened at that moment is promised.
func (r *rig) promised(f events.PromiseFacts) events.Promise {
	r.t.Helper()
	var p events.Promise
	require.NoError(r.t, pg.InTx(context.Background(), r.pool, func(tx pgx.Tx) (err error) {
		p, err = r.Promise(context.Background(), tx, f)
		return err
	}))
	return p
}

func secondVersion(t *testing.T) []byte {
	return edit(t, func(doc map[string]any) { doc["version"], doc["grace_s"] = 2, 60 })
}

func TestAVersionTakesEffectByASecondPerson(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	f := events.PromiseFacts{At: opened, Tier: "urban"}
	v, err := r.AddPolicy(ctx, finance, secondVersion(t))
	require.NoError(t, err)
	require.Zero(t, v.ActivatedAt)
	require.Equal(t, 1, r.promised(f).PolicyVersion, "nothing is promised under what nobody has activated")

	_, err = r.ActivatePolicy(ctx, finance, v.Name, 2, "my own")
	require.ErrorIs(t, err, sla.ErrPolicyOwn)
	_, err = r.ActivatePolicy(ctx, events.Actor{Role: events.RoleAdmin, Subject: finance.Subject}, v.Name, 2, "in another role")
	require.ErrorIs(t, err, sla.ErrPolicyOwn, "one person with two roles is one person")
	_, err = r.ActivatePolicy(ctx, operator, v.Name, 2, "not mine to do")
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	_, err = r.ActivatePolicy(ctx, finance2, v.Name, 3, "which?")
	require.ErrorIs(t, err, sla.ErrNoPolicy)
	_, err = r.ActivatePolicy(ctx, finance2, v.Name, 2, " ")
	require.Equal(t, []string{"reason required"}, codes(err))
	require.Equal(t, 1, r.promised(f).PolicyVersion)

	v, err = r.ActivatePolicy(ctx, finance2, v.Name, 2, "the spring programme")
	require.NoError(t, err)
	require.Equal(t, finance2.String(), v.ActivatedBy)
	require.Equal(t, 2, r.promised(f).PolicyVersion)
	_, err = r.ActivatePolicy(ctx, admin, v.Name, 2, "once more")
	require.ErrorIs(t, err, sla.ErrPolicyActive)

	stored, err := r.Policy(ctx, v.Name, 2)
	require.NoError(t, err)
	require.Equal(t, v, stored)
	for _, sql := range []string{`UPDATE sla.policy_activations SET activated_why = 'x'`, `DELETE FROM sla.policy_activations`} {
		_, err = r.pool.Exec(ctx, sql)
		require.True(t, pg.Violates(err, "never_changed"), "%s: %v", sql, err)
	}
	told, err := events.ReadStream(ctx, r.pool, v.Name, 10)
	require.NoError(t, err)
	var states []string
	for _, env := range told {
		ev, err := events.Decode[events.PolicyChanged](env)
		require.NoError(t, err)
		states = append(states, ev.State)
		require.Len(t, ev.Digest, 64)
	}
	require.Equal(t, []string{"added", "activated", "added", "activated"}, states, "the service's own, and this one")
}

func TestAVersionIsActivatedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.AddPolicy(t.Context(), admin, secondVersion(t))
	require.NoError(t, err)
	var done, late atomic.Int32
	var group errgroup.Group
	for n := range 8 {
		group.Go(func() error {
			by := []events.Actor{finance, finance2}[n%2]
			switch _, err := r.ActivatePolicy(context.Background(), by, "example-45", 2, "at once"); fault.KindOf(err) {
			case fault.Conflict:
				late.Add(1)
			default:
				if err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, done.Load())
	require.EqualValues(t, 7, late.Load())
}

func TestWhichPolicyApplies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	partner := events.NewID[events.PartnerID]()
	share, err := os.ReadFile("policies/example-partner-share.json")
	require.NoError(t, err)
	r.inForce([]byte(strings.Replace(string(share), "ptn_01985a3c-7e00-7000-8000-000000000006", partner.String(), 1)))
	minute, err := os.ReadFile("policies/example-per-minute.json")
	require.NoError(t, err)
	r.inForce(minute) // for whoever no other policy names: not the service's own, so it applies to nobody
	r.inForce(edit(t, func(doc map[string]any) {
		doc["version"], doc["effective_from"], doc["effective_to"] = 2, opened.Add(time.Hour).Format(time.RFC3339), opened.Add(2*time.Hour).Format(time.RFC3339)
	}))
	for name, c := range map[string]struct {
		f    events.PromiseFacts
		want string
	}{
		"the partner's":           {events.PromiseFacts{At: opened, Tier: "urban", PartnerID: partner, Product: "gold"}, "example-partner-share 1 gold"},
		"another partner's":       {events.PromiseFacts{At: opened, Tier: "urban", PartnerID: events.NewID[events.PartnerID]()}, "example-45 1 urban"},
		"an owner's":              {events.PromiseFacts{At: opened, Tier: "county"}, "example-45 1 county"},
		"from a moment on":        {events.PromiseFacts{At: opened.Add(time.Hour), Tier: "urban"}, "example-45 2 urban"},
		"to a moment":             {events.PromiseFacts{At: opened.Add(2*time.Hour - 1), Tier: "urban"}, "example-45 2 urban"},
		"and then as before":      {events.PromiseFacts{At: opened.Add(2 * time.Hour), Tier: "urban"}, "example-45 1 urban"},
		"the partner's all along": {events.PromiseFacts{At: opened.Add(time.Hour), Tier: "county", PartnerID: partner}, "example-partner-share 1 everybody"},
	} {
		p := r.promised(c.f)
		require.Equal(t, c.want, strings.Join([]string{p.Policy, string(rune('0' + p.PolicyVersion)), p.Rule}, " "), name)
	}
}

func TestPoliciesOverHTTP(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newRig(t))
	owner := events.Actor{Role: events.RoleOwner, Subject: "own_1"}
	document := string(secondVersion(t))
	got, _ := d.ask(admin, "POST", "/v1/policies", document, 201)
	require.Equal(t, "example-45", got["name"])
	require.NotContains(t, got, "activated_at")
	d.ask(admin, "POST", "/v1/policies", document, 201)
	got, _ = d.ask(operator, "POST", "/v1/policies", document, 403)
	require.Equal(t, "forbidden", got["code"])
	got, _ = d.ask(admin, "POST", "/v1/policies", strings.Replace(document, `"grace_s":60`, `"grace_s":61`, 1), 409)
	require.Equal(t, "policy_version_exists", got["code"])
	wrong, err := os.ReadFile("testdata/policy-wrong-everywhere.json")
	require.NoError(t, err)
	got, _ = d.ask(finance, "POST", "/v1/policies", string(wrong), 400)
	require.Len(t, got["fields"], 54, "every wrong field at once")

	got, _ = d.ask(admin, "POST", "/v1/policies/example-45/2/activate", `{"reason":"mine"}`, 403)
	require.Equal(t, "four_eyes", got["code"])
	got, _ = d.ask(finance, "POST", "/v1/policies/example-45/2/activate", `{"reason":"as agreed"}`, 200)
	require.Equal(t, finance.String(), got["activated_by"])
	got, _ = d.ask(owner, "GET", "/v1/policies/example-45/2", "", 200)
	require.NotContains(t, got, "activated_by", "who did it is for staff")
	require.Contains(t, got, "activated_at")

	got, _ = d.ask(finance, "GET", "/v1/policies/applicable?tier=county&problem=tyre", "", 200)
	require.Equal(t, "county", got["rule"])
	require.EqualValues(t, 2, got["policy_version"])
	d.ask(owner, "GET", "/v1/policies/applicable", "", 403)
	got, _ = d.ask(owner, "GET", "/v1/policies/schema", "", 200)
	schema, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, string(sla.PolicySchema()), string(schema))
}

// TestAPolicyRanksTheProofsOfAnArrival: dispatch goes by the earliest proof, a
// policy may go by another that lies beside it.
func TestAPolicyRanksTheProofsOfAnArrival(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	byOwner, byGPS := due.Add(-time.Minute), due.Add(4*time.Minute)
	arrive := func(id events.RequestID) events.CrewArrived {
		return events.CrewArrived{
			RequestID: id, Area: "cn-3301", CrewID: crewA, ArrivedAt: byOwner, Source: "owner",
			Evidence: events.ArrivalEvidence{GPSAt: &byGPS, OwnerAt: &byOwner, ClaimedAt: &opened},
		}
	}
	first, second := events.NewID[events.RequestID](), events.NewID[events.RequestID]()
	r.must(r.open(first, "urban"), arrive(first))
	require.Equal(t, byOwner, r.standing(first).Guarantee.Verdict.StoppedAt, "without a word in the policy the earliest proof counts")

	r.inForce(edit(t, func(doc map[string]any) {
		doc["version"] = 2
		doc["arrival"] = map[string]any{"evidence": []any{"gps", "owner"}, "disagreement_s": 240}
		doc["approval"] = map[string]any{"auto_up_to_fen": 5000}
	}))
	r.must(r.open(second, "urban"), arrive(second), arrive(second))
	v := r.standing(second).Guarantee.Verdict
	require.Equal(t, byGPS, v.StoppedAt)
	require.Equal(t, sla.Fen(2000), v.Fen)
	require.Equal(t, sla.ReviewEvidenceDisagrees, v.Review, "the two lie five minutes apart")
	require.Equal(t, sla.Accrued, r.live(second).State, "so the policy does not approve it by itself")
	require.Equal(t, []string{"review"}, queuedFor(r.live(second)))
}

// TestAClockThatWaitsRaisesNoAlarm: what starts the clock has not happened, so
// nothing can be late.
func TestAClockThatWaitsRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.inForce(edit(t, func(doc map[string]any) {
		doc["version"], doc["clock_start"] = 2, "location_confirmed"
		doc["while_start_missing"] = map[string]any{"then": "wait"}
	}))
	id := events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"), asEvent(id, sla.Fact{Kind: sla.FactAssigned, At: opened, Until: due.Add(time.Hour), Crew: crewA}))
	require.Zero(t, r.sweep(due.Add(-time.Minute)))
	require.Zero(t, r.sweep(due.Add(time.Hour)))
	g := r.standing(id).Guarantee
	require.Equal(t, sla.Armed, g.State)
	require.Zero(t, g.Verdict.StartedAt)
	r.must(arrivedEvent(id, crewA, due.Add(2*time.Hour)))
	require.Equal(t, sla.Met, r.standing(id).Guarantee.State)
}

// TestCallingOffInTimeMayPay: a fixed amount for it is owed although nothing
// was late, and accrues as any other.
func TestCallingOffInTimeMayPay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.inForce(edit(t, func(doc map[string]any) {
		doc["version"] = 2
		doc["early_cancellation"] = map[string]any{"pays": "fixed", "fen": 800}
	}))
	id := events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"), cancelledEvent(id, opened.Add(time.Minute)))
	st := r.standing(id)
	require.Equal(t, sla.Void, st.Guarantee.State)
	require.Equal(t, sla.Fen(800), st.Guarantee.Verdict.Fen)
	require.Equal(t, sla.Fen(800), r.live(id).Fen)
	requireBalance(t, r, 800)
}

// TestAnExcusedLatenessStaysVisible in what is stored and shown.
func TestAnExcusedLatenessStaysVisible(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.inForce(edit(t, func(doc map[string]any) {
		doc["version"] = 2
		doc["exclusions"] = []any{map[string]any{
			"rule": "far", "because": "remote_area", "when": map[string]any{"road_classes": []any{"rural"}}, "owes_pct": 25,
			"words": map[string]any{"zh": "偏远", "en": "far out"},
		}}
	}))
	id := events.NewID[events.RequestID]()
	ev := r.open(id, "urban")
	ev.RoadClass = "rural"
	r.must(ev, arrivedEvent(id, crewA, due.Add(11*time.Minute)))
	g := r.standing(id).Guarantee
	require.Equal(t, sla.Late, g.State)
	require.Equal(t, 11*time.Minute, g.Verdict.Late)
	require.Equal(t, sla.Fen(1250), r.live(id).Fen)
	got, _ := newDoor(t, r).ask(finance, "GET", "/v1/requests/"+id.String()+"/guarantee", "", 200)
	require.EqualValues(t, 660, got["late_s"])
	require.EqualValues(t, 5000, got["raw_fen"])
	require.EqualValues(t, 1250, got["owed_fen"])
	require.Equal(t, "far", got["excluded"])
	require.NotEmpty(t, got["started_at"])
}
