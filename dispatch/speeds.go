package dispatch

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
)

const (
	// learnDays is how far back finished drives are learned from: roads and
	// traffic change.
	learnDays = 90
	// learnMost bounds the drives of a first reading, the newest first.
	learnMost = 200_000
)

// SpeedReport tells what the travel model has learned from finished jobs, and
// how far off it was.
type SpeedReport struct {
	At         time.Time        `json:"at" doc:"Business time of the last reading of finished jobs."`
	Since      time.Time        `json:"since" doc:"Jobs finished before are not learned from any more."`
	Jobs       int64            `json:"jobs" doc:"Drives learned from."`
	NotLearned map[string]int64 `json:"not_learned" doc:"Drives that taught nothing, by reason: no_position, unmeasured, pause, too_short, implausible, outlier."`
	Errors     geo.ErrorTable   `json:"errors" nullable:"false" doc:"How far off was what was predicted as each crew set off, by road class and over all: before is the straight-line model, after the same as corrected by what had been learned by then."`
}

// learner keeps the speeds learned from finished jobs. What it knows is made of
// the rows of the database alone, so replicas know the same but for moments,
// and one that starts knows what the others do.
type learner struct {
	base geo.StraightLine
	zone *time.Location
	now  atomic.Pointer[learned]

	mu      sync.Mutex // one reading at a time
	book    *geo.SpeedBook
	since   time.Time
	horizon string                        // where the next reading goes on
	read    map[events.RequestID]struct{} // by the last reading: the next may meet them again
	passed  map[string]int64
}

// learned is what is known at one moment; it never changes.
type learned struct {
	speeds *geo.Speeds
	report SpeedReport
}

func newLearner(base geo.StraightLine, zone *time.Location) *learner {
	l := &learner{base: base, zone: zone}
	l.now.Store(&learned{speeds: geo.Unlearned(base)})
	return l
}

// speeds is what is known now, for one decision.
func (l *learner) speeds() *geo.Speeds { return l.now.Load().speeds }

// forget begins anew with the jobs finished since a moment.
func (l *learner) forget(since time.Time) (err error) {
	l.book, err = geo.NewSpeedBook(l.base)
	l.since, l.horizon, l.read, l.passed = since, "0", nil, map[string]int64{}
	return err
}

// take learns from drives, but for those the last reading has met.
func (l *learner) take(drives []finishedDrive, at time.Time) {
	read := make(map[events.RequestID]struct{}, len(drives))
	var lessons []geo.Drive
	for _, f := range drives {
		read[f.request] = struct{}{}
		if _, again := l.read[f.request]; again {
			continue
		}
		if d, passed := f.lesson(l.base, l.zone); passed != "" {
			l.passed[passed]++
		} else {
			lessons = append(lessons, d)
		}
	}
	l.read = read
	l.book.Learn(lessons...)
	known := &learned{speeds: l.now.Load().speeds, report: SpeedReport{
		At: at, Since: l.since, Jobs: l.book.Jobs(), NotLearned: maps.Clone(l.passed), Errors: l.book.Error(),
	}}
	if len(lessons) > 0 || l.book.Jobs() == 0 {
		known.speeds = l.book.Speeds()
	}
	l.now.Store(known)
}

// LearnSpeeds reads the jobs finished since the last call and corrects the
// travel model by them. The first call of a local day begins anew, without what
// is older than 90 days and with arrivals as they have been proven since.
func (s *Service) LearnSpeeds(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "learn speeds")
	l := s.learner
	l.mu.Lock()
	defer l.mu.Unlock()
	now := s.now()
	y, m, d := now.In(l.zone).Date()
	if since := time.Date(y, m, d-learnDays, 0, 0, 0, 0, l.zone).UTC(); !since.Equal(l.since) {
		if err := l.forget(since); err != nil {
			return err
		}
	}
	// As with crews: whatever commits after this reading was begun after next.
	next, err := readHorizon(ctx, s.pool)
	if err != nil {
		return err
	}
	drives, err := listFinishedDrives(ctx, s.pool, l.horizon, l.since, learnMost)
	if err != nil {
		return err
	}
	l.take(drives, now)
	l.horizon = next
	return nil
}

// Speeds tells what the travel model has learned and how far off it was. It is
// for those who run the service.
func (s *Service) Speeds(ctx context.Context, by events.Actor) (SpeedReport, error) {
	if !by.Is(staff...) {
		return SpeedReport{}, ErrForbidden
	}
	if s.learner.now.Load().report.At.IsZero() {
		if err := s.LearnSpeeds(ctx); err != nil {
			return SpeedReport{}, err
		}
	}
	return s.learner.now.Load().report, nil
}
