package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/sim"
	"rescued/events"
	"rescued/sla"
)

// closingPolicy is what February's lateness pays: an example, with a limit
// above which two persons approve, and of which a provider bears 60% as far as
// the fault was its, up to the fee of the service.
const closingPolicy = `{
	"name": "month-end", "version": 1, "applies_to": {"partners": ["%s"]},
	"title": {"zh": "示例：月结", "en": "Example: the closing of a month"},
	"clock_start": "request_accepted",
	"promises": [{"rule": "all", "when": {}, "minutes": 45, "reason": {"zh": "45 分钟到达", "en": "45 minutes"}}],
	"pauses": [], "grace_s": 0,
	"compensation": {"kind": "tiers", "tiers": [
		{"over_s": 0, "up_to_s": 600, "fen": 2000}, {"over_s": 600, "up_to_s": 1800, "fen": 5000},
		{"over_s": 1800, "up_to_s": 7200, "fen": 10000}, {"over_s": 7200, "up_to_s": 21600, "fen": 15000},
		{"over_s": 21600, "fen": 30000}]},
	"late_cancellation": "tier_reached",
	"approval": {"auto_up_to_fen": 2000, "four_eyes_over_fen": 20000},
	"attribution": {"assignment_s": 180, "turnout_s": 120, "travel_slack_s": 120, "mislocated_m": 0, "weather_level": "orange"},
	"bearers": {"platform_pct": 40, "provider_pct": 60, "partner_pct": 0, "service_fee_fen": 12000, "cap_by_service_fee": true}
}`

// TestAMonthIsClosed closes February 2016 of Montgomery County as a finance
// department does: the month comes in from a run of the simulator, is
// accepted, accrues, is approved, paid in a batch of which 3% bounces, paid
// again, held against the bank's statements and closed day by day. What the
// providers bear of it is charged back at the approval and settled with them by
// their monthly statements. At the end everything that was said is held against
// everything else, to the fen.
//
// deploy/closing.md keeps what it says. The same calls give the same month, so
// the page must be what this test finds; `make closing` writes it anew.
func TestAMonthIsClosed(t *testing.T) {
	t.Parallel()
	c := newClosing(t, time.Date(2016, 3, 2, 1, 0, 0, 0, time.UTC)) // nine in the morning in China
	c.head()

	// 2 March: some of our own give up, the month comes in, is accepted and
	// approved, and the bank gets its order.
	partner := c.agreesPolicy()
	c.engages()
	auto := c.givesUp(partner, 3)
	imp, imported := c.bringsIn()
	c.accepts(imp, imported)
	c.balances("accrued")
	c.approves(imp, imported)
	c.chargesBack()
	c.balances("approved")
	owed := sla.Tally{Lines: auto.Lines + imported.Lines, Fen: auto.Fen + imported.Fen}
	first := c.pays("2 March", "2016-02")
	require.Equal(t, owed, first.sum)
	c.balances("ordered")

	// 3 March: the bank tells what became of it, and bounced payments go out again.
	c.at(time.Date(2016, 3, 3, 2, 0, 0, 0, time.UTC))
	bounced := c.results("3 March", first, "2016-03-03", func(nth int) bool { return nth%33 == 16 })
	require.InDelta(t, 0.03, float64(bounced.Lines)/float64(owed.Lines), 0.005)
	c.balances("after the bank's first word")
	second := c.pays("3 March", "2016-02, what came back")
	require.Equal(t, bounced, second.sum)

	// 4 March: all of those arrive but one, which waits for the next month.
	c.at(time.Date(2016, 3, 4, 2, 0, 0, 0, time.UTC))
	open := c.results("4 March", second, "2016-03-04", func(nth int) bool { return nth == 4 })
	require.EqualValues(t, 1, open.Lines)

	// 5 March: the days of payment are held against the bank's statements and closed.
	c.at(time.Date(2016, 3, 5, 2, 0, 0, 0, time.UTC))
	c.closes("2016-03-03", first, bounced)
	c.closes("2016-03-04", second, open)

	c.balances("days closed")

	// What the providers did in February, and what they were charged in March.
	c.states("5 March", "2016-02")
	c.confirm("5 March")
	c.invoice("5 March")
	c.settle("5 March", sla.SettledPaid)
	c.at(time.Date(2016, 4, 1, 2, 0, 0, 0, time.UTC))
	c.states("1 April", "2016-03")
	c.disputes("1 April")
	c.at(time.Date(2016, 4, 2, 2, 0, 0, 0, time.UTC))
	c.confirm("2 April", "West")
	c.at(time.Date(2016, 4, 11, 2, 0, 0, 0, time.UTC))
	c.lapses("11 April", "West")
	c.invoice("11 April")
	final := c.settle("11 April", sla.SettledSetOff)
	c.agrees(owed, open, final)
	c.keeps()
}

// agreesPolicy puts the policy in force for the customers of a partner.
func (c *closing) agreesPolicy() (partner client) {
	id, partner := c.registered(c.chen.as(c.token(events.RoleOperator, "desk")), "partner")
	document := fmt.Sprintf(closingPolicy, id)
	require.NoError(c.t, os.WriteFile(c.file("policy.json"), []byte(document), 0o600))
	require.Contains(c.t, c.runs("policy", "check", c.file("policy.json")), "month-end")
	c.chen.must(c.t, http.StatusCreated, http.MethodPost, "/v1/policies", raw{"application/json", []byte(document)}, nil)
	c.decides(c.lin, "/v1/policies/month-end/1", "activate", "as agreed", http.StatusOK)
	return partner
}

// givesUp has customers ask for help that does not come, and call it off five
// minutes after the deadline: what they are owed is within the policy's own
// limit.
func (c *closing) givesUp(partner client, customers int) (owed sla.Tally) {
	ids := make([]string, customers)
	for n := range ids {
		var r requestView
		partner.must(c.t, http.StatusCreated, http.MethodPost, "/v1/requests", aRequest(n, "tyre"), &r, "Idempotency-Key", fmt.Sprint("customer-", n))
		require.Equal(c.t, 45, r.Promise.Minutes)
		ids[n] = r.ID
	}
	c.at(c.clock.Now().Add(50 * time.Minute))
	for _, id := range ids {
		partner.must(c.t, http.StatusOK, http.MethodPost, "/v1/requests/"+id+"/cancel", map[string]any{"reason": "nobody came"}, nil)
	}
	type view struct {
		thing
		Fen        sla.Fen `json:"fen"`
		ApprovedBy string  `json:"approved_by"`
	}
	var list []view
	eventually(c.t, "the policy has approved what they are owed", func() bool {
		list = all[view](c.t, c.lin, "/v1/compensations?state=approved")
		return len(list) == customers
	})
	for _, one := range list {
		require.Equal(c.t, "system:policy", one.ApprovedBy)
		owed.Lines, owed.Fen = owed.Lines+1, owed.Fen+one.Fen
	}
	c.did("2 March", "the policy", "approves by itself what customers are owed who gave up that morning", owed)
	return owed
}

// bringsIn drives the month in the simulator and imports its run as payable.
func (c *closing) bringsIn() (imp string, owed sla.Tally) {
	calls, err := sim.ReadDemand(replayFebruary, "")
	require.NoError(c.t, err)
	fleet := [][]string{{"crew_id", "lat", "lng", "capabilities", "shift_start", "shift_end"}}
	for n := range 20 { // stationed where every 209th call came from
		p := calls[n*len(calls)/20].At
		fleet = append(fleet, []string{fmt.Sprint("van ", n+1), strconv.FormatFloat(p.Lat, 'f', -1, 64), strconv.FormatFloat(p.Lng, 'f', -1, 64), "", "", ""})
	}
	c.runs("replay", "--speed-kmh", strconv.Itoa(drivenKmh), "--turnout-min", "2", "--demand", replayFebruary, "--fleet", c.writes("fleet.csv", fleet...), "--policy-assign", "nearest",
		"--sla-policy", c.file("policy.json"), "--out", c.file("february.csv"))
	args := []string{"import", "history", c.expecting("february.csv"), "--crews", c.whoseVans(), "--area", "us-pa-montgomery", "--tier", "urban",
		"--policy", "month-end/1", "--payable", "--by", "chen"}
	said := c.runs(args...)
	require.Contains(c.t, said, fmt.Sprintf("rows     %d\n  added    %d,", len(calls), len(calls)), "every call of the month is in")
	require.Contains(c.t, said, "and the policy the same for each", "the simulator and the policy agree on every amount")
	require.Contains(c.t, c.runs(args...), fmt.Sprintf("added    0, 0 of them late, ¥0.00 owed\n  known    %d", len(calls)), "the same file again adds nothing")

	var list page[struct {
		thing
		Late int64   `json:"late"`
		Owed sla.Fen `json:"owed_fen"`
	}]
	c.lin.must(c.t, http.StatusOK, http.MethodGet, "/v1/imports?state=prepared", nil, &list)
	require.Len(c.t, list.Items, 1)
	got := list.Items[0]
	owed = sla.Tally{Lines: got.Late, Fen: got.Owed}
	require.Positive(c.t, owed.Fen)
	c.did("2 March", "Chen", fmt.Sprintf("imports the run: %d rescues, of which late", len(calls)), owed)
	return got.ID, owed
}

// accepts lets what the import owes accrue.
func (c *closing) accepts(imp string, owed sla.Tally) {
	path := "/v1/imports/" + imp
	require.Equal(c.t, "four_eyes", c.decides(c.chen, path, "approve", "mine", http.StatusForbidden).Code, "not by who brought it in")
	c.decides(c.lin, path, "approve", "the run of February, as checked", http.StatusOK)
	eventually(c.t, "all of the import has accrued", func() bool {
		return c.count(`SELECT count(*) FROM sla.imports WHERE accrued_at IS NOT NULL`) == 1
	})
	require.Equal(c.t, owed, c.waiting(imp))
	c.did("2 March", "Lin", "accepts it, and it accrues", owed)
}

// waiting is what the list says waits for approval.
func (c *closing) waiting(imp string) sla.Tally {
	var list struct {
		Total sla.Tally `json:"total"`
	}
	c.lin.must(c.t, http.StatusOK, http.MethodGet, "/v1/compensations?state=accrued&total=true&limit=1&import_id="+imp, nil, &list)
	return list.Total
}

// approves approves what one person may at once, and the rest by two.
func (c *closing) approves(imp string, owed sla.Tally) {
	order := map[string]any{"import_id": imp, "reason": "February as accepted", "expect": sla.Tally{Lines: owed.Lines, Fen: owed.Fen + 1}}
	var refused thing
	c.lin.must(c.t, http.StatusConflict, http.MethodPost, "/v1/compensations/approve", order, &refused)
	require.Equal(c.t, "waiting_differs", refused.Code)
	order["expect"] = owed
	var got sla.ApprovalsBody
	c.chen.must(c.t, http.StatusOK, http.MethodPost, "/v1/compensations/approve", order, &got)
	require.Zero(c.t, got.Approved, "who prepared them approves none")
	// A busy machine leaves some for the next press of the button, and what was
	// approved although nobody could be told any more is waiting no longer.
	eventually(c.t, "only what needs two persons is left", func() bool {
		order["expect"] = c.waiting(imp)
		answer, err := c.lin.try(c.t.Context(), http.MethodPost, "/v1/compensations/approve", order)
		require.NoError(c.t, err)
		if answer.status == http.StatusConflict {
			return false
		}
		require.Equal(c.t, http.StatusOK, answer.status, "%s", answer)
		require.NoError(c.t, json.Unmarshal(answer.body, &got))
		return len(got.Left) == 1 && got.Left[0].Reason == sla.LeftFourEyes
	})
	left := got.Left[0].Tally
	c.did("2 March", "Lin", "approves at once what one person may", sla.Tally{Lines: owed.Lines - left.Lines, Fen: owed.Fen - left.Fen})

	var both sla.Tally
	for _, one := range all[struct {
		thing
		Fen sla.Fen `json:"fen"`
	}](c.t, c.lin, "/v1/compensations?state=accrued&import_id="+imp) {
		path := "/v1/compensations/" + one.ID
		require.Equal(c.t, "accrued", c.decides(c.lin, path, "approve", "the wait is in the run", http.StatusOK).State)
		require.Equal(c.t, "approved", c.decides(c.zhou, path, "approve", "so I find", http.StatusOK).State)
		both.Lines, both.Fen = both.Lines+1, both.Fen+one.Fen
	}
	require.Equal(c.t, left, both)
	require.Zero(c.t, c.waiting(imp))
	c.did("2 March", "Lin, Zhou", "approve the others one by one, both of them", both)
}

// sent is a batch on its way: what it asks the bank for.
type sent struct {
	id    string
	lines []payment
	sum   sla.Tally
}

// pays gathers what is approved in a batch and sends it to the bank.
func (c *closing) pays(day, title string) (b sent) {
	var got struct {
		thing
		Batch struct {
			Lines int64   `json:"lines"`
			Total sla.Fen `json:"total_fen"`
		} `json:"batch"`
	}
	c.lin.must(c.t, http.StatusOK, http.MethodPost, "/v1/batches", map[string]any{"title": title}, &got, "Idempotency-Key", strings.ReplaceAll(day, " ", "-"))
	b.id = got.ID
	path := "/v1/batches/" + b.id
	c.lin.must(c.t, http.StatusOK, http.MethodPost, path+"/fill", map[string]any{}, &got)
	b.sum = sla.Tally{Lines: got.Batch.Lines, Fen: got.Batch.Total}
	c.decides(c.lin, path, "seal", "", http.StatusOK)
	require.Equal(c.t, "second_person", c.decides(c.lin, path, "approve", "my own", http.StatusForbidden).Code)
	c.decides(c.zhou, path, "approve", "lines and total as sealed", http.StatusOK)
	c.decides(c.lin, path, "submit?via=file", "", http.StatusOK)
	var sum sla.Tally
	b.lines = c.order(b.id)
	for _, l := range b.lines {
		sum.Lines, sum.Fen = sum.Lines+1, sum.Fen+l.fen
	}
	require.Equal(c.t, b.sum, sum, "the file for the bank is what was sealed")
	c.did(day, "Lin, Zhou", "batch “"+title+"”: Lin fills and seals, Zhou approves, the bank has the file", sum)
	return b
}

// results brings the bank's word on a batch in: each payment was made on a
// day, but those that bounce. They are told off in the order of the calls.
func (c *closing) results(day string, b sent, paidOn string, bounces func(nth int) bool) (bounced sla.Tally) {
	number := map[string]int{}
	rows, err := c.pool.Query(c.t.Context(), `SELECT reference, 'req_' || request_id FROM sla.past_rescues`)
	require.NoError(c.t, err)
	defer rows.Close()
	for rows.Next() {
		var reference, request string
		require.NoError(c.t, rows.Scan(&reference, &request))
		_, nth, _ := strings.Cut(reference, "/") // the run, and the number of the call
		n, err := strconv.Atoi(nth)
		require.NoError(c.t, err)
		number[request] = n
	}
	require.NoError(c.t, rows.Err())
	slices.SortFunc(b.lines, func(x, y payment) int { return number[x.payee] - number[y.payee] })
	file := [][]string{{"reference", "outcome", "amount", "paid_on", "reason"}}
	statement := [][]string{{"reference", "amount"}}
	var paid sla.Tally
	for nth, l := range b.lines {
		if bounces(nth) {
			bounced.Lines, bounced.Fen = bounced.Lines+1, bounced.Fen+l.fen
			file = append(file, []string{l.reference, "bounced", amount(l.fen), "", "account closed"})
			continue
		}
		paid.Lines, paid.Fen = paid.Lines+1, paid.Fen+l.fen
		file = append(file, []string{l.reference, "paid", amount(l.fen), paidOn, ""})
		statement = append(statement, []string{l.reference, amount(l.fen)})
	}
	c.writes("bank-"+paidOn+".csv", statement...)
	says := url.Values{
		"name": {"results-" + paidOn}, "lines": {fmt.Sprint(b.sum.Lines)}, "total": {amount(b.sum.Fen)},
		"paid_lines": {fmt.Sprint(paid.Lines)}, "paid_total": {amount(paid.Fen)},
	}
	results := c.writes("results-"+paidOn+".csv", file...)
	path := "/v1/batches/" + b.id
	c.sends(c.lin, path+"/results/file", says, results, nil)
	c.sends(c.zhou, path+"/results/file", says, results, nil) // the same file again changes nothing
	c.decides(c.lin, path, "settle", "", http.StatusOK)
	c.did(day, "the bank", "has paid", paid)
	c.did(day, "the bank", "returns: account closed", bounced)
	return bounced
}

// closes holds a day against the bank's statement of it and closes it.
func (c *closing) closes(day string, b sent, bounced sla.Tally) {
	path, statement := "/v1/days/"+day, c.file("bank-"+day+".csv")
	paid := c.sumCSV(statement, "amount")
	require.Equal(c.t, sla.Tally{Lines: b.sum.Lines - bounced.Lines, Fen: b.sum.Fen - bounced.Fen}, paid)
	require.Equal(c.t, "day_differs", c.decides(c.lin, path, "close", "all is well", http.StatusConflict).Code, "without the bank's word")
	c.sends(c.lin, "/v1/reconciliations", url.Values{"source": {"bank"}, "name": {"statement"}, "day": {day}, "lines": {fmt.Sprint(paid.Lines)}, "total": {amount(paid.Fen)}}, statement, nil)
	var d sla.DayBody
	c.lin.must(c.t, http.StatusOK, http.MethodGet, path, nil, &d)
	require.False(c.t, d.Differs, "%+v", d)
	require.Equal(c.t, paid, d.Figures.Matched)
	c.decides(c.zhou, path, "close", "agrees with the bank", http.StatusOK)
	c.did("5 March", "Zhou", "closes "+day+" at no difference from the bank's statement", paid)
}

// balances is what the accounts hold; together nothing.
func (c *closing) balances(when string) map[sla.Account]sla.Fen {
	var list sla.AccountsBody
	c.lin.must(c.t, http.StatusOK, http.MethodGet, "/v1/ledger/accounts", nil, &list)
	held, sum := map[sla.Account]sla.Fen{}, sla.Fen(0)
	for _, a := range list.Items {
		if a.Fen != 0 {
			held[a.Account] = a.Fen
		}
		sum += a.Fen
	}
	require.Zero(c.t, sum, "%s: the accounts together", when)
	c.trials = append(c.trials, trial{when, held})
	return held
}

// agrees holds everything that says what the month came to against each other.
func (c *closing) agrees(owed, open sla.Tally, held map[sla.Account]sla.Fen) {
	eventually(c.t, "the ledger is chained", func() bool { return c.count(`SELECT count(*) FROM sla.ledger_unsealed`) == 0 })
	verified := c.runs("verify")
	require.True(c.t, strings.HasSuffix(verified, "\n0 differences\n"), verified)
	c.t.Log("rescued verify:\n" + verified)

	for _, file := range []string{"compensations.csv", "compensations.xlsx", "guarantees.csv"} {
		what, format, _ := strings.Cut(file, ".")
		c.runs("export", what, "--format", format, "-o", c.file(file))
	}
	asCSV, asXLSX := c.sumCSV(c.file("compensations.csv"), "yuan"), c.sumXLSX("compensations", "yuan")
	verdicts := c.sumCSV(c.file("guarantees.csv"), "owed_yuan").Fen
	require.Equal(c.t, owed, asCSV)
	require.Equal(c.t, owed, asXLSX)
	require.Equal(c.t, owed.Fen, verdicts)

	var report struct {
		Total figures `json:"total"`
	}
	c.lin.must(c.t, http.StatusOK, http.MethodGet, "/v1/reports/month?zone=UTC", nil, &report)
	f := report.Total
	require.Equal(c.t, owed.Lines, f.Late)
	require.Equal(c.t, owed.Fen, f.Fen)
	require.Equal(c.t, owed.Fen, f.Paid+f.Open)
	require.Equal(c.t, open.Fen, f.Open)
	fees, charges := c.stated()
	require.Equal(c.t, map[sla.Account]sla.Fen{
		sla.CompensationExpense: owed.Fen - charges, sla.OwnerPayable: -open.Fen, sla.ServiceCost: fees, sla.Cash: -f.Paid - fees + charges,
	}, held, "the books say the same")
	c.summary(f, asCSV, asXLSX, verdicts)
}
