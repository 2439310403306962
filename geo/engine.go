package geo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// RoutingEngine is a TravelTimes over real roads, with the name under which its
// figures are told.
type RoutingEngine interface {
	TravelTimes
	Name() string
}

// NoRoute stands in a matrix for a pair the engine cannot join. It is longer
// than any drive, so that it sorts last and fails every limit.
const NoRoute = time.Duration(math.MaxInt64)

// Failure is why a routing engine gave no answer.
type Failure string

// The failures. FailRefused is the request's fault, every other one the
// engine's or the way's to it.
const (
	FailTimeout     Failure = "timeout"     // no answer before the deadline
	FailQuota       Failure = "quota"       // the day's calls are used up
	FailThrottled   Failure = "throttled"   // too many calls at once
	FailUnavailable Failure = "unavailable" // not reached, or broken inside
	FailDenied      Failure = "denied"      // the key or the right is missing
	FailRefused     Failure = "refused"     // these places cannot be asked about
	FailMalformed   Failure = "malformed"   // an answer that makes no sense
	FailOpen        Failure = "breaker"     // not asked: it failed too often just now
)

// EngineError says which routing engine gave no answer, and why. It never holds
// a URL, because a URL may hold a key.
type EngineError struct {
	Engine string
	Why    Failure
	Detail string // one sentence for the log
	Err    error  // what lies beneath, if anything
}

func (e *EngineError) Error() string {
	text := fmt.Sprintf("%s: %s", e.Engine, e.Why)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *EngineError) Unwrap() error { return e.Err }

// failureOf sorts any error of a TravelTimes. An error of no known kind means
// that the engine is not to be relied on.
func failureOf(err error) Failure {
	var known *EngineError
	switch {
	case errors.As(err, &known):
		return known.Why
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return FailTimeout
	}
	return FailUnavailable
}

// longestDrive bounds what an engine may claim: a week.
const longestDrive = 7 * 24 * time.Hour

// driveOf turns an engine's seconds into a duration. It refuses what no drive
// can take.
func driveOf(seconds float64) (time.Duration, error) {
	if !(seconds >= 0 && seconds <= longestDrive.Seconds()) {
		return 0, fmt.Errorf("%g is no driving time in seconds", seconds)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// inBlocks answers a matrix of any size from an engine that takes only so many
// places per call, block by block. A failing block fails the whole.
func inBlocks(
	ctx context.Context, from, to []Point, mostFrom, mostTo int,
	ask func(ctx context.Context, from, to []Point) ([][]time.Duration, error),
) ([][]time.Duration, error) {
	rows := make([][]time.Duration, len(from))
	for i := range rows {
		rows[i] = make([]time.Duration, len(to))
	}
	for i := 0; i < len(from); i += mostFrom {
		someFrom := from[i:min(i+mostFrom, len(from))]
		for j := 0; j < len(to); j += mostTo {
			block, err := ask(ctx, someFrom, to[j:min(j+mostTo, len(to))])
			if err != nil {
				return nil, err
			}
			for k, row := range block {
				copy(rows[i+k][j:], row)
			}
		}
	}
	return rows, nil
}

// checkPlaces refuses coordinates that no engine should see.
func checkPlaces(engine string, sets ...[]Point) error {
	for _, set := range sets {
		for _, p := range set {
			if _, err := NewPoint(p.Lat, p.Lng); err != nil {
				return &EngineError{Engine: engine, Why: FailRefused, Err: err}
			}
		}
	}
	return nil
}
