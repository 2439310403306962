package sla_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

func TestPartnersStatementsOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	d := newDoor(t, r)
	r.charged(15 * time.Minute)
	r.at(afterMarch)
	in := func(month, who string) string { return fmt.Sprintf(`{%s"month": %q}`, who, month) }
	ask := func(who string) string { return in("2026-03", who) }
	ofPartner, ofProvider := fmt.Sprintf(`"partner_id": %q, `, partner), fmt.Sprintf(`"provider_id": %q, `, provA)
	d.ask(finance, "POST", "/v1/statements", ask(""), 400)
	d.ask(finance, "POST", "/v1/statements", ask(ofPartner+ofProvider), 400)
	d.ask(finance, "POST", "/v1/statements", ask(`"partner_id": "`+provA.String()+`", `), 400)
	require.Equal(t, "month_not_over", must(d.ask(finance, "POST", "/v1/statements", in("2026-04", ofPartner), 409))["code"])
	for _, nobodys := range []string{in("2026-02", ofPartner), ask(fmt.Sprintf(`"partner_id": %q, `, events.NewID[events.PartnerID]()))} {
		require.Equal(t, "nothing_to_state", must(d.ask(finance, "POST", "/v1/statements", nobodys, 409))["code"])
	}
	for _, by := range []events.Actor{partnerA, providerA, operator, admin} {
		d.ask(by, "POST", "/v1/statements", ask(ofPartner), 403)
	}
	st, h := d.ask(finance, "POST", "/v1/statements", ask(ofPartner), 200)
	d.ask(finance2, "POST", "/v1/statements", ask(ofPartner), 409)
	its, hers := d.ask(finance, "POST", "/v1/statements", ask(ofProvider), 200)
	path, other := "/v1/statements/"+st["id"].(string), "/v1/statements/"+its["id"].(string)
	require.Equal(t, []any{"partner", partner.String(), 0.0, 500.0, 5000.0, -500.0},
		[]any{st["bearer"], st["bearer_id"], st["fees_fen"], st["charges_fen"], st["compensation_fen"], st["net_fen"]})

	// Until it is issued it is nobody's but ours; then it is its partner's alone.
	d.ask(partnerA, "GET", path, "", 404)
	d.ask(partnerA, "POST", path+"/issue", "", 403, "If-Match", h.Get("ETag"))
	_, h = d.ask(finance, "POST", path+"/issue", "", 200, "If-Match", h.Get("ETag"))
	d.ask(finance, "POST", other+"/issue", "", 200, "If-Match", hers.Get("ETag"))
	own := must(d.ask(partnerA, "GET", path, "", 200))
	require.NotContains(t, own, "drafted_by")
	says := fmt.Sprint(own["notes"])
	require.Contains(t, says, "The platform invoices the partner for its share")
	require.Contains(t, says, "with tax")
	require.Contains(t, says, "价税合计")
	require.Contains(t, fmt.Sprint(must(d.ask(providerA, "GET", other, "", 200))["notes"]), "The provider invoices the platform")
	for _, by := range []events.Actor{partnerB, providerA, {Role: events.RolePartner, Subject: "nobody"}} {
		d.ask(by, "GET", path, "", 404)
		d.ask(by, "GET", path+"/lines", "", 404)
		d.ask(by, "GET", "/v1/exports/statements/"+st["id"].(string), "", 404)
		d.ask(by, "POST", path+"/confirm", "", 404, "If-Match", h.Get("ETag"))
	}
	d.ask(partnerA, "GET", other, "", 404)
	d.ask(operator, "GET", path, "", 403)
	ids := func(by events.Actor, query string) (list []any) {
		for _, it := range must(d.ask(by, "GET", "/v1/statements"+query, "", 200))["items"].([]any) {
			list = append(list, it.(map[string]any)["id"])
		}
		return list
	}
	require.Equal(t, []any{st["id"]}, ids(partnerA, ""))
	require.Equal(t, []any{st["id"]}, ids(partnerA, "?bearer=partner&partner_id="+partner.String()))
	require.Equal(t, []any{its["id"]}, ids(providerA, ""))
	require.Empty(t, ids(partnerB, ""))
	require.ElementsMatch(t, []any{st["id"], its["id"]}, ids(finance, "?month=2026-03"))
	require.Equal(t, []any{st["id"]}, ids(finance, "?bearer=partner"))
	require.Equal(t, []any{st["id"]}, ids(admin, "?partner_id="+partner.String()))
	require.Equal(t, []any{its["id"]}, ids(finance, "?bearer=provider"))
	d.ask(partnerA, "GET", "/v1/statements?provider_id="+provA.String(), "", 404)
	d.ask(partnerA, "GET", "/v1/statements?bearer=provider", "", 404)
	d.ask(finance, "GET", "/v1/statements?bearer=partner&provider_id="+provA.String(), "", 400)
	d.ask(finance, "GET", "/v1/statements?partner_id="+partner.String()+"&provider_id="+provA.String(), "", 400)
	d.ask(finance, "GET", "/v1/statements?bearer=owner", "", 400)
	d.ask(events.Actor{Role: events.RolePartner, Subject: "nobody"}, "GET", "/v1/statements", "", 400)

	charge := must(d.ask(partnerA, "GET", path+"/lines?kind=charge", "", 200))["items"].([]any)[0].(map[string]any)
	require.Equal(t, []any{500.0, 5000.0, "approved", "example-45", 2.0, 0.0},
		[]any{charge["fen"], charge["compensation_fen"], charge["compensation_state"], charge["policy"], charge["policy_version"], charge["fault_pct"]})
	line := fmt.Sprintf("%s/lines/%v/", path, charge["line"])
	why := `{"reason": "not ours"}`
	for _, by := range []events.Actor{partnerB, providerA} {
		d.ask(by, "POST", line+"dispute", why, 404, "If-Match", h.Get("ETag"))
	}
	d.ask(finance, "POST", line+"dispute", why, 403, "If-Match", h.Get("ETag"))
	d.ask(partnerA, "POST", line+"dispute", `{"reason": " "}`, 400, "If-Match", h.Get("ETag"))
	_, h = d.ask(partnerA, "POST", line+"dispute", why, 200, "If-Match", h.Get("ETag"))
	for _, what := range []string{"uphold", "overturn"} {
		d.ask(partnerA, "POST", line+what, why, 403, "If-Match", h.Get("ETag"))
	}
	_, h = d.ask(finance, "POST", line+"uphold", why, 200, "If-Match", h.Get("ETag"))
	d.ask(finance, "POST", path+"/confirm", "", 403, "If-Match", h.Get("ETag"))
	_, h = d.ask(partnerA, "POST", path+"/confirm", "", 200, "If-Match", h.Get("ETag"))
	invoice := `{"fapiao_number": "25322000000123456789", "tax_pct": 6}`
	d.ask(partnerA, "POST", path+"/fapiao", invoice, 403, "If-Match", h.Get("ETag"))
	d.ask(providerA, "POST", path+"/fapiao", invoice, 404, "If-Match", h.Get("ETag"))
	_, h = d.ask(finance, "POST", path+"/fapiao", invoice, 200, "If-Match", h.Get("ETag"))
	d.ask(partnerA, "POST", path+"/settle", `{"how": "paid", "reference": "bank 17"}`, 403, "If-Match", h.Get("ETag"))
	d.ask(finance, "POST", path+"/settle", `{"how": "set_off", "reference": "fees"}`, 400, "If-Match", h.Get("ETag"))
	d.ask(finance, "POST", path+"/settle", `{"how": "paid", "reference": "bank 17"}`, 200, "If-Match", h.Get("ETag"))
	d.ask(finance, "POST", path+"/settle", `{"how": "paid", "reference": "bank 17"}`, 412, "If-Match", h.Get("ETag"))

	// It takes its statement away under its own words: a share, and no fee.
	file, _, _ := fetch(t, d, partnerA, "/v1/exports/statements/"+st["id"].(string))
	written, sums := readCSV(t, file)
	require.Len(t, written, 2)
	require.Equal(t, sla.Fen(500), fenOf(t, sums["total_yuan"]))
	require.Contains(t, sums["tax_included"], "价税合计")
	require.Contains(t, sums["who_invoices"], "invoices the partner")
	require.Contains(t, string(file), "share_yuan")
	require.NotContains(t, string(file), "fee_yuan")
	require.Contains(t, string(file), "approved,example-45,2,5.00")
}
