package main

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rescued/geo"
)

// fastFleet does what crews do, as fast as the service lets it. It keeps no
// state but looks at what the service says and takes the next step: so it can
// be interrupted anywhere, as the service is.
type fastFleet struct {
	api   client
	now   func() time.Time     // business time
	stand map[string]geo.Point // crews that say again and again where they wait

	mu   sync.Mutex
	busy map[string]bool // requests and offers with a call under way
	odd  []string        // answers that should not be
}

func (f *fastFleet) surprises() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.odd
}

func (f *fastFleet) run(ctx context.Context) error {
	var calls errgroup.Group
	calls.SetLimit(16)
	for ctx.Err() == nil {
		f.once(&calls, "positions", func() { f.report(ctx) })
		var offers page[struct {
			ID string `json:"id"`
		}]
		if f.read(ctx, "/v1/offers", &offers) {
			for _, o := range offers.Items {
				f.once(&calls, o.ID, func() { f.answer(ctx, o.ID) })
			}
		}
		var jobs page[requestView]
		if f.read(ctx, "/v1/requests?limit=100&state=assigned,en_route,on_scene", &jobs) {
			for _, r := range jobs.Items {
				f.once(&calls, r.ID, func() { f.work(ctx, r) })
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return calls.Wait()
}

func (f *fastFleet) read(ctx context.Context, path string, out any) bool {
	got, err := f.api.try(ctx, http.MethodGet, path, nil)
	return err == nil && f.expected(path, got, http.StatusOK) && json.Unmarshal(got.body, out) == nil
}

// once does something unless it is under way.
func (f *fastFleet) once(calls *errgroup.Group, id string, do func()) {
	f.mu.Lock()
	started := f.busy[id]
	f.busy[id] = true
	f.mu.Unlock()
	if started {
		return
	}
	calls.Go(func() error {
		do()
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.busy, id)
		return nil
	})
}

// expected notes an answer that is none of the statuses.
func (f *fastFleet) expected(path string, got answer, statuses ...int) bool {
	for _, s := range statuses {
		if got.status == s {
			return true
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.odd = append(f.odd, path+": "+got.String())
	return false
}

// post sends a crew's word. 409 is a fair answer: the replica that died had
// already heard it, or the owner has called it off.
func (f *fastFleet) post(ctx context.Context, path string, in any) {
	right := []int{http.StatusOK, http.StatusConflict}
	// Released, which is also asked again after a kill, or given to another crew
	// by a swap, it is no longer the crew's.
	if !strings.HasPrefix(path, "/v1/positions") {
		right = append(right, http.StatusNotFound)
	}
	if got, err := f.api.try(ctx, http.MethodPost, path, in); err == nil {
		f.expected(path, got, right...)
	}
}

func (f *fastFleet) answer(ctx context.Context, offer string) {
	switch chance(offer) % 20 {
	case 0, 1:
		f.post(ctx, "/v1/offers/"+offer+"/decline", map[string]any{"reason": "too_far"})
	case 2: // says nothing: the offer runs out
	default:
		f.post(ctx, "/v1/offers/"+offer+"/accept", nil)
	}
}

func (f *fastFleet) work(ctx context.Context, r requestView) {
	path := "/v1/requests/" + r.ID
	switch {
	case r.Crew == nil:
	case r.State == "assigned" && r.PartnerRef != "late" && chance(r.ID+r.Crew.ID)%20 == 0:
		f.post(ctx, path+"/release", map[string]any{"reason": "vehicle_trouble"})
	case r.State == "assigned":
		f.post(ctx, path+"/depart", nil)
	case r.State == "en_route":
		now := f.now().UTC()
		if r.PartnerRef == "late" && now.Before(r.DueAt.Add(time.Second)) {
			return
		}
		f.post(ctx, "/v1/positions", aFix(r.Crew.ID, r.Location.Lat, r.Location.Lng, now))
		f.post(ctx, path+"/arrive", map[string]any{"arrived_at": now})
	case r.State == "on_scene":
		f.post(ctx, path+"/finish", map[string]any{"outcome": "fixed"})
	}
}

// report says where the crews wait: a fast clock lets positions grow old fast.
func (f *fastFleet) report(ctx context.Context) {
	var fixes []any
	for crew, at := range f.stand {
		fixes = append(fixes, aFix(crew, at.Lat, at.Lng, f.now())["positions"].([]map[string]any)[0])
	}
	if len(fixes) > 0 {
		f.post(ctx, "/v1/positions", map[string]any{"positions": fixes})
	}
}

// chance is the same for the same thing in every run of a crew's decision.
func chance(of string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(of))
	return h.Sum32()
}
