package events_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"rescued/events"
	"rescued/events/eventstest"
	"rescued/internal/fault"
	"rescued/internal/pgtest"
)

func runner(t testing.TB, cfg events.ClientConfig, pool *pgxpool.Pool, handlers []events.Handler, batches ...events.Batch) *events.Runner {
	r, err := events.NewRunner(cfg, pool, quietL, nil, handlers, batches)
	require.NoError(t, err)
	return r
}

// applied is a table that handlers write to, one row per call that commits.
func applied(t testing.TB, pool *pgxpool.Pool) {
	_, err := pool.Exec(context.Background(), `CREATE TABLE applied (
		n bigint GENERATED ALWAYS AS IDENTITY, event_id uuid, key text, feed_no bigint, who text)`)
	require.NoError(t, err)
}

func noteApplied(who string) func(context.Context, pgx.Tx, events.Envelope) error {
	return func(ctx context.Context, tx pgx.Tx, env events.Envelope) error {
		_, err := tx.Exec(ctx, `INSERT INTO applied (event_id, key, feed_no, who) VALUES ($1, $2, $3, $4)`, env.ID, env.Key, env.FeedNo, who)
		return err
	}
}

// Three replicas, some of them killed at random in mid-work: the network cut,
// their database sessions ended, no commit, no goodbye.
func TestEachEventIsAppliedOnceUnderKills(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg := eventstest.Broker(t)
	url := pgtest.URL(t, events.Migrations)
	pool := openPool(t, url, "checker")
	applied(t, pool)
	start(t, relay(t, cfg, pool).Run)

	var names atomic.Int64
	type replica struct {
		name string
		kill func()
	}
	spawn := func() replica {
		name := fmt.Sprint("replica-", names.Add(1))
		plug := &dialer{}
		mine := cfg
		mine.Dial = plug.dial
		its := openPool(t, url, name)
		r := runner(t, mine, its, []events.Handler{{Group: "g", Topic: events.TopicRequests, Handle: func(ctx context.Context, tx pgx.Tx, env events.Envelope) error {
			if err := noteApplied(name)(ctx, tx, env); err != nil {
				return err
			}
			time.Sleep(rand.N(2 * time.Millisecond))
			return nil
		}}})
		run, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); _ = r.Run(run) }()
		t.Cleanup(func() {
			cancel()
			<-done
		})
		return replica{name, func() {
			plug.set(true)
			_, err := pool.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`, name)
			require.NoError(t, err)
			cancel()
		}}
	}
	const areas, kills = 30, 3
	replicas := []replica{spawn(), spawn(), spawn()}
	total := 0
	storm := func(n int) {
		for range n {
			appendAll(t, pool, departed(fmt.Sprint("area-", total%areas), events.NewID[events.CrewID]()))
			total++
		}
	}
	for range kills {
		victim := &replicas[rand.N(len(replicas))]
		eventually(t, "the victim to be at work", func() bool {
			storm(10)
			return count(t, pool, `SELECT count(*) FROM applied WHERE who = $1`, victim.name) > 0
		})
		storm(100)
		victim.kill()
		storm(100)
		*victim = spawn()
	}
	require.Eventually(t, func() bool { return count(t, pool, `SELECT count(*) FROM applied`) >= total }, time.Minute, 50*time.Millisecond,
		"every event is applied")
	time.Sleep(300 * time.Millisecond)
	require.Equal(t, total, count(t, pool, `SELECT count(*) FROM applied`), "and none twice")
	require.Equal(t, total, count(t, pool, `SELECT count(DISTINCT event_id) FROM applied`))
	require.Zero(t, count(t, pool, `SELECT count(*) FROM (
		SELECT feed_no, lag(feed_no) OVER (PARTITION BY key ORDER BY n) AS before FROM applied) a WHERE feed_no < before`),
		"each key in order")
	require.Zero(t, count(t, pool, `SELECT count(*) FROM events.dead_letters`))
}

func openPool(t testing.TB, url, name string) *pgxpool.Pool {
	cfg, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	cfg.MaxConns = 6
	cfg.ConnConfig.RuntimeParams["application_name"] = name
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func TestHandlersShareATransaction(t *testing.T) {
	t.Parallel()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	applied(t, pool)
	var fail atomic.Bool
	fail.Store(true)
	start(t, runner(t, cfg, pool, []events.Handler{
		{Group: "g", Topic: events.TopicRequests, Handle: noteApplied("first")},
		{Group: "g", Topic: events.TopicRequests, Handle: func(ctx context.Context, tx pgx.Tx, env events.Envelope) error {
			if fail.Swap(false) {
				return fault.New(fault.Busy, "later", "Not now.")
			}
			return noteApplied("second")(ctx, tx, env)
		}},
		{Group: "other", Topic: events.TopicRequests, Handle: noteApplied("other")},
	}).Run)
	start(t, relay(t, cfg, pool).Run)
	appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	eventually(t, "three handlers", func() bool { return count(t, pool, `SELECT count(*) FROM applied`) == 3 })
	require.False(t, fail.Load())
	require.Equal(t, 2, count(t, pool, `SELECT count(*) FROM events.inbox`))
}

func TestRepeatsDoNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	applied(t, pool)
	start(t, runner(t, cfg, pool, []events.Handler{{Group: "g", Topic: events.TopicRequests, Handle: noteApplied("g")}}).Run)
	start(t, relay(t, cfg, pool).Run)
	for range 5 {
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	eventually(t, "five", func() bool { return count(t, pool, `SELECT count(*) FROM applied`) == 5 })
	_, err := events.Republish(ctx, pool, 1, 5)
	require.NoError(t, err)
	appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	eventually(t, "the sixth, behind the repeats", func() bool { return count(t, pool, `SELECT count(*) FROM applied WHERE feed_no = 6`) == 1 })
	require.Equal(t, 6, count(t, pool, `SELECT count(*) FROM applied`))
}

func TestAFailureThatMendsHoldsItsPartitionOnly(t *testing.T) {
	t.Parallel()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	applied(t, pool)
	var broken atomic.Bool
	broken.Store(true)
	start(t, runner(t, cfg, pool, []events.Handler{{Group: "g", Topic: events.TopicPromises, Handle: func(ctx context.Context, tx pgx.Tx, env events.Envelope) error {
		if env.Version == 2 && broken.Load() {
			return fmt.Errorf("ask the neighbour: %w", fault.New(fault.Busy, "neighbour_away", "It is away."))
		}
		return noteApplied("g")(ctx, tx, env)
	}}}).Run)
	start(t, relay(t, cfg, pool).Run)
	held := events.NewID[events.RequestID]()
	breach := func(req events.RequestID, version int64) {
		tx, err := pool.Begin(context.Background())
		require.NoError(t, err)
		require.NoError(t, events.Append(context.Background(), tx, by, noon, version, events.GuaranteeBreached{RequestID: req, Area: "a"}))
		require.NoError(t, tx.Commit(context.Background()))
	}
	breach(held, 1)
	breach(held, 2)
	breach(held, 3)
	for range 60 { // of 12 partitions
		breach(events.NewID[events.RequestID](), 9)
	}
	// Some of the sixty share the held partition; the others get through.
	eventually(t, "the other partitions", func() bool { return count(t, pool, `SELECT count(*) FROM applied WHERE key <> $1`, held.String()) > 30 })
	ofHeld := func() int { return count(t, pool, `SELECT count(*) FROM applied WHERE key = $1`, held.String()) }
	eventually(t, "what stands before the failure", func() bool { return ofHeld() == 1 })
	time.Sleep(200 * time.Millisecond) // some more tries
	require.Equal(t, 1, ofHeld(), "nothing passes the failure")
	broken.Store(false)
	eventually(t, "all", func() bool { return count(t, pool, `SELECT count(*) FROM applied`) == 63 })
	require.Zero(t, count(t, pool, `SELECT count(*) FROM (
		SELECT feed_no, lag(feed_no) OVER (PARTITION BY key ORDER BY n) AS before FROM applied) a WHERE feed_no < before`))
	require.Zero(t, count(t, pool, `SELECT count(*) FROM events.dead_letters`))
}

func TestDeadLettersLetThePartitionGoOn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	applied(t, pool)
	var mended atomic.Bool
	handlers := []events.Handler{{Group: "g", Topic: events.TopicRequests, Handle: func(ctx context.Context, tx pgx.Tx, env events.Envelope) error {
		if err := noteApplied("g")(ctx, tx, env); err != nil || mended.Load() {
			return err
		}
		switch env.FeedNo {
		case 2:
			return fault.New(fault.Invalid, "nonsense", "It makes no sense.")
		case 3:
			var nobody *events.Envelope
			return errors.New(nobody.Key) // panics
		case 4:
			_, err := tx.Exec(ctx, `INSERT INTO nowhere VALUES (1)`)
			return err
		}
		return nil
	}}}
	r := runner(t, cfg, pool, handlers)
	start(t, r.Run)
	start(t, relay(t, cfg, pool).Run)
	for range 5 {
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.DefaultProduceTopic(cfg.Prefix+string(events.TopicRequests)))
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.ProduceSync(ctx, &kgo.Record{Key: []byte("a\x00\xff"), Value: []byte("{\x00\xff"),
		Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte("\x00\xff")}}}).FirstErr())
	eventually(t, "the last of the partition", func() bool {
		return count(t, pool, `SELECT count(*) FROM applied WHERE feed_no IN (1, 5)`) == 2 && count(t, pool, `SELECT count(*) FROM events.dead_letters`) == 4
	})
	require.Equal(t, 2, count(t, pool, `SELECT count(*) FROM applied`), "what failed left nothing behind")

	letters, err := events.ListDeadLetters(ctx, pool, 10)
	require.NoError(t, err)
	require.Len(t, letters, 4)
	texts := map[string]events.DeadLetter{}
	for _, l := range letters {
		for _, word := range []string{"nonsense", "panicked", "nowhere", "no header"} {
			if strings.Contains(l.Error, word) {
				texts[word] = l
			}
		}
	}
	require.Len(t, texts, 4)
	require.ErrorIs(t, events.RetryDeadLetter(ctx, pool, handlers, texts["no header"].ID), events.ErrUndecodable)
	require.ErrorContains(t, events.RetryDeadLetter(ctx, pool, handlers, texts["nonsense"].ID), "nonsense")
	require.ErrorIs(t, events.RetryDeadLetter(ctx, pool, nil, texts["nonsense"].ID), events.ErrNoHandler)
	mended.Store(true)
	for range 2 { // a second retry finds a repeat
		require.NoError(t, events.RetryDeadLetter(ctx, pool, handlers, texts["nonsense"].ID))
	}
	require.Equal(t, 1, count(t, pool, `SELECT count(*) FROM applied WHERE feed_no = 2`))
	letters, err = events.ListDeadLetters(ctx, pool, 10)
	require.NoError(t, err)
	require.Len(t, letters, 3)

	n, err := events.EraseDeadLetters(ctx, pool, time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Zero(t, n, "what is young keeps its content")
	n, err = events.EraseDeadLetters(ctx, pool, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.ErrorIs(t, events.RetryDeadLetter(ctx, pool, handlers, texts["panicked"].ID), events.ErrLetterErased)
	require.Zero(t, count(t, pool, `SELECT count(*) FROM events.dead_letters WHERE value IS NOT NULL OR key IS NOT NULL`))
}

func TestRunnerRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	cfg := events.ClientConfig{Brokers: []string{"127.0.0.1:1"}}
	_, err := events.NewRunner(events.ClientConfig{}, nil, quietL, nil, nil, nil)
	require.ErrorContains(t, err, "no Kafka broker")
	_, err = events.NewRunner(cfg, nil, quietL, nil, []events.Handler{{Group: "g", Topic: "elsewhere"}}, nil)
	require.ErrorContains(t, err, "elsewhere")
	_, err = events.NewRunner(cfg, nil, quietL, nil, []events.Handler{{Topic: events.TopicCrews}}, nil)
	require.ErrorContains(t, err, "name a group")
	_, err = events.NewRunner(cfg, nil, quietL, nil, []events.Handler{{Group: "g", Topic: events.TopicCrews}}, []events.Batch{{Group: "g", Topic: events.TopicCrews}})
	require.ErrorContains(t, err, "group of its own")
}
