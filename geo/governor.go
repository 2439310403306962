package geo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// ChinaTime is the zone in which Chinese map services begin a new day.
var ChinaTime = time.FixedZone("UTC+8", 8*60*60)

// Governor keeps calls to a paid service within what was bought: so many per
// second, by a token bucket, and so many per day. It counts in wall time, for
// this process alone: replicas share one account by each taking its part. It is
// safe for concurrent use. A nil *Governor lets every call pass.
type Governor struct {
	bucket *rate.Limiter
	perDay int
	zone   *time.Location

	mu   sync.Mutex
	day  int // the day counted: year × 1000 + day of year
	used int
	gone bool // the service itself said that the day's calls are used up
}

// QuotaError says that a call was not made, and when one may be.
type QuotaError struct {
	Day   bool      // the day's calls are used up; otherwise it is the rate
	Again time.Time // when a call may pass, if the day is used up
}

func (e *QuotaError) Error() string {
	if e.Day {
		return "the day's calls are used up until " + e.Again.Format(time.RFC3339)
	}
	return "no call is free before the deadline"
}

// NewGovernor allows perSecond calls a second, at most burst of them at once,
// and perDay from midnight to midnight in a zone (nil is ChinaTime). Zero
// perDay is no limit. It returns an error for a rate or burst that would let
// nothing pass.
func NewGovernor(perSecond float64, burst, perDay int, zone *time.Location) (*Governor, error) {
	switch {
	case !(perSecond > 0):
		return nil, fmt.Errorf("calls_per_second: %g lets no call pass; give a number above zero", perSecond)
	case burst < 1:
		return nil, fmt.Errorf("burst: %d lets no call pass; give 1 or more", burst)
	case perDay < 0:
		return nil, fmt.Errorf("calls_per_day: %d is negative; give 0 for no limit", perDay)
	}
	if zone == nil {
		zone = ChinaTime
	}
	return &Governor{bucket: rate.NewLimiter(rate.Limit(perSecond), burst), perDay: perDay, zone: zone}, nil
}

// Take waits for the right to make one call. When none comes free before the
// context's deadline it returns a *QuotaError at once, without waiting; the
// day's count is then untouched. A context that ends while it waits gives its
// own error.
func (g *Governor) Take(ctx context.Context) error {
	if g == nil {
		return ctx.Err()
	}
	if err := g.count(1); err != nil {
		return err
	}
	if err := g.bucket.Wait(ctx); err != nil {
		_ = g.count(-1)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &QuotaError{}
	}
	return nil
}

// Exhaust records that the service has no more calls for today.
func (g *Governor) Exhaust() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(time.Now())
	g.gone = true
}

// UsedToday is how many calls were let pass since midnight.
func (g *Governor) UsedToday() int {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(time.Now())
	return g.used
}

func (g *Governor) count(n int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.turn(now)
	if n > 0 && (g.gone || g.perDay > 0 && g.used+n > g.perDay) {
		y, m, d := now.In(g.zone).Date()
		return &QuotaError{Day: true, Again: time.Date(y, m, d+1, 0, 0, 0, 0, g.zone)}
	}
	g.used = max(0, g.used+n)
	return nil
}

// turn starts a new count on a new day.
func (g *Governor) turn(now time.Time) {
	local := now.In(g.zone)
	if day := local.Year()*1000 + local.YearDay(); day != g.day {
		g.day, g.used, g.gone = day, 0, false
	}
}

func failureOfTake(err error) Failure {
	var quota *QuotaError
	switch {
	case !errors.As(err, &quota):
		return FailTimeout
	case quota.Day:
		return FailQuota
	}
	return FailThrottled
}
