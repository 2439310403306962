package dispatch_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"rescued/dispatch"
	"rescued/geo"
)

// BenchmarkForesee is one look ahead over a fleet of 5,000, a tenth of it free,
// with so many waiting that nobody has accepted for long.
func BenchmarkForesee(b *testing.B) {
	draw := rand.New(rand.NewPCG(1, 0))
	anywhere := func() geo.Point {
		return geo.Offset(futian, 40_000*(draw.Float64()-0.5), 40_000*(draw.Float64()-0.5))
	}
	hands := make([]dispatch.Hand, 5000)
	for i := range hands {
		hands[i].At = anywhere()
		if i%10 > 0 {
			hands[i].Ready = noon.Add(time.Duration(draw.IntN(2400)) * time.Second)
		}
	}
	for _, n := range []int{50, 500} {
		awaited := make([]dispatch.Awaited, n)
		for i := range awaited {
			awaited[i] = unaccepted(0)
			awaited[i].Place = anywhere()
		}
		b.Run(fmt.Sprintf("waiting=%d", n), func(b *testing.B) {
			for b.Loop() {
				dispatch.Foresee(awaited, hands, noon.Add(5*time.Minute), evenPace())
			}
		})
	}
}
