package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// names maps a token to its actor; anything else is unknown.
type names map[string]events.Actor

func (n names) Authenticate(_ context.Context, token string) (events.Actor, error) {
	if token == "down" {
		return events.Actor{}, io.ErrUnexpectedEOF // a lost connection
	}
	if a, ok := n[token]; ok {
		return a, nil
	}
	return events.Actor{}, web.BadToken
}

var people = names{
	"anna":  {Role: events.RoleOperator, Subject: "anna"},
	"owner": {Role: events.RoleOwner, Subject: "own_01920e5c-7d5f-7a3b-8c1d-2e3f4a5b6c7d"},
}

// site is one edge under test with its log.
type site struct {
	t      testing.TB
	server *httptest.Server
	health *web.Health
	log    *buffer
}

// buffer is a log that may be written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func open(t testing.TB, change func(*web.Options), mount func(chi.Router, huma.API)) *site {
	t.Helper()
	s := &site{t: t, health: web.NewHealth(), log: &buffer{}}
	o := web.Options{
		Log:    slog.New(slog.NewTextHandler(s.log, nil)),
		Tokens: people, Health: s.health, Registry: web.NewRegistry(),
		Home: func(r events.Role) string { return "/home/" + string(r) },
	}
	if change != nil {
		change(&o)
	}
	handler, err := web.Router(o, func(r chi.Router) {
		api := web.NewAPI(r, "Test", "1")
		if mount != nil {
			mount(r, api)
		}
	})
	require.NoError(t, err)
	s.server = httptest.NewUnstartedServer(nil)
	s.server.Config = web.Server(handler)
	s.server.Start()
	t.Cleanup(s.server.Close)
	t.Cleanup(s.health.Drain)
	return s
}

type answer struct {
	status int
	header http.Header
	body   string
}

// problem reads the body as a problem and checks what all problems have.
func (a answer) problem(t testing.TB) map[string]any {
	t.Helper()
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), a.body)
	var p map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &p))
	require.EqualValues(t, a.status, p["status"])
	require.Equal(t, "/problems/"+p["code"].(string), p["type"])
	require.NotEmpty(t, p["title"])
	require.Equal(t, a.header.Get("X-Request-Id"), p["trace_id"])
	return p
}

// fields maps each wrong field to its code.
func (a answer) fields(t testing.TB) map[string]string {
	t.Helper()
	p := a.problem(t)
	out := map[string]string{}
	list, _ := p["fields"].([]any)
	for _, item := range list {
		f := item.(map[string]any)
		require.NotEmpty(t, f["detail"])
		require.NotContains(t, out, f["field"], "a field is named once")
		out[f["field"].(string)] = f["code"].(string)
	}
	return out
}

// call sends a request; headers come in pairs.
func (s *site) call(method, path, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, s.server.URL+path, strings.NewReader(body))
	require.NoError(s.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return answer{res.StatusCode, res.Header, string(text)}
}

var errGone = fault.New(fault.Conflict, "offer_gone", "Somebody else took the offer.")
