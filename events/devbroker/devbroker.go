// Package devbroker is a Kafka broker inside the process, for development,
// demos and tests: franz-go's kfake on a fixed port of 127.0.0.1, with its
// records on disk. An ordinary Kafka client can use it.
//
// It is a cache of what Postgres holds, not a record of its own. kfake does
// not survive every kill unharmed (offsets of an emptied partition start
// again, producer sequences are lost), so after an unclean stop its directory
// is set aside and it starts empty: Broker.Fresh then tells the caller to
// publish again what consumers have not applied, which
// events.RepublishUnapplied reads off the inbox. Consumer groups have lost
// their offsets with it and begin at the start of what is published again;
// the inbox makes repeats harmless.
//
// Records that outsiders wrote stand in no journal. Topics named in
// Options.Carry are therefore copied over from the old directory before the
// new one opens its port. A kill of the process loses none of them; a loss of
// power may lose the last moments, since writes are not forced to disk.
package devbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"rescued/events"
)

// Limits are the topic limits for events.EnsureTopics on this broker: 24
// partitions of positions take about 200 MB of disk at most.
var Limits = events.TopicLimits{Replicas: 1, PositionBytes: 8 << 20}

// Options say where and how a broker runs.
type Options struct {
	// Dir is the broker's own directory, made if missing. Empty keeps all in
	// memory.
	Dir string
	// Port on 127.0.0.1; 0 picks a free one.
	Port int
	// Carry names the topics whose records come from outside.
	Carry []string
	// Log; nil is slog.Default().
	Log *slog.Logger
}

// Broker is a running broker. Close it: only then is its stop a clean one.
type Broker struct {
	cluster *kfake.Cluster
	dir     *directory
	fresh   bool
}

// Start runs a broker. Its errors are one sentence with the mend.
func Start(ctx context.Context, opts Options) (*Broker, error) {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	b := &Broker{fresh: true}
	settings := settings(opts)
	if opts.Dir != "" {
		dir, err := openDirectory(opts.Dir)
		if err != nil {
			return nil, err
		}
		b.dir = dir
		if b.fresh, err = dir.recover(ctx, opts); err != nil {
			dir.unlock()
			return nil, err
		}
		settings = append(settings, kfake.DataDir(dir.data))
	}
	cluster, err := kfake.NewCluster(append(settings, kfake.Ports(opts.Port))...)
	if err != nil {
		if b.dir != nil {
			// Nothing has been written: what was in order still is.
			err = errors.Join(explain(err, opts), b.dir.close(!b.fresh))
			return nil, err
		}
		return nil, explain(err, opts)
	}
	b.cluster = cluster
	return b, nil
}

// settings are shared by the broker and the recovery of its directory.
func settings(opts Options) []kfake.Opt {
	return []kfake.Opt{
		kfake.ClusterID("rescued-dev"),
		// Tests of dead replicas need not wait Kafka's six seconds.
		kfake.GroupMinSessionTimeout(500 * time.Millisecond),
		kfake.WithLogger(brokerLog{opts.Log}),
		kfake.BrokerConfigs(map[string]string{
			// How often old positions are looked for, in milliseconds. The hour
			// of the default is long enough for a fast demo to fill a disk.
			"log.cleaner.backoff.ms": "60000",
			// A system that rests for a month goes on where it stopped.
			"offsets.retention.minutes": "525600",
		}),
	}
}

// Addr is host:port.
func (b *Broker) Addr() string { return b.cluster.ListenAddrs()[0] }

// Config is how the system's clients reach the broker.
func (b *Broker) Config() events.ClientConfig {
	return events.ClientConfig{Brokers: []string{b.Addr()}}
}

// Fresh reports that the broker started without the journal's events: for the
// first time, or after an unclean stop. Create the topics, put what is lost
// into the outbox with events.RepublishUnapplied, then call MarkRepublished.
func (b *Broker) Fresh() bool { return b.fresh }

// MarkRepublished says that the outbox, which is durable, holds all that a
// fresh broker lacks. Until then no stop is a clean one, so that a start that
// fails halfway leaves the next one fresh as well.
func (b *Broker) MarkRepublished() { b.fresh = false }

// Close stops the broker. Close its clients before.
func (b *Broker) Close() error {
	b.cluster.Close()
	if b.dir == nil {
		return nil
	}
	return b.dir.close(!b.fresh)
}

func explain(err error, opts Options) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d on 127.0.0.1 is taken by another program: stop that one or choose another Kafka port (%w)", opts.Port, err)
	case errors.Is(err, syscall.EACCES):
		var op *net.OpError
		if errors.As(err, &op) {
			return fmt.Errorf("port %d may not be used by this user: choose a Kafka port above 1023 (%w)", opts.Port, err)
		}
	}
	return explainDisk(err, opts.Dir)
}

func explainDisk(err error, dir string) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk that holds %s is full: free some space or choose another directory (%w)", dir, err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("no permission to write in %s: correct its owner and mode or choose another directory (%w)", dir, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s is on a read-only disk: choose another directory (%w)", dir, err)
	}
	return fmt.Errorf("start the embedded broker: %w", err)
}

// brokerLog passes on kfake's warnings and errors.
type brokerLog struct{ log *slog.Logger }

// Logf implements kfake.Logger.
func (l brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded broker: " + fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("embedded broker: " + fmt.Sprintf(format, args...))
	}
}

func pidText() string { return strconv.Itoa(os.Getpid()) + "\n" }
