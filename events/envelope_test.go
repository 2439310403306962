package events_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"rescued/events"
	"rescued/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files of the wire form")

// golden is one event as Kafka carries it.
type golden struct {
	Topic   string            `json:"topic"`
	Key     string            `json:"key"`
	Headers map[string]string `json:"headers"`
	Value   json.RawMessage   `json:"value"`
}

func sampleEnvelope(t testing.TB, ev events.Event) events.Envelope {
	env, err := events.Enclose(by, noon, 7, ev)
	require.NoError(t, err)
	env.ID = events.IDFromUUID[events.EventID](u(99))
	env.SenderID, env.FeedNo = env.ID.String(), 4711
	return env
}

func goldenOf(t testing.TB, r *kgo.Record) []byte {
	g := golden{Topic: r.Topic, Key: string(r.Key), Headers: map[string]string{}, Value: r.Value}
	for _, h := range r.Headers {
		require.NotContains(t, g.Headers, h.Key)
		g.Headers[h.Key] = string(h.Value)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(g))
	return b.Bytes()
}

// A changed golden file is a changed wire form: it needs a new event version.
func TestGoldenWireForm(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/cn.rescue.*.json")
	require.NoError(t, err)
	if !*update {
		require.Len(t, files, len(events.Registered()), "one golden file per event type")
	}
	for _, ev := range samples() {
		path := filepath.Join("testdata", ev.EventType()+".json")
		got := goldenOf(t, sampleEnvelope(t, ev).Record())
		if *update {
			require.NoError(t, os.WriteFile(path, got, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "the wire form of %s has changed", ev.EventType())
	}
}

func TestGoldenFilesRoundTrip(t *testing.T) {
	t.Parallel()
	for _, ev := range samples() {
		text, err := os.ReadFile(filepath.Join("testdata", ev.EventType()+".json"))
		require.NoError(t, err)
		var g golden
		require.NoError(t, json.Unmarshal(text, &g))
		r := &kgo.Record{Topic: g.Topic, Key: []byte(g.Key), Value: g.Value}
		for name, value := range g.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
		env, err := events.OpenRecord(events.Topic(g.Topic), r)
		require.NoError(t, err)
		want := sampleEnvelope(t, ev)
		require.JSONEq(t, string(want.Data), string(env.Data))
		want.Data = env.Data
		require.Equal(t, want, env)
		require.Equal(t, ev, decodeAny(t, env))
	}
}

// decodeAny calls Decode for the one type that takes the envelope.
func decodeAny(t testing.TB, env events.Envelope) events.Event {
	for _, try := range []func(events.Envelope) (events.Event, error){
		decode[events.RequestOpened], decode[events.RequestRefused], decode[events.OfferMade], decode[events.OfferLapsed],
		decode[events.RequestAssigned], decode[events.RequestStranded], decode[events.RequestHeld], decode[events.CrewDeparted], decode[events.ArrivalUnproven],
		decode[events.CrewArrived], decode[events.RequestReleased], decode[events.RequestCancelled], decode[events.RequestFinished],
		decode[events.RequestWarned], decode[events.ArrivalForecast],
		decode[events.CrewPositioned], decode[events.CrewChanged], decode[events.GuaranteeArmed], decode[events.GuaranteeAtRisk],
		decode[events.GuaranteeBreached], decode[events.GuaranteeSettled], decode[events.CompensationAccrued], decode[events.CompensationChanged],
		decode[events.BatchChanged], decode[events.PayoutChanged], decode[events.StatementReconciled], decode[events.DayChanged],
		decode[events.PolicyChanged],
		decode[events.HistoryImported], decode[events.ImportChanged], decode[events.FactRecorded], decode[events.DeadlineMoved], decode[events.ConditionDeclared],
		decode[events.ExportMade], decode[events.ChargebackChanged],
		decode[events.StatementChanged], decode[events.StatementLineChanged],
	} {
		if ev, err := try(env); err == nil {
			return ev
		}
	}
	require.Fail(t, "no type takes the event", env.Type)
	return nil
}

func decode[E events.Event](env events.Envelope) (events.Event, error) { return events.Decode[E](env) }

func TestPayloadsNameNobody(t *testing.T) {
	t.Parallel()
	for _, ev := range samples() {
		data, err := json.Marshal(ev)
		require.NoError(t, err)
		var members map[string]any
		require.NoError(t, json.Unmarshal(data, &members))
		for name := range members {
			for _, private := range []string{"phone", "plate", "vin", "contact", "owner_name", "address"} {
				require.NotContains(t, strings.ToLower(name), private, ev.EventType())
			}
		}
	}
}

func TestDecodeRefusesAnotherType(t *testing.T) {
	t.Parallel()
	env := sampleEnvelope(t, samples()[0])
	_, err := events.Decode[events.OfferMade](env)
	require.ErrorIs(t, err, events.ErrUndecodable)
	env.Data = []byte(`{"request_id": 7}`)
	_, err = events.Decode[events.RequestOpened](env)
	require.ErrorIs(t, err, events.ErrUndecodable)
	env.Data = []byte(`{"area": "x", "a_member_of_tomorrow": 1}`)
	ev, err := events.Decode[events.RequestOpened](env)
	require.NoError(t, err)
	require.Equal(t, "x", ev.Area)
}

func TestOurTopicsAreReadStrictly(t *testing.T) {
	t.Parallel()
	good := func() *kgo.Record { return sampleEnvelope(t, samples()[0]).Record() }
	_, err := events.OpenRecord(events.TopicRequests, good())
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(*kgo.Record)
		topic  events.Topic
		says   string
	}{
		"no id":            {drop("ce_id"), events.TopicRequests, "ce_id"},
		"no type":          {drop("ce_type"), events.TopicRequests, "ce_type"},
		"no source":        {drop("ce_source"), events.TopicRequests, "ce_source"},
		"no time":          {drop("ce_time"), events.TopicRequests, "ce_time"},
		"no actor":         {drop("ce_actor"), events.TopicRequests, "ce_actor"},
		"no spec version":  {drop("ce_specversion"), events.TopicRequests, "ce_specversion"},
		"other version":    {set("ce_specversion", "0.3"), events.TopicRequests, "0.3"},
		"foreign id":       {set("ce_id", "17"), events.TopicRequests, "ce_id"},
		"bad time":         {set("ce_time", "noon"), events.TopicRequests, "ce_time"},
		"bad actor":        {set("ce_actor", "king:1"), events.TopicRequests, "ce_actor"},
		"bad version":      {set("ce_aggregateversion", "-1"), events.TopicRequests, "ce_aggregateversion"},
		"bad feed number":  {set("ce_feedno", "one"), events.TopicRequests, "ce_feedno"},
		"unknown type":     {set("ce_type", "cn.rescue.request.eaten.v1"), events.TopicRequests, "eaten"},
		"another's topic":  {func(*kgo.Record) {}, events.TopicCrews, "belongs to rescue.requests.v1"},
		"not JSON":         {func(r *kgo.Record) { r.Value = []byte("{") }, events.TopicRequests, "not JSON"},
		"empty":            {func(r *kgo.Record) { r.Value = nil }, events.TopicRequests, "not JSON"},
		"structured mode":  {set("content-type", "application/cloudevents+json"), events.TopicRequests, "content-type"},
		"other media type": {set("content-type", "text/plain"), events.TopicRequests, "content-type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := good()
			tc.change(r)
			_, err := events.OpenRecord(tc.topic, r)
			require.ErrorIs(t, err, events.ErrUndecodable)
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func drop(name string) func(*kgo.Record) {
	return func(r *kgo.Record) {
		var kept []kgo.RecordHeader
		for _, h := range r.Headers {
			if h.Key != name {
				kept = append(kept, h)
			}
		}
		r.Headers = kept
	}
}

func set(name, value string) func(*kgo.Record) {
	return func(r *kgo.Record) {
		drop(name)(r)
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
}

func TestForeignSendersNeedThreeHeaders(t *testing.T) {
	t.Parallel()
	r := &kgo.Record{Value: []byte(`{"any": "thing"}`), Timestamp: noon}
	_, err := events.OpenRecord(events.TopicIntake, r)
	require.ErrorContains(t, err, "ce_id, ce_source, ce_type")

	set("ce_id", "order 17")(r)
	set("CE_source", "//maker.example")(r)
	set("ce_type", "example.maker.help.v2")(r)
	set("ce_dealer", "D5")(r)
	set("ce_actor", "admin:me")(r)
	set("ce_feedno", "many")(r)
	env, err := events.OpenRecord(events.TopicIntake, r)
	require.NoError(t, err)
	require.Equal(t, "order 17", env.SenderID)
	require.Equal(t, noon, env.At, "the record's own time stands in for ce_time")
	require.Zero(t, env.Actor, "a foreign sender does not choose whom it acts for")
	require.Zero(t, env.FeedNo)
	require.Equal(t, map[string]string{"dealer": "D5", "actor": "admin:me", "feedno": "many"}, env.Headers)

	again, err := events.OpenRecord(events.TopicIntake, r)
	require.NoError(t, err)
	require.Equal(t, env.ID, again.ID, "a repeat has the same identifier")
	r.Value = []byte(`{"any": "other thing"}`)
	changed, err := events.OpenRecord(events.TopicIntake, r)
	require.NoError(t, err)
	require.NotEqual(t, env.ID, changed.ID, "another payload under one id is no repeat: its sender must hear of it")
	require.Equal(t, env.SenderKey(), changed.SenderKey())
	set("ce_source", "//other.example")(r)
	other, err := events.OpenRecord(events.TopicIntake, r)
	require.NoError(t, err)
	require.NotEqual(t, changed.ID, other.ID, "ids of two sources are two ids")
	require.NotEqual(t, changed.SenderKey(), other.SenderKey())
	set("ce_id", "order\x0017")(r)
	_, err = events.OpenRecord(events.TopicIntake, r)
	require.ErrorIs(t, err, events.ErrUndecodable)
	require.ErrorContains(t, err, "ce_id")
}

func TestEveryEventHasAHome(t *testing.T) {
	t.Parallel()
	known := map[events.Topic]bool{}
	for _, spec := range events.Topics() {
		known[spec.Topic] = true
	}
	for _, ev := range samples() {
		topic, key := ev.Stream()
		require.True(t, known[topic], ev.EventType())
		require.NotEmpty(t, key)
		require.NotEmpty(t, ev.Subject())
		require.Regexp(t, `^cn\.rescue\.[a-z]+\.[a-z_]+\.v\d+$`, ev.EventType())
		require.Equal(t, reflect.Struct, reflect.TypeOf(ev).Kind())
	}
}
