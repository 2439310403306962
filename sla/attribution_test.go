package sla_test

import (
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/events"
	"rescued/sla"
)

var (
	provA = events.NewID[events.ProviderID]()
	provB = events.NewID[events.ProviderID]()
)

func minute(n float64) time.Time { return opened.Add(time.Duration(n * float64(time.Minute))) }

func assignedFact(crew events.CrewID, of events.ProviderID, at, until time.Time) sla.Fact {
	return sla.Fact{Kind: sla.FactAssigned, At: at, Until: until, Crew: crew, Provider: of}
}

func departedFact(crew events.CrewID, at time.Time) sla.Fact {
	return sla.Fact{Kind: sla.FactDeparted, At: at, Crew: crew}
}

// part is one party's percentage, told shortly.
type part struct {
	party sla.Party
	of    events.ProviderID
	pct   int
}

func partsOf(a sla.Attribution) (list []part) {
	for _, f := range a.Faults {
		list = append(list, part{f.Party, f.ProviderID, f.Pct})
	}
	return list
}

// Each story ends with an arrival 60 minutes after the opening, 15 late;
// example-45 allows 3 min to assign, 5 to set out, 5 beyond the expected time.
func TestFaultIsWhoseTimeWasLost(t *testing.T) {
	t.Parallel()
	p := sla.Example45()
	came := arrived(crewA, minute(60))
	gaveBack := func(by events.Role) sla.Fact {
		return sla.Fact{Kind: sla.FactReleased, Crew: crewB, At: minute(22), Source: "en_route", By: by}
	}
	for name, c := range map[string]struct {
		facts []sla.Fact
		want  []part
	}{
		"assigned late": {
			[]sla.Fact{assignedFact(crewA, provA, minute(23), minute(58)), departedFact(crewA, minute(25)), came},
			[]part{{sla.PartyPlatform, events.ProviderID{}, 100}}, // 20 of 20
		},
		"set out late": {
			[]sla.Fact{assignedFact(crewA, provA, minute(2), minute(40)), departedFact(crewA, minute(22)), came},
			[]part{{sla.PartyProvider, provA, 100}}, // 15 of 15
		},
		"both": { // 10 lost by assigning, 30 by setting out
			[]sla.Fact{assignedFact(crewA, provA, minute(13), minute(40)), departedFact(crewA, minute(48)), came},
			[]part{{sla.PartyProvider, provA, 75}, {sla.PartyPlatform, events.ProviderID{}, 25}},
		},
		"drove longer than it had said": { // 58 min, 20+5 allowed
			[]sla.Fact{assignedFact(crewA, provA, minute(1), minute(21)), departedFact(crewA, minute(2)), came},
			[]part{{sla.PartyProvider, provA, 100}},
		},
		"nothing took too long, the crew was simply far": {
			[]sla.Fact{assignedFact(crewA, provA, minute(2), minute(58)), departedFact(crewA, minute(4)), came},
			[]part{{sla.PartyPlatform, events.ProviderID{}, 100}},
		},
		"a crew gave it back": { // 20 with crew B, 3 to bind another, 1 more; then 3+36 driven, 41+5 allowed
			[]sla.Fact{assignedFact(crewB, provB, minute(2), minute(20)), gaveBack(events.RoleCrew), assignedFact(crewA, provA, minute(26), minute(60)), departedFact(crewA, minute(28)), came},
			[]part{{sla.PartyProvider, provB, 96}, {sla.PartyPlatform, events.ProviderID{}, 4}}, // 23 and 1 of 24
		},
		"the platform took it from a crew": {
			[]sla.Fact{assignedFact(crewB, provB, minute(2), minute(20)), gaveBack(events.RoleSystem), assignedFact(crewA, provA, minute(26), minute(60)), departedFact(crewA, minute(28)), came},
			[]part{{sla.PartyPlatform, events.ProviderID{}, 100}},
		},
		"the owner asked for another crew": {
			[]sla.Fact{assignedFact(crewB, provB, minute(2), minute(20)), gaveBack(events.RoleOwner), assignedFact(crewA, provA, minute(26), minute(60)), departedFact(crewA, minute(28)), came},
			[]part{{sla.PartyOwner, events.ProviderID{}, 96}, {sla.PartyPlatform, events.ProviderID{}, 4}},
		},
		"a storm over half of what the drive took too long": { // drive allowed to minute 30, storm from 45
			[]sla.Fact{assignedFact(crewA, provA, minute(1), minute(24)), departedFact(crewA, minute(2)), came,
				{Kind: sla.FactCondition, Source: string(sla.WeatherAlert), Level: "red", At: minute(45), Until: minute(300)}},
			[]part{{sla.PartyProvider, provA, 50}, {sla.PartyWeather, events.ProviderID{}, 50}},
		},
		"a light alert excuses nobody": {
			[]sla.Fact{assignedFact(crewA, provA, minute(1), minute(24)), departedFact(crewA, minute(2)), came,
				{Kind: sla.FactCondition, Source: string(sla.WeatherAlert), Level: "blue", At: minute(0)}},
			[]part{{sla.PartyProvider, provA, 100}},
		},
		"a closed road that was open again": { // the drive is too long from minute 29 on; shut to minute 37, as was said afterwards
			[]sla.Fact{assignedFact(crewA, provA, minute(1), minute(24)), departedFact(crewA, minute(1)), came,
				{Kind: sla.FactCondition, Source: string(sla.Closure), At: minute(20), Ref: ref("C"), SaidAt: minute(20)},
				{Kind: sla.FactCondition, Source: string(sla.Closure), At: minute(20), Until: minute(37), Ref: ref("C"), SaidAt: minute(50)}},
			[]part{{sla.PartyProvider, provA, 74}, {sla.PartyAuthority, events.ProviderID{}, 26}},
		},
		"a storm that was called off as a mistake": {
			[]sla.Fact{assignedFact(crewA, provA, minute(1), minute(24)), departedFact(crewA, minute(2)), came,
				{Kind: sla.FactCondition, Source: string(sla.WeatherAlert), Level: "red", At: minute(20), Ref: ref("C"), SaidAt: minute(20)},
				{Kind: sla.FactCondition, Source: string(sla.WeatherAlert), Level: "red", At: minute(20), Until: minute(20), Ref: ref("C"), SaidAt: minute(30)}},
			[]part{{sla.PartyProvider, provA, 100}},
		},
		"a closed road": {
			[]sla.Fact{assignedFact(crewA, provA, minute(1), minute(24)), departedFact(crewA, minute(2)), came,
				{Kind: sla.FactCondition, Source: string(sla.Closure), At: minute(20)}},
			[]part{{sla.PartyAuthority, events.ProviderID{}, 100}},
		},
		"the car was elsewhere": {
			[]sla.Fact{assignedFact(crewA, provA, minute(1), minute(24)), departedFact(crewA, minute(2)), came,
				{Kind: sla.FactMislocated, At: minute(30), Metres: 4000}},
			[]part{{sla.PartyOwner, events.ProviderID{}, 100}},
		},
		"nobody knows whose crew": {
			[]sla.Fact{assignedFact(crewA, events.ProviderID{}, minute(2), minute(40)), departedFact(crewA, minute(40)), came},
			[]part{{sla.PartyPlatform, events.ProviderID{}, 100}},
		},
		"given up before anybody was sent": {
			[]sla.Fact{cancelled(minute(60))},
			[]part{{sla.PartyPlatform, events.ProviderID{}, 100}},
		},
	} {
		tl := timeline(p, c.facts...)
		a := p.Attribute(tl, p.Owed(tl))
		require.Equal(t, c.want, partsOf(a), "%s: %+v", name, a.Phases)
		require.NotEmpty(t, a.Reasons, name)
	}
	tl := timeline(p, assignedFact(crewA, provA, minute(2), minute(40)), arrived(crewA, minute(40)))
	require.Empty(t, p.Attribute(tl, p.Owed(tl)).Faults, "a promise that was kept is nobody's fault")
}

func TestAttributionShowsItsFigures(t *testing.T) {
	t.Parallel()
	p := sla.Example45()
	tl := timeline(p, assignedFact(crewA, provA, minute(13), minute(40)), departedFact(crewA, minute(48)), arrived(crewA, minute(60)))
	a := p.Attribute(tl, p.Owed(tl))
	var zh, en []string
	for _, r := range a.Reasons {
		zh, en = append(zh, r.ZH), append(en, r.EN)
	}
	require.Equal(t, []string{
		"派单用时 13 分，允许 3 分，超出 10 分", "出车用时 35 分，允许 5 分，超出 30 分", "路途用时 12 分，允许 32 分",
		"服务商责任 75%（30 分）", "平台责任 25%（10 分）",
	}, zh)
	require.Equal(t, []string{
		"Assignment took 13 min, 3 min allowed, over by 10 min", "Turnout took 35 min, 5 min allowed, over by 30 min", "Travel took 12 min, 32 min allowed",
		"Fault of the provider: 75% (30 min)", "Fault of the platform: 25% (10 min)",
	}, en)
}

// Whatever happens, in whatever order it is heard: the parts are 100 percent,
// nobody lost more than the wait was long, and the phases do not overlap.
func TestPartsAreAHundredPercent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := sla.Example45()
		p.Attribution = &sla.AttributionRule{
			AssignmentS: rapid.Int64Range(0, 900).Draw(t, "assign"), TurnoutS: rapid.Int64Range(0, 900).Draw(t, "turnout"),
			TravelSlackS: rapid.Int64Range(0, 900).Draw(t, "slack"), MislocatedM: 500, WeatherLevel: rapid.SampledFrom(sla.AlertLevels()).Draw(t, "level"),
		}
		at := func(name string) time.Time {
			return opened.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Hour/time.Microsecond)).Draw(t, name)) * time.Microsecond)
		}
		crew := rapid.SampledFrom([]events.CrewID{crewA, crewB, crewC})
		of := rapid.SampledFrom([]events.ProviderID{provA, provB, {}})
		fact := rapid.Custom(func(t *rapid.T) sla.Fact {
			f := sla.Fact{At: at("at"), Crew: crew.Draw(t, "crew"), Kind: rapid.SampledFrom([]sla.FactKind{
				sla.FactAssigned, sla.FactDeparted, sla.FactReleased, sla.FactArrived, sla.FactCondition, sla.FactPaused, sla.FactMislocated, sla.FactHandedOver,
			}).Draw(t, "kind")}
			switch f.Kind {
			case sla.FactAssigned:
				f.Provider, f.Until = of.Draw(t, "provider"), at("until")
			case sla.FactReleased:
				f.By = rapid.SampledFrom([]events.Role{events.RoleCrew, events.RoleOperator, events.RoleSystem, ""}).Draw(t, "by")
			case sla.FactArrived:
				f.Source = "gps"
			case sla.FactCondition:
				f.Source, f.Until = string(rapid.SampledFrom(sla.Conditions()).Draw(t, "condition")), f.At.Add(time.Hour)
				f.Level = rapid.SampledFrom(sla.AlertLevels()).Draw(t, "alert")
			case sla.FactPaused:
				f.Source = string(rapid.SampledFrom(sla.PauseReasons()).Draw(t, "reason"))
			case sla.FactMislocated:
				f.Metres = rapid.Int64Range(0, 2000).Draw(t, "metres")
			}
			return f
		})
		facts := append(rapid.SliceOfN(fact, 0, 12).Draw(t, "facts"), cancelled(at("cancelled")))
		tl := timeline(p, facts...)
		v := p.Owed(tl)
		a := p.Attribute(tl, v)
		if v.Outcome != sla.OutcomeLate {
			require.Empty(t, a.Faults)
			return
		}
		sum, lost := 0, time.Duration(0)
		for _, f := range a.Faults {
			require.Positive(t, f.Pct)
			require.Equal(t, f.Party == sla.PartyProvider, !f.ProviderID.IsZero())
			sum, lost = sum+f.Pct, lost+time.Duration(f.LostS)*time.Second
		}
		require.Equal(t, 100, sum)
		require.LessOrEqual(t, lost, v.StoppedAt.Sub(opened))
		reached := opened
		for _, ph := range a.Phases {
			require.False(t, ph.From.Before(reached), "phases follow each other")
			require.LessOrEqual(t, ph.LostS, ph.TookS)
			reached = ph.To
		}
		require.True(t, reached.Equal(v.StoppedAt), "to the moment the clock was stopped")

		rand.New(rand.NewSource(rapid.Int64().Draw(t, "order"))).Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		again := timeline(p, append(facts, facts...)...)
		require.Equal(t, a, p.Attribute(again, p.Owed(again)), "neither order nor repetition matters")
	})
}

func TestAttributionIsChecked(t *testing.T) {
	t.Parallel()
	document := edit(t, func(doc map[string]any) {
		doc["attribution"] = map[string]any{"assignment_s": -1, "turnout_s": 1, "travel_slack_s": 1, "mislocated_m": -5, "weather_level": "purple"}
	})
	_, err := sla.ParsePolicy(document)
	require.ErrorContains(t, err, "attribution.assignment_s")
	require.ErrorContains(t, err, "attribution.mislocated_m")
	require.ErrorContains(t, err, "attribution.weather_level")
}

// TestAPauseThatEndedHoldsNobodyUp opens a pause and closes it: only what it
// lasted beyond its longest is lost by whoever held things up.
func TestAPauseThatEndedHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	p := edited(t, func(doc map[string]any) {
		doc["pauses"] = []any{map[string]any{"reason": "owner_deciding", "longest_s": 600, "words": map[string]any{"zh": "等车主", "en": "the owner decides"}}}
	})
	paused := func(until time.Time) sla.Fact {
		return sla.Fact{Kind: sla.FactPaused, Source: string(sla.OwnerDeciding), At: minute(10), Until: until, Ref: ref("P"), By: events.RoleOperator, SaidAt: minute(10)}
	}
	facts := func(until time.Time) []sla.Fact { // the drive may last to minute 29, and longer by what the pause counts
		return []sla.Fact{assignedFact(crewA, provA, minute(1), minute(24)), departedFact(crewA, minute(1)), arrived(crewA, minute(90)), paused(time.Time{}), paused(until)}
	}
	for until, want := range map[float64][]part{
		15: {{sla.PartyProvider, provA, 100}},                                           // in time
		49: {{sla.PartyProvider, provA, 80}, {sla.PartyOwner, events.ProviderID{}, 20}}, // lost are minutes 39 to 90; 10 of them are the owner's
	} {
		tl := timeline(p, facts(minute(until))...)
		require.Equal(t, want, partsOf(p.Attribute(tl, p.Owed(tl))), "until minute %v", until)
	}
}

// TestAReleaseIsPutDownToWhomTheDeskNames takes a crew off for each cause the
// desk can name, and by each side without one.
func TestAReleaseIsPutDownToWhomTheDeskNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		by    events.Actor
		cause string
		party sla.Party
		words bothWords
	}{
		{operator, "crew", sla.PartyProvider, bothWords{"（救援人员退出）", " (the crew gave it back or could not go on)"}},
		{operator, "owner", sla.PartyOwner, bothWords{"（车主要求换人）", " (the owner asked for another crew)"}},
		{operator, "choice", sla.PartyPlatform, bothWords{"（平台改派）", " (the platform sent another)"}},
		{operator, "", sla.PartyPlatform, bothWords{"（平台改派）", " (the platform sent another)"}},
		{crew, "", sla.PartyProvider, bothWords{"（救援人员退出）", " (the crew gave it back or could not go on)"}},
	} {
		id := events.NewID[events.RequestID]()
		released := wrap(events.RequestReleased{RequestID: id, Area: "cn-3301", CrewID: crewB, ReleasedAt: minute(22), Reason: "words for people", FromState: "en_route", Cause: c.cause})
		released.Actor = c.by
		r.must(r.open(id, "urban"),
			events.RequestAssigned{RequestID: id, Area: "cn-3301", CrewID: crewB, ProviderID: provB, AssignedAt: minute(2), ExpectedAt: minute(20)})
		require.NoError(t, r.deliver(released))
		r.must(events.RequestAssigned{RequestID: id, Area: "cn-3301", CrewID: crewA, ProviderID: provA, AssignedAt: minute(24), ExpectedAt: minute(60)},
			events.CrewDeparted{RequestID: id, Area: "cn-3301", CrewID: crewA, DepartedAt: minute(25)}, arrivedEvent(id, crewA, minute(60)))
		a, err := r.Attribution(t.Context(), finance, id)
		require.NoError(t, err)
		require.Equal(t, c.party, a.Faults[0].Party, "%s by %s", c.cause, c.by)
		require.Equal(t, 100, a.Faults[0].Pct)
		require.Equal(t, "改派用时 22 分，允许 0 秒"+c.words.zh+"，超出 22 分", a.Reasons[1].ZH)
		require.Equal(t, "Reassignment took 22 min, 0 s allowed"+c.words.en+", over by 22 min", a.Reasons[1].EN)
	}
}

// bothWords are both languages of a sentence.
type bothWords struct{ zh, en string }
