package dispatch_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/pg"
)

// takeIn hands an intake event to its handler, as the runner does.
func (w *world) takeIn(id, source, body string) error {
	env := events.Envelope{
		ID: events.NewID[events.EventID](), SenderID: id, Source: source, Type: dispatch.IntakeType,
		Topic: events.TopicIntake, Data: json.RawMessage(body),
	}
	return pg.InTx(w.ctx, w.pool, func(tx pgx.Tx) error { return w.Handlers()[0].Handle(w.ctx, tx, env) })
}

func (w *world) refusals() (list []events.RequestRefused) {
	w.t.Helper()
	rows, err := w.pool.Query(w.ctx, `SELECT data::text FROM events.journal WHERE type = $1 ORDER BY seq`, events.RequestRefused{}.EventType())
	require.NoError(w.t, err)
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	for _, text := range texts {
		var r events.RequestRefused
		require.NoError(w.t, json.Unmarshal([]byte(text), &r))
		list = append(list, r)
	}
	return list
}

func TestIntakeTakesTheSameRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ptn, err := w.RegisterPartner(w.ctx, root, dispatch.NewPartner{Name: "Example Motors"})
	require.NoError(t, err)
	body, err := json.Marshal(w.call())
	require.NoError(t, err)

	require.NoError(t, w.takeIn("a-1", "/partners/"+ptn.ID.String(), string(body)))
	partner := events.Actor{Role: events.RolePartner, Subject: ptn.ID.String()}
	mine, err := w.Requests(w.ctx, partner, dispatch.RequestFilter{})
	require.NoError(t, err)
	require.Len(t, mine, 1)
	require.NoError(t, w.takeIn("a-1", "/partners/"+ptn.ID.String(), string(body)), "the same again is no other request")
	require.Empty(t, w.refusals())

	// Somebody else's event for the same car.
	require.NoError(t, w.takeIn("b-1", "urn:other", string(body)))
	require.NoError(t, w.takeIn("b-2", "urn:other", `{"location":{"lat":1}}`))
	require.NoError(t, w.takeIn("b-3", "urn:other", strings.Replace(string(body), `"contact"`, `"contract"`, 1)))
	require.NoError(t, w.takeIn("b-4", "urn:other", strings.Replace(string(body), `"lat":22.5431`, `"lat":"north"`, 1)))
	got := w.refusals()
	require.Len(t, got, 4)
	require.Equal(t, "plate_has_open_request", got[0].Code)
	require.Equal(t, mine[0].ID, *got[0].RequestID)
	require.Equal(t, "b-1", got[0].IntakeID)
	require.Greater(t, len(got[1].Fields), 5, "every wrong field is named")
	require.Equal(t, "contract", got[2].Fields[0].Field)
	require.Equal(t, "location.lat", got[3].Fields[0].Field)

	require.True(t, errors.Is(w.takeIn("b-5", "urn:other", `{"half`), events.ErrUndecodable))
	st, err := w.Stats(w.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, st.Requests)
}
