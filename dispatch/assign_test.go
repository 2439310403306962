package dispatch

import (
	"compress/gzip"
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMatchingReachesPublishedOptima(t *testing.T) {
	t.Parallel()
	for file, optimum := range map[string]float64{"assign100_orlib": 305, "generated100_not_orlib": 769} {
		f, err := os.Open("testdata/assignment/" + file + ".txt.gz")
		require.NoError(t, err)
		z, err := gzip.NewReader(f)
		require.NoError(t, err)
		var n int
		_, err = fmt.Fscan(z, &n)
		require.NoError(t, err)
		rows, skip := make([][]edge, n), make([]float64, n)
		for i := range rows {
			skip[i] = 1e9
			for j := range n {
				var cost float64
				_, err = fmt.Fscan(z, &cost)
				require.NoError(t, err)
				rows[i] = append(rows[i], edge{j, cost})
			}
		}
		_, sum := matching(rows, n, skip)
		require.Equal(t, optimum, sum, file)
		require.NoError(t, f.Close())
	}
}

func TestMatchingIsTheBest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cols := rapid.IntRange(0, 5).Draw(t, "cols")
		n := rapid.IntRange(0, 5).Draw(t, "rows")
		rows, skip := make([][]edge, n), make([]float64, n)
		for i := range rows {
			skip[i] = float64(rapid.IntRange(0, 60).Draw(t, "skip"))
			for j := range cols {
				if rapid.Bool().Draw(t, "possible") {
					rows[i] = append(rows[i], edge{j, float64(rapid.IntRange(0, 50).Draw(t, "cost"))})
				}
			}
		}
		chosen, sum := matching(rows, cols, skip)
		used := map[int]bool{}
		for _, j := range chosen {
			require.False(t, j >= 0 && used[j], "a column twice")
			used[j] = true
		}
		require.InDelta(t, bestOf(rows, skip, 0, map[int]bool{}), sum, 1e-9)
	})
}

// bestOf tries everything.
func bestOf(rows [][]edge, skip []float64, i int, used map[int]bool) float64 {
	if i == len(rows) {
		return 0
	}
	best := skip[i] + bestOf(rows, skip, i+1, used)
	for _, e := range rows[i] {
		if !used[e.col] {
			used[e.col] = true
			best = math.Min(best, e.cost+bestOf(rows, skip, i+1, used))
			delete(used, e.col)
		}
	}
	return best
}

var midday = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// called is a request opened some minutes ago under a 45-minute promise.
func called(minutesAgo int, priority int, reach ...Reach) Waiting {
	opened := midday.Add(-time.Duration(minutesAgo) * time.Minute)
	return Waiting{Opened: opened, Due: opened.Add(45 * time.Minute), Priority: priority, Reach: reach}
}

func drive(crew, minutes int) Reach { return Reach{crew, time.Duration(minutes) * time.Minute} }

func TestAssign(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		waiting []Waiting
		want    []int // crew of each request, -1 for none
	}{
		{"the soonest crew", []Waiting{called(0, 0, drive(0, 20), drive(1, 8))}, []int{1}},
		{"a sooner crew is left to whom nobody else reaches in time",
			[]Waiting{called(0, 0, drive(0, 5), drive(1, 9)), called(30, 0, drive(0, 10), drive(1, 40))}, []int{1, 0}},
		{"one crew: the promise that can be kept",
			[]Waiting{called(50, 0, drive(0, 10)), called(20, 0, drive(0, 10))}, []int{-1, 0}},
		{"one crew: whoever has waited an hour past his promise",
			[]Waiting{called(105, 0, drive(0, 10)), called(20, 0, drive(0, 10))}, []int{0, -1}},
		{"one crew: danger to life first",
			[]Waiting{called(40, 0, drive(0, 2)), called(0, 2, drive(0, 30))}, []int{-1, 0}},
		{"nobody stays unserved to save driving",
			[]Waiting{called(0, 0, drive(0, 5)), called(0, 0, drive(0, 6), drive(1, 100))}, []int{0, 1}},
		{"nobody can go", []Waiting{called(0, 0)}, []int{-1}},
	} {
		got := make([]int, len(c.waiting))
		for i := range got {
			got[i] = -1
		}
		for _, p := range Assign(c.waiting, 2, midday, time.Minute) {
			got[p.Request] = p.To.Crew
		}
		require.Equal(t, c.want, got, c.name)
	}
}

func BenchmarkAssign(b *testing.B) {
	for _, n := range []int{50, 500, 5000} {
		waiting := make([]Waiting, n)
		for i := range waiting {
			for k := range 16 {
				waiting[i].Reach = append(waiting[i].Reach, drive((i*7+k*k*13)%n, 1+(i*31+k*17)%60))
			}
			waiting[i].Opened, waiting[i].Due = midday, midday.Add(45*time.Minute)
		}
		b.Run(fmt.Sprintf("waiting=%d", n), func(b *testing.B) {
			for b.Loop() {
				Assign(waiting, n, midday, time.Minute)
			}
		})
		b.Run(fmt.Sprintf("waiting=%d/floor=each-its-soonest", n), func(b *testing.B) {
			for b.Loop() {
				used := make([]bool, n)
				for _, w := range waiting {
					best := -1
					for k, to := range w.Reach {
						if !used[to.Crew] && (best < 0 || to.Travel < w.Reach[best].Travel) {
							best = k
						}
					}
					if best >= 0 {
						used[w.Reach[best].Crew] = true
					}
				}
			}
		})
	}
}
