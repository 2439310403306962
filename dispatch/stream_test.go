package dispatch_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
)

// sent is one server-sent event.
type sent struct {
	ID   int64
	Name string
	Data map[string]any
}

// follow reads a stream until each says stop or the time is up.
func (e *edge) follow(as events.Actor, path string, lastID int64, each func(sent) (stop bool)) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+path, nil)
	require.NoError(e.t, err)
	if as != nobody {
		req.Header.Set("Authorization", "Bearer "+as.String())
	}
	if lastID > 0 {
		req.Header.Set("Last-Event-ID", strconv.FormatInt(lastID, 10))
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(e.t, err)
	defer res.Body.Close()
	require.Equal(e.t, http.StatusOK, res.StatusCode)
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 16<<20)
	var ev sent
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			ev.ID, err = strconv.ParseInt(value, 10, 64)
			require.NoError(e.t, err)
		case "event":
			ev.Name = value
		case "data":
			require.NoError(e.t, json.Unmarshal([]byte(value), &ev.Data))
		case "":
			if ev.Name != "" && each(ev) {
				return
			}
			ev = sent{}
		}
	}
	e.t.Errorf("the stream %s ended by itself: %v", path, lines.Err())
}

// feedNo is the last number given in the journal.
func (e *edge) feedNo() int64 {
	e.t.Helper()
	no, err := events.LatestFeedNo(e.t.Context(), e.pool)
	require.NoError(e.t, err)
	return no
}

// TestQueueStreamResumesWithoutLossOrRepeat has screens lose their connection
// after every few events while requests come and go, and compares what each
// has seen with the journal.
func TestQueueStreamResumesWithoutLossOrRepeat(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.open(newOwner(), "粤B50000")
	require.Eventually(t, func() bool { return e.feedNo() == 1 }, time.Minute, 5*time.Millisecond)
	const n = 40
	plate := func(i int) string { return "粤B6" + strconv.Itoa(1000+i) }

	var screens sync.WaitGroup
	seen := make([][]int64, 3)
	started := make(chan struct{}, len(seen))
	for s := range seen {
		screens.Go(func() {
			last := int64(0)
			for len(seen[s]) < 2*n {
				left := 3 + s // events until the connection is lost
				e.follow(desk, "/v1/queue/stream", last, func(ev sent) bool {
					if ev.ID > 0 {
						last = ev.ID
					}
					switch ev.Name {
					case "snapshot":
						started <- struct{}{}
						return false
					case "change":
						seen[s] = append(seen[s], ev.ID)
						left--
					case "reset":
						t.Errorf("screen %d was reset", s)
					}
					return left == 0 || len(seen[s]) == 2*n
				})
				if t.Failed() {
					return
				}
			}
		})
	}
	for range seen {
		<-started
	}
	before := e.feedNo()
	for i := range n {
		owner := newOwner()
		r := e.open(owner, plate(i))
		e.ok(owner, http.MethodPost, "/v1/requests/"+r.id()+"/cancel", map[string]any{"reason": "test"})
	}
	screens.Wait()

	var want []int64
	rows, err := e.pool.Query(t.Context(), `SELECT feed_no FROM events.journal WHERE feed_no > $1 AND subject LIKE 'req_%' ORDER BY feed_no`, before)
	require.NoError(t, err)
	for rows.Next() {
		var no int64
		require.NoError(t, rows.Scan(&no))
		want = append(want, no)
	}
	require.NoError(t, rows.Err())
	require.Len(t, want, 2*n)
	for s := range seen {
		require.Equal(t, want, seen[s], "screen %d", s)
	}
}

func TestQueueStreamResetsWhoComesFromAnotherWorld(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	r := e.open(newOwner(), "粤B50000")
	var names []string
	e.follow(desk, "/v1/queue/stream", 1_000_000, func(ev sent) bool {
		names = append(names, ev.Name)
		if ev.Name == "snapshot" {
			rows := ev.Data["rows"].([]any)
			require.Len(t, rows, 1)
			require.Equal(t, r.id(), rows[0].(map[string]any)["id"])
		}
		return ev.Name == "snapshot"
	})
	require.Equal(t, []string{"reset", "snapshot"}, names)
}

func TestOwnerSeesHisCrewComeLive(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	crew := e.crew(e.provider(), 3000)
	a := e.ok(nobody, http.MethodPost, "/v1/requests", askFor("粤B12345"), "Idempotency-Key", key())
	link := a.Body["tracking_url"].(string)
	token := link[strings.LastIndex(link, "/")+1:]
	path := "/v1/requests/" + a.id()
	var states []string
	e.follow(nobody, "/v1/tracking/"+token+"/stream", 0, func(ev sent) bool {
		switch ev.Name {
		case "snapshot":
			require.Equal(t, "open", ev.Data["state"])
			e.match(a)
			offers := e.ok(crew, http.MethodGet, "/v1/offers", nil).Body["items"].([]any)
			e.ok(crew, http.MethodPost, "/v1/offers/"+offers[0].(map[string]any)["id"].(string)+"/accept", nil)
			e.ok(crew, http.MethodPost, path+"/depart", nil)
		case "change":
			states = append(states, ev.Data["state"].(string))
			if ev.Data["state"] == "en_route" {
				e.pass(time.Minute)
				e.report(crew, 1500)
			}
		case "position":
			at := ev.Data["position"].(map[string]any)
			if at["fixed_at"] != e.clock.Now().Format(time.RFC3339) {
				return false // the one from before it set out
			}
			require.NotEmpty(t, ev.Data["expected_at"])
		}
		return ev.Name == "position"
	})
	require.Contains(t, states, "en_route")
}

func TestCrewHearsOfItsOffersLive(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	provider := e.provider()
	crew, stranger := e.crew(provider, 500), e.crew(e.provider(), 400)
	var names []string
	e.follow(provider, "/v1/offers/stream", 0, func(ev sent) bool {
		if ev.Name != "beat" {
			names = append(names, ev.Name)
		}
		switch ev.Name {
		case "snapshot":
			require.Empty(t, ev.Data["offers"])
			r := e.open(newOwner(), "粤B12345")
			e.match(r) // the stranger is nearer and asked first
			offers := e.ok(stranger, http.MethodGet, "/v1/offers", nil).Body["items"].([]any)
			e.ok(stranger, http.MethodPost, "/v1/offers/"+offers[0].(map[string]any)["id"].(string)+"/decline", map[string]any{"reason": "vehicle_trouble"})
			e.match(r)
		case "offer":
			offer := ev.Data["offer"].(map[string]any)
			require.Equal(t, crew.Subject, offer["crew_id"], "only this provider's crews")
			require.NotEmpty(t, offer["request"].(map[string]any)["location"])
			e.ok(crew, http.MethodPost, "/v1/offers/"+offer["id"].(string)+"/accept", nil)
		case "job":
			require.Equal(t, crew.Subject, ev.Data["crew_id"])
			require.Equal(t, events.RequestAssigned{}.EventType(), ev.Data["type"])
			return true
		}
		return false
	})
	require.Equal(t, []string{"snapshot", "offer", "job"}, names)
}
