package dispatch

import (
	"time"

	"rescued/events"
	"rescued/geo"
)

// RequestView is a request on the wire. Who reads it decides what it shows:
// see viewRequest.
type RequestView struct {
	ID         events.RequestID  `json:"id"`
	Version    int64             `json:"version" doc:"Grows with every change; the ETag of the request."`
	State      string            `json:"state" enum:"open,stranded,offered,assigned,en_route,on_scene,done,cancelled"`
	Now        time.Time         `json:"now" doc:"Business time of this answer; count down from here."`
	OpenedAt   time.Time         `json:"opened_at"`
	DueAt      time.Time         `json:"due_at" doc:"The promised moment; help after it is late."`
	SlackS     *int              `json:"slack_s,omitempty" doc:"Seconds to spare: due_at less the expected arrival. Absent once help is there."`
	Promise    events.Promise    `json:"promise"`
	Area       string            `json:"area"`
	AreaName   string            `json:"area_name"`
	Tier       string            `json:"tier" enum:"urban,county"`
	Priority   int               `json:"priority" doc:"0 danger to life, 1 exposed, 2 normal."`
	Problem    string            `json:"problem"`
	Needs      []string          `json:"needs" doc:"What a crew must be able to do."`
	Contact    *Contact          `json:"contact,omitempty"`
	Vehicle    Vehicle           `json:"vehicle"`
	Location   locationView      `json:"location"`
	Safety     Safety            `json:"safety"`
	Dest       *placeView        `json:"destination,omitempty"`
	PartnerID  *events.PartnerID `json:"partner_id,omitempty"`
	PartnerRef string            `json:"partner_ref,omitempty"`
	Product    string            `json:"product,omitempty"`

	Crew       *CrewCard  `json:"crew"`
	Round      int        `json:"round" doc:"Offers made so far."`
	AssignedAt *time.Time `json:"assigned_at,omitempty"`
	DepartedAt *time.Time `json:"departed_at,omitempty"`
	ExpectedAt *time.Time `json:"expected_at,omitempty" doc:"When the crew is expected."`

	AtRisk *Warning `json:"at_risk,omitempty" doc:"What endangers the promise; absent when nothing does. The remedy is for staff."`

	ArrivedAt     *time.Time              `json:"arrived_at,omitempty" doc:"Proven arrival."`
	ArrivalSource string                  `json:"arrival_source,omitempty" enum:"gps,code,owner,tap,operator"`
	Evidence      *events.ArrivalEvidence `json:"arrival_evidence,omitempty"`
	UnprovenAt    *time.Time              `json:"unproven_at,omitempty" doc:"The crew says it arrived then, and nothing bears it out."`

	StrandedAt  *time.Time     `json:"stranded_at,omitempty"`
	StrandedWhy map[string]int `json:"stranded_why,omitempty" doc:"How many crews were ruled out, by reason."`
	Held        *Held          `json:"held,omitempty" doc:"Why it waits although crews could go; for staff."`
	Swaps       int            `json:"swaps,omitempty" doc:"How often its crew was sent to another request to keep a promise."`
	ClosedAt    *time.Time     `json:"closed_at,omitempty"`
	Outcome     string         `json:"outcome,omitempty"`
	Reason      string         `json:"reason,omitempty"`

	// Verdict is what the promise has come to, as the slice that keeps it tells.
	Verdict any `json:"guarantee,omitempty" doc:"The guarantee and what is owed, with its reasons."`

	ArrivalCode string `json:"arrival_code,omitempty" doc:"The owner tells it to the crew on arrival. Never shown to crews."`
	TrackingURL string `json:"tracking_url,omitempty" doc:"The owner's own page."`
}

// locationView is where the car stands: WGS-84, and as it was given.
type locationView struct {
	Lat       float64   `json:"lat"`
	Lng       float64   `json:"lng"`
	Datum     string    `json:"datum" enum:"wgs84"`
	Given     givenView `json:"given" doc:"The position as it came in."`
	AccuracyM float64   `json:"accuracy_m,omitempty"`
	Address   string    `json:"address,omitempty"`
	RoadClass string    `json:"road_class"`
	Direction string    `json:"direction,omitempty"`
	Note      string    `json:"note,omitempty"`
}

type givenView struct {
	Lat   float64 `json:"lat"`
	Lng   float64 `json:"lng"`
	Datum string  `json:"datum"`
}

type placeView struct {
	Lat     float64   `json:"lat"`
	Lng     float64   `json:"lng"`
	Datum   string    `json:"datum" enum:"wgs84"`
	Given   givenView `json:"given"`
	Address string    `json:"address,omitempty"`
}

// CrewCard is the crew of a request, as its owner sees it.
type CrewCard struct {
	ID          events.CrewID `json:"id"`
	Name        string        `json:"name"`
	PlateMasked string        `json:"plate_masked"`
	Phone       string        `json:"phone,omitempty"`
	Position    *positionView `json:"position,omitempty" doc:"Last known; absent when none is fresh."`
}

type positionView struct {
	Lat       float64   `json:"lat"`
	Lng       float64   `json:"lng"`
	Datum     string    `json:"datum" enum:"wgs84"`
	FixedAt   time.Time `json:"fixed_at"`
	AccuracyM float64   `json:"accuracy_m,omitempty"`
}

// viewRequest writes a request for one reader. Contact and full plate are for
// those tellsWho names; code and tracking link are the owner's, and of
// those who opened the request for him. A crew never sees the code: knowing it
// proves that it stood before the owner.
func viewRequest(r Request, as events.Actor, now time.Time) RequestView {
	v := RequestView{
		ID: r.ID, Version: r.Version, State: string(r.State), Now: now, OpenedAt: r.OpenedAt, DueAt: r.Promise.DueAt,
		Promise: r.Promise, Area: string(r.Area), AreaName: r.AreaName, Tier: string(r.Tier), Priority: int(r.Priority),
		Problem: string(r.Problem), Needs: CapabilityNames(r.Need), Vehicle: r.Vehicle, Safety: r.Safety,
		PartnerRef: r.PartnerRef, Product: r.Product, Round: r.Round, AssignedAt: r.AssignedAt, DepartedAt: r.DepartedAt,
		ExpectedAt: r.ExpectedAt, ArrivedAt: r.ArrivedAt, ArrivalSource: string(r.ArrivalSource), UnprovenAt: r.UnprovenAt,
		StrandedAt: r.StrandedAt, StrandedWhy: r.StrandedWhy, ClosedAt: r.ClosedAt, Outcome: string(r.Outcome), Reason: r.Reason,
		Location: locationView{
			Lat: r.Place.Point.Lat, Lng: r.Place.Point.Lng, Datum: string(geo.WGS84), Given: r.Place.given(),
			AccuracyM: r.AccuracyM, Address: r.Place.Address, RoadClass: string(r.Road), Direction: r.Direction, Note: r.Note,
		},
	}
	if r.Warning != nil {
		warning := *r.Warning
		if !as.Is(events.RoleOperator, events.RoleAdmin) {
			warning.Remedy = nil // other crews are no business of an owner's
		}
		v.AtRisk = &warning
	}
	if d := r.Destination; d != nil {
		v.Dest = &placeView{Lat: d.Point.Lat, Lng: d.Point.Lng, Datum: string(geo.WGS84), Given: d.given(), Address: d.Address}
	}
	if !r.Partner.IsZero() {
		v.PartnerID = &r.Partner
	}
	if r.Evidence != (events.ArrivalEvidence{}) {
		v.Evidence = &r.Evidence
	}
	if r.State.Waits() || r.State == RequestOffered || (r.State.Active() && r.ArrivedAt == nil) {
		slack := rowOf(r).asOf(now).SlackS
		v.SlackS = &slack
	}
	if as.Is(staff...) {
		v.Held, v.Swaps = r.Held, r.Swaps
	}
	if r.tellsWho(as) {
		v.Contact = &r.Contact
	} else {
		v.Vehicle.Plate, v.Vehicle.VIN = MaskPlate(r.Vehicle.Plate), ""
	}
	if as.Is(events.RoleOwner, events.RolePartner, events.RoleOperator, events.RoleAdmin) && !r.State.final() {
		v.ArrivalCode = r.Code
	}
	return v
}

// tellsWho reports whether a reader learns whose car it is: those who asked
// and the staff who help always do, a crew and its provider as long as the job
// is theirs, and finance never needs to.
func (r Request) tellsWho(as events.Actor) bool {
	if as.Is(events.RoleCrew, events.RoleProvider) {
		return r.State.Active()
	}
	return !as.Is(events.RoleFinance)
}

func (p Place) given() givenView { return givenView{Lat: p.Lat, Lng: p.Lng, Datum: string(p.Datum)} }

func (s RequestState) final() bool { return RequestLife.Final(s) }

// rowOf is what a request alone says of its row in the queue.
func rowOf(r Request) QueueRow {
	row := QueueRow{
		ID: r.ID, State: string(r.State), Priority: int(r.Priority), Problem: string(r.Problem),
		PlateMasked: MaskPlate(r.Vehicle.Plate), Area: string(r.Area), AreaName: r.AreaName, Address: r.Place.Address,
		Location: events.LatLng(r.Place.Point), OpenedAt: r.OpenedAt, DueAt: r.Promise.DueAt, ExpectedAt: r.ExpectedAt,
		AtRisk: r.Warning, StrandedAt: r.StrandedAt, StrandedWhy: whyText(r.StrandedWhy), Held: r.Held, Unproven: r.UnprovenAt != nil, Version: r.Version,
	}
	if row.ExpectedAt == nil {
		row.ReachS = int(nominalReach.Seconds())
	}
	return row
}
