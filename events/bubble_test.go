package events_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"rescued/events"
)

// An hour of positions in fake time, five minutes of it without the broker.
func TestAnHourOfPositionsWithAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		network := &kfake.VirtualNetwork{}
		cluster, err := kfake.NewCluster(kfake.Ports(9092), kfake.ListenFn(network.Listen),
			kfake.SeedTopics(4, string(events.TopicCrews)))
		require.NoError(t, err)
		defer cluster.Close()
		var plug dialer
		cfg := events.ClientConfig{Brokers: cluster.ListenAddrs(), Dial: func(ctx context.Context, n, a string) (net.Conn, error) {
			return plug.through(func() (net.Conn, error) { return network.DialContext(ctx, n, a) })
		}}
		var seen, last atomic.Int64
		done := make(chan error, 1)
		go func() {
			done <- events.Tail(ctx, cfg, events.TopicCrews, func(env events.Envelope) {
				require.Greater(t, env.At.UnixNano(), last.Swap(env.At.UnixNano()), "in order")
				seen.Add(1)
			}, events.TailLog(quietL), events.TailAge(time.Hour))
		}()
		publisher, err := events.NewPublisher(cfg)
		require.NoError(t, err)
		crew := events.NewID[events.CrewID]()
		sent, refused := int64(0), 0
		for i := range 360 {
			plug.set(i >= 120 && i < 150)
			began := time.Now()
			err := publisher.Publish(ctx, events.CrewPositioned{CrewID: crew, FixedAt: time.Now()})
			require.Less(t, time.Since(began), 3*time.Second, "the wait is bounded")
			switch {
			case err == nil:
				sent++
			default:
				require.True(t, errors.Is(err, events.ErrBrokerAway), "%v", err)
				refused++
			}
			time.Sleep(10 * time.Second)
		}
		require.GreaterOrEqual(t, refused, 29)
		require.LessOrEqual(t, refused, 32)
		require.Equal(t, sent, seen.Load())
		publisher.Close()
		cancel()
		require.NoError(t, <-done)
	})
}
