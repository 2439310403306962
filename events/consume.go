package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

const (
	// pollRecords bounds what a poll brings, so that one busy partition makes
	// the others wait for a hundred transactions at most.
	pollRecords      = 100
	pollBatchRecords = 5000 // when the group has batches only
	// consumers bounds the transactions of one group at a time.
	consumers   = 8
	commitEvery = time.Second
)

// place is a partition as the broker knows it.
type place struct {
	topic     string
	partition int32
}

// held is what is left of a partition after a failure that may mend. The
// partition fetches no more until these records are through.
type held struct {
	records  []*kgo.Record
	failures int
	until    time.Time // wall time of the next try
}

// consumer is one group's loop: poll, apply, mark, allow the rebalance. All
// its state belongs to the loop, but for held, which revocation touches too.
type consumer struct {
	*Runner
	works  map[string]*work // by the topic's name at the broker
	client *kgo.Client

	mu   sync.Mutex
	held map[place]*held
}

// consume runs one group until ctx ends.
func (r *Runner) consume(ctx context.Context, group string, works map[Topic]*work) error {
	c := &consumer{Runner: r, works: map[string]*work{}, held: map[place]*held{}}
	most, topics := pollBatchRecords, []string(nil)
	for topic, w := range works {
		c.works[r.cfg.topic(topic)] = w
		topics = append(topics, r.cfg.topic(topic))
		if w.batch == nil {
			most = pollRecords
		}
	}
	client, err := r.cfg.connect(
		kgo.ConsumerGroup(r.cfg.group(group)), kgo.ConsumeTopics(topics...),
		// A new group reads from the start. After a broker lost its records,
		// all it has is new; the inbox tells what is not.
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// No partition leaves while its records are in hand, and only what has
		// been committed to Postgres is ever committed to Kafka.
		kgo.BlockRebalanceOnPoll(), kgo.AutoCommitMarks(), kgo.AutoCommitInterval(commitEvery),
		kgo.SessionTimeout(r.cfg.Session), kgo.HeartbeatInterval(r.cfg.Session/5),
		// Who has not let go by then is taken for dead, like who is silent. The
		// inbox makes it harmless if he is only slow.
		kgo.RebalanceTimeout(2*r.cfg.Session),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.OnPartitionsRevoked(c.revoked), kgo.OnPartitionsLost(c.lost))
	if err != nil {
		return fmt.Errorf("connect group %s: %w", group, err)
	}
	c.client = client
	c.run(ctx, group, most)
	c.commit(context.WithoutCancel(ctx), client)
	client.CloseAllowingRebalance()
	return nil
}

func (c *consumer) run(ctx context.Context, group string, most int) {
	quiet := quietly{log: c.log, what: "consume as " + group}
	for {
		poll, cancel := c.untilRetry(ctx)
		fetches := c.client.PollRecords(poll, most)
		cancel()
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		quiet.report(fetchError(fetches))
		c.process(ctx, fetches)
		c.client.AllowRebalance()
	}
}

// fetchError is the first failure of a poll that is more than its deadline.
func fetchError(fetches kgo.Fetches) error {
	for _, f := range fetches.Errors() {
		if !errors.Is(f.Err, context.DeadlineExceeded) && !errors.Is(f.Err, context.Canceled) {
			return f.Err
		}
	}
	return nil
}

// untilRetry ends when a held partition is to be tried again.
func (c *consumer) untilRetry(ctx context.Context) (context.Context, context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next time.Time
	for _, h := range c.held {
		if next.IsZero() || h.until.Before(next) {
			next = h.until
		}
	}
	if next.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, next)
}

// process applies what was polled and the held records whose time has come:
// partitions side by side, each in order.
func (c *consumer) process(ctx context.Context, fetches kgo.Fetches) {
	due := c.takeDue(time.Now())
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) == 0 {
			return
		}
		at := place{p.Topic, p.Partition}
		if c.extendHeld(at, p.Records) {
			return
		}
		h := due[at]
		if h == nil {
			h = &held{}
			due[at] = h
		}
		h.records = append(h.records, p.Records...)
	})
	var group errgroup.Group
	group.SetLimit(consumers)
	for topic, w := range c.works {
		mine := maps.Collect(func(yield func(place, *held) bool) {
			for at, h := range due {
				if at.topic == topic && !yield(at, h) {
					return
				}
			}
		})
		if w.batch != nil {
			group.Go(func() error { c.takeBatch(ctx, w, mine); return nil })
			continue
		}
		for at, h := range mine {
			group.Go(func() error { c.takePartition(ctx, w, at, h); return nil })
		}
	}
	_ = group.Wait() // its functions return nil
}

func (c *consumer) takeDue(now time.Time) map[place]*held {
	c.mu.Lock()
	defer c.mu.Unlock()
	due := map[place]*held{}
	for at, h := range c.held {
		if !h.until.After(now) {
			due[at] = h
			delete(c.held, at)
		}
	}
	return due
}

// extendHeld keeps order should the client hand over records it had fetched
// before the partition was paused.
func (c *consumer) extendHeld(at place, records []*kgo.Record) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held[at]
	if h != nil {
		h.records = append(h.records, records...)
	}
	return h != nil
}

// takePartition applies a partition's records one by one. It ends early when
// ctx does, and holds the rest when a failure may mend.
func (c *consumer) takePartition(ctx context.Context, w *work, at place, h *held) {
	for i, r := range h.records {
		if ctx.Err() != nil {
			return // unmarked: whoever has the partition next begins here
		}
		if err := c.apply(ctx, w, r); err != nil {
			failures := h.failures + 1
			if i > 0 {
				failures = 1
			}
			c.hold(w, at, h.records[i:], failures, err)
			return
		}
		c.client.MarkCommitRecords(r)
	}
	c.free(at, h)
}

// apply brings one record to its end: applied, repeated, or set aside. An
// error means that it has to be tried again. Once begun it is not cut short
// by the end of ctx, so that a shutdown rolls nothing back.
func (c *consumer) apply(ctx context.Context, w *work, r *kgo.Record) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handleLimit)
	defer cancel()
	env, err := openRecord(w.sub.topic, r)
	outcome := "applied"
	if err == nil {
		var repeat bool
		repeat, err = w.applyOnce(ctx, c.pool, env)
		if repeat {
			outcome = "repeat"
		}
	}
	if err != nil && !transient(err) {
		outcome = "dead"
		err = c.setAside(ctx, w, r, env.ID, err)
	}
	if err != nil {
		outcome = "retry"
	}
	c.metrics.handle(w.sub, outcome, 1, time.Since(began))
	return err
}

// setAside writes a dead letter and logs it, without the record's content.
func (c *consumer) setAside(ctx context.Context, w *work, r *kgo.Record, id EventID, cause error) error {
	if err := insertDeadLetter(ctx, c.pool, w.sub, r, id, cause); err != nil {
		return err
	}
	args := []any{"group", w.sub.group, "topic", w.sub.topic, "partition", r.Partition, "offset", r.Offset, "event", id, "err", cause}
	var p *panicked
	if errors.As(cause, &p) {
		args = append(args, "stack", string(p.stack))
	}
	c.log.Error("set a record aside as a dead letter", args...)
	return nil
}

// hold keeps a partition's records for a later try and fetches no more of it.
func (c *consumer) hold(w *work, at place, records []*kgo.Record, failures int, cause error) {
	wait := backoff(failures, 50*time.Millisecond, 5*time.Second)
	if failures == 1 || failures%10 == 0 {
		c.log.Warn("cannot apply a record, will try again", "group", w.sub.group, "topic", w.sub.topic,
			"partition", at.partition, "offset", records[0].Offset, "failures", failures, "err", cause)
	}
	c.mu.Lock()
	c.held[at] = &held{records: records, failures: failures, until: time.Now().Add(wait)}
	c.mu.Unlock()
	c.client.PauseFetchPartitions(map[string][]int32{at.topic: {at.partition}})
}

// free fetches on from a partition that had been held.
func (c *consumer) free(at place, h *held) {
	if h.failures == 0 {
		return
	}
	c.client.ResumeFetchPartitions(map[string][]int32{at.topic: {at.partition}})
}

// revoked runs between two polls, when the loop has nothing in hand: what is
// held goes to the partition's next owner, from its last committed offset.
func (c *consumer) revoked(ctx context.Context, client *kgo.Client, gone map[string][]int32) {
	c.commit(ctx, client)
	c.lost(ctx, client, gone)
}

func (c *consumer) lost(_ context.Context, client *kgo.Client, gone map[string][]int32) {
	c.mu.Lock()
	for topic, partitions := range gone {
		for _, p := range partitions {
			delete(c.held, place{topic, p})
		}
	}
	c.mu.Unlock()
	client.ResumeFetchPartitions(gone)
}

// commit tells Kafka what Postgres has. A failure costs repeats only.
func (c *consumer) commit(ctx context.Context, client *kgo.Client) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := client.CommitMarkedOffsets(ctx); err != nil {
		c.log.Warn("cannot commit offsets; some events will come again", "err", err)
	}
}
