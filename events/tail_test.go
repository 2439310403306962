package events_test

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"rescued/events"
)

// bubble is a broker and its network in fake time.
type bubble struct {
	t       *testing.T
	network kfake.VirtualNetwork
	cluster *kfake.Cluster
	plug    dialer
	cfg     events.ClientConfig
	stop    context.CancelFunc
	done    chan error

	seen   atomic.Int64
	caught atomic.Int64 // how often it said that it has caught up
	at     atomic.Int64 // what it had seen by then
}

func inBubble(t *testing.T, test func(b *bubble)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, done: make(chan error, 1)}
		b.boot()
		b.cfg = events.ClientConfig{Brokers: b.cluster.ListenAddrs(), Dial: func(ctx context.Context, n, a string) (net.Conn, error) {
			return b.plug.through(func() (net.Conn, error) { return b.network.DialContext(ctx, n, a) })
		}}
		test(b)
		b.stop()
		require.NoError(t, <-b.done)
		b.cluster.Close()
	})
}

// boot starts a broker whose topics are empty.
func (b *bubble) boot() {
	var err error
	b.cluster, err = kfake.NewCluster(kfake.Ports(9092), kfake.ListenFn(b.network.Listen), kfake.SeedTopics(2, string(events.TopicCrews)))
	require.NoError(b.t, err)
}

func (b *bubble) tail(options ...events.TailOption) {
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	options = append(options, events.TailLog(quietL), events.TailCaughtUp(func() {
		b.at.Store(b.seen.Load())
		b.caught.Add(1)
	}))
	go func() {
		b.done <- events.Tail(ctx, b.cfg, events.TopicCrews, func(events.Envelope) { b.seen.Add(1) }, options...)
	}()
}

// produce writes records to a partition, past the plug.
func (b *bubble) produce(partition int32, n int) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.cfg.Brokers...), kgo.Dialer(b.network.DialContext),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(string(events.TopicCrews)))
	require.NoError(b.t, err)
	defer client.Close()
	for range n {
		env, err := events.Enclose(by, noon, 0, events.CrewPositioned{CrewID: events.NewID[events.CrewID](), FixedAt: noon})
		require.NoError(b.t, err)
		r := env.Record()
		r.Partition = partition
		require.NoError(b.t, client.ProduceSync(context.Background(), r).FirstErr())
	}
}

// A record that is produced while the broker is asked where to begin lies
// between two answers. No order of them may pass it over.
func TestTailPassesOverNothingWhileItLooksForItsStart(t *testing.T) {
	for name, options := range map[string][]events.TailOption{"by age": {events.TailAge(time.Hour)}, "at the end": nil} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				answers, produced := 0, int64(0)
				b.cluster.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
					b.cluster.KeepControl()
					if answers++; answers > 1 {
						b.cluster.SleepControl(func() { b.produce(int32(answers%2), 1) })
						produced++
					}
					return nil, nil, false
				})
				b.tail(options...)
				time.Sleep(time.Minute)
				b.produce(0, 1)
				time.Sleep(time.Minute)
				require.Equal(b.t, produced+1, b.seen.Load(), "after %d answers", answers)
				require.EqualValues(b.t, 1, b.caught.Load())
			})
		})
	}
}

func TestTailWaitsForABrokerThatIsAway(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.produce(0, 3)
		b.plug.set(true)
		b.tail(events.TailAge(time.Hour))
		time.Sleep(10 * time.Minute)
		require.Zero(b.t, b.caught.Load(), "nobody knows what there is")
		b.produce(1, 2)
		b.plug.set(false)
		time.Sleep(time.Minute)
		require.EqualValues(b.t, 5, b.seen.Load())
		require.EqualValues(b.t, 1, b.caught.Load())
		require.EqualValues(b.t, 5, b.at.Load())
	})
}

// Not in fake time: until the client has heard of the new topic it asks for
// the old one without a pause, and no time would pass.
func TestTailReadsOnAfterTheBrokerLostItsRecords(t *testing.T) {
	t.Parallel()
	boot := func(port int) *kfake.Cluster {
		cluster, err := kfake.NewCluster(kfake.Ports(port), kfake.SeedTopics(2, string(events.TopicCrews)))
		require.NoError(t, err)
		return cluster
	}
	cluster := boot(0)
	cfg := events.ClientConfig{Brokers: cluster.ListenAddrs()}
	_, port, err := net.SplitHostPort(cfg.Brokers[0])
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	publish := func(crews ...events.CrewID) {
		publisher, err := events.NewPublisher(cfg)
		require.NoError(t, err)
		defer publisher.Close()
		for _, crew := range crews {
			require.NoError(t, publisher.Publish(context.Background(), events.CrewPositioned{CrewID: crew, FixedAt: noon}))
		}
	}
	var crews []events.CrewID
	for range 9 {
		crews = append(crews, events.NewID[events.CrewID]())
	}
	publish(crews[:5]...)
	var seen atomic.Int64
	start(t, func(ctx context.Context) error {
		return events.Tail(ctx, cfg, events.TopicCrews, func(events.Envelope) { seen.Add(1) }, events.TailLog(quietL), events.TailAge(time.Hour))
	})
	eventually(t, "what there was", func() bool { return seen.Load() == 5 })
	cluster.Close()
	cluster = boot(number)
	defer func() { cluster.Close() }()
	publish(crews[5:7]...)
	// The client takes a dozen seconds to believe that the topic is another.
	require.Eventually(t, func() bool { return seen.Load() == 7 }, 3*patience, 50*time.Millisecond, "what is new, from its beginning")
	publish(crews[7:]...)
	eventually(t, "what comes then", func() bool { return seen.Load() == 9 })
}

func TestTailReadsPartitionsThatAreAdded(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.tail(events.TailAge(time.Hour))
		time.Sleep(time.Minute)
		client, err := kgo.NewClient(kgo.SeedBrokers(b.cfg.Brokers...), kgo.Dialer(b.network.DialContext))
		require.NoError(b.t, err)
		_, err = kadm.NewClient(client).CreatePartitions(context.Background(), 1, string(events.TopicCrews))
		require.NoError(b.t, err)
		client.Close()
		b.produce(2, 3)
		time.Sleep(3 * time.Minute)
		require.EqualValues(b.t, 3, b.seen.Load(), "from its first record")
	})
}
