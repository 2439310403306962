package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rescued/events"
	"rescued/internal/fault"
)

// Options says how the edge is set up.
type Options struct {
	Log      *slog.Logger             // nil: slog.Default
	Tokens   Authenticator            // required
	Health   *Health                  // required
	Registry *prometheus.Registry     // required; shown at /metrics
	Home     func(events.Role) string // where a role starts after login; nil: "/"
	// TrustedProxies are the CIDR prefixes whose X-Forwarded-For is believed.
	TrustedProxies []string
	// AnonymousPerMinute limits unsafe calls of one address that has not
	// signed in, ActorPerMinute all calls of one actor; 0 sets no limit.
	AnonymousPerMinute, ActorPerMinute int
}

// contentPolicy lets pages load nothing from any other host.
const contentPolicy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

// stack is the middleware that every exchange passes.
type stack struct {
	log   *slog.Logger
	drain context.Context
	meter *meter
}

// Router is the whole edge: health, metrics, login, and what mount adds,
// behind request ids, logs, metrics, panics caught, security headers,
// authentication and limits. mount usually makes one API with NewAPI and
// hands it to each slice.
func Router(o Options, mount func(chi.Router)) (http.Handler, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Home == nil {
		o.Home = func(events.Role) string { return "/" }
	}
	meter, err := newMeter(o.Registry)
	if err != nil {
		return nil, fmt.Errorf("http metrics: %w", err)
	}
	address := middleware.ClientIPFromRemoteAddr
	if len(o.TrustedProxies) > 0 {
		address = middleware.ClientIPFromXFF(o.TrustedProxies...)
	}
	s := &stack{log: o.Log, drain: o.Health.drain, meter: meter}
	root := chi.NewRouter()
	root.Use(s.exchange, s.observe, s.recover, secure, refuseOddText)
	root.NotFound(func(w http.ResponseWriter, r *http.Request) { Problem(w, r, errNoRoute) })
	root.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		for _, method := range methods {
			if root.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		Problem(w, r, transport{errMethod, http.StatusMethodNotAllowed})
	})
	o.Health.mount(root)
	root.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{Registry: o.Registry}))
	root.Group(func(r chi.Router) {
		r.Use(address)
		MountLogin(r.With(RateLimit(o.AnonymousPerMinute, time.Minute)), o.Tokens, o.Home)
		r.Group(func(r chi.Router) {
			r.Use(Authenticate(o.Tokens),
				anonymousWrites(RateLimit(o.AnonymousPerMinute, time.Minute)),
				knownCallers(RateLimit(o.ActorPerMinute, time.Minute)))
			mount(r)
		})
	})
	return root, nil
}

var (
	errNoRoute = fault.New(fault.NotFound, "no_such_route", "There is nothing at this address; /openapi.json lists what there is.")
	errMethod  = fault.New(fault.Invalid, "method_not_allowed", "This address does not take this method; Allow lists those it takes.")
	errOddText = fault.New(fault.Invalid, "bad_address", "The address holds a NUL character or is not UTF-8; correct its percent-encoding.")
)

// Server is an http.Server with limits for slow and silent clients. Streams
// lift the write limit for themselves.
func Server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// observe writes one log line and the metrics of each exchange. It names the
// route, never the path or query: those may hold tracking and login tokens.
func (s *stack) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rw := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		s.meter.open.Inc()
		defer func() {
			s.meter.open.Dec()
			took := time.Since(start)
			status := rw.Status()
			if status == 0 {
				status = http.StatusOK
			}
			pattern := route(r.Context())
			s.meter.took.WithLabelValues(methodLabel(r.Method), pattern, strconv.Itoa(status)).Observe(took.Seconds())
			level := slog.LevelInfo
			if pattern == "/livez" || pattern == "/readyz" || pattern == "/metrics" {
				level = slog.LevelDebug
			}
			s.log.LogAttrs(r.Context(), level, "http",
				slog.String("method", methodLabel(r.Method)), slog.String("route", pattern), slog.Int("status", status),
				slog.Int("bytes", rw.BytesWritten()), slog.Int64("ms", took.Milliseconds()),
				slog.String("actor", actorLabel(r.Context())), slog.String("request_id", RequestID(r.Context())))
		}()
		next.ServeHTTP(rw, r)
	})
}

// recover turns a panic into an internal problem, logged with its stack.
func (s *stack) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			if rw, ok := w.(middleware.WrapResponseWriter); ok && rw.Status() != 0 {
				logger(r.Context()).ErrorContext(r.Context(), "internal error", "error", err, "route", route(r.Context()), "request_id", RequestID(r.Context()))
				panic(http.ErrAbortHandler) // the answer has begun: cut it, so nobody takes it for whole
			}
			Problem(w, r, err)
		}()
		next.ServeHTTP(w, r)
	})
}

// secure sets the headers that keep browsers from doing more than asked.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer") // addresses hold tracking tokens
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "geolocation=(self), camera=(), microphone=()")
		if overTLS(r) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// refuseOddText keeps out of paths and queries what Postgres cannot store.
func refuseOddText(next http.Handler) http.Handler {
	odd := func(s string) bool { return strings.ContainsRune(s, 0) || !utf8.ValidString(s) }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.QueryUnescape(r.URL.RawQuery)
		if err != nil || odd(query) || odd(r.URL.Path) {
			Problem(w, r, errOddText)
			return
		}
		next.ServeHTTP(w, r)
	})
}
