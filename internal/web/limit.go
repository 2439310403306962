package web

import (
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"

	"rescued/internal/fault"
)

// ErrRateLimited says that the caller is over its limit; it carries the wait.
var ErrRateLimited = fault.New(fault.Limited, "rate_limited", "Too many calls; wait as long as Retry-After says.")

// RateLimit lets each caller make calls per window of wall time: a signed-in
// actor is one caller wherever it is, anybody else is one per address (a /64
// in IPv6). Answers carry RateLimit-Limit, -Remaining and -Reset (seconds);
// one call too many is 429. Counts are kept per replica. It needs the actor,
// so it stands behind Authenticate. calls <= 0 sets no limit.
func RateLimit(calls int, window time.Duration) func(http.Handler) http.Handler {
	if calls <= 0 {
		return func(next http.Handler) http.Handler { return next }
	}
	limiter := httprate.NewRateLimiter(calls, window, httprate.WithResponseHeaders(httprate.ResponseHeaders{
		Limit: "RateLimit-Limit", Remaining: "RateLimit-Remaining", Reset: "RateLimit-Reset",
	}))
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			over := limiter.OnLimit(w, r, callerOf(r))
			wait := secondsUntil(w.Header().Get("RateLimit-Reset"))
			w.Header().Set("RateLimit-Reset", strconv.Itoa(wait))
			if over {
				limited := *ErrRateLimited
				limited.RetryAfter = time.Duration(wait) * time.Second
				Problem(w, r, &limited)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func callerOf(r *http.Request) string {
	if actor, ok := ActorFrom(r.Context()); ok {
		return actor.String()
	}
	address := middleware.GetClientIP(r.Context())
	if address == "" { // straight to us, past the trusted proxies
		address, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	return httprate.CanonicalizeIP(address)
}

// BodyLimit refuses bodies over limit bytes, for handlers that are no
// operations of an API, such as forms: those limit themselves.
func BodyLimit(limit int64) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > limit {
				Problem(w, r, bodyTooLarge(limit))
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, limit)
			next.ServeHTTP(w, r)
		})
	}
}

// secondsUntil turns the limiter's Unix time into the seconds that the
// RateLimit headers speak of; at least one.
func secondsUntil(unix string) int {
	at, err := strconv.ParseInt(unix, 10, 64)
	if err != nil {
		return 1
	}
	return max(1, int(at-time.Now().Unix()))
}

// anonymousWrites applies limit to unsafe calls of callers nobody knows.
func anonymousWrites(limit func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		limited := limit(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, known := ActorFrom(r.Context())
			if known || r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
				next.ServeHTTP(w, r)
				return
			}
			limited.ServeHTTP(w, r)
		})
	}
}

// knownCallers applies limit to every call of a signed-in actor.
func knownCallers(limit func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		limited := limit(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, known := ActorFrom(r.Context()); known {
				limited.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
