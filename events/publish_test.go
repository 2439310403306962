package events_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"rescued/events"
	"rescued/events/eventstest"
	"rescued/internal/fault"
	"rescued/internal/pgtest"
)

func TestBatchesAreRetriedWholeAndSiftedWhenOneIsBad(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg, pool := eventstest.Broker(t), pgtest.New(t, events.Migrations)
	publisher, err := events.NewPublisher(cfg)
	require.NoError(t, err)
	defer publisher.Close()
	bad := events.NewID[events.CrewID]()
	var (
		mu     sync.Mutex
		seen   = map[string]int{}
		once   = true
		widest int
	)
	start(t, runner(t, cfg, pool, nil, events.Batch{Group: "trail", Topic: events.TopicCrews, Handle: func(_ context.Context, envs []events.Envelope) error {
		mu.Lock()
		defer mu.Unlock()
		if once {
			once = false
			return fault.New(fault.Busy, "later", "Not now.")
		}
		for _, env := range envs {
			if env.Key == bad.String() {
				return fault.New(fault.Invalid, "nonsense", "It makes no sense.")
			}
		}
		widest = max(widest, len(envs))
		for _, env := range envs {
			seen[env.Key]++
		}
		return nil
	}}).Run)
	positions := []events.CrewPositioned{{CrewID: bad, FixedAt: noon}}
	for range 50 {
		positions = append(positions, events.CrewPositioned{CrewID: events.NewID[events.CrewID](), FixedAt: noon})
	}
	require.NoError(t, publisher.Publish(ctx, positions...))
	require.NoError(t, publisher.Publish(ctx, positions[1:]...))
	eventually(t, "the good ones", func() bool {
		mu.Lock()
		defer mu.Unlock()
		total := 0
		for _, n := range seen {
			total += n
		}
		return total >= 100
	})
	require.Len(t, seen, 50)
	eventually(t, "the bad one", func() bool {
		return count(t, pool, `SELECT count(*) FROM events.dead_letters WHERE error LIKE '%nonsense%'`) == 1
	})
}

func TestPublishIsBusyWhenTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	cfg := eventstest.Broker(t)
	plug := &dialer{}
	cfg.Dial = plug.dial
	publisher, err := events.NewPublisher(cfg)
	require.NoError(t, err)
	defer publisher.Close()
	position := events.CrewPositioned{CrewID: events.NewID[events.CrewID](), FixedAt: noon}
	require.NoError(t, publisher.Publish(context.Background(), position))
	plug.set(true)
	began := time.Now()
	err = publisher.Publish(context.Background(), position)
	require.ErrorIs(t, err, events.ErrBrokerAway)
	require.Equal(t, fault.Busy, fault.KindOf(err))
	require.Less(t, time.Since(began), 4*time.Second)
	plug.set(false)
	eventually(t, "the broker to be back", func() bool { return publisher.Publish(context.Background(), position) == nil })
}

func TestTailStartsAtAnAgeAndSaysWhenItHasCaughtUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg := eventstest.Broker(t)
	publisher, err := events.NewPublisher(cfg)
	require.NoError(t, err)
	defer publisher.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.DefaultProduceTopic(cfg.Prefix+string(events.TopicCrews)))
	require.NoError(t, err)
	defer client.Close()
	old, err := events.Enclose(by, noon, 0, sample(events.CrewPositioned{}))
	require.NoError(t, err)
	stale := old.Record()
	stale.Topic, stale.Timestamp = "", time.Now().Add(-time.Hour)
	junk := &kgo.Record{Value: []byte("junk")}
	require.NoError(t, client.ProduceSync(ctx, stale, junk).FirstErr())
	fresh := events.NewID[events.CrewID]()
	require.NoError(t, publisher.Publish(ctx, events.CrewPositioned{CrewID: fresh, FixedAt: noon}))

	follow := func(options ...events.TailOption) (chan string, chan int) {
		got, caught := make(chan string, 10), make(chan int, 2)
		options = append(options, events.TailLog(quietL), events.TailCaughtUp(func() { caught <- len(got) }))
		start(t, func(ctx context.Context) error {
			return events.Tail(ctx, cfg, events.TopicCrews, func(env events.Envelope) { got <- env.Key }, options...)
		})
		return got, caught
	}
	all, allCaught := follow(events.TailAge(2 * time.Hour))
	young, youngCaught := follow(events.TailAge(time.Minute))
	end, endCaught := follow()
	require.Equal(t, 2, <-allCaught)
	require.Equal(t, 1, <-youngCaught)
	require.Equal(t, 0, <-endCaught)
	require.Len(t, all, 2)
	require.Equal(t, fresh.String(), <-young)

	later := events.NewID[events.CrewID]()
	eventually(t, "the tail at the end to be under way", func() bool {
		require.NoError(t, publisher.Publish(ctx, events.CrewPositioned{CrewID: later, FixedAt: noon}))
		return len(end) > 0
	})
	require.Equal(t, later.String(), <-end)
	require.Equal(t, later.String(), <-young)
}
