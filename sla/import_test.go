package sla_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

const pastDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

var clerk = events.Actor{Role: events.RoleAdmin, Subject: "clerk"}

func pastSpec(payable bool) sla.ImportSpec {
	return sla.ImportSpec{Source: "old-desk", File: "february.csv", Digest: pastDigest, Policy: "example-45", PolicyVersion: 1, Payable: payable}
}

// pastRescue is a rescue of long ago: called at the given minute of its day,
// helped so many minutes later; 0 for never.
func pastRescue(reference string, minutes int) sla.PastRescue {
	called := opened.AddDate(0, -1, 0)
	r := sla.PastRescue{
		Reference: reference, CalledAt: called, Area: "cn-3301", Tier: "urban", RoadClass: "urban", Problem: "tyre", Priority: 2,
		Crew: "van 7", AssignedAt: called.Add(time.Minute),
	}
	if minutes > 0 {
		r.ArrivedAt, r.ArrivalSource = called.Add(time.Duration(minutes)*time.Minute), "gps"
		r.FreedAt = r.ArrivedAt.Add(30 * time.Minute)
	}
	return r
}

func (r *rig) importer(by events.Actor, spec sla.ImportSpec) *sla.Importer {
	r.t.Helper()
	i, err := r.NewImporter(context.Background(), by, spec)
	require.NoError(r.t, err)
	return i
}

func (r *rig) bringIn(spec sla.ImportSpec, rescues ...sla.PastRescue) sla.Import {
	r.t.Helper()
	i := r.importer(clerk, spec)
	got, err := i.Add(context.Background(), rescues)
	require.NoError(r.t, err)
	require.Empty(r.t, got.Refused)
	imp, found, err := i.Finish(context.Background())
	require.NoError(r.t, err)
	require.True(r.t, found)
	return imp
}

func (r *rig) rows(sql string, args ...any) (n int) {
	r.t.Helper()
	require.NoError(r.t, r.pool.QueryRow(context.Background(), sql, args...).Scan(&n))
	return n
}

func TestPastRescuesAreJudgedAsIfOpenedThen(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), context.Background()
	county := pastRescue("county", 55)
	county.Tier, county.Product, county.PriceFen = "county", "plan-gold", 30000
	gaveUp := pastRescue("gave up", 0)
	gaveUp.AssignedAt, gaveUp.CancelledAt = time.Time{}, gaveUp.CalledAt.Add(60*time.Minute)
	imp := r.bringIn(pastSpec(false), pastRescue("in time", 45), pastRescue("late", 50), pastRescue("later", 56), county, gaveUp, pastRescue("nobody", 0))
	require.Equal(t, sla.ImportLoaded, imp.State)
	require.Equal(t, 6, imp.Rescues)
	require.Equal(t, 3, imp.Late)

	list, err := r.Guarantees(ctx, operator, sla.GuaranteeFilter{Imported: true}, sla.GuaranteePlace{}, 100)
	require.NoError(t, err)
	require.Len(t, list, 6)
	states, owed := map[sla.GuaranteeState]int{}, sla.Fen(0)
	for _, g := range list {
		states[g.State]++
		owed += g.Verdict.Fen
		require.Equal(t, imp.ID, g.ImportID)
		require.Equal(t, "example-45", g.Promise.Policy)
		require.Equal(t, opened.AddDate(0, -1, 0), g.OpenedAt)
		if g.Tier == "county" {
			require.Equal(t, "plan-gold", g.Product)
			require.Equal(t, 1, r.rows(`SELECT count(*) FROM sla.facts WHERE request_id = $1 AND kind = 'priced' AND fen = 30000`, g.RequestID))
			require.Equal(t, 60, g.Promise.Minutes, "a county is promised an hour, then as now")
		}
	}
	require.Equal(t, map[sla.GuaranteeState]int{sla.Met: 2, sla.Late: 3, sla.Armed: 1}, states)
	require.Equal(t, imp.Owed, owed)
	require.Equal(t, sla.Fen(2000+5000+5000), owed, "5, 11 and 15 minutes late")

	// The journal tells each on the topic of history, as one event with all its facts.
	told, err := events.ReadStream(ctx, r.pool, list[0].RequestID.String(), 10)
	require.NoError(t, err)
	require.Len(t, told, 1)
	ev, err := events.Decode[events.HistoryImported](told[0])
	require.NoError(t, err)
	require.Equal(t, list[0].Promise, ev.Promise)
	require.Equal(t, events.TopicHistory, told[0].Topic)
	require.Equal(t, imp.ID, ev.ImportID)
	require.False(t, ev.Payable)
}

func TestHistoryDoesNotDisturbWhatIsLive(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), context.Background()
	live := events.NewID[events.RequestID]()
	r.must(r.open(live, "urban"))
	r.bringIn(pastSpec(false), pastRescue("nobody came", 0), pastRescue("late", 60))

	require.Zero(t, r.sweep(opened.Add(time.Minute)), "no alarm for what is long past")
	require.Equal(t, 1, r.sweep(due.Add(-time.Minute)), "the live one is at risk")
	require.Equal(t, 1, r.sweep(due.Add(time.Minute)), "and breached")
	list, err := r.Guarantees(ctx, operator, sla.GuaranteeFilter{}, sla.GuaranteePlace{}, 10)
	require.NoError(t, err)
	require.Len(t, list, 1, "the list of promises is of those made here")
	require.Equal(t, live, list[0].RequestID)
	stats, err := r.Stats(ctx)
	require.NoError(t, err)
	require.Equal(t, sla.Stats{Breached: 1}, stats)

	past, err := r.Guarantees(ctx, operator, sla.GuaranteeFilter{Imported: true, State: sla.Armed}, sla.GuaranteePlace{}, 10)
	require.NoError(t, err)
	require.Len(t, past, 1)
	require.Zero(t, past[0].AtRiskAt)
	_, err = r.Waive(ctx, operator, past[0].RequestID, past[0].Version, "a test")
	require.ErrorIs(t, err, sla.ErrPast)
	// Whatever is heard of it by mistake changes nothing.
	r.must(arrivedEvent(past[0].RequestID, crewA, opened))
	require.Equal(t, past[0], r.standing(past[0].RequestID).Guarantee)
	require.Zero(t, r.rows(`SELECT count(*) FROM events.journal WHERE topic <> 'rescue.history.v1' AND subject = $1`, past[0].RequestID.String()))
}

func TestTheSameHistoryIsBroughtInOnce(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), context.Background()
	first := r.bringIn(pastSpec(false), pastRescue("a", 50), pastRescue("b", 40))

	again := r.importer(clerk, pastSpec(false))
	got, err := again.Add(ctx, []sla.PastRescue{pastRescue("a", 50), pastRescue("b", 40)})
	require.NoError(t, err)
	require.Equal(t, sla.ImportedRows{Known: 2, Earlier: map[events.ImportID]int{first.ID: 2}}, got)
	_, found, err := again.Finish(ctx)
	require.NoError(t, err)
	require.False(t, found, "no import without a rescue")
	require.Equal(t, 1, r.rows(`SELECT count(*) FROM sla.imports`))

	// The same reference with another content is refused, and the rest is added.
	got, err = again.Add(ctx, []sla.PastRescue{pastRescue("a", 51), pastRescue("c", 40), pastRescue("b", 40)})
	require.NoError(t, err)
	require.Equal(t, 1, got.Added)
	require.Equal(t, 1, got.Known)
	require.Len(t, got.Refused, 1)
	require.Equal(t, 0, got.Refused[0].Row)
	require.Equal(t, "reference", got.Refused[0].Fields[0].Field)

	// Another source may use the same reference.
	other := pastSpec(false)
	other.Source = "another-desk"
	require.Equal(t, 1, r.bringIn(other, pastRescue("a", 51)).Rescues)
	require.Equal(t, 4, r.rows(`SELECT count(*) FROM sla.past_rescues`))
}

func TestAnInterruptedImportGoesOn(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), context.Background()
	half := r.importer(clerk, pastSpec(true))
	_, err := half.Add(ctx, []sla.PastRescue{pastRescue("a", 50)})
	require.NoError(t, err)

	// It stops here; the same file is given again.
	imp := r.bringIn(pastSpec(true), pastRescue("a", 50), pastRescue("b", 50))
	require.Equal(t, sla.ImportPrepared, imp.State)
	require.Equal(t, 2, imp.Rescues)
	require.Equal(t, sla.Fen(4000), imp.Owed)
	require.Equal(t, 1, r.rows(`SELECT count(*) FROM sla.imports`))
	_, err = half.Add(ctx, []sla.PastRescue{pastRescue("c", 50)})
	require.ErrorIs(t, err, sla.ErrStale, "nothing slips into what finance is looking at")
}

func TestARowThatCannotBeHistoryIsRefusedWhole(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), context.Background()
	for name, c := range map[string]struct {
		spoil func(*sla.PastRescue)
		field string
	}{
		"no reference":             {func(p *sla.PastRescue) { p.Reference = "" }, "reference"},
		"a reference with a break": {func(p *sla.PastRescue) { p.Reference = "a\nb" }, "reference"},
		"no call":                  {func(p *sla.PastRescue) { p.CalledAt = time.Time{} }, "called_at"},
		"a call to come":           {func(p *sla.PastRescue) { p.CalledAt = opened.Add(time.Hour) }, "called_at"},
		"no area":                  {func(p *sla.PastRescue) { p.Area = "" }, "area"},
		"an odd tier":              {func(p *sla.PastRescue) { p.Tier = "city" }, "tier"},
		"an odd problem":           {func(p *sla.PastRescue) { p.Problem = "tire" }, "problem"},
		"an odd road":              {func(p *sla.PastRescue) { p.RoadClass = "lane" }, "road_class"},
		"an odd priority":          {func(p *sla.PastRescue) { p.Priority = 3 }, "priority"},
		"assigned before the call": {func(p *sla.PastRescue) { p.AssignedAt = p.CalledAt.Add(-time.Second) }, "assigned_at"},
		"arrived before assigned":  {func(p *sla.PastRescue) { p.ArrivedAt = p.CalledAt.Add(time.Second) }, "arrived_at"},
		"expected and not sent":    {func(p *sla.PastRescue) { p.ExpectedAt, p.AssignedAt = p.CalledAt.Add(time.Hour), time.Time{} }, "expected_at"},
		"expected before assigned": {func(p *sla.PastRescue) { p.ExpectedAt = p.CalledAt }, "expected_at"},
		"freed before arrived":     {func(p *sla.PastRescue) { p.FreedAt = p.CalledAt.Add(2 * time.Minute) }, "freed_at"},
		"freed in the future":      {func(p *sla.PastRescue) { p.FreedAt = opened.Add(time.Hour) }, "freed_at"},
		"cancelled before called":  {func(p *sla.PastRescue) { p.CancelledAt = p.CalledAt.Add(-time.Hour) }, "cancelled_at"},
		"an unproven arrival":      {func(p *sla.PastRescue) { p.ArrivalSource = "" }, "arrival_source"},
		"an unknown policy":        {func(p *sla.PastRescue) { p.Policy, p.PolicyVersion = "example-45", 7 }, "policy"},
	} {
		bad := pastRescue("bad", 50)
		c.spoil(&bad)
		i := r.importer(clerk, pastSpec(false))
		for _, do := range []func(context.Context, []sla.PastRescue) (sla.ImportedRows, error){i.Preview, i.Add} {
			got, err := do(ctx, []sla.PastRescue{bad})
			require.NoError(t, err, name)
			require.Zero(t, got.Added, name)
			require.Len(t, got.Refused, 1, name)
			require.Equal(t, c.field, got.Refused[0].Fields[0].Field, name)
			require.NotEmpty(t, got.Refused[0].Fields[0].Detail, name)
		}
	}
	require.Zero(t, r.rows(`SELECT (SELECT count(*) FROM sla.guarantees) + (SELECT count(*) FROM sla.facts) + (SELECT count(*) FROM sla.imports)`))
	both := pastRescue("", 50)
	both.Tier = ""
	got, err := r.importer(clerk, pastSpec(false)).Preview(ctx, []sla.PastRescue{pastRescue("good", 50), both})
	require.NoError(t, err)
	require.Equal(t, 1, got.Added)
	require.Len(t, got.Refused[0].Fields, 2, "every wrong field at once")
	require.Zero(t, r.rows(`SELECT count(*) FROM sla.guarantees`), "a preview writes nothing")

	for _, spoil := range []func(*sla.ImportSpec){
		func(s *sla.ImportSpec) { s.Source = "" }, func(s *sla.ImportSpec) { s.Digest = "abc" }, func(s *sla.ImportSpec) { s.PolicyVersion = 9 },
	} {
		spec := pastSpec(false)
		spoil(&spec)
		_, err := r.NewImporter(ctx, clerk, spec)
		require.Error(t, err)
	}
	_, err = r.NewImporter(ctx, operator, pastSpec(false))
	require.ErrorContains(t, err, "forbidden")
}

func TestHistoryIsPaidOnlyWhenFinanceApproves(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), context.Background()
	balance := func() sla.Fen {
		b, err := r.Balances(ctx)
		require.NoError(t, err)
		return -b[sla.OwnerPayable]
	}
	accrue := func() int {
		n, err := r.AccrueImports(ctx, 1000)
		require.NoError(t, err)
		return n
	}
	r.bringIn(pastSpec(false), pastRescue("unpaid", 50))
	payable := pastSpec(true)
	payable.Digest = strings.Repeat("ab", 32)
	var rescues []sla.PastRescue
	for n := range 205 {
		rescues = append(rescues, pastRescue(fmt.Sprint("late ", n), 50))
	}
	rescues = append(rescues, pastRescue("in time", 40), pastRescue("nobody", 0))
	imp := r.bringIn(payable, rescues...)
	require.Equal(t, sla.ImportPrepared, imp.State)
	require.Zero(t, accrue(), "nothing accrues before finance has approved")

	_, err := r.ApproveImport(ctx, clerk, imp.ID, imp.Version, "go")
	require.ErrorContains(t, err, "forbidden")
	_, err = r.ApproveImport(ctx, events.Actor{Role: events.RoleFinance, Subject: clerk.Subject}, imp.ID, imp.Version, "go")
	require.ErrorIs(t, err, sla.ErrImportFourEyes, "the same person in another role")
	_, err = r.ApproveImport(ctx, finance, imp.ID, imp.Version-1, "go")
	require.ErrorIs(t, err, sla.ErrStale)
	_, err = r.ApproveImport(ctx, finance, imp.ID, imp.Version, " ")
	require.ErrorContains(t, err, "reason")
	require.Zero(t, accrue())

	approved, err := r.ApproveImport(ctx, finance, imp.ID, imp.Version, "the run of February")
	require.NoError(t, err)
	require.Equal(t, sla.ImportApproved, approved.State)
	require.Equal(t, "finance:lin", approved.DecidedBy)
	_, err = r.RejectImport(ctx, finance, imp.ID, approved.Version, "no")
	require.ErrorContains(t, err, "state_refused")

	// Several replicas accrue at once, and each rescue once.
	var replicas sync.WaitGroup
	counts := make([]int, 4)
	for i := range counts {
		replicas.Go(func() { counts[i], _ = r.AccrueImports(ctx, 1000) })
	}
	replicas.Wait()
	total := accrue()
	for _, n := range counts {
		total += n
	}
	require.Equal(t, 205, total)
	require.Equal(t, imp.Owed, balance())
	require.Equal(t, sla.Fen(205*2000), imp.Owed)
	require.Zero(t, accrue())
	done, err := r.Import(ctx, finance, imp.ID)
	require.NoError(t, err)
	require.False(t, done.AccruedAt.IsZero())
	require.Equal(t, 205, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'accrued'`))

	check, err := r.CheckLedger(ctx)
	require.NoError(t, err)
	require.Empty(t, check.Findings)
}

// TestAKilledAccrualGoesOn: the process dies in the middle of the second
// portion. What had accrued stays, the next process goes on from there, and
// nothing accrues twice.
func TestAKilledAccrualGoesOn(t *testing.T) {
	t.Parallel()
	const late = 2300
	r, ctx := newRig(t), context.Background()
	i := r.importer(clerk, pastSpec(true))
	for from := 0; from < late; from += sla.ImportRows {
		var rescues []sla.PastRescue
		for n := from; n < min(late, from+sla.ImportRows); n++ {
			rescues = append(rescues, pastRescue(fmt.Sprint("late ", n), 50))
		}
		_, err := i.Add(ctx, rescues)
		require.NoError(t, err)
	}
	imp, _, err := i.Finish(ctx)
	require.NoError(t, err)
	_, err = r.ApproveImport(ctx, finance, imp.ID, imp.Version, "the run of February")
	require.NoError(t, err)

	_, err = r.pool.Exec(ctx, `
		CREATE FUNCTION sla.die() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF (SELECT count(*) FROM sla.compensations) > 1000 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
			RETURN NULL;
		END $$;
		CREATE TRIGGER die AFTER INSERT ON sla.compensations FOR EACH STATEMENT EXECUTE FUNCTION sla.die()`)
	require.NoError(t, err)
	n, err := r.AccrueImports(ctx, 10_000)
	require.Error(t, err)
	require.Equal(t, 1000, n)
	require.Equal(t, 1000, r.rows(`SELECT count(*) FROM sla.compensations`))
	r.sound()

	_, err = r.pool.Exec(ctx, `DROP TRIGGER die ON sla.compensations`)
	require.NoError(t, err)
	next := sla.New(r.pool, sla.Config{Now: r.now})
	n, err = next.AccrueImports(ctx, 10_000)
	require.NoError(t, err)
	require.Equal(t, late-1000, n)
	require.Equal(t, late, r.rows(`SELECT count(DISTINCT guarantee_id) FROM sla.compensations`))
	require.Equal(t, late, r.rows(`SELECT count(*) FROM events.journal WHERE type = $1`, events.CompensationAccrued{}.EventType()))
	n, err = next.AccrueImports(ctx, 10_000)
	require.NoError(t, err)
	require.Zero(t, n)
	requireBalance(t, r, late*2000)
	r.sound()
}

func TestARejectedImportIsNeverPaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	imp := r.bringIn(pastSpec(true), pastRescue("late", 50))
	path := "/v1/imports/" + imp.ID.String()
	seen, h := d.ask(operator, "GET", path, "", 200)
	require.Equal(t, "prepared", seen["state"])
	require.EqualValues(t, 2000, seen["owed_fen"])
	d.ask(operator, "POST", path+"/reject", `{"reason":"no"}`, 403, "If-Match", h.Get("ETag"))
	d.ask(finance, "POST", path+"/reject", `{"reason":"no"}`, 428)
	got, _ := d.ask(finance, "POST", path+"/reject", `{"reason":"a simulation"}`, 200, "If-Match", h.Get("ETag"))
	require.Equal(t, "rejected", got["state"])
	d.ask(finance, "POST", path+"/approve", `{"reason":"yes"}`, 412, "If-Match", h.Get("ETag"))
	n, err := r.AccrueImports(context.Background(), 10)
	require.NoError(t, err)
	require.Zero(t, n)
	page, _ := d.ask(finance, "GET", "/v1/imports?state=rejected", "", 200)
	require.Len(t, page["items"], 1)
	past, _ := d.ask(finance, "GET", "/v1/guarantees?imported=true", "", 200)
	require.Equal(t, imp.ID.String(), past["items"].([]any)[0].(map[string]any)["import_id"])
	require.Equal(t, 3, r.rows(`SELECT count(*) FROM events.journal WHERE type = 'cn.rescue.import.changed.v1'`), "loading, prepared, rejected")
}
