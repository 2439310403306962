package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"rescued/internal/web"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	s := open(t, nil, nil)
	broken := make(chan error, 1)
	s.health.Register("database", func(context.Context) error { return nil })
	s.health.Register("broker", func(ctx context.Context) error {
		select {
		case err := <-broken:
			return err
		default:
			return nil
		}
	})
	require.Equal(t, 200, s.call("GET", "/livez", "").status)
	require.JSONEq(t, `{"status":"ready"}`, s.call("GET", "/readyz", "").body)

	broken <- errors.New("no broker at 127.0.0.1:9092")
	got := s.call("GET", "/readyz?verbose", "")
	require.Equal(t, 503, got.status)
	var state web.Readiness
	require.NoError(t, json.Unmarshal([]byte(got.body), &state))
	require.Equal(t, "not_ready", state.Status)
	require.Equal(t, "broker", state.Checks[0].Name)
	require.Contains(t, state.Checks[0].Error, "9092")
	require.True(t, state.Checks[1].OK)

	s.health.Drain()
	got = s.call("GET", "/readyz", "", "Authorization", "Bearer down")
	require.Equal(t, 503, got.status)
	require.JSONEq(t, `{"status":"draining"}`, got.body)
	require.Equal(t, 200, s.call("GET", "/livez", "").status, "draining is not dead")
}

func TestACheckThatHangsIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := web.NewHealth()
		h.Register("slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		start := time.Now()
		require.Equal(t, "not_ready", h.Ready(context.Background()).Status)
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}

func pages(t *testing.T, change func(*web.Options)) *site {
	return open(t, change, func(r chi.Router, api huma.API) {
		r.Get("/r/{token}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page") })
		r.Get("/panic", func(http.ResponseWriter, *http.Request) { panic("secret state") })
		r.Get("/late-panic", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "half")
			panic("late")
		})
		r.With(web.BodyLimit(10)).Post("/form", func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				web.Problem(w, r, err)
				return
			}
			fmt.Fprint(w, "taken")
		})
		web.Register(api, huma.Operation{OperationID: "opPanic", Method: http.MethodGet, Path: "/op-panic"}, web.Anyone(),
			func(context.Context, *struct{}) (*struct{}, error) { panic("secret state") })
		web.Register(api, huma.Operation{OperationID: "deadline", Method: http.MethodGet, Path: "/deadline"}, web.Anyone(),
			func(ctx context.Context, _ *struct{}) (*struct{ Body bool }, error) {
				_, ok := ctx.Deadline()
				return &struct{ Body bool }{ok}, nil
			})
	})
}

func TestNoAddressNoMethod(t *testing.T) {
	t.Parallel()
	s := pages(t, nil)
	got := s.call("GET", "/nowhere", "")
	require.Equal(t, 404, got.status)
	require.Equal(t, "no_such_route", got.problem(t)["code"])
	got = s.call("DELETE", "/form", "")
	require.Equal(t, 405, got.status)
	require.Equal(t, "method_not_allowed", got.problem(t)["code"])
	require.Equal(t, "POST", got.header.Get("Allow"))
	for _, path := range []string{"/r/%00", "/r/x?a=%00", "/r/%ff", "/r/x?a=%ff", "/r/x?a=%zz"} {
		got = s.call("GET", path, "")
		require.Equal(t, 400, got.status, path)
		require.Equal(t, "bad_address", got.problem(t)["code"])
	}
	require.Equal(t, 200, s.call("GET", "/r/x?a=%E6%B2%AA+A", "").status)
}

func TestPanicsAreProblems(t *testing.T) {
	t.Parallel()
	s := pages(t, nil)
	for _, path := range []string{"/panic", "/op-panic"} {
		got := s.call("GET", path, "")
		require.Equal(t, 500, got.status)
		require.Equal(t, "internal", got.problem(t)["code"])
		require.NotContains(t, got.body, "secret")
	}
	res, err := http.Get(s.server.URL + "/late-panic")
	if err == nil { // cut off, so that nobody takes the half for the whole
		_, err = io.ReadAll(res.Body)
		require.NoError(t, res.Body.Close())
	}
	require.Error(t, err)
	require.Equal(t, 200, s.call("GET", "/livez", "").status)
	s.server.Close()
	require.Equal(t, 2, strings.Count(s.log.String(), "secret state"))
	require.Contains(t, s.log.String(), "router_test.go", "with its stack")
}

func TestHeadersAndLog(t *testing.T) {
	t.Parallel()
	s := pages(t, nil)
	got := s.call("GET", "/r/tracking-secret?token=s3cret", "", "Authorization", "Bearer anna", "X-Request-Id", "a b")
	require.Contains(t, got.header.Get("Content-Security-Policy"), "default-src 'self'")
	require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
	require.Equal(t, "no-referrer", got.header.Get("Referrer-Policy"))
	require.Len(t, got.header.Get("X-Request-Id"), 36, "an unfit id is replaced")
	s.call("GET", "/r/x", "", "Authorization", "Bearer owner")
	require.Equal(t, "true\n", s.call("GET", "/deadline", "").body)
	s.server.Close()
	log := s.log.String()
	require.Contains(t, log, "route=/r/{token} status=200")
	require.Contains(t, log, "actor=operator")
	require.Contains(t, log, "actor=own_")
	require.NotContains(t, log, "secret")
	require.NotContains(t, log, "s3cret")
	require.NotContains(t, log, "anna", "staff by role only")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := pages(t, nil)
	s.call("GET", "/r/one", "")
	s.call("BREW", "/r/two", "")
	s.call("GET", "/nowhere/1", "")
	got := s.call("GET", "/metrics", "").body
	require.Contains(t, got, `rescued_http_request_duration_seconds_count{method="GET",route="/r/{token}",status="200"} 1`)
	require.Contains(t, got, `method="other"`)
	require.Contains(t, got, `route="unmatched",status="404"`)
	require.Contains(t, got, "rescued_http_requests_open 1")
	require.Contains(t, got, "go_goroutines")
	require.NotContains(t, got, "BREW")
	require.NotContains(t, got, "/r/one")
}

func TestFormsAreLimited(t *testing.T) {
	t.Parallel()
	s := pages(t, nil)
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	require.Equal(t, "taken", s.call("POST", "/form", "a=1", form...).body)
	got := s.call("POST", "/form", "a=12345678901", form...)
	require.Equal(t, 413, got.status)
	require.EqualValues(t, 10, got.problem(t)["limit_bytes"])
	req, err := http.NewRequest("POST", s.server.URL+"/form", struct{ io.Reader }{strings.NewReader("a=12345678901")})
	require.NoError(t, err)
	req.Header.Set(form[0], form[1])
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 413, res.StatusCode, "found while reading")
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	s := pages(t, func(o *web.Options) {
		o.AnonymousPerMinute, o.ActorPerMinute = 2, 3
		o.TrustedProxies = []string{"127.0.0.0/8"}
	})
	post := func(ip string, headers ...string) answer {
		return s.call("POST", "/form", "", append(headers, "X-Forwarded-For", ip)...)
	}
	require.Equal(t, 200, post("8.8.8.8").status)
	got := post("8.8.8.8")
	require.Equal(t, "2", got.header.Get("RateLimit-Limit"))
	require.Equal(t, "0", got.header.Get("RateLimit-Remaining"))
	got = post("8.8.8.8")
	require.Equal(t, 429, got.status)
	require.Equal(t, "rate_limited", got.problem(t)["code"])
	require.Equal(t, got.header.Get("RateLimit-Reset"), got.header.Get("Retry-After"))
	require.Regexp(t, `^[1-9][0-9]?$`, got.header.Get("Retry-After"))
	require.Equal(t, 200, post("9.9.9.9").status, "another address has its own count")
	require.Equal(t, 200, s.call("GET", "/r/x", "", "X-Forwarded-For", "8.8.8.8").status, "reading goes on")

	for _, ip := range []string{"1.1.1.1", "2.2.2.2", "3.3.3.3"} {
		require.Equal(t, 200, post(ip, "Authorization", "Bearer anna").status)
	}
	require.Equal(t, 429, post("4.4.4.4", "Authorization", "Bearer anna").status, "an actor is one caller wherever it is")
	require.Equal(t, 200, post("4.4.4.4", "Authorization", "Bearer owner").status)
}

// A call may take the whole of the time an operation has, whether it sent
// something or not, and so may the next one on the same connection.
func TestACallMayTakeItsTime(t *testing.T) {
	t.Parallel()
	const long = 6 * time.Second
	wait := func(ctx context.Context, seconds time.Duration) (*struct{}, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(seconds):
			return nil, nil
		}
	}
	s := open(t, nil, func(_ chi.Router, api huma.API) {
		web.Register(api, huma.Operation{OperationID: "order", Method: http.MethodPost, Path: "/wait"}, web.Anyone(),
			func(ctx context.Context, in *struct {
				Body struct {
					Long bool `json:"long"`
				}
			}) (*struct{}, error) {
				if in.Body.Long {
					return wait(ctx, long)
				}
				return wait(ctx, 0)
			})
		web.Register(api, huma.Operation{OperationID: "ask", Method: http.MethodGet, Path: "/wait"}, web.Anyone(),
			func(ctx context.Context, _ *struct{}) (*struct{}, error) { return wait(ctx, long) })
	})
	for method, body := range map[string]string{"POST": `{"long":true}`, "GET": ""} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.server.URL, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			answers := bufio.NewReader(conn)
			for _, call := range [][2]string{{method, body}, {"POST", `{"long":false}`}} {
				_, err = fmt.Fprintf(conn, "%s /wait HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", call[0], len(call[1]), call[1])
				require.NoError(t, err)
				res, err := http.ReadResponse(answers, nil)
				require.NoError(t, err)
				text, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				require.Equal(t, http.StatusNoContent, res.StatusCode, "%s", text)
			}
		})
	}
}
