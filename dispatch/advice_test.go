package dispatch_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
)

// north is a place 18 km north of Futian, in the same area: a crew there is
// not in time at Futian, nor the other way round.
const northLat = futianLat + 18.0/111.2

// called lets people call from both places, every two hours for two days.
func (e *edge) called() {
	e.t.Helper()
	for i := range 24 {
		for k, lat := range []float64{futianLat, northLat} {
			body := with(askFor(fmt.Sprintf("粤B%d%04d", k+1, i)), lat, "location", "lat")
			e.ok(newOwner(), http.MethodPost, "/v1/requests", body, "Idempotency-Key", key())
		}
		e.pass(2 * time.Hour)
	}
}

// advised is the crews that are advised to move, as an actor is told.
func (e *edge) advised(as events.Actor, query string) []string {
	e.t.Helper()
	var crews []string
	for _, item := range e.ok(as, http.MethodGet, "/v1/advice/moves"+query, nil).Body["items"].([]any) {
		crews = append(crews, item.(map[string]any)["crew"].(map[string]any)["id"].(string))
	}
	return crews
}

func TestIdleCrewsAreAdvisedToStandElsewhere(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	one, two := e.provider(), e.provider()
	require.Empty(t, e.advised(desk, ""), "no calls, no crews")
	e.called()
	// At noon the straight-line model drives freely.
	e.pass(2 * time.Hour)
	near, far := e.crew(one, -400), e.crew(two, 500)
	before := e.counts()

	got := e.ok(desk, http.MethodGet, "/v1/advice/moves", nil)
	golden(t, "advice_moves", got.Text)
	move := e.advised(desk, "")
	require.Len(t, move, 1, got.Text)
	require.Equal(t, move, e.advised(root, "?area=440300"))
	require.Empty(t, e.advised(desk, "?area=110000"))
	require.Equal(t, before, e.counts(), "it is advice: nothing is written")

	// Each provider is told of its own crews.
	moved, other, owner, stranger := near, far, one, two
	if move[0] == far.Subject {
		moved, other, owner, stranger = far, near, two, one
	}
	require.Equal(t, move, e.advised(owner, ""))
	require.Empty(t, e.advised(stranger, ""))

	// It sets out; the other one stays where calls come from.
	e.pass(5 * time.Minute)
	e.ok(moved, http.MethodPost, "/v1/positions", map[string]any{"positions": []any{
		with(position(e.clock.Now(), 0), futianLat+6.0/111.2, "lat")}})
	e.report(other, 0)
	require.NotContains(t, e.advised(desk, ""), moved.Subject, "it is under way")

	// It has arrived: all is well, and stays so.
	for range 2 {
		e.pass(45 * time.Minute)
		e.ok(moved, http.MethodPost, "/v1/positions", map[string]any{"positions": []any{
			with(position(e.clock.Now(), 0), northLat, "lat")}})
		e.report(other, 0)
		require.Empty(t, e.advised(desk, ""))
	}

	// A crew off duty, or not heard of, is not advised.
	e.ok(moved, http.MethodPost, "/v1/crews/"+moved.Subject+"/end-shift", nil)
	require.NotContains(t, e.advised(desk, ""), moved.Subject)
	e.pass(time.Hour)
	require.Empty(t, e.advised(desk, ""))
}

// A crew that has a job is not moved, and counts for where it will be free.
func TestCrewsAtWorkAreNotMoved(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	provider := e.provider()
	e.called()
	e.pass(2 * time.Hour)
	busy, idle := e.crew(provider, 0), e.crew(provider, 2000)
	require.Len(t, e.advised(desk, ""), 1)
	r := e.open(newOwner(), "粤B77777")
	e.match(r)
	for _, crew := range []events.Actor{busy, idle} {
		for _, o := range e.ok(crew, http.MethodGet, "/v1/offers", nil).Body["items"].([]any) {
			e.ok(crew, http.MethodPost, "/v1/offers/"+o.(map[string]any)["id"].(string)+"/accept", nil)
		}
	}
	for _, crew := range e.advised(desk, "") {
		require.Equal(t, "available", e.ok(desk, http.MethodGet, "/v1/crews/"+crew, nil).Body["state"])
	}
}
