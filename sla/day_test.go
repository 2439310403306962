package sla_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/sla"
)

var (
	march2 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) // the business day of opened
	march3 = march2.AddDate(0, 0, 1)
)

// statement is what the bank tells of the day: the lines of a batch.
func (r *rig) statement(day time.Time, lines ...sla.BatchLine) sla.Told {
	in := sla.Told{Source: "bank", Name: dayName(day), Day: day}
	for _, l := range lines {
		in.Lines = append(in.Lines, sla.ToldLine{Reference: l.Reference, Fen: l.Fen})
	}
	return totalled(in)
}

func dayName(day time.Time) string { return day.Format(time.DateOnly) + ".csv" }

func totalled(in sla.Told) sla.Told {
	in.Total = sla.Tally{Lines: int64(len(in.Lines))}
	for _, l := range in.Lines {
		in.Total.Fen += l.Fen
	}
	return in
}

func (r *rig) day(day time.Time) sla.Day {
	r.t.Helper()
	d, err := r.DayAt(context.Background(), finance, day)
	require.NoError(r.t, err)
	return d
}

// TestTheFourLists holds a statement against the books.
func TestTheFourLists(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.approved(6)
	b := r.submitted()
	r.approved(1)
	open := r.submitted()
	r.results(b, func(i int) bool { return i == 5 })
	lines := r.lines(b.ID)
	differing := lines[3]
	differing.Fen += 100
	in := r.statement(march2, lines[0], lines[1], lines[2], differing, lines[5], r.lines(open.ID)[0])
	in.Lines = append(in.Lines, sla.ToldLine{Reference: "somebody else's", Fen: 700})
	in = totalled(in)
	rec, hit, err := r.Reconcile(ctx, finance, in)
	require.NoError(t, err)
	require.False(t, hit)
	again, hit, err := r.Reconcile(ctx, finance2, in)
	require.NoError(t, err)
	require.True(t, hit, "the same file again")
	require.Equal(t, rec, again)

	d := r.day(march2)
	f := d.Figures
	require.Equal(t, sla.DayOpen, d.State)
	require.Equal(t, sla.Tally{Lines: 3, Fen: lines[0].Fen + lines[1].Fen + lines[2].Fen}, f.Matched)
	require.Equal(t, sla.Tally{Lines: 1, Fen: lines[4].Fen}, f.OursOnly)
	require.Equal(t, sla.Tally{Lines: 3, Fen: lines[5].Fen + 2000 + 700}, f.TheirsOnly)
	require.Equal(t, sla.Tally{Lines: 1, Fen: lines[3].Fen}, f.Differ)
	require.Equal(t, lines[3].Fen+100, f.DifferFen)
	require.Equal(t, in.Total.Fen, f.Theirs())
	balances, err := r.Balances(ctx)
	require.NoError(t, err)
	require.Equal(t, -balances[sla.Cash], f.Ours())

	list := func(list sla.MatchList) (out []string) {
		got, err := r.Compared(ctx, finance, march2, events.ReconciliationID{}, list, "", 100)
		require.NoError(t, err)
		for _, l := range got {
			out = append(out, l.Reference+" "+l.Why)
		}
		return out
	}
	require.Len(t, list(""), 8)
	require.Equal(t, []string{lines[4].Reference + " "}, list(sla.ListOursOnly))
	require.Equal(t, []string{lines[3].Reference + " "}, list(sla.ListDiffer))
	require.ElementsMatch(t, []string{lines[5].Reference + " bounced", r.lines(open.ID)[0].Reference + " no_result", "somebody else's unknown"}, list(sla.ListTheirsOnly))

	// What another statement of the day tells is not missing from this one.
	second := r.statement(march2, lines[4])
	second.Source = "wallet"
	_, _, err = r.Reconcile(ctx, finance, second)
	require.NoError(t, err)
	_, ofFirst, err := r.Reconciliation(ctx, finance, rec.ID)
	require.NoError(t, err)
	require.Zero(t, ofFirst.OursOnly)
	require.EqualValues(t, 3, ofFirst.Matched.Lines)
	require.EqualValues(t, 4, r.day(march2).Figures.Matched.Lines)

	// On another day it is told of the day it was paid on.
	r.at(opened.AddDate(0, 0, 1))
	r.results(open, nil)
	late, err := r.Compared(ctx, finance, march3, events.ReconciliationID{}, sla.ListOursOnly, "", 10)
	require.NoError(t, err)
	require.Len(t, late, 1)
	require.Equal(t, "another_day", late[0].Why)
	require.Equal(t, march2, late[0].OtherDay)
	days, err := r.Days(ctx, finance, time.Time{}, 10)
	require.NoError(t, err)
	require.Len(t, days, 2)
	require.Equal(t, march3, days[0].Day)
	days, err = r.Days(ctx, finance, march3, 10)
	require.NoError(t, err)
	require.Len(t, days, 1)
}

func TestAWrongStatementIsRefusedWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.approved(4)
	b := r.submitted()
	r.results(b, nil)
	lines := r.lines(b.ID)
	_, _, err := r.Reconcile(ctx, finance, r.statement(march2, lines[0]))
	require.NoError(t, err)
	good := r.statement(march2, lines[1], lines[2], lines[3])
	change := func(edit func(in *sla.Told)) sla.Told {
		in := good
		in.Lines = append([]sla.ToldLine{}, good.Lines...)
		edit(&in)
		return in
	}
	for name, c := range map[string]struct {
		in   sla.Told
		want map[string]string
	}{
		"told before": {change(func(in *sla.Told) {
			in.Lines[1] = sla.ToldLine{Reference: lines[0].Reference, Fen: lines[0].Fen}
			*in = totalled(*in)
		}), map[string]string{"lines[2].reference": "told_before"}},
		"twice":            {change(func(in *sla.Told) { in.Lines[2] = in.Lines[0] }), map[string]string{"lines[3].reference": "duplicate"}},
		"another total":    {change(func(in *sla.Told) { in.Total.Fen-- }), map[string]string{"total": "total_differs"}},
		"another day":      {change(func(in *sla.Told) { in.Lines[0].PaidOn = march3 }), map[string]string{"lines[1].paid_on": "other_day"}},
		"a day to come":    {change(func(in *sla.Told) { in.Day = march3 }), map[string]string{"day": "range"}},
		"nothing":          {sla.Told{Source: "bank", Day: march2}, map[string]string{"lines": "count"}},
		"nobody's":         {change(func(in *sla.Told) { in.Source = " " }), map[string]string{"source": "length"}},
		"wrong everywhere": {change(func(in *sla.Told) { in.Lines[0].Fen, in.Lines[1].Reference = 0, "" }), map[string]string{"lines[1].amount": "range", "lines[2].reference": "length"}},
	} {
		_, _, err := r.Reconcile(ctx, finance, c.in)
		require.Equal(t, c.want, wrongFields(t, err), name)
		require.EqualValues(t, 1, r.day(march2).Figures.Matched.Lines, name)
	}
	_, _, err = r.Reconcile(ctx, operator, good)
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	_, _, err = r.Reconcile(ctx, finance, good)
	require.NoError(t, err)
}

// TestADayCloses closes days in their order, at no difference or with one
// that somebody else has signed for, and books nothing into them afterwards.
func TestADayCloses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.approved(4)
	b := r.submitted()
	half := r.told(b.ID, nil)
	half.Lines = half.Lines[:2]
	half.Total = sla.Tally{Lines: 2, Fen: half.Lines[0].Fen + half.Lines[1].Fen}
	half.Paid = half.Total
	_, _, err := r.Record(ctx, finance, b.ID, half)
	require.NoError(t, err)
	lines := r.lines(b.ID)

	_, err = r.CloseDay(ctx, finance, march2, 1, "done")
	require.ErrorIs(t, err, sla.ErrDayNotOver)
	r.at(opened.AddDate(0, 0, 1))
	_, err = r.CloseDay(ctx, finance, march2, 1, "done")
	require.ErrorIs(t, err, sla.ErrDayDiffers)
	_, err = r.CloseDay(ctx, operator, march2, 1, "done")
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	_, err = r.SignDay(ctx, finance, march2, 1, " ")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	d, err := r.SignDay(ctx, finance, march2, 1, "the bank's file has not come")
	require.NoError(t, err)
	require.Equal(t, sla.DaySigned, d.State)
	_, err = r.CloseDay(ctx, finance, march2, d.Version, "my own")
	require.ErrorIs(t, err, sla.ErrSecondSigner)
	_, err = r.CloseDay(ctx, events.Actor{Role: events.RoleFinance, Subject: "zhou"}, march2, 1, "seen before it was signed")
	require.ErrorIs(t, err, sla.ErrStale)

	// The file comes after all: what was signed for is not what differs now.
	_, _, err = r.Reconcile(ctx, finance, r.statement(march2, lines[0]))
	require.NoError(t, err)
	_, err = r.CloseDay(ctx, finance2, march2, d.Version, "as signed")
	require.ErrorIs(t, err, sla.ErrDayDiffers)
	d, err = r.SignDay(ctx, finance, march2, d.Version, "one payment is told tomorrow")
	require.NoError(t, err)
	_, err = r.pool.Exec(ctx, `UPDATE sla.days SET state = 'closed', closed_by = 'operator:lin', closed_why = 'x', closed_at = now()`)
	require.True(t, pg.Violates(err, "two_for_a_difference"), "%v", err)
	d, err = r.CloseDay(ctx, finance2, march2, d.Version, "as signed")
	require.NoError(t, err)
	require.Equal(t, sla.DayClosed, d.State)
	require.EqualValues(t, 1, d.Figures.OursOnly.Lines)
	_, err = r.SignDay(ctx, finance, march2, d.Version, "once more")
	require.ErrorIs(t, err, sla.ErrDayClosed)
	_, _, err = r.Reconcile(ctx, finance, r.statement(march2, lines[1]))
	require.ErrorIs(t, err, sla.ErrDayClosed)
	_, err = r.pool.Exec(ctx, `UPDATE sla.days SET state = 'open', closed_by = '', closed_at = NULL`)
	require.True(t, pg.Violates(err, "day_closed"), "%v", err)

	// Payments of the closed day that are told now belong to the next.
	rest := r.told(b.ID, nil)
	for i := range rest.Lines {
		rest.Lines[i].PaidOn = march2
	}
	_, _, err = r.Record(ctx, finance, b.ID, rest)
	require.NoError(t, err)
	for _, l := range r.lines(b.ID)[2:] {
		require.Equal(t, march3, l.PaidOn)
	}
	ts, err := r.Transactions(ctx, finance, sla.TransactionFilter{Kind: "paid"}, sla.TransactionPlace{}, 10)
	require.NoError(t, err)
	var on []string
	for _, tx := range ts {
		on = append(on, tx.BookedOn)
	}
	require.Equal(t, []string{"2026-03-02", "2026-03-02", "2026-03-03", "2026-03-03"}, on)
	require.Equal(t, d.Figures, r.day(march2).Figures, "it stands as it was closed")

	// Nor does the database book into it for anybody else.
	c := r.lines(b.ID)[0].CompensationID
	require.NoError(t, pg.InTx(ctx, r.pool, func(tx pgx.Tx) error {
		id := uuid.New()
		_, err := tx.Exec(ctx, `INSERT INTO sla.ledger_transactions (id, key, kind, compensation_id, lines, total_fen, actor, posted_at, booked_on)
			VALUES ($1, 'test', 'test', $2, 2, 5, 'system:test', $3, '2026-03-01')`, id, c, opened)
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO sla.ledger_entries (transaction_id, line, account, fen) VALUES ($1, 1, 'cash', 5), ($1, 2, 'compensation_expense', -5)`, id)
		}
		return err
	}))
	var booked string
	require.NoError(t, r.pool.QueryRow(ctx, `SELECT booked_on::text FROM sla.ledger_transactions WHERE key = 'test'`).Scan(&booked))
	require.Equal(t, "2026-03-03", booked)

	// The next days close in their order, at no difference, by one person.
	r.at(opened.AddDate(0, 0, 3))
	_, err = r.CloseDay(ctx, finance, march3.AddDate(0, 0, 1), 1, "nothing happened")
	require.ErrorIs(t, err, sla.ErrEarlierOpen)
	_, _, err = r.Reconcile(ctx, finance, r.statement(march3, r.lines(b.ID)[2:]...))
	require.NoError(t, err)
	_, err = r.SignDay(ctx, finance, march3, 1, "for nothing")
	require.ErrorIs(t, err, sla.ErrDayAgrees)
	d, err = r.CloseDay(ctx, finance, march3, 1, "all agrees")
	require.NoError(t, err)
	require.False(t, d.Figures.Differs())
	_, err = r.CloseDay(ctx, finance, march2.AddDate(0, 0, -5), 1, "long ago")
	require.ErrorIs(t, err, sla.ErrDayClosed, "it is closed with those after it")
}

// TestClosingAndRecordingAtOnce records payments of a day while it is closed:
// each is in the figures it was closed with, or on the next day.
func TestClosingAndRecordingAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	for round := range 6 {
		day := march2.AddDate(0, 0, round)
		r.at(opened.AddDate(0, 0, round))
		r.approved(3)
		b := r.submitted()
		r.at(opened.AddDate(0, 0, round+1))
		in := r.told(b.ID, nil)
		for i := range in.Lines {
			in.Lines[i].PaidOn = day
		}
		told := r.statement(day, r.lines(b.ID)...)
		var group errgroup.Group
		group.Go(func() error {
			_, _, err := r.Record(ctx, finance, b.ID, in)
			return err
		})
		group.Go(func() error {
			_, _, err := r.Reconcile(ctx, finance, told)
			if errors.Is(err, sla.ErrDayClosed) {
				return nil
			}
			return err
		})
		group.Go(func() error {
			_, err := r.CloseDay(ctx, finance2, day, 1, "the end of it")
			if errors.Is(err, sla.ErrDayDiffers) || errors.Is(err, sla.ErrEarlierOpen) {
				return nil
			}
			return err
		})
		require.NoError(t, group.Wait())
		d := r.day(day)
		var ours sla.Fen
		require.NoError(t, r.pool.QueryRow(ctx, `SELECT coalesce(sum(fen), 0)::bigint FROM sla.batch_lines WHERE state = 'paid' AND paid_on = $1`, day).Scan(&ours))
		require.Equal(t, ours, d.Figures.Ours(), "%s is %s", d.Day, d.State)
	}
	r.seal()
	r.clean()
}

func TestDaysOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	r.approved(3)
	b := r.submitted()
	r.results(b, nil)
	r.at(opened.AddDate(0, 0, 1))
	type object = map[string]any
	csv := "reference,amount,paid_on\r\n"
	for _, l := range r.lines(b.ID)[:2] {
		csv += fmt.Sprintf("%s,%d.00,2026-03-02\r\n", l.Reference, l.Fen/100)
	}
	total := fmt.Sprintf("%d.00", (r.lines(b.ID)[0].Fen+r.lines(b.ID)[1].Fen)/100)
	query := "/v1/reconciliations?source=bank&name=a.csv&day=2026-03-02&lines=2&total=" + url.QueryEscape(total)
	post := func(by events.Actor, path, text string, status int) object {
		got, _ := d.ask(by, "POST", path, text, status, "Content-Type", "text/csv")
		return got
	}
	post(operator, query, csv, 403)
	require.Contains(t, fmt.Sprint(post(finance, strings.Replace(query, "2026-03-02", "2026-03-40", 1), csv, 400)), "day")
	require.Contains(t, fmt.Sprint(post(finance, query, strings.Replace(csv, "amount", "sum", 1), 400)), "missing_column")
	require.Contains(t, fmt.Sprint(post(finance, query, csv+"x,1,2026-03-02\r\n", 400)), "lines[3].amount")
	rec := post(finance, query, csv, 200)
	_, h := d.ask(finance, "POST", query, csv, 200, "Content-Type", "text/csv")
	require.Equal(t, "true", h.Get("Idempotency-Hit"))
	id := rec["id"].(string)
	got, _ := d.ask(admin, "GET", "/v1/reconciliations/"+id, "", 200)
	require.EqualValues(t, 2, got["figures"].(object)["matched"].(object)["lines"])
	got, _ = d.ask(admin, "GET", "/v1/reconciliations/"+id+"/lines?list=matched&limit=1", "", 200)
	require.Len(t, got["items"], 1)
	got, _ = d.ask(admin, "GET", "/v1/reconciliations/"+id+"/lines?list=matched&limit=1&cursor="+got["next_cursor"].(string), "", 200)
	require.Len(t, got["items"], 1)
	require.NotContains(t, got, "next_cursor")
	got, _ = d.ask(admin, "GET", "/v1/reconciliations?day=2026-03-02", "", 200)
	require.Len(t, got["items"], 1)

	got, h = d.ask(admin, "GET", "/v1/days/2026-03-02", "", 200)
	require.Equal(t, true, got["differs"])
	require.Equal(t, `"1"`, h.Get("ETag"))
	d.ask(finance, "POST", "/v1/days/2026-03-02/close", `{"reason":"done"}`, 428)
	got, _ = d.ask(finance, "POST", "/v1/days/2026-03-02/close", `{"reason":"done"}`, 409, "If-Match", `"1"`)
	require.Equal(t, "day_differs", got["code"])
	require.EqualValues(t, 1, got["figures"].(object)["ours_only"].(object)["lines"])
	_, h = d.ask(finance, "POST", "/v1/days/2026-03-02/sign", `{"reason":"one is late"}`, 200, "If-Match", `"1"`)
	got, _ = d.ask(finance, "POST", "/v1/days/2026-03-02/close", `{"reason":"done"}`, 403, "If-Match", h.Get("ETag"))
	require.Equal(t, "second_signer", got["code"])
	got, _ = d.ask(finance2, "POST", "/v1/days/2026-03-02/close", `{"reason":"as signed"}`, 200, "If-Match", h.Get("ETag"))
	require.Equal(t, "closed", got["state"])
	got, _ = d.ask(admin, "GET", "/v1/days?limit=1", "", 200)
	require.Equal(t, "2026-03-02", got["items"].([]any)[0].(object)["day"])
	got, _ = d.ask(admin, "GET", "/v1/days/2026-03-02/lines?list=ours_only", "", 200)
	require.Len(t, got["items"], 1)
	d.ask(admin, "GET", "/v1/days/today", "", 400)
	d.ask(operator, "GET", "/v1/days", "", 403)
}
