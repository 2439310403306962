package sla_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

var (
	partnerA = events.Actor{Role: events.RolePartner, Subject: partner.String()}
	partnerB = events.Actor{Role: events.RolePartner, Subject: events.NewID[events.PartnerID]().String()}
)

// customer makes a rescue of the partner's customer, whose car was reached or
// that called off, as the event says.
func (r *rig) customer(ended func(events.RequestID) events.Event) events.RequestID {
	r.t.Helper()
	id := events.NewID[events.RequestID]()
	open := r.open(id, "urban")
	open.PartnerID = &partner
	r.must(open,
		events.RequestAssigned{RequestID: id, Area: "cn-3301", CrewID: crewA, ProviderID: provA, AssignedAt: minute(1), ExpectedAt: minute(20)},
		ended(id))
	return id
}

// stands is what the books say of the partner and at the bank, in fen.
func (r *rig) stands(share, cash sla.Fen, when string) {
	r.t.Helper()
	b := r.balances()
	require.Equal(r.t, []sla.Fen{share, cash}, []sla.Fen{b[sla.PartnerShare], b[sla.Cash]}, when)
	require.Zero(r.t, b[sla.ServiceCost], "no fees of a partner: %s", when)
	r.seal()
	r.clean()
}

// of issues a counterparty's statement of a month.
func (r *rig) of(c sla.Counterparty, month time.Month) sla.Statement {
	r.t.Helper()
	st, err := r.DraftStatement(r.t.Context(), finance, c, 2026, month)
	require.NoError(r.t, err)
	st, err = r.IssueStatement(r.t.Context(), finance, st.ID, st.Version)
	require.NoError(r.t, err)
	return st
}

// invoicedShare is the statement of a partner that owes 500 fen for March, ready
// to be settled.
func (r *rig) invoicedShare() sla.Statement {
	r.t.Helper()
	ctx := r.t.Context()
	r.charged(15 * time.Minute)
	r.at(afterMarch)
	st := r.of(sla.PartnerOf(partner), time.March)
	st, err := r.ConfirmStatement(ctx, partnerA, st.ID, st.Version)
	require.NoError(r.t, err)
	st, err = r.RecordFapiao(ctx, finance, st.ID, st.Version, sla.Fapiao{Number: "25322000000123456789", TaxPct: 6})
	require.NoError(r.t, err)
	return st
}

// TestAPartnersMonth is what happens between March and May with a partner that
// bears 10% of what its customers are paid for lateness, and what the books say
// of it at each stage.
func TestAPartnersMonth(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	ctx := t.Context()

	// In March three of its customers are reached late, by 5, 15 and 35 minutes,
	// and are owed ¥20.00, ¥50.00 and ¥100.00. One is reached in time, and one
	// gives up at 8:20, too late for the promise as well.
	five, quarter, half := r.live(r.lateBy(5*time.Minute)), r.live(r.lateBy(15*time.Minute)), r.live(r.lateBy(35*time.Minute))
	r.customer(func(id events.RequestID) events.Event { return arrivedEvent(id, crewA, minute(20)) })
	off := r.live(r.customer(func(id events.RequestID) events.Event { return cancelledEvent(id, due.Add(23*time.Minute)) }))
	require.Equal(t, []sla.Fen{2000, 5000, 10000}, []sla.Fen{five.Fen, quarter.Fen, half.Fen})
	r.stands(0, 0, "nothing is borne before it is approved")

	// Finance approves the three; a tenth of each is the partner's.
	for _, c := range []*sla.Compensation{&five, &quarter, &half} {
		var err error
		*c, err = r.Approve(ctx, finance, c.ID, c.Version, "seen")
		require.NoError(t, err)
	}
	r.stands(200+500+1000, 0, "approved")

	// 2 April: its statement lists five rescues, four of them late, and what of
	// the ¥170.00 it bears.
	r.at(afterMarch)
	st := r.of(sla.PartnerOf(partner), time.March)
	require.Equal(t, []any{int64(5), int64(4), sla.Fen(0), sla.Fen(1700), sla.Fen(17000), sla.Fen(-1700)},
		[]any{st.Services, st.Late, st.Fees, st.Charges, st.Compensation, st.Net()})
	require.NotZero(t, off.Fen, "what nobody approved is on no statement")
	lineOf := map[events.CompensationID]int{}
	for _, l := range r.items(st.ID, sla.ItemFilter{Kind: sla.ItemCharge}) {
		lineOf[l.CompensationID] = l.No
		require.Equal(t, []any{l.Compensation / 10, sla.Approved, "example-45", 2}, []any{l.Fen, l.CompensationState, l.Policy, l.PolicyVersion})
	}
	require.Len(t, lineOf, 3)
	r.stands(1700, 0, "stated")

	// It doubts two of the shares, and is right about one.
	var err error
	for _, c := range []sla.Compensation{quarter, half} {
		st, err = r.DisputeLine(ctx, partnerA, st.ID, lineOf[c.ID], st.Version, "the owner had moved on")
		require.NoError(t, err)
	}
	_, err = r.ConfirmStatement(ctx, partnerA, st.ID, st.Version)
	require.ErrorIs(t, err, sla.ErrInDispute)
	_, err = r.UpholdLine(ctx, partnerA, st.ID, lineOf[half.ID], st.Version, "mine")
	require.Equal(t, fault.Forbidden, fault.KindOf(err), "whoever disputes does not decide")
	r.stands(1700, 0, "disputed")
	before := r.balances()
	st, err = r.OverturnLine(ctx, finance2, st.ID, lineOf[quarter.ID], st.Version, "it had")
	require.NoError(t, err)
	require.Equal(t, []sla.Fen{1200, 12000}, []sla.Fen{st.Charges, st.Compensation})
	r.stands(1200, 0, "one share is taken back")
	require.Equal(t, before[sla.ProviderReceivable], r.balances()[sla.ProviderReceivable], "its provider bears its part all the same")
	require.Equal(t, before[sla.OwnerPayable], r.balances()[sla.OwnerPayable], "and the owner is paid")
	back := r.posted("chargeback:" + quarter.ID.String() + ":" + partner.String() + ":reversal")
	require.NotNil(t, back.ReversesID, "by a linked reversal")
	st, err = r.UpholdLine(ctx, finance2, st.ID, lineOf[half.ID], st.Version, "it had not")
	require.NoError(t, err)
	r.stands(1200, 0, "the other stands")

	// It agrees; we invoice it, and it pays.
	st, err = r.ConfirmStatement(ctx, partnerA, st.ID, st.Version)
	require.NoError(t, err)
	require.Equal(t, partnerA.String(), st.ConfirmedBy)
	_, err = r.SettleStatement(ctx, finance, st.ID, st.Version, sla.Settlement{How: sla.SettledPaid, Ref: "bank 1"})
	require.ErrorIs(t, err, sla.ErrNotInvoiced)
	_, err = r.RecordFapiao(ctx, partnerA, st.ID, st.Version, sla.Fapiao{Number: "25322000000123456789", TaxPct: 6})
	require.Equal(t, fault.Forbidden, fault.KindOf(err), "the invoice is ours")
	st, err = r.RecordFapiao(ctx, finance, st.ID, st.Version, sla.Fapiao{Number: "25322000000123456789", TaxPct: 6})
	require.NoError(t, err)
	r.stands(1200, 0, "invoiced: the share was booked when it was charged")
	_, err = r.SettleStatement(ctx, finance, st.ID, st.Version, sla.Settlement{How: sla.SettledSetOff, Ref: "fees"})
	require.ErrorContains(t, err, "how", "there are no fees to set it off against")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	st, err = r.SettleStatement(ctx, finance2, st.ID, st.Version, sla.Settlement{How: sla.SettledPaid, Ref: "bank 1"})
	require.NoError(t, err)
	require.Equal(t, sla.StatementSettled, st.State)
	r.stands(0, 1200, "received")
	require.Equal(t, []sla.Line{{Account: sla.PartnerShare, Currency: "CNY", Fen: -1200}, {Account: sla.Cash, Currency: "CNY", Fen: 1200}},
		r.posted("statement:"+st.ID.String()+":settlement").Lines)

	// Its ¥100.00 turn out not to be owed. What it paid of them is credited on
	// its next statement, and goes back.
	_, err = r.Void(ctx, finance2, half.ID, half.Version, "the owner withdrew")
	require.NoError(t, err)
	r.stands(-1000, 1200, "it is owed what it paid")
	r.at(time.Date(2026, 5, 2, 1, 0, 0, 0, time.UTC))
	next := r.of(sla.PartnerOf(partner), time.April)
	require.Equal(t, []any{int64(0), sla.Fen(-1000), sla.Fen(-10000)}, []any{next.Services, next.Charges, next.Compensation})
	next, err = r.ConfirmStatement(ctx, partnerA, next.ID, next.Version)
	require.NoError(t, err)
	_, err = r.RecordFapiao(ctx, finance, next.ID, next.Version, st.Fapiao)
	require.ErrorIs(t, err, sla.ErrFapiaoUsed)
	next, err = r.RecordFapiao(ctx, finance, next.ID, next.Version, sla.Fapiao{Number: "25322000000123456790", TaxPct: 6})
	require.NoError(t, err)
	_, err = r.SettleStatement(ctx, finance, next.ID, next.Version, sla.Settlement{How: sla.SettledPaid, Ref: "bank 2"})
	require.NoError(t, err)
	r.stands(0, 200, "what stands is a tenth of ¥20.00")

	told, err := events.ReadStream(ctx, r.pool, st.ID.String(), 100)
	require.NoError(t, err)
	require.Len(t, told, 13, "draft, issue, four decisions with their lines, confirm, fapiao, settle")
	first, err := events.Decode[events.StatementChanged](told[0])
	require.NoError(t, err)
	require.Equal(t, []any{"partner", partner.String(), int64(1700), int64(17000)}, []any{first.Bearer, first.BearerID, first.ChargesFen, first.CompensationFen})
	require.True(t, first.ProviderID.IsZero())
}

// posted is the transaction with a key.
func (r *rig) posted(key string) sla.Transaction {
	r.t.Helper()
	list, err := r.Transactions(r.t.Context(), finance, sla.TransactionFilter{}, sla.TransactionPlace{}, 1000)
	require.NoError(r.t, err)
	for _, x := range list {
		if x.Key == key {
			return x
		}
	}
	require.FailNow(r.t, "nothing is posted under "+key)
	return sla.Transaction{}
}

// TestProviderAndPartnerAreStatedApart settles one rescue with both that bear a
// part of it: neither's statement, invoice or payment is the other's.
func TestProviderAndPartnerAreStatedApart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	ctx := t.Context()
	c := r.charged(15 * time.Minute)
	called := r.live(r.customer(func(id events.RequestID) events.Event { return cancelledEvent(id, due.Add(23*time.Minute)) }))
	require.NotZero(t, called.Fen)
	r.at(afterMarch)
	theirs, its := r.of(sla.PartnerOf(partner), time.March), r.of(sla.ProviderOf(provA), time.March)
	require.Equal(t, []any{int64(2), sla.Fen(500), sla.Fen(5000)}, []any{theirs.Services, theirs.Charges, theirs.Compensation})
	require.Equal(t, []any{int64(1), sla.Fen(2250), sla.Fen(5000)}, []any{its.Services, its.Charges, its.Compensation}, "a call-off earns no fee")

	_, err := r.Void(ctx, finance, c.ID, c.Version, "a mistake")
	require.NoError(t, err)
	for _, st := range []sla.Statement{theirs, its} {
		now, err := r.Statement(ctx, finance, st.ID)
		require.NoError(t, err)
		require.Zero(t, now.Charges, "it leaves both, for both are open")
		require.Zero(t, now.Compensation)
		require.Equal(t, sla.ItemWithdrawn, r.items(st.ID, sla.ItemFilter{Kind: sla.ItemCharge})[0].State)
	}
	r.stands(0, 0, "void")
}

// There is no invoice over nothing: a partner's month in which its customers
// were all helped in time is settled without one, and so is a provider's that
// earned no fees, whatever it is charged.
func TestNothingToInvoice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	ctx := t.Context()
	r.customer(func(id events.RequestID) events.Event { return arrivedEvent(id, crewA, minute(20)) })
	c := r.live(r.customer(func(id events.RequestID) events.Event { return cancelledEvent(id, due.Add(23*time.Minute)) }))
	r.at(afterMarch)
	st := r.of(sla.PartnerOf(partner), time.March)
	require.Equal(t, []any{int64(2), sla.Fen(0)}, []any{st.Services, st.Charges})
	st, err := r.ConfirmStatement(ctx, partnerA, st.ID, st.Version)
	require.NoError(t, err)
	st, err = r.SettleStatement(ctx, finance, st.ID, st.Version, sla.Settlement{How: sla.SettledPaid, Ref: "nothing was due"})
	require.NoError(t, err)
	require.Equal(t, []any{sla.StatementSettled, ""}, []any{st.State, st.Fapiao.Number})
	r.stands(0, 0, "nothing is booked")

	// Its provider's March has a fee; its April only what it was charged then.
	its := r.of(sla.ProviderOf(provA), time.March)
	its, err = r.ConfirmStatement(ctx, providerA, its.ID, its.Version)
	require.NoError(t, err)
	require.Equal(t, sla.Fen(2400), its.ToInvoice())
	_, err = r.SettleStatement(ctx, finance, its.ID, its.Version, sla.Settlement{How: sla.SettledSetOff, Ref: "fees"})
	require.ErrorIs(t, err, sla.ErrNotInvoiced)
	_, err = r.pool.Exec(ctx, `UPDATE sla.statements SET state = 'settled', settled_how = 'paid', settled_ref = 'x' WHERE id = $1`, its.ID)
	require.ErrorContains(t, err, "invoiced_by_number", "whoever writes it")
	_, err = r.Approve(ctx, finance, c.ID, c.Version, "seen")
	require.NoError(t, err)
	charged := r.balances()[sla.ProviderReceivable]
	require.Positive(t, charged)
	r.at(time.Date(2026, 5, 2, 1, 0, 0, 0, time.UTC))
	next := r.of(sla.ProviderOf(provA), time.April)
	require.Equal(t, []sla.Fen{0, charged}, []sla.Fen{next.Fees, next.Charges})
	next, err = r.ConfirmStatement(ctx, providerA, next.ID, next.Version)
	require.NoError(t, err)
	_, err = r.SettleStatement(ctx, finance, next.ID, next.Version, sla.Settlement{How: sla.SettledPaid, Ref: "bank 3"})
	require.NoError(t, err)
	require.Equal(t, []sla.Fen{0, charged}, []sla.Fen{r.balances()[sla.ProviderReceivable], r.balances()[sla.Cash]})
	r.seal()
	r.clean()
}

// What nobody disputes is confirmed when the window closes, whoever it is of.
func TestAPartnersWindowCloses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	ctx := t.Context()
	r.charged(15 * time.Minute)
	r.at(afterMarch)
	st := r.of(sla.PartnerOf(partner), time.March)
	r.at(st.DisputesUntil.Add(time.Microsecond))
	_, err := r.DisputeLine(ctx, partnerA, st.ID, r.items(st.ID, sla.ItemFilter{Kind: sla.ItemCharge})[0].No, st.Version, "too late")
	require.ErrorIs(t, err, sla.ErrWindowClosed)
	n, err := r.LapseStatements(ctx, r.now(), 10)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	st, err = r.Statement(ctx, partnerA, st.ID)
	require.NoError(t, err)
	require.Equal(t, []any{sla.StatementConfirmed, "system:statements"}, []any{st.State, st.ConfirmedBy})
}

// Of any number of people who settle at once one does, and it is booked once.
func TestSettlersRace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	ctx := t.Context()
	st := r.invoicedShare()
	errs := make([]error, 8)
	var group errgroup.Group
	for i := range errs {
		group.Go(func() error {
			_, errs[i] = r.SettleStatement(ctx, []events.Actor{finance, finance2}[i%2], st.ID, st.Version, sla.Settlement{How: sla.SettledPaid, Ref: fmt.Sprint("bank ", i)})
			return nil
		})
	}
	require.NoError(t, group.Wait())
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
			continue
		}
		require.ErrorIs(t, err, sla.ErrStale)
	}
	require.Equal(t, 1, done)
	r.stands(0, 500, "received once")
}

// The check of the books says what of a partner's statement is not as it was
// settled.
func TestAPartnersStatementIsVerified(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		`UPDATE sla.ledger_entries SET account = 'provider_receivable' WHERE account = 'partner_share' AND fen = -500`: "of a partner is settled over 500 fen, and the books settled 500 with providers and 0 with partners",
		`UPDATE sla.ledger_entries SET account = 'provider_payable' WHERE account = 'cash'`:                            "is settled with 500 fen to be received in all, and the bank has 0",
		`UPDATE sla.statement_lines SET fen = 400 WHERE kind = 'charge'`:                                               "lists 400 fen of a partner, and it was charged 500",
		`UPDATE sla.statements SET compensation_fen = 4000`:                                                            "1 late, 0, 500 and 4000 fen, and its lines 1, 1, 0, 500 and 5000",
		`UPDATE sla.statements SET bearer = 'provider'`:                                                                "is of another than the statement",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.shared()
			ctx := t.Context()
			st := r.invoicedShare()
			_, err := r.SettleStatement(ctx, finance, st.ID, st.Version, sla.Settlement{How: sla.SettledPaid, Ref: "bank 1"})
			require.NoError(t, err)
			r.stands(0, 500, "received")
			r.tamper(sql)
			check, err := r.CheckLedger(ctx)
			require.NoError(t, err)
			require.Contains(t, strings.Join(check.Findings, "\n"), want)
		})
	}
	r := newRig(t)
	_, err := r.pool.Exec(t.Context(), `
		INSERT INTO sla.statements (id, bearer, bearer_id, month, from_at, to_at, state, version, drafted_by, drafted_at, changed_at, fees_fen)
		VALUES (gen_random_uuid(), 'partner', gen_random_uuid(), '2026-03-01', now(), now(), 'draft', 1, 'finance:lin', now(), now(), 1)`)
	require.ErrorContains(t, err, "only_providers_earn", "no fees of a partner, whoever writes them")
}
