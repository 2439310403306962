package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"rescued/internal/fault"
	"rescued/internal/pg"
)

// Handler applies the events of one topic for one consumer group, each once:
// its writes in tx commit together with the note that the event was applied.
// Several handlers may share group and topic; they then share the
// transaction, in the order given.
//
// Handle should pass over types it does not care for. A failure that may mend
// by itself (pg.Transient, fault.Busy, fault.Limited) is tried again and
// holds up this one partition; any other, a panic included, puts the event
// among the dead letters and the partition goes on.
type Handler struct {
	Group  string
	Topic  Topic
	Handle func(ctx context.Context, tx pgx.Tx, env Envelope) error
}

// Batch takes the events of a topic many at a time, without the inbox: Handle
// must do no harm when it sees an event again, or an older one after a newer.
// Order holds within a key. Failures are told apart as for Handler; of a batch
// that fails for good, each event is tried alone.
type Batch struct {
	Group  string
	Topic  Topic
	Handle func(ctx context.Context, envs []Envelope) error
}

// subscription is what the inbox and the metrics know a consumer by.
type subscription struct {
	group string
	topic Topic
}

// work is all that is done with the records of one subscription: handlers
// or one batch, never both.
type work struct {
	sub      subscription
	handlers []Handler
	batch    func(ctx context.Context, envs []Envelope) error
}

const (
	sessionTimeout = 10 * time.Second // how soon a dead replica's partitions move on
	handleLimit    = 15 * time.Second // for one record's transaction
)

// Runner consumes topics and applies their events. Run one in every replica
// that has the role: a consumer group parts the partitions among them.
type Runner struct {
	cfg     ClientConfig
	pool    *pgxpool.Pool
	log     *slog.Logger
	metrics *Metrics
	groups  map[string]map[Topic]*work
}

// NewRunner makes a runner of handlers and batches; Run it. metrics may be nil.
func NewRunner(cfg ClientConfig, pool *pgxpool.Pool, log *slog.Logger, metrics *Metrics, handlers []Handler, batches []Batch) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Runner{cfg: cfg, pool: pool, log: log, metrics: metrics,
		groups: map[string]map[Topic]*work{}}
	if r.cfg.Session == 0 {
		r.cfg.Session = sessionTimeout
	}
	for _, h := range handlers {
		w, err := r.work(h.Group, h.Topic)
		if err != nil {
			return nil, err
		}
		w.handlers = append(w.handlers, h)
	}
	for _, b := range batches {
		w, err := r.work(b.Group, b.Topic)
		if err != nil {
			return nil, err
		}
		if w.handlers != nil || w.batch != nil {
			return nil, fmt.Errorf("group %s already reads %s: give the batch a group of its own", b.Group, b.Topic)
		}
		w.batch = b.Handle
	}
	return r, nil
}

func (r *Runner) work(group string, topic Topic) (*work, error) {
	known := slices.ContainsFunc(Topics(), func(spec TopicSpec) bool { return spec.Topic == topic })
	if group == "" || !known {
		return nil, fmt.Errorf("cannot consume topic %q as group %q: name a group and a topic of this system", topic, group)
	}
	if r.groups[group] == nil {
		r.groups[group] = map[Topic]*work{}
	}
	w := r.groups[group][topic]
	if w == nil {
		w = &work{sub: subscription{group, topic}}
		r.groups[group][topic] = w
	}
	return w, nil
}

// Run consumes until ctx ends; then it finishes the records in hand, commits
// and leaves the groups. Failures of Postgres or Kafka are waited out.
func (r *Runner) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for name, works := range r.groups {
		group.Go(func() error { return r.consume(ctx, name, works) })
	}
	group.Go(func() error { return r.eraseLetters(ctx) })
	return group.Wait()
}

// transient reports whether the same record may go through later.
func transient(err error) bool {
	var p *panicked
	if errors.As(err, &p) {
		return false
	}
	kind := fault.KindOf(err)
	return kind == fault.Busy || kind == fault.Limited || pg.Transient(err)
}
