package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/events/eventstest"
	"rescued/geo"
	"rescued/sla"
)

const (
	stormRequests = 200
	stormCrews    = 50
	stormKills    = 8
	stormLate     = 12 // requests whose crews arrive after the promise
	stormCancel   = 8  // requests that are called off
)

// Three replicas, 200 requests, 50 crews; replicas are killed and started again
// at random moments, so that relays move and consumer groups rebalance in the
// middle of everything. Whatever was acknowledged is done in the end, once.
func TestReplicasKilledInAStorm(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("RESCUED_TEST_SEED"); v != "" {
		var err error
		seed, err = strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("RESCUED_TEST_SEED=%d repeats the moments of this run", seed)
	random := rand.New(rand.NewPCG(seed, 3))

	s := newSite(t, eventstest.Broker(t))
	promiseAMinute(t, s)
	crowd := newCrowd(s, random, "api,dispatch,sla", "api,dispatch", "dispatch,sla")
	admin := client{crowd.bases, s.token(events.RoleAdmin, "e2e.admin")}
	_, partner := s.registered(admin, "partner")
	_, provider := s.registered(admin, "provider")
	for n := range stormCrews {
		s.enlist(provider, n, []string{"battery_jump", "tyre", "fuel"}, n%10 == 0)
	}

	ctx, stopCrews := context.WithCancel(t.Context())
	defer stopCrews()
	fleet := &fastFleet{api: provider, now: time.Now, busy: map[string]bool{}}
	var crews, owners errgroup.Group
	crews.Go(func() error { return fleet.run(ctx) })
	storm := &storm{api: partner, requests: stormRequests + 1, late: stormLate, cancelled: stormCancel, pace: 100 * time.Millisecond}
	owners.Go(func() error { return storm.run(ctx) })

	crowd.harass(&storm.opened)
	require.NoError(t, owners.Wait())
	crowd.reviveAll()

	// Everything but the one car that nobody can lift comes to its end.
	eventually(t, "every request is done or cancelled", func() bool {
		return s.count(`SELECT count(*) FROM dispatch.requests WHERE state NOT IN ('done', 'cancelled')`) == 1
	})
	stopCrews()
	require.NoError(t, crews.Wait())
	eventually(t, "every guarantee but one is settled", func() bool {
		return s.count(`SELECT count(*) FROM sla.guarantees WHERE outcome <> 'pending'`) == stormRequests
	})
	eventually(t, "the outbox is empty", func() bool { return s.count(`SELECT count(*) FROM events.outbox`) == 0 })

	t.Logf("%d kills, %d offers, %d releases", crowd.kills, s.count(`SELECT count(*) FROM dispatch.offers`),
		s.count(`SELECT count(*) FROM events.journal WHERE type = $1`, events.RequestReleased{}.EventType()))
	require.Empty(t, fleet.surprises(), "answers no crew should get")
	noneForgotten(t, s, admin, storm)
	nobodyTwice(t, s)
	promisesOnce(t, s, stormLate)
	requirePublished(t, s)
	require.Zero(t, s.count(`SELECT count(*) FROM events.dead_letters`))
	crowd.noErrors()
}

// promiseAMinute puts a policy in force that promises one minute, so that a
// storm of a minute has late arrivals.
func promiseAMinute(t *testing.T, s *site) {
	t.Helper()
	p := sla.Example45()
	p.Version = 2
	for i := range p.Promises {
		p.Promises[i].Minutes = 1
	}
	document, err := json.Marshal(p)
	require.NoError(t, err)
	service := sla.New(s.pool, sla.Config{Now: wallClock().Now})
	require.NoError(t, service.Install(t.Context()))
	_, err = service.AddPolicy(t.Context(), events.Actor{Role: events.RoleAdmin, Subject: "e2e"}, document)
	require.NoError(t, err)
	_, err = service.ActivatePolicy(t.Context(), events.Actor{Role: events.RoleFinance, Subject: "second"}, p.Name, p.Version, "for the storm")
	require.NoError(t, err)
}

// crowd is a set of replicas that come and go.
type crowd struct {
	site   *site
	random *rand.Rand
	kills  int

	mu      sync.Mutex
	members []*member
	ended   []*process
}

type member struct {
	roles   string
	process *process // nil while it is down
	base    string
}

func newCrowd(s *site, random *rand.Rand, roles ...string) *crowd {
	c := &crowd{site: s, random: random}
	for _, r := range roles {
		c.members = append(c.members, &member{roles: r})
	}
	c.reviveAll()
	return c
}

// bases are the addresses of the live replicas that serve the API.
func (c *crowd) bases() (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		if m.process != nil && strings.Contains(m.roles, string(roleAPI)) {
			out = append(out, m.base)
		}
	}
	return out
}

// reviveAll starts whatever is down.
func (c *crowd) reviveAll() {
	c.site.t.Helper()
	for _, m := range c.members {
		if m.process != nil {
			continue
		}
		p, base := c.site.replica(m.roles, "RESCUED_OFFER_TTL=8s")
		c.mu.Lock()
		m.process, m.base = p, base
		c.mu.Unlock()
	}
}

func (c *crowd) kill(m *member) {
	if m.process == nil {
		return
	}
	m.process.kill()
	c.kills++
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, m.process)
	m.process = nil
}

// harass kills replicas, one or two at a time, while requests come in.
func (c *crowd) harass(opened *atomic.Int64) {
	for c.kills < stormKills || opened.Load() < stormRequests {
		time.Sleep(c.between(500*time.Millisecond, 2*time.Second))
		c.kill(c.members[c.random.IntN(len(c.members))])
		if c.random.IntN(3) == 0 {
			c.kill(c.members[c.random.IntN(len(c.members))])
		}
		time.Sleep(c.between(200*time.Millisecond, 1500*time.Millisecond))
		c.reviveAll()
	}
}

func (c *crowd) between(least, most time.Duration) time.Duration {
	return least + time.Duration(c.random.Int64N(int64(most-least)))
}

var errorLine = regexp.MustCompile(`(?m)^.*"level":"ERROR".*$`)

// noErrors holds the replicas to it that others' deaths are no error of theirs.
func (c *crowd) noErrors() {
	c.site.t.Helper()
	for _, m := range c.members {
		c.ended = append(c.ended, m.process)
	}
	for _, p := range c.ended {
		require.Empty(c.site.t, errorLine.FindAllString(p.out.String(), 5), "%s", p.name)
	}
}

// storm is the owners: they ask for help, some call it off again. The last
// asks for what no crew can do.
type storm struct {
	api                       client
	requests, late, cancelled int
	pace                      time.Duration // between two requests
	opened                    atomic.Int64

	mu  sync.Mutex
	ids []string // acknowledged with 201
}

func (s *storm) acknowledged() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.ids...)
}

// run opens the requests, those that will be late first and at once.
func (s *storm) run(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(8)
	for n := range s.requests {
		if n > s.late {
			time.Sleep(s.pace)
		}
		g.Go(func() error { return s.open(ctx, n) })
	}
	return g.Wait()
}

func (s *storm) open(ctx context.Context, n int) error {
	defer s.opened.Add(1)
	in := aRequest(n, []string{"battery_jump", "tyre", "fuel"}[n%3])
	switch {
	case n < s.late:
		in["partner_ref"] = "late"
	case n == s.requests-1:
		in["problem"] = "heavy"
	}
	got, err := s.api.try(ctx, http.MethodPost, "/v1/requests", in, "Idempotency-Key", fmt.Sprintf("storm-%d", n))
	if err != nil {
		return err
	}
	var r requestView
	if err := json.Unmarshal(got.body, &r); err != nil || got.status != http.StatusCreated {
		return fmt.Errorf("open request %d: %s", n, got)
	}
	s.mu.Lock()
	s.ids = append(s.ids, r.ID)
	s.mu.Unlock()
	if n < s.late || n >= s.late+s.cancelled {
		return nil
	}
	time.Sleep(time.Duration(n%5) * 300 * time.Millisecond)
	got, err = s.api.try(ctx, http.MethodPost, "/v1/requests/"+r.ID+"/cancel", map[string]any{"reason": "storm"})
	if err == nil && got.status != http.StatusOK && got.status != http.StatusConflict { // done, or cancelled by a try that was not answered
		err = fmt.Errorf("cancel request %d: %s", n, got)
	}
	return err
}

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
