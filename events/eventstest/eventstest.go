// Package eventstest gives tests a Kafka of their own: the embedded broker in
// memory, or topics under a prefix of their own on a real cluster.
package eventstest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"rescued/events"
	"rescued/events/devbroker"
)

const limit = time.Minute

// Real is the real cluster that tests are to use, or nil:
// RESCUED_TEST_KAFKA=host:port[,host:port].
func Real() []string {
	if v := os.Getenv("RESCUED_TEST_KAFKA"); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

// Broker gives the test a Kafka with every topic made and empty. It goes when
// the test ends.
func Broker(t testing.TB) events.ClientConfig {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cfg := events.ClientConfig{Brokers: Real()}
	if cfg.Brokers == nil {
		b, err := devbroker.Start(ctx, devbroker.Options{Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.Close()) })
		cfg = b.Config()
		cfg.Session = time.Second
	} else {
		cfg.Session = 6 * time.Second // the least that Kafka allows by default
		cfg.Prefix = fmt.Sprintf("test-%s-", uuid.NewString()[:8])
		t.Cleanup(func() { clear(t, cfg) })
	}
	_, err := events.EnsureTopics(ctx, cfg, events.TopicLimits{Replicas: 1})
	require.NoError(t, err)
	return cfg
}

// clear deletes what the test made on a real cluster.
func clear(t testing.TB, cfg events.ClientConfig) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	require.NoError(t, err)
	defer client.Close()
	admin := kadm.NewClient(client)
	var names []string
	for _, spec := range events.Topics() {
		names = append(names, cfg.Prefix+string(spec.Topic))
	}
	_, err = admin.DeleteTopics(ctx, names...)
	require.NoError(t, err)
	groups, err := admin.ListGroups(ctx)
	require.NoError(t, err)
	var mine []string
	for _, group := range groups.Groups() {
		if strings.HasPrefix(group, cfg.Prefix) {
			mine = append(mine, group)
		}
	}
	if len(mine) > 0 {
		_, err = admin.DeleteGroups(ctx, mine...)
		require.NoError(t, err)
	}
}
