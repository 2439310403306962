package dispatch

import (
	"time"

	"rescued/events"
	"rescued/geo"
)

// CrewView is a crew on the wire.
type CrewView struct {
	ID           events.CrewID     `json:"id"`
	Version      int64             `json:"version" doc:"Grows with every change; the ETag of the crew."`
	State        string            `json:"state" enum:"off_duty,available,held,engaged,finishing"`
	ProviderID   events.ProviderID `json:"provider_id"`
	Name         string            `json:"name"`
	Phone        string            `json:"phone,omitempty"`
	Plate        string            `json:"plate,omitempty" doc:"Of the rescue vehicle."`
	Vehicle      string            `json:"vehicle,omitempty"`
	Capabilities []string          `json:"capabilities" nullable:"false"`
	AutoAccept   bool              `json:"auto_accept" doc:"Assigned at once, without being asked."`
	Position     *positionView     `json:"position,omitempty" doc:"The last one heard of."`
	RegisteredAt time.Time         `json:"registered_at"`
	ChangedAt    time.Time         `json:"changed_at"`
}

// viewCrew writes a crew with the last position this replica has heard.
func (a *API) viewCrew(c Crew) CrewView {
	v := CrewView{
		ID: c.ID, Version: c.Version, State: string(c.State), ProviderID: c.Provider, Name: c.Name, Phone: c.Phone,
		Plate: c.Plate, Vehicle: c.Vehicle, Capabilities: CapabilityNames(c.Capabilities), AutoAccept: c.AutoAccept,
		RegisteredAt: c.RegisteredAt, ChangedAt: c.ChangedAt,
	}
	if fix, ok := a.svc.LastFix(c.ID); ok {
		v.Position = viewFix(fix)
	} else if c.Fix != nil {
		v.Position = viewFix(*c.Fix)
	}
	return v
}

// JobCard is what a crew is told of a request before it takes it: where, what
// and how urgent, but neither name nor phone nor plate.
type JobCard struct {
	ID          events.RequestID `json:"id"`
	State       string           `json:"state"`
	Priority    int              `json:"priority"`
	Problem     string           `json:"problem"`
	Energy      string           `json:"energy"`
	WeightClass string           `json:"weight_class"`
	Make        string           `json:"make,omitempty"`
	Model       string           `json:"model,omitempty"`
	Location    events.LatLng    `json:"location" doc:"WGS-84."`
	Address     string           `json:"address,omitempty"`
	RoadClass   string           `json:"road_class"`
	Direction   string           `json:"direction,omitempty"`
	Note        string           `json:"note,omitempty"`
	DueAt       time.Time        `json:"due_at"`
}

// OfferView is an offer on the wire.
type OfferView struct {
	ID         events.OfferID   `json:"id"`
	State      string           `json:"state" enum:"pending,accepted,declined,expired,withdrawn"`
	RequestID  events.RequestID `json:"request_id"`
	CrewID     events.CrewID    `json:"crew_id"`
	Round      int              `json:"round"`
	MadeAt     time.Time        `json:"made_at"`
	ExpiresAt  time.Time        `json:"expires_at" doc:"An answer after it comes too late."`
	ExpectedAt time.Time        `json:"expected_at" doc:"Expected arrival, if accepted when it was made."`
	TravelS    int              `json:"travel_s"`
	Metres     int              `json:"metres" doc:"Great circle."`
	Why        string           `json:"why" doc:"Why this crew."`
	EndedAt    *time.Time       `json:"ended_at,omitempty"`
	Reason     string           `json:"reason,omitempty"`
	Request    *JobCard         `json:"request,omitempty"`
}

func viewOffer(o Offer) OfferView {
	return OfferView{
		ID: o.ID, State: string(o.State), RequestID: o.Request, CrewID: o.Crew, Round: o.Round,
		MadeAt: o.MadeAt, ExpiresAt: o.ExpiresAt, ExpectedAt: o.ExpectedAt, TravelS: int(o.Travel.Seconds()),
		Metres: int(o.Metres), Why: o.Why, EndedAt: o.EndedAt, Reason: o.Reason,
	}
}

// ProviderView is a provider on the wire.
type ProviderView struct {
	ID           events.ProviderID `json:"id"`
	Name         string            `json:"name"`
	Phone        string            `json:"phone,omitempty"`
	RegisteredAt time.Time         `json:"registered_at"`
}

// PartnerView is a partner on the wire.
type PartnerView struct {
	ID           events.PartnerID `json:"id"`
	Name         string           `json:"name"`
	RegisteredAt time.Time        `json:"registered_at"`
}

// AreaView is one covered place on the wire.
type AreaView struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Province  string        `json:"province,omitempty"`
	Centre    events.LatLng `json:"centre" doc:"WGS-84."`
	UrbanKm   float64       `json:"urban_km,omitempty" doc:"Radius of the urban promise; absent for polygons."`
	CoveredKm float64       `json:"covered_km,omitempty" doc:"Radius of cover; absent for polygons."`
}

func viewArea(a geo.Area) AreaView {
	return AreaView{ID: string(a.ID), Name: a.Name, Province: a.Province, Centre: latLng(a.Centre), UrbanKm: a.UrbanKm, CoveredKm: a.CoveredKm}
}
