package sla_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestAnAccountAddsUpOverAnyPeriod(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	r.at(opened.Add(time.Hour))
	c := r.live(r.late(time.Minute)) // ¥20.00
	r.at(opened.Add(2 * time.Hour))
	r.late(11 * time.Minute) // ¥50.00
	r.at(opened.Add(3 * time.Hour))
	_, err := r.Void(t.Context(), finance, c.ID, c.Version, "given up")
	require.NoError(t, err)
	r.seal()

	at := func(h int) string {
		return url.QueryEscape(opened.Add(time.Duration(h) * time.Hour).Format(time.RFC3339))
	}
	for _, c := range []struct {
		period                          string
		opening, debits, credits, close float64
	}{
		{"", 0, 2000, 7000, -5000},
		{"?from=" + at(2), -2000, 2000, 5000, -5000},
		{"?to=" + at(2), 0, 0, 2000, -2000},
		{"?from=" + at(2) + "&to=" + at(3), -2000, 0, 5000, -7000},
		{"?from=" + at(4), -5000, 0, 0, -5000},
	} {
		got, _ := d.ask(finance, "GET", "/v1/ledger/accounts/owner_payable"+c.period, "", 200)
		require.Equal(t, []any{c.opening, c.debits, c.credits, c.close}, []any{got["opening_fen"], got["debits_fen"], got["credits_fen"], got["closing_fen"]}, c.period)
	}
	d.ask(finance, "GET", "/v1/ledger/accounts/petty_cash", "", 400)
	d.ask(finance, "GET", "/v1/ledger/accounts/cash?from="+at(2)+"&to="+at(1), "", 400)
	d.ask(operator, "GET", "/v1/ledger/accounts/cash", "", 403)

	list, _ := d.ask(finance, "GET", "/v1/ledger/transactions", "", 200)
	items := list["items"].([]any)
	accrual, void := items[0].(map[string]any), items[2].(map[string]any)
	one, _ := d.ask(finance, "GET", "/v1/ledger/transactions/"+accrual["id"].(string), "", 200)
	require.Equal(t, void["id"], one["reversed_by_id"])
	require.Len(t, one["hash"], 64)
	back, _ := d.ask(finance, "GET", "/v1/ledger/transactions/"+void["id"].(string), "", 200)
	require.Equal(t, accrual["id"], back["reverses_id"])
	require.NotContains(t, back, "reversed_by_id")
	d.ask(finance, "GET", "/v1/ledger/transactions/"+uuid.NewString(), "", 404)
	d.ask(finance, "GET", "/v1/ledger/transactions/seven", "", 400)
	d.ask(operator, "GET", "/v1/ledger/transactions/"+accrual["id"].(string), "", 403)
}
