package events

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TailOption changes how Tail reads.
type TailOption func(*tail)

// TailAge starts with records at most that old by the broker's clock (wall
// time), instead of at the topic's end.
func TailAge(age time.Duration) TailOption { return func(t *tail) { t.age = age } }

// TailCaughtUp is called once, when all that stood in the topic at the start
// (of that age) has been handed over.
func TailCaughtUp(fn func()) TailOption { return func(t *tail) { t.caughtUp = fn } }

// TailLog says where failures of the broker and unreadable records are
// logged; slog.Default() otherwise.
func TailLog(log *slog.Logger) TailOption { return func(t *tail) { t.log = log } }

type tail struct {
	cfg      ClientConfig
	topic    Topic
	fn       func(Envelope)
	age      time.Duration
	caughtUp func()
	log      *slog.Logger
}

// Tail reads every partition of a topic, outside any consumer group, and
// calls fn with each event until ctx ends: each replica that tails sees them
// all, in order within a key. Nothing is remembered between two tails, and a
// broker that comes back may bring events again. Unreadable records are
// logged and passed over. The error is about the settings only.
func Tail(ctx context.Context, cfg ClientConfig, topic Topic, fn func(Envelope), options ...TailOption) error {
	t := &tail{cfg: cfg, topic: topic, fn: fn, caughtUp: func() {}, log: slog.Default()}
	for _, option := range options {
		option(t)
	}
	name := cfg.topic(topic)
	start := kgo.NewOffset().AtEnd()
	if t.age > 0 {
		start = kgo.NewOffset().AfterMilli(time.Now().Add(-t.age).UnixMilli())
	}
	client, err := cfg.connect(kgo.ConsumeTopics(name), kgo.ConsumeStartOffset(start),
		// After a broker lost its records, all it has is new.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return fmt.Errorf("tail %s: %w", topic, err)
	}
	defer client.Close()

	ahead, ok := t.ahead(ctx, kadm.NewClient(client), name)
	if !ok {
		return nil
	}
	t.follow(ctx, client, ahead)
	return nil
}

// ahead is, for each partition with records to catch up on, the offset after
// the last of them. It waits for the broker; false means that ctx ended.
func (t *tail) ahead(ctx context.Context, admin *kadm.Client, name string) (map[int32]int64, bool) {
	quiet := quietly{log: t.log, what: "find the end of " + name}
	for {
		ahead, err := t.listAhead(ctx, admin, name)
		if ctx.Err() != nil {
			return nil, false
		}
		if quiet.report(err) {
			return ahead, true
		}
		if !pause(ctx, backoff(quiet.failed, 100*time.Millisecond, 2*time.Second)) {
			return nil, false
		}
	}
}

func (t *tail) listAhead(ctx context.Context, admin *kadm.Client, name string) (map[int32]int64, error) {
	ahead := map[int32]int64{}
	if t.age <= 0 {
		return ahead, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	starts, err := admin.ListOffsetsAfterMilli(ctx, time.Now().Add(-t.age).UnixMilli(), name)
	if err != nil {
		return nil, err
	}
	ends, err := admin.ListEndOffsets(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := ends.Error(); err != nil {
		return nil, err
	}
	ends.Each(func(end kadm.ListedOffset) {
		// Kafka answers "the end" when nothing is that young.
		if start, ok := starts.Lookup(name, end.Partition); !ok || start.Err != nil || start.Offset < end.Offset {
			ahead[end.Partition] = end.Offset
		}
	})
	return ahead, nil
}

func (t *tail) follow(ctx context.Context, client *kgo.Client, ahead map[int32]int64) {
	quiet := quietly{log: t.log, what: "read " + string(t.topic)}
	caught := false
	for {
		if !caught && len(ahead) == 0 {
			caught = true
			t.caughtUp()
		}
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		quiet.report(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			if env, err := openRecord(t.topic, r); err != nil {
				t.log.Warn("passed over an unreadable record", "topic", t.topic, "partition", r.Partition, "offset", r.Offset, "err", err)
			} else {
				t.fn(env)
			}
			if end, waiting := ahead[r.Partition]; waiting && r.Offset+1 >= end {
				delete(ahead, r.Partition)
			}
		})
	}
}
