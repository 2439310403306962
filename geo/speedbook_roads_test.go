package geo

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// trueTraffic is how the test's city really slows down: more than the model
// thinks in the evening, less in the morning, and later in the day.
var trueTraffic = [24]float64{
	0.95, 0.9, 0.9, 0.9, 0.9, 0.95, 1.05, 1.2, 1.4, 1.3, 1.15, 1.1,
	1.2, 1.15, 1.1, 1.15, 1.3, 1.7, 1.95, 1.7, 1.4, 1.2, 1.1, 1,
}

// TestLearnedSpeedsOnRealRoads drives synthetic jobs over the real streets of
// Futian: the true time is the fastest way by Dijkstra, times the hour's
// traffic, times what is different each day (log-normal, 15%), and 3% of the
// reports learned from are nonsense. The book learns from 5,000 and is judged on
// 2,000 others, whose reports are sound. The same is done with all traffic 1.4
// times as slow, as in rain.
//
// What no factor can take away is that one trip of 2 km has a straight way and
// the next has not. So the book is also held against hindsight: the best factor
// for each class and hour, taken from the very drives it is judged on.
func TestLearnedSpeedsOnRealRoads(t *testing.T) {
	t.Parallel()
	city := newDrivenCity(t)
	for name, c := range map[string]struct{ slower, most float64 }{
		"traffic much as the model thinks": {1, 0.95},
		"all traffic slower by 1.4":        {1.4, 0.85},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(2016, 2))
			book := newBook(t)
			var held []Drive
			for range 2000 {
				held = append(held, city.drive(rng, c.slower, 0))
			}
			for n := range 5000 {
				if n == 500 {
					t.Logf("after %d jobs, on 2,000 held out:\n%s", n, book.Assess(held))
				}
				book.Learn(city.drive(rng, c.slower, 0.03))
			}
			judged := book.Assess(held)
			best := hindsight(held)
			t.Logf("after %d jobs, on 2,000 held out (hindsight: %.0f s):\n%s", book.Jobs(), best, judged)
			t.Logf("each predicted before it was learned:\n%s", book.Error())

			require.Len(t, judged, 3, "urban, motorway, all")
			for _, row := range judged {
				require.Less(t, row.After.MeanAbs, c.most*row.Before.MeanAbs, row.Class)
				require.Less(t, row.After.MedianAbs, row.Before.MedianAbs, row.Class)
				require.Less(t, math.Abs(row.After.Bias), math.Abs(row.Before.Bias), row.Class)
			}
			require.Less(t, judged[2].After.MeanAbs, 1.05*best)
			all := book.Error()[2]
			require.Less(t, all.After.MeanAbs, all.Before.MeanAbs, "while it was still learning, too")
		})
	}
}

// hindsight is the mean absolute error, in seconds, of the best factor for each
// class and hour.
func hindsight(drives []Drive) float64 {
	model := DefaultStraightLine()
	best := map[speedKey]*ratioSketch{}
	for _, d := range drives {
		key := speedKey{hour: int8(d.hour), class: d.class}
		if best[key] == nil {
			best[key] = &ratioSketch{}
		}
		best[key].add(model.duration(d.metres, d.class, d.hour).Milliseconds(), d.took.Milliseconds())
		best[key].settle()
	}
	sum := 0.0
	for _, d := range drives {
		factor := math.Exp(best[speedKey{hour: int8(d.hour), class: d.class}].median)
		sum += math.Abs(model.duration(d.metres, d.class, d.hour).Seconds()*factor - d.took.Seconds())
	}
	return sum / float64(len(drives))
}

// drivenCity is real streets with the true times from 60 places.
type drivenCity struct {
	roads   roadNetwork
	classes []RoadClass
	starts  []int
	seconds [][]float64
}

func newDrivenCity(t *testing.T) drivenCity {
	rng := rand.New(rand.NewPCG(1, 1))
	c := drivenCity{roads: futianRoads(t)}
	c.classes = c.roads.classes()
	for range 60 {
		start := rng.IntN(len(c.roads.places))
		c.starts, c.seconds = append(c.starts, start), append(c.seconds, c.roads.secondsFrom(start))
	}
	return c
}

// drive makes up one job; a share of the reports is nonsense.
func (c drivenCity) drive(rng *rand.Rand, slower, nonsense float64) Drive {
	for {
		k, to, hour := rng.IntN(len(c.starts)), rng.IntN(len(c.roads.places)), rng.IntN(24)
		s := c.seconds[k][to] * slower * trueTraffic[hour] * math.Exp(0.15*rng.NormFloat64())
		if math.IsInf(s, 1) {
			continue // no way for cars
		}
		if rng.Float64() < nonsense {
			s *= 0.3 + 6*rng.Float64()
		}
		from := c.roads.places[c.starts[k]]
		d, err := NewDrive(from, c.roads.places[to], c.classes[to], hour, time.Duration(s*float64(time.Second)))
		if err == nil {
			return d
		}
	}
}
