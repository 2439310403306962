package dispatch

import (
	"compress/gzip"
	"fmt"
	"math"
	"os"
	"testing"

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
