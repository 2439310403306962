package sla_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

func TestExample45Promises(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 7, 12, 0, 123456789, time.FixedZone("CST", 8*3600))
	for tier, want := range map[string]struct {
		minutes int
		rule    string
	}{"urban": {45, "urban"}, "county": {60, "county"}, "": {45, "urban"}} {
		p := sla.Example45().Promise(at, sla.Facts{Tier: tier})
		require.Equal(t, want.minutes, p.Minutes, tier)
		require.Equal(t, want.rule, p.Rule, tier)
		require.Equal(t, "example-45", p.Policy)
		require.Equal(t, 1, p.PolicyVersion)
		require.NotEmpty(t, p.Reason)
		start := time.Date(2026, 3, 1, 23, 12, 0, 123456000, time.UTC)
		require.Equal(t, start.Add(time.Duration(want.minutes)*time.Minute), p.DueAt, "UTC, whole microseconds")
	}
}

func TestTheFirstRuleThatMatchesPromises(t *testing.T) {
	t.Parallel()
	partner := events.NewID[events.PartnerID]()
	p := edited(t, func(doc map[string]any) {
		reason := map[string]any{"zh": "规则", "en": "a rule"}
		rule := func(name string, minutes int, when map[string]any) map[string]any {
			return map[string]any{"rule": name, "when": when, "minutes": minutes, "reason": reason}
		}
		doc["promises"] = []any{
			rule("partner-tow", 30, map[string]any{"partners": []any{partner.String()}, "problems": []any{"tow_flatbed"}}),
			rule("danger", 20, map[string]any{"priorities": []any{0}, "road_classes": []any{"motorway", "urban"}}),
			rule("city", 40, map[string]any{"areas": []any{"cn-3301"}}),
			rule("rest", 90, map[string]any{}),
		}
	})
	at := time.Unix(1_700_000_000, 0)
	for rule, f := range map[string]sla.Facts{
		"partner-tow": {PartnerID: partner, Problem: "tow_flatbed", Priority: 0, RoadClass: "urban", Area: "cn-3301"},
		"danger":      {PartnerID: partner, Problem: "tyre", Priority: 0, RoadClass: "urban", Area: "cn-3301"},
		"city":        {Problem: "tow_flatbed", Priority: 1, RoadClass: "motorway", Area: "cn-3301"},
		"rest":        {Problem: "tow_flatbed", Priority: 0, RoadClass: "rural", Area: "cn-3302"},
	} {
		require.Equal(t, rule, p.Promise(at, f).Rule)
	}
}

func TestAPolicyNamesEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("testdata/policy-wrong.json")
	require.NoError(t, err)
	_, err = sla.ParsePolicy(document)
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	require.Equal(t, []string{
		"tittle unknown",
		"title required",
		"name form",
		"version range",
		"clock_start value",
		"grace_s range",
		"late_cancellation value",
		"promises[0].minutes range",
		"promises[0].when.tiers[0] value",
		"promises[1].rule repeated",
		"promises[1].reason.en required",
		"promises[2].when.priorities[0] range",
		"promises[2] unreachable",
		"pauses[0].longest_s range",
		"compensation.kind value",
		"compensation.tiers[0].over_s gap",
		"compensation.tiers[1].over_s overlap",
		"compensation.tiers[1].fen falls",
		"compensation.tiers[2].over_s gap",
		"compensation.tiers[2].up_to_s endless",
	}, codes(err))
}

func TestWhatIsNoPolicy(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{"", "{", "[]", `"x"`, "null", "{} {}", string(example(t)) + "x"} {
		_, err := sla.ParsePolicy([]byte(doc))
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%q", doc)
	}
	wrong := strings.Replace(string(example(t)), `"minutes": 60`, `"minutes": "sixty"`, 1)
	_, err := sla.ParsePolicy([]byte(wrong))
	require.ErrorContains(t, err, "promises[0].minutes: is a string; it must be a whole number")
}

func TestTiersMustJoin(t *testing.T) {
	t.Parallel()
	tiers := func(list ...map[string]any) func(map[string]any) {
		return func(doc map[string]any) {
			doc["compensation"] = map[string]any{"kind": "tiers", "tiers": append([]map[string]any{}, list...)}
		}
	}
	type m = map[string]any
	for name, c := range map[string]struct {
		edit func(map[string]any)
		want []string
	}{
		"overlap":          {tiers(m{"over_s": 0, "up_to_s": 600, "fen": 1}, m{"over_s": 599, "fen": 2}), []string{"compensation.tiers[1].over_s overlap"}},
		"gap":              {tiers(m{"over_s": 0, "up_to_s": 600, "fen": 1}, m{"over_s": 601, "fen": 2}), []string{"compensation.tiers[1].over_s gap"}},
		"backwards":        {tiers(m{"over_s": 0, "up_to_s": 0, "fen": 1}, m{"over_s": 0, "fen": 2}), []string{"compensation.tiers[0].up_to_s range"}},
		"endless too soon": {tiers(m{"over_s": 0, "fen": 1}, m{"over_s": 0, "fen": 2}), []string{"compensation.tiers[0].up_to_s required"}},
		"no end":           {tiers(m{"over_s": 0, "up_to_s": 600, "fen": 1}), []string{"compensation.tiers[0].up_to_s endless"}},
		"none":             {tiers(), []string{"compensation.tiers required"}},
		"negative":         {tiers(m{"over_s": 0, "fen": -1}), []string{"compensation.tiers[0].fen range"}},
	} {
		_, err := sla.ParsePolicy(edit(t, c.edit))
		require.Equal(t, c.want, codes(err), name)
	}
}

func codes(err error) []string {
	var f *fault.Error
	var list []string
	if errors.As(err, &f) {
		for _, field := range f.Fields {
			list = append(list, field.Field+" "+field.Code)
		}
	}
	return list
}

func example(t testing.TB) []byte {
	t.Helper()
	document, err := os.ReadFile("policies/example-45.json")
	require.NoError(t, err)
	return document
}

// edit changes the example's document.
func edit(t testing.TB, change func(doc map[string]any)) []byte {
	t.Helper()
	var doc map[string]any
	require.NoError(t, json.Unmarshal(example(t), &doc))
	change(doc)
	document, err := json.Marshal(doc)
	require.NoError(t, err)
	return document
}

func edited(t *testing.T, change func(doc map[string]any)) sla.Policy {
	t.Helper()
	p, err := sla.ParsePolicy(edit(t, change))
	require.NoError(t, err)
	return p
}
