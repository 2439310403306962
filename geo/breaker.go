package geo

import (
	"sync"
	"time"
)

const (
	breakerAfter = 3                // failures in a row that open it
	breakerRest  = 5 * time.Second  // how long it stays open at first
	breakerMost  = 80 * time.Second // and at most: the rest doubles with each failed trial
)

// breaker spares decisions the wait for an engine that is down. After some
// failures in a row it opens and no call passes. After a rest one call passes
// on trial: its success closes the breaker, its failure doubles the rest. It
// counts in wall time.
type breaker struct {
	mu       sync.Mutex
	failures int // in a row
	rest     time.Duration
	until    time.Time // no call before; zero while closed
	trial    bool      // one call is under way on trial
}

// verdict is what a call told about the engine.
type verdict int

const (
	unknown verdict = iota // the call was cut short by its caller
	healthy
	broken
)

// pass reports whether a call may go out. Each that does must end in done.
func (b *breaker) pass() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return true
	}
	if b.trial || time.Now().Before(b.until) {
		return false
	}
	b.trial = true
	return true
}

func (b *breaker) done(v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wasTrial := b.trial
	b.trial = false
	switch v {
	case healthy:
		b.failures, b.rest, b.until = 0, 0, time.Time{}
	case broken:
		b.failures++
		if wasTrial {
			b.rest = min(2*b.rest, breakerMost)
		} else if b.until.IsZero() && b.failures >= breakerAfter {
			b.rest = breakerRest
		} else {
			// Not enough yet, or one of several calls that were under way when it opened.
			return
		}
		b.until = time.Now().Add(b.rest)
	}
}

func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero()
}
