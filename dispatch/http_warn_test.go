package dispatch_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAtRiskOverHTTP: the desk sees danger and remedy in the queue and in the
// request; the owner sees the danger, and no other crew.
func TestAtRiskOverHTTP(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	owner, provider := newOwner(), e.provider()
	crew := e.crew(provider, 3000)
	r := e.assign(owner, crew, "粤B30001")
	other := e.crew(provider, 4000)
	path := "/v1/requests/" + r.id()
	queue := func(show string) (counts map[string]any, items []any) {
		body := e.ok(desk, http.MethodGet, "/v1/queue?show="+show, nil).Body
		return body["counts"].(map[string]any), body["items"].([]any)
	}
	counts, items := queue("at_risk")
	require.EqualValues(t, 0, counts["at_risk"])
	require.Empty(t, items)
	require.NotContains(t, e.ok(desk, http.MethodGet, path, nil).Body, "at_risk")

	e.pass(4 * time.Minute) // and no word of the crew
	e.report(other, 4000)
	_, err := e.svc.Warn(context.Background())
	require.NoError(t, err)

	counts, items = queue("at_risk")
	require.EqualValues(t, 1, counts["at_risk"])
	require.Len(t, items, 1)
	risk, err := json.Marshal(items[0].(map[string]any)["at_risk"])
	require.NoError(t, err)
	golden(t, "at_risk", string(risk))
	seen := e.ok(desk, http.MethodGet, path, nil).Body["at_risk"]
	require.Equal(t, items[0].(map[string]any)["at_risk"], seen)
	require.Equal(t, other.Subject, seen.(map[string]any)["remedy"].(map[string]any)["crew_id"])

	his := e.ok(owner, http.MethodGet, path, nil).Body["at_risk"].(map[string]any)
	require.Equal(t, seen.(map[string]any)["reasons"], his["reasons"])
	require.NotContains(t, his, "remedy")

	e.pass(time.Hour) // past the promised moment it is not at risk but breached
	counts, items = queue("at_risk")
	require.EqualValues(t, 0, counts["at_risk"])
	require.EqualValues(t, 1, counts["breached"])
	require.Empty(t, items)
}
