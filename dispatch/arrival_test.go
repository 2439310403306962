package dispatch_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/dispatch"
	"rescued/geo"
)

var (
	scene    = geo.Point{Lat: 22.5431, Lng: 114.0579}
	assigned = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
)

// fix is a position metres east of the car, seconds after the assignment.
func fix(seconds, metres, accuracy float64) dispatch.Fix {
	return dispatch.Fix{At: after(seconds), Point: geo.Offset(scene, 0, metres), Accuracy: accuracy}
}

func word(by dispatch.ArrivalSource, seconds float64) dispatch.Word {
	return dispatch.Word{Source: by, At: after(seconds)}
}

func after(seconds float64) time.Time {
	return assigned.Add(time.Duration(seconds * float64(time.Second)))
}

func TestWeigh(t *testing.T) {
	t.Parallel()
	const none = -1.0
	cases := map[string]struct {
		fixes    []dispatch.Fix
		words    []dispatch.Word
		at       float64 // seconds after the assignment; none without proof
		source   dispatch.ArrivalSource
		unproven float64
	}{
		"no evidence":                     {at: none, unproven: none},
		"a stay":                          {fixes: []dispatch.Fix{fix(600, 100, 10), fix(620, 90, 10)}, at: 600, source: dispatch.ByGPS, unproven: none},
		"19 s are no stay":                {fixes: []dispatch.Fix{fix(600, 100, 10), fix(619, 90, 10)}, at: none, unproven: none},
		"one fix is no stay":              {fixes: []dispatch.Fix{fix(600, 0, 5)}, at: none, unproven: none},
		"accuracy widens the circle":      {fixes: []dispatch.Fix{fix(600, 190, 50), fix(620, 190, 50)}, at: 600, source: dispatch.ByGPS, unproven: none},
		"beyond the circle":               {fixes: []dispatch.Fix{fix(600, 190, 30), fix(620, 190, 30)}, at: none, unproven: none},
		"a coarse fix says nothing":       {fixes: []dispatch.Fix{fix(600, 10, 900), fix(620, 10, 900)}, at: none, unproven: none},
		"two visits are no stay":          {fixes: []dispatch.Fix{fix(600, 100, 5), fix(1300, 100, 5)}, at: none, unproven: none},
		"the second visit stays":          {fixes: []dispatch.Fix{fix(600, 100, 5), fix(1300, 100, 5), fix(1330, 100, 5)}, at: 1300, source: dispatch.ByGPS, unproven: none},
		"before the assignment":           {fixes: []dispatch.Fix{fix(-60, 10, 5), fix(-30, 10, 5)}, at: none, unproven: none},
		"already there when assigned":     {fixes: []dispatch.Fix{fix(-60, 10, 5), fix(0, 10, 5), fix(30, 10, 5)}, at: 0, source: dispatch.ByGPS, unproven: none},
		"owner's word":                    {words: []dispatch.Word{word(dispatch.ByOwner, 700)}, at: 700, source: dispatch.ByOwner, unproven: none},
		"the code":                        {words: []dispatch.Word{word(dispatch.ByCode, 700)}, at: 700, source: dispatch.ByCode, unproven: none},
		"backed tap":                      {fixes: []dispatch.Fix{fix(640, 299, 10)}, words: []dispatch.Word{word(dispatch.ByTap, 700)}, at: 700, source: dispatch.ByTap, unproven: none},
		"tap with a fix 61 s old":         {fixes: []dispatch.Fix{fix(639, 10, 10)}, words: []dispatch.Word{word(dispatch.ByTap, 700)}, at: none, unproven: 700},
		"tap with a later fix":            {fixes: []dispatch.Fix{fix(701, 10, 10)}, words: []dispatch.Word{word(dispatch.ByTap, 700)}, at: none, unproven: 700},
		"tap from elsewhere":              {fixes: []dispatch.Fix{fix(690, 2500, 10)}, words: []dispatch.Word{word(dispatch.ByTap, 700)}, at: none, unproven: 700},
		"tap with a coarse fix":           {fixes: []dispatch.Fix{fix(690, 10, 300)}, words: []dispatch.Word{word(dispatch.ByTap, 700)}, at: none, unproven: 700},
		"tap before the assignment":       {fixes: []dispatch.Fix{fix(-20, 10, 5)}, words: []dispatch.Word{word(dispatch.ByTap, -10)}, at: none, unproven: none},
		"operator settles a bare tap":     {words: []dispatch.Word{word(dispatch.ByTap, 700), word(dispatch.ByOperator, 700)}, at: 700, source: dispatch.ByOperator, unproven: none},
		"bare tap, then the owner's word": {words: []dispatch.Word{word(dispatch.ByTap, 700), word(dispatch.ByOwner, 900)}, at: 900, source: dispatch.ByOwner, unproven: 700},
		"the earliest proof wins": {
			fixes: []dispatch.Fix{fix(600, 120, 5), fix(640, 20, 5), fix(690, 5, 5)},
			words: []dispatch.Word{word(dispatch.ByTap, 700), word(dispatch.ByOwner, 720)},
			at:    600, source: dispatch.ByGPS, unproven: none,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := dispatch.Weigh(scene, assigned, c.fixes, c.words)
			require.Equal(t, c.at != none, got.Proven())
			if c.at != none {
				require.Equal(t, after(c.at), got.At)
			}
			require.Equal(t, c.source, got.Source)
			require.Equal(t, c.unproven != none, !got.UnprovenAt.IsZero())
			if c.unproven != none {
				require.Equal(t, after(c.unproven), got.UnprovenAt)
			}
		})
	}
}

func TestWeighKeepsAllTimesSideBySide(t *testing.T) {
	t.Parallel()
	got := dispatch.Weigh(scene, assigned,
		[]dispatch.Fix{fix(600, 120, 5), fix(640, 20, 5)},
		[]dispatch.Word{word(dispatch.ByTap, 580), word(dispatch.ByTap, 650), word(dispatch.ByCode, 700), word(dispatch.ByOperator, 710)})
	require.Equal(t, after(600), *got.Evidence.GPSAt)
	require.Equal(t, after(580), *got.Evidence.ClaimedAt, "the earliest of the taps")
	require.Equal(t, after(700), *got.Evidence.OwnerAt)
	require.Equal(t, after(710), *got.Evidence.OperatorAt)
	require.InDelta(t, 120, *got.Evidence.FixMetres, 1)
	require.Zero(t, *got.Evidence.FixAgeS)
	require.Equal(t, after(580), got.UnprovenAt)

	bare := dispatch.Weigh(scene, assigned, []dispatch.Fix{fix(500, 2500, 5)}, []dispatch.Word{word(dispatch.ByTap, 580)})
	require.InDelta(t, 2500, *bare.Evidence.FixMetres, 2, "an operator sees where the crew was")
	require.Equal(t, 80, *bare.Evidence.FixAgeS)
}

// evidence draws fixes and words around the thresholds, so that proofs come
// and go.
func evidence(t *rapid.T) ([]dispatch.Fix, []dispatch.Word) {
	fixes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) dispatch.Fix {
		return fix(float64(rapid.IntRange(-100, 1500).Draw(t, "s")),
			rapid.Float64Range(0, 450).Draw(t, "m"), rapid.Float64Range(0, 260).Draw(t, "acc"))
	}), 0, 14).Draw(t, "fixes")
	words := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) dispatch.Word {
		by := rapid.SampledFrom([]dispatch.ArrivalSource{dispatch.ByTap, dispatch.ByOwner, dispatch.ByCode, dispatch.ByOperator})
		return word(by.Draw(t, "by"), float64(rapid.IntRange(-100, 1500).Draw(t, "s")))
	}), 0, 4).Draw(t, "words")
	return fixes, words
}

func TestMoreEvidenceNeverMakesAnArrivalLater(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fixes, words := evidence(t)
		before := dispatch.Weigh(scene, assigned, fixes, words)
		moreFixes, moreWords := evidence(t)
		got := dispatch.Weigh(scene, assigned, append(fixes, moreFixes...), append(words, moreWords...))
		if before.Proven() {
			require.True(t, got.Proven())
			require.False(t, got.At.After(before.At), "%v is after %v", got.At, before.At)
		}
		if got.Proven() {
			require.False(t, got.At.Before(assigned))
		}
	})
}

func TestOrderAndRepetitionOfEvidenceDoNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fixes, words := evidence(t)
		want := dispatch.Weigh(scene, assigned, fixes, words)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		heardFixes, heardWords := slices.Concat(fixes, fixes), slices.Concat(words, words)
		rng.Shuffle(len(heardFixes), func(i, j int) { heardFixes[i], heardFixes[j] = heardFixes[j], heardFixes[i] })
		rng.Shuffle(len(heardWords), func(i, j int) { heardWords[i], heardWords[j] = heardWords[j], heardWords[i] })
		require.Equal(t, want, dispatch.Weigh(scene, assigned, heardFixes, heardWords))
	})
}

func TestABareTapAloneNeverStopsTheClock(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "taps")
		words := make([]dispatch.Word, n)
		for i := range words {
			words[i] = word(dispatch.ByTap, float64(rapid.IntRange(0, 5000).Draw(t, "s")))
		}
		far := fix(float64(rapid.IntRange(0, 5000).Draw(t, "at")), 600, 5)
		got := dispatch.Weigh(scene, assigned, []dispatch.Fix{far, far}, words)
		require.False(t, got.Proven())
		require.False(t, got.UnprovenAt.IsZero())
	})
}
