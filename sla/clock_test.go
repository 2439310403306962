package sla_test

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/events"
	"rescued/sla"
)

var (
	opened = time.Date(2026, 3, 2, 7, 12, 0, 0, time.UTC)
	due    = opened.Add(45 * time.Minute)
	crewA  = events.NewID[events.CrewID]()
	crewB  = events.NewID[events.CrewID]()
	crewC  = events.NewID[events.CrewID]()
)

func timeline(p sla.Policy, facts ...sla.Fact) sla.Timeline {
	return sla.Timeline{OpenedAt: opened, Promise: p.Promise(opened, sla.Facts{Tier: "urban"}), Facts: facts}
}

func arrived(crew events.CrewID, at time.Time) sla.Fact {
	return sla.Fact{Kind: sla.FactArrived, At: at, Crew: crew, Source: "gps"}
}

func released(crew events.CrewID, at time.Time) sla.Fact {
	return sla.Fact{Kind: sla.FactReleased, At: at, Crew: crew, Source: "on_scene"}
}

func cancelled(at time.Time) sla.Fact { return sla.Fact{Kind: sla.FactCancelled, At: at} }

func finished(crew events.CrewID, at time.Time) sla.Fact {
	return sla.Fact{Kind: sla.FactFinished, At: at, Crew: crew, Source: "fixed"}
}

func paused(reason string, from, to time.Time) sla.Fact {
	return sla.Fact{Kind: sla.FactPaused, At: from, Until: to, Source: reason}
}

func TestBoundariesToTheMicrosecond(t *testing.T) {
	t.Parallel()
	const us = time.Microsecond
	p := sla.Example45()
	for _, c := range []struct {
		after   time.Duration // due
		outcome sla.Outcome
		fen     sla.Fen
	}{
		{-45 * time.Minute, sla.OutcomeMet, 0},
		{-us, sla.OutcomeMet, 0},
		{0, sla.OutcomeMet, 0}, // exactly at the deadline is on time
		{us - 1, sla.OutcomeMet, 0},
		{us, sla.OutcomeLate, 2000},
		{10 * time.Minute, sla.OutcomeLate, 2000}, // exactly ten minutes is the first tier
		{10*time.Minute + us, sla.OutcomeLate, 5000},
		{30 * time.Minute, sla.OutcomeLate, 5000},
		{30*time.Minute + us, sla.OutcomeLate, 10000},
		{30 * 24 * time.Hour, sla.OutcomeLate, 10000},
	} {
		v := p.Owed(timeline(p, arrived(crewA, due.Add(c.after))))
		require.Equal(t, c.outcome, v.Outcome, c.after)
		require.Equal(t, c.fen, v.Fen, c.after)
		require.Equal(t, max(0, c.after.Truncate(us)), v.Late, c.after)

		void := p.Owed(timeline(p, cancelled(due.Add(c.after))))
		require.Equal(t, c.fen, void.Fen, "cancelling %s after the deadline pays the tier reached", c.after)
		require.True(t, void.Cancelled)
		if c.outcome == sla.OutcomeMet {
			require.Equal(t, sla.OutcomeVoid, void.Outcome)
		} else {
			require.Equal(t, sla.OutcomeLate, void.Outcome)
		}
	}
}

func TestWhatStopsTheClock(t *testing.T) {
	t.Parallel()
	p := sla.Example45()
	at := func(minutes int) time.Time { return opened.Add(time.Duration(minutes) * time.Minute) }
	for name, c := range map[string]struct {
		facts   []sla.Fact
		outcome sla.Outcome
		stopped time.Time
		fen     sla.Fen
		review  string
	}{
		"nothing yet":              {nil, sla.OutcomePending, time.Time{}, 0, ""},
		"the earliest proof":       {[]sla.Fact{arrived(crewA, at(50)), arrived(crewA, at(44))}, sla.OutcomeMet, at(44), 0, ""},
		"the earliest crew":        {[]sla.Fact{arrived(crewB, at(56)), arrived(crewA, at(58))}, sla.OutcomeLate, at(56), 5000, ""},
		"an annulled arrival":      {[]sla.Fact{arrived(crewA, at(30)), released(crewA, at(40))}, sla.OutcomePending, time.Time{}, 0, ""},
		"annulled at once":         {[]sla.Fact{arrived(crewA, at(30)), released(crewA, at(30))}, sla.OutcomePending, time.Time{}, 0, ""},
		"the next crew after that": {[]sla.Fact{arrived(crewA, at(30)), released(crewA, at(40)), arrived(crewB, at(60))}, sla.OutcomeLate, at(60), 5000, ""},
		"another crew's release":   {[]sla.Fact{arrived(crewA, at(30)), released(crewB, at(40))}, sla.OutcomeMet, at(30), 0, ""},
		"a release before arrival": {[]sla.Fact{released(crewA, at(20)), arrived(crewA, at(30))}, sla.OutcomeMet, at(30), 0, ""},
		"the same crew again":      {[]sla.Fact{arrived(crewA, at(20)), released(crewA, at(25)), arrived(crewA, at(40))}, sla.OutcomeMet, at(40), 0, ""},
		"cancelled in time":        {[]sla.Fact{cancelled(at(44))}, sla.OutcomeVoid, at(44), 0, ""},
		"cancelled before arrival": {[]sla.Fact{cancelled(at(50)), arrived(crewA, at(51))}, sla.OutcomeLate, at(50), 2000, ""},
		"cancelled after arrival":  {[]sla.Fact{cancelled(at(50)), arrived(crewA, at(44))}, sla.OutcomeMet, at(44), 0, ""},
		"both at once: arrival":    {[]sla.Fact{cancelled(at(44)), arrived(crewA, at(44))}, sla.OutcomeMet, at(44), 0, ""},
		"cancelled on the spot, annulled": {
			[]sla.Fact{arrived(crewA, at(30)), released(crewA, at(50)), cancelled(at(50))}, sla.OutcomeLate, at(50), 2000, "",
		},
		"finished, never proven":    {[]sla.Fact{finished(crewA, at(40))}, sla.OutcomePending, time.Time{}, 0, sla.ReviewFinishedUnproven},
		"finished, then decided":    {[]sla.Fact{finished(crewA, at(70)), arrived(crewA, at(44))}, sla.OutcomeMet, at(44), 0, ""},
		"finished, then cancelled?": {[]sla.Fact{finished(crewA, at(40)), cancelled(at(41))}, sla.OutcomeVoid, at(41), 0, ""},
	} {
		v := p.Owed(timeline(p, c.facts...))
		require.Equal(t, c.outcome, v.Outcome, name)
		require.Equal(t, c.stopped, v.StoppedAt, name)
		require.Equal(t, c.fen, v.Fen, name)
		require.Equal(t, c.review, v.Review, name)
		require.NotEmpty(t, v.Reasons, name)
	}
}

// withPauses is the example with two reasons for a pause and a grace.
func withPauses(t *testing.T, graceS int) sla.Policy {
	return edited(t, func(doc map[string]any) {
		doc["grace_s"] = graceS
		doc["pauses"] = []any{
			map[string]any{"reason": "owner_unreachable", "longest_s": 1800, "words": map[string]any{"zh": "联系不上车主", "en": "owner unreachable"}},
			map[string]any{"reason": "road_closed", "longest_s": 7200, "words": map[string]any{"zh": "道路封闭", "en": "road closed"}},
		}
	})
}

func TestPausesMoveTheDeadline(t *testing.T) {
	t.Parallel()
	p := withPauses(t, 0)
	at := func(minutes int) time.Time { return opened.Add(time.Duration(minutes) * time.Minute) }
	none := time.Time{}
	for name, c := range map[string]struct {
		facts []sla.Fact
		due   time.Time
	}{
		"one":                     {[]sla.Fact{paused("road_closed", at(10), at(25))}, at(60)},
		"two apart":               {[]sla.Fact{paused("road_closed", at(10), at(15)), paused("owner_unreachable", at(20), at(30))}, at(60)},
		"overlapping count once":  {[]sla.Fact{paused("road_closed", at(10), at(20)), paused("owner_unreachable", at(15), at(25))}, at(60)},
		"one inside the other":    {[]sla.Fact{paused("road_closed", at(10), at(25)), paused("owner_unreachable", at(12), at(20))}, at(60)},
		"across the deadline":     {[]sla.Fact{paused("road_closed", at(40), at(70))}, at(75)},
		"from the deadline on":    {[]sla.Fact{paused("road_closed", at(45), at(60))}, at(45)},
		"within the moved one":    {[]sla.Fact{paused("road_closed", at(40), at(50)), paused("road_closed", at(54), at(64))}, at(65)},
		"before the opening":      {[]sla.Fact{paused("road_closed", at(-20), at(5))}, at(50)},
		"over before the opening": {[]sla.Fact{paused("road_closed", at(-20), at(-5))}, at(45)},
		"no rule for it":          {[]sla.Fact{paused("lunch", at(10), at(25))}, at(45)},
		"longer than allowed":     {[]sla.Fact{paused("owner_unreachable", at(0), at(44))}, at(75)},
		"still open":              {[]sla.Fact{paused("owner_unreachable", at(10), none)}, at(75)},
		"open, ended by arrival":  {[]sla.Fact{paused("owner_unreachable", at(10), none), arrived(crewA, at(30))}, at(65)},
		"told as open and ended":  {[]sla.Fact{paused("owner_unreachable", at(10), none), paused("owner_unreachable", at(10), at(20))}, at(55)},
		"told with two ends":      {[]sla.Fact{paused("road_closed", at(10), at(30)), paused("road_closed", at(10), at(20))}, at(55)},
		"backwards is no pause":   {[]sla.Fact{paused("road_closed", at(20), at(10))}, at(45)},
		"after it was cancelled":  {[]sla.Fact{cancelled(at(20)), paused("road_closed", at(30), at(40))}, at(45)},
	} {
		require.Equal(t, c.due, p.Owed(timeline(p, c.facts...)).DueAt, name)
	}
}

func TestGraceIsOnTimeAndThenCountsFromTheDeadline(t *testing.T) {
	t.Parallel()
	p := withPauses(t, 300)
	v := p.Owed(timeline(p, arrived(crewA, due.Add(5*time.Minute))))
	require.Equal(t, sla.OutcomeMet, v.Outcome)
	require.Equal(t, 5*time.Minute, v.Late)
	require.Zero(t, v.Fen)
	v = p.Owed(timeline(p, arrived(crewA, due.Add(10*time.Minute+time.Microsecond))))
	require.Equal(t, sla.OutcomeLate, v.Outcome)
	require.Equal(t, sla.Fen(5000), v.Fen)
	require.Equal(t, sla.OutcomeVoid, p.Owed(timeline(p, cancelled(due.Add(5*time.Minute)))).Outcome)
}

func TestAPolicyMayPayNothingForLateCancellation(t *testing.T) {
	t.Parallel()
	p := edited(t, func(doc map[string]any) { doc["late_cancellation"] = "nothing" })
	v := p.Owed(timeline(p, cancelled(due.Add(time.Hour))))
	require.Equal(t, sla.OutcomeLate, v.Outcome)
	require.Equal(t, time.Hour, v.Late)
	require.Zero(t, v.Fen)
	require.Equal(t, "late_cancellation_pays_nothing", v.Reasons[len(v.Reasons)-1].Code)
}

func TestTheExplanationReadsLineByLine(t *testing.T) {
	t.Parallel()
	p := withPauses(t, 0)
	pause := paused("owner_unreachable", opened.Add(20*time.Minute), opened.Add(26*time.Minute+20*time.Second))
	v := p.Owed(timeline(p, pause,
		arrived(crewA, opened.Add(30*time.Minute)), released(crewA, opened.Add(35*time.Minute)),
		arrived(crewB, due.Add(6*time.Minute+20*time.Second+11*time.Minute+11*time.Second))))
	var zh, en []string
	for _, r := range v.Reasons {
		clock := "        "
		if r.At != nil {
			clock = r.At.Format(time.TimeOnly)
		}
		zh, en = append(zh, clock+" "+r.ZH), append(en, clock+" "+r.EN)
	}
	require.Equal(t, []string{
		"07:12:00 Request accepted; promise 45 min by rule 2 (urban): 45 minutes in town",
		"07:32:00 Paused 6 min 20 s: owner unreachable",
		"07:42:00 A crew arrived (by GPS) and later gave the request back; that arrival does not count",
		"07:47:00 That crew gave the request back and the wait went on",
		"08:03:20 Due, after the pauses",
		"08:14:31 Arrived by GPS",
		"         Late by 11 min 11 s",
		"         Tier 2 (more than 10 min, up to 30 min): ¥50.00",
	}, en)
	require.Equal(t, []string{
		"07:12:00 受理求助；按规则 2（urban）承诺 45 分钟：市区承诺 45 分钟到达",
		"07:32:00 暂停 6 分 20 秒：联系不上车主",
		"07:42:00 救援曾到达（卫星定位证实），但后来交回任务，此次到达不计",
		"07:47:00 该救援人员交回任务，继续等待",
		"08:03:20 暂停之后的最迟到达时间",
		"08:14:31 救援到达（卫星定位证实）",
		"         超时 11 分 11 秒",
		"         第 2 档（超过 10 分至 30 分）：¥50.00",
	}, zh)
	var total int64
	for _, r := range v.Reasons {
		total += r.Fen
	}
	require.Equal(t, int64(v.Fen), total, "the lines add up to what is owed")
}

func TestExpectedArrival(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return opened.Add(time.Duration(minutes) * time.Minute) }
	offered := sla.Fact{Kind: sla.FactOffered, At: at(1), Until: at(30), Crew: crewA}
	lapsed := sla.Fact{Kind: sla.FactLapsed, At: at(2), Crew: crewA}
	again := sla.Fact{Kind: sla.FactOffered, At: at(3), Until: at(40), Crew: crewB}
	taken := sla.Fact{Kind: sla.FactAssigned, At: at(3), Until: at(41), Crew: crewB}
	given := released(crewB, at(10))
	for n, want := range []time.Time{{}, at(30), {}, at(40), at(41), {}} { // who gave it back is on his way no more
		facts := []sla.Fact{offered, lapsed, again, taken, given}[:n]
		require.Equal(t, want, sla.Timeline{Facts: facts}.Expected(), n)
	}
}

// someFacts draws facts on a grid of minutes, coarse enough to meet often.
func someFacts(t *rapid.T) []sla.Fact {
	at := func(label string) time.Time {
		return opened.Add(time.Duration(rapid.IntRange(-5, 130).Draw(t, label)) * time.Minute)
	}
	crew := func() events.CrewID { return rapid.SampledFrom([]events.CrewID{crewA, crewB, crewC}).Draw(t, "crew") }
	fact := rapid.Custom(func(*rapid.T) sla.Fact {
		switch rapid.IntRange(0, 7).Draw(t, "kind") {
		case 0, 1, 2:
			f := arrived(crew(), at("arrived"))
			f.Source = rapid.SampledFrom([]string{"gps", "owner", "operator"}).Draw(t, "source")
			return f
		case 3, 4:
			return released(crew(), at("released"))
		case 5:
			return cancelled(at("cancelled"))
		case 6:
			return finished(crew(), at("finished"))
		}
		f := paused(rapid.SampledFrom([]string{"owner_unreachable", "road_closed", "lunch"}).Draw(t, "reason"), at("from"), time.Time{})
		if rapid.Bool().Draw(t, "ended") {
			f.Until = at("to")
		}
		return f
	})
	return rapid.SliceOfN(fact, 0, 9).Draw(t, "facts")
}

// TestVerdictAgainstASlowClock compares Owed with a clock that is run minute
// by minute, as one would explain it to a newcomer.
func TestVerdictAgainstASlowClock(t *testing.T) {
	t.Parallel()
	p := withPauses(t, 0)
	rapid.Check(t, func(t *rapid.T) {
		for range 30 {
			facts := someFacts(t)
			v := p.Owed(timeline(p, facts...))
			require.Equal(t, slowClock(p, facts), fmt.Sprint(v.Outcome, " ", v.Late, " ", v.Fen))
		}
	})
}

func slowClock(p sla.Policy, facts []sla.Fact) string {
	minute := func(at time.Time) int { return int(at.Sub(opened) / time.Minute) }
	stop, by := 1<<30, ""
	for _, f := range facts {
		m := minute(f.At)
		undone := slices.ContainsFunc(facts, func(r sla.Fact) bool {
			return r.Kind == sla.FactReleased && r.Crew == f.Crew && minute(r.At) >= m
		})
		if f.Kind == sla.FactArrived && !undone && m <= stop {
			stop, by = m, "arrival"
		}
		if f.Kind == sla.FactCancelled && m < stop {
			stop, by = m, "cancellation"
		}
	}
	if by == "" {
		return fmt.Sprint(sla.OutcomePending, " 0s ", sla.Fen(0))
	}
	// A pause told several times from one moment ended at the first end told.
	stands := func(m int) bool {
		for _, f := range facts {
			longest := map[string]int{"owner_unreachable": 30, "road_closed": 120}[f.Source]
			if f.Kind != sla.FactPaused || longest == 0 || m < minute(f.At) || m >= minute(f.At)+longest {
				continue
			}
			over := slices.ContainsFunc(facts, func(e sla.Fact) bool {
				return e.Kind == sla.FactPaused && e.Source == f.Source && e.At.Equal(f.At) && !e.Until.IsZero() && m >= minute(e.Until)
			})
			if !over {
				return true
			}
		}
		return false
	}
	left, late := 45, 0
	for m := 0; m < stop; m++ {
		switch {
		case left > 0 && stands(m):
		case left > 0:
			left--
		default:
			late++ // pauses after the deadline help nobody
		}
	}
	outcome := map[string]sla.Outcome{"arrival": sla.OutcomeMet, "cancellation": sla.OutcomeVoid}[by]
	fen := sla.Fen(0)
	switch {
	case late == 0:
		return fmt.Sprint(outcome, " 0s ", fen)
	case late <= 10:
		fen = 2000
	case late <= 30:
		fen = 5000
	default:
		fen = 10000
	}
	return fmt.Sprint(sla.OutcomeLate, " ", time.Duration(late)*time.Minute, " ", fen)
}

// TestOrderAndRepetitionNeverMatter shuffles and repeats each drawn set of
// facts thirty times: thousands of tellings in all, one verdict each.
func TestOrderAndRepetitionNeverMatter(t *testing.T) {
	t.Parallel()
	p := withPauses(t, 0)
	rapid.Check(t, func(t *rapid.T) {
		facts := someFacts(t)
		want := p.Owed(timeline(p, facts...))
		random := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		for range 30 {
			told := slices.Clone(facts)
			for _, f := range facts {
				if random.Intn(3) == 0 {
					f.At = f.At.In(time.FixedZone("CST", 8*3600)) // said in another zone
					told = append(told, f)
				}
			}
			random.Shuffle(len(told), func(i, j int) { told[i], told[j] = told[j], told[i] })
			require.Equal(t, want, p.Owed(timeline(p, told...)))
		}
	})
}
