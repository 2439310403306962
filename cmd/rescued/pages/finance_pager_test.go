package pages

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever turns pages forward finds the very same pages on the way back, as far
// as the trail goes, and from anywhere the first; another choice begins anew.
func TestPagesLeadBackTheWayTheyCame(t *testing.T) {
	t.Parallel()
	const size, rows = 3, 100
	show := func(address string) (list []int, p pager) {
		t.Helper()
		u, err := url.Parse(address)
		require.NoError(t, err)
		f := finance{Base: u.Path, Query: u.Query()}
		after := 0
		require.NoError(t, f.from("numbers", &after))
		for n := after + 1; n <= min(after+size+1, rows); n++ {
			list = append(list, n)
		}
		return cut(f, list, size, "numbers", func(n int) any { return n })
	}
	way := []string{"/list?state=late"}
	for {
		list, p := show(way[len(way)-1])
		require.EqualValues(t, len(way), p.Part)
		require.EqualValues(t, list[0], p.From, "rows are counted as they stand in the list")
		require.EqualValues(t, list[len(list)-1], p.To)
		if p.Next == "" {
			break
		}
		way = append(way, p.Next)
	}
	require.Len(t, way, 34)
	at, back := way[len(way)-1], 0
	for {
		list, p := show(at)
		if back > 0 {
			was, _ := show(way[len(way)-1-back])
			require.Equal(t, was, list)
			require.Less(t, len(at), 2500, "every proxy lets it pass")
		}
		if p.Prev == "" {
			require.Equal(t, way[0], p.First)
			break
		}
		at, back = p.Prev, back+1
	}
	require.Equal(t, trailLength, back, "step by step as far as the trail; from there to the first")
	at = way[5]
	for range 5 {
		_, p := show(at)
		at = p.Prev
	}
	require.Equal(t, way[0], at)

	u, err := url.Parse(way[5])
	require.NoError(t, err)
	f := finance{Base: u.Path, Query: u.Query()}
	require.Equal(t, "/list?state=met", f.With("state", "met"), "another choice begins at the first page")
	_, p := show("/list?cursor=" + u.Query().Get("cursor"))
	require.Zero(t, p.To, "an address that does not say where it is is not made to")
	require.Equal(t, "/list?", p.First)
	require.Empty(t, p.Prev)
}

// A month leads to the one after only once that has begun.
func TestNoMonthThatIsStillToCome(t *testing.T) {
	t.Parallel()
	p := &pages{Config: Config{Zone: chinaTime()}}
	for now, want := range map[string]string{
		"2026-03-31T15:59:59Z": "", // the last second of March in China
		"2026-03-31T16:00:00Z": "2026-04",
	} {
		at, err := time.Parse(time.RFC3339, now)
		require.NoError(t, err)
		p.Now = func() time.Time { return at }
		m, err := p.monthOf("2026-03", 0)
		require.NoError(t, err)
		require.Equal(t, want, m.Next, now)
		require.Equal(t, "2026-02", m.Prev)
	}
	m, err := p.monthOf("2027-01", 0)
	require.NoError(t, err)
	require.Empty(t, m.Next)
	require.Equal(t, "2026-12", m.Prev)
}
