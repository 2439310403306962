package dispatch_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/geo"
)

// yard puts crews on a grid around the car, 300 m apart.
func (w *world) yard(n int) {
	for i := range n {
		c := w.crew(0)
		w.clock.advance(time.Microsecond)
		w.Sight(c.ID, dispatch.Fix{At: w.clock.Now(), Point: geo.Offset(futian, 300*float64(i%40-20), 300*float64(i/40-20)), Accuracy: 10})
	}
}

// One request and many waiting at once, among 300 crews: what it costs until each has an offer.
func BenchmarkMatch(b *testing.B) {
	for _, waiting := range []int{1, 64} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			w := newWorld(b)
			w.yard(300)
			for b.Loop() {
				b.StopTimer()
				requests := make([]dispatch.Request, waiting)
				for i := range requests {
					requests[i] = w.open()
				}
				b.StartTimer()
				for made := 0; made < waiting; {
					offers, err := w.Match(w.ctx, requests[0].Area)
					require.NoError(b, err)
					require.NotEmpty(b, offers)
					made += len(offers)
				}
				b.StopTimer()
				for _, r := range requests {
					_, err := w.Cancel(w.ctx, desk, r.ID, "next", 0)
					require.NoError(b, err)
				}
				b.StartTimer()
			}
		})
	}
}

// Twenty-five requests a second through the loops of one replica: wall time
// from opening to first offer.
func BenchmarkOpenToOffer(b *testing.B) {
	w := newWorld(b)
	w.yard(300)
	ctx, stop := context.WithCancel(w.ctx)
	defer stop()
	go func() { _ = w.Run(ctx) }()
	for b.Loop() {
		r := w.open()
		time.Sleep(40 * time.Millisecond)
		_, err := w.Cancel(w.ctx, desk, r.ID, "next", 0)
		require.NoError(b, err)
	}
	st, err := w.Stats(w.ctx)
	require.NoError(b, err)
	b.ReportMetric(float64(st.OfferP50.Microseconds())/1000, "ms/p50")
	b.ReportMetric(float64(st.OfferP99.Microseconds())/1000, "ms/p99")
}
