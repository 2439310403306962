package sla_test

import (
	"context"
	"fmt"
	"sync"
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

// payableMonth imports rescues that come to 5 × ¥20.00, 3 × ¥50.00 and
// 2 × ¥100.00, the last above the four-eyes limit, and lets them accrue.
func (r *rig) payableMonth() sla.Import {
	r.t.Helper()
	r.under(func(doc map[string]any) {
		doc["approval"] = map[string]any{"four_eyes_over_fen": 5000}
		delete(doc, "effective_from")
	})
	spec := pastSpec(true)
	spec.PolicyVersion = 2
	var rescues []sla.PastRescue
	for minutes, n := range map[int]int{50: 5, 60: 3, 90: 2, 40: 4} {
		for i := range n {
			rescues = append(rescues, pastRescue(fmt.Sprint(minutes, "-", i), minutes))
		}
	}
	imp := r.bringIn(spec, rescues...)
	_, err := r.ApproveImport(context.Background(), finance, imp.ID, imp.Version, "the run of February")
	require.NoError(r.t, err)
	n, err := r.AccrueImports(context.Background(), 100)
	require.NoError(r.t, err)
	require.Equal(r.t, 10, n)
	return imp
}

func (r *rig) approveMany(by events.Actor, in sla.ApproveOrder) sla.Approvals {
	r.t.Helper()
	if in.Why == "" {
		in.Why = "looked through"
	}
	got, err := r.ApproveMany(context.Background(), by, in)
	require.NoError(r.t, err)
	sum := got.Approved
	for _, l := range got.Left {
		require.NotEmpty(r.t, l.ZH)
		require.NotEmpty(r.t, l.EN)
		sum.Lines, sum.Fen = sum.Lines+l.Lines, sum.Fen+l.Fen
	}
	require.Equal(r.t, got.Waiting, sum, "whatever waited is approved or left for a reason")
	return got
}

func leftOf(got sla.Approvals) map[sla.LeftReason]sla.Tally {
	left := map[sla.LeftReason]sla.Tally{}
	for _, l := range got.Left {
		left[l.Reason] = l.Tally
	}
	return left
}

func (r *rig) sound() {
	r.t.Helper()
	check, err := r.CheckLedger(context.Background())
	require.NoError(r.t, err)
	require.Empty(r.t, check.Findings)
}

func TestManyAreApprovedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	imp := r.payableMonth()
	live := r.live(r.late(time.Minute))
	all := sla.Tally{Lines: 11, Fen: 5*2000 + 3*5000 + 2*10000 + 2000}

	// Whoever brought them in, in whatever role, approves none of them.
	got := r.approveMany(events.Actor{Role: events.RoleFinance, Subject: clerk.Subject}, sla.ApproveOrder{CompensationFilter: sla.CompensationFilter{ImportID: imp.ID}})
	require.Zero(t, got.Approved)
	require.Equal(t, map[sla.LeftReason]sla.Tally{sla.LeftFourEyes: {Lines: 2, Fen: 20000}, sla.LeftPreparer: {Lines: 8, Fen: 25000}}, leftOf(got))

	// What somebody expects, and does not wait, approves nothing.
	for _, expect := range []sla.Tally{{Lines: 11, Fen: all.Fen - 1}, {Lines: 10, Fen: all.Fen}, {}} {
		_, err := r.ApproveMany(t.Context(), finance, sla.ApproveOrder{Why: "seen", Expect: &expect})
		require.ErrorIs(t, err, sla.ErrWaitingDiffers)
		require.ErrorContains(t, err, fmt.Sprintf("You expect %d compensations over %s, and 11 over ¥470.00 are waiting, so nothing was approved", expect.Lines, expect.Fen))
		require.ErrorContains(t, err, "Look at the list again")
	}
	require.Equal(t, 11, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'accrued' AND version = 1`))

	// The total that the list says is the one that is expected.
	seen, err := r.TotalCompensations(t.Context(), finance, sla.CompensationFilter{State: sla.Accrued})
	require.NoError(t, err)
	expect := sla.Tally(seen)
	require.Equal(t, all, expect)
	dry := r.approveMany(finance, sla.ApproveOrder{Expect: &expect, DryRun: true})
	require.Equal(t, 11, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'accrued' AND version = 1`), "a dry run writes nothing")
	got = r.approveMany(finance, sla.ApproveOrder{Expect: &expect, Why: " as agreed with Zhou "})
	require.Equal(t, dry, got)
	require.Equal(t, sla.Tally{Lines: 9, Fen: 27000}, got.Approved)
	require.Equal(t, map[sla.LeftReason]sla.Tally{sla.LeftFourEyes: {Lines: 2, Fen: 20000}}, leftOf(got))
	require.Equal(t, 9, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'approved' AND version = 2 AND approved_by = 'finance:lin' AND approved_why = 'as agreed with Zhou'`))
	require.EqualValues(t, 2000, r.spent("example-45", "")-25000, "the caps count them")

	// It is the same as one decision by itself: state, history, event.
	one := r.live(live.RequestID)
	require.Equal(t, sla.Approved, one.State)
	require.Equal(t, 1, r.count(live.RequestID, events.CompensationChanged{}))
	other := r.live(r.late(2 * time.Minute))
	alone, err := r.Approve(t.Context(), finance, other.ID, other.Version, "as agreed with Zhou")
	require.NoError(t, err)
	alone.ID, alone.GuaranteeID, alone.RequestID, alone.Reasons = one.ID, one.GuaranteeID, one.RequestID, one.Reasons
	require.Equal(t, one, alone)

	got = r.approveMany(finance2, sla.ApproveOrder{})
	require.Zero(t, got.Approved)
	require.Equal(t, sla.Tally{Lines: 2, Fen: 20000}, got.Waiting)
	r.sound()
}

func TestAFilterSelectsWhatIsApproved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	imp := r.payableMonth()
	r.at(opened.Add(time.Hour))
	r.late(time.Minute)
	for name, c := range map[string]struct {
		filter sla.CompensationFilter
		limit  int
		want   sla.Tally
	}{
		"an import":     {sla.CompensationFilter{ImportID: imp.ID}, 0, sla.Tally{Lines: 8, Fen: 25000}},
		"another":       {sla.CompensationFilter{ImportID: events.NewID[events.ImportID]()}, 0, sla.Tally{}},
		"an area":       {sla.CompensationFilter{Area: "cn-3301"}, 0, sla.Tally{Lines: 9, Fen: 27000}},
		"nowhere":       {sla.CompensationFilter{Area: "cn-0000"}, 0, sla.Tally{}},
		"a policy":      {sla.CompensationFilter{Policy: "example-45"}, 0, sla.Tally{Lines: 9, Fen: 27000}},
		"no policy":     {sla.CompensationFilter{Policy: "example-46"}, 0, sla.Tally{}},
		"accrued later": {sla.CompensationFilter{From: opened.Add(time.Minute)}, 0, sla.Tally{Lines: 1, Fen: 2000}},
		"accrued first": {sla.CompensationFilter{To: opened.Add(time.Minute)}, 0, sla.Tally{Lines: 8, Fen: 25000}},
		"small ones":    {sla.CompensationFilter{UpTo: 2000}, 0, sla.Tally{Lines: 6, Fen: 12000}},
		"the oldest":    {sla.CompensationFilter{ImportID: imp.ID, UpTo: 2000}, 3, sla.Tally{Lines: 3, Fen: 6000}},
	} {
		got := r.approveMany(finance, sla.ApproveOrder{CompensationFilter: c.filter, Limit: c.limit, DryRun: true})
		require.Equal(t, c.want, got.Approved, name)
		seen, err := r.TotalCompensations(t.Context(), finance, sla.CompensationFilter{
			State: sla.Accrued, Area: c.filter.Area, Policy: c.filter.Policy, From: c.filter.From, To: c.filter.To, ImportID: c.filter.ImportID, UpTo: c.filter.UpTo,
		})
		require.NoError(t, err)
		require.Equal(t, sla.Tally(seen), got.Waiting, name)
	}
	got := r.approveMany(finance, sla.ApproveOrder{Limit: 6})
	require.Equal(t, sla.Tally{Lines: 3, Fen: got.Waiting.Fen - got.Approved.Fen - 20000}, leftOf(got)[sla.LeftLimit])
	require.Equal(t, 1, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'accrued' AND import_id IS NULL`), "the oldest go first")
	require.Equal(t, int64(3), r.approveMany(finance, sla.ApproveOrder{}).Approved.Lines, "calling again goes on")
}

func TestAnOrderThatCannotBeMeantApprovesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.late(time.Minute)
	for name, c := range map[string]struct {
		by     events.Actor
		in     sla.ApproveOrder
		fields []string
	}{
		"an operator":      {operator, sla.ApproveOrder{Why: "x"}, nil},
		"an administrator": {admin, sla.ApproveOrder{Why: "x"}, nil},
		"no reason":        {finance, sla.ApproveOrder{}, []string{"reason"}},
		"all at once": {finance, sla.ApproveOrder{Why: " ", Limit: -1, Expect: &sla.Tally{Lines: -1},
			CompensationFilter: sla.CompensationFilter{State: sla.Approved, From: due, To: opened, UpTo: -1}}, []string{"reason", "state", "to", "up_to_fen", "limit", "expect"}},
		"too many": {finance, sla.ApproveOrder{Why: "x", Limit: sla.MostApproved + 1}, []string{"limit"}},
	} {
		_, err := r.ApproveMany(t.Context(), c.by, c.in)
		var f *fault.Error
		require.ErrorAs(t, err, &f, name)
		var fields []string
		for _, field := range f.Fields {
			require.NotEmpty(t, field.Detail)
			fields = append(fields, field.Field)
		}
		require.Equal(t, c.fields, fields, name)
		if c.fields == nil {
			require.Equal(t, fault.Forbidden, f.Kind, name)
		}
	}
	require.Equal(t, 1, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'accrued'`))
}

// TestWhatAVerdictDoesNotBearOutIsLeft: one whose verdict a person must look
// at, one whose verdict owes another amount, and one somebody else is deciding
// at the moment.
func TestWhatAVerdictDoesNotBearOutIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	review, differs, held, good := r.late(time.Minute), r.late(time.Minute), r.late(time.Minute), r.late(time.Minute)
	for id, set := range map[events.RequestID]string{review: `review = 'evidence_disagrees'`, differs: `owed_fen = 1`} {
		_, err := r.pool.Exec(t.Context(), `UPDATE sla.guarantees SET `+set+` WHERE request_id = $1`, id)
		require.NoError(t, err)
	}
	require.NoError(t, pg.InTx(t.Context(), r.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SELECT FROM sla.compensations WHERE request_id = $1 FOR UPDATE`, held); err != nil {
			return err
		}
		got := r.approveMany(finance, sla.ApproveOrder{})
		require.Equal(t, sla.Tally{Lines: 1, Fen: 2000}, got.Approved)
		require.Equal(t, map[sla.LeftReason]sla.Tally{
			sla.LeftReview: {Lines: 1, Fen: 2000}, sla.LeftVerdict: {Lines: 1, Fen: 2000}, sla.LeftHeld: {Lines: 1, Fen: 2000},
		}, leftOf(got))
		return nil
	}))
	require.Equal(t, sla.Approved, r.live(good).State)
	require.Equal(t, sla.Accrued, r.live(held).State)
}

// TestManyHandsApproveEachOnce: several people approve, dispute and void the
// same queue at once, while verdicts change. Each compensation is decided
// once, and the books hold.
func TestManyHandsApproveEachOnce(t *testing.T) {
	t.Parallel()
	const n = 60
	r := newRig(t)
	r.shared()
	ids := make([]events.RequestID, n)
	for i := range ids {
		ids[i] = r.lateBy(15 * time.Minute)
	}
	var group errgroup.Group
	var mu sync.Mutex
	var approved sla.Tally
	for _, by := range []events.Actor{finance, finance2, {Role: events.RoleFinance, Subject: "wu"}} {
		group.Go(func() error {
			got, err := r.ApproveMany(context.Background(), by, sla.ApproveOrder{Why: "looked through"})
			mu.Lock()
			defer mu.Unlock()
			approved.Lines, approved.Fen = approved.Lines+got.Approved.Lines, approved.Fen+got.Approved.Fen
			return err
		})
	}
	group.Go(func() error { // news: the crew of some had gone again, so they are owed more
		for _, id := range ids[:10] {
			if err := r.tell(releasedEvent(id, crewA, due.Add(16*time.Minute))); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		for _, id := range ids[10:20] {
			c := r.live(id)
			_, err := r.Dispute(context.Background(), operator, c.ID, c.Version, "another car")
			if err != nil && fault.KindOf(err) != fault.Stale {
				return err
			}
		}
		return nil
	})
	require.NoError(t, group.Wait())
	require.EqualValues(t, approved.Lines, r.rows(`SELECT count(DISTINCT compensation_id) FROM (
		SELECT data->>'compensation_id' AS compensation_id FROM events.journal WHERE type = $1 AND data->>'state' = 'approved') a`, events.CompensationChanged{}.EventType()))
	require.EqualValues(t, approved.Fen, 5000*approved.Lines)
	require.Zero(t, r.rows(`SELECT count(*) FROM sla.compensations c WHERE state = 'approved'
		AND NOT EXISTS (SELECT FROM sla.chargebacks b WHERE b.compensation_id = c.id AND b.bearer = 'provider' AND b.fen = 2250)`), "each approval charges others")
	r.sound()
}

// TestSomebodyWhoWaitsIsAnswered: a call that takes long ends after a portion,
// and the next goes on.
func TestSomebodyWhoWaitsIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	manyCompensations(t, r, sla.ApproveChunk+200)
	got := r.approveMany(finance, sla.ApproveOrder{Within: 1})
	require.EqualValues(t, sla.ApproveChunk, got.Approved.Lines)
	require.EqualValues(t, 200, leftOf(got)[sla.LeftLimit].Lines)
	require.Equal(t, 200, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'accrued' AND accrued_at > (
		SELECT max(accrued_at) FROM sla.compensations WHERE state = 'approved')`), "the oldest were first")
	got = r.approveMany(finance, sla.ApproveOrder{Within: time.Hour})
	require.EqualValues(t, 200, got.Approved.Lines)
	require.Empty(t, got.Left)
}

// TestAnInterruptionTellsWhatWasApproved: what fails after a portion, because
// somebody holds a lock for too long, tells of that portion; what fails before
// any, or for good, is an error.
func TestAnInterruptionTellsWhatWasApproved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const portion, rest = sla.ApproveChunk, 20
	copiesOfOne(t, r, portion+rest, map[string]string{"vehicle": fmt.Sprintf(`CASE WHEN nth < %d THEN '' ELSE 'car-z' END`, portion)})
	other, err := r.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = other.Rollback(context.Background()) }()
	_, err = other.Exec(t.Context(), `INSERT INTO sla.spent SELECT DISTINCT policy, vehicle, month, 0 FROM sla.compensations WHERE vehicle = 'car-z'`)
	require.NoError(t, err)
	r.sessions(map[string]string{"lock_timeout": "100ms"})

	got := r.approveMany(finance, sla.ApproveOrder{Expect: &sla.Tally{Lines: portion + rest, Fen: 5000 * (portion + rest)}})
	require.Equal(t, sla.Tally{Lines: portion, Fen: 5000 * portion}, got.Approved)
	require.Equal(t, map[sla.LeftReason]sla.Tally{sla.LeftBroken: {Lines: rest, Fen: 5000 * rest}}, leftOf(got))
	require.Equal(t, portion, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'approved' AND vehicle = ''`))

	waits := sla.Tally{Lines: rest, Fen: 5000 * rest}
	_, err = r.ApproveMany(t.Context(), finance, sla.ApproveOrder{Why: "the rest", Expect: &waits})
	require.True(t, pg.Transient(err), "nothing was approved: %v", err)
	newDoor(t, r).ask(finance, "POST", "/v1/compensations/approve", `{"reason":"the rest"}`, 503)
	require.Equal(t, rest, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'accrued' AND vehicle = 'car-z'`))
	require.NoError(t, other.Rollback(t.Context()))
	got = r.approveMany(finance, sla.ApproveOrder{Expect: &waits})
	require.Equal(t, waits, got.Approved)
	require.Empty(t, got.Left)
	r.counted()
}

// TestWhatNeverPassesIsAnError, however much was approved before it.
func TestWhatNeverPassesIsAnError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	copiesOfOne(t, r, sla.ApproveChunk+1, map[string]string{"vehicle": fmt.Sprintf(`CASE WHEN nth < %d THEN '' ELSE 'car-z' END`, sla.ApproveChunk)})
	_, err := r.pool.Exec(t.Context(), `INSERT INTO sla.spent SELECT DISTINCT policy, vehicle, month, 9223372036854775807 FROM sla.compensations WHERE vehicle = 'car-z'`)
	require.NoError(t, err)
	_, err = r.ApproveMany(t.Context(), finance, sla.ApproveOrder{Why: "looked through"})
	require.ErrorContains(t, err, fmt.Sprintf("after %d compensations over %s were approved", sla.ApproveChunk, sla.Fen(5000*sla.ApproveChunk)))
	require.False(t, pg.Transient(err))
	require.Equal(t, 1, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'accrued'`))
}

func TestManyAreApprovedOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	imp := r.payableMonth()
	d := newDoor(t, r)
	list, _ := d.ask(finance, "GET", "/v1/compensations?state=accrued&total=true&limit=1&up_to_fen=5000&import_id="+imp.ID.String(), "", 200)
	require.Equal(t, map[string]any{"lines": 8.0, "fen": 25000.0}, list["total"])
	require.Equal(t, imp.ID.String(), list["items"].([]any)[0].(map[string]any)["import_id"])
	body := `{"import_id":"` + imp.ID.String() + `","up_to_fen":5000,"reason":"February","expect":{"lines":8,"fen":%d}}`
	d.ask(operator, "POST", "/v1/compensations/approve", fmt.Sprintf(body, 25000), 403)
	got, _ := d.ask(finance, "POST", "/v1/compensations/approve", fmt.Sprintf(body, 24999), 409)
	require.Equal(t, "waiting_differs", got["code"])
	require.Equal(t, map[string]any{"lines": 8.0, "fen": 25000.0}, got["waiting"])
	require.Equal(t, map[string]any{"lines": 8.0, "fen": 24999.0}, got["expected"])
	got, _ = d.ask(finance, "POST", "/v1/compensations/approve", fmt.Sprintf(body, 25000), 200)
	require.Equal(t, map[string]any{"lines": 8.0, "fen": 25000.0}, got["approved"])
	require.Empty(t, got["left"])
	got, _ = d.ask(finance, "POST", "/v1/compensations/approve", `{"reason":"the rest"}`, 200)
	require.Equal(t, map[string]any{"lines": 0.0, "fen": 0.0}, got["approved"])
	require.Equal(t, "four_eyes", got["left"].([]any)[0].(map[string]any)["reason"])
	d.ask(finance, "POST", "/v1/compensations/approve", `{"reason":""}`, 400)
}

// BenchmarkApproveMany approves a hundred thousand compensations of one
// programme, as fast as finance can ask for them: such as tell no car, and
// such as tell one of so many that few come twice in a portion.
func BenchmarkApproveMany(b *testing.B) {
	lines := asked(b, 100_000)
	for name, over := range map[string]map[string]string{"no-car": nil, "cars": {"vehicle": `'car-' || nth % 30000`}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := newRig(b)
				copiesOfOne(b, r, lines, over)
				(&measured{b: b}).approves(r, lines)
			}
		})
	}
}
