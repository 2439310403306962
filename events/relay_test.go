package events_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/events/eventstest"
	"rescued/internal/pg"
	"rescued/internal/pgtest"
)

const patience = time.Minute

func relay(t testing.TB, cfg events.ClientConfig, pool *pgxpool.Pool) *events.Relay {
	r, err := events.NewRelay(cfg, pool, quietL, nil, nil)
	require.NoError(t, err)
	return r
}

// eventually waits for a condition with the test's patience.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, patience, 10*time.Millisecond, what)
}

func outboxEmpty(t testing.TB, pool *pgxpool.Pool) func() bool {
	return func() bool { return count(t, pool, `SELECT count(*) FROM events.outbox`) == 0 }
}

// dialer is a network that can be cut, as by a kill or a pulled plug.
type dialer struct {
	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return d.through(func() (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, network, address) })
}

func (d *dialer) through(connect func() (net.Conn, error)) (net.Conn, error) {
	conn, err := connect()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		conn.Close()
		return nil, errors.New("the plug is pulled")
	}
	d.conns = append(d.conns, conn)
	return conn, nil
}

func (d *dialer) set(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
	if down {
		for _, conn := range d.conns {
			conn.Close()
		}
		d.conns = nil
	}
}

// topicRecord is what a reader of the topic saw.
func readTopic(t testing.TB, cfg events.ClientConfig, topic events.Topic, atLeast int) []events.Envelope {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ConsumeTopics(cfg.Prefix+string(topic)))
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var envs []events.Envelope
	for len(envs) < atLeast {
		fetches := client.PollFetches(ctx)
		require.NoError(t, ctx.Err(), "read %d of %d records", len(envs), atLeast)
		fetches.EachRecord(func(r *kgo.Record) {
			env, err := events.OpenRecord(topic, r)
			require.NoError(t, err)
			envs = append(envs, env)
		})
	}
	return envs
}

func TestRelayPublishesWhatCommittedInOrder(t *testing.T) {
	t.Parallel()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	crew := events.NewID[events.CrewID]()
	var want []events.Event
	for i := range 30 {
		want = append(want, departed(fmt.Sprint("area-", i%3), crew))
	}
	appendAll(t, pool, want[:10]...)
	r := relay(t, cfg, pool)
	start(t, r.Run)
	for _, ev := range want[10:] {
		appendAll(t, pool, ev)
		r.Wake()
	}
	got := readTopic(t, cfg, events.TopicRequests, len(want))
	require.Len(t, got, len(want))
	perKey := map[string][]events.Event{}
	for _, env := range got {
		require.Positive(t, env.FeedNo)
		perKey[env.Key] = append(perKey[env.Key], decodeAny(t, env))
	}
	for key, evs := range perKey {
		var expected []events.Event
		for _, ev := range want {
			if _, k := ev.Stream(); k == key {
				expected = append(expected, ev)
			}
		}
		require.Equal(t, expected, evs, "the order of %s", key)
	}
	eventually(t, "the outbox to empty", outboxEmpty(t, pool))
}

// Transactions that draw their numbers early and commit late are where a
// reader by insertion order loses rows.
func TestFeedLosesNothingUnderHostileTiming(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	start(t, relay(t, cfg, pool).Run)
	tail := events.NewFeedTail(pool, quietL)
	start(t, tail.Run)

	const writers, each = 8, 40
	followed := make(chan int64, writers*each+1)
	follow, stop := context.WithCancel(ctx)
	defer stop()
	var following errgroup.Group
	following.Go(func() error {
		return ignore(context.Canceled, tail.Follow(follow, 0, func(env events.Envelope) error {
			followed <- env.FeedNo
			return nil
		}))
	})
	var bySeq atomic.Int64 // what a reader that remembers seq has seen
	naive, stopNaive := context.WithCancel(ctx)
	var reading errgroup.Group
	reading.Go(func() error {
		var last int64
		for naive.Err() == nil {
			rows, err := pool.Query(ctx, `SELECT seq FROM events.journal WHERE seq > $1 ORDER BY seq`, last)
			if err != nil {
				return err
			}
			seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			if err != nil {
				return err
			}
			for _, seq := range seqs {
				bySeq.Add(1)
				last = seq
			}
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	var writing errgroup.Group
	for w := range writers {
		writing.Go(func() error {
			crew := events.NewID[events.CrewID]()
			for i := range each {
				err := pg.InTx(ctx, pool, func(tx pgx.Tx) error {
					if err := events.Append(ctx, tx, by, noon, int64(i+1), departed(fmt.Sprint("w", w), crew)); err != nil {
						return err
					}
					time.Sleep(rand.N(8 * time.Millisecond))
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, writing.Wait())
	for want := int64(1); want <= writers*each; want++ {
		select {
		case got := <-followed:
			require.Equal(t, want, got, "the feed has no gap and no repeat")
		case <-time.After(patience):
			require.FailNow(t, "the feed stopped", "at %d", want)
		}
	}
	stop()
	require.NoError(t, following.Wait())
	time.Sleep(5 * time.Millisecond)
	stopNaive()
	require.NoError(t, reading.Wait())
	require.Less(t, int(bySeq.Load()), writers*each, "the timing was not hostile: even the naive reader saw all")
	t.Logf("a reader by insertion order lost %d of %d", writers*each-bySeq.Load(), writers*each)
	// Each writer's own order is kept.
	require.Zero(t, count(t, pool, `SELECT count(*) FROM (
		SELECT version, lag(version) OVER (PARTITION BY key ORDER BY feed_no) AS before FROM events.journal) j WHERE version < before`))
}

func ignore(target, err error) error {
	if err == target {
		return nil
	}
	return err
}

func TestBrokerDownThenUp(t *testing.T) {
	t.Parallel()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	plug := &dialer{}
	cut := cfg
	cut.Dial = plug.dial
	r := relay(t, cut, pool)
	stop := start(t, r.Run)
	appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	eventually(t, "the first event to go out", outboxEmpty(t, pool))

	plug.set(true)
	for range 20 {
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	eventually(t, "numbering to go on without the broker", func() bool {
		last, err := events.LatestFeedNo(context.Background(), pool)
		return err == nil && last == 21
	})
	time.Sleep(200 * time.Millisecond)
	require.Equal(t, 20, count(t, pool, `SELECT count(*) FROM events.outbox`), "nothing is dropped while the broker is away")
	plug.set(false)
	eventually(t, "the backlog to go out", outboxEmpty(t, pool))
	first := map[int64]bool{}
	var order []int64
	for _, env := range readTopic(t, cfg, events.TopicRequests, 21) {
		if !first[env.FeedNo] {
			first[env.FeedNo] = true
			order = append(order, env.FeedNo)
		}
	}
	require.IsIncreasing(t, order)

	plug.set(true)
	appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	stop()
	require.Less(t, time.Since(began), 10*time.Second, "a stop with the broker away is bounded")
}

// The relay dies after the broker took the batch and before the outbox knew.
func TestRelayKilledBetweenProduceAndDelete(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	// Whoever says he is doomed dies as he deletes: even where his last statement
	// only begins when he is long gone.
	_, err := pool.Exec(ctx, `
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF current_setting('application_name') LIKE '%doomed%' THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); END IF;
			RETURN NULL; END $$;
		CREATE TRIGGER die BEFORE DELETE ON events.outbox FOR EACH STATEMENT EXECUTE FUNCTION die()`)
	require.NoError(t, err)
	for range 10 {
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	of := pool.Config()
	of.ConnConfig.RuntimeParams["application_name"] = "doomed"
	doomed, err := pgxpool.NewWithConfig(ctx, of)
	require.NoError(t, err)
	defer doomed.Close()
	stop := start(t, relay(t, cfg, doomed).Run)
	readTopic(t, cfg, events.TopicRequests, 10)
	stop()
	require.Equal(t, 10, count(t, pool, `SELECT count(*) FROM events.outbox`))

	start(t, relay(t, cfg, pool).Run)
	eventually(t, "the next relay to finish", outboxEmpty(t, pool))
	seen := map[int64]int{}
	for _, env := range readTopic(t, cfg, events.TopicRequests, 20) {
		seen[env.FeedNo]++
	}
	require.Len(t, seen, 10, "repeats, but no loss")
}

func TestTwoRelaysNumberOnce(t *testing.T) {
	t.Parallel()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	stop := start(t, relay(t, cfg, pool).Run)
	start(t, relay(t, cfg, pool).Run)
	for i := range 40 {
		if i == 20 {
			stop() // the standby takes over
		}
		appendAll(t, pool, departed("a", events.NewID[events.CrewID]()))
	}
	eventually(t, "all to be published", outboxEmpty(t, pool))
	require.Equal(t, 40, count(t, pool, `SELECT max(feed_no) FROM events.journal`))
	require.Equal(t, 40, count(t, pool, `SELECT count(DISTINCT feed_no) FROM events.journal`))
}
