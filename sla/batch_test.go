package sla_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/sla"
)

// booked wants these balances: owed to owners, on its way, and paid.
func booked(t testing.TB, r *rig, owed, onWay, paid sla.Fen) {
	t.Helper()
	balances, err := r.Balances(context.Background())
	require.NoError(t, err)
	require.Equal(t, map[sla.Account]sla.Fen{
		sla.OwnerPayable: -owed, sla.PayoutClearing: -onWay, sla.Cash: -paid, sla.CompensationExpense: owed + onWay + paid,
	}, map[sla.Account]sla.Fen{
		sla.OwnerPayable: balances[sla.OwnerPayable], sla.PayoutClearing: balances[sla.PayoutClearing],
		sla.Cash: balances[sla.Cash], sla.CompensationExpense: balances[sla.CompensationExpense],
	})
	r.seal()
	r.clean()
}

// wrongFields are the fields an error names, with their codes.
func wrongFields(t testing.TB, err error) map[string]string {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Invalid, f.Kind, "%v", err)
	out := map[string]string{}
	for _, field := range f.Fields {
		require.NotEmpty(t, field.Detail)
		out[field.Field] = field.Code
	}
	return out
}

// TestAMonthIsPaid takes compensations from approved to paid: one batch, some
// payments bounce, another batch pays those.
func TestAMonthIsPaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	list := r.approved(6) // 20, 50 and 100 yuan, twice
	waiting := r.live(r.late(time.Minute))
	booked(t, r, 36000, 0, 0)

	b, hit, err := r.OpenBatch(ctx, finance, " March ", "key-1")
	require.NoError(t, err)
	require.False(t, hit)
	require.Equal(t, "March", b.Title)
	again, hit, err := r.OpenBatch(ctx, finance, "March", "key-1")
	require.NoError(t, err)
	require.True(t, hit)
	require.Equal(t, b, again)
	_, _, err = r.OpenBatch(ctx, finance, "April", "key-1")
	require.ErrorIs(t, err, sla.ErrKeyReused)
	_, err = r.Seal(ctx, finance, b.ID, b.Version)
	require.ErrorIs(t, err, sla.ErrEmptyBatch)

	b, err = r.AddLine(ctx, finance, b.ID, list[0].ID)
	require.NoError(t, err)
	_, err = r.AddLine(ctx, finance, b.ID, list[0].ID)
	require.ErrorIs(t, err, sla.ErrLineTaken)
	_, err = r.AddLine(ctx, finance, b.ID, waiting.ID)
	require.Equal(t, fault.Conflict, fault.KindOf(err), "not approved")
	b, err = r.RemoveLine(ctx, finance, b.ID, list[0].ID)
	require.NoError(t, err)
	require.Equal(t, sla.Approved, r.live(list[0].RequestID).State)
	_, err = r.RemoveLine(ctx, finance, b.ID, list[0].ID)
	require.ErrorIs(t, err, sla.ErrNoLine)

	b, added, err := r.Fill(ctx, finance, b.ID, sla.FillFilter{UpTo: 5000}, 3)
	require.NoError(t, err)
	require.Equal(t, 3, added)
	b, added, err = r.Fill(ctx, finance, b.ID, sla.FillFilter{Area: "cn-3301", Policy: "example-45", From: opened, To: opened.Add(time.Second)}, 0)
	require.NoError(t, err)
	require.Equal(t, 3, added)
	require.Equal(t, sla.Tally{Lines: 6, Fen: 34000}, b.Open())
	draft := b.Version
	b, err = r.Seal(ctx, finance, b.ID, draft)
	require.NoError(t, err)
	require.Len(t, b.Digest, 64)
	_, err = r.AddLine(ctx, finance, b.ID, list[0].ID)
	require.Error(t, err)

	for _, by := range []events.Actor{finance, {Role: events.RoleFinance, Subject: "lin"}} {
		_, err = r.ApproveBatch(ctx, by, b.ID, b.Version, "my own")
		require.ErrorIs(t, err, sla.ErrSecondPerson)
	}
	_, err = r.ApproveBatch(ctx, finance2, b.ID, draft, "seen as a draft")
	require.ErrorIs(t, err, sla.ErrStale)
	_, err = r.Submit(ctx, finance2, b.ID, b.Version, "")
	require.Equal(t, fault.Conflict, fault.KindOf(err), "not approved yet")
	b, err = r.ApproveBatch(ctx, finance2, b.ID, b.Version, "checked against the list")
	require.NoError(t, err)
	booked(t, r, 36000, 0, 0)

	_, err = r.Submit(ctx, finance, b.ID, b.Version, "pigeon")
	require.ErrorIs(t, err, sla.ErrNoPayout)
	b, err = r.Submit(ctx, finance, b.ID, b.Version, "bank")
	require.NoError(t, err)
	_, _, err = r.Record(ctx, finance, b.ID, r.told(b.ID, nil))
	require.ErrorIs(t, err, sla.ErrNotSent)
	handed, err := r.PayOut(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, handed)
	p, err := r.PayoutOf(ctx, finance, b.ID)
	require.NoError(t, err)
	require.Equal(t, sla.PayoutSent, p.State)
	require.Equal(t, "taken", p.Receipt)
	booked(t, r, 2000, 34000, 0)

	_, err = r.SettleBatch(ctx, finance, b.ID, b.Version)
	require.ErrorIs(t, err, sla.ErrLinesOpen)
	first := r.told(b.ID, func(i int) bool { return i == 4 })
	b, hit, err = r.Record(ctx, finance, b.ID, first)
	require.NoError(t, err)
	require.False(t, hit)
	require.EqualValues(t, 5, b.Paid.Lines)
	require.EqualValues(t, 1, b.Bounced.Lines)
	booked(t, r, 2000+b.Bounced.Fen, 0, b.Paid.Fen)
	was := b
	b, hit, err = r.Record(ctx, finance, b.ID, first)
	require.NoError(t, err)
	require.True(t, hit, "the same file again")
	require.Equal(t, was, b)
	first.Lines, first.Name = append([]sla.ResultLine{}, first.Lines...), "in another order"
	first.Lines[0], first.Lines[5] = first.Lines[5], first.Lines[0]
	b, hit, err = r.Record(ctx, finance, b.ID, first)
	require.NoError(t, err)
	require.False(t, hit)
	require.Equal(t, was, b, "another file with lines that are known")
	b, err = r.SettleBatch(ctx, finance, b.ID, b.Version)
	require.NoError(t, err)
	require.Equal(t, sla.BatchSettled, b.State)

	// What bounced waits for the next batch, under another reference.
	bounced := r.lines(b.ID)[4]
	require.Equal(t, sla.LineBounced, bounced.State)
	c, err := r.Compensation(ctx, finance, bounced.CompensationID)
	require.NoError(t, err)
	require.Equal(t, sla.Approved, c.State)
	require.Equal(t, 1, c.Bounces)
	require.Equal(t, "the account is closed", c.BouncedWhy)
	_, added, err = r.Fill(ctx, finance, r.draft().ID, sla.FillFilter{FirstAttempt: true}, 0)
	require.NoError(t, err)
	require.Zero(t, added)
	next := r.submitted()
	require.EqualValues(t, 1, next.Lines)
	retried := r.lines(next.ID)[0]
	require.Equal(t, 2, retried.Attempt)
	require.NotEqual(t, bounced.Reference, retried.Reference)
	require.Equal(t, bounced.Reference[:31], retried.Reference[:31])
	r.results(next, nil)
	booked(t, r, 2000, 0, 34000)
	require.Equal(t, sla.Paid, r.live(c.RequestID).State)
	for reference, n := range r.bank.paid {
		require.Equal(t, 1, n, reference)
	}

	// The ledger alone tells the way of the one that bounced.
	r.seal()
	var keys []string
	ts, err := r.Transactions(ctx, finance, sla.TransactionFilter{CompensationID: c.ID}, sla.TransactionPlace{}, 100)
	require.NoError(t, err)
	for _, tx := range ts {
		keys = append(keys, strings.TrimPrefix(tx.Key, "compensation:"+c.ID.String()+":"))
		require.Equal(t, tx.Kind == "bounce", tx.ReversesID != nil)
	}
	require.Equal(t, []string{"accrual", "payout:1", "bounce:1", "payout:2", "paid:2"}, keys)
	require.Equal(t, []string{"approved", "batched", "approved", "batched", "paid"}, r.states(c.RequestID))
}

func (r *rig) draft() sla.Batch {
	r.t.Helper()
	b, _, err := r.OpenBatch(context.Background(), finance, "another", events.NewID[events.EventID]().String())
	require.NoError(r.t, err)
	return b
}

// states are those a request's compensation went through, as the journal tells.
func (r *rig) states(id events.RequestID) (states []string) {
	r.t.Helper()
	told, err := events.ReadStream(context.Background(), r.pool, id.String(), 1000)
	require.NoError(r.t, err)
	for _, env := range told {
		if ev, err := events.Decode[events.CompensationChanged](env); err == nil {
			states = append(states, ev.State)
		}
	}
	return states
}

// TestWrongResultsPostNothing names every wrong line of a set and takes none.
func TestWrongResultsPostNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.approved(3)
	other := r.submitted()
	r.approved(4)
	b := r.submitted()
	good := r.told(b.ID, func(i int) bool { return i == 3 })
	known := good
	known.Lines = good.Lines[:1]
	known.Total = sla.Tally{Lines: 1, Fen: good.Lines[0].Fen}
	known.Paid = known.Total
	_, _, err := r.Record(ctx, finance, b.ID, known)
	require.NoError(t, err)
	before, err := r.Balances(ctx)
	require.NoError(t, err)

	change := func(edit func(in *sla.Results)) sla.Results {
		in := good
		in.Lines = append([]sla.ResultLine{}, good.Lines...)
		edit(&in)
		return in
	}
	foreign := r.lines(other.ID)[0]
	for name, c := range map[string]struct {
		in   sla.Results
		want map[string]string
	}{
		"several wrong lines": {change(func(in *sla.Results) {
			in.Lines[0].Outcome, in.Lines[0].Why = sla.OutcomeBounced, "no such account"
			in.Lines[1].Reference = "0123456789abcdef0123456789abcdef"
			in.Lines[2].Reference, in.Lines[2].Fen = foreign.Reference, foreign.Fen
			in.Lines[3].Fen++
			in.Total.Fen += foreign.Fen - good.Lines[2].Fen + 1
			in.Paid = sla.Tally{Lines: 2, Fen: in.Lines[1].Fen + foreign.Fen}
		}), map[string]string{
			"lines[1].outcome": "result_contradicts", "lines[2].reference": "unknown_reference",
			"lines[3].reference": "other_batch", "lines[4].amount": "amount_differs",
		}},
		"a total the lines do not bear out": {change(func(in *sla.Results) { in.Total.Fen++ }), map[string]string{"total": "total_differs"}},
		"another count":                     {change(func(in *sla.Results) { in.Total.Lines++; in.Paid.Lines-- }), map[string]string{"total": "total_differs", "paid": "total_differs"}},
		"a line twice": {change(func(in *sla.Results) {
			in.Lines[1] = in.Lines[2]
		}), map[string]string{"lines[3].reference": "duplicate"}},
		"what cannot be meant": {change(func(in *sla.Results) {
			in.Lines[0].Outcome, in.Lines[1].Fen, in.Lines[2].Why, in.Lines[3].Why = "lost", 0, "thanks", " "
		}), map[string]string{
			"lines[1].outcome": "enum", "lines[2].amount": "range", "lines[3].reason": "not_wanted", "lines[4].reason": "length",
		}},
		"a day to come": {change(func(in *sla.Results) { in.Lines[2].PaidOn = r.now().AddDate(0, 0, 2).Truncate(24 * time.Hour) }), map[string]string{"lines[3].paid_on": "future"}},
		"nothing":       {sla.Results{}, map[string]string{"lines": "count"}},
	} {
		_, _, err := r.Record(ctx, finance, b.ID, c.in)
		require.Equal(t, c.want, wrongFields(t, err), name)
		after, err := r.Balances(ctx)
		require.NoError(t, err)
		require.Equal(t, before, after, name)
	}
	_, _, err = r.Record(ctx, operator, b.ID, good)
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	_, _, err = r.Record(ctx, finance, events.NewID[events.BatchID](), good)
	require.ErrorIs(t, err, sla.ErrNoBatch)
	r.clean()
	_, _, err = r.Record(ctx, finance, b.ID, good)
	require.NoError(t, err, "with one line that is known")
	r.clean()
}

// TestAGivenUpBatchFreesItsLines discards a draft and rejects a sealed batch.
func TestAGivenUpBatchFreesItsLines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	list := r.approved(3)
	b := r.sealed()
	reference := r.lines(b.ID)[0].Reference
	_, err := r.DiscardBatch(ctx, finance, b.ID, b.Version, "not now")
	require.Equal(t, fault.Conflict, fault.KindOf(err))
	_, err = r.RejectBatch(ctx, finance2, b.ID, b.Version, " ")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	b, err = r.RejectBatch(ctx, finance2, b.ID, b.Version, "the total is not the list's")
	require.NoError(t, err)
	require.Equal(t, sla.BatchDiscarded, b.State)
	for _, l := range r.lines(b.ID) {
		require.Equal(t, sla.LineReleased, l.State)
	}
	require.Equal(t, sla.Approved, r.live(list[0].RequestID).State)
	booked(t, r, 17000, 0, 0)

	b, _, err = r.Fill(ctx, finance, r.draft().ID, sla.FillFilter{}, 0)
	require.NoError(t, err)
	require.Equal(t, reference, r.lines(b.ID)[0].Reference, "it never left the house")
	b, err = r.DiscardBatch(ctx, finance, b.ID, b.Version, "the wrong month")
	require.NoError(t, err)
	require.Equal(t, "the wrong month", b.EndedWhy)
	r.results(r.submitted(), nil)
	booked(t, r, 0, 0, 17000)
}

// TestAnInterruptedDiscardIsFinished breaks off between the decision and the
// freeing of the lines.
func TestAnInterruptedDiscardIsFinished(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	list := r.approved(2)
	b := r.sealed()
	_, err := r.pool.Exec(t.Context(), `UPDATE sla.batches SET state = 'discarded', version = version + 1,
		ended_by = 'finance:lin', ended_why = 'x', ended_at = $2 WHERE id = $1`, b.ID, r.now())
	require.NoError(t, err)
	require.Equal(t, sla.Batched, r.live(list[0].RequestID).State)
	n, err := r.ReleaseDiscarded(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, sla.Approved, r.live(list[0].RequestID).State)
	n, err = r.ReleaseDiscarded(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	r.clean()
}

// TestABatchIsFrozenOnceSealed goes past the service: what was sealed is the
// database's to keep. Where somebody takes its guards away, the change is
// found before anything is posted or sent.
func TestABatchIsFrozenOnceSealed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.approved(3)
	b := r.sealed()
	more := r.approved(1)[0]
	for _, sql := range []string{
		`UPDATE sla.batches SET total_fen = total_fen + 1 WHERE id = $1`,
		`UPDATE sla.batches SET digest = repeat('0', 64) WHERE id = $1`,
		`UPDATE sla.batches SET created_by = 'finance:eve' WHERE id = $1`,
		`UPDATE sla.batch_lines SET fen = fen + 1 WHERE batch_id = $1`,
		`UPDATE sla.batch_lines SET request_id = gen_random_uuid() WHERE batch_id = $1`,
		`UPDATE sla.batch_lines SET state = 'released' WHERE batch_id = $1`,
		`DELETE FROM sla.batch_lines WHERE batch_id = $1`,
		`INSERT INTO sla.batch_lines (batch_id, compensation_id, request_id, attempt, reference, fen)
			SELECT $1, id, request_id, 1, repeat('a', 32), fen FROM sla.compensations WHERE id = '` + more.ID.UUID().String() + `'`,
	} {
		_, err := r.pool.Exec(ctx, sql, b.ID)
		require.True(t, pg.Violates(err, "batch_frozen"), "%s: %v", sql, err)
	}
	for _, sql := range []string{`DELETE FROM sla.batches`, `TRUNCATE sla.batch_lines CASCADE`} {
		_, err := r.pool.Exec(ctx, sql)
		require.True(t, pg.Violates(err, "never_changed"), "%s: %v", sql, err)
	}
	_, err := r.pool.Exec(ctx, `UPDATE sla.batches SET state = 'approved', approved_by = 'operator:lin', approved_why = 'x', approved_at = now() WHERE id = $1`, b.ID)
	require.True(t, pg.Violates(err, "second_person"), "the same person in another role: %v", err)
	r.clean()

	tamper := func(sql string) {
		_, err := r.pool.Exec(ctx, `ALTER TABLE sla.batch_lines DISABLE TRIGGER USER`)
		require.NoError(t, err)
		_, err = r.pool.Exec(ctx, sql, b.ID)
		require.NoError(t, err)
		_, err = r.pool.Exec(ctx, `ALTER TABLE sla.batch_lines ENABLE ALWAYS TRIGGER keep_lines`)
		require.NoError(t, err)
	}
	swap := `UPDATE sla.batch_lines SET request_id = gen_random_uuid() WHERE batch_id = $1 AND fen = 10000`
	b, err = r.ApproveBatch(ctx, finance2, b.ID, b.Version, "checked")
	require.NoError(t, err)
	tamper(swap)
	_, err = r.Submit(ctx, finance, b.ID, b.Version, "")
	require.ErrorIs(t, err, sla.ErrBatchChanged)
	check, err := r.CheckLedger(ctx)
	require.NoError(t, err)
	require.Contains(t, joined(check.Findings), "batch "+b.ID.String()+" was approved with 3 lines")
	nothingLeft(t, r)
}

// nothingLeft wants that nothing has left.
func nothingLeft(t *testing.T, r *rig) {
	t.Helper()
	balances, err := r.Balances(t.Context())
	require.NoError(t, err)
	require.Zero(t, balances[sla.PayoutClearing])
	require.Zero(t, balances[sla.Cash])
	require.Zero(t, r.bank.sent)
}
