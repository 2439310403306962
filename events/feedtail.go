package events

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/internal/fault"
)

// ErrFeedReset tells a reader of the live feed that it fell too far behind:
// it should take a fresh snapshot and follow from there.
var ErrFeedReset = fault.New(fault.Stale, "feed_reset", "The reader fell too far behind; load the present state and follow from there.")

const (
	feedPoll  = 50 * time.Millisecond
	feedChunk = 500
	// feedGap is the most events a reader may have missed and still catch up
	// one by one; beyond it a snapshot is cheaper.
	feedGap = 10_000
	// feedBuffer is how many events may wait for one subscriber.
	feedBuffer = 1024
)

// FeedTail reads the journal's end once for the whole process and fans it out
// to subscribers. It needs Postgres alone, so that consoles stay live while
// Kafka is down.
type FeedTail struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	wake chan struct{}

	mu     sync.Mutex
	last   int64
	subs   map[*subscriber]struct{}
	ready  chan struct{} // closed once last is known
	opened sync.Once
}

type subscriber struct {
	events chan Envelope // closed when the subscriber is too slow
}

// NewFeedTail makes a tail over the pool; Run it.
func NewFeedTail(pool *pgxpool.Pool, log *slog.Logger) *FeedTail {
	return &FeedTail{
		pool: pool, log: log, wake: make(chan struct{}, 1),
		subs: map[*subscriber]struct{}{}, ready: make(chan struct{}),
	}
}

// Wake makes the tail look now instead of at its next poll, at most 50 ms
// away. The relay calls it after numbering.
func (t *FeedTail) Wake() { wake(t.wake) }

// Run polls until ctx ends. A database that is away is waited for.
func (t *FeedTail) Run(ctx context.Context) error {
	tick := time.NewTicker(feedPoll)
	defer tick.Stop()
	quiet := quietly{log: t.log, what: "read the feed"}
	for {
		quiet.report(t.advance(ctx))
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
		case <-tick.C:
		}
	}
}

// advance reads all that is new and hands it out.
func (t *FeedTail) advance(ctx context.Context) error {
	select {
	case <-t.ready:
	default:
		last, err := LatestFeedNo(ctx, t.pool)
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.last = last
		t.mu.Unlock()
		t.opened.Do(func() { close(t.ready) })
	}
	for {
		fresh, err := ReadFeed(ctx, t.pool, t.last, feedChunk)
		if err != nil {
			return err
		}
		t.fanOut(fresh)
		if len(fresh) < feedChunk {
			return nil
		}
	}
}

func (t *FeedTail) fanOut(fresh []Envelope) {
	if len(fresh) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for sub := range t.subs {
		for _, env := range fresh {
			if env.live() && !sub.offer(env) {
				delete(t.subs, sub) // one slow reader never holds up the others
				close(sub.events)
				break
			}
		}
	}
	t.last = fresh[len(fresh)-1].FeedNo
}

// live reports whether an event belongs to the live feed. History that is
// brought in comes by the hundred thousand and concerns no screen.
func (env Envelope) live() bool { return env.Topic != TopicHistory }

func (s *subscriber) offer(env Envelope) bool {
	select {
	case s.events <- env:
		return true
	default:
		return false
	}
}

// Follow calls fn with every event after a feed number, in order, without gap
// or repeat, until ctx ends (its error), fn fails (that error), or the reader
// is too far behind, at the start or later (ErrFeedReset). A negative after
// means from now on. Take the snapshot's LatestFeedNo in the snapshot's own
// transaction and follow from it.
func (t *FeedTail) Follow(ctx context.Context, after int64, fn func(Envelope) error) error {
	select {
	case <-t.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	sub, last := t.subscribe()
	defer t.unsubscribe(sub)
	switch {
	case after < 0:
		after = last
	case last-after > feedGap:
		return ErrFeedReset
	}
	// History up to where the subscription began, then the subscription. A
	// snapshot may be newer than this tail: what it holds is passed over.
	for after < last {
		past, err := ReadFeed(ctx, t.pool, after, min(feedChunk, int(last-after)))
		if err != nil {
			return err
		}
		if len(past) == 0 {
			return ErrFeedReset // the journal ends before its own counter: another database
		}
		for _, env := range past {
			if env.live() {
				if err := fn(env); err != nil {
					return err
				}
			}
			after = env.FeedNo
		}
	}
	return sub.follow(ctx, after, fn)
}

func (s *subscriber) follow(ctx context.Context, after int64, fn func(Envelope) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case env, open := <-s.events:
			if !open {
				return ErrFeedReset
			}
			if env.FeedNo <= after {
				continue
			}
			if err := fn(env); err != nil {
				return err
			}
		}
	}
}

func (t *FeedTail) subscribe() (*subscriber, int64) {
	sub := &subscriber{events: make(chan Envelope, feedBuffer)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.subs[sub] = struct{}{}
	return sub, t.last
}

func (t *FeedTail) unsubscribe(sub *subscriber) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.subs, sub)
}
