package events_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
)

type submitted struct {
	Plate   string         `json:"plate"`
	Flags   []string       `json:"flags,omitempty"`
	Wanted  *time.Time     `json:"wanted_at,omitempty"`
	Where   events.LatLng  `json:"where"`
	Owner   events.OwnerID `json:"owner_id,omitzero"`
	Hidden  string         `json:"-"`
	Answers map[string]int `json:"answers"`
}

func asyncAPI(t *testing.T) map[string]any {
	text, err := events.AsyncAPI(events.Message{Name: "RequestSubmitted", Topic: events.TopicIntake,
		About: "A request.", Payload: submitted{}, Foreign: true})
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(text, &doc))
	return doc
}

func at(t *testing.T, doc any, path ...string) any {
	t.Helper()
	for _, step := range path {
		m, ok := doc.(map[string]any)
		require.True(t, ok, "%v is no object at %s", path, step)
		require.Contains(t, m, step)
		doc = m[step]
	}
	return doc
}

func TestAsyncAPIReferencesResolve(t *testing.T) {
	t.Parallel()
	doc := asyncAPI(t)
	found := 0
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if to, ok := v["$ref"].(string); ok {
				found++
				require.Len(t, v, 1, "nothing may stand beside a reference")
				path, inside := strings.CutPrefix(to, "#/")
				require.True(t, inside, to)
				steps := strings.Split(path, "/")
				for i := range steps {
					steps[i] = strings.ReplaceAll(strings.ReplaceAll(steps[i], "~1", "/"), "~0", "~")
				}
				at(t, doc, steps...)
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	walk(doc)
	require.Greater(t, found, 60)
}

func TestAsyncAPIHasEveryEventAndDirection(t *testing.T) {
	t.Parallel()
	doc := asyncAPI(t)
	require.Equal(t, "3.0.0", doc["asyncapi"])
	require.Len(t, doc["channels"], len(events.Topics()))
	require.Len(t, at(t, doc, "components", "messages"), len(events.Registered())+1)
	seen := 0
	for name, op := range doc["operations"].(map[string]any) {
		messages := at(t, op, "messages").([]any)
		seen += len(messages)
		channel := at(t, op, "channel", "$ref").(string)
		for _, m := range messages {
			require.True(t, strings.HasPrefix(at(t, m, "$ref").(string), channel+"/messages/"), "messages of %s are those of its channel", name)
		}
	}
	require.Equal(t, len(events.Registered())+1, seen)
	require.Equal(t, "receive", at(t, doc, "operations", "receiveIntake", "action"))
	require.Equal(t, "send", at(t, doc, "operations", "sendRequests", "action"))
}

// Every sample satisfies its own schema, as far as required members, types
// and patterns go.
func TestSamplesSatisfyTheirSchemas(t *testing.T) {
	t.Parallel()
	doc := asyncAPI(t)
	byType := map[string]any{}
	for _, m := range at(t, doc, "components", "messages").(map[string]any) {
		byType[at(t, m, "title").(string)] = at(t, m, "payload")
	}
	for _, ev := range samples() {
		data, err := json.Marshal(ev)
		require.NoError(t, err)
		var v any
		require.NoError(t, json.Unmarshal(data, &v))
		requireValid(t, doc, byType[ev.EventType()], v, ev.EventType())
	}
}

func requireValid(t *testing.T, doc map[string]any, schema, v any, path string) {
	t.Helper()
	s := schema.(map[string]any)
	if to, ok := s["$ref"].(string); ok {
		requireValid(t, doc, at(t, doc, strings.Split(strings.TrimPrefix(to, "#/"), "/")...), v, path)
		return
	}
	if all, ok := s["allOf"].([]any); ok {
		for _, part := range all {
			requireValid(t, doc, part, v, path)
		}
		return
	}
	types, ok := s["type"].([]any)
	if !ok {
		types = []any{s["type"]}
	}
	switch v := v.(type) {
	case string:
		require.Contains(t, types, "string", path)
		if pattern, ok := s["pattern"].(string); ok {
			require.Regexp(t, regexp.MustCompile(pattern), v, path)
		}
	case float64:
		require.True(t, types[0] == "number" || types[0] == "integer" && v == float64(int64(v)), path)
	case bool:
		require.Contains(t, types, "boolean", path)
	case []any:
		require.Contains(t, types, "array", path)
		for _, item := range v {
			requireValid(t, doc, s["items"], item, path+"[]")
		}
	case map[string]any:
		require.Contains(t, types, "object", path)
		for name, member := range v {
			if extra, ok := s["additionalProperties"]; ok {
				requireValid(t, doc, extra, member, path+"."+name)
				continue
			}
			requireValid(t, doc, at(t, s, "properties", name), member, path+"."+name)
		}
		if required, ok := s["required"].([]any); ok {
			for _, name := range required {
				require.Contains(t, v, name, path)
			}
		}
	default:
		require.Fail(t, "unexpected value", "%s: %T", path, v)
	}
}

func TestAsyncAPISaysWhatTheCodeSays(t *testing.T) {
	t.Parallel()
	doc := asyncAPI(t)
	opened := at(t, doc, "components", "schemas", "RequestOpened").(map[string]any)
	require.Contains(t, opened["description"], "asked for help")
	require.Equal(t, "urban or county", at(t, opened, "properties", "tier", "description"))
	require.NotContains(t, opened["required"], "partner_ref")
	require.Contains(t, opened["required"], "request_id")

	intake := at(t, doc, "components", "schemas", "submitted").(map[string]any)
	require.ElementsMatch(t, []any{"plate", "where", "answers"}, intake["required"])
	require.NotContains(t, intake["properties"], "Hidden")
	require.Contains(t, at(t, intake, "properties", "owner_id", "pattern"), "^own_")
}

func TestAsyncAPIRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	_, err := events.AsyncAPI(events.Message{Name: "RequestOpened", Topic: events.TopicIntake, Payload: submitted{}})
	require.ErrorContains(t, err, "two messages")
	_, err = events.AsyncAPI(events.Message{Name: "X", Topic: "elsewhere", Payload: submitted{}})
	require.ErrorContains(t, err, "no topic")
}
