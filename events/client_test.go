package events_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"rescued/events"
)

func TestSettingsThatCannotWorkSayWhatToMend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, junk := filepath.Join(dir, "empty"), filepath.Join(dir, "junk")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	require.NoError(t, os.WriteFile(junk, []byte("junk"), 0o600))
	brokers := []string{"127.0.0.1:9092"}
	for says, cfg := range map[string]events.ClientConfig{
		"no Kafka broker":           {},
		"not host:port":             {Brokers: []string{"localhost"}},
		"without a SASL mechanism":  {Brokers: brokers, SASLUser: "u"},
		"needs both":                {Brokers: brokers, SASLMechanism: "PLAIN", SASLUser: "u"},
		"is empty":                  {Brokers: brokers, SASLMechanism: "PLAIN", SASLUser: "u", SASLPasswordFile: empty},
		"read the Kafka password":   {Brokers: brokers, SASLMechanism: "PLAIN", SASLUser: "u", SASLPasswordFile: dir + "/none"},
		"is not known":              {Brokers: brokers, SASLMechanism: "GSSAPI", SASLUser: "u", SASLPasswordFile: junk},
		"read the Kafka CA":         {Brokers: brokers, TLSCA: dir + "/none"},
		"holds no PEM certificate":  {Brokers: brokers, TLSCA: junk},
		"go together":               {Brokers: brokers, TLSCert: junk},
		"Kafka client certificate:": {Brokers: brokers, TLSCert: junk, TLSKey: junk},
	} {
		require.ErrorContains(t, cfg.Validate(), says)
	}
	require.NoError(t, events.ClientConfig{Brokers: brokers, TLS: true}.Validate())
}

func TestSASL(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	right, wrong := filepath.Join(t.TempDir(), "right"), filepath.Join(t.TempDir(), "wrong")
	require.NoError(t, os.WriteFile(right, []byte("secret\n"), 0o600))
	require.NoError(t, os.WriteFile(wrong, []byte("guess\n"), 0o600))
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(mechanism, "rescued", "secret"))
		require.NoError(t, err)
		t.Cleanup(cluster.Close)
		cfg := events.ClientConfig{Brokers: cluster.ListenAddrs(), SASLMechanism: mechanism, SASLUser: "rescued", SASLPasswordFile: right}
		states, err := events.CheckTopics(ctx, cfg)
		require.NoError(t, err)
		require.Len(t, states, len(events.Topics()))
		for _, state := range states {
			require.Contains(t, state.Mend, "rescued topics")
		}
		cfg.SASLPasswordFile = wrong
		_, err = events.CheckTopics(ctx, cfg)
		require.ErrorContains(t, err, `refuses the user "rescued"`)
	}
}

func TestTopicsAreMadeOnceAndReported(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "mine-"+string(events.TopicRequests)))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	cfg := events.ClientConfig{Brokers: cluster.ListenAddrs(), Prefix: "mine-"}
	states, err := events.EnsureTopics(ctx, cfg, events.TopicLimits{Replicas: 1, PositionBytes: 1 << 20})
	require.NoError(t, err)
	for _, state := range states {
		if state.Topic == events.TopicRequests {
			require.False(t, state.Created)
			require.Equal(t, int32(3), state.Partitions)
			require.Contains(t, state.Mend, "24 are wanted")
			continue
		}
		require.True(t, state.Created)
		require.Equal(t, "mine-"+string(state.Topic), state.Name)
	}
	states, err = events.CheckTopics(ctx, cfg)
	require.NoError(t, err)
	for _, state := range states {
		require.False(t, state.Created)
	}
}

func TestABrokerThatDoesNotAnswerIsSaidSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := events.CheckTopics(ctx, events.ClientConfig{Brokers: []string{"127.0.0.1:1"}})
	require.ErrorContains(t, err, "127.0.0.1:1")
	require.ErrorContains(t, err, "does not answer")
}
