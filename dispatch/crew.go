package dispatch

import (
	"time"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/fsm"
)

// CrewState is what a crew is doing.
type CrewState string

// The states of a crew.
const (
	CrewOffDuty   CrewState = "off_duty"
	CrewAvailable CrewState = "available"
	CrewHeld      CrewState = "held"      // has an offer to answer
	CrewEngaged   CrewState = "engaged"   // has a request
	CrewFinishing CrewState = "finishing" // has a request, goes off duty after it
)

// CrewEvent is what can happen to a crew.
type CrewEvent string

// The events of a crew.
const (
	CrewStartShift CrewEvent = "start_shift"
	CrewEndShift   CrewEvent = "end_shift"
	CrewOffer      CrewEvent = "offer"
	CrewAccept     CrewEvent = "accept"
	CrewLapse      CrewEvent = "lapse"
	CrewFinish     CrewEvent = "finish"
	CrewRelease    CrewEvent = "release"
)

// CrewLife is the lifecycle of a crew.
var CrewLife = fsm.Table[CrewState, CrewEvent]{
	CrewOffDuty:   {CrewStartShift: CrewAvailable},
	CrewAvailable: {CrewOffer: CrewHeld, CrewEndShift: CrewOffDuty},
	CrewHeld:      {CrewAccept: CrewEngaged, CrewLapse: CrewAvailable},
	CrewEngaged:   {CrewFinish: CrewAvailable, CrewRelease: CrewAvailable, CrewEndShift: CrewFinishing},
	CrewFinishing: {CrewFinish: CrewOffDuty, CrewRelease: CrewOffDuty, CrewStartShift: CrewEngaged},
}

// Busy reports whether a crew in this state has a request.
func (s CrewState) Busy() bool { return s == CrewEngaged || s == CrewFinishing }

// Errors about crews and those they work for.
var (
	// ErrNoCrew: there is no such crew, or it is not the caller's.
	ErrNoCrew = fault.New(fault.NotFound, "crew_not_found", "There is no such crew.")
	// ErrNoProvider: there is no such provider.
	ErrNoProvider = fault.New(fault.NotFound, "provider_not_found", "There is no such provider; register it first.")
	// ErrNoPartner: there is no such partner.
	ErrNoPartner = fault.New(fault.NotFound, "partner_not_found", "There is no such partner; register it first.")
	// ErrCrewAsked: the crew has already had an offer for the request.
	ErrCrewAsked = fault.New(fault.Conflict, "crew_already_asked", "This crew has already been asked for this request; choose another.")
	// ErrCrewUnfit: the crew lacks a capability the request needs.
	ErrCrewUnfit = fault.New(fault.Conflict, "crew_lacks_capability", "This crew cannot do what the request needs; choose another.")
	// ErrCrewTaken: the crew is not free.
	ErrCrewTaken = fault.New(fault.Conflict, "crew_not_free", "This crew is not free; choose another.")
)

// Provider is a company that runs crews.
type Provider struct {
	ID           events.ProviderID
	Name         string
	Phone        string
	RegisteredAt time.Time
	Replayed     bool

	key idempotency
}

// Partner is a client, such as a car maker's app, that opens requests on
// behalf of owners.
type Partner struct {
	ID           events.PartnerID
	Name         string
	RegisteredAt time.Time
	Replayed     bool

	key idempotency
}

// Crew is one rescue vehicle with the people in it.
type Crew struct {
	ID           events.CrewID
	Version      int64
	State        CrewState
	Provider     events.ProviderID
	Name         string
	Phone        string
	Plate        string // of the rescue vehicle
	Vehicle      string // what it is, in words
	Capabilities geo.Capabilities
	AutoAccept   bool // assigned at once, without being asked

	// Fix is the last sampled position, at most about a minute behind what
	// the live index knows; nil before the first.
	Fix *Fix

	RegisteredAt time.Time
	ChangedAt    time.Time
	Replayed     bool

	key idempotency
}

func (c *Crew) advance(ev CrewEvent) (err error) {
	c.State, err = CrewLife.Next(c.State, ev)
	return err
}

func (c *Crew) changed(at time.Time) int64 {
	c.Version++
	c.ChangedAt = at
	return c.Version
}

// facts is what every change of a crew tells: its state and abilities.
func (c *Crew) facts(at time.Time) []events.Event {
	return []events.Event{events.CrewChanged{
		CrewID: c.ID, ProviderID: c.Provider, State: string(c.State),
		Capabilities: CapabilityNames(c.Capabilities), ChangedAt: at, Version: c.Version,
	}}
}
