package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"rescued/internal/pg"
)

const (
	relayLock    = "events relay"
	relayPoll    = 50 * time.Millisecond  // for commits of other processes
	relayStandby = 500 * time.Millisecond // how soon another replica takes over
	relayBatch   = 1000
	relayLimit   = 5 * time.Second // for the broker to acknowledge a batch
)

// Relay numbers what has committed and publishes it. Every replica may run
// one; a session advisory lock lets one of them work, and since two can
// overlap when a connection dies unnoticed, nothing rests on that: numbering
// is serialised by a row lock and a second publication is a repeat.
type Relay struct {
	cfg      ClientConfig
	pool     *pgxpool.Pool
	log      *slog.Logger
	metrics  *Metrics
	numbered func() // told after each numbering; never nil

	wake    chan struct{} // something may have committed
	publish chan struct{} // something has been numbered
}

// NewRelay makes a relay; Run it. numbered, which may be nil, is called after
// new events got their feed numbers: FeedTail.Wake. metrics may be nil.
func NewRelay(cfg ClientConfig, pool *pgxpool.Pool, log *slog.Logger, metrics *Metrics, numbered func()) (*Relay, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if numbered == nil {
		numbered = func() {}
	}
	return &Relay{
		cfg: cfg, pool: pool, log: log, metrics: metrics, numbered: numbered,
		wake: make(chan struct{}, 1), publish: make(chan struct{}, 1),
	}, nil
}

// Wake makes the relay look now instead of at its next poll, at most 50 ms
// away. Call it after a commit; many calls at once are one look.
func (r *Relay) Wake() { wake(r.wake) }

// Run relays until ctx ends. Failures of Postgres or Kafka are logged and
// waited out; they lose nothing.
func (r *Relay) Run(ctx context.Context) error {
	quiet := quietly{log: r.log, what: "take the relay's lock"}
	for ctx.Err() == nil {
		lock, ok, err := pg.TryLock(ctx, r.pool, relayLock)
		quiet.report(ignoreEnd(ctx, err))
		if err != nil || !ok {
			pause(ctx, relayStandby)
			continue
		}
		err = r.lead(lock.Context())
		lock.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// ignoreEnd drops an error that only says that ctx is over.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lead works until ctx, the lock's life, ends. Numbering and publishing are
// two loops, so that the live feed goes on while the broker is away.
func (r *Relay) lead(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.number(ctx) })
	group.Go(func() error { return r.send(ctx) })
	group.Go(func() error { return r.measure(ctx) })
	return group.Wait()
}

// measure keeps the outbox gauge, apart from the hot path.
func (r *Relay) measure(ctx context.Context) error {
	for pause(ctx, time.Second) {
		if waiting, err := countOutbox(ctx, r.pool); err == nil {
			r.metrics.setOutbox(waiting)
		}
	}
	return nil
}

func (r *Relay) number(ctx context.Context) error {
	tick := time.NewTicker(relayPoll)
	defer tick.Stop()
	quiet := quietly{log: r.log, what: "number the journal"}
	wake(r.publish) // what an earlier relay left behind
	for {
		err := r.numberAll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !quiet.report(err) && !pause(ctx, backoff(quiet.failed, relayPoll, 2*time.Second)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-tick.C:
		}
	}
}

// numberAll numbers until nothing is left, and tells those who wait for it.
func (r *Relay) numberAll(ctx context.Context) error {
	for {
		some, err := hasUnnumbered(ctx, r.pool)
		if err != nil || !some {
			return err
		}
		n, err := numberCommitted(ctx, r.pool, relayBatch)
		if err != nil {
			return err
		}
		if n > 0 {
			r.metrics.addNumbered(n)
			wake(r.publish)
			r.numbered()
		}
	}
}

func (r *Relay) send(ctx context.Context) error {
	// Republish in another process is found by this slower look.
	tick := time.NewTicker(10 * relayPoll)
	defer tick.Stop()
	quiet := quietly{log: r.log, what: "publish events"}
	var client *kgo.Client
	defer func() {
		if client != nil {
			client.Close()
		}
	}()
	for {
		if client == nil {
			fresh, err := r.cfg.connect(producerOptions(relayLimit)...)
			if err != nil {
				return fmt.Errorf("connect the relay: %w", err) // the settings, checked before, no longer hold
			}
			client = fresh
		}
		err := r.sendAll(ctx, client)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errAckLate) {
			// What the client still holds would go out behind what is sent next.
			client.Close()
			client = nil
		}
		if !quiet.report(err) {
			if !pause(ctx, backoff(quiet.failed, relayPoll, 2*time.Second)) {
				return nil
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.publish:
		case <-tick.C:
		}
	}
}

// sendAll publishes batches until the outbox is empty.
func (r *Relay) sendAll(ctx context.Context, client *kgo.Client) error {
	for {
		n, err := r.sendBatch(ctx, client)
		if err != nil || n < relayBatch {
			return err
		}
	}
}

// sendBatch publishes the lowest unpublished events and removes them from the
// outbox once all are acknowledged. If any is not, none is removed and the
// whole batch goes out again: a consumer may then see 1, 3, 1, 2, 3 across
// partitions, but never a later event of a key before an earlier one's first
// appearance.
func (r *Relay) sendBatch(ctx context.Context, client *kgo.Client) (n int, err error) {
	began := time.Now()
	entries, err := listUnpublished(ctx, r.pool, relayBatch)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	defer func() { r.metrics.batch(len(entries), time.Since(began), err) }()
	records := make([]*kgo.Record, len(entries))
	for i, entry := range entries {
		records[i] = entry.env.record(r.cfg.topic(entry.env.Topic))
	}
	if err := produceAll(ctx, client, records, relayLimit); err != nil {
		return 0, err
	}
	return len(entries), deletePublished(ctx, r.pool, entries)
}
