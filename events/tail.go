package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
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
	topic    Topic
	name     string // of the topic at the broker
	fn       func(Envelope)
	age      time.Duration
	caughtUp func()
	caught   bool
	log      *slog.Logger
}

// tailWiden is how often a tail looks for partitions that the topic did not
// have before.
const tailWiden = time.Minute

// Tail reads every partition of a topic, outside any consumer group, and
// calls fn with each event until ctx ends: each replica that tails sees them
// all, in order within a key. What is produced after the broker said where the
// topic ends is never passed over. Nothing is remembered between two tails,
// and a broker that comes back may bring events again. Unreadable records are
// logged and passed over. The error is about the settings only.
func Tail(ctx context.Context, cfg ClientConfig, topic Topic, fn func(Envelope), options ...TailOption) error {
	t := &tail{topic: topic, name: cfg.topic(topic), fn: fn, caughtUp: func() {}, log: slog.Default()}
	for _, option := range options {
		option(t)
	}
	client, err := cfg.connect(
		// After a broker lost its records, all it has is new.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return fmt.Errorf("tail %s: %w", topic, err)
	}
	defer client.Close()
	if t.age <= 0 {
		t.catchUp()
	}
	admin := kadm.NewClient(client)
	spans, ok := t.find(ctx, admin)
	if !ok {
		return nil
	}
	t.follow(ctx, client, admin, spans)
	return nil
}

// span is what a tail has to read of a partition before it has caught up:
// from start, up to but not including end.
type span struct{ start, end int64 }

// find asks where to begin. It waits for the broker; false means that ctx
// ended.
func (t *tail) find(ctx context.Context, admin *kadm.Client) (map[int32]span, bool) {
	quiet := quietly{log: t.log, what: "find the end of " + t.name}
	for {
		spans, err := t.listSpans(ctx, admin)
		if ctx.Err() != nil {
			return nil, false
		}
		if quiet.report(err) {
			return spans, true
		}
		if !pause(ctx, backoff(quiet.failed, 100*time.Millisecond, 2*time.Second)) {
			return nil, false
		}
	}
}

// listSpans lists the ends first. Kafka has no offset by time for a partition
// without records that young, and the end has to stand in for it; an end that
// is listed afterwards passes over what was produced in between:
//
//	by time: nothing that young → a record is produced → end: after it
//
// With the ends listed first, what comes later lies at or after them.
func (t *tail) listSpans(ctx context.Context, admin *kadm.Client) (map[int32]span, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ends, err := admin.ListEndOffsets(ctx, t.name)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	spans := map[int32]span{}
	ends.Each(func(o kadm.ListedOffset) { spans[o.Partition] = span{o.Offset, o.Offset} })
	if t.age <= 0 {
		return spans, nil
	}
	starts, err := admin.ListOffsetsAfterMilli(ctx, time.Now().Add(-t.age).UnixMilli(), t.name)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, err
	}
	starts.Each(func(o kadm.ListedOffset) {
		// A partition made in between has all its records before it.
		if s, known := spans[o.Partition]; known {
			spans[o.Partition] = span{min(o.Offset, s.end), s.end}
		}
	})
	return spans, nil
}

// follow reads on from each span's start, until ctx ends.
func (t *tail) follow(ctx context.Context, client *kgo.Client, admin *kadm.Client, spans map[int32]span) {
	from, ahead := map[int32]kgo.Offset{}, map[int32]int64{}
	for p, s := range spans {
		from[p] = kgo.NewOffset().At(s.start)
		if s.start < s.end {
			ahead[p] = s.end
		}
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.name: maps.Clone(from)})
	read := quietly{log: t.log, what: "read " + string(t.topic)}
	widen := quietly{log: t.log, what: "look for new partitions of " + t.name}
	next := time.Now().Add(tailWiden)
	for {
		if len(ahead) == 0 {
			t.catchUp()
		}
		poll, cancel := context.WithDeadline(ctx, next)
		fetches := client.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			return
		}
		err := fetchError(fetches)
		if !read.report(err) && !pause(ctx, backoff(read.failed, 10*time.Millisecond, time.Second)) {
			return
		}
		// The client sticks to the topic it knew. It bears with brokers that
		// have only not told each other yet before it lets this error out.
		if errors.Is(err, kerr.UnknownTopicID) {
			clear(ahead)
			t.startOver(client, from)
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				t.hand(r)
				// A broker that lost records may never reach the end it named.
				if end, waiting := ahead[p.Partition]; waiting && r.Offset+1 >= min(end, p.HighWatermark) {
					delete(ahead, p.Partition)
				}
			}
		})
		if !time.Now().Before(next) {
			widen.report(t.widen(ctx, client, admin, from))
			next = time.Now().Add(tailWiden)
		}
	}
}

func (t *tail) hand(r *kgo.Record) {
	env, err := openRecord(t.topic, r)
	if err != nil {
		t.log.Warn("passed over an unreadable record", "topic", t.topic, "partition", r.Partition, "offset", r.Offset, "err", err)
		return
	}
	t.fn(env)
}

// catchUp says, the first time, that all there was has been handed over.
func (t *tail) catchUp() {
	if !t.caught {
		t.caught = true
		t.caughtUp()
	}
}

// startOver reads a topic that was made anew from its beginning.
func (t *tail) startOver(client *kgo.Client, known map[int32]kgo.Offset) {
	t.log.Warn("the topic was made anew; reading it from its beginning", "topic", t.topic)
	client.PurgeTopicsFromClient(t.name)
	for p := range known {
		known[p] = kgo.NewOffset().AtStart()
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.name: maps.Clone(known)})
}

// widen reads partitions that the topic has been given since, from their
// first record, and notes them in known.
func (t *tail) widen(ctx context.Context, client *kgo.Client, admin *kadm.Client, known map[int32]kgo.Offset) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	topics, err := admin.ListTopics(ctx, t.name)
	if err != nil {
		return err
	}
	fresh := map[int32]kgo.Offset{}
	for p := range topics[t.name].Partitions {
		if _, have := known[p]; !have {
			fresh[p] = kgo.NewOffset().AtStart()
			known[p] = fresh[p]
		}
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.name: fresh})
	return nil
}
