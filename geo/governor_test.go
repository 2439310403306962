package geo

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGovernorRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, err := NewGovernor(5, 2, 0, nil)
		require.NoError(t, err)
		begun := time.Now()
		for range 12 {
			require.NoError(t, g.Take(t.Context()))
		}
		require.Equal(t, 2*time.Second, time.Since(begun).Round(time.Millisecond), "2 at once, 10 at 5 a second")

		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begun = time.Now()
		var quota *QuotaError
		require.ErrorAs(t, g.Take(ctx), &quota)
		require.False(t, quota.Day)
		require.Zero(t, time.Since(begun), "it does not wait in vain")
		require.Equal(t, 12, g.UsedToday(), "what did not pass is not counted")
		require.Equal(t, FailThrottled, failureOfTake(quota))

		ended, stop := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, stop)
		require.ErrorIs(t, g.Take(ended), context.Canceled)
	})
}

func TestGovernorDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, err := NewGovernor(1000, 1000, 20, nil)
		require.NoError(t, err)
		var passed atomic.Int32
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if g.Take(t.Context()) == nil {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 20, passed.Load())

		var quota *QuotaError
		require.ErrorAs(t, g.Take(t.Context()), &quota)
		require.True(t, quota.Day)
		require.Equal(t, FailQuota, failureOfTake(quota))
		again := quota.Again.In(ChinaTime)
		require.Equal(t, [3]int{0, 0, 0}, [3]int{again.Hour(), again.Minute(), again.Second()})
		require.Less(t, time.Until(again), 24*time.Hour+time.Second)

		time.Sleep(time.Until(again) - time.Second)
		require.Error(t, g.Take(t.Context()))
		time.Sleep(time.Second)
		require.NoError(t, g.Take(t.Context()), "a new day")
		require.Equal(t, 1, g.UsedToday())

		g.Exhaust()
		require.Error(t, g.Take(t.Context()), "the service said so")
		time.Sleep(24 * time.Hour)
		require.NoError(t, g.Take(t.Context()))
	})
}

func TestGovernorSettings(t *testing.T) {
	t.Parallel()
	for _, bad := range []struct {
		rate       float64
		burst, day int
	}{{0, 1, 1}, {-1, 1, 1}, {1, 0, 1}, {1, 1, -1}} {
		_, err := NewGovernor(bad.rate, bad.burst, bad.day, nil)
		require.Error(t, err)
	}
	var none *Governor
	require.NoError(t, none.Take(t.Context()))
	none.Exhaust()
	require.Zero(t, none.UsedToday())
}
