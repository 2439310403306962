package geo

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func newBook(t require.TestingT) *SpeedBook {
	b, err := NewSpeedBook(DefaultStraightLine())
	require.NoError(t, err)
	return b
}

// driveOfRatio is a drive of 5 km that takes so many times the model's time.
func driveOfRatio(t require.TestingT, from Point, class RoadClass, hour int, ratio float64) Drive {
	to := Offset(from, 5000, 0)
	expected := DefaultStraightLine().Time(from, to, class, hour)
	d, err := NewDrive(from, to, class, hour, time.Duration(float64(expected)*ratio))
	require.NoError(t, err)
	return d
}

// factorOf is what the book multiplies the model by.
func factorOf(b *SpeedBook, from Point, class RoadClass, hour int) float64 {
	to := Offset(from, 0, 8000)
	return float64(b.Speeds().Time(from, to, class, hour)) / float64(DefaultStraightLine().Time(from, to, class, hour))
}

var genDrive = rapid.Custom(func(t *rapid.T) Drive {
	from := Offset(futian, rapid.Float64Range(-9000, 9000).Draw(t, "north"), rapid.Float64Range(-9000, 9000).Draw(t, "east"))
	class := rapid.SampledFrom([]RoadClass{UrbanRoad, RuralRoad, Motorway}).Draw(t, "class")
	return driveOfRatio(t, from, class, rapid.IntRange(0, 23).Draw(t, "hour"), rapid.Float64Range(0.5, 10).Draw(t, "ratio"))
})

func TestSpeedBookLearnsAndShrinks(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	require.Equal(t, 1.0, factorOf(b, futian, UrbanRoad, 8), "nothing learned is the model itself")
	last := 1.0
	for n := 1; n <= 200; n++ {
		b.Learn(driveOfRatio(t, futian, UrbanRoad, 8, 2))
		now := factorOf(b, futian, UrbanRoad, 8)
		require.Greater(t, now, last, "each drive draws it nearer")
		require.Less(t, now, 2.03)
		last = now
	}
	require.InDelta(t, 2, last, 0.03)
	require.EqualValues(t, 200, b.Jobs())

	// Who knows less of a place lies nearer to the model, and other classes know nothing.
	elsewhere, otherHour := factorOf(b, luohu, UrbanRoad, 8), factorOf(b, futian, UrbanRoad, 9)
	require.Less(t, elsewhere, last)
	require.Less(t, otherHour, elsewhere)
	require.Greater(t, otherHour, 1.5)
	require.Equal(t, 1.0, factorOf(b, futian, Motorway, 8))
	require.Equal(t, otherHour, factorOf(b, futian, "unknown", 9), "an unknown class is urban")

	one := newBook(t)
	one.Learn(driveOfRatio(t, futian, UrbanRoad, 8, 6))
	require.Less(t, factorOf(one, futian, UrbanRoad, 8), 1.6, "one odd drive changes little")
}

func TestSpeedBookShrugsOffNonsense(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for k := range 300 {
		ratio := 1.3
		if k%5 == 0 {
			ratio = 8 // forgot to report the arrival
		}
		b.Learn(driveOfRatio(t, futian, UrbanRoad, 8, ratio))
	}
	require.InDelta(t, 1.3, factorOf(b, futian, UrbanRoad, 8), 0.04, "a fifth of all drives is wrong")
}

// What the book knows at a moment stays as it is while the book learns on.
func TestSpeedsNeverChange(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	bare := b.Speeds()
	require.Equal(t, "straight_line", bare.Name(), "nothing learned is the model by its own name")
	b.Learn(driveOfRatio(t, futian, UrbanRoad, 8, 2))
	early := b.Speeds()
	require.Equal(t, "learned", early.Name())
	before := early.Time(futian, luohu, UrbanRoad, 8)
	for range 50 {
		b.Learn(driveOfRatio(t, futian, UrbanRoad, 8, 2))
	}
	require.Equal(t, before, early.Time(futian, luohu, UrbanRoad, 8))
	require.Greater(t, b.Speeds().Time(futian, luohu, UrbanRoad, 8), before)
	require.Equal(t, bare.Model(futian, luohu, UrbanRoad, 8), bare.Time(futian, luohu, UrbanRoad, 8))
	require.Equal(t, bare.Model(futian, luohu, UrbanRoad, 8), early.Model(futian, luohu, UrbanRoad, 8))
}

// Speeds foretell what the book does for any drive, wide groups included, and
// neither they nor the errors of drives that say what was predicted depend on
// the order of learning.
func TestSpeedsAreTheBooks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		drives := rapid.SliceOfN(genDrive, 0, 40).Draw(t, "drives")
		for i := range drives {
			drives[i] = drives[i].Said(10*time.Minute, time.Duration(i)*time.Minute)
		}
		b, backwards := newBook(t), newBook(t)
		b.Learn(drives...) // at once, or one by one
		for i := range drives {
			backwards.Learn(drives[len(drives)-1-i])
		}
		require.Equal(t, b.Speeds(), backwards.Speeds())
		require.Equal(t, b.Error(), backwards.Error())

		asked := genDrive.Draw(t, "asked")
		expected := b.base.duration(asked.metres, asked.class, asked.hour)
		require.Equal(t, b.correct(expected, asked).Round(time.Millisecond),
			b.Speeds().correct(expected, asked.start, asked.class, asked.hour).Round(time.Millisecond))
	})
}

// However it was taught: finite, at least zero, longer for longer drives, the
// same through every door, and never outside what was seen and the model.
func TestSpeedBookProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := newBook(t)
		lowest, highest := 1.0, 1.0
		for _, d := range rapid.SliceOfN(genDrive, 0, 40).Draw(t, "drives") {
			b.Learn(d)
			ratio := float64(d.took) / float64(b.base.duration(d.metres, d.class, d.hour))
			lowest, highest = min(lowest, ratio), max(highest, ratio)
		}
		from := drawPoint(t, "from")
		if rapid.Bool().Draw(t, "near") {
			from = futian
		}
		class := rapid.SampledFrom([]RoadClass{UrbanRoad, RuralRoad, Motorway, "?"}).Draw(t, "class")
		hour := rapid.IntRange(-50, 200).Draw(t, "hour")
		var to []Point
		for k := range 6 {
			to = append(to, Destination(from, 40, float64(k)*3000))
		}
		rows, err := b.Speeds().At(class, hour).Matrix(context.Background(), []Point{from}, to)
		require.NoError(t, err)
		for k := range to {
			got := b.Speeds().Time(from, to[k], class, hour)
			require.Equal(t, got, rows[0][k])
			require.GreaterOrEqual(t, got, time.Duration(0))
			if k == 0 {
				continue
			}
			require.Greater(t, got, rows[0][k-1], "monotone in distance")
			factor := float64(got) / float64(b.base.Time(from, to[k], class, hour))
			require.GreaterOrEqual(t, factor, lowest*0.97)
			require.LessOrEqual(t, factor, min(highest, 8.1)*1.03)
		}
		for _, row := range b.Error() {
			for _, f := range []float64{row.Before.MeanAbs, row.After.MeanAbs, row.Before.Bias, row.After.MedianAbs} {
				require.False(t, math.IsNaN(f) || math.IsInf(f, 0))
			}
		}
	})
}

// Books merge in any grouping and order to what one book would hold.
func TestSpeedBookMerges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		drives := rapid.SliceOfN(genDrive, 0, 60).Draw(t, "drives")
		one, parts := newBook(t), []*SpeedBook{newBook(t), newBook(t), newBook(t)}
		for _, d := range drives {
			one.Learn(d)
			parts[rapid.IntRange(0, 2).Draw(t, "part")].Learn(d)
		}
		left, right := newBook(t), newBook(t)
		for k := range parts {
			require.NoError(t, left.Merge(parts[k]))
			require.NoError(t, right.Merge(parts[2-k]))
		}
		require.Equal(t, written(t, left), written(t, right))
		require.Equal(t, one.Jobs(), left.Jobs())
		for key, s := range one.sketches {
			require.Equal(t, s, left.sketches[key])
		}

		again, err := ReadSpeedBook(bytes.NewReader(written(t, left)))
		require.NoError(t, err)
		require.Equal(t, written(t, left), written(t, again))
		require.Equal(t, left.sketches, again.sketches)
		require.Equal(t, left.Error(), again.Error())
	})
	other, err := NewSpeedBook(ConstantSpeed(30, 1.35))
	require.NoError(t, err)
	require.ErrorIs(t, newBook(t).Merge(other), ErrOtherBase)
	_, err = NewSpeedBook(StraightLine{})
	require.Error(t, err)
}

func written(t require.TestingT, b *SpeedBook) []byte {
	text, err := json.Marshal(b)
	require.NoError(t, err)
	return text
}

func TestReadSpeedBookRefusesNonsense(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.Learn(driveOfRatio(t, futian, UrbanRoad, 8, 2))
	good := string(written(t, b))
	_, err := ReadSpeedBook(strings.NewReader(good))
	require.NoError(t, err)
	for was, is := range map[string]string{
		`"version":2`:     `"version":1`,
		`"detour":1.35`:   `"detour":0`,
		`"hour":8`:        `"hour":24`,
		`"cell":"`:        `"cell":"8`,
		`"class":"urban"`: `"class":"canal"`,
		`"jobs":1`:        `"jobs":0`,
		`"bins":[[`:       `"bins":[[900`,
		`"abs_ms":`:       `"abs_ms":-`,
		`"within_10min":`: `"within_10min":9`,
		`"groups":[{`:     `"groups":[{"speed":1,`,
		`"errors":[{`:     `"errors":[{},{`,
		`{`:               ``,
	} {
		bad := strings.Replace(good, was, is, 1)
		require.NotEqual(t, good, bad, was)
		_, err := ReadSpeedBook(strings.NewReader(bad))
		require.Error(t, err, "%s", is)
	}
}

func TestNewDriveRefuses(t *testing.T) {
	t.Parallel()
	far := Offset(futian, 6000, 0)
	_, err := NewDrive(futian, far, UrbanRoad, 8, 10*time.Minute)
	require.NoError(t, err)
	for name, make := range map[string]func() (Drive, error){
		"to: 100 m":       func() (Drive, error) { return NewDrive(futian, Offset(futian, 100, 0), UrbanRoad, 8, time.Minute) },
		"took: 0s":        func() (Drive, error) { return NewDrive(futian, far, UrbanRoad, 8, 0) },
		"took: 7h":        func() (Drive, error) { return NewDrive(futian, far, UrbanRoad, 8, 7*time.Hour) },
		"faster than 180": func() (Drive, error) { return NewDrive(futian, far, UrbanRoad, 8, time.Minute) },
		"road_class":      func() (Drive, error) { return NewDrive(futian, far, "canal", 8, time.Hour) },
		"lat":             func() (Drive, error) { return NewDrive(futian, Point{99, 0}, UrbanRoad, 8, time.Hour) },
		"lng":             func() (Drive, error) { return NewDrive(Point{0, 999}, far, UrbanRoad, 8, time.Hour) },
	} {
		_, err := make()
		require.ErrorContains(t, err, name)
	}
	b := newBook(t)
	b.Learn(Drive{})
	require.Zero(t, b.Jobs())
}

// Error counts predictions, not hindsight: the first drive is predicted by the
// bare model.
func TestSpeedBookErrorIsOfPredictions(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.Learn(driveOfRatio(t, futian, UrbanRoad, 12, 2)) // 13.5 min expected, 27 needed
	row := b.Error()[0]
	require.Equal(t, UrbanRoad, row.Class)
	require.InDelta(t, 810, row.Before.MeanAbs, 1)
	require.InDelta(t, 810, row.After.MeanAbs, 1)
	require.InDelta(t, -810, row.After.Bias, 1)
	require.InEpsilon(t, 810, row.After.MedianAbs, 0.026)
	for range 99 {
		b.Learn(driveOfRatio(t, futian, UrbanRoad, 12, 2))
	}
	table := b.Error()
	require.Len(t, table, 2)
	require.Zero(t, row.After.Within10)
	require.Zero(t, table[0].Before.Within10, "the model stays 13.5 min off")
	require.Greater(t, table[0].After.Within10, 0.9)
	require.Equal(t, AllRoads, table[1].Class)
	require.InDelta(t, 810, table[0].Before.MeanAbs, 1)
	require.Less(t, table[0].After.MeanAbs, 120.0)
	require.Contains(t, table.String(), "urban   100")

	// A drive that says what was predicted as it began is counted by that.
	said := newBook(t)
	said.Learn(driveOfRatio(t, futian, UrbanRoad, 12, 2).Said(20*time.Minute, 30*time.Minute)) // 27 needed
	row = said.Error()[0]
	require.InDelta(t, -420, row.Before.Bias, 1)
	require.InDelta(t, 180, row.After.Bias, 1)
	require.Equal(t, 1.0, row.After.Within10)
}

func TestSpeedBookConcurrently(t *testing.T) {
	t.Parallel()
	b, other := newBook(t), newBook(t)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			for range 100 {
				b.Learn(driveOfRatio(t, futian, UrbanRoad, rng.IntN(24), 1+rng.Float64()))
				_ = b.Speeds().Time(futian, luohu, UrbanRoad, rng.IntN(24))
				_ = b.Error()
			}
			_ = other.Merge(b)
			_ = b.Merge(newBook(t))
			_, _ = json.Marshal(b)
		})
	}
	all.Wait()
	require.EqualValues(t, 400, b.Jobs())
}
