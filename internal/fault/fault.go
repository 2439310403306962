// Package fault names what can go wrong in words a program can act on.
//
// A slice declares its errors beside the type they concern (ErrOfferGone) and
// wraps what lies below. Only internal/web turns a Kind into an HTTP status,
// and only events.Runner turns it into "retry" or "dead letter".
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what a caller may do about an error. The set is closed.
type Kind string

const (
	Invalid       Kind = "invalid"       // the input is wrong; the fields say where
	Unauthorized  Kind = "unauthorized"  // nobody is known to be asking
	Forbidden     Kind = "forbidden"     // somebody known, not allowed
	NotFound      Kind = "not_found"     // it does not exist, or not for this caller
	Conflict      Kind = "conflict"      // the present state refuses it
	Stale         Kind = "stale"         // the caller's version is not the present one
	TooLarge      Kind = "too_large"     // the body is over its limit
	Unprocessable Kind = "unprocessable" // well formed, but cannot be meant
	Limited       Kind = "limited"       // too many calls; wait
	Busy          Kind = "busy"          // a part is missing or overloaded; try again
	Internal      Kind = "internal"      // ours to mend
)

// Field is one wrong field of an input: its place, a stable code and the mend.
type Field struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Error is an error with a meaning. Code is stable and machine-readable
// (offer_gone); Detail is one sentence for a person, with the mend.
type Error struct {
	Kind       Kind
	Code       string
	Detail     string
	Fields     []Field        // Invalid: every wrong field at once
	Facts      map[string]any // further members of the problem body, such as request_id
	RetryAfter time.Duration  // Busy and Limited: wall-clock wait before another try
	Err        error          // the cause; logged, never shown
}

// New makes an error of a kind. Declare it once beside the type it concerns.
func New(kind Kind, code, detail string) *Error {
	return &Error{Kind: kind, Code: code, Detail: detail}
}

// InvalidFields gathers wrong fields into one error, or nil when there are none.
func InvalidFields(fields []Field) error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Code: "invalid", Detail: "The input is not valid; see fields.", Fields: fields}
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	b.WriteString("/")
	b.WriteString(e.Code)
	if e.Detail != "" {
		b.WriteString(": ")
		b.WriteString(e.Detail)
	}
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s: %s", f.Field, f.Detail)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the same declared error: same kind and code.
// So errors.Is(err, ErrOfferGone) holds for every copy made by With or Because.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Code == e.Code
}

// With returns a copy that carries one more fact for the caller.
func (e *Error) With(key string, value any) *Error {
	c := *e
	c.Facts = make(map[string]any, len(e.Facts)+1)
	for k, v := range e.Facts {
		c.Facts[k] = v
	}
	c.Facts[key] = value
	return &c
}

// Detailf returns a copy with another sentence.
func (e *Error) Detailf(format string, args ...any) *Error {
	c := *e
	c.Detail = fmt.Sprintf(format, args...)
	return &c
}

// Because returns a copy that wraps its cause.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// KindOf gives the kind of err; an error without one is Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Wrap adds the name and arguments of the function it is deferred in to a
// non-nil *err, so that a log line shows the path without touching each return.
func Wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *err)
	}
}
