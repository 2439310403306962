package dispatch_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
)

// TestWhatTheOwnerHasBoughtBearsOnThePromise: the product goes to whoever
// promises, stays with the request and is told with its opening, as is the
// weather mode the promise was made under.
func TestWhatTheOwnerHasBoughtBearsOnThePromise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.open(func(in *dispatch.NewRequest) { in.Product = " gold " })
	require.Equal(t, "gold", r.Product)
	require.Equal(t, 30, r.Promise.Minutes)
	require.Equal(t, 45, w.open().Promise.Minutes)

	told, err := events.ReadStream(w.ctx, w.pool, r.ID.String(), 1)
	require.NoError(t, err)
	opened, err := events.Decode[events.RequestOpened](told[0])
	require.NoError(t, err)
	require.Equal(t, "gold", opened.Product)
	require.Equal(t, r.Promise, opened.Promise)
	require.Equal(t, "yellow", opened.Promise.Weather)
}

func TestAProductIsReadBack(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	owner := newOwner()
	body := askFor("粤B12345")
	body["product"] = "gold"
	a := e.ok(owner, http.MethodPost, "/v1/requests", body, "Idempotency-Key", key())
	read := e.ok(owner, http.MethodGet, "/v1/requests/"+a.id(), nil)
	require.Equal(t, "gold", read.Body["product"])
	require.Equal(t, "yellow", read.Body["promise"].(map[string]any)["weather"])
	require.Equal(t, a.Body["promise"], read.Body["promise"])
}
