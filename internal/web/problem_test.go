package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"rescued/internal/fault"
	"rescued/internal/fsm"
	"rescued/internal/web"
)

// failing is a site whose one operation and one plain handler return err.
func failing(t *testing.T, err error) *site {
	return open(t, nil, func(r chi.Router, api huma.API) {
		web.Register(api, huma.Operation{OperationID: "fail", Method: http.MethodGet, Path: "/op"}, web.Anyone(),
			func(context.Context, *struct{}) (*struct{}, error) { return nil, err })
		r.Get("/plain", func(w http.ResponseWriter, r *http.Request) { web.Problem(w, r, err) })
	})
}

func TestEveryKindHasItsStatus(t *testing.T) {
	t.Parallel()
	_, refused := fsm.Table[string, string]{"open": {"cancel": "cancelled"}}.Next("done", "cancel")
	for name, tc := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"invalid":       {fault.New(fault.Invalid, "c", "d"), 400, "c"},
		"unauthorized":  {fault.New(fault.Unauthorized, "c", "d"), 401, "c"},
		"forbidden":     {fault.New(fault.Forbidden, "c", "d"), 403, "c"},
		"not found":     {fault.New(fault.NotFound, "c", "d"), 404, "c"},
		"conflict":      {errGone, 409, "offer_gone"},
		"lifecycle":     {refused, 409, "state_refused"},
		"stale":         {web.CheckVersion(3, 4), 412, "version_changed"},
		"too large":     {fault.New(fault.TooLarge, "c", "d"), 413, "c"},
		"body limit":    {&http.MaxBytesError{Limit: 9}, 413, "body_too_large"},
		"unprocessable": {web.ErrKeyReused, 422, "idempotency_key_reused"},
		"limited":       {fault.New(fault.Limited, "c", "d"), 429, "c"},
		"busy":          {fault.New(fault.Busy, "c", "d"), 503, "c"},
		"lost database": {&pgconn.PgError{Code: "57P01"}, 503, "busy"},
		"unknown":       {errors.New("boom"), 500, "internal"},
		"broken rule":   {&pgconn.PgError{Code: "23505"}, 500, "internal"},
		"internal":      {fault.New(fault.Internal, "secret_code", "secret detail"), 500, "internal"},
		"no such kind":  {fault.New("odd", "secret_code", "secret detail"), 500, "internal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := failing(t, fmt.Errorf("accept: %w", tc.err))
			for _, path := range []string{"/op", "/plain"} {
				got := s.call("GET", path, "")
				p := got.problem(t)
				require.Equal(t, tc.status, got.status)
				require.Equal(t, tc.code, p["code"])
				require.Equal(t, path, p["instance"])
				if tc.status == 500 {
					require.NotContains(t, p, "detail")
					require.NotContains(t, got.body, "secret")
				}
			}
		})
	}
}

func TestProblemCarriesFactsFieldsAndHeaders(t *testing.T) {
	t.Parallel()
	fields := []fault.Field{{Field: "a", Code: "x", Detail: "A."}, {Field: "b", Code: "y", Detail: "B."}}
	s := failing(t, &fault.Error{Kind: fault.Limited, Code: "c", Detail: "d", Fields: fields, RetryAfter: 1100 * time.Millisecond,
		Facts: map[string]any{"request_id": "req_1", "status": 200, "code": "forged"}})
	got := s.call("GET", "/op", "")
	p := got.problem(t) // a fact cannot replace status or code
	require.Equal(t, "req_1", p["request_id"])
	require.Equal(t, "c", p["code"])
	require.Equal(t, map[string]string{"a": "x", "b": "y"}, got.fields(t))
	require.Equal(t, "2", got.header.Get("Retry-After"), "rounded up")
	require.Equal(t, "no-store", got.header.Get("Cache-Control"))

	require.NotEmpty(t, failing(t, fault.New(fault.Busy, "c", "d")).call("GET", "/op", "").header.Get("Retry-After"))
	require.Contains(t, failing(t, web.ErrUnauthorized).call("GET", "/op", "").header.Get("WWW-Authenticate"), "Bearer")
}

func TestInternalErrorsAreLoggedOnceAndNotShown(t *testing.T) {
	t.Parallel()
	s := failing(t, errors.New("password=hunter2"))
	got := s.call("GET", "/op", "", "X-Request-Id", "trace-7")
	require.Equal(t, "trace-7", got.problem(t)["trace_id"])
	require.NotContains(t, got.body, "hunter2")
	s.server.Close()
	log := s.log.String()
	require.Equal(t, 1, strings.Count(log, "hunter2"))
	require.Contains(t, log, "request_id=trace-7")

	s = failing(t, errGone)
	s.call("GET", "/op", "")
	s.server.Close()
	require.NotContains(t, s.log.String(), "offer_gone", "an expected error is no log line")
}

func TestTitlesSpeakTheReadersLanguage(t *testing.T) {
	t.Parallel()
	s := failing(t, errGone)
	for accept, title := range map[string]string{
		"":                        "Not possible in the present state",
		"zh-CN,zh;q=0.9,en;q=0.8": "当前状态不允许此操作",
		"en-GB, zh;q=0.5":         "Not possible in the present state",
		"fr, zh;q=0.3":            "当前状态不允许此操作",
		"de":                      "Not possible in the present state",
		"zh;q=bad, en;q=0.1":      "Not possible in the present state",
		"zh;q=0":                  "Not possible in the present state",
	} {
		for _, path := range []string{"/op", "/plain"} {
			p := s.call("GET", path, "", "Accept-Language", accept).problem(t)
			require.Equal(t, title, p["title"], accept)
			require.Equal(t, errGone.Detail, p["detail"], "a sentence without a translation stays as given")
		}
	}
	r := httptest.NewRequest("GET", "/?lang=zh", nil)
	require.Equal(t, "zh", web.Language(r))
}

func TestAFactThatIsNoJSONIsOurMistake(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	web.Problem(w, httptest.NewRequest("GET", "/", nil), errGone.With("bad", func() {}))
	require.Equal(t, 500, w.Code)
}
