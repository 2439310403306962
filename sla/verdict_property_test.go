package sla_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

// shippedPolicies are documents that use every shape a policy can have.
func shippedPolicies(t testing.TB) map[string][]byte {
	t.Helper()
	list := map[string][]byte{}
	for _, file := range []string{
		"policies/example-45.json", "policies/example-per-minute.json",
		"policies/example-partner-share.json", "testdata/verdicts/blocks.json",
	} {
		document, err := os.ReadFile(file)
		require.NoError(t, err)
		list[file] = document
	}
	return list
}

// anyFact draws a fact of any kind, from a small choice of times, references
// and words, so that facts meet and speak of each other often.
func anyFact(t *rapid.T) sla.Fact {
	at := func(label string) time.Time {
		return opened.Add(time.Duration(rapid.IntRange(-10, 260).Draw(t, label)) * 30 * time.Second)
	}
	f := sla.Fact{Kind: rapid.SampledFrom(sla.FactKinds()).Draw(t, "kind"), At: at("at")}
	word := func(words ...string) string { return rapid.SampledFrom(words).Draw(t, "word") }
	refer := func() { f.Ref = rapid.SampledFrom([]uuid.UUID{{}, {1}, {2}}).Draw(t, "ref") }
	said := func() {
		f.By = rapid.SampledFrom([]events.Role{"", events.RoleOwner, events.RoleCrew, events.RoleOperator}).Draw(t, "by")
		if rapid.Bool().Draw(t, "said later") {
			f.SaidAt = at("said")
		}
	}
	switch f.Kind {
	case sla.FactArrived:
		f.Source = word("gps", "code", "tap", "owner", "operator", "hearsay")
		f.Crew = rapid.SampledFrom([]events.CrewID{crewA, crewB}).Draw(t, "crew")
	case sla.FactReleased, sla.FactFinished, sla.FactAssigned, sla.FactOffered, sla.FactLapsed:
		f.Source = word("gone_on_arrival", "fixed")
		f.Crew = rapid.SampledFrom([]events.CrewID{crewA, crewB}).Draw(t, "crew")
	case sla.FactPaused:
		f.Source = string(rapid.SampledFrom(append(sla.PauseReasons(), "lunch")).Draw(t, "reason"))
		refer()
		said()
	case sla.FactEvidence:
		f.Source = string(rapid.SampledFrom(sla.EvidenceKinds()).Draw(t, "evidence"))
		refer()
	case sla.FactCondition:
		f.Source = string(rapid.SampledFrom(sla.Conditions()).Draw(t, "condition"))
		f.Level = word("", "blue", "yellow", "orange", "red")
		refer()
		said()
	case sla.FactApproved, sla.FactWithdrawn:
		f.Ref = rapid.SampledFrom([]uuid.UUID{{1}, {2}, {3}}).Draw(t, "ref")
	case sla.FactMislocated:
		f.Metres = rapid.Int64Range(0, 3000).Draw(t, "metres")
	case sla.FactPriced:
		f.Fen = sla.Fen(rapid.Int64Range(0, 100_000).Draw(t, "fen"))
	}
	if rapid.Bool().Draw(t, "ends") {
		f.Until = at("until")
	}
	return f
}

func anyTimeline(t *rapid.T, p sla.Policy) sla.Timeline {
	asked := sla.Facts{
		Area: "cn-3301", Priority: 2,
		Tier:      rapid.SampledFrom([]string{"urban", "county"}).Draw(t, "tier"),
		RoadClass: rapid.SampledFrom([]string{"urban", "rural", "motorway"}).Draw(t, "road"),
		Problem:   rapid.SampledFrom([]string{"tyre", "heavy"}).Draw(t, "problem"),
		Product:   rapid.SampledFrom([]string{"", "gold", "booked"}).Draw(t, "product"),
		Weather:   rapid.SampledFrom(sla.WeatherModes()).Draw(t, "weather"),
	}
	return sla.Timeline{
		OpenedAt: opened, Asked: asked, Promise: p.Promise(opened, asked),
		Facts: rapid.SliceOfN(rapid.Custom(anyFact), 0, 12).Draw(t, "facts"),
		Spent: sla.Spent{
			VehicleMonthFen: sla.Fen(rapid.Int64Range(0, 40_000).Draw(t, "vehicle")),
			BudgetFen:       sla.Fen(rapid.Int64Range(0, 60_000_000).Draw(t, "budget")),
		},
	}
}

// TestEveryShapeOfPolicyJudgesASet draws facts of every kind under every shape
// of policy: in whatever order and however often they are told, the verdict is
// one, and it is sound.
func TestEveryShapeOfPolicyJudgesASet(t *testing.T) {
	t.Parallel()
	for file, document := range shippedPolicies(t) {
		p, err := sla.ParsePolicy(document)
		require.NoError(t, err)
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				timeline := anyTimeline(t, p)
				v := p.Owed(timeline)
				requireSound(t, p, timeline, v)
				random := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
				for range 10 {
					again := timeline
					again.Facts = slices.Clone(timeline.Facts)
					for _, f := range timeline.Facts {
						if random.Intn(3) == 0 {
							f.At = f.At.In(china) // said in another zone
							again.Facts = append(again.Facts, f)
						}
					}
					random.Shuffle(len(again.Facts), func(i, j int) { again.Facts[i], again.Facts[j] = again.Facts[j], again.Facts[i] })
					require.Equal(t, v, p.Owed(again))
				}
			})
		})
	}
}

// requireSound holds a verdict against what the database would refuse, and
// against its own explanation.
func requireSound(t require.TestingT, p sla.Policy, timeline sla.Timeline, v sla.Verdict) {
	require.GreaterOrEqual(t, v.Fen, sla.Fen(0))
	require.LessOrEqual(t, v.Fen, v.UncappedFen)
	require.LessOrEqual(t, v.UncappedFen, v.RawFen)
	require.False(t, v.DueAt.Before(timeline.Promise.DueAt), "the deadline shown is the earliest")
	require.Equal(t, v.Outcome == sla.OutcomePending, v.StoppedAt.IsZero())
	require.True(t, v.Fen == 0 || v.Outcome == sla.OutcomeLate || v.Outcome == sla.OutcomeVoid)
	if v.Outcome == sla.OutcomeLate {
		require.Positive(t, v.Late)
		require.Equal(t, v.StoppedAt.Sub(v.DueAt), v.Late, "the raw lateness stays visible")
		require.False(t, v.StartedAt.IsZero())
	} else {
		require.Empty(t, v.Excluded)
	}
	if limit := p.Caps.PerCaseFen; limit > 0 {
		require.LessOrEqual(t, v.Fen, limit)
	}
	if limit := p.Caps.PerVehicleMonthFen; limit > 0 && v.Fen > 0 {
		require.LessOrEqual(t, v.Fen+timeline.Spent.VehicleMonthFen, limit)
	}
	if limit := p.Caps.BudgetFen; limit > 0 && v.Fen > 0 {
		require.Equal(t, v.Fen+timeline.Spent.BudgetFen > limit, v.OverBudget, "a spent budget waits and cuts nothing")
	}
	var total int64
	for _, r := range v.Reasons {
		require.NotEmpty(t, r.ZH)
		require.NotEmpty(t, r.EN)
		require.NotEmpty(t, r.Code)
		total += r.Fen
	}
	require.Equal(t, int64(v.Fen), total, "the lines add up to what is owed")
}

// TestALongerWaitNeverPaysLess lets help come later and later under every way
// to work out an amount, without and with exclusions and a cap of a case.
func TestALongerWaitNeverPaysLess(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	rapid.Check(t, func(t *rapid.T) {
		fen := func(label string) int64 { return rapid.Int64Range(1, 100_000).Draw(t, label) }
		rule := m{}
		bands := func(of string, most int) []any {
			var list []any
			over, amount := 0, 0
			for n := rapid.IntRange(1, 4).Draw(t, "bands"); n > 0; n-- {
				amount = rapid.IntRange(amount, most).Draw(t, of)
				tier := m{"over_s": over, of: amount}
				if n > 1 {
					over += rapid.IntRange(1, 3600).Draw(t, "up to")
					tier["up_to_s"] = over
				}
				list = append(list, tier)
			}
			return list
		}
		switch kind := rapid.SampledFrom([]string{"tiers", "per_minute", "per_block", "percent"}).Draw(t, "kind"); kind {
		case "tiers":
			rule = m{"kind": kind, "tiers": bands("fen", 50_000)}
		case "per_minute":
			rule = m{"kind": kind, "per_minute_fen": fen("per minute")}
		case "per_block":
			rule = m{"kind": kind, "per_block_fen": fen("per block"), "block_s": rapid.IntRange(1, 7200).Draw(t, "block")}
		case "percent":
			rule = m{"kind": kind, "tiers": bands("pct", 100), "base": "fixed", "base_fen": fen("base")}
		}
		if rapid.Bool().Draw(t, "bounded") {
			floor := fen("floor")
			rule["floor_fen"], rule["ceiling_fen"] = floor, floor+fen("ceiling")
		}
		var doc m
		require.NoError(t, json.Unmarshal(exampleDocument, &doc))
		doc["compensation"] = rule
		doc["grace_s"] = rapid.IntRange(0, 600).Draw(t, "grace")
		if rapid.Bool().Draw(t, "capped") {
			doc["caps"] = m{"per_case_fen": fen("case")}
		}
		if rapid.Bool().Draw(t, "excused") {
			doc["exclusions"] = []any{m{
				"rule": "far", "because": "remote_area", "when": m{"tiers": []any{"urban"}}, "owes_pct": rapid.IntRange(0, 99).Draw(t, "owes"),
				"words": m{"zh": "偏远", "en": "far out"},
			}}
		}
		document, err := json.Marshal(doc)
		require.NoError(t, err)
		p, err := sla.ParsePolicy(document)
		require.NoError(t, err)
		stops := rapid.SliceOfN(rapid.Int64Range(0, int64(6*time.Hour/time.Microsecond)), 2, 8).Draw(t, "stops")
		slices.Sort(stops)
		var before sla.Verdict
		for _, us := range stops {
			v := p.Owed(timeline(p, arrived(crewA, opened.Add(time.Duration(us)*time.Microsecond))))
			require.GreaterOrEqual(t, v.Late, before.Late)
			require.GreaterOrEqual(t, v.Fen, before.Fen, "late by %s pays less than by %s", v.Late, before.Late)
			before = v
		}
	})
}

var exampleDocument = func() []byte {
	document, err := os.ReadFile("policies/example-45.json")
	if err != nil {
		panic(err)
	}
	return document
}()

// TestWhateverIsAcceptedCanBeJudged damages documents in every way: what is
// accepted all the same must judge any timeline, and what is refused names
// fields.
func TestWhateverIsAcceptedCanBeJudged(t *testing.T) {
	t.Parallel()
	documents := shippedPolicies(t)
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.SampledFrom([]string{"policies/example-per-minute.json", "policies/example-partner-share.json", "testdata/verdicts/blocks.json"}).Draw(t, "file")
		var doc any
		require.NoError(t, json.Unmarshal(documents[file], &doc))
		for range rapid.IntRange(1, 4).Draw(t, "times") {
			doc = damaged(t, doc)
		}
		document, err := json.Marshal(doc)
		require.NoError(t, err)
		p, err := sla.ParsePolicy(document)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			require.NotEmpty(t, codes(err))
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(codes(err)))), len(codes(err)), "each said once")
			return
		}
		timeline := anyTimeline(t, p)
		requireSound(t, p, timeline, p.Owed(timeline))
	})
}

// damaged changes one place of a document, drawn with the document's shape.
func damaged(t *rapid.T, v any) any {
	junk := func() any {
		return rapid.SampledFrom([]any{nil, true, "", "x", "00:00", 0.0, -1.0, 1.5, 7.0, 1e9, 1e300, []any{}, []any{"x"}, map[string]any{}, map[string]any{"x": 1.0}}).Draw(t, "junk")
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || rapid.IntRange(0, 9).Draw(t, "here") == 0 {
			return junk()
		}
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		name := rapid.SampledFrom(names).Draw(t, "name")
		switch rapid.IntRange(0, 9).Draw(t, "how") {
		case 0:
			delete(v, name)
		case 1:
			v[name+"x"] = v[name]
		default:
			v[name] = damaged(t, v[name])
		}
		return v
	case []any:
		if len(v) == 0 || rapid.IntRange(0, 5).Draw(t, "here") == 0 {
			return junk()
		}
		i := rapid.IntRange(0, len(v)-1).Draw(t, "index")
		if rapid.IntRange(0, 4).Draw(t, "how") == 0 {
			return slices.Insert(v, i, v[i]) // told twice
		}
		v[i] = damaged(t, v[i])
		return v
	}
	return junk()
}

// TestMistakesInEveryPartAreNamedAtOnce reads a document that is wrong in each
// of its parts.
func TestMistakesInEveryPartAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("testdata/policy-wrong-everywhere.json")
	require.NoError(t, err)
	_, err = sla.ParsePolicy(document)
	want, err2 := os.ReadFile("testdata/policy-wrong-everywhere.fields")
	require.NoError(t, err2)
	var got string
	for _, code := range codes(err) {
		got += fmt.Sprintln(code)
	}
	require.Equal(t, string(want), got)
}
