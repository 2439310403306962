package events

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// wake leaves a note in a channel of one place; a second note says no more.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits d or until ctx ends, and reports whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// backoff is the wait after the nth failure in a row (from 1): it doubles from
// least up to most, half of it random.
func backoff(n int, least, most time.Duration) time.Duration {
	d := most
	if n < 20 {
		d = min(most, least<<(n-1))
	}
	return d/2 + rand.N(d/2+1)
}

// quietly logs the first failure of a row of them, then one every ten
// seconds, then the recovery: a database that is away for an hour is three
// hundred lines, not seventy thousand.
type quietly struct {
	log    *slog.Logger
	what   string
	failed int
	logged time.Time
}

// report notes how one try went and reports whether it went well. The end of
// a context is no failure.
func (q *quietly) report(err error) bool {
	if err == nil {
		if q.failed > 0 {
			q.log.Info(q.what+" works again", "failures", q.failed)
			q.failed = 0
		}
		return true
	}
	q.failed++
	if q.failed == 1 || time.Since(q.logged) > 10*time.Second {
		q.logged = time.Now()
		q.log.Warn("cannot "+q.what+", will try again", "err", err, "failures", q.failed)
	}
	return false
}
