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

// A partner's month is stated beside its provider's, each under its own name,
// and goes from draft to received between two desks.
func TestAPartnersStatementBetweenTwoDesks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.under(func(doc map[string]any) {
		doc["bearers"] = map[string]any{"platform_pct": 50, "provider_pct": 40, "partner_pct": 10, "service_fee_fen": 20000}
	})
	partner := events.NewID[events.PartnerID]()
	theirs := events.Actor{Role: events.RolePartner, Subject: partner.String()}
	for range 2 {
		c := d.late(11*time.Minute, partner) // ¥50.00
		_, err := d.Approve(t.Context(), lin, c.ID, c.Version, "seen")
		require.NoError(t, err)
	}
	d.at(time.Date(2026, 4, 2, 1, 0, 0, 0, time.UTC))
	list := d.open(lin, "/finance/statements")
	require.Contains(t, list.says(), "provider "+provider.String()+" (2 rescues) partner "+partner.String()+" (2 rescues)", "for whom one can be drawn up")
	list.press("draft", "whose", provider.String())
	st := list.press("draft", "whose", partner.String())
	require.Contains(t, st.says(), "Rescues of its customers 2 Of them late 2 Compensation ¥100.00 Share borne ¥10.00")
	require.Contains(t, st.says(), "To be paid by the partner ¥10.00")
	require.Contains(t, st.says(), "The platform invoices the partner for its share")
	require.Contains(t, st.says(), "stated and booked with tax")
	require.Contains(t, st.says(), "¥50.00 approved example-45 2", "of what it is a share, and by which version")
	require.EqualValues(t, 1000, st.data("total"))
	wrong := list.press("draft", "whose", "somebody")
	require.Equal(t, http.StatusUnprocessableEntity, wrong.Status)
	require.Contains(t, wrong.says(), "it begins with prv_ or ptn_")

	// The list tells whose each is; it can be narrowed to either kind.
	both := d.open(lin, "/finance/statements")
	require.Contains(t, both.says(), "partner "+partner.String()+" draft 2 2 ¥10.00")
	require.Contains(t, both.says(), "provider "+provider.String()+" draft 2 2 ¥400.00 ¥40.00")
	require.NotContains(t, d.open(lin, both.href("Partners")).says(), "provider "+provider.String()+" draft")
	require.NotContains(t, d.open(lin, both.href("Providers")).says(), "partner "+partner.String()+" draft")
	zh := textOf(d.ask(lin, "zh", http.MethodGet, st.Path, "", nil).root)
	for _, words := range []string{"客户救援 2", "分担款 ¥10.00", "应由合作方支付 ¥10.00", "合作方 " + partner.String(), "由平台向合作方开具发票", "价税合计"} {
		require.Contains(t, zh, words)
	}
	require.NotContains(t, zh, "追偿", "a share is no chargeback")

	require.Equal(t, http.StatusNotFound, d.open(theirs, st.Path).Status, "a draft is finance's")
	st = st.press("issue")
	require.Equal(t, "/finance/statements", d.open(theirs, "/finance").Path)
	hers := d.open(theirs, d.open(theirs, "/finance/statements").href(strings.TrimPrefix(st.Path, "/finance/statements/")))
	require.NotContains(t, hers.says(), "lin", "who of finance did it is not told")
	require.NotContains(t, d.open(theirs, "/finance/statements").says(), provider.String())
	hers = hers.press("dispute", "reason", "the owner had moved on")
	require.True(t, has(hers.button("confirm"), "disabled"))
	st = d.open(zhou, st.Path+"?kind=disputed")
	require.Equal(t, "The share stands", textOf(st.button("uphold")))
	st = st.press("overturn", "reason", "so he had")
	require.EqualValues(t, 500, st.data("total"))
	hers = d.open(theirs, st.Path).press("confirm")
	require.Nil(t, hers.button("fapiao"), "the invoice is ours")
	require.Contains(t, hers.says(), partner.String()+" (partner)")
	st = d.open(lin, st.Path).press("fapiao", "fapiao_number", "24312000000012345678", "tax_pct", "6")
	require.NotContains(t, st.says(), "set off")
	st = st.press("settle", "reference", "bank 17")
	require.Contains(t, st.says(), "paid by the partner · bank 17")
	require.Equal(t, []sla.Fen{500, 0}, []sla.Fen{d.balance(sla.Cash), d.balance(sla.PartnerShare)}, "the total of the page is what was received")
	require.Equal(t, http.StatusOK, d.open(theirs, st.href("CSV")).Status, "it may take its own as a file")
	require.Equal(t, http.StatusForbidden, d.open(theirs, "/finance/compensations").Status)
}
