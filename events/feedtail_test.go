package events_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/events/eventstest"
	"rescued/internal/pgtest"
)

var errEnough = errors.New("enough")

// take follows until n events have come.
func take(ctx context.Context, tail *events.FeedTail, after int64, n int) ([]int64, error) {
	var got []int64
	err := tail.Follow(ctx, after, func(env events.Envelope) error {
		if got = append(got, env.FeedNo); len(got) == n {
			return errEnough
		}
		return nil
	})
	return got, err
}

func TestFollowResumesFromAnyPlace(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	for range 6 {
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	start(t, relay(t, cfg, pool).Run)
	eventually(t, "all to be numbered", outboxEmpty(t, pool))
	tail := events.NewFeedTail(pool, quietL)
	start(t, tail.Run)
	got, err := take(ctx, tail, 2, 4)
	require.ErrorIs(t, err, errEnough)
	require.Equal(t, []int64{3, 4, 5, 6}, got)

	live := make(chan []int64, 1)
	go func() { got, _ := take(ctx, tail, -1, 2); live <- got }()
	time.Sleep(50 * time.Millisecond)
	for range 2 {
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	require.Equal(t, []int64{7, 8}, <-live, "a negative place means from now on")

	page, err := events.ReadFeed(ctx, pool, 3, 2)
	require.NoError(t, err)
	require.Len(t, page, 2)
	require.Equal(t, int64(4), page[0].FeedNo)
}

func TestSlowFollowerIsToldToReset(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	start(t, relay(t, cfg, pool).Run)
	tail := events.NewFeedTail(pool, quietL)
	start(t, tail.Run)

	slow, fast := make(chan error, 1), make(chan error, 1)
	release, seen := make(chan struct{}), make(chan struct{})
	go func() {
		first := true
		slow <- tail.Follow(ctx, 0, func(events.Envelope) error {
			if first {
				first = false
				close(seen)
				<-release
			}
			return nil
		})
	}()
	appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	<-seen
	go func() { _, err := take(ctx, tail, 1, 2000); fast <- err }()
	evs := make([]events.Event, 100)
	for range 20 {
		for i := range evs {
			evs[i] = departed("a", events.NewID[events.CrewID]())
		}
		appendAll(t, pool, evs...)
		time.Sleep(5 * time.Millisecond)
	}
	require.ErrorIs(t, <-fast, errEnough, "a slow reader does not hold up the others")
	close(release)
	require.ErrorIs(t, <-slow, events.ErrFeedReset)
}

func TestTooOldAPlaceIsReset(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pool := pgtest.New(t, events.Migrations)
	_, err := pool.Exec(ctx, `UPDATE events.feed SET last_no = 20000`)
	require.NoError(t, err)
	tail := events.NewFeedTail(pool, quietL)
	start(t, tail.Run)
	_, err = take(ctx, tail, 5, 1)
	require.ErrorIs(t, err, events.ErrFeedReset)
}

func TestHistoryIsNoPartOfTheLiveFeed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	start(t, relay(t, cfg, pool).Run)
	tail := events.NewFeedTail(pool, quietL)
	start(t, tail.Run)
	past, live := sample(events.HistoryImported{}), departed("a", events.NewID[events.CrewID]())
	appendAll(t, pool, past, live, past, live)
	eventually(t, "all to be numbered", outboxEmpty(t, pool))
	got, err := take(ctx, tail, 0, 2)
	require.ErrorIs(t, err, errEnough)
	require.Equal(t, []int64{2, 4}, got, "what is caught up")

	follows := make(chan []int64, 1)
	go func() { got, _ := take(ctx, tail, 4, 1); follows <- got }()
	time.Sleep(50 * time.Millisecond)
	appendAll(t, pool, past, live)
	require.Equal(t, []int64{6}, <-follows, "what is followed")
}
