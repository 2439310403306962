package events_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"rescued/events"
	"rescued/events/eventstest"
	"rescued/internal/pgtest"
)

// BenchmarkRelay is how fast a backlog goes out, numbering included. Its floor
// is the same records produced by the same kind of client, without Postgres.
func BenchmarkRelay(b *testing.B) {
	evs := make([]events.Event, 100)
	for i := range evs {
		evs[i] = departed(fmt.Sprint("area-", i%30), events.NewID[events.CrewID]())
	}
	b.Run("floor", func(b *testing.B) {
		cfg := eventstest.Broker(b)
		client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.DisableIdempotentWrite(), kgo.ProducerLinger(0))
		require.NoError(b, err)
		defer client.Close()
		b.ResetTimer()
		for n := 0; n < b.N; n += 1000 {
			records := make([]*kgo.Record, 0, 1000)
			for i := range min(1000, b.N-n) {
				r := sampleEnvelope(b, evs[i%100]).Record()
				r.Topic = cfg.Prefix + r.Topic
				records = append(records, r)
			}
			require.NoError(b, client.ProduceSync(context.Background(), records...).FirstErr())
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("relay", func(b *testing.B) {
		cfg, pool := eventstest.Broker(b), pgtest.New(b, events.Migrations)
		for n := 0; n < b.N; n += len(evs) {
			appendAll(b, pool, evs[:min(len(evs), b.N-n)]...)
		}
		b.ResetTimer()
		start(b, relay(b, cfg, pool).Run)
		for count(b, pool, `SELECT count(*) FROM (SELECT FROM events.outbox LIMIT 1) o`) > 0 {
			time.Sleep(20 * time.Millisecond)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkLatency is the way of one event at a time: Append's commit to the
// commit of the handler. Its floor is plain produce to plain consume.
func BenchmarkLatency(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		cfg := eventstest.Broker(b)
		client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.DisableIdempotentWrite(), kgo.ProducerLinger(0),
			kgo.ConsumeTopics(cfg.Prefix+string(events.TopicRequests)))
		require.NoError(b, err)
		defer client.Close()
		report(b, func() {
			r := sampleEnvelope(b, departed("a", events.NewID[events.CrewID]())).Record()
			r.Topic = cfg.Prefix + r.Topic
			require.NoError(b, client.ProduceSync(context.Background(), r).FirstErr())
			for client.PollFetches(context.Background()).NumRecords() == 0 {
			}
		})
	})
	b.Run("commit to handled", func(b *testing.B) {
		cfg, pool := eventstest.Broker(b), pgtest.New(b, events.Migrations)
		handled := make(chan struct{}, 1)
		start(b, runner(b, cfg, pool, []events.Handler{{Group: "g", Topic: events.TopicRequests,
			Handle: func(context.Context, pgx.Tx, events.Envelope) error { handled <- struct{}{}; return nil }}}).Run)
		r := relay(b, cfg, pool)
		start(b, r.Run)
		report(b, func() {
			appendAll(b, pool, departed("a", events.NewID[events.CrewID]()))
			r.Wake()
			<-handled
		})
	})
}

// report times one call at a time, after a few that warm up.
func report(b *testing.B, once func()) {
	for range 20 {
		once()
	}
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		began := time.Now()
		once()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
