package sla_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

// mill is a service that several clients work at once.
type mill struct {
	*rig
	opening events.RequestOpened
}

// step is one command: which, and two numbers that choose what it is about.
type step struct {
	do   string
	a, b int
}

// TestMoneyHoldsUnderAnyInterleaving lets several people of finance, the
// loops and the news do whatever money knows, at once and in any order. A
// command may be refused; whatever was done, nothing may be lost, made up or
// paid twice, and each batch is what was sealed.
func TestMoneyHoldsUnderAnyInterleaving(t *testing.T) {
	t.Parallel()
	m := &mill{rig: newRig(t)}
	m.under(func(doc map[string]any) {
		doc["approval"] = map[string]any{"auto_up_to_fen": 2000, "four_eyes_over_fen": 5000}
		doc["caps"] = map[string]any{"budget_fen": 200_000}
	})
	m.opening = m.open(events.NewID[events.RequestID](), "urban")
	m.bank.fail = func(n int) error { // it has the order, and two of three answers are lost
		if n%3 != 0 {
			return errAnswerLost
		}
		return nil
	}
	commands := []string{
		"late", "late", "late", "news", "approve", "approve", "approve", "approve many", "dispute", "uphold", "overturn", "void",
		"open", "fill", "fill", "add", "remove", "seal", "seal", "agree", "agree", "reject", "discard", "submit", "submit",
		"pay out", "pay out", "record", "record", "record wrong", "settle", "resend", "release",
		"reconcile", "sign", "close day", "chain", "later",
	}
	steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{rapid.SampledFrom(commands).Draw(t, "command"), rapid.IntRange(0, 1000).Draw(t, "a"), rapid.IntRange(0, 1000).Draw(t, "b")}
	}), 4, 12)
	rapid.Check(t, func(t *rapid.T) {
		var group errgroup.Group
		for n := range 4 {
			mine := steps.Draw(t, fmt.Sprint("client ", n))
			group.Go(func() error {
				by := events.Actor{Role: events.RoleFinance, Subject: fmt.Sprint("f", n)}
				for _, s := range mine {
					if err := m.do(by, s); !refused(err) {
						return fmt.Errorf("%s by %s: %w", s.do, by, err)
					}
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		m.holds(t)
	})
}

// refused reports whether an error is an answer rather than a failure.
func refused(err error) bool {
	if err == nil {
		return true
	}
	switch fault.KindOf(err) {
	case fault.Conflict, fault.Stale, fault.Forbidden, fault.NotFound, fault.Invalid:
		return true
	}
	return false
}

var errAnswerLost = errors.New("answer lost")

// do carries one command out.
func (m *mill) do(by events.Actor, s step) error {
	ctx := context.Background()
	switch s.do {
	case "late":
		ev := m.opening
		ev.RequestID = events.NewID[events.RequestID]()
		minutes := []int{1, 11, 35}[s.a%3]
		return errors.Join(m.tell(ev), m.tell(arrivedEvent(ev.RequestID, crewA, due.Add(time.Duration(minutes)*time.Minute))))
	case "news":
		c, err := m.pick("", s.a)
		if err != nil {
			return err
		}
		return m.tell(arrivedEvent(c.RequestID, crewA, due.Add(time.Duration(s.b%40-3)*time.Minute)))
	case "approve", "dispute", "uphold", "overturn", "void":
		return m.decide(ctx, by, s)
	case "approve many":
		_, err := m.ApproveMany(ctx, by, sla.ApproveOrder{Why: "because", Limit: 1 + s.a%5})
		return err
	case "pay out":
		if _, err := m.PayOut(ctx); err != nil && !errors.Is(err, errAnswerLost) {
			return err
		}
		return nil
	case "release":
		_, err := m.ReleaseDiscarded(ctx)
		return err
	case "chain":
		_, err := m.SealLedger(ctx, 10_000)
		return err
	case "later":
		m.clock.Add((time.Duration(s.a%600) * time.Minute).Microseconds())
		return nil
	case "reconcile", "sign", "close day":
		return m.ofDay(ctx, by, s)
	}
	return m.ofBatch(ctx, by, s)
}

// pick takes a compensation in some state.
func (m *mill) pick(state sla.CompensationState, n int) (sla.Compensation, error) {
	list, err := m.Compensations(context.Background(), finance, sla.CompensationFilter{State: state}, sla.CompensationPlace{}, 500)
	if err == nil && len(list) == 0 {
		err = sla.ErrNoCompensation
	}
	if err != nil {
		return sla.Compensation{}, err
	}
	return list[len(list)-1-n%min(len(list), 40)], nil
}

func (m *mill) decide(ctx context.Context, by events.Actor, s step) error {
	from := map[string]sla.CompensationState{
		"approve": sla.Accrued, "dispute": sla.Approved, "uphold": sla.Disputed, "overturn": sla.Disputed, "void": sla.Accrued,
	}[s.do]
	if s.b%10 == 0 {
		from = "" // whatever state it is in
	}
	c, err := m.pick(from, s.a)
	if err != nil {
		return err
	}
	decide := map[string]func(context.Context, events.Actor, events.CompensationID, int64, string) (sla.Compensation, error){
		"approve": m.Approve, "dispute": m.Dispute, "uphold": m.Uphold, "overturn": m.Overturn, "void": m.Void,
	}[s.do]
	_, err = decide(ctx, by, c.ID, c.Version, "because")
	return err
}

// pickBatch takes a batch in some state.
func (m *mill) pickBatch(state sla.BatchState, n int) (sla.Batch, error) {
	list, err := m.Batches(context.Background(), finance, state, sla.BatchPlace{}, 500)
	if err == nil && len(list) == 0 {
		err = sla.ErrNoBatch
	}
	if err != nil {
		return sla.Batch{}, err
	}
	return list[n%len(list)], nil
}

func (m *mill) ofBatch(ctx context.Context, by events.Actor, s step) error {
	if s.do == "open" {
		_, _, err := m.OpenBatch(ctx, by, "some", fmt.Sprint(s.a))
		return err
	}
	state := map[string]sla.BatchState{
		"fill": sla.BatchDraft, "add": sla.BatchDraft, "remove": sla.BatchDraft, "seal": sla.BatchDraft, "discard": sla.BatchDraft,
		"agree": sla.BatchSealed, "reject": sla.BatchSealed, "submit": sla.BatchApproved,
		"record": sla.BatchSubmitted, "record wrong": sla.BatchSubmitted, "settle": sla.BatchSubmitted, "resend": sla.BatchSubmitted,
	}[s.do]
	if s.b%10 == 0 {
		state = ""
	}
	b, err := m.pickBatch(state, s.a)
	if err != nil {
		return err
	}
	switch s.do {
	case "fill":
		_, _, err = m.Fill(ctx, by, b.ID, sla.FillFilter{FirstAttempt: s.b%4 == 0}, 1+s.b%6)
	case "add":
		c, perr := m.pick(sla.Approved, s.b)
		if perr != nil {
			return perr
		}
		_, err = m.AddLine(ctx, by, b.ID, c.ID)
	case "remove":
		lines, lerr := m.BatchLines(ctx, finance, b.ID, "", events.CompensationID{}, 50)
		if lerr != nil || len(lines) == 0 {
			return lerr
		}
		_, err = m.RemoveLine(ctx, by, b.ID, lines[s.b%len(lines)].CompensationID)
	case "seal":
		_, err = m.Seal(ctx, by, b.ID, b.Version)
	case "discard":
		_, err = m.DiscardBatch(ctx, by, b.ID, b.Version, "not now")
	case "agree":
		_, err = m.ApproveBatch(ctx, by, b.ID, b.Version, "checked")
	case "reject":
		_, err = m.RejectBatch(ctx, by, b.ID, b.Version, "wrong")
	case "submit":
		_, err = m.Submit(ctx, by, b.ID, b.Version, "")
	case "resend":
		_, err = m.Resend(ctx, by, b.ID, b.Version, "mended")
	case "settle":
		_, err = m.SettleBatch(ctx, by, b.ID, b.Version)
	case "record", "record wrong":
		return m.record(ctx, by, b, s)
	}
	return err
}

// record sends results of some lines, known ones among them.
func (m *mill) record(ctx context.Context, by events.Actor, b sla.Batch, s step) error {
	lines, err := m.BatchLines(ctx, finance, b.ID, "", events.CompensationID{}, 100)
	if err != nil {
		return err
	}
	var in sla.Results
	for i, l := range lines {
		if s.a>>(i%10)&1 == 0 {
			continue
		}
		res := sla.ResultLine{Reference: l.Reference, Outcome: sla.OutcomePaid, Fen: l.Fen}
		switch {
		case l.State == sla.LineBounced, l.State == sla.LineOpen && s.b>>(i%10)&3 == 3:
			res.Outcome, res.Why = sla.OutcomeBounced, "no such account"
		default:
			in.Paid.Lines, in.Paid.Fen = in.Paid.Lines+1, in.Paid.Fen+l.Fen
		}
		in.Lines = append(in.Lines, res)
		in.Total.Lines, in.Total.Fen = in.Total.Lines+1, in.Total.Fen+l.Fen
	}
	if s.do == "record wrong" {
		in.Total.Fen++
	}
	_, _, err = m.Record(ctx, by, b.ID, in)
	return err
}

// ofDay takes in a statement of a day, signs for it or closes it.
func (m *mill) ofDay(ctx context.Context, by events.Actor, s step) error {
	today := m.now().Add(8 * time.Hour).Truncate(24 * time.Hour)
	day := today.AddDate(0, 0, -s.a%3)
	if s.do == "reconcile" {
		lines, err := m.Compared(ctx, finance, day, events.ReconciliationID{}, sla.ListOursOnly, "", 100)
		if err != nil {
			return err
		}
		in := sla.Told{Source: "bank", Day: day}
		for _, l := range lines {
			fen := l.OursFen
			if s.b%7 == 0 {
				fen++
			}
			in.Lines = append(in.Lines, sla.ToldLine{Reference: l.Reference, Fen: fen})
		}
		_, _, err = m.Reconcile(ctx, by, totalled(in))
		return err
	}
	d, err := m.DayAt(ctx, finance, day)
	if err != nil {
		return err
	}
	if s.do == "sign" {
		_, err = m.SignDay(ctx, by, day, d.Version, "as it is")
		return err
	}
	_, err = m.CloseDay(ctx, by, day, d.Version, "done")
	return err
}

// holds wants every invariant of money to hold.
func (m *mill) holds(t require.TestingT) {
	ctx := context.Background()
	_, err := m.SealLedger(ctx, 1_000_000)
	require.NoError(t, err)
	check, err := m.CheckLedger(ctx)
	require.NoError(t, err)
	require.Empty(t, check.Findings)
	number := func(sql string, args ...any) (n sla.Fen) {
		require.NoError(t, m.pool.QueryRow(ctx, sql, args...).Scan(&n))
		return n
	}
	onWay := number(`SELECT coalesce(sum(l.fen), 0)::bigint FROM sla.batch_lines l JOIN sla.payouts p USING (batch_id)
		WHERE l.state = 'open' AND (p.booked_at IS NOT NULL OR l.compensation_id <= p.booked_to)`)
	unpaid := number(`SELECT coalesce(sum(fen), 0)::bigint FROM sla.compensations WHERE state NOT IN ('void', 'paid')`)
	paid := number(`SELECT coalesce(sum(fen), 0)::bigint FROM sla.batch_lines WHERE state = 'paid'`)
	require.Equal(t, unpaid-onWay, -check.Balances[sla.OwnerPayable], "what is owed and not on its way")
	require.Equal(t, onWay, -check.Balances[sla.PayoutClearing])
	require.Equal(t, paid, -check.Balances[sla.Cash])
	require.Zero(t, number(`SELECT count(*) FROM (SELECT FROM sla.batch_lines WHERE state = 'paid' GROUP BY compensation_id HAVING count(*) > 1) twice`))
	require.Zero(t, number(`SELECT count(*) FROM (SELECT FROM sla.ledger_transactions WHERE kind = 'paid' GROUP BY compensation_id HAVING count(*) > 1) twice`))
	m.bank.mu.Lock()
	for reference, n := range m.bank.paid {
		require.Equal(t, 1, n, reference)
	}
	m.bank.mu.Unlock()
	days, err := m.Days(ctx, finance, time.Time{}, 100)
	require.NoError(t, err)
	for _, d := range days {
		if d.State != sla.DayClosed || d.ClosedBy == "" {
			continue
		}
		ours := number(`SELECT coalesce(sum(fen), 0)::bigint FROM sla.batch_lines WHERE state = 'paid' AND paid_on = $1`, d.Day)
		require.Equal(t, d.Figures.Ours(), ours, "closed with what it holds")
	}
}
