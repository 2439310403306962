package sim

import "time"

const day = 24 * time.Hour

// Shift is when a crew may start jobs: every day (UTC) from one time of day to
// another, over midnight if the end is the earlier of the two. The start is in
// it, the end is not.
type Shift struct {
	from, to time.Duration // since midnight; equal for always
}

// Always is the shift without an end.
var Always = Shift{}

// NewShift makes a shift of two times of day. From midnight to 24:00 is always.
func NewShift(from, to time.Duration) Shift { return Shift{from % day, to % day} }

// On reports whether the shift is on at t.
func (s Shift) On(t time.Time) bool {
	at := sinceMidnight(t)
	switch {
	case s.from == s.to:
		return true
	case s.from < s.to:
		return s.from <= at && at < s.to
	default:
		return s.from <= at || at < s.to
	}
}

// Next is when the shift next begins or ends, after t; zero for always.
func (s Shift) Next(t time.Time) time.Time {
	if s.from == s.to {
		return time.Time{}
	}
	bound := s.from
	if s.On(t) {
		bound = s.to
	}
	ahead := bound - sinceMidnight(t)
	if ahead <= 0 {
		ahead += day
	}
	return t.Add(ahead)
}

func sinceMidnight(t time.Time) time.Duration {
	return t.Sub(t.Truncate(day)) // Truncate counts from a midnight, UTC
}
