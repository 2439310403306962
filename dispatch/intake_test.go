package dispatch_test

import (
	"encoding/json"
	"net/http"
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
	require.NoError(t, w.takeIn("b-4", "urn:other", strings.Replace(string(body), `"lat":22.5431`, `"lat":"north","road":"G4"`, 1)))
	require.NoError(t, w.takeIn("a-1", "/partners/"+ptn.ID.String(), strings.Replace(string(body), "王小明", "李", 1)))
	require.NoError(t, w.takeIn("b-6", "/partners/"+events.NewID[events.PartnerID]().String(), string(body)))
	require.NoError(t, w.takeIn("b-7", "/partners/me", string(body)))
	got := w.refusals()
	require.Len(t, got, 7)
	require.Equal(t, "plate_has_open_request", got[0].Code)
	require.Equal(t, mine[0].ID, *got[0].RequestID)
	require.Equal(t, "b-1", got[0].IntakeID)
	require.Greater(t, len(got[1].Fields), 5, "every wrong field is named")
	require.Equal(t, []string{"contact.name required", "contact.phone required", "contract unknown"}, fieldsOf(got[2]))
	require.Equal(t, []string{"location.lat type", "location.road unknown"}, fieldsOf(got[3]))
	require.Equal(t, "idempotency_key_reused", got[4].Code, "one id for two different requests")
	require.Equal(t, mine[0].ID, *got[4].RequestID)
	require.Equal(t, "partner_not_found", got[5].Code)
	require.Equal(t, "partner_not_found", got[6].Code)

	for _, text := range []string{`{"half`, `[]`, `null`, `"help"`, ``} {
		require.ErrorIs(t, w.takeIn("b-5", "urn:other", text), events.ErrUndecodable, text)
	}
	st, err := w.Stats(w.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, st.Requests)
}

func fieldsOf(r events.RequestRefused) (list []string) {
	for _, f := range r.Fields {
		list = append(list, f.Field+" "+f.Code)
	}
	return list
}

// TestIntakeNamesWhatIsWrongAsHTTPDoes sends one bad request through both
// doors: they end in the same Open, and say the same.
func TestIntakeNamesWhatIsWrongAsHTTPDoes(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	bodies := map[string]any{
		"types, words and names": `{"contact":{"name":7,"phone":"x"},"vehicle":{"plate":"!!","energy":"steam","wheels":3},"problem":9,
			"location":{"lat":"NaN","lng":1e300,"datum":"pz90","accuracy_m":1e999},"safety":{"injury":"yes"},"destination":{"lat":5},"x":1}`,
		"nothing":     `{}`,
		"letter case": strings.Replace(text(t, askFor("粤B99999")), `"contact"`, `"Contact"`, 1),
		"NUL":         with(askFor("粤B99999"), "a\x00b", "contact", "name"),
		"outside":     with(with(askFor("粤B99999"), 35.6, "location", "lat"), 139.7, "location", "lng"),
	}
	w := &world{Service: e.svc, t: t, ctx: t.Context(), pool: e.pool}
	heard := 0
	for name, body := range bodies {
		said, isText := body.(string)
		if !isText {
			said = text(t, body)
		}
		over := e.call(desk, http.MethodPost, "/v1/requests", said, "Idempotency-Key", key())
		require.NoError(t, w.takeIn(name, "urn:other", said))
		heard++
		got := w.refusals()
		require.Len(t, got, heard)
		refused := got[heard-1]
		require.Equal(t, over.Body["code"], refused.Code, name)
		require.Equal(t, over.Body["detail"], refused.Detail, name)
		fields := map[string]string{}
		for _, f := range refused.Fields {
			fields[f.Field] = f.Code
		}
		require.Equal(t, over.fields(), fields, name)
	}
}

// TestTheSenderOfAnIntakeEventHearsOfIt: by source and id, whether it was
// opened or refused; another type of event opens nothing.
func TestTheSenderOfAnIntakeEventHearsOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := text(t, w.call())
	require.NoError(t, w.takeIn("call 17", "//maker.example", body))
	list, err := w.Requests(w.ctx, desk, dispatch.RequestFilter{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	history, err := w.History(w.ctx, desk, list[0].ID)
	require.NoError(t, err)
	opened, err := events.Decode[events.RequestOpened](history[0])
	require.NoError(t, err)
	require.Equal(t, "call 17", opened.IntakeID)
	require.Equal(t, "//maker.example", opened.Source)

	env := events.Envelope{
		ID: events.NewID[events.EventID](), SenderID: "call 18", Source: "//maker.example", Type: "cn.rescue.request.cancelled.v1",
		Topic: events.TopicIntake, Data: json.RawMessage(text(t, w.call())),
	}
	require.NoError(t, pg.InTx(w.ctx, w.pool, func(tx pgx.Tx) error { return w.Handlers()[0].Handle(w.ctx, tx, env) }))
	got := w.refusals()
	require.Len(t, got, 1)
	require.Equal(t, "event_type_unknown", got[0].Code)
	require.Contains(t, got[0].Detail, dispatch.IntakeType)
	list, err = w.Requests(w.ctx, desk, dispatch.RequestFilter{})
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func text(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}
