package dispatch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/dispatch"
	"rescued/geo"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const (
	lateBy   = dispatch.ExpectedLate
	metresPS = 30.0 / 3.6 / 1.35 // closing speed of the model, m/s
)

// evenPace drives 30 km/h over roads 1.35 times as long as the great circle.
func evenPace() dispatch.Pace {
	model := geo.ConstantSpeed(30, 1.35)
	return dispatch.Pace{
		Turnout: 2 * time.Minute, Service: 30 * time.Minute,
		Travel: func(from, to geo.Point, road geo.RoadClass) time.Duration { return model.Time(from, to, road, 0) },
	}
}

func minutes(n float64) time.Duration { return time.Duration(n * float64(time.Minute)) }

// drive is the fixes of a crew every 30 s, from some minutes after noon to
// others: how far north of the car it is, in metres, by minutes after noon.
func drive(from, to float64, metres func(minute float64) float64) []dispatch.Fix {
	var trail []dispatch.Fix
	for at := from; at <= to; at += 0.5 {
		trail = append(trail, dispatch.Fix{At: noon.Add(minutes(at)), Point: geo.Offset(futian, metres(at), 0), Accuracy: 10})
	}
	return trail
}

// closing is a crew that stands at start for two minutes and then comes at a
// speed, in m/s.
func closing(start, speed float64) func(float64) float64 {
	return func(minute float64) float64 { return max(0, start-speed*60*max(0, minute-2)) }
}

func still(metres float64) func(float64) float64 { return func(float64) float64 { return metres } }

// accepted is a request that a crew, hand 0, accepted at noon, due after 45 min.
func accepted(trail []dispatch.Fix) dispatch.Awaited {
	return dispatch.Awaited{
		Due: noon.Add(45 * time.Minute), Waits: noon, Place: futian, Road: geo.UrbanRoad, OfferedTo: -1, Remedied: -1,
		Way: &dispatch.Way{Hand: 0, AcceptedAt: noon, ExpectedAt: noon.Add(20 * time.Minute), Trail: trail},
	}
}

func lone(a dispatch.Awaited, at float64) dispatch.Outlook {
	return dispatch.Foresee([]dispatch.Awaited{a}, []dispatch.Hand{{}}, noon.Add(minutes(at)), evenPace())[0]
}

// TestACrewOnItsWay tells apart what a trail can show.
func TestACrewOnItsWay(t *testing.T) {
	t.Parallel()
	const away = 8000.0 // 1296 s of driving
	driven := minutes(2) + time.Duration(away/metresPS*float64(time.Second))
	cases := map[string]struct {
		trail    []dispatch.Fix
		at       float64 // minutes after noon
		dangers  []dispatch.Danger
		expected time.Duration // after noon
		within   time.Duration
	}{
		"stands for its turnout":      {drive(-5, 1, still(away)), 1, nil, driven, time.Second},
		"drives as the model has it":  {drive(-5, 10, closing(away, metresPS)), 10, nil, driven, 2 * time.Second},
		"set off without turnout":     {drive(0, 5, func(m float64) float64 { return away - metresPS*60*m }), 5, nil, driven - minutes(2), 2 * time.Second},
		"drives half as fast":         {drive(-5, 12, closing(away, metresPS/2)), 12, nil, driven + minutes(13), minutes(0.5)},
		"has no speed for 3 min":      {drive(-5, 3.5, still(away)), 3.5, []dispatch.Danger{dispatch.NoMovement}, driven + minutes(1.5), time.Second},
		"stops on its way":            {drive(-5, 12, func(m float64) float64 { return closing(away, metresPS)(min(m, 8)) }), 12, []dispatch.Danger{dispatch.NoMovement}, driven + minutes(4), time.Second},
		"waits at a light":            {drive(-5, 10, func(m float64) float64 { return closing(away, metresPS)(min(m, 8)) }), 10, nil, driven + minutes(2), minutes(3)},
		"drives away":                 {drive(-5, 8, func(m float64) float64 { return away + 5*60*max(0, m-2) }), 8, []dispatch.Danger{dispatch.MovingAway}, minutes(8) + time.Duration((away+1800)/metresPS*float64(time.Second)), time.Second},
		"takes a small way round":     {drive(-5, 6, func(m float64) float64 { return away + 1.5*60*max(0, m-2) }), 6, nil, minutes(6) + time.Duration((away+360)/metresPS*float64(time.Second)), time.Second},
		"stands at the car":           {drive(-5, 9, still(100)), 9, nil, minutes(9) + time.Duration(100/metresPS*float64(time.Second)), time.Second},
		"silent since it drove":       {drive(-5, 6, closing(away, metresPS)), 9, []dispatch.Danger{dispatch.Silent}, driven, 2 * time.Second},
		"silent since before":         {drive(-20, -10, still(away)), 3, []dispatch.Danger{dispatch.Silent}, driven + minutes(1), time.Second},
		"silent, not for long":        {drive(-5, 6, closing(away, metresPS)), 8.9, nil, driven, 2 * time.Second},
		"never heard of":              {nil, 3, []dispatch.Danger{dispatch.Silent}, minutes(20), 0},
		"never heard of, and overdue": {nil, 25, []dispatch.Danger{dispatch.Silent}, minutes(25), 0},
		"too far to be in time":       {drive(-5, 1, still(17_000)), 1, []dispatch.Danger{lateBy}, minutes(2) + time.Duration(17_000/metresPS*float64(time.Second)), time.Second},
		"one old fix says nothing":    {drive(-5, -5, still(away)), 1, nil, driven, time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := lone(accepted(c.trail), c.at)
			require.Equal(t, c.dangers, got.Dangers)
			require.WithinDuration(t, noon.Add(c.expected), got.ExpectedAt, c.within)
		})
	}
}

// TestTheEngineKnewTheRoad: what the drive was taken to be when the crew was
// chosen scales what is left of it.
func TestTheEngineKnewTheRoad(t *testing.T) {
	t.Parallel()
	a := accepted(drive(-5, 1, still(8000)))
	plain := lone(a, 1).ExpectedAt.Sub(noon.Add(minutes(2)))
	a.Way.Roads = 1.5
	require.InDelta(t, 1.5*plain.Seconds(), lone(a, 1).ExpectedAt.Sub(noon.Add(minutes(2))).Seconds(), 0.01)
}

// TestALateForecastDoesNotFlutter: on the edge, what was told stands.
func TestALateForecastDoesNotFlutter(t *testing.T) {
	t.Parallel()
	a := accepted(drive(-5, 1, still(8000)))
	expected := lone(a, 1).ExpectedAt
	for _, c := range []struct {
		spare   time.Duration
		wasLate bool
		late    bool
	}{
		{time.Second, false, false}, {-time.Second, false, true}, {0, false, false},
		{59 * time.Second, true, true}, {time.Minute, true, false},
	} {
		a.Due, a.WasLate = expected.Add(c.spare), c.wasLate
		if c.late {
			require.Contains(t, lone(a, 1).Dangers, lateBy, "%+v", c)
		} else {
			require.Empty(t, lone(a, 1).Dangers, "%+v", c)
		}
	}
}

// unaccepted is a request of a car so many metres east, that nobody has
// accepted since noon.
func unaccepted(metresEast float64) dispatch.Awaited {
	return dispatch.Awaited{
		Due: noon.Add(45 * time.Minute), Waits: noon, Priority: dispatch.PriorityNormal, Place: geo.Offset(futian, 0, metresEast),
		Road: geo.UrbanRoad, OfferedTo: -1, Remedied: -1,
	}
}

// TestTheQueueServesTheMostUrgentFirst works a small queue out by hand.
func TestTheQueueServesTheMostUrgentFirst(t *testing.T) {
	t.Parallel()
	// Of three that wait at one place, a crew there is free in 5 minutes.
	first, second, third := unaccepted(0), unaccepted(0), unaccepted(0)
	first.Due, third.Due = noon.Add(44*time.Minute), noon.Add(46*time.Minute)
	hands := []dispatch.Hand{{At: futian, Ready: noon.Add(5 * time.Minute)}}
	got := dispatch.Foresee([]dispatch.Awaited{third, first, second}, hands, noon.Add(2*time.Minute), evenPace())
	require.Equal(t, noon.Add(7*time.Minute), got[1].ExpectedAt, "ready at 5, turnout 2")
	require.Equal(t, noon.Add(39*time.Minute), got[2].ExpectedAt, "after 30 of service, turnout 2")
	require.Equal(t, noon.Add(71*time.Minute), got[0].ExpectedAt)
	require.Empty(t, got[1].Dangers)
	require.Empty(t, got[2].Dangers)
	require.Equal(t, []dispatch.Danger{lateBy}, got[0].Dangers)
	require.Equal(t, &dispatch.Relief{Hand: 0, From: futian, ReadyAt: noon.Add(5 * time.Minute), ExpectedAt: noon.Add(7 * time.Minute), Saves: true},
		got[0].Remedy, "the crew would make it, were it kept for this one")

	// Danger to life goes first, whatever is due sooner.
	third.Priority = dispatch.PriorityDanger
	got = dispatch.Foresee([]dispatch.Awaited{third, first, second}, hands, noon.Add(2*time.Minute), evenPace())
	require.Equal(t, noon.Add(7*time.Minute), got[0].ExpectedAt)
}

// TestNobodyAccepts: three minutes without an acceptance is a danger, whether or
// not somebody is being asked, and starts anew after a release.
func TestNobodyAccepts(t *testing.T) {
	t.Parallel()
	here := []dispatch.Hand{{At: futian}, {At: geo.Offset(futian, 3000, 0)}}
	at := func(a dispatch.Awaited, hands []dispatch.Hand, minute float64) dispatch.Outlook {
		return dispatch.Foresee([]dispatch.Awaited{a}, hands, noon.Add(minutes(minute)), evenPace())[0]
	}
	a := unaccepted(0)
	require.Empty(t, at(a, here, 2.9).Dangers)
	require.Equal(t, []dispatch.Danger{dispatch.NoAcceptance}, at(a, here, 3).Dangers)
	require.Zero(t, at(a, here, 3).Remedy.Hand)

	asked := a
	asked.OfferedTo, asked.OfferedFor, asked.Asked = 0, noon.Add(4*time.Minute), map[int]bool{0: true}
	got := at(asked, here, 3)
	require.Equal(t, []dispatch.Danger{dispatch.NoAcceptance}, got.Dangers)
	require.Equal(t, noon.Add(4*time.Minute), got.ExpectedAt)
	require.Equal(t, 1, got.Remedy.Hand, "the one that is being asked is no remedy")

	a.Waits = noon.Add(10 * time.Minute)
	require.Empty(t, at(a, here, 12).Dangers)

	nobody := at(unaccepted(0), nil, 1)
	require.Equal(t, dispatch.Outlook{Dangers: []dispatch.Danger{lateBy}}, nobody)
	a = unaccepted(0)
	a.Need, a.Asked = dispatch.CanTyre, map[int]bool{1: true}
	able := []dispatch.Hand{{At: futian}, {At: futian, Can: dispatch.CanTyre}}
	require.True(t, at(a, able, 1).ExpectedAt.IsZero(), "one cannot, the other has been asked")
}

// TestRemedyOfACrewThatStandsStill names who would still make it.
func TestRemedyOfACrewThatStandsStill(t *testing.T) {
	t.Parallel()
	stuck := accepted(drive(-5, 4, still(8000))) // expected 21.6 min from now
	near, far := geo.Offset(futian, 0, 2000), geo.Offset(futian, 0, 16_000)
	outlook := func(remedied int, hands ...dispatch.Hand) *dispatch.Relief {
		stuck.Remedied = remedied
		return dispatch.Foresee([]dispatch.Awaited{stuck}, append([]dispatch.Hand{{At: geo.Offset(futian, 8000, 0)}}, hands...), noon.Add(4*time.Minute), evenPace())[0].Remedy
	}
	require.Nil(t, outlook(-1), "the crew itself is none")
	got := outlook(-1, dispatch.Hand{At: far}, dispatch.Hand{At: near})
	require.Equal(t, 2, got.Hand)
	require.True(t, got.Saves)
	require.Equal(t, noon.Add(6*time.Minute+time.Duration(2000/metresPS*float64(time.Second))).Round(time.Millisecond), got.ExpectedAt.Round(time.Millisecond))
	require.Nil(t, outlook(-1, dispatch.Hand{At: far}), "would come too late, and later than the crew that stands")
	busy := outlook(-1, dispatch.Hand{At: near, Ready: noon.Add(9 * time.Minute)})
	require.Equal(t, noon.Add(9*time.Minute), busy.ReadyAt, "as soon as it is free")
	// Two of the same use: the one that was told stays.
	a, b := dispatch.Hand{At: near}, dispatch.Hand{At: geo.Offset(futian, 0, 2500)}
	require.Equal(t, 1, outlook(-1, a, b).Hand)
	require.Equal(t, 2, outlook(2, a, b).Hand)
	require.Equal(t, 1, outlook(2, a, dispatch.Hand{At: geo.Offset(futian, 0, 4000)}).Hand, "but not when the other is much sooner")
}

// TestForeseeKeepsItsWord holds for any state of affairs.
func TestForeseeKeepsItsWord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		anywhere := rapid.Custom(func(t *rapid.T) geo.Point {
			return geo.Offset(futian, rapid.Float64Range(-20_000, 20_000).Draw(t, "north"), rapid.Float64Range(-20_000, 20_000).Draw(t, "east"))
		})
		some := func(label string, lo, hi int) time.Time {
			return noon.Add(time.Duration(rapid.IntRange(lo, hi).Draw(t, label)) * time.Second)
		}
		hands := make([]dispatch.Hand, rapid.IntRange(0, 6).Draw(t, "hands"))
		for i := range hands {
			hands[i] = dispatch.Hand{At: anywhere.Draw(t, "at"), Ready: some("ready", -3600, 3600), Can: geo.Capabilities(rapid.IntRange(0, 3).Draw(t, "can"))}
		}
		awaited := make([]dispatch.Awaited, rapid.IntRange(1, 8).Draw(t, "awaited"))
		busy := map[int]bool{}
		for i := range awaited {
			a := unaccepted(0)
			a.Place, a.Due, a.Waits = anywhere.Draw(t, "place"), some("due", -600, 3600), some("waits", -3600, 0)
			a.Need, a.WasLate = geo.Capabilities(rapid.IntRange(0, 3).Draw(t, "need")), rapid.Bool().Draw(t, "was late")
			h := rapid.IntRange(-1, len(hands)-1).Draw(t, "hand")
			if h >= 0 && !busy[h] && rapid.Bool().Draw(t, "under way") {
				busy[h] = true
				a.Way = &dispatch.Way{Hand: h, AcceptedAt: a.Waits, ExpectedAt: some("expected", -600, 3600)}
				for range rapid.IntRange(0, 6).Draw(t, "fixes") {
					at := a.Waits.Add(-time.Minute)
					if n := len(a.Way.Trail); n > 0 {
						at = a.Way.Trail[n-1].At.Add(30 * time.Second)
					}
					if !at.After(noon) {
						a.Way.Trail = append(a.Way.Trail, dispatch.Fix{At: at, Point: anywhere.Draw(t, "fix")})
					}
				}
			} else if h >= 0 {
				a.Asked = map[int]bool{h: true}
			}
			awaited[i] = a
		}
		got := dispatch.Foresee(awaited, hands, noon, evenPace())
		require.Equal(t, got, dispatch.Foresee(awaited, hands, noon, evenPace()), "the same question, the same answer")
		for i, o := range got {
			a := awaited[i]
			if !o.ExpectedAt.IsZero() {
				require.False(t, o.ExpectedAt.Before(noon), "nobody arrives in the past")
			}
			late := o.ExpectedAt.IsZero() || o.ExpectedAt.After(a.Due)
			if late {
				require.Contains(t, o.Dangers, lateBy)
			} else if !a.WasLate {
				require.NotContains(t, o.Dangers, lateBy)
			}
			if len(o.Dangers) == 0 {
				require.Nil(t, o.Remedy)
			}
			if m := o.Remedy; m != nil {
				require.False(t, a.Asked[m.Hand])
				require.True(t, hands[m.Hand].Can.Has(a.Need))
				require.Equal(t, !m.ExpectedAt.After(a.Due), m.Saves)
				require.True(t, m.Saves || o.ExpectedAt.IsZero() || m.ExpectedAt.Before(o.ExpectedAt), "a remedy gains something")
				require.False(t, a.Way != nil && a.Way.Hand == m.Hand)
			}
			if a.Way == nil {
				require.Equal(t, noon.Sub(a.Waits) >= 3*time.Minute, len(o.Dangers) > 0 && o.Dangers[0] == dispatch.NoAcceptance)
			}
		}
		// One more crew, free and able to do anything, makes no queue longer for
		// the most urgent.
		if len(awaited) == 1 && awaited[0].Way == nil {
			more := append(hands[:len(hands):len(hands)], dispatch.Hand{At: awaited[0].Place, Can: 3})
			o := dispatch.Foresee(awaited, more, noon, evenPace())[0]
			require.False(t, o.ExpectedAt.IsZero())
			require.True(t, got[0].ExpectedAt.IsZero() || !o.ExpectedAt.After(got[0].ExpectedAt))
		}
	})
}
