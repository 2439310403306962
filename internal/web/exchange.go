package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"rescued/events"
)

// exchange is what the edge knows about one request and its answer.
type exchange struct {
	id    string
	url   *url.URL
	log   *slog.Logger
	drain context.Context
	actor events.Actor // set once it is known, for the log line
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	e, _ := ctx.Value(exchangeKey{}).(*exchange)
	return e
}

// RequestID names the exchange in logs, problems and the X-Request-Id
// header; it is the caller's when that was fit.
func RequestID(ctx context.Context) string {
	if e := exchangeOf(ctx); e != nil {
		return e.id
	}
	return ""
}

func logger(ctx context.Context) *slog.Logger {
	if e := exchangeOf(ctx); e != nil && e.log != nil {
		return e.log
	}
	return slog.Default()
}

// drainOf ends when the server is about to stop.
func drainOf(ctx context.Context) context.Context {
	if e := exchangeOf(ctx); e != nil && e.drain != nil {
		return e.drain
	}
	return context.Background()
}

// route is the matched pattern (/v1/requests/{id}). Logs and metrics use it
// instead of the path, which may hold a tracking token.
func route(ctx context.Context) string {
	if rc := chi.RouteContext(ctx); rc != nil {
		if p := rc.RoutePattern(); p != "" {
			return p
		}
	}
	return "unmatched"
}

// exchange gives every exchange its id and its place in the context.
func (s *stack) exchange(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !fitRequestID(id) {
			id = uuid.NewString()
		}
		w.Header().Set("X-Request-Id", id)
		e := &exchange{id: id, url: r.URL, log: s.log, drain: s.drain}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e)))
	})
}

// actorLabel names the actor in logs: by identifier, and staff by role
// only, whose subject is a person's name. The journal keeps who did what.
func actorLabel(ctx context.Context) string {
	e := exchangeOf(ctx)
	switch {
	case e == nil || e.actor.Role == "":
		return "anonymous"
	case e.actor.Is(events.RoleOwner, events.RoleCrew, events.RoleProvider, events.RolePartner):
		return e.actor.Subject
	}
	return string(e.actor.Role)
}

// fitRequestID keeps foreign text out of the logs.
func fitRequestID(id string) bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
