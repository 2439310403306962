package sla_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/web"
	"rescued/sla"
)

// door is the slice's API with somebody at it.
type door struct {
	*testing.T
	http.Handler
}

func newDoor(t *testing.T, r *rig) door {
	router := chi.NewRouter()
	r.Register(web.NewAPI(router, "rescued", "test"))
	return door{t, router}
}

// ask calls as by and decodes the answer, which must have the status.
func (d door) ask(by events.Actor, method, path, body string, status int, header ...string) (answer map[string]any, h http.Header) {
	d.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, path, reader).WithContext(web.WithActor(context.Background(), by))
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	d.ServeHTTP(rec, req)
	require.Equal(d, status, rec.Code, "%s %s: %s", method, path, rec.Body)
	require.NoError(d, json.Unmarshal(rec.Body.Bytes(), &answer))
	return answer, rec.Header()
}

func TestAPageOfARequestExplainsItself(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	id := r.late(11*time.Minute + 11*time.Second)
	owner := events.Actor{Role: events.RoleOwner, Subject: "own_1"}
	got, h := d.ask(owner, "GET", "/v1/requests/"+id.String()+"/guarantee", "", 200)
	require.Equal(t, "late", got["state"])
	require.EqualValues(t, 5000, got["owed_fen"])
	require.EqualValues(t, 671, got["late_s"])
	require.Equal(t, "example-45", got["promise"].(map[string]any)["policy"])
	require.Equal(t, "accrued", got["compensation"].(map[string]any)["state"])
	reasons := got["reasons"].([]any)
	last := reasons[len(reasons)-1].(map[string]any)
	require.Equal(t, "第 2 档（超过 10 分至 30 分）：¥50.00", last["zh"])
	require.EqualValues(t, 5000, last["fen"])
	require.Equal(t, fmt.Sprintf(`"%v"`, got["version"]), h.Get("ETag"))

	d.ask(events.Actor{Role: events.RoleCrew, Subject: "crw_1"}, "GET", "/v1/requests/"+id.String()+"/guarantee", "", 404)
	d.ask(operator, "GET", "/v1/requests/"+events.NewID[events.RequestID]().String()+"/guarantee", "", 404)
	d.ask(operator, "GET", "/v1/requests/cmp_x/guarantee", "", 400)
	d.ask(owner, "GET", "/v1/guarantees", "", 403)
}

func TestListsArePaged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	want := map[string]bool{}
	for n := range 7 {
		r.at(opened.Add(time.Duration(n/2) * time.Minute)) // some accrue at the same moment
		want[r.late(time.Minute).String()] = true
	}
	for _, list := range []string{"/v1/guarantees?state=late&limit=3", "/v1/compensations?state=accrued&limit=3"} {
		seen, cursor, pages := map[string]bool{}, "", 0
		for {
			page, _ := d.ask(finance, "GET", list+"&cursor="+cursor, "", 200)
			pages++
			for _, item := range page["items"].([]any) {
				id := item.(map[string]any)["request_id"].(string)
				require.False(t, seen[id], "no row twice")
				seen[id] = true
			}
			next, more := page["next_cursor"].(string)
			if !more {
				break
			}
			cursor = next
		}
		require.Equal(t, want, seen)
		require.Equal(t, 3, pages)
	}
	page, _ := d.ask(finance, "GET", "/v1/compensations?from="+opened.Add(time.Minute).Format(time.RFC3339)+"&to="+opened.Add(2*time.Minute).Format(time.RFC3339), "", 200)
	require.Len(t, page["items"], 2)
	page, _ = d.ask(finance, "GET", "/v1/compensations?area=elsewhere", "", 200)
	require.Empty(t, page["items"])
	d.ask(finance, "GET", "/v1/compensations?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "", 400)
	d.ask(finance, "GET", "/v1/compensations?state=lost", "", 400)
	d.ask(finance, "GET", "/v1/guarantees?cursor=nonsense", "", 400)
	d.ask(operator, "GET", "/v1/compensations", "", 403)
}

func TestFinanceDecidesOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	c := r.live(r.late(time.Minute))
	path := "/v1/compensations/" + c.ID.String()
	got, h := d.ask(finance, "GET", path, "", 200)
	require.EqualValues(t, 2000, got["fen"])
	etag := h.Get("ETag")

	d.ask(finance, "POST", path+"/approve", `{"reason":"ok"}`, 428)
	d.ask(finance, "POST", path+"/approve", `{"reason":""}`, 400, "If-Match", etag)
	d.ask(finance, "POST", path+"/approve", `{"reason":"ok","fen":1}`, 400, "If-Match", etag)
	d.ask(operator, "POST", path+"/approve", `{"reason":"ok"}`, 403, "If-Match", etag)
	got, _ = d.ask(finance, "POST", path+"/uphold", `{"reason":"ok"}`, 409, "If-Match", etag)
	require.Equal(t, "state_refused", got["code"])
	_, h = d.ask(operator, "POST", path+"/dispute", `{"reason":"the owner says it was on time"}`, 200, "If-Match", etag)
	got, _ = d.ask(finance, "POST", path+"/uphold", `{"reason":"ok"}`, 412, "If-Match", etag)
	require.Equal(t, "version_stale", got["code"])
	got, _ = d.ask(finance, "POST", path+"/overturn", `{"reason":"the owner withdrew it"}`, 200, "If-Match", h.Get("ETag"))
	require.Equal(t, "void", got["state"])
	require.Equal(t, "finance:lin", got["voided_by"])
	requireBalance(t, r, 0)

	id := events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"))
	_, h = d.ask(operator, "GET", "/v1/requests/"+id.String()+"/guarantee", "", 200)
	got, _ = d.ask(operator, "POST", "/v1/requests/"+id.String()+"/guarantee/waive", `{"reason":"a test call"}`, 200, "If-Match", h.Get("ETag"))
	require.Equal(t, "waived", got["state"])
}

func TestPoliciesAreForEverybodyToRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	owner := events.Actor{Role: events.RoleOwner, Subject: "own_1"}
	got, _ := d.ask(owner, "GET", "/v1/policies", "", 200)
	require.Len(t, got["items"], 1)
	got, _ = d.ask(owner, "GET", "/v1/policies/example-45/1", "", 200)
	for _, more := range []string{"digest", "added_at", "activated_at"} {
		require.Contains(t, got, more)
		delete(got, more)
	}
	var document map[string]any
	require.NoError(t, json.Unmarshal(example(t), &document))
	require.Equal(t, document, got, "as it was stored")
	d.ask(owner, "GET", "/v1/policies/example-45/2", "", 404)
	d.ask(owner, "GET", "/v1/policies/example-45/zero", "", 400)
}

// TestACrewIsNotToldWhatLatenessPays shows one promise to an owner and to the
// crew that has his request.
func TestACrewIsNotToldWhatLatenessPays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Service = sla.New(r.pool, sla.Config{Now: r.now, Visible: func(context.Context, events.Actor, events.RequestID) error { return nil }})
	d := newDoor(t, r)
	path := "/v1/requests/" + r.late(11*time.Minute).String()
	d.ask(theOwner, "GET", path+"/guarantee", "", 200)
	got, _ := d.ask(crew, "GET", path+"/guarantee", "", 200)
	require.Equal(t, "late", got["state"])
	require.NotContains(t, got, "compensation")
	require.Zero(t, got["owed_fen"])
	require.Zero(t, got["raw_fen"])
	reasons := got["reasons"].([]any)
	require.Equal(t, "Late by 11 min", reasons[len(reasons)-1].(map[string]any)["en"], "and of why, all but the amounts")
	recorded, _ := d.ask(crew, "POST", path+"/facts", `{"kind":"evidence","source":"photo"}`, 200, "Idempotency-Key", "k")
	require.NotContains(t, recorded["guarantee"], "compensation")
	text, err := json.Marshal([]any{got, recorded})
	require.NoError(t, err)
	require.NotContains(t, string(text), "¥")
}
