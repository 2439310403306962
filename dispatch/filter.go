package dispatch

import "rescued/events"

// RequestFilter narrows a list of requests. Zero fields do not narrow.
type RequestFilter struct {
	States []RequestState
	Area   string
	Crew   events.CrewID
	Plate  string
	// Before continues a list: only requests opened before that one, newest
	// first.
	Before events.RequestID
	Limit  int // at most 200; 50 when 0
}

// CrewFilter narrows a list of crews. Zero fields do not narrow.
type CrewFilter struct {
	States   []CrewState
	Provider events.ProviderID
	After    events.CrewID // continues a list, by identifier
	Limit    int           // at most 200; 50 when 0
}
