package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"

	"rescued/internal/fault"
	"rescued/internal/pg"
)

// ProblemType is the media type of every error body (RFC 9457).
const ProblemType = "application/problem+json"

// defaultRetryAfter is what a busy or limited caller waits when the error
// does not say.
const defaultRetryAfter = 2 * time.Second

// ProblemBody is the body of every error answer, as RFC 9457 has it. Facts
// stand beside the other members (request_id of a duplicate, for instance).
type ProblemBody struct {
	_        struct{}       `additionalProperties:"true"`
	Type     string         `json:"type" format:"uri-reference" doc:"Names the kind of problem: /problems/ and its code." example:"/problems/invalid"`
	Title    string         `json:"title" doc:"The kind of problem in the reader's language (en, zh)."`
	Status   int            `json:"status" doc:"The HTTP status."`
	Code     string         `json:"code" doc:"Stable word for programs." example:"invalid"`
	Detail   string         `json:"detail,omitempty" doc:"What is wrong here and how to mend it."`
	Instance string         `json:"instance,omitempty" format:"uri-reference" doc:"The path that was asked for."`
	TraceID  string         `json:"trace_id,omitempty" doc:"X-Request-Id of this exchange; name it when you report the problem."`
	Fields   []fault.Field  `json:"fields,omitempty" doc:"Every wrong field."`
	Facts    map[string]any `json:"-"`
	headers  http.Header
}

// Error implements error, and huma.StatusError with GetStatus.
func (p *ProblemBody) Error() string { return p.Code + ": " + p.Detail }

// GetStatus is the HTTP status.
func (p *ProblemBody) GetStatus() int { return p.Status }

// ContentType makes huma label the body as a problem.
func (p *ProblemBody) ContentType(string) string { return ProblemType }

// MarshalJSON puts the facts beside the other members. A fact never
// replaces a member of the standard.
func (p *ProblemBody) MarshalJSON() ([]byte, error) {
	type plain ProblemBody
	base, err := json.Marshal((*plain)(p))
	if err != nil || len(p.Facts) == 0 {
		return base, err
	}
	members := maps.Clone(p.Facts)
	own := map[string]json.RawMessage{}
	if err := json.Unmarshal(base, &own); err != nil {
		return nil, err
	}
	for name, value := range own {
		members[name] = value
	}
	return json.Marshal(members)
}

// transport is an error of HTTP itself, which has a status that no
// fault.Kind stands for (405, 415, 428).
type transport struct {
	fault  *fault.Error
	status int
}

// Error implements error.
func (t transport) Error() string { return t.fault.Error() }

// Unwrap keeps the fault reachable for errors.As.
func (t transport) Unwrap() error { return t.fault }

// Problem writes err as application/problem+json and is the one place that
// logs an internal error. Nothing may have been written to w before.
func Problem(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(r.Context(), r.URL.Path, languageOf(r.Header.Get("Accept-Language")), err)
	body, _ := json.Marshal(p) // problemOf has tried the facts
	maps.Copy(w.Header(), p.headers)
	w.Header().Set("Content-Type", ProblemType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n')) // nobody is left to tell
	}
}

// problemOf turns an error into its body and logs it when it is ours to mend.
func problemOf(ctx context.Context, path, lang string, err error) *ProblemBody {
	f := faultOf(err)
	if _, failed := json.Marshal(f.Facts); failed != nil { // a mistake of ours
		err = fmt.Errorf("facts of %v: %w", err, failed)
		f = faultOf(err)
	}
	p := &ProblemBody{
		Type: "/problems/" + f.Code, Status: statusOf(err, f), Code: f.Code,
		Title: title(lang, f), Detail: detail(lang, f),
		Instance: path, TraceID: RequestID(ctx), Fields: f.Fields, Facts: f.Facts,
		headers: http.Header{},
	}
	switch f.Kind {
	case fault.Busy, fault.Limited:
		wait := f.RetryAfter
		if wait <= 0 {
			wait = defaultRetryAfter
		}
		p.headers.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	case fault.Unauthorized:
		p.headers.Set("WWW-Authenticate", `Bearer realm="rescued"`)
	}
	switch {
	case f.Kind == fault.Internal:
		logger(ctx).ErrorContext(ctx, "internal error", "error", err, "route", route(ctx), "request_id", p.TraceID)
	case f.Kind == fault.Busy && f.Err != nil && !errors.Is(ctx.Err(), context.Canceled): // else the caller left, and that broke it
		logger(ctx).WarnContext(ctx, "busy", "error", err, "route", route(ctx), "request_id", p.TraceID)
	}
	return p
}

// faultOf finds the meaning of err. What has none is busy when it would pass
// by itself (the database is away), and internal otherwise. An internal
// error shows nothing of itself.
func faultOf(err error) *fault.Error {
	var f *fault.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &f) && f.Kind != fault.Internal && statuses[f.Kind] != 0:
		return f
	case errors.As(err, &tooLarge):
		return bodyTooLarge(tooLarge.Limit)
	case pg.Transient(err):
		return fault.New(fault.Busy, "busy", "A part of the service is away for a moment; try again.").Because(err)
	}
	return &fault.Error{Kind: fault.Internal, Code: "internal", Err: err}
}

func bodyTooLarge(limit int64) *fault.Error {
	return fault.New(fault.TooLarge, "body_too_large", "").
		Detailf("The body is over the limit of %d bytes; send less at once.", limit).With("limit_bytes", limit)
}

// statuses gives each kind its status; an unknown kind is internal.
var statuses = map[fault.Kind]int{
	fault.Invalid:       http.StatusBadRequest,
	fault.Unauthorized:  http.StatusUnauthorized,
	fault.Forbidden:     http.StatusForbidden,
	fault.NotFound:      http.StatusNotFound,
	fault.Conflict:      http.StatusConflict,
	fault.Stale:         http.StatusPreconditionFailed,
	fault.TooLarge:      http.StatusRequestEntityTooLarge,
	fault.Unprocessable: http.StatusUnprocessableEntity,
	fault.Limited:       http.StatusTooManyRequests,
	fault.Busy:          http.StatusServiceUnavailable,
	fault.Internal:      http.StatusInternalServerError,
}

func statusOf(err error, f *fault.Error) int {
	var t transport
	if errors.As(err, &t) {
		return t.status
	}
	return statuses[f.Kind]
}
