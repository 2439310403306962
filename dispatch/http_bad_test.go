package dispatch_test

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
)

func TestBadInputIsNamedAndChangesNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	owner, provider := newOwner(), e.provider()
	crew := e.crew(provider, 500)
	taken := e.assign(owner, crew, "粤B11111")
	other := e.crew(provider, 800)
	over := e.assign(owner, e.crew(provider, 300), "粤B44444")
	overCrew := events.Actor{Role: events.RoleCrew, Subject: over.Body["crew"].(map[string]any)["id"].(string)}
	e.ok(owner, http.MethodPost, "/v1/requests/"+over.id()+"/cancel", map[string]any{"reason": "it starts again"})
	e.pass(2 * time.Second)
	usedKey := key()
	e.ok(owner, http.MethodPost, "/v1/requests", askFor("粤B22222"), "Idempotency-Key", usedKey)
	before := e.counts()

	ask := func(value any, path ...string) any { return with(askFor("粤B99999"), value, path...) }
	foreignID := "crw_" + strings.TrimPrefix(taken.id(), "req_")
	cases := []struct {
		name   string
		as     events.Actor
		method string
		path   string
		body   any
		head   []string
		status int
		code   string
		fields map[string]string
	}{
		{name: "latitude beyond the pole", body: ask(90.01, "location", "lat"), status: 400, code: "invalid", fields: map[string]string{"location.lat": "range"}},
		{name: "longitude beyond the date line", body: ask(-180.5, "location", "lng"), status: 400, code: "invalid", fields: map[string]string{"location.lng": "range"}},
		{name: "NaN as text", body: ask("NaN", "location", "lat"), status: 400, code: "invalid", fields: map[string]string{"location.lat": "type"}},
		{name: "NaN bare", body: `{"location":{"lat":NaN}}`, status: 400, code: "broken_json"},
		{name: "a number beyond all numbers", body: `{"location":{"lat":1e999,"lng":114,"datum":"wgs84"}}`, status: 400},
		{name: "missing coordinates", body: with(ask(nil, "location", "lat").(map[string]any), nil, "location", "lng"), status: 400, code: "invalid", fields: map[string]string{"location.lat": "required", "location.lng": "required"}},
		{name: "missing datum", body: ask(nil, "location", "datum"), status: 400, code: "invalid", fields: map[string]string{"location.datum": "required"}},
		{name: "unknown datum", body: ask("pz90", "location", "datum"), status: 400, code: "invalid", fields: map[string]string{"location.datum": "unknown"}},
		{name: "unknown field", body: ask("x", "colour"), status: 400, code: "invalid", fields: map[string]string{"colour": "unknown"}},
		{name: "misspelt field", body: ask("x", "vehicle", "plates"), status: 400, code: "invalid", fields: map[string]string{"vehicle.plates": "unknown"}},
		{name: "wrong types and wrong values together", body: with(ask(7, "contact", "name").(map[string]any), "mars", "location", "datum"), status: 400, code: "invalid",
			fields: map[string]string{"contact.name": "type", "location.datum": "unknown"}},
		{name: "an empty body", body: `{}`, status: 400, code: "invalid", fields: map[string]string{
			"contact.name": "required", "contact.phone": "required", "vehicle.plate": "required", "vehicle.energy": "required",
			"problem": "required", "location.lat": "required", "location.lng": "required", "location.datum": "required"}},
		{name: "a list", body: `[]`, status: 400, code: "invalid"},
		{name: "null", body: `null`, status: 400, code: "invalid"},
		{name: "no body", body: ``, status: 400, code: "body_required"},
		{name: "broken JSON", body: `{"contact":`, status: 400, code: "broken_json"},
		{name: "text after the JSON", body: `{} {}`, status: 400, code: "broken_json"},
		{name: "another media type", body: `<request/>`, head: []string{"Content-Type", "application/xml"}, status: 415, code: "unsupported_media_type"},
		{name: "bytes", body: `{}`, head: []string{"Content-Type", "application/octet-stream"}, status: 415, code: "unsupported_media_type"},
		{name: "numbers that no place has", body: strings.NewReplacer(strconv.FormatFloat(futianLat, 'f', -1, 64), "1e999", strconv.FormatFloat(futianLng, 'f', -1, 64), "-1e999").Replace(text(t, askFor("粤B99999"))), status: 400, code: "invalid", fields: map[string]string{"location.lat": "range", "location.lng": "range"}},
		{name: "a body over the limit", body: `{"contact":{"name":"` + strings.Repeat("x", 1<<20) + `"}}`, status: 413, code: "body_too_large"},
		{name: "a note that is too long", body: ask(strings.Repeat("x", 1001), "location", "note"), status: 400, code: "invalid", fields: map[string]string{"location.note": "too_long"}},
		{name: "a bad destination", body: ask(map[string]any{"lat": 100, "lng": 1, "datum": ""}, "destination"), status: 400, code: "invalid", fields: map[string]string{"destination.lat": "range", "destination.datum": "required"}},
		{name: "unknown problem and energy", body: with(ask("flat", "problem").(map[string]any), "steam", "vehicle", "energy"), status: 400, code: "invalid", fields: map[string]string{"problem": "unknown", "vehicle.energy": "unknown"}},
		{name: "no key", body: askFor("粤B99999"), head: []string{"Idempotency-Key", ""}, status: 400, code: "invalid", fields: map[string]string{"Idempotency-Key": "required"}},
		{name: "a used key with another body", body: askFor("粤B33333"), head: []string{"Idempotency-Key", usedKey}, status: 422, code: "idempotency_key_reused"},
		{name: "a plate with an open request", body: askFor("粤b 11111"), status: 409, code: "plate_has_open_request"},
		{name: "outside the covered area", body: with(ask(35.6, "location", "lat").(map[string]any), 139.7, "location", "lng"), status: 422, code: "outside_covered_area"},

		{name: "another noun's identifier", method: "GET", path: "/v1/requests/" + foreignID, status: 400, code: "invalid", fields: map[string]string{"id": "format"}},
		{name: "no identifier", method: "GET", path: "/v1/requests/42", status: 400, code: "invalid", fields: map[string]string{"id": "format"}},
		{name: "an unknown query parameter", as: desk, method: "GET", path: "/v1/requests?colour=red", status: 400, code: "invalid", fields: map[string]string{"colour": "unknown"}},
		{name: "a forged cursor", as: desk, method: "GET", path: "/v1/requests?cursor=xyz", status: 400, code: "invalid", fields: map[string]string{"cursor": "cursor"}},
		{name: "a cursor to nowhere", as: desk, method: "GET", path: "/v1/queue?cursor=" + rawCursor(`{"v":1,"k":"queue","p":{}}`), status: 400, code: "invalid", fields: map[string]string{"cursor": "cursor"}},
		{name: "a cursor to nothing", as: desk, method: "GET", path: "/v1/requests?cursor=" + rawCursor(`{"v":1,"k":"requests","p":null}`), status: 400, code: "invalid", fields: map[string]string{"cursor": "cursor"}},
		{name: "a foreign cursor", as: desk, method: "GET", path: "/v1/queue?cursor=eyJ2IjoxLCJrIjoiY3Jld3MiLCJwIjoiIn0", status: 400, code: "invalid"},
		{name: "an unknown state", as: desk, method: "GET", path: "/v1/requests?state=lost", status: 400, code: "invalid"},
		{name: "a limit beyond the limit", as: desk, method: "GET", path: "/v1/queue?limit=5000", status: 400, code: "invalid", fields: map[string]string{"limit": "range"}},

		{name: "arrived in the future", as: crew, path: "/v1/requests/" + taken.id() + "/arrive", body: map[string]any{"arrived_at": e.clock.Now().Add(6 * time.Second)}, status: 400, code: "invalid", fields: map[string]string{"arrived_at": "range"}},
		{name: "arrived before the assignment", as: crew, path: "/v1/requests/" + taken.id() + "/arrive", body: map[string]any{"arrived_at": e.clock.Now().Add(-time.Hour)}, status: 400, code: "invalid", fields: map[string]string{"arrived_at": "range"}},
		{name: "arrived in the year 1", as: crew, path: "/v1/requests/" + taken.id() + "/arrive", body: map[string]any{"arrived_at": "0001-01-01T00:00:00Z"}, status: 400, code: "invalid", fields: map[string]string{"arrived_at": "range"}},
		{name: "arrived at no time", as: crew, path: "/v1/requests/" + taken.id() + "/arrive", body: map[string]any{"arrived_at": "soon"}, status: 400, code: "invalid", fields: map[string]string{"arrived_at": "format"}},
		{name: "arrived after it was called off", as: overCrew, path: "/v1/requests/" + over.id() + "/arrive", body: map[string]any{"arrived_at": e.clock.Now()}, status: 409, code: "request_closed"},
		{name: "finished before it arrived", as: crew, path: "/v1/requests/" + taken.id() + "/finish", body: map[string]any{"outcome": "fixed"}, status: 409, code: "state_refused"},
		{name: "unknown outcome", as: crew, path: "/v1/requests/" + taken.id() + "/finish", body: map[string]any{"outcome": "eaten"}, status: 400, code: "invalid", fields: map[string]string{"outcome": "unknown"}},
		{name: "cancelled without a reason", path: "/v1/requests/" + taken.id() + "/cancel", body: map[string]any{}, status: 400, code: "invalid", fields: map[string]string{"reason": "required"}},
		{name: "an offer nobody made", as: crew, path: "/v1/offers/" + events.NewID[events.OfferID]().String() + "/accept", status: 404, code: "offer_not_found"},
		{name: "reassigned to nobody known", as: desk, path: "/v1/requests/" + taken.id() + "/reassign", body: map[string]any{"crew_id": events.NewID[events.CrewID](), "reason": "x"}, head: []string{"If-Match", `"3"`}, status: 404, code: "crew_not_found"},
		{name: "reassigned to a request", as: desk, path: "/v1/requests/" + taken.id() + "/reassign", body: map[string]any{"crew_id": taken.id(), "reason": "x"}, head: []string{"If-Match", `"3"`}, status: 400, code: "invalid", fields: map[string]string{"crew_id": "format"}},
		{name: "a crew that can do nothing known", as: root, path: "/v1/crews", body: map[string]any{"provider_id": provider.Subject, "name": "", "capabilities": []string{"flying"}}, status: 400, code: "invalid", fields: map[string]string{"name": "required", "capabilities": "unknown"}},
		{name: "a crew wrong in every way", as: root, path: "/v1/crews", body: map[string]any{"name": 7, "phone": "x", "plate": "!", "capabilities": []string{"flying"}, "provider_id": "prv_1", "colour": "red"}, status: 400, code: "invalid",
			fields: map[string]string{"name": "type", "phone": "format", "plate": "format", "capabilities": "unknown", "provider_id": "format", "colour": "unknown"}},
		{name: "a provider's own crew", as: provider, path: "/v1/crews", body: map[string]any{"capabilities": true}, status: 400, code: "invalid", fields: map[string]string{"name": "required", "capabilities": "type"}},
		{name: "a crew changed in every wrong way", as: root, method: "PATCH", path: "/v1/crews/" + crew.Subject, body: map[string]any{"name": 7, "phone": "x", "capabilities": []string{}}, status: 400, code: "invalid",
			fields: map[string]string{"name": "type", "phone": "format", "capabilities": "required"}},
		{name: "a provider wrong in every way", as: root, path: "/v1/providers", body: map[string]any{"name": 7, "phone": "x"}, status: 400, code: "invalid", fields: map[string]string{"name": "type", "phone": "format"}},
		{name: "a partner wrong in every way", as: root, path: "/v1/partners", body: map[string]any{"name": " ", "phone": "x"}, status: 400, code: "invalid", fields: map[string]string{"name": "required", "phone": "unknown"}},
		{name: "reassigned at a version nothing has", as: desk, path: "/v1/requests/" + taken.id() + "/reassign", body: map[string]any{"reason": "x"}, head: []string{"If-Match", `"0"`}, status: 400, code: "invalid", fields: map[string]string{"If-Match": "etag"}},
		{name: "reassigned at any version", as: desk, path: "/v1/requests/" + taken.id() + "/reassign", body: map[string]any{"reason": "x"}, head: []string{"If-Match", "*"}, status: 400, code: "invalid", fields: map[string]string{"If-Match": "etag"}},
		{name: "reassigned in every wrong way", as: desk, path: "/v1/requests/" + taken.id() + "/reassign", body: map[string]any{"crew_id": 5, "reason": " "}, head: []string{"If-Match", `"3"`}, status: 400, code: "invalid", fields: map[string]string{"crew_id": "type", "reason": "required"}},
		{name: "decided in every wrong way", as: desk, path: "/v1/requests/" + taken.id() + "/decide-arrival", body: map[string]any{"accept": "yes", "arrived_at": "soon"}, status: 400, code: "invalid", fields: map[string]string{"accept": "type", "arrived_at": "format", "reason": "required"}},
		{name: "called off in every wrong way", path: "/v1/requests/" + taken.id() + "/cancel", body: map[string]any{"reason": strings.Repeat("x", 501), "why": "x"}, status: 400, code: "invalid", fields: map[string]string{"reason": "too_long", "why": "unknown"}},
		{name: "too many positions", as: crew, path: "/v1/positions", body: map[string]any{"positions": make([]map[string]any, 1001)}, status: 400, code: "invalid"},
		{name: "another crew's shift", as: other, path: "/v1/crews/" + crew.Subject + "/end-shift", status: 404, code: "crew_not_found"},
		{name: "a method nobody offers", method: "DELETE", path: "/v1/requests/" + taken.id(), status: 405, code: "method_not_allowed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.as == nobody {
				c.as = owner
			}
			if c.method == "" {
				c.method = http.MethodPost
			}
			if c.path == "" {
				c.path = "/v1/requests"
			}
			head := append([]string{"Idempotency-Key", key()}, c.head...)
			got := e.call(c.as, c.method, c.path, c.body, head...)
			require.Equal(t, c.status, got.Status, got.Text)
			require.Equal(t, "application/problem+json", got.Header.Get("Content-Type"))
			if c.code != "" {
				require.Equal(t, c.code, got.Body["code"], got.Text)
			}
			if c.fields != nil {
				require.Equal(t, c.fields, got.fields(), got.Text)
			}
			if c.code == "plate_has_open_request" {
				require.Equal(t, taken.id(), got.Body["request_id"])
			}
			require.NotEmpty(t, got.Body["title"])
		})
	}
	require.Equal(t, before, e.counts(), "refused input leaves nothing behind")
	golden(t, "problem_fields", e.call(owner, http.MethodPost, "/v1/requests", with(askFor("粤B99999"), "mars", "location", "datum"), "Idempotency-Key", key()).Text)
	golden(t, "problem_conflict", e.call(owner, http.MethodPost, "/v1/requests", askFor("粤B11111"), "Idempotency-Key", key()).Text)
}

func rawCursor(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// counts counts what bad input might have left behind.
func (e *edge) counts() [5]int {
	e.t.Helper()
	var n [5]int
	err := e.pool.QueryRow(e.t.Context(), `SELECT
		(SELECT count(*) FROM dispatch.requests), (SELECT count(*) FROM dispatch.crews),
		(SELECT count(*) FROM dispatch.offers), (SELECT count(*) FROM dispatch.words),
		(SELECT count(*) FROM events.journal)`).Scan(&n[0], &n[1], &n[2], &n[3], &n[4])
	require.NoError(e.t, err)
	return n
}

// TestWhoMayDoWhat goes through every role and route. The actors know nothing
// of the request, the crew and the offer in the paths: a role that is let in
// finds nothing there (404) unless it sees everything.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	provider := e.provider()
	crew := e.crew(provider, 500)
	request := e.assign(newOwner(), crew, "粤B11111")
	e.ok(crew, http.MethodPost, "/v1/requests/"+request.id()+"/depart", nil)
	roles := map[string]events.Actor{
		"none": nobody, "owner": newOwner(), "partner": e.partner(), "provider": e.provider(), "crew": e.crew(e.provider(), 90_000),
		"operator": desk, "finance": finance, "admin": root,
	}
	req, crw, ofr := "/v1/requests/"+request.id(), "/v1/crews/"+crew.Subject, "/v1/offers/"+events.NewID[events.OfferID]().String()
	reason := map[string]any{"reason": "test"}
	routes := []struct {
		route string
		body  any
		head  []string
		// want is the status by role; the role "*" stands for all not named.
		want map[string]int
	}{
		{route: "GET /v1/clock", want: map[string]int{"*": 200}},
		{route: "GET /v1/speeds", want: map[string]int{"none": 401, "operator": 200, "admin": 200, "*": 403}},
		{route: "GET /v1/areas", want: map[string]int{"*": 200}},
		{route: "POST /v1/requests", body: map[string]any{}, want: map[string]int{"*": 400}},
		{route: "GET /v1/requests", want: map[string]int{"none": 401, "*": 200}},
		{route: "GET " + req, want: map[string]int{"none": 401, "operator": 200, "finance": 200, "admin": 200, "*": 404}},
		{route: "GET " + req + "/timeline", want: map[string]int{"none": 401, "operator": 200, "finance": 200, "admin": 200, "*": 404}},
		{route: "GET " + req + "/considered", want: map[string]int{"none": 401, "operator": 200, "admin": 200, "*": 403}},
		{route: "GET " + req + "/stream", want: map[string]int{"none": 401, "owner": 404, "partner": 404, "provider": 404, "crew": 404}},
		{route: "POST " + req + "/arrive", body: map[string]any{"arrived_at": "2026-03-02T02:00:00Z"}, want: map[string]int{"none": 401, "crew": 404, "provider": 404, "*": 403}},
		{route: "POST " + req + "/depart", want: map[string]int{"none": 401, "crew": 404, "provider": 404, "operator": 409, "admin": 409, "*": 403}},
		{route: "POST " + req + "/confirm-arrival", body: map[string]any{"code": "0000"}, want: map[string]int{"none": 401, "owner": 403, "partner": 403, "crew": 404, "*": 403}},
		{route: "POST " + req + "/decide-arrival", body: map[string]any{"accept": true, "reason": "x"}, want: map[string]int{"none": 401, "operator": 409, "admin": 409, "*": 403}},
		{route: "POST " + req + "/finish", body: map[string]any{"outcome": "fixed"}, want: map[string]int{"none": 401, "crew": 404, "provider": 404, "operator": 409, "admin": 409, "*": 403}},
		{route: "POST " + req + "/reassign", body: map[string]any{"reason": "x", "crew_id": crew.Subject}, head: []string{"If-Match", `"99"`}, want: map[string]int{"none": 401, "operator": 412, "admin": 412, "*": 403}},
		{route: "POST " + req + "/release", body: reason, head: []string{"If-Match", `"99"`}, want: map[string]int{"none": 401, "crew": 404, "provider": 404, "operator": 412, "admin": 412, "*": 403}},
		{route: "POST " + req + "/cancel", body: reason, head: []string{"If-Match", `"99"`}, want: map[string]int{"none": 401, "owner": 404, "partner": 404, "operator": 412, "admin": 412, "*": 403}},
		{route: "GET /v1/crews", want: map[string]int{"none": 401, "provider": 200, "operator": 200, "admin": 200, "*": 403}},
		{route: "GET " + crw, want: map[string]int{"none": 401, "crew": 404, "provider": 404, "operator": 200, "admin": 200, "*": 403}},
		{route: "POST /v1/crews", body: map[string]any{}, want: map[string]int{"none": 401, "provider": 400, "operator": 400, "admin": 400, "*": 403}},
		{route: "PATCH " + crw, body: map[string]any{}, head: []string{"If-Match", `"99"`}, want: map[string]int{"none": 401, "crew": 404, "provider": 404, "operator": 412, "admin": 412, "*": 403}},
		{route: "POST " + crw + "/start-shift", want: map[string]int{"none": 401, "crew": 404, "provider": 404, "operator": 409, "admin": 409, "*": 403}},
		{route: "GET /v1/offers", want: map[string]int{"none": 401, "crew": 200, "provider": 200, "operator": 200, "admin": 200, "*": 403}},
		{route: "POST " + ofr + "/accept", want: map[string]int{"none": 401, "crew": 404, "provider": 404, "operator": 404, "admin": 404, "*": 403}},
		{route: "POST " + ofr + "/decline", body: reason, want: map[string]int{"none": 401, "crew": 404, "provider": 404, "operator": 404, "admin": 404, "*": 403}},
		{route: "POST " + ofr + "/withdraw", body: reason, want: map[string]int{"none": 401, "operator": 404, "admin": 404, "*": 403}},
		{route: "POST /v1/positions", body: map[string]any{"positions": []any{with(position(e.clock.Now(), 1), crew.Subject, "crew_id")}}, want: map[string]int{"none": 401, "operator": 200, "admin": 200, "*": 403}},
		{route: "GET /v1/advice/moves", want: map[string]int{"none": 401, "provider": 200, "operator": 200, "admin": 200, "*": 403}},
		{route: "GET /v1/queue", want: map[string]int{"none": 401, "operator": 200, "admin": 200, "*": 403}},
		{route: "GET /v1/queue/stream", want: map[string]int{"none": 401, "owner": 403, "partner": 403, "provider": 403, "crew": 403, "finance": 403}},
		{route: "GET /v1/offers/stream", want: map[string]int{"none": 401, "owner": 403, "partner": 403, "finance": 403}},
		{route: "POST /v1/providers", body: map[string]any{}, want: map[string]int{"none": 401, "operator": 400, "admin": 400, "*": 403}},
		{route: "GET /v1/providers", want: map[string]int{"none": 401, "provider": 200, "operator": 200, "finance": 200, "admin": 200, "*": 403}},
		{route: "POST /v1/partners", body: map[string]any{}, want: map[string]int{"none": 401, "operator": 400, "admin": 400, "*": 403}},
		{route: "GET /v1/partners", want: map[string]int{"none": 401, "operator": 200, "finance": 200, "admin": 200, "*": 403}},
		{route: "POST /v1/areas", body: "id\n", head: []string{"Content-Type", "text/csv"}, want: map[string]int{"none": 401, "admin": 400, "*": 403}},
	}
	before := e.counts()
	for _, r := range routes {
		method, path, _ := strings.Cut(r.route, " ")
		for name, as := range roles {
			want, ok := r.want[name]
			if !ok {
				if want, ok = r.want["*"]; !ok {
					continue // a stream that would not end
				}
			}
			got := e.call(as, method, path, r.body, append([]string{"Idempotency-Key", key()}, r.head...)...)
			require.Equal(t, want, got.Status, "%s as %s: %s", r.route, name, got.Text)
		}
	}
	require.Equal(t, before, e.counts())
}
