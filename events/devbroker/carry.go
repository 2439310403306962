package devbroker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// carryLimit bounds the copy of outside records, in wall time.
const carryLimit = 2 * time.Minute

// carry copies the records of opts.Carry from the old directory to the new
// one. Both brokers run on a network inside the process: no port is open
// before the copy is whole.
func (d *directory) carry(ctx context.Context, opts Options) error {
	if len(opts.Carry) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, carryLimit)
	defer cancel()
	from, stopFrom, err := private(opts, d.old)
	if err != nil {
		return fmt.Errorf("open the old records: %w", err)
	}
	defer stopFrom()
	to, stopTo, err := private(opts, d.data)
	if err != nil {
		return fmt.Errorf("open the new directory: %w", err)
	}
	defer stopTo()
	for _, topic := range opts.Carry {
		n, err := copyTopic(ctx, from, to, topic)
		if err != nil {
			return fmt.Errorf("copy %s: %w", topic, err)
		}
		if n > 0 {
			opts.Log.Info("took over records that others wrote", "topic", topic, "records", n)
		}
	}
	return nil
}

// private runs a broker on dir that only this process can reach.
func private(opts Options, dir string) (client func(...kgo.Opt) (*kgo.Client, error), stop func(), err error) {
	network := &kfake.VirtualNetwork{}
	cluster, err := kfake.NewCluster(append(settings(opts),
		kfake.ListenFn(network.Listen), kfake.Ports(9092), kfake.DataDir(dir))...)
	if err != nil {
		return nil, nil, err
	}
	client = func(more ...kgo.Opt) (*kgo.Client, error) {
		return kgo.NewClient(append(more, kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.Dialer(network.DialContext))...)
	}
	return client, cluster.Close, nil
}

// copyTopic keeps each record's partition, time, key, headers and value.
func copyTopic(ctx context.Context, from, to func(...kgo.Opt) (*kgo.Client, error), topic string) (int, error) {
	source, err := from(kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, err
	}
	defer source.Close()
	target, err := to(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite())
	if err != nil {
		return 0, err
	}
	defer target.Close()

	left, partitions, err := recordsOf(ctx, kadm.NewClient(source), topic)
	if err != nil || partitions == 0 {
		return 0, err
	}
	forever := "-1"
	_, err = kadm.NewClient(target).CreateTopic(ctx, partitions, 1, map[string]*string{"retention.ms": &forever}, topic)
	if err != nil {
		return 0, err
	}
	copied := 0
	for len(left) > 0 {
		fetches := source.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return copied, err
		}
		if errs := fetches.Errors(); len(errs) > 0 {
			return copied, errs[0].Err
		}
		records := fetches.Records()
		for _, r := range records {
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		}
		if err := target.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return copied, err
		}
		copied += len(records)
	}
	return copied, nil
}

// recordsOf is the end of each partition that holds records, and how many
// partitions the topic has; 0 means that there is no such topic.
func recordsOf(ctx context.Context, admin *kadm.Client, topic string) (map[int32]int64, int32, error) {
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, 0, err
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, 0, err
	}
	if err := ends.Error(); errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, err
	}
	left := map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		if start, ok := starts.Lookup(topic, end.Partition); ok && start.Offset < end.Offset {
			left[end.Partition] = end.Offset
		}
	})
	return left, int32(len(ends[topic])), nil
}
