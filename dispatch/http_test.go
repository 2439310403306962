package dispatch_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/pg"
)

func areaOf(request answer) geo.AreaID { return geo.AreaID(request.Body["area"].(string)) }

func TestOpenAnswersWithThePromise(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	owner, k := newOwner(), key()
	a := e.call(owner, http.MethodPost, "/v1/requests", askFor("粤B·12345"), "Idempotency-Key", k)
	require.Equal(t, http.StatusCreated, a.Status, a.Text)
	golden(t, "request_opened", a.Text)
	require.Equal(t, "/v1/requests/"+a.id(), a.Header.Get("Location"))
	require.Equal(t, `"1"`, a.Header.Get("ETag"))
	require.Empty(t, a.Header.Get("Idempotency-Hit"))

	again := e.call(owner, http.MethodPost, "/v1/requests", askFor("粤B·12345"), "Idempotency-Key", k)
	require.Equal(t, http.StatusCreated, again.Status)
	require.Equal(t, "true", again.Header.Get("Idempotency-Hit"))
	require.Equal(t, a.Body, again.Body, "the same answer, tracking link included")

	read := e.ok(owner, http.MethodGet, "/v1/requests/"+a.id(), nil)
	require.Equal(t, a.Body, read.Body)
}

func TestAnonymousOwnerHasHisLinkAlone(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	k := key()
	a := e.ok(nobody, http.MethodPost, "/v1/requests", askFor("粤B12345"), "Idempotency-Key", k)
	again := e.ok(nobody, http.MethodPost, "/v1/requests", askFor("粤B12345"), "Idempotency-Key", k)
	require.Equal(t, a.Body, again.Body, "the key finds the first answer, though nobody has signed in")

	require.Equal(t, http.StatusUnauthorized, e.call(nobody, http.MethodGet, "/v1/requests/"+a.id(), nil).Status)
	link := a.Body["tracking_url"].(string)
	const base = "https://rescue.example.org/r/"
	require.Contains(t, link, base)
	token := link[len(base):]
	tracked := e.ok(nobody, http.MethodGet, "/v1/tracking/"+token, nil)
	require.Equal(t, a.Body, tracked.Body)

	forged := []byte(token)
	forged[30] ^= 1
	for _, bad := range []string{string(forged), token[:20], "x", token + "A"} {
		require.Equal(t, http.StatusNotFound, e.call(nobody, http.MethodGet, "/v1/tracking/"+bad, nil).Status, bad)
	}
	cancelled := e.ok(nobody, http.MethodPost, "/v1/tracking/"+token+"/cancel", map[string]any{"reason": "started again"})
	require.Equal(t, "cancelled", cancelled.Body["state"])
	_, err := e.pool.Exec(t.Context(), `UPDATE dispatch.requests SET tracking_epoch = tracking_epoch + 1`)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, e.call(nobody, http.MethodGet, "/v1/tracking/"+token, nil).Status, "revoked")
}

func TestTrackingLinkEnds(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	a := e.ok(nobody, http.MethodPost, "/v1/requests", askFor("粤B12345"), "Idempotency-Key", key())
	token := a.Body["tracking_url"].(string)[len("https://rescue.example.org/r/"):]
	e.ok(nobody, http.MethodPost, "/v1/tracking/"+token+"/cancel", map[string]any{"reason": "started again"})
	e.pass(89 * 24 * time.Hour)
	e.ok(nobody, http.MethodGet, "/v1/tracking/"+token, nil)
	e.pass(2 * 24 * time.Hour)
	require.Equal(t, http.StatusNotFound, e.call(nobody, http.MethodGet, "/v1/tracking/"+token, nil).Status)
}

func TestAJobFromCallToDone(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	owner := newOwner()
	crew := e.crew(e.provider(), 3000)
	opened := e.open(owner, "粤B12345")
	e.match(opened)

	offers := e.ok(crew, http.MethodGet, "/v1/offers", nil)
	golden(t, "offers", offers.Text)
	asked := e.ok(crew, http.MethodGet, "/v1/requests/"+opened.id(), nil)
	require.NotContains(t, asked.Body, "contact", "a crew that is only asked does not learn whose car it is")
	require.Equal(t, "粤B***45", asked.Body["vehicle"].(map[string]any)["plate"])
	offer := offers.Body["items"].([]any)[0].(map[string]any)["id"].(string)
	e.pass(10 * time.Second)
	assigned := e.ok(crew, http.MethodPost, "/v1/offers/"+offer+"/accept", nil)
	require.Equal(t, "assigned", assigned.Body["state"])
	require.NotContains(t, assigned.Body, "arrival_code", "the code is the owner's")
	require.Contains(t, assigned.Body, "contact", "now it may call")
	require.NotContains(t, assigned.Body, "tracking_url")
	again := e.call(crew, http.MethodPost, "/v1/offers/"+offer+"/accept", nil)
	require.Equal(t, http.StatusConflict, again.Status)
	require.Equal(t, "offer_gone", again.Body["code"])

	path := "/v1/requests/" + opened.id()
	golden(t, "request_assigned", e.ok(owner, http.MethodGet, path, nil).Text)
	e.pass(time.Minute)
	e.ok(crew, http.MethodPost, path+"/depart", nil)
	golden(t, "queue", e.ok(desk, http.MethodGet, "/v1/queue", nil).Text)

	// Two fixes at the car, 25 s apart, come in after a third that is later.
	arrived := e.pass(9 * time.Minute)
	e.pass(2 * time.Minute)
	e.ok(crew, http.MethodPost, "/v1/positions", map[string]any{"positions": []any{
		position(arrived.Add(70*time.Second), 20), position(arrived.Add(25*time.Second), 30), position(arrived, 90)}})
	require.Eventually(t, func() bool {
		return e.ok(owner, http.MethodGet, path, nil).Body["state"] == "on_scene"
	}, time.Minute, 20*time.Millisecond)
	there := e.ok(owner, http.MethodGet, path, nil)
	require.Equal(t, arrived.Format(time.RFC3339), there.Body["arrived_at"])
	require.Equal(t, "gps", there.Body["arrival_source"])
	require.Empty(t, e.ok(desk, http.MethodGet, "/v1/queue", nil).Body["items"], "arrived jobs are out of the queue")

	done := e.ok(crew, http.MethodPost, path+"/finish", map[string]any{"outcome": "fixed"})
	require.Equal(t, "done", done.Body["state"])
	require.NotContains(t, done.Body, "contact")
	golden(t, "timeline", e.ok(desk, http.MethodGet, path+"/timeline", nil).Text)
	golden(t, "considered", e.ok(desk, http.MethodGet, path+"/considered", nil).Text)
	golden(t, "crew", e.ok(crew, http.MethodGet, "/v1/crews/"+crew.Subject, nil).Text)
}

func TestArrivalByCodeOwnerAndOperator(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	provider := e.provider()

	t.Run("code", func(t *testing.T) {
		owner, crew := newOwner(), e.crew(provider, 500)
		r := e.assign(owner, crew, "粤B10001")
		path := "/v1/requests/" + r.id()
		code := e.ok(owner, http.MethodGet, path, nil).Body["arrival_code"].(string)
		missing := e.call(crew, http.MethodPost, path+"/confirm-arrival", map[string]any{})
		require.Equal(t, http.StatusBadRequest, missing.Status)
		require.Equal(t, map[string]string{"code": "required"}, missing.fields())
		wrong := e.call(crew, http.MethodPost, path+"/confirm-arrival", map[string]any{"code": "x" + code[1:]})
		require.Equal(t, http.StatusUnprocessableEntity, wrong.Status)
		got := e.ok(crew, http.MethodPost, path+"/confirm-arrival", map[string]any{"code": code})
		require.Equal(t, "code", got.Body["arrival_source"])
	})
	t.Run("owner", func(t *testing.T) {
		owner, crew := newOwner(), e.crew(provider, 500)
		r := e.assign(owner, crew, "粤B10002")
		got := e.ok(owner, http.MethodPost, "/v1/requests/"+r.id()+"/confirm-arrival", nil)
		require.Equal(t, "owner", got.Body["arrival_source"])
	})
	t.Run("operator", func(t *testing.T) {
		owner, crew := newOwner(), e.crew(provider, 6000)
		r := e.assign(owner, crew, "粤B10003")
		path := "/v1/requests/" + r.id()
		at := e.clock.Now()
		tapped := e.ok(crew, http.MethodPost, path+"/arrive", map[string]any{"arrived_at": at})
		require.Equal(t, "assigned", tapped.Body["state"], "a bare tap stops no clock")
		require.NotNil(t, tapped.Body["unproven_at"])
		row := e.ok(desk, http.MethodGet, "/v1/queue?show=unproven", nil).Body["items"].([]any)
		require.Len(t, row, 1)
		got := e.ok(desk, http.MethodPost, path+"/decide-arrival", map[string]any{"accept": true, "reason": "seen on the camera"})
		require.Equal(t, "operator", got.Body["arrival_source"])
		require.Equal(t, at.Format(time.RFC3339), got.Body["arrived_at"])
	})
}

func TestReassignNeedsTheVersionSeen(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	provider := e.provider()
	owner, first := newOwner(), e.crew(provider, 500)
	r := e.assign(owner, first, "粤B12345")
	second := e.crew(provider, 2500)
	path := "/v1/requests/" + r.id() + "/reassign"
	body := map[string]any{"crew_id": second.Subject, "reason": "closer to the depot"}

	require.Equal(t, http.StatusPreconditionRequired, e.call(desk, http.MethodPost, path, body).Status)
	require.Equal(t, http.StatusPreconditionFailed, e.call(desk, http.MethodPost, path, body, "If-Match", `"1"`).Status)
	require.Equal(t, http.StatusBadRequest, e.call(desk, http.MethodPost, path, body, "If-Match", `seven`).Status)
	etag := e.ok(desk, http.MethodGet, "/v1/requests/"+r.id(), nil).Header.Get("ETag")
	got := e.ok(desk, http.MethodPost, path, body, "If-Match", etag)
	require.Equal(t, "offered", got.Body["state"])
	require.Equal(t, http.StatusNotFound, e.call(first, http.MethodGet, "/v1/requests/"+r.id(), nil).Status, "the first crew has lost it")
}

func TestPositionsAreTakenOneByOne(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	provider := e.provider()
	crew, other := e.crew(provider, 100), e.crew(e.provider(), 100)
	now := e.pass(time.Minute)
	send := func(as events.Actor, positions ...any) answer {
		return e.call(as, http.MethodPost, "/v1/positions", map[string]any{"positions": positions})
	}

	got := send(crew, position(now, 50), with(position(now, 1), nil, "datum"), with(position(now, 1), 91.0, "lat"), position(now.Add(2*time.Minute), 1))
	require.Equal(t, http.StatusOK, got.Status)
	golden(t, "positions", got.Text)
	fix, ok := e.svc.LastFix(crewID(t, crew))
	require.True(t, ok)
	require.Equal(t, now, fix.At, "this replica knows at once")

	none := send(crew, with(position(now, 1), "mars", "datum"), with(position(now, 1), -1, "accuracy_m"))
	require.Equal(t, http.StatusBadRequest, none.Status)
	require.Equal(t, map[string]string{"positions[0].datum": "unknown", "positions[1].accuracy_m": "range"}, none.fields())

	// One that is no fix at all is a mistake in the sender's program.
	shapeless := send(crew, position(now.Add(time.Second), 1), with(position(now, 1), "north", "lat"), with(position(now, 1), 5, "fixed_at"), with(position(now, 1), 3, "speed"))
	require.Equal(t, http.StatusBadRequest, shapeless.Status)
	require.Equal(t, map[string]string{"positions[1].lat": "type", "positions[2].fixed_at": "type", "positions[3].speed": "unknown"}, shapeless.fields())
	unmoved, _ := e.svc.LastFix(crewID(t, crew))
	require.Equal(t, fix, unmoved, "the good one beside them was not taken")

	foreign := with(position(now, 1), other.Subject, "crew_id")
	require.Equal(t, http.StatusForbidden, send(crew, foreign).Status)
	require.Equal(t, http.StatusForbidden, send(provider, foreign).Status)
	require.Equal(t, http.StatusOK, send(desk, foreign).Status)
	require.Equal(t, http.StatusOK, send(provider, with(position(now, 1), crew.Subject, "crew_id")).Status)
	require.Equal(t, http.StatusBadRequest, send(crew).Status, "an empty batch")

	e.publish.Away(true)
	away := send(crew, position(now.Add(time.Second), 999))
	require.Equal(t, http.StatusServiceUnavailable, away.Status)
	require.NotEmpty(t, away.Header.Get("Retry-After"))
	fix, _ = e.svc.LastFix(crewID(t, crew))
	require.Equal(t, now, fix.At, "a refused batch leaves no trace")
}

func crewID(t *testing.T, as events.Actor) events.CrewID {
	id, err := events.ParseID[events.CrewID](as.Subject)
	require.NoError(t, err)
	return id
}

func TestQueueIsOrderedBySlackAndPaged(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	const n = 7
	for i := range n {
		e.open(newOwner(), "粤B2000"+string(rune('0'+i)))
		e.pass(7 * time.Minute)
	}
	all := e.ok(desk, http.MethodGet, "/v1/queue", nil)
	items := all.Body["items"].([]any)
	require.Len(t, items, n)
	require.EqualValues(t, n, all.Body["counts"].(map[string]any)["all"])
	last := -1e9
	for _, item := range items {
		slack := item.(map[string]any)["slack_s"].(float64)
		require.GreaterOrEqual(t, slack, last)
		last = slack
	}
	var seen []any
	cursor := ""
	for range n {
		page := e.ok(desk, http.MethodGet, "/v1/queue?limit=2"+cursor, nil)
		for _, item := range page.Body["items"].([]any) {
			seen = append(seen, item.(map[string]any)["id"])
		}
		e.pass(3 * time.Minute) // time goes on between pages
		next, more := page.Body["next_cursor"].(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	want := make([]any, n)
	for i, item := range items {
		want[i] = item.(map[string]any)["id"]
	}
	require.Equal(t, want, seen, "every row once, in order")
	breached := e.ok(desk, http.MethodGet, "/v1/queue?show=breached", nil)
	require.EqualValues(t, len(breached.Body["items"].([]any)), breached.Body["counts"].(map[string]any)["breached"])
	require.NotEmpty(t, breached.Body["items"])
}

func TestListsAreScopedAndPaged(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	owner, partner := newOwner(), e.partner()
	mine := map[string]bool{}
	for i := range 5 {
		mine[e.open(owner, "粤B3000"+string(rune('0'+i))).id()] = true
	}
	e.open(partner, "粤B40000")
	seen := map[string]bool{}
	cursor := ""
	for range 5 {
		page := e.ok(owner, http.MethodGet, "/v1/requests?limit=2"+cursor, nil)
		for _, item := range page.Body["items"].([]any) {
			seen[item.(map[string]any)["id"].(string)] = true
		}
		next, more := page.Body["next_cursor"].(string)
		if !more {
			break
		}
		require.NotEmpty(t, page.Header.Get("Link"))
		cursor = "&cursor=" + next
	}
	require.Equal(t, mine, seen)
	require.Len(t, e.ok(partner, http.MethodGet, "/v1/requests", nil).Body["items"], 1)
	require.Len(t, e.ok(desk, http.MethodGet, "/v1/requests?state=open,stranded", nil).Body["items"], 6)
	require.Len(t, e.ok(desk, http.MethodGet, "/v1/requests?plate=粤B·40000", nil).Body["items"], 1)
	require.Empty(t, e.ok(desk, http.MethodGet, "/v1/requests?state=done", nil).Body["items"])
}

func TestAreasAreListedAndImported(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	page := e.ok(nobody, http.MethodGet, "/v1/areas?limit=200", nil)
	require.Len(t, page.Body["items"], 200)
	rest := e.ok(nobody, http.MethodGet, "/v1/areas?limit=200&cursor="+page.Body["next_cursor"].(string), nil)
	require.Equal(t, geo.ChinaAreas().Len(), 200+len(rest.Body["items"].([]any)))

	file := "id,name,lat,lng\nnorristown,Norristown,40.1215,-75.3399\n"
	set := e.call(root, http.MethodPost, "/v1/areas?name=montgomery.csv", file, "Content-Type", "text/csv")
	require.Equal(t, http.StatusCreated, set.Status, set.Text)
	require.EqualValues(t, 1, set.Body["places"])
	bad := e.call(root, http.MethodPost, "/v1/areas?name=x", "id,name,lat\n1,A,2\n", "Content-Type", "text/csv")
	require.Equal(t, http.StatusBadRequest, bad.Status)
	require.NotEmpty(t, bad.fields())
}

func TestOpenAPITellsEveryRouteAndWord(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	doc := e.ok(nobody, http.MethodGet, "/openapi.json", nil)
	require.Equal(t, "3.1.0", doc.Body["openapi"])
	paths := doc.Body["paths"].(map[string]any)
	for _, path := range []string{
		"/v1/requests", "/v1/requests/{id}", "/v1/requests/{id}/stream", "/v1/requests/{id}/timeline", "/v1/requests/{id}/considered",
		"/v1/requests/{id}/cancel", "/v1/requests/{id}/release", "/v1/requests/{id}/reassign", "/v1/requests/{id}/confirm-arrival",
		"/v1/requests/{id}/decide-arrival", "/v1/requests/{id}/depart", "/v1/requests/{id}/arrive", "/v1/requests/{id}/finish",
		"/v1/crews", "/v1/crews/{id}", "/v1/crews/{id}/start-shift", "/v1/crews/{id}/end-shift",
		"/v1/offers", "/v1/offers/stream", "/v1/offers/{id}/accept", "/v1/offers/{id}/decline", "/v1/offers/{id}/withdraw",
		"/v1/positions", "/v1/providers", "/v1/partners", "/v1/areas", "/v1/queue", "/v1/queue/stream", "/v1/clock", "/v1/speeds",
		"/v1/tracking/{token}", "/v1/tracking/{token}/stream", "/v1/tracking/{token}/cancel", "/v1/tracking/{token}/confirm-arrival",
	} {
		require.Contains(t, paths, path)
	}
	for _, word := range []string{"garage_extraction", "gcj02", "motorway", "erev"} {
		require.Contains(t, doc.Text, word)
	}
}

// TestACrewReadsNoMoney tells of money what the slice of promises tells, and
// reads the timeline as the desk, the owner and the crew.
func TestACrewReadsNoMoney(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	owner := newOwner()
	crew := e.crew(e.provider(), 3000)
	assigned := e.assign(owner, crew, "粤B12345")
	id, err := events.ParseID[events.RequestID](assigned.id())
	require.NoError(t, err)
	require.NoError(t, pg.InTx(t.Context(), e.pool, func(tx pgx.Tx) error {
		return events.Append(t.Context(), tx, events.System("sla"), e.pass(time.Minute), 1,
			events.GuaranteeSettled{RequestID: id, Outcome: "late", OwedFen: 5000}, events.CompensationAccrued{RequestID: id, Fen: 5000})
	}))
	types := func(as events.Actor) (list []string) {
		for _, item := range e.ok(as, http.MethodGet, "/v1/requests/"+assigned.id()+"/timeline", nil).Body["items"].([]any) {
			list = append(list, item.(map[string]any)["type"].(string))
		}
		return list
	}
	money := []string{events.GuaranteeSettled{}.EventType(), events.CompensationAccrued{}.EventType()}
	require.Subset(t, types(desk), money)
	require.Subset(t, types(owner), money)
	require.NotContains(t, types(crew), money[0])
	require.NotContains(t, types(crew), money[1])
	require.Contains(t, types(crew), events.RequestAssigned{}.EventType())
}
