package geo

import "time"

// Source says where a travel time comes from: who gave it and, where that is not
// the whole story, why. It reads as "valhalla", "valhalla (cached)",
// "straight_line (timeout)".
type Source struct {
	By  string // an engine's or a model's name
	Why string // a Why… constant, a Failure, or nothing
}

// The reasons beside the failures of an engine.
const (
	// WhyCached: the engine gave it earlier, for the same cells and hour.
	WhyCached = "cached"
	// WhyNotListed: the model's figure, because others were nearer and only the
	// shortlist is asked about.
	WhyNotListed = "not_shortlisted"
	// WhyNoRoute: the model's figure, because the engine knows no way.
	WhyNoRoute = "no_route"
)

func (s Source) String() string {
	if s.Why == "" {
		return s.By
	}
	return s.By + " (" + s.Why + ")"
}

// MarshalText writes the source as String does.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Answer is a matrix of travel times in which each figure names its source.
// Rows are the places driven from, columns the places driven to.
type Answer struct {
	Times   [][]time.Duration
	Sources [][]Source
	// Err joins what the engine failed with, for the log. The times are complete
	// all the same.
	Err error
}

// Leg is one drive of a shortlist.
type Leg struct {
	From   int // index of the place driven from
	Time   time.Duration
	Source Source
}

// TravelModel estimates drives without asking anybody, in microseconds. The
// hour is local, of the day or of a week that begins at midnight.
type TravelModel interface {
	Time(from, to Point, class RoadClass, hour int) time.Duration
	Name() string
}
