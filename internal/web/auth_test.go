package web_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/web"
)

func whoami(t *testing.T) *site {
	return open(t, nil, func(_ chi.Router, api huma.API) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			web.Register(api, huma.Operation{OperationID: "who" + method, Method: method, Path: "/who"}, web.Anyone(),
				func(ctx context.Context, _ *struct{}) (*struct{ Body events.Actor }, error) {
					a, _ := web.ActorFrom(ctx)
					return &struct{ Body events.Actor }{a}, nil
				})
		}
	})
}

func TestBearer(t *testing.T) {
	t.Parallel()
	s := whoami(t)
	require.Contains(t, s.call("GET", "/who", "").body, `"subject":""`, "anonymous")
	require.Contains(t, s.call("GET", "/who", "", "Authorization", "bearer anna").body, `"subject":"anna"`)
	for _, header := range []string{"Bearer nobody", "Bearer", "Basic anna", "anna", "Bearer "} {
		got := s.call("GET", "/who", "", "Authorization", header)
		if header == "Bearer " || header == "Bearer" { // the client trims the space
			require.Equal(t, 401, got.status)
			continue
		}
		require.Equal(t, 401, got.status, header)
		require.NotEmpty(t, got.header.Get("WWW-Authenticate"))
		got.problem(t)
	}
	got := s.call("GET", "/who", "", "Authorization", "Bearer down")
	require.Equal(t, 503, got.status, "a database that is away is no verdict")
	require.NotEmpty(t, got.header.Get("Retry-After"))
}

func TestSessionCookie(t *testing.T) {
	t.Parallel()
	s := whoami(t)
	cookie := []string{"Cookie", "rescued_session=anna"}
	with := func(more ...string) []string { return append(append([]string{}, cookie...), more...) }
	require.Contains(t, s.call("GET", "/who", "", cookie...).body, "anna")
	require.Contains(t, s.call("GET", "/who", "", with("Sec-Fetch-Site", "cross-site")...).body, "anna", "reading is safe")
	for name, tc := range map[string]struct {
		headers []string
		status  int
	}{
		"same origin":         {with("Sec-Fetch-Site", "same-origin"), 200},
		"typed by the user":   {with("Sec-Fetch-Site", "none"), 200},
		"cross site":          {with("Sec-Fetch-Site", "cross-site"), 403},
		"same site":           {with("Sec-Fetch-Site", "same-site"), 403},
		"old browser, ours":   {with("Origin", s.server.URL), 200},
		"old browser, theirs": {with("Origin", "http://evil.example"), 403},
		"no browser":          {cookie, 200},
		"bearer cross site":   {[]string{"Authorization", "Bearer anna", "Sec-Fetch-Site", "cross-site"}, 200},
	} {
		require.Equal(t, tc.status, s.call("POST", "/who", "", tc.headers...).status, name)
	}
	got := s.call("GET", "/who", "", "Cookie", "rescued_session=expired")
	require.Equal(t, 200, got.status, "a stale session does not shut anybody out")
	require.Contains(t, got.body, `"subject":""`)
	require.Contains(t, got.header.Get("Set-Cookie"), "Max-Age=0")
	require.Equal(t, 503, s.call("GET", "/who", "", "Cookie", "rescued_session=down").status)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	s := whoami(t)
	got := s.call("GET", "/login?token=anna", "")
	require.Equal(t, 303, got.status)
	require.Equal(t, "/home/operator", got.header.Get("Location"))
	set := got.header.Get("Set-Cookie")
	require.Contains(t, set, "rescued_session=anna")
	require.Contains(t, set, "HttpOnly")
	require.Contains(t, set, "SameSite=Lax")
	require.NotContains(t, set, "Secure")
	require.Equal(t, "no-referrer", got.header.Get("Referrer-Policy"), "the token stands in the address")
	require.Contains(t, s.call("GET", "/login?token=anna", "", "X-Forwarded-Proto", "https").header.Get("Set-Cookie"), "Secure")

	for next, to := range map[string]string{
		"/queue?city=310000": "/queue?city=310000",
		"//evil.example":     "/home/operator",
		"/%5Cevil.example":   "/home/operator",
		"https://evil":       "/home/operator",
		"/%09/evil.example":  "/home/operator",
		"javascript:x":       "/home/operator",
	} {
		at := "/login?token=anna&next=" + next
		if next == "/queue?city=310000" {
			at = "/login?token=anna&next=%2Fqueue%3Fcity%3D310000"
		}
		require.Equal(t, to, s.call("GET", at, "").header.Get("Location"), next)
	}
	got = s.call("GET", "/login?token=nobody", "")
	require.Equal(t, 401, got.status)
	require.Empty(t, got.header.Get("Set-Cookie"))

	require.Equal(t, 403, s.call("POST", "/logout", "", "Sec-Fetch-Site", "cross-site").status)
	got = s.call("POST", "/logout", "", "Cookie", "rescued_session=anna")
	require.Equal(t, 303, got.status)
	require.Contains(t, got.header.Get("Set-Cookie"), "Max-Age=0")
	s.server.Close()
	require.NotContains(t, s.log.String(), "token=anna", "a login link is a key: never in the log")
}
