package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
)

// checkTimeout is the wall time one dependency has to answer.
const checkTimeout = 2 * time.Second

// Health tells an orchestrator whether the process lives and whether it may
// be sent work. It also carries the word that the server is about to stop.
type Health struct {
	mu     sync.Mutex
	checks []check
	drain  context.Context
	begin  context.CancelFunc
}

type check struct {
	name string
	run  func(context.Context) error
}

// CheckResult is what one dependency answered.
type CheckResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Millis int64  `json:"ms"`
	Error  string `json:"error,omitempty"`
}

// Readiness is the body of /readyz. Checks are shown only with ?verbose.
type Readiness struct {
	Status string        `json:"status"` // ready, not_ready or draining
	Checks []CheckResult `json:"checks,omitempty"`
}

// NewHealth is ready as long as no check says otherwise.
func NewHealth() *Health {
	h := &Health{}
	h.drain, h.begin = context.WithCancel(context.Background())
	return h
}

// Register adds a dependency without which no work should come here.
func (h *Health) Register(name string, run func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check{name, run})
}

// Drain makes /readyz fail and ends the streams; call it at SIGTERM, before
// http.Server.Shutdown, which would wait for streams forever.
func (h *Health) Drain() { h.begin() }

// Ready runs all checks at once and gathers the answers by name.
func (h *Health) Ready(ctx context.Context) Readiness {
	h.mu.Lock()
	checks := slices.Clone(h.checks)
	h.mu.Unlock()
	out := Readiness{Status: "ready", Checks: make([]CheckResult, len(checks))}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { out.Checks[i] = c.result(ctx) })
	}
	wg.Wait()
	slices.SortFunc(out.Checks, func(a, b CheckResult) int { return strings.Compare(a.Name, b.Name) })
	if slices.ContainsFunc(out.Checks, func(c CheckResult) bool { return !c.OK }) {
		out.Status = "not_ready"
	}
	if h.drain.Err() != nil {
		out.Status = "draining"
	}
	return out
}

func (c check) result(ctx context.Context) CheckResult {
	start := time.Now()
	err := c.run(ctx)
	out := CheckResult{Name: c.name, OK: err == nil, Millis: time.Since(start).Milliseconds()}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// mount adds /livez and /readyz. Liveness asks no dependency: a restart
// mends none of them.
func (h *Health) mount(r chi.Router) {
	r.Get("/livez", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("alive\n"))
	})
	r.Get("/readyz", func(w http.ResponseWriter, r *http.Request) {
		state := h.Ready(r.Context())
		if !r.URL.Query().Has("verbose") {
			state.Checks = nil
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if state.Status != "ready" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(state)
	})
}
