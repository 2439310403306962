package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/events"
)

// Verdicts tells what promises have come to. The slice that keeps them
// implements it.
type Verdicts interface {
	// RequestVerdict is the guarantee and the compensation of a request with
	// their reasons, to be written as JSON beside it; nil when there is none.
	RequestVerdict(ctx context.Context, id events.RequestID) (any, error)
}

// Standing is a promise in one line of the queue. It is an alias of a bare
// struct, so that the slice that keeps promises can answer without knowing
// this one.
type Standing = struct {
	State   string // of the guarantee: armed, breached, met, late, void or waived
	OwedFen int64
	DueAt   time.Time // the promised moment, moved by pauses and a late start
}

// QueueSnapshot is the live queue at one moment.
type QueueSnapshot struct {
	Now    time.Time   `json:"now"`
	Speed  float64     `json:"speed" doc:"Business seconds in one second of the wall clock; 1 in production."`
	Rows   []QueueRow  `json:"rows"`
	Counts QueueCounts `json:"counts"`

	// feedNo is the last event whose effect is surely in it.
	feedNo int64
}

// QueueChange is what one event did to the queue: the row as it now stands,
// or Gone when the request does not wait for help any more.
type QueueChange struct {
	Now  time.Time        `json:"now"`
	Type string           `json:"type" doc:"CloudEvents type of the event behind it."`
	ID   events.RequestID `json:"id"`
	Gone bool             `json:"gone,omitempty"`
	Row  *QueueRow        `json:"row,omitempty"`
}

// Standings says for each request how its promise stands; requests without
// one are left out.
type Standings func(ctx context.Context, ids []events.RequestID) (map[events.RequestID]Standing, error)

// queueFeed turns the journal into changes of the queue. Each event's change is
// read once, however many screens follow.
type queueFeed struct {
	pool      *pgxpool.Pool
	now       func() time.Time
	standings Standings

	mu     sync.Mutex
	recent map[int64]*reading
	order  []int64 // of recent, oldest first; a ring once full
	oldest int
}

// reading is one event's change, read by whoever comes first.
type reading struct {
	once   sync.Once
	change QueueChange
	err    error
}

// keptReadings is how many changes are kept for screens that follow at their
// own pace.
const keptReadings = 2048

// readLimit bounds one reading, in wall time.
const readLimit = 10 * time.Second

func newQueueFeed(pool *pgxpool.Pool, now func() time.Time, standings Standings) *queueFeed {
	return &queueFeed{pool: pool, now: now, standings: standings, recent: map[int64]*reading{}}
}

// snapshot reads the whole queue, by slack, with the feed number it stands at.
func (f *queueFeed) snapshot(ctx context.Context) (QueueSnapshot, error) {
	var snap QueueSnapshot
	// One snapshot of the database for both: an event numbered up to feedNo
	// has its effect in the rows.
	err := pgx.BeginTxFunc(ctx, f.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		if snap.feedNo, err = events.LatestFeedNo(ctx, tx); err != nil {
			return err
		}
		snap.Rows, err = selectQueue(ctx, tx)
		return err
	})
	if err != nil {
		return QueueSnapshot{}, err
	}
	if err := f.judge(ctx, snap.Rows); err != nil {
		return QueueSnapshot{}, err
	}
	snap.Now = f.now()
	bySlack(snap.Rows, snap.Now)
	for i, row := range snap.Rows {
		snap.Rows[i] = row.asOf(snap.Now)
	}
	snap.Counts = count(snap.Rows, snap.Now)
	return snap, nil
}

// judge puts the standing of the promise into each row.
func (f *queueFeed) judge(ctx context.Context, rows []QueueRow) error {
	if f.standings == nil || len(rows) == 0 {
		return nil
	}
	ids := make([]events.RequestID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	standings, err := f.standings(ctx, ids)
	if err != nil {
		return err
	}
	for i, row := range rows {
		if s, ok := standings[row.ID]; ok {
			rows[i].PromiseState, rows[i].OwedFen, rows[i].DueAt = s.State, s.OwedFen, s.DueAt
		}
	}
	return nil
}

// change is what an event did to the queue; false when it concerns no request.
//
// The row is read when the first screen asks, so it may already hold what
// later events did. That does no harm: their changes follow.
func (f *queueFeed) change(ctx context.Context, env events.Envelope) (QueueChange, bool, error) {
	id, err := events.ParseID[events.RequestID](env.Subject)
	if err != nil {
		return QueueChange{}, false, nil
	}
	r := f.reading(env.FeedNo)
	r.once.Do(func() {
		// Others wait for this reading: it must not end with one screen.
		r.change, r.err = f.read(context.WithoutCancel(ctx), env.Type, id)
	})
	if r.err != nil {
		f.forget(env.FeedNo)
		return QueueChange{}, false, r.err
	}
	return r.change, true, nil
}

func (f *queueFeed) read(ctx context.Context, kind string, id events.RequestID) (QueueChange, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	row, found, err := selectQueueRow(ctx, f.pool, id)
	if err != nil {
		return QueueChange{}, err
	}
	c := QueueChange{Now: f.now(), Type: kind, ID: id, Gone: !found}
	if found {
		rows := []QueueRow{row}
		if err := f.judge(ctx, rows); err != nil {
			return QueueChange{}, err
		}
		row = rows[0].asOf(c.Now)
		c.Row = &row
	}
	return c, nil
}

// reading finds or begins the reading of an event.
func (f *queueFeed) reading(feedNo int64) *reading {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.recent[feedNo]; ok {
		return r
	}
	r := &reading{}
	f.recent[feedNo] = r
	if len(f.order) < keptReadings {
		f.order = append(f.order, feedNo)
		return r
	}
	delete(f.recent, f.order[f.oldest])
	f.order[f.oldest] = feedNo
	f.oldest = (f.oldest + 1) % keptReadings
	return r
}

// forget drops a failed reading, so that the next screen tries again.
func (f *queueFeed) forget(feedNo int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.recent, feedNo)
}
