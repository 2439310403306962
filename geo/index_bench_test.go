package geo

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fleet is a made-up country's crews: clusters of a city's width around the
// centres of the built-in table, with capabilities of different rarity.
type fleet struct {
	ix    *Index[int]
	at    []Point
	can   []Capabilities
	free  []bool
	rnd   *rand.Rand
	towns []Area
}

func newFleet(n int, available float64) *fleet {
	f := &fleet{ix: NewIndex[int](), rnd: rand.New(rand.NewPCG(7, uint64(n))), towns: ChinaAreas().All()}
	for k := range n {
		can := Capabilities(1)
		for bit := 1; bit < 8; bit++ {
			if f.rnd.IntN(1<<bit) == 0 {
				can |= 1 << bit
			}
		}
		f.at = append(f.at, f.place())
		f.can = append(f.can, can)
		f.free = append(f.free, f.rnd.Float64() < available)
		f.ix.Put(k, f.at[k], f.can[k], f.free[k], noon)
	}
	return f
}

// place is somewhere about a town: most are near the middle.
func (f *fleet) place() Point {
	town := f.towns[f.rnd.IntN(len(f.towns))]
	return Offset(town.Centre, f.rnd.NormFloat64()*9000, f.rnd.NormFloat64()*9000)
}

// scan is the plain way: look at everybody.
func (f *fleet) scan(p Point, need Capabilities, k int) []float64 {
	from := unitOf(p)
	var best []float64
	for i := range f.at {
		if f.free[i] && f.can[i].Has(need) {
			best = append(best, arcMetres(from.chord2(unitOf(f.at[i]))))
		}
	}
	slices.Sort(best)
	return best[:min(k, len(best))]
}

func (f *fleet) near(p Point, need Capabilities, k int) []float64 {
	var metres []float64
	for hit := range f.ix.Near(p, need) {
		metres = append(metres, hit.Metres)
		if len(metres) == k {
			break
		}
	}
	return metres
}

func TestNearAgreesWithAScanOfAFleet(t *testing.T) {
	t.Parallel()
	for _, available := range []float64{0.7, 0.2, 0.02, 0.0005} {
		f := newFleet(20_000, available)
		for range 40 {
			need := Capabilities(1) << f.rnd.IntN(8)
			p := f.place()
			require.Equal(t, f.scan(p, need, 50), f.near(p, need, 50))
		}
	}
}

// flat is the linear scan to compare with: positions ready as vectors, one pass,
// only the best kept.
type flat struct {
	pos unit
	can Capabilities
	on  bool
}

func BenchmarkNearest(b *testing.B) {
	for _, available := range []float64{0.7, 0.2, 0.02} {
		f := newFleet(100_000, available)
		scan := make([]flat, len(f.at))
		for i := range scan {
			scan[i] = flat{unitOf(f.at[i]), f.can[i], f.free[i]}
		}
		places := make([]Point, 4096)
		for i := range places {
			places[i] = f.place()
		}
		for _, k := range []int{1, 16} {
			b.Run(fmt.Sprintf("free=%g%%/index/k=%d", available*100, k), func(b *testing.B) {
				b.ReportAllocs()
				times := make([]time.Duration, 0, 1<<16)
				i := 0
				for b.Loop() {
					start := time.Now()
					left := k
					for range f.ix.Near(places[i%len(places)], 4) {
						if left--; left == 0 {
							break
						}
					}
					if len(times) < cap(times) {
						times = append(times, time.Since(start))
					}
					i++
				}
				slices.Sort(times)
				b.ReportMetric(float64(times[len(times)/2].Nanoseconds()), "p50-ns")
				b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds()), "p99-ns")
			})
		}
		b.Run(fmt.Sprintf("free=%g%%/scan/k=1", available*100), func(b *testing.B) {
			i := 0
			for b.Loop() {
				from, best, which := unitOf(places[i%len(places)]), 5.0, -1
				for j := range scan {
					if s := &scan[j]; s.on && s.can.Has(4) {
						if d2 := from.chord2(s.pos); d2 < best {
							best, which = d2, j
						}
					}
				}
				if which < 0 {
					b.Fatal("nobody found")
				}
				i++
			}
		})
	}
}

func BenchmarkPut(b *testing.B) {
	for _, step := range []float64{50, 500, 20_000} {
		f := newFleet(100_000, 0.2)
		moves := make([]Point, 1<<17)
		for i := range moves {
			moves[i] = Offset(f.at[i%len(f.at)], f.rnd.NormFloat64()*step, f.rnd.NormFloat64()*step)
		}
		b.Run(fmt.Sprintf("moved=%gm", step), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				k := i % len(f.at)
				f.ix.Put(k, moves[k], f.can[k], f.free[k], noon)
				i++
			}
		})
	}
}

func BenchmarkLocate(b *testing.B) {
	areas := ChinaAreas()
	var places []Point
	for _, a := range areas.All() {
		places = append(places, Offset(a.Centre, 2000, -2000))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := areas.Locate(places[i%len(places)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
