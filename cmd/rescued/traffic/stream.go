package traffic

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Outcome is what became of one row of a demand file.
type Outcome string

// The outcomes of a row. Every row has exactly one.
const (
	Unsent     Outcome = "not sent"      // the run was stopped before its time came
	Invalid    Outcome = "invalid"       // not a call, or refused as one; Why says
	Duplicate  Outcome = "duplicate"     // the car already has an open request; Of says which
	Failed     Outcome = "failed"        // the service could not be reached; Why says
	InTime     Outcome = "in time"       // a crew arrived within the promise
	Late       Outcome = "late"          // a crew arrived after it
	Assigned   Outcome = "on the way"    // a crew is bound to it and has not arrived
	StillWaits Outcome = "still waiting" // nobody has taken it yet
	Cancelled  Outcome = "cancelled"     // called off
)

// Row is one row of a demand file and what became of it.
type Row struct {
	Line    int
	Call    Call
	Outcome Outcome
	Request string // its own request, when accepted
	Of      string // the request it repeats
	Why     string
	Late    time.Duration // business time past the promise
}

// Stream opens a demand file's calls as requests, each at its own moment of
// the business clock, and follows what becomes of them.
type Stream struct {
	API     *API // a partner's or operator's token
	Clock   *Clock
	Calls   []Call
	Bad     []BadRow
	Plate   string        // prefix of number plates
	Round   int           // makes other cars of the same calls
	Settle  time.Duration // business time to wait for outcomes after the last call
	Started time.Time     // business time at which the first call is made

	sent atomic.Int64
	mu   sync.Mutex
	rows []Row
}

// requestView is what this package reads of a request.
type requestView struct {
	ID        string     `json:"id"`
	State     string     `json:"state"`
	DueAt     time.Time  `json:"due_at"`
	ArrivedAt *time.Time `json:"arrived_at"`
}

const openAtOnce = 16 // calls under way at the same moment

// Run makes every call at its time, then waits until each has an outcome or
// Settle has passed. Stopping it early is no error: the rows tell.
func (s *Stream) Run(ctx context.Context) error {
	s.mu.Lock()
	s.rows = make([]Row, 0, len(s.Calls)+len(s.Bad))
	for _, c := range s.Calls {
		s.rows = append(s.rows, Row{Line: c.Line, Call: c, Outcome: Unsent})
	}
	for _, b := range s.Bad {
		s.rows = append(s.rows, Row{Line: b.Line, Outcome: Invalid, Why: b.Why})
	}
	s.mu.Unlock()
	if len(s.Calls) == 0 {
		return nil
	}
	if s.Started.IsZero() {
		s.Started = s.Clock.Now()
	}
	first := s.Calls[0].CalledAt
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go s.watch(watching)
	var g errgroup.Group
	g.SetLimit(openAtOnce)
	for i, c := range s.Calls {
		if s.until(ctx, s.Started.Add(c.CalledAt.Sub(first))) != nil {
			break
		}
		g.Go(func() error { s.open(ctx, i); return nil })
	}
	_ = g.Wait()
	stopWatching()
	return s.settle(ctx)
}

// watch keeps the outcomes current while calls are still being made.
func (s *Stream) watch(ctx context.Context) {
	for pause(ctx, watchEvery) == nil {
		_, _ = s.refresh(ctx) // what could not be read now is read at the end
	}
}

const watchEvery = 5 * time.Second // wall time

// until waits for a moment of the business clock.
func (s *Stream) until(ctx context.Context, at time.Time) error {
	for {
		left := at.Sub(s.Clock.Now())
		if left <= 0 {
			return ctx.Err()
		}
		// Asked again every second: the clock may be corrected meanwhile.
		wall := time.Duration(float64(left) / s.Clock.Speed())
		if err := pause(ctx, min(wall+time.Millisecond, time.Second)); err != nil {
			return err
		}
	}
}

func (s *Stream) open(ctx context.Context, i int) {
	defer s.sent.Add(1)
	c := s.Calls[i]
	key := fmt.Sprintf("feed-%d-%d-%d", s.Started.UnixMicro(), s.Round, c.Line)
	var view requestView
	_, err := s.API.call(ctx, http.MethodPost, "/v1/requests", key, bodyOf(c, s.Plate, s.Round), &view)
	row := Row{Line: c.Line, Call: c, Outcome: StillWaits, Request: view.ID}
	if err != nil {
		row = refusedRow(c, err)
	}
	s.set(i, row)
}

func refusedRow(c Call, err error) Row {
	row := Row{Line: c.Line, Call: c, Outcome: Failed, Why: err.Error()}
	if r, ok := refusedAs(err, "plate_has_open_request"); ok {
		row.Outcome, row.Of = Duplicate, r.RequestID
		row.Why = "the car already has an open request"
	} else if r != nil && r.Status < 500 && r.Status != http.StatusTooManyRequests {
		row.Outcome = Invalid
	}
	return row
}

func (s *Stream) set(i int, row Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[i] = row
}

// settle follows the accepted requests until all are decided.
func (s *Stream) settle(ctx context.Context) error {
	last := s.Calls[len(s.Calls)-1].CalledAt.Sub(s.Calls[0].CalledAt)
	limit := s.Started.Add(last + s.Settle)
	for {
		open, err := s.refresh(ctx)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("read what became of the requests: %w", err)
		}
		if open == 0 || ctx.Err() != nil || s.Clock.Now().After(limit) {
			return nil
		}
		_ = pause(ctx, time.Second)
	}
}

// refresh reads every undecided request once and says how many remain so.
func (s *Stream) refresh(ctx context.Context) (open int, err error) {
	var g errgroup.Group
	g.SetLimit(openAtOnce)
	var remain atomic.Int64
	for i, row := range s.Rows() {
		if row.Outcome != StillWaits && row.Outcome != Assigned {
			continue
		}
		g.Go(func() error {
			var v requestView
			if _, err := s.API.call(ctx, http.MethodGet, "/v1/requests/"+row.Request, "", nil, &v); err != nil {
				return err
			}
			row.Outcome, row.Late = outcomeOf(v)
			if row.Outcome == StillWaits || row.Outcome == Assigned {
				remain.Add(1)
			}
			s.set(i, row)
			return nil
		})
	}
	err = g.Wait()
	return int(remain.Load()), err
}

func outcomeOf(v requestView) (Outcome, time.Duration) {
	switch {
	case v.ArrivedAt != nil && v.ArrivedAt.After(v.DueAt):
		return Late, v.ArrivedAt.Sub(v.DueAt)
	case v.ArrivedAt != nil:
		return InTime, 0
	case v.State == "cancelled":
		return Cancelled, 0
	case v.State == "assigned", v.State == "en_route", v.State == "on_scene":
		return Assigned, 0
	}
	return StillWaits, 0
}

// Rows is a copy of every row as it stands.
func (s *Stream) Rows() []Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Row(nil), s.rows...)
}

// Sent is how many calls have been made.
func (s *Stream) Sent() int { return int(s.sent.Load()) }
