package events_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/events/devbroker"
	"rescued/events/eventstest"
	"rescued/internal/fault"
	"rescued/internal/pgtest"
)

func TestRepublishSendsTheRangeAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	for range 10 {
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	start(t, relay(t, cfg, pool).Run)
	eventually(t, "all to be published", outboxEmpty(t, pool))
	n, err := events.Republish(ctx, pool, 4, 6)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	seen := map[int64]int{}
	for _, env := range readTopic(t, cfg, events.TopicRequests, 13) {
		seen[env.FeedNo]++
	}
	require.Equal(t, map[int64]int{1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 1, 8: 1, 9: 1, 10: 1}, seen)
	n, err = events.Republish(ctx, pool, 8, 99)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	n, err = events.Republish(ctx, pool, 11, 99)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestRepublishUnappliedSendsWhatAGroupLacks(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	for range 5 {
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	appendAll(t, pool, sample(events.CrewChanged{})) // on a topic nobody here reads
	start(t, relay(t, cfg, pool).Run)
	eventually(t, "all to be published", outboxEmpty(t, pool))
	_, err := pool.Exec(ctx, `INSERT INTO events.inbox SELECT 'one', event_id FROM events.journal WHERE feed_no <> 3`)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, `INSERT INTO events.inbox SELECT 'two', event_id FROM events.journal WHERE feed_no > 2`)
	require.NoError(t, err)
	handlers := []events.Handler{{Group: "one", Topic: events.TopicRequests}, {Group: "two", Topic: events.TopicRequests},
		{Group: "two", Topic: events.TopicRequests}}
	n, err := events.RepublishUnapplied(ctx, pool, handlers)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	seen := map[int64]int{}
	for _, env := range readTopic(t, cfg, events.TopicRequests, 8) {
		seen[env.FeedNo]++
	}
	require.Equal(t, map[int64]int{1: 2, 2: 2, 3: 2, 4: 1, 5: 1}, seen)
}

// A wiped broker, as after an unclean stop: what was applied is not sent
// again, what was not is, and new events follow.
func TestAWipedBrokerIsFilledFromTheJournal(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	if eventstest.Real() != nil {
		t.Skip("concerns the embedded broker")
	}
	pool := pgtest.New(t, events.Migrations)
	applied(t, pool)
	var away atomic.Bool
	handlers := []events.Handler{{Group: "g", Topic: events.TopicRequests, Handle: func(ctx context.Context, tx pgx.Tx, env events.Envelope) error {
		if away.Load() {
			return fault.New(fault.Busy, "away", "Away.")
		}
		return noteApplied("g")(ctx, tx, env)
	}}}
	opts := devbroker.Options{Dir: t.TempDir(), Log: quietL}
	run := func() (stop func()) {
		b, err := devbroker.Start(ctx, opts)
		require.NoError(t, err)
		_, err = events.EnsureTopics(ctx, b.Config(), devbroker.Limits)
		require.NoError(t, err)
		require.True(t, b.Fresh())
		_, err = events.RepublishUnapplied(ctx, pool, handlers)
		require.NoError(t, err)
		stopRelay := start(t, relay(t, b.Config(), pool).Run)
		stopRunner := start(t, runner(t, b.Config(), pool, handlers).Run)
		return func() {
			stopRelay()
			stopRunner()
			require.NoError(t, b.Close()) // not marked: the next start finds it unclean
		}
	}
	stop := run()
	for range 5 {
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	eventually(t, "five", func() bool { return count(t, pool, `SELECT count(*) FROM applied`) == 5 })
	away.Store(true)
	for range 5 {
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	eventually(t, "the broker to have taken all", outboxEmpty(t, pool))
	stop()
	away.Store(false)
	appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	stop = run()
	defer stop()
	eventually(t, "eleven", func() bool { return count(t, pool, `SELECT count(*) FROM applied`) == 11 })
	require.Zero(t, count(t, pool, `SELECT count(*) FROM (
		SELECT feed_no, lag(feed_no) OVER (ORDER BY n) AS before FROM applied) a WHERE feed_no < before`))
}
