package sla_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

var afterMarch = time.Date(2026, 4, 2, 1, 0, 0, 0, time.UTC)

// charged makes a late rescue of provider A whose compensation is approved.
func (r *rig) charged(by time.Duration) sla.Compensation {
	r.t.Helper()
	c := r.live(r.lateBy(by))
	c, err := r.Approve(r.t.Context(), finance, c.ID, c.Version, "seen")
	require.NoError(r.t, err)
	return c
}

// inTime makes a rescue of provider A that was in time.
func (r *rig) inTime() events.RequestID {
	r.t.Helper()
	id := events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"),
		events.RequestAssigned{RequestID: id, Area: "cn-3301", CrewID: crewA, ProviderID: provA, AssignedAt: minute(1), ExpectedAt: minute(20)},
		arrivedEvent(id, crewA, minute(20)))
	return id
}

func (r *rig) stated(month time.Month) sla.Statement {
	r.t.Helper()
	st, err := r.DraftStatement(r.t.Context(), finance, sla.ProviderOf(provA), 2026, month)
	require.NoError(r.t, err)
	return st
}

func (r *rig) issued(month time.Month) sla.Statement {
	r.t.Helper()
	st := r.stated(month)
	st, err := r.IssueStatement(r.t.Context(), finance, st.ID, st.Version)
	require.NoError(r.t, err)
	return st
}

func (r *rig) items(id events.StatementID, f sla.ItemFilter) []sla.StatementLine {
	r.t.Helper()
	list, err := r.StatementLines(r.t.Context(), finance, id, f, 0, 100)
	require.NoError(r.t, err)
	return list
}

func TestAMonthIsStatedDisputedAndSettled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	ctx := t.Context()
	a, b := r.charged(15*time.Minute), r.charged(35*time.Minute) // ¥22.50 and, capped, ¥24.00
	r.inTime()
	_, err := r.DraftStatement(ctx, finance, sla.ProviderOf(provA), 2026, time.March)
	require.ErrorIs(t, err, sla.ErrMonthOpen)

	r.at(afterMarch)
	st := r.stated(time.March)
	require.Equal(t, []any{int64(3), int64(2), sla.Fen(7200), sla.Fen(4650)}, []any{st.Services, st.Late, st.Fees, st.Charges})
	_, err = r.DraftStatement(ctx, finance2, sla.ProviderOf(provA), 2026, time.March)
	require.ErrorIs(t, err, sla.ErrStatementExists)
	_, err = r.Statement(ctx, providerA, st.ID)
	require.ErrorIs(t, err, sla.ErrNoStatement, "a draft is finance's")

	st, err = r.IssueStatement(ctx, finance, st.ID, st.Version)
	require.NoError(t, err)
	require.Equal(t, afterMarch.Add(7*24*time.Hour), st.DisputesUntil)
	_, err = r.Statement(ctx, providerB, st.ID)
	require.ErrorIs(t, err, sla.ErrNoStatement, "another's")
	charges := r.items(st.ID, sla.ItemFilter{Kind: sla.ItemCharge})
	require.Len(t, charges, 2)
	lineOf := map[events.CompensationID]int{}
	for _, l := range charges {
		lineOf[l.CompensationID] = l.No
	}
	service := r.items(st.ID, sla.ItemFilter{Kind: sla.ItemService})[0]
	_, err = r.DisputeLine(ctx, providerA, st.ID, service.No, st.Version, "we were in time")
	require.ErrorIs(t, err, sla.ErrNotCharged)
	_, err = r.DisputeLine(ctx, providerB, st.ID, lineOf[a.ID], st.Version, "not ours")
	require.ErrorIs(t, err, sla.ErrNoStatement)
	_, err = r.DisputeLine(ctx, providerA, st.ID, 99, st.Version, "?")
	require.ErrorIs(t, err, sla.ErrNoStatementLine)
	for _, c := range []sla.Compensation{a, b} {
		st, err = r.DisputeLine(ctx, providerA, st.ID, lineOf[c.ID], st.Version, "the road was closed")
		require.NoError(t, err)
	}
	require.EqualValues(t, 2, st.Disputed)
	_, err = r.ConfirmStatement(ctx, providerA, st.ID, st.Version)
	require.ErrorIs(t, err, sla.ErrInDispute)
	_, err = r.UpholdLine(ctx, providerA, st.ID, lineOf[a.ID], st.Version, "mine")
	require.Error(t, err, "whoever disputes does not decide")

	before := r.balances()
	st, err = r.OverturnLine(ctx, finance, st.ID, lineOf[a.ID], st.Version, "it was")
	require.NoError(t, err)
	require.Equal(t, sla.Fen(2400), st.Charges)
	require.Equal(t, before[sla.ProviderReceivable]-2250, r.balances()[sla.ProviderReceivable])
	require.Equal(t, before[sla.OwnerPayable], r.balances()[sla.OwnerPayable], "the owner is paid all the same")
	st, err = r.UpholdLine(ctx, finance, st.ID, lineOf[b.ID], st.Version, "it was not")
	require.NoError(t, err)
	_, err = r.OverturnLine(ctx, finance, st.ID, lineOf[b.ID], st.Version, "changed my mind")
	require.Equal(t, fault.Conflict, fault.KindOf(err))

	_, err = r.ConfirmStatement(ctx, finance, st.ID, st.Version)
	require.Error(t, err, "finance does not agree for the provider")
	st, err = r.ConfirmStatement(ctx, providerA, st.ID, st.Version)
	require.NoError(t, err)
	_, err = r.SettleStatement(ctx, finance, st.ID, st.Version, sla.Settlement{How: sla.SettledPaid, Ref: "bank 1"})
	require.Equal(t, fault.Conflict, fault.KindOf(err), "without an invoice")
	for _, number := range []string{"", "123", "2532200000012345678", "25322000000123456x89"} {
		_, err = r.RecordFapiao(ctx, finance, st.ID, st.Version, sla.Fapiao{Number: number, TaxPct: 6})
		require.ErrorContains(t, err, "fapiao_number", number)
	}
	_, err = r.RecordFapiao(ctx, finance, st.ID, st.Version, sla.Fapiao{Number: "25322000000123456789", TaxPct: 7})
	require.ErrorContains(t, err, "tax_pct")
	st, err = r.RecordFapiao(ctx, providerA, st.ID, st.Version, sla.Fapiao{Number: "2532 2000 0001 2345 6789", TaxPct: 6})
	require.NoError(t, err)
	require.Equal(t, "25322000000123456789", st.Fapiao.Number)
	require.Equal(t, []sla.Fen{7200, -7200}, []sla.Fen{r.balances()[sla.ServiceCost], r.balances()[sla.ProviderPayable]}, "what the invoice is for is owed")
	r.seal()
	r.clean()
	st, err = r.SettleStatement(ctx, finance, st.ID, st.Version, sla.Settlement{How: sla.SettledSetOff, Ref: "fees of March"})
	require.NoError(t, err)
	require.Equal(t, sla.StatementSettled, st.State)
	require.Zero(t, r.balances()[sla.ProviderReceivable])
	require.Zero(t, r.balances()[sla.ProviderPayable])
	require.Equal(t, sla.Fen(2400-7200), r.balances()[sla.Cash], "only the difference was paid")
	r.seal()
	r.clean()

	// A charge that is taken back after its statement closed is credited on the next.
	_, err = r.Void(ctx, finance2, b.ID, b.Version, "the owner withdrew")
	require.NoError(t, err)
	r.at(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	next := r.issued(time.April)
	require.Equal(t, []any{int64(0), sla.Fen(-2400)}, []any{next.Services, next.Charges})
	require.Equal(t, sla.ItemCredit, r.items(next.ID, sla.ItemFilter{})[0].Kind)
	next, err = r.ConfirmStatement(ctx, providerA, next.ID, next.Version)
	require.NoError(t, err)
	_, err = r.RecordFapiao(ctx, finance, next.ID, next.Version, st.Fapiao)
	require.ErrorIs(t, err, sla.ErrFapiaoUsed)
	next, err = r.RecordFapiao(ctx, finance, next.ID, next.Version, sla.Fapiao{Number: "25322000000123456790", TaxPct: 6})
	require.NoError(t, err)
	_, err = r.SettleStatement(ctx, finance, next.ID, next.Version, sla.Settlement{How: sla.SettledPaid, Ref: "bank 2"})
	require.NoError(t, err)
	require.Zero(t, r.balances()[sla.ProviderReceivable])
	require.Equal(t, sla.Fen(-7200), r.balances()[sla.Cash], "what was kept back wrongly went to the provider")
	r.seal()
	r.clean()
	told, err := events.ReadStream(ctx, r.pool, st.ID.String(), 100)
	require.NoError(t, err)
	require.Len(t, told, 13, "draft, issue, four decisions with their lines, confirm, fapiao, settle")
}

func TestTheWindowCloses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	ctx := t.Context()
	r.charged(15 * time.Minute)
	r.at(afterMarch)
	st := r.issued(time.March)
	line := r.items(st.ID, sla.ItemFilter{Kind: sla.ItemCharge})[0].No
	lapse := func() int {
		n, err := r.LapseStatements(ctx, r.now(), 100)
		require.NoError(t, err)
		return n
	}
	r.at(st.DisputesUntil)
	require.Zero(t, lapse(), "the last moment is the provider's")
	st, err := r.DisputeLine(ctx, providerA, st.ID, line, st.Version, "at the last moment")
	require.NoError(t, err)
	r.at(st.DisputesUntil.Add(time.Microsecond))
	require.Zero(t, lapse(), "nothing lapses while it is in dispute")
	st, err = r.UpholdLine(ctx, finance, st.ID, line, st.Version, "no")
	require.NoError(t, err, "a dispute is decided after the window as well")
	_, err = r.DisputeLine(ctx, providerA, st.ID, line, st.Version, "again")
	require.ErrorIs(t, err, sla.ErrWindowClosed)
	require.Equal(t, 1, lapse())
	require.Zero(t, lapse())
	st, err = r.Statement(ctx, providerA, st.ID)
	require.NoError(t, err)
	require.Equal(t, sla.StatementConfirmed, st.State)
	require.Equal(t, "system:statements", st.ConfirmedBy)
}

func TestWhatBecomesVoidLeavesAnOpenStatement(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	ctx := t.Context()
	c := r.charged(15 * time.Minute)
	r.at(afterMarch)
	st := r.stated(time.March)
	st, err := r.DiscardStatement(ctx, finance, st.ID, st.Version, "too early")
	require.NoError(t, err)
	require.Equal(t, sla.StatementDiscarded, st.State)
	st = r.issued(time.March)
	require.Equal(t, sla.Fen(2250), st.Charges, "what a discarded draft listed is listed anew")

	_, err = r.Void(ctx, finance, c.ID, c.Version, "a mistake")
	require.NoError(t, err)
	now, err := r.Statement(ctx, finance, st.ID)
	require.NoError(t, err)
	require.Zero(t, now.Charges)
	require.Equal(t, sla.ItemWithdrawn, r.items(st.ID, sla.ItemFilter{Kind: sla.ItemCharge})[0].State)
	_, err = r.ConfirmStatement(ctx, providerA, st.ID, st.Version)
	require.ErrorIs(t, err, sla.ErrStale, "nobody agrees to what he has not seen")
	r.at(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	_, err = r.DraftStatement(ctx, finance, sla.ProviderOf(provA), 2026, time.April)
	require.ErrorIs(t, err, sla.ErrNothingToState, "and nothing is credited that was not charged")
}

// However voids, overturns and closings meet: what the statements say was
// charged and credited is what the ledger holds.
func TestStatementsAndVoidsRace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	ctx := t.Context()
	var list []sla.Compensation
	for range 6 {
		list = append(list, r.charged(15*time.Minute))
	}
	r.at(afterMarch)
	st := r.issued(time.March)
	var group errgroup.Group
	for _, c := range list[:3] {
		group.Go(func() error {
			_, err := r.Void(ctx, finance, c.ID, c.Version, "racing")
			return err
		})
	}
	for _, by := range []events.Actor{providerA, providerA} {
		group.Go(func() error {
			seen, err := r.Statement(ctx, by, st.ID)
			if err == nil {
				_, _ = r.ConfirmStatement(ctx, by, st.ID, seen.Version) // stale or refused is fine
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	now, err := r.Statement(ctx, finance, st.ID)
	require.NoError(t, err)
	if now.State == sla.StatementIssued {
		_, err = r.ConfirmStatement(ctx, providerA, st.ID, now.Version)
		require.NoError(t, err)
	}
	first, err := r.Statement(ctx, finance, st.ID)
	require.NoError(t, err)
	r.at(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	second := r.stated(time.April)
	require.Equal(t, r.balances()[sla.ProviderReceivable], first.Charges+second.Charges)
	r.seal()
	r.clean()
}

func TestStatementsOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	d := newDoor(t, r)
	r.charged(15 * time.Minute)
	r.inTime()
	r.at(afterMarch)
	body := fmt.Sprintf(`{"provider_id": %q, "month": "2026-03"}`, provA)
	d.ask(providerA, "POST", "/v1/statements", body, 403)
	d.ask(finance, "POST", "/v1/statements", fmt.Sprintf(`{"provider_id": %q, "month": "2026-13"}`, provA), 400)
	st, h := d.ask(finance, "POST", "/v1/statements", body, 200)
	path := "/v1/statements/" + st["id"].(string)
	d.ask(finance, "POST", "/v1/statements", body, 409)
	d.ask(finance, "POST", path+"/issue", "", 428)
	d.ask(providerA, "GET", path, "", 404)
	_, h = d.ask(finance, "POST", path+"/issue", "", 200, "If-Match", h.Get("ETag"))
	own, _ := d.ask(providerA, "GET", "/v1/statements?month=2026-03", "", 200)
	require.Len(t, own["items"], 1)
	require.NotContains(t, own["items"].([]any)[0], "drafted_by")
	require.Empty(t, must(d.ask(providerB, "GET", "/v1/statements", "", 200))["items"])
	d.ask(providerB, "GET", "/v1/statements?provider_id="+provA.String(), "", 404)
	d.ask(operator, "GET", "/v1/statements", "", 403)

	lines := must(d.ask(providerA, "GET", path+"/lines?limit=2", "", 200))
	require.Len(t, lines["items"], 2)
	rest := must(d.ask(providerA, "GET", path+"/lines?limit=2&cursor="+lines["next_cursor"].(string), "", 200))
	require.Len(t, rest["items"], 1)
	charge := must(d.ask(providerA, "GET", path+"/lines?kind=charge", "", 200))["items"].([]any)[0].(map[string]any)
	line := fmt.Sprintf("%s/lines/%v/", path, charge["line"])
	why := `{"reason": "the road was closed"}`
	_, h = d.ask(providerA, "POST", line+"dispute", why, 200, "If-Match", h.Get("ETag"))
	d.ask(providerA, "POST", path+"/confirm", "", 409, "If-Match", h.Get("ETag"))
	_, h = d.ask(finance, "POST", line+"uphold", why, 200, "If-Match", h.Get("ETag"))
	_, h = d.ask(providerA, "POST", path+"/confirm", "", 200, "If-Match", h.Get("ETag"))
	d.ask(finance, "POST", path+"/fapiao", `{"fapiao_number": "1", "tax_pct": 7}`, 400, "If-Match", h.Get("ETag"))
	_, h = d.ask(finance, "POST", path+"/fapiao", `{"fapiao_number": "25322000000123456789", "tax_pct": 6}`, 200, "If-Match", h.Get("ETag"))
	got, _ := d.ask(finance, "POST", path+"/settle", `{"how": "paid", "reference": "bank 17"}`, 200, "If-Match", h.Get("ETag"))
	require.Equal(t, "settled", got["state"])
	require.EqualValues(t, 4800-2250, got["net_fen"])

	// Its provider takes it away; the total is what the statement charges.
	file, _, _ := fetch(t, d, providerA, "/v1/exports/statements/"+st["id"].(string))
	written, says := readCSV(t, file)
	require.Len(t, written, 3)
	require.Equal(t, sla.Fen(2250), fenOf(t, says["total_yuan"]))
	require.Equal(t, got["charges_fen"].(float64), float64(fenOf(t, says["total_yuan"])))
	d.ask(providerB, "GET", "/v1/exports/statements/"+st["id"].(string), "", 404)
	d.ask(providerA, "GET", "/v1/exports/compensations", "", 403)
}

func must[T, U any](v T, _ U) T { return v }
