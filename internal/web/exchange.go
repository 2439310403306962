package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
)

// exchange is what the edge knows about one request and its answer.
type exchange struct {
	id    string
	url   *url.URL
	log   *slog.Logger
	drain context.Context
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

// identify gives every exchange its id and its place in the context.
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
