package dispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/events/eventstest"
	"rescued/internal/pgtest"
	"rescued/internal/web"
)

// edge is the slice behind its HTTP door, with a business clock that stands
// still until the test moves it.
type edge struct {
	t       *testing.T
	pool    *pgxpool.Pool
	svc     *dispatch.Service
	api     *dispatch.API
	url     string
	clock   *clock
	publish *flakyPublisher
	stop    func() // ends server and loops
}

// subjectTokens takes role:subject for a token.
type subjectTokens struct{}

func (subjectTokens) Authenticate(_ context.Context, token string) (events.Actor, error) {
	a, err := events.ParseActor(token)
	if err != nil {
		return events.Actor{}, web.ErrUnauthorized
	}
	return a, nil
}

// flakyPublisher is the positions' way to the topic, with a broker that can go.
type flakyPublisher struct {
	to   *events.Publisher
	mu   sync.Mutex
	away bool
}

func (p *flakyPublisher) Publish(ctx context.Context, positions ...events.CrewPositioned) error {
	p.mu.Lock()
	away := p.away
	p.mu.Unlock()
	if away {
		return events.ErrBrokerAway
	}
	return p.to.Publish(ctx, positions...)
}

func (p *flakyPublisher) Away(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

func newEdge(t *testing.T, edit ...func(*dispatch.Config)) *edge {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	e := &edge{t: t, pool: pgtest.New(t, events.Migrations, dispatch.Migrations),
		clock: newClock()}
	kafka := eventstest.Broker(t)
	feed := events.NewFeedTail(e.pool, log)
	relay, err := events.NewRelay(kafka, e.pool, log, nil, feed.Wake)
	require.NoError(t, err)
	publisher, err := events.NewPublisher(kafka)
	require.NoError(t, err)
	e.publish = &flakyPublisher{to: publisher}
	cfg := dispatch.Config{
		Now: e.clock.Now, Promiser: promise45{}, Wake: relay.Wake, Log: log, LinkKey: []byte("a key for tests, 32 bytes or so.")}
	for _, change := range edit {
		change(&cfg)
	}
	e.svc = dispatch.New(e.pool, cfg)
	e.api = dispatch.NewAPI(e.svc, dispatch.APIConfig{Feed: feed, Publish: e.publish.Publish, PublicURL: "https://rescue.example.org/"})
	runner, err := events.NewRunner(kafka, e.pool, log, nil, nil, e.svc.Batches())
	require.NoError(t, err)
	health := web.NewHealth()
	handler, err := web.Router(web.Options{Log: log, Tokens: subjectTokens{}, Health: health, Registry: prometheus.NewRegistry()},
		func(r chi.Router) { e.api.Routes(web.NewAPI(r, "rescued", "test")) })
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	e.url = server.URL

	var loops sync.WaitGroup
	for _, run := range []func(context.Context) error{relay.Run, feed.Run, runner.Run} {
		loops.Go(func() {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("a loop ended: %v", err)
			}
		})
	}
	e.stop = sync.OnceFunc(func() {
		health.Drain()
		server.Close()
		cancel()
		loops.Wait()
		publisher.Close()
	})
	t.Cleanup(e.stop)
	return e
}

// pass lets business time pass.
func (e *edge) pass(d time.Duration) time.Time {
	e.clock.advance(d)
	return e.clock.Now()
}

// Further actors of the tests.
var (
	finance = events.Actor{Role: events.RoleFinance, Subject: "zhao"}
	nobody  = events.Actor{}
)

func newOwner() events.Actor {
	return events.Actor{Role: events.RoleOwner, Subject: events.NewID[events.OwnerID]().String()}
}

// answer is what came back.
type answer struct {
	Status int
	Header http.Header
	Text   string
	Body   map[string]any
}

// call sends a request as an actor. body is JSON text, or any value to be
// written as JSON; nil sends none. head holds names and values in turn.
func (e *edge) call(as events.Actor, method, path string, body any, head ...string) answer {
	e.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = bytes.NewReader([]byte(b))
	default:
		raw, err := json.Marshal(b)
		require.NoError(e.t, err)
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, e.url+path, reader)
	require.NoError(e.t, err)
	if as != nobody {
		req.Header.Set("Authorization", "Bearer "+as.String())
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(head); i += 2 {
		req.Header.Set(head[i], head[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(e.t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(e.t, err)
	a := answer{Status: res.StatusCode, Header: res.Header, Text: string(raw)}
	_ = json.Unmarshal(raw, &a.Body) // not every answer is an object
	return a
}

// ok is call for what must succeed.
func (e *edge) ok(as events.Actor, method, path string, body any, head ...string) answer {
	e.t.Helper()
	a := e.call(as, method, path, body, head...)
	require.Less(e.t, a.Status, 300, "%s %s: %s", method, path, a.Text)
	return a
}

func (a answer) id() string { return a.Body["id"].(string) }

// fields maps the wrong fields of a problem to their codes.
func (a answer) fields() map[string]string {
	out := map[string]string{}
	list, _ := a.Body["fields"].([]any)
	for _, item := range list {
		f := item.(map[string]any)
		out[f["field"].(string)] = f["code"].(string)
	}
	return out
}

// Futian, Shenzhen: urban in the built-in table.
const futianLat, futianLng = 22.5431, 114.0579

// askFor is a whole and valid request body.
func askFor(plate string) map[string]any {
	return map[string]any{
		"contact":  map[string]any{"name": "王芳", "phone": "+86 138 0013 8000"},
		"vehicle":  map[string]any{"plate": plate, "vin": "LSVAA4182E2184541", "make": "Example", "model": "E5", "energy": "bev", "weight_class": "light"},
		"problem":  "battery_jump",
		"location": map[string]any{"lat": futianLat, "lng": futianLng, "datum": "wgs84", "accuracy_m": 12, "address": "深南大道 1 号", "road_class": "urban", "direction": "向东", "note": "右侧车道"},
		"safety":   map[string]any{"children": true},
	}
}

// with sets a member by path, or removes it when value is nil.
func with(body map[string]any, value any, path ...string) map[string]any {
	at := body
	for _, name := range path[:len(path)-1] {
		at = at[name].(map[string]any)
	}
	last := path[len(path)-1]
	if value == nil {
		delete(at, last)
	} else {
		at[last] = value
	}
	return body
}

func key() string { return events.NewID[events.EventID]().String() }

// open opens a request and returns its answer.
func (e *edge) open(as events.Actor, plate string) answer {
	e.t.Helper()
	return e.ok(as, http.MethodPost, "/v1/requests", askFor(plate), "Idempotency-Key", key())
}

// provider registers a provider and gives its actor.
func (e *edge) provider() events.Actor {
	e.t.Helper()
	p := e.ok(root, http.MethodPost, "/v1/providers", map[string]any{"name": "Example Rescue"}, "Idempotency-Key", key())
	return events.Actor{Role: events.RoleProvider, Subject: p.id()}
}

// partner registers a partner and gives its actor.
func (e *edge) partner() events.Actor {
	e.t.Helper()
	p := e.ok(root, http.MethodPost, "/v1/partners", map[string]any{"name": "Example Motors"}, "Idempotency-Key", key())
	return events.Actor{Role: events.RolePartner, Subject: p.id()}
}

// crew registers a crew that can do anything, brings it on duty metres east
// of Futian and gives its actor.
func (e *edge) crew(provider events.Actor, metres float64) events.Actor {
	e.t.Helper()
	c := e.ok(root, http.MethodPost, "/v1/crews", map[string]any{
		"provider_id": provider.Subject, "name": "Crew", "phone": "+86 139 0013 9000", "plate": "粤B88888",
		"capabilities": dispatch.AllCapabilities(),
	}, "Idempotency-Key", key())
	as := events.Actor{Role: events.RoleCrew, Subject: c.id()}
	e.ok(as, http.MethodPost, "/v1/crews/"+c.id()+"/start-shift", nil)
	e.report(as, metres)
	return as
}

// report tells a crew's position now, metres east of Futian.
func (e *edge) report(crew events.Actor, metres float64) answer {
	e.t.Helper()
	return e.ok(crew, http.MethodPost, "/v1/positions", map[string]any{"positions": []any{position(e.clock.Now(), metres)}})
}

func position(at time.Time, metres float64) map[string]any {
	return map[string]any{"fixed_at": at, "lat": futianLat, "lng": futianLng + metres/102_800, "datum": "wgs84", "accuracy_m": 8}
}

// match runs the matcher for the area of Futian, again as long as it leaves
// the request open without a reason: a crew's row may be in hand just then, for its position.
func (e *edge) match(request answer) {
	e.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, err := e.svc.Match(context.Background(), areaOf(request))
		require.NoError(e.t, err)
		if now := e.ok(root, http.MethodGet, "/v1/requests/"+request.id(), nil).Body; now["state"] != "open" || now["held"] != nil {
			return
		}
		require.True(e.t, time.Now().Before(deadline), "no round takes, holds or strands the request")
	}
}

// assign opens a request, has it offered to the crew and accepted.
func (e *edge) assign(owner, crew events.Actor, plate string) answer {
	e.t.Helper()
	r := e.open(owner, plate)
	e.match(r)
	offers := e.ok(crew, http.MethodGet, "/v1/offers", nil).Body["items"].([]any)
	require.Len(e.t, offers, 1)
	return e.ok(crew, http.MethodPost, "/v1/offers/"+offers[0].(map[string]any)["id"].(string)+"/accept", nil)
}
