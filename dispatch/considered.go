package dispatch

import (
	"time"

	"rescued/events"
)

// Why a crew was not chosen for a request.
const (
	WhyOffDuty    = "off_duty"
	WhyBusy       = "busy"        // has a request
	WhyHeld       = "held"        // has another offer to answer
	WhyUnfit      = "incapable"   // lacks a capability
	WhyStale      = "stale"       // not heard of lately
	WhyAsked      = "asked"       // had an offer for this request
	WhyTooFar     = "too_far"     // beyond what makes sense
	WhyFarther    = "farther"     // free and able; others are there sooner
	WhyOther      = "other_first" // free and able; sent to another request in the same round
	WhyTaken      = "taken"       // was gone when its row was locked
	WhyNoPosition = "no_position" // never heard of
	// WhyChosen marks the crew that was asked.
	WhyChosen = "chosen"
)

// Round is one weighing of crews for a request: what led to an offer, or to
// the finding that nobody can take it.
type Round struct {
	Version int64            `json:"version"` // of the request, after it
	At      time.Time        `json:"at"`
	Crews   []ConsideredCrew `json:"crews"`  // the nearest, by distance
	Counts  map[string]int   `json:"counts"` // of all crews, by reason
}

// ConsideredCrew is one crew as a round saw it.
type ConsideredCrew struct {
	Crew    events.CrewID `json:"crew_id"`
	Why     string        `json:"why"` // chosen, or why not
	Metres  int           `json:"metres"`
	TravelS int           `json:"travel_s,omitempty"` // for those on the shortlist
}
