package pages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

// Above the limit the page says how many of two have approved, and to whom it
// offers what.
func TestOneOfTwoApprovals(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.under(func(doc map[string]any) {
		doc["approval"] = map[string]any{"auto_up_to_fen": 2000, "four_eyes_over_fen": 4000}
	})
	c := d.late(11 * time.Minute)
	path := "/finance/compensations/" + c.ID.String()
	page := d.open(lin, path)
	require.Contains(t, page.says(), "two persons must approve")
	require.Contains(t, page.says(), "¥50.00 is above ¥40.00: two persons approve", "why it waits")
	page = page.press("approve", "reason", "seen")
	require.Contains(t, page.says(), "1 of 2 approvals")
	require.True(t, has(page.button("approve"), "disabled"))
	require.Contains(t, page.says(), "You gave the first approval; a second person completes it")
	require.Contains(t, d.open(lin, "/finance/compensations?month=2026-03").says(), "1 of 2 approvals")
	page = d.open(zhou, path)
	require.Equal(t, "Approve (second of two)", textOf(page.button("approve")))
	page = page.press("approve", "reason", "seen too")
	require.Contains(t, page.says(), "zhou (finance): seen too")
	require.Contains(t, page.says(), "lin (finance): seen")
}

// A whole list is approved by one press, as it was seen and no otherwise; what
// one person may not approve stays, and the page says so beforehand.
func TestAWholeListIsApprovedAsItWasSeen(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.under(func(doc map[string]any) {
		doc["approval"] = map[string]any{"auto_up_to_fen": 0, "four_eyes_over_fen": 4000}
	})
	for range 3 {
		d.late(5 * time.Minute) // ¥20.00
	}
	d.late(11 * time.Minute) // ¥50.00: two persons
	const path = "/finance/compensations?month=2026-03&area=成都市&state="
	require.Nil(t, d.open(lin, path).button("approve_all"), "other states are shown too")
	require.Nil(t, d.open(root, path+"accrued").button("approve_all"))
	page := d.open(lin, path+"accrued")
	require.EqualValues(t, 4, page.data("lines"))
	require.Contains(t, page.says(), "Stays in the queue: 1 · ¥50.00: Above the four-eyes limit")
	require.Equal(t, "Approve 3 of these, ¥60.00", textOf(page.button("approve_all")))

	d.late(5 * time.Minute)
	late := page.press("approve_all", "reason", "checked")
	require.Equal(t, http.StatusConflict, late.Status)
	require.Contains(t, late.says(), "Something else is waiting by now than you saw, so nothing was approved")
	page = late.press("approve_all", "reason", "checked again")
	require.Contains(t, page.says(), "4 are approved")
	require.EqualValues(t, 1, page.data("lines"), "under the same filter")
	require.Nil(t, page.button("approve_all"), "nothing is left for one person alone")
	require.EqualValues(t, 8000, d.open(zhou, path+"approved").data("total"))
}

// Of a rescue that was asked for here the page tells who did what and when,
// operators included.
func TestTheHistoryOfACompensation(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	asked := d.asked()
	d.tell(events.CrewArrived{RequestID: asked.ID, Area: string(asked.Area), CrewID: events.NewID[events.CrewID](), ArrivedAt: opened.Add(56 * time.Minute), Source: "gps"})
	rescue := "/finance/requests/" + asked.ID.String()
	d.at(opened.Add(2 * time.Hour))
	d.open(wei, rescue).press("dispute", "reason", "the crew was there")
	d.at(opened.Add(3 * time.Hour))
	d.open(lin, rescue).press("uphold", "reason", "it was not")
	for _, by := range []events.Actor{lin, wei} {
		page := d.open(by, rescue)
		require.Contains(t, page.says(), "2026-03-02 15:12:00 accrual sla (system) 2026-03-02 17:12:00 disputed wei (operator) the crew was there 2026-03-02 18:12:00 approved lin (finance) it was not")
	}
}

// A provider's month goes from draft to settled between two desks, with a line
// that was in dispute.
func TestAStatementBetweenTwoDesks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.under(func(doc map[string]any) {
		doc["bearers"] = map[string]any{"platform_pct": 40, "provider_pct": 60, "partner_pct": 0, "service_fee_fen": 20000}
	})
	theirs := events.Actor{Role: events.RoleProvider, Subject: provider.String()}
	var owed sla.Fen
	for range 2 {
		c := d.late(11 * time.Minute)
		owed += c.Fen
		page := d.open(lin, "/finance/compensations/"+c.ID.String()).press("approve", "reason", "seen")
		require.Contains(t, page.says(), "provider "+provider.String(), "who bears it")
	}
	early := d.open(lin, "/finance/statements?month=2026-03")
	require.True(t, has(early.button("draft"), "disabled"))
	require.Contains(t, early.says(), "The month is not over yet")
	forced := d.ask(lin, "en", http.MethodPost, "/finance/statements", "application/x-www-form-urlencoded", []byte("do=draft&month=2026-03&whose="+provider.String()))
	require.Equal(t, http.StatusConflict, forced.Status)
	require.Contains(t, forced.says(), "The month is not over")

	d.at(time.Date(2026, 4, 2, 1, 0, 0, 0, time.UTC))
	st := d.open(lin, "/finance/statements").press("draft") // of last month
	require.Contains(t, st.says(), "The statement is drawn up")
	require.Equal(t, http.StatusNotFound, d.open(theirs, st.Path).Status, "a draft is finance's")
	require.EqualValues(t, 2*20000-owed*60/100, st.data("total"))
	require.Nil(t, d.open(lin, "/finance/statements").button("draft"), "there is one already")
	st = st.press("issue")
	require.Contains(t, st.says(), "Disputes until (included) 2026-04-09 09:00:00")

	home := d.open(theirs, "/finance")
	require.Equal(t, "/finance/statements", home.Path)
	hers := d.open(theirs, home.href(strings.TrimPrefix(st.Path, "/finance/statements/")))
	require.NotContains(t, hers.says(), "lin", "who of finance did it is not told")
	require.Contains(t, d.open(theirs, "/finance/statements").says(), "issued, open to disputes")
	hers = hers.press("dispute", "reason", "the road was closed")
	require.Contains(t, hers.says(), "Disputed: the road was closed")
	require.True(t, has(hers.button("confirm"), "disabled"))
	require.Nil(t, hers.button("overturn"))
	st = d.open(zhou, st.Path+"?kind=disputed").press("overturn", "reason", "it was")
	require.Contains(t, st.says(), "Decided: the charge is taken back")
	require.EqualValues(t, 2*20000-owed*30/100, st.data("total"))
	hers = d.open(theirs, st.Path).press("confirm")
	wrong := hers.press("fapiao", "fapiao_number", "12")
	require.Equal(t, http.StatusUnprocessableEntity, wrong.Status)
	require.Contains(t, wrong.says(), "is not the number of an invoice")
	hers = wrong.press("fapiao", "fapiao_number", "24312000000012345678", "tax_pct", "6")
	require.Contains(t, hers.says(), "The fapiao is recorded")
	st = d.open(lin, st.Path).press("settle", "how", "set_off", "reference", "fees of March")
	require.Contains(t, st.says(), "set off against fees · fees of March")
	require.Equal(t, owed*30/100-2*20000, d.balance(sla.Cash), "the total of the page is what was paid")
	require.Zero(t, d.balance(sla.ProviderPayable)+d.balance(sla.ProviderReceivable))
	file := d.open(theirs, st.href("CSV"))
	require.Equal(t, http.StatusOK, file.Status, "it may take its own as a file")
}

// A day whose figures differ is signed for by one and closed by another; the
// page offers each what is his.
func TestADayIsComparedSignedAndClosed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for range 2 {
		c := d.late(11 * time.Minute)
		_, err := d.Approve(t.Context(), lin, c.ID, c.Version, "seen")
		require.NoError(t, err)
	}
	b, _, err := d.OpenBatch(t.Context(), lin, "March", "k")
	require.NoError(t, err)
	page := d.open(lin, "/finance/batches/"+b.ID.String()).press("fill").press("seal")
	d.open(zhou, page.Path).press("approve", "reason", "agrees").press("submit")
	_, err = d.PayOut(t.Context())
	require.NoError(t, err)
	lines, err := d.BatchLines(t.Context(), lin, b.ID, "", events.CompensationID{}, 10)
	require.NoError(t, err)
	file := "reference,outcome,amount,paid_on,reason\n"
	for _, l := range lines {
		file += l.Reference + ",paid,50.00,,\n"
	}
	d.open(lin, page.Path).press("results", "file", file, "lines", "2", "total", "100", "paid_lines", "2", "paid_total", "100.00")

	told := "reference,amount\n" + lines[0].Reference + ",50.00\nsomebody,7.00\n"
	days := d.open(lin, "/finance/days")
	require.Contains(t, days.says(), "2026-03-02 open ¥100.00 ¥0.00 ¥100.00")
	off := days.press("told", "source", "bank", "day", "2026-03-02", "file", told, "lines", "2", "total", "58.00")
	require.Equal(t, http.StatusUnprocessableEntity, off.Status)
	require.Contains(t, off.says(), "total says 2 lines and ¥58.00, and the lines are 2 and ¥57.00")
	day := off.press("told", "file", told, "total", "57.00")
	require.Equal(t, "/finance/days/2026-03-02", day.Path)
	require.EqualValues(t, 4300, day.data("total"), "what they are apart")
	require.True(t, has(day.button("close"), "disabled"))
	require.Contains(t, day.says(), "The day is not over yet")
	theirs := d.open(lin, day.Path+"?list=theirs_only")
	require.Contains(t, theirs.says(), "somebody bank no payment of ours ¥7.00")
	require.NotContains(t, textOf(all(theirs.root, "tbody", nil)[2]), lines[0].Reference)

	d.at(opened.Add(24 * time.Hour))
	day = d.open(lin, day.Path).press("sign", "reason", "the bank corrects it on Thursday")
	require.Contains(t, day.says(), "Signed for; another person closes the day")
	require.True(t, has(day.button("close"), "disabled"))
	require.Contains(t, day.says(), "a second person closes the day")
	day = d.open(zhou, day.Path).press("close", "reason", "seen")
	require.Contains(t, day.says(), "closed zhou (finance) seen")
	require.Nil(t, day.button("close"))
	again := d.open(lin, "/finance/days").press("told", "source", "wallet", "day", "2026-03-02", "file", told, "lines", "2", "total", "57.00")
	require.Equal(t, http.StatusConflict, again.Status)
	require.Contains(t, again.says(), "The business day is closed")
	require.Equal(t, http.StatusNotFound, d.open(lin, "/finance/days/today").Status)
}
