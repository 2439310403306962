package sla_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/events"
)

// TestABatchOverHTTP takes a batch from draft to settled as a client does,
// once with results as JSON and once as a file.
func TestABatchOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	list := r.approved(4)

	d.ask(finance, "POST", "/v1/batches", `{"title":"March"}`, 400)
	d.ask(operator, "POST", "/v1/batches", `{"title":"March"}`, 403, "Idempotency-Key", "k1")
	got, h := d.ask(finance, "POST", "/v1/batches", `{"title":"March"}`, 200, "Idempotency-Key", "k1")
	require.Empty(t, h.Get("Idempotency-Hit"))
	_, h = d.ask(finance, "POST", "/v1/batches", `{"title":"March"}`, 200, "Idempotency-Key", "k1")
	require.Equal(t, "true", h.Get("Idempotency-Hit"))
	d.ask(finance, "POST", "/v1/batches", `{"title":"April"}`, 422, "Idempotency-Key", "k1")
	path := "/v1/batches/" + got["id"].(string)

	d.ask(finance, "PUT", path+"/lines/"+list[0].ID.String(), "", 200)
	got, _ = d.ask(finance, "PUT", path+"/lines/"+list[0].ID.String(), "", 409)
	require.Equal(t, "compensation_in_batch", got["code"])
	d.ask(finance, "DELETE", path+"/lines/"+list[0].ID.String(), "", 200)
	got, _ = d.ask(finance, "POST", path+"/fill", `{"limit":3}`, 200)
	require.EqualValues(t, 3, got["added"])
	require.Equal(t, true, got["more"])
	got, h = d.ask(finance, "POST", path+"/fill", `{"policy":"example-45"}`, 200)
	require.EqualValues(t, 1, got["added"])
	require.Equal(t, false, got["more"])

	d.ask(finance, "POST", path+"/seal", "", 428)
	_, h = d.ask(finance, "POST", path+"/seal", "", 200, "If-Match", h.Get("ETag"))
	sealed := h.Get("ETag")
	got, _ = d.ask(finance, "POST", path+"/approve", `{"reason":"mine"}`, 403, "If-Match", sealed)
	require.Equal(t, "second_person", got["code"])
	d.ask(finance2, "POST", path+"/approve", `{"reason":"checked"}`, 412, "If-Match", `"1"`)
	got, h = d.ask(finance2, "POST", path+"/approve", `{"reason":"checked"}`, 200, "If-Match", sealed)
	require.Equal(t, "approved", got["state"])
	require.Equal(t, "finance:zhou", got["approved_by"])
	d.ask(finance2, "POST", path+"/submit?via=pigeon", "", 409, "If-Match", h.Get("ETag"))
	d.ask(finance2, "POST", path+"/submit", "", 200, "If-Match", h.Get("ETag"))
	got, _ = d.ask(admin, "GET", path+"/payout", "", 200)
	require.Equal(t, "waiting", got["state"])
	_, err := r.PayOut(t.Context())
	require.NoError(t, err)
	got, _ = d.ask(admin, "GET", path+"/payout", "", 200)
	require.Equal(t, "sent", got["state"])
	require.Contains(t, got["key"], "payout-")

	// Two lines as JSON, the others as a file.
	page, _ := d.ask(finance, "GET", path+"/lines?limit=2", "", 200)
	rest, _ := d.ask(finance, "GET", path+"/lines?limit=3&cursor="+page["next_cursor"].(string), "", 200)
	require.Len(t, rest["items"], 2)
	type line = map[string]any
	var sum int
	var lines []line
	for _, item := range page["items"].([]any) {
		item := item.(line)
		require.Equal(t, "open", item["state"])
		sum += int(item["fen"].(float64))
		lines = append(lines, line{"reference": item["reference"], "outcome": "paid", "fen": item["fen"], "paid_on": "2026-03-02"})
	}
	body, err := json.Marshal(line{"lines": lines, "total": line{"lines": 2, "fen": sum}, "paid": line{"lines": 2, "fen": sum}})
	require.NoError(t, err)
	got, _ = d.ask(finance, "POST", path+"/results", strings.Replace(string(body), "2026-03-02", "2026-03-32", 1), 400)
	require.Contains(t, fmt.Sprint(got["fields"]), "paid_on")
	d.ask(finance, "POST", path+"/results", string(body), 200)
	_, h = d.ask(finance, "POST", path+"/results", string(body), 200)
	require.Equal(t, "true", h.Get("Idempotency-Hit"))

	first, second := rest["items"].([]any)[0].(line), rest["items"].([]any)[1].(line)
	yuan := func(l line) string {
		return fmt.Sprintf("%d.%02d", int(l["fen"].(float64))/100, int(l["fen"].(float64))%100)
	}
	csv := "\xef\xbb\xbfoutcome,reference,amount,paid_on,reason,remark\r\n" +
		fmt.Sprintf("paid,%s,%s,2026-03-02,,x\r\n", first["reference"], yuan(first)) +
		fmt.Sprintf("bounced,%s,%s,,\"closed, long ago\",\r\n", second["reference"], yuan(second))
	total := fmt.Sprintf("%d.00", (int(first["fen"].(float64))+int(second["fen"].(float64)))/100)
	query := "?name=results.csv&lines=2&total=" + total + "&paid_lines=1&paid_total=" + yuan(first)
	file := func(text, query string, status int) (map[string]any, string) {
		got, h := d.ask(finance, "POST", path+"/results/file"+query, text, status, "Content-Type", "text/csv")
		return got, h.Get("ETag")
	}
	got, _ = file(strings.Replace(csv, "outcome,", "result,", 1), query, 400)
	require.Contains(t, fmt.Sprint(got["fields"]), "lacks the column outcome")
	got, _ = file(strings.Replace(csv, first["reference"].(string), "nobody", 1), query, 400)
	require.Contains(t, fmt.Sprint(got["fields"]), "unknown_reference")
	got, _ = file(csv, strings.Replace(query, "lines=2", "lines=3", 1), 400)
	require.Contains(t, fmt.Sprint(got["fields"]), "total_differs")
	file("", query, 400)
	file("\"", query, 400)
	got, etag := file(csv, query, 200)
	require.EqualValues(t, 0, got["open"].(line)["lines"])
	require.EqualValues(t, 1, got["bounced"].(line)["lines"])
	got, _ = d.ask(finance, "POST", path+"/settle", "", 200, "If-Match", etag)
	require.Equal(t, "settled", got["state"])

	page, _ = d.ask(finance, "GET", path+"/lines?state=bounced", "", 200)
	require.Equal(t, "closed, long ago", page["items"].([]any)[0].(line)["why"])
	page, _ = d.ask(finance, "GET", path+"/lines?state=paid&limit=1", "", 200)
	require.Equal(t, "2026-03-02", page["items"].([]any)[0].(line)["paid_on"])
	got, _ = d.ask(finance, "GET", "/v1/compensations/"+second["compensation_id"].(string), "", 200)
	require.EqualValues(t, 1, got["bounces"])

	page, _ = d.ask(admin, "GET", "/v1/batches?state=settled", "", 200)
	require.Len(t, page["items"], 1)
	d.ask(operator, "GET", "/v1/batches", "", 403)
	d.ask(finance, "GET", "/v1/batches/"+events.NewID[events.BatchID]().String(), "", 404)
	d.ask(finance, "GET", path+"x", "", 400)
	got, h = d.ask(finance, "POST", "/v1/batches", `{"title":"for nothing"}`, 200, "Idempotency-Key", "k2")
	d.ask(finance, "POST", "/v1/batches/"+got["id"].(string)+"/discard", `{"reason":"opened twice"}`, 200, "If-Match", h.Get("ETag"))
	r.seal()
	r.clean()
}
