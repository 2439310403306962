package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"rescued/dispatch"
	"rescued/events"
	"rescued/events/devbroker"
	"rescued/events/eventstest"
	"rescued/internal/skipped"
)

// With Kafka down requests are still accepted, offered and taken; once it is
// back every event goes out and the guarantee is armed.
func TestKafkaDown(t *testing.T) {
	t.Parallel()
	broker := newSwitched(t)
	s := newSite(t, broker.config())
	_, base := s.replica("api,dispatch,sla")
	operator := at(base, s.token(events.RoleOperator, "e2e.operator"))
	_, partner := s.registered(operator, "partner")
	_, provider := s.registered(operator, "provider")
	crew := s.enlist(provider, 1, []string{"tyre"}, false)
	waits := s.enlist(provider, 2, []string{"tyre"}, false)

	broker.down()
	var r requestView
	began := time.Now()
	partner.must(t, http.StatusCreated, http.MethodPost, "/v1/requests", aRequest(1, "tyre"), &r, "Idempotency-Key", "down-1")
	var offers page[struct {
		ID     string `json:"id"`
		CrewID string `json:"crew_id"`
	}]
	eventually(t, "a crew is asked although the broker is down", func() bool {
		provider.must(t, http.StatusOK, http.MethodGet, "/v1/offers", nil, &offers)
		return len(offers.Items) == 1
	})
	t.Logf("accepted and offered in %s with the broker down", time.Since(began).Round(time.Millisecond))
	require.Contains(t, []string{crew, waits}, offers.Items[0].CrewID)
	provider.must(t, http.StatusOK, http.MethodPost, "/v1/offers/"+offers.Items[0].ID+"/accept", nil, &r)
	require.Equal(t, "assigned", r.State)
	operator.must(t, http.StatusOK, http.MethodGet, "/readyz", nil, nil)
	fix, err := provider.ask(t.Context(), base, http.MethodPost, "/v1/positions", aFix(crew, chengdu.lat, chengdu.lng, time.Now()))
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, fix.status, "positions are not kept, and that is said: %s", fix)
	require.NotEmpty(t, fix.head.Get("Retry-After"))
	require.Positive(t, s.count(`SELECT count(*) FROM events.outbox`))
	require.Zero(t, s.count(`SELECT count(*) FROM sla.guarantees`))

	broker.up()
	eventually(t, "every event has gone out", func() bool { return s.count(`SELECT count(*) FROM events.outbox`) == 0 })
	eventually(t, "the guarantee is armed", func() bool {
		return s.count(`SELECT count(*) FROM sla.guarantees WHERE promise_due_at = $1`, r.DueAt) == 1
	})
	eventually(t, "the guarantee's own event has gone out", func() bool { return s.count(`SELECT count(*) FROM events.outbox`) == 0 })
	requirePublished(t, s)
	provider.must(t, http.StatusOK, http.MethodPost, "/v1/positions", aFix(crew, chengdu.lat, chengdu.lng, time.Now()), nil)
}

// switched is a broker that can be stopped and started again where it was: the
// embedded one, or a real Apache Kafka of its own when tests run against one.
type switched struct {
	t     *testing.T
	dir   string
	port  int
	inner *devbroker.Broker // nil for a real one, or while it is down
}

func newSwitched(t *testing.T) *switched {
	t.Helper()
	b := &switched{t: t, dir: t.TempDir(), port: freePorts(t)}
	t.Cleanup(b.down)
	b.up()
	_, err := events.EnsureTopics(t.Context(), b.config(), events.TopicLimits{Replicas: 1})
	require.NoError(t, err)
	return b
}

func (b *switched) config() events.ClientConfig {
	session := time.Second
	if eventstest.Real() != nil {
		session = 6 * time.Second
	}
	return events.ClientConfig{Brokers: []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port))}, Session: session}
}

func (b *switched) up() {
	b.t.Helper()
	if eventstest.Real() != nil {
		b.script("up")
		return
	}
	var err error
	b.inner, err = devbroker.Start(b.t.Context(), devbroker.Options{Dir: b.dir, Port: b.port, Log: slog.New(slog.DiscardHandler)})
	require.NoError(b.t, err)
	b.inner.MarkRepublished()
}

func (b *switched) down() {
	b.t.Helper()
	if eventstest.Real() != nil {
		b.script("down")
		return
	}
	if b.inner != nil {
		require.NoError(b.t, b.inner.Close())
		b.inner = nil
	}
}

func (b *switched) script(what string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../deploy/kafka/kafka", what)
	cmd.Env = append(os.Environ(), "KAFKA_DIR="+b.dir, "KAFKA_PORT="+strconv.Itoa(b.port), "KAFKA_NODES=1")
	// Its broker outlives the script and must not hold this test's pipe open.
	said, err := os.Create(b.dir + "/said." + what)
	require.NoError(b.t, err)
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		require.NoError(b.t, err, "%s", text)
	}
}

// freePorts finds a port that is free, and the one above it as well. Both lie
// below those of outgoing connections, one of which could take them while
// nobody listens there. Nor does it listen itself to find out: programs that
// other tests start at that moment would hold the ports on for a while.
func freePorts(t *testing.T) int {
	t.Helper()
	free := func(port int) bool {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	for range 50 {
		if port := 10_000 + 2*rand.IntN(5000); free(port) && free(port+1) {
			return port
		}
	}
	require.Fail(t, "no two free ports beside each other")
	return 0
}

// Another backend streams requests in with an ordinary Kafka client, and reads
// back what became of them.
func TestIntakeOverKafka(t *testing.T) {
	t.Parallel()
	s := newSite(t, eventstest.Broker(t))
	_, base := s.replica("api,dispatch,sla")
	staff := at(base, s.token(events.RoleOperator, "e2e.operator"))
	partnerID, partner := s.registered(staff, "partner")
	_, provider := s.registered(staff, "provider")
	for n := range 4 {
		s.enlist(provider, n, []string{"tyre"}, false)
	}
	in := &intake{t: t, site: s, source: "/partners/" + partnerID}
	in.open()
	topic := s.listen(t)

	ask := func(n int, ref string) map[string]any {
		r := aRequest(n, "tyre")
		r["partner_ref"] = ref
		return r
	}
	// Everything has one key, so that it lies in one partition: what comes
	// after a bad record shows that the partition goes on.
	in.send("a-1", ask(1, "first"))
	first := topic.offerFor(t, "first")
	partner.must(t, http.StatusOK, http.MethodGet, "/v1/requests/"+first, nil, nil)

	in.send("a-1", ask(1, "first"))          // the network, again
	in.send("a-1", ask(5, "another car"))    // a sender that gives two events one id
	in.send("a-2", ask(1, "same car again")) // a car that has an open request
	in.send("a-3", map[string]any{           // nearly everything wrong
		"contact": map[string]any{"name": "", "phone": "call me"}, "vehicle": map[string]any{"plate": "?", "energy": "steam"},
		"problem": "sadness", "location": map[string]any{"lat": 91, "lng": 104, "datum": "mars"},
	})
	in.raw("a-4", []byte(`{"contact":`)) // nobody can decode it
	in.raw("", []byte(`{}`))             // no CloudEvents at all
	in.send("a-5", ask(2, "last"))
	topic.offerFor(t, "last")

	again := topic.refused(t, "a-2")
	require.Equal(t, "plate_has_open_request", again.Code)
	require.Equal(t, first, again.RequestID.String())
	reused := topic.refused(t, "a-1")
	require.Equal(t, "idempotency_key_reused", reused.Code, "it hears of the second, which is no repeat of the first")
	require.Equal(t, first, reused.RequestID.String())
	wrong := topic.refused(t, "a-3")
	var fields []string
	for _, f := range wrong.Fields {
		fields = append(fields, f.Field)
	}
	require.ElementsMatch(t, []string{"contact.name", "contact.phone", "vehicle.plate", "vehicle.energy", "problem",
		"location.lat", "location.datum"}, fields, "%+v", wrong)
	require.Equal(t, 2, s.count(`SELECT count(*) FROM dispatch.requests`), "one each for first and last")
	require.Equal(t, 2, s.count(`SELECT count(*) FROM events.journal WHERE type = $1`, events.RequestOpened{}.EventType()))
	require.Equal(t, 2, s.count(`SELECT count(*) FROM events.dead_letters`))
	code, out, errs := once(t, s.vars(), "dead-letters", "list")
	require.Zero(t, code, "%s", errs)
	require.Equal(t, 2, strings.Count(out, string(events.TopicIntake)), "%s", out)

	t.Run("kcat", func(t *testing.T) {
		kcat, err := exec.LookPath("kcat")
		if err != nil {
			skipped.Because(t, "kcat is not installed (Debian: apt-get install kcat); the same was shown with another client")
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		body, err := json.Marshal(ask(3, "kcat"))
		require.NoError(t, err)
		cmd := exec.CommandContext(ctx, kcat, "-P", "-b", s.kafka.Brokers[0], "-t", s.kafka.Prefix+string(events.TopicIntake), "-k", "fleet",
			"-H", "ce_specversion=1.0", "-H", "ce_id=k-1", "-H", "ce_source=/partners/"+partnerID, "-H", "ce_type="+dispatch.IntakeType,
			"-H", "content-type=application/json")
		cmd.Stdin = strings.NewReader(string(body))
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", said)
		topic.offerFor(t, "kcat")
	})
}

// intake is another backend that writes to the intake topic.
type intake struct {
	t      *testing.T
	site   *site
	source string
	client *kgo.Client
}

func (in *intake) open() {
	in.t.Helper()
	var err error
	in.client, err = kgo.NewClient(kgo.SeedBrokers(in.site.kafka.Brokers...),
		kgo.DefaultProduceTopic(in.site.kafka.Prefix+string(events.TopicIntake)))
	require.NoError(in.t, err)
	in.t.Cleanup(in.client.Close)
}

func (in *intake) send(id string, body map[string]any) {
	in.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(in.t, err)
	in.raw(id, raw)
}

// raw writes a record; without an id it has no CloudEvents headers.
func (in *intake) raw(id string, value []byte) {
	in.t.Helper()
	r := &kgo.Record{Key: []byte("fleet"), Value: value}
	if id != "" {
		for name, v := range map[string]string{
			"ce_specversion": "1.0", "ce_id": id, "ce_source": in.source, "ce_type": dispatch.IntakeType, "content-type": "application/json",
		} {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(v)})
		}
	}
	ctx, cancel := context.WithTimeout(in.t.Context(), patience)
	defer cancel()
	require.NoError(in.t, in.client.ProduceSync(ctx, r).FirstErr())
}

// listener reads the requests topic as another backend would, and keeps what
// it has read.
type listener struct {
	mu      sync.Mutex
	records []*kgo.Record
}

func (s *site) listen(t *testing.T) *listener {
	l := &listener{}
	go s.records(t.Context(), []events.Topic{events.TopicRequests}, func(r *kgo.Record) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.records = append(l.records, r)
		return true
	})
	return l
}

// heard is every event of one type so far, in the order of the topic.
func heard[E events.Event](t *testing.T, l *listener) (out []E) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var of E
	for _, r := range l.records {
		if ceHeader(r, "ce_type") == of.EventType() {
			var e E
			require.NoError(t, json.Unmarshal(r.Value, &e), "%s", r.Value)
			out = append(out, e)
		}
	}
	return out
}

// offerFor waits for the offer of the request with a partner's reference and
// gives the request's identifier.
func (l *listener) offerFor(t *testing.T, ref string) (request string) {
	t.Helper()
	eventually(t, "the offer for "+ref+" is heard", func() bool {
		for _, e := range heard[events.RequestOpened](t, l) {
			if e.PartnerRef == ref {
				request = e.RequestID.String()
			}
		}
		return slices.ContainsFunc(heard[events.OfferMade](t, l), func(e events.OfferMade) bool { return e.RequestID.String() == request })
	})
	return request
}

// refused waits for the refusal of what came in under a CloudEvents id.
func (l *listener) refused(t *testing.T, id string) (refusal events.RequestRefused) {
	t.Helper()
	eventually(t, "the refusal of "+id+" is heard", func() bool {
		for _, e := range heard[events.RequestRefused](t, l) {
			if e.IntakeID == id {
				refusal = e
				return true
			}
		}
		return false
	})
	return refusal
}
