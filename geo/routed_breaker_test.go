package geo

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRoutedBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		r, engine := routedOver(t, func(ctx context.Context, from []Point, to Point) ([]time.Duration, error) {
			if down.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return twice(ctx, from, to)
		}, nil)
		from, car := queue(3)
		cost := func() (time.Duration, string) {
			begun := time.Now()
			legs, err := r.Refine(t.Context(), from, car, UrbanRoad, 12)
			require.NoError(t, err)
			return time.Since(begun), legs[0].Source.String()
		}
		for range 3 {
			took, source := cost()
			require.Equal(t, 200*time.Millisecond, took)
			require.Equal(t, "straight_line (timeout)", source)
		}
		for range 100 {
			took, source := cost()
			require.Zero(t, took, "a dead engine costs nothing more")
			require.Equal(t, "straight_line (breaker)", source)
		}
		require.EqualValues(t, 3, engine.calls.Load())
		require.True(t, r.Stats().BreakerOpen)

		// An hour of decisions every second on a dead engine: a trial now and then.
		for range 3600 {
			time.Sleep(time.Second)
			cost()
		}
		require.Less(t, engine.calls.Load(), int64(60))
		require.Greater(t, engine.calls.Load(), int64(40))

		down.Store(false)
		time.Sleep(breakerMost)
		_, source := cost()
		require.Equal(t, "fake", source)
		require.False(t, r.Stats().BreakerOpen)
		require.EqualValues(t, engine.calls.Load()-1, r.Stats().Failures[FailTimeout])
	})
}

func TestRoutedBreakerBlamesNobodyWrongly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, engine := routedOver(t, func(ctx context.Context, from []Point, to Point) ([]time.Duration, error) {
			select {
			case <-time.After(100 * time.Millisecond):
				return twice(ctx, from, to)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}, func(c *RoutedConfig) { c.CacheFor = -1 })
		from, car := queue(3)
		for range 20 { // callers that leave no time, and callers that leave
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			_, err := r.Refine(ctx, from, car, UrbanRoad, 12)
			require.NoError(t, err)
			cancel()
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(60*time.Millisecond, cancel)
			_, err = r.Refine(ctx, from, car, UrbanRoad, 12)
			require.NoError(t, err)
		}
		require.False(t, r.Stats().BreakerOpen)
		legs, err := r.Refine(t.Context(), from, car, UrbanRoad, 12)
		require.NoError(t, err)
		require.Equal(t, "fake", legs[0].Source.String())
		require.EqualValues(t, 41, engine.calls.Load())

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.Refine(ended, from, car, UrbanRoad, 12)
		require.ErrorIs(t, err, context.Canceled)
	})
}
