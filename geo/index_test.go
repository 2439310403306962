package geo

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 2, 24, 12, 0, 0, 0, time.UTC)

// model is the index's meaning, written plainly: a map and a full sort.
type model map[int]Standing

func (m model) near(p Point, need Capabilities) []float64 {
	var metres []float64
	for _, s := range m {
		if s.Free && s.Can.Has(need) {
			metres = append(metres, Distance(p, s.Point))
		}
	}
	slices.Sort(metres)
	return metres
}

// checkNear compares the whole sequence with the model: the same distances in
// the same order, each hit's key really there, and no key twice.
func (m model) checkNear(t require.TestingT, ix *Index[int], p Point, need Capabilities) {
	var got []float64
	seen := make(map[int]bool)
	for hit := range ix.Near(p, need) {
		s, ok := m[hit.Key]
		require.True(t, ok)
		require.False(t, seen[hit.Key])
		seen[hit.Key] = true
		require.True(t, s.Free && s.Can.Has(need))
		require.Equal(t, s.Point, hit.Point)
		require.Equal(t, s.Seen, hit.Seen)
		require.Equal(t, Distance(p, s.Point), hit.Metres)
		got = append(got, hit.Metres)
	}
	want := m.near(p, need)
	if len(want) == 0 {
		require.Empty(t, got)
		return
	}
	require.Equal(t, want, got)
}

// drawPlace favours where an index could go wrong: poles, the dateline, crowds
// on one spot, and neighbours of places drawn before.
func drawPlace(t *rapid.T, before []Point) Point {
	switch rapid.IntRange(0, 5).Draw(t, "kind of place") {
	case 0:
		return drawPoint(t, "anywhere")
	case 1:
		return Point{rapid.SampledFrom([]float64{90, -90, 89.99, -89.99}).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lng")}
	case 2:
		return Point{rapid.Float64Range(-90, 90).Draw(t, "lat"), rapid.SampledFrom([]float64{180, -180, 179.99, -179.99}).Draw(t, "lng")}
	case 3:
		return Offset(Point{31.23, 121.47}, rapid.Float64Range(-40_000, 40_000).Draw(t, "north"), rapid.Float64Range(-40_000, 40_000).Draw(t, "east"))
	}
	if len(before) == 0 {
		return Point{39.9, 116.4}
	}
	p := rapid.SampledFrom(before).Draw(t, "before")
	return Offset(p, rapid.Float64Range(-5_000, 5_000).Draw(t, "north"), rapid.Float64Range(-5_000, 5_000).Draw(t, "east"))
}

func TestIndexMeansWhatTheModelMeans(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ix, m := NewIndex[int](), model{}
		places := []Point{}
		key := rapid.IntRange(0, 40)
		can := rapid.Map(rapid.IntRange(0, 15), func(n int) Capabilities { return Capabilities(n) })
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			k := key.Draw(t, "key")
			was, known := m[k]
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				require.Equal(t, known, ix.Remove(k))
				delete(m, k)
			case 1:
				free := rapid.Bool().Draw(t, "free")
				require.Equal(t, known, ix.SetFree(k, free))
				if known {
					was.Free = free
					m[k] = was
				}
			case 2:
				c := can.Draw(t, "can")
				require.Equal(t, known, ix.SetCapabilities(k, c))
				if known {
					was.Can = c
					m[k] = was
				}
			default:
				p := drawPlace(t, places)
				places = append(places, p)
				s := Standing{
					Point: p, Can: can.Draw(t, "can"), Free: rapid.Bool().Draw(t, "free"),
					Seen: noon.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "at")) * time.Second),
				}
				fresh := !known || !s.Seen.Before(was.Seen)
				require.Equal(t, fresh, ix.Put(k, s.Point, s.Can, s.Free, s.Seen))
				if fresh {
					m[k] = s
				}
			}
		}
		require.Equal(t, len(m), ix.Len())
		for k := range 41 {
			want, known := m[k]
			got, ok := ix.Lookup(k)
			require.Equal(t, known, ok)
			require.Equal(t, want, got)
		}
		for range 4 {
			m.checkNear(t, ix, drawPlace(t, places), can.Draw(t, "need"))
		}
		for k := range 41 {
			ix.Remove(k)
		}
		require.Empty(t, ix.nodes, "no node outlives the last thing in it")
		require.Zero(t, ix.root.can)
		require.Zero(t, ix.root.free)
	})
}

func TestNearAcrossEmptyCountry(t *testing.T) {
	t.Parallel()
	ix, m := NewIndex[int](), model{}
	put := func(k int, p Point, can Capabilities, free bool) {
		require.True(t, ix.Put(k, p, can, free, noon))
		m[k] = Standing{Point: p, Seen: noon, Free: free, Can: can}
	}
	require.Empty(t, slices.Collect(ix.Near(Point{30, 100}, 0)))
	put(1, Point{34.0, 104.0}, 1, true)      // some 550 km away
	put(2, Point{30.001, 100.001}, 1, false) // next door, at work
	put(3, Point{30.002, 100.002}, 2, true)  // next door, cannot
	m.checkNear(t, ix, Point{30, 100}, 1)
	m.checkNear(t, ix, Point{-30, -80}, 1) // the other side of the Earth
	for hit := range ix.Near(Point{30, 100}, 1) {
		require.Equal(t, 1, hit.Key)
		require.Greater(t, hit.Metres, 500_000.0)
	}
	require.Empty(t, slices.Collect(ix.Near(Point{30, 100}, 4)))
	require.Empty(t, slices.Collect(ix.Near(Point{91, 100}, 0)), "no place")
}

func TestEqualDistancesComeInTheOrderOfTheirFirstPut(t *testing.T) {
	t.Parallel()
	ix := NewIndex[string]()
	p := Point{31, 121}
	for _, k := range []string{"c", "a", "d", "b"} {
		require.True(t, ix.Put(k, p, 0, true, noon))
	}
	require.True(t, ix.SetFree("c", false))
	require.True(t, ix.SetFree("c", true))
	require.True(t, ix.Put("a", p, 3, true, noon.Add(time.Second)))
	var keys []string
	for hit := range ix.Near(Point{31.1, 121}, 0) {
		keys = append(keys, hit.Key)
	}
	require.Equal(t, []string{"c", "a", "d", "b"}, keys)
}

func TestPutRefusesNoPlaceAndOldNews(t *testing.T) {
	t.Parallel()
	ix := NewIndex[int]()
	require.False(t, ix.Put(1, Point{91, 0}, 0, true, noon))
	require.Zero(t, ix.Len())
	require.True(t, ix.Put(1, Point{30, 120}, 1, true, noon))
	require.False(t, ix.Put(1, Point{31, 121}, 2, false, noon.Add(-time.Microsecond)))
	got, _ := ix.Lookup(1)
	require.Equal(t, Standing{Point: Point{30, 120}, Seen: noon, Free: true, Can: 1}, got)
	require.True(t, ix.Put(1, Point{31, 121}, 2, false, noon), "the same time replaces")
}

func TestCallerMayChangeTheIndexWithAHitInHand(t *testing.T) {
	t.Parallel()
	ix := NewIndex[int]()
	for k := range 500 {
		ix.Put(k, Offset(Point{31, 121}, float64(k)*400, 0), 1, true, noon)
	}
	seen := make(map[int]bool)
	for hit := range ix.Near(Point{31, 121}, 1) {
		require.False(t, seen[hit.Key], "a thing comes at most once")
		seen[hit.Key] = true
		switch hit.Key % 3 {
		case 0: // forget it, and let it come back further on
			require.True(t, ix.Remove(hit.Key))
			require.True(t, ix.Put(hit.Key, Offset(hit.Point, 150_000, 0), 1, true, noon))
		case 1:
			require.True(t, ix.SetFree(hit.Key, false))
		default: // drive on, ahead of the search
			require.True(t, ix.Put(hit.Key, Offset(hit.Point, 90_000, 0), 1, true, noon.Add(time.Second)))
		}
		for range ix.Near(hit.Point, 1) { // a search within a search
			break
		}
	}
	require.Len(t, seen, 500, "nobody moved out of the search's way")
}

func TestIndexUnderManyWritersAndReaders(t *testing.T) {
	t.Parallel()
	const crews, writers, readers, rounds = 200, 4, 4, 60
	ix := NewIndex[string]()
	key := func(n int) string { return fmt.Sprintf("crw_%03d", n) }
	// The last ten stand still, free: every search must find them, in order.
	still := make(map[string]bool)
	for n := crews - 10; n < crews; n++ {
		still[key(n)] = true
		ix.Put(key(n), Offset(Point{31, 121}, float64(n)*100, 0), 1, true, noon)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range rounds * 10 {
				k := key(rnd.IntN(crews - 10))
				switch rnd.IntN(10) {
				case 0:
					ix.Remove(k)
				case 1:
					ix.SetFree(k, rnd.IntN(2) == 0)
				case 2:
					ix.SetCapabilities(k, Capabilities(rnd.IntN(4)))
				default:
					p := Offset(Point{31, 121}, rnd.NormFloat64()*30_000, rnd.NormFloat64()*30_000)
					ix.Put(k, p, Capabilities(rnd.IntN(4)), rnd.IntN(2) == 0, noon.Add(time.Duration(i)*time.Second))
				}
			}
		})
	}
	for r := range readers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(2, uint64(r)))
			for range rounds {
				p := Offset(Point{31, 121}, rnd.NormFloat64()*30_000, 0)
				once := make(map[string]bool)
				var standing []Hit[string]
				for hit := range ix.Near(p, 1) {
					if once[hit.Key] {
						t.Errorf("%s came twice", hit.Key)
					}
					once[hit.Key] = true
					if still[hit.Key] {
						standing = append(standing, hit)
					}
					ix.Lookup(hit.Key)
				}
				if len(standing) != len(still) {
					t.Errorf("%d of %d who stood still were found", len(standing), len(still))
				}
				if !slices.IsSortedFunc(standing, func(a, b Hit[string]) int { return cmp.Compare(a.Metres, b.Metres) }) {
					t.Error("those who stood still came out of order")
				}
			}
		})
	}
	wg.Wait()
}

// A lone crew that drives to the next cell takes every node above it along: the
// new leaf hangs from nodes that the old one was the last to need.
func TestALoneCrewStaysFoundAsItDrives(t *testing.T) {
	t.Parallel()
	ix, m := NewIndex[int](), model{}
	for i := range 400 {
		s := Standing{Point: Offset(Point{31, 121}, float64(i)*3_000, float64(i)*1_000), Can: 1, Free: true, Seen: noon.Add(time.Duration(i) * time.Minute)}
		require.True(t, ix.Put(1, s.Point, s.Can, s.Free, s.Seen))
		m[1] = s
		m.checkNear(t, ix, Point{31, 121}, 1)
	}
}
