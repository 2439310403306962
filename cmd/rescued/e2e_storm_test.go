package main

import (
	"context"
	"encoding/json"
	"fmt"
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
