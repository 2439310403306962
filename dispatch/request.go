package dispatch

import (
	"time"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/fsm"
)

// RequestState is where a request stands in its life.
type RequestState string

// The states of a request. Done and cancelled are final.
const (
	RequestOpen      RequestState = "open"      // waits for an offer to be made
	RequestStranded  RequestState = "stranded"  // nobody can take it now; tried again
	RequestOffered   RequestState = "offered"   // a crew has been asked
	RequestAssigned  RequestState = "assigned"  // a crew accepted
	RequestEnRoute   RequestState = "en_route"  // the crew set out
	RequestOnScene   RequestState = "on_scene"  // the crew is there, proven
	RequestDone      RequestState = "done"      // the work is over
	RequestCancelled RequestState = "cancelled" // called off
)

// RequestEvent is what can happen to a request.
type RequestEvent string

// The events of a request.
const (
	RequestOffer   RequestEvent = "offer"
	RequestExhaust RequestEvent = "exhaust"
	RequestAccept  RequestEvent = "accept"
	RequestLapse   RequestEvent = "lapse"
	RequestDepart  RequestEvent = "depart"
	RequestArrive  RequestEvent = "arrive"
	RequestRelease RequestEvent = "release"
	RequestFinish  RequestEvent = "finish"
	RequestCancel  RequestEvent = "cancel"
)

// RequestLife is the lifecycle of a request.
var RequestLife = fsm.Table[RequestState, RequestEvent]{
	RequestOpen:     {RequestOffer: RequestOffered, RequestExhaust: RequestStranded, RequestCancel: RequestCancelled},
	RequestStranded: {RequestOffer: RequestOffered, RequestCancel: RequestCancelled},
	RequestOffered:  {RequestAccept: RequestAssigned, RequestLapse: RequestOpen, RequestCancel: RequestCancelled},
	RequestAssigned: {RequestDepart: RequestEnRoute, RequestArrive: RequestOnScene, RequestRelease: RequestOpen, RequestCancel: RequestCancelled},
	RequestEnRoute:  {RequestArrive: RequestOnScene, RequestRelease: RequestOpen, RequestCancel: RequestCancelled},
	RequestOnScene:  {RequestFinish: RequestDone, RequestRelease: RequestOpen, RequestCancel: RequestCancelled},
}

// Waits reports whether a request in this state waits for an offer.
func (s RequestState) Waits() bool { return s == RequestOpen || s == RequestStranded }

// Active reports whether a crew is bound to a request in this state.
func (s RequestState) Active() bool {
	return s == RequestAssigned || s == RequestEnRoute || s == RequestOnScene
}

// awaited reports whether help has not arrived yet and may still come.
func (s RequestState) awaited() bool { return !s.final() && s != RequestOnScene }

// Errors about requests.
var (
	// ErrNoRequest: there is no such request, or it is not the caller's.
	ErrNoRequest = fault.New(fault.NotFound, "request_not_found", "There is no such request.")
	// ErrPlateOpen: the plate already has an open request; fact request_id names it.
	ErrPlateOpen = fault.New(fault.Conflict, "plate_has_open_request", "This plate already has an open request; follow or cancel that one.")
	// ErrOutside: the place is in no covered area; fact nearest names the closest one.
	ErrOutside = fault.New(fault.Unprocessable, "outside_covered_area", "The place is outside the covered area.")
	// ErrKeyReused: an idempotency key came again with another body.
	ErrKeyReused = fault.New(fault.Unprocessable, "idempotency_key_reused", "This Idempotency-Key was used before with another body; send a new key.")
	// ErrForbidden: the caller's role may not do this.
	ErrForbidden = fault.New(fault.Forbidden, "role_not_allowed", "This role may not do that.")
	// ErrStale: the row has changed since the version the caller holds.
	ErrStale = fault.New(fault.Stale, "version_stale", "It has changed since; read it again and decide anew.")
	// ErrNoCrewBound: the command needs a crew on the request and there is none.
	ErrNoCrewBound = fault.New(fault.Conflict, "no_crew_bound", "No crew has this request.")
	// ErrRequestClosed: the request was over before the moment that is reported
	// of it; facts state and closed_at.
	ErrRequestClosed = fault.New(fault.Conflict, "request_closed", "The request was over by then.")
	// ErrWrongCode: the four-digit code is not the owner's.
	ErrWrongCode = fault.New(fault.Unprocessable, "code_wrong", "That is not the owner's code.")
	// ErrCodeSpent: too many wrong codes; the owner or an operator must confirm.
	ErrCodeSpent = fault.New(fault.Conflict, "code_spent", "Too many wrong codes; ask the owner to confirm, or an operator.")
)

// Contact is whom to call about a request.
type Contact struct {
	Name  string `json:"name,omitempty"`
	Phone string `json:"phone,omitempty"`
}

// Vehicle is the car that needs help.
type Vehicle struct {
	Plate       string      `json:"plate,omitempty"`
	VIN         string      `json:"vin,omitempty"`
	Make        string      `json:"make,omitempty"`
	Model       string      `json:"model,omitempty"`
	Energy      Energy      `json:"energy,omitempty"`
	WeightClass WeightClass `json:"weight_class,omitempty"`
}

// Safety holds the flags that raise a request's priority.
type Safety struct {
	LiveLane     bool `json:"live_lane,omitempty"`
	Children     bool `json:"children,omitempty"`
	AloneAtNight bool `json:"alone_at_night,omitempty"`
	Injury       bool `json:"injury,omitempty"`
}

// Place is a position as somebody gave it, with the WGS-84 point it means.
type Place struct {
	Point    geo.Point // WGS-84
	Lat, Lng float64   // as given, in Datum
	Datum    geo.Datum
	Address  string
}

// Request is one call for help, from opening to its end.
type Request struct {
	ID      events.RequestID
	Version int64 // grows by one with every change
	State   RequestState

	Area     geo.AreaID // pinned at opening
	AreaName string
	Tier     geo.Tier
	Priority Priority

	OpenedBy   events.Actor
	Owner      events.OwnerID
	Partner    events.PartnerID // zero when the owner asked by himself
	PartnerRef string
	Product    string // what the owner has bought; empty when not told

	Contact Contact
	Vehicle Vehicle
	Problem Problem
	Safety  Safety
	Need    geo.Capabilities // what a crew must be able to do

	Place       Place
	AccuracyM   float64 // metres; 0 unknown
	Road        geo.RoadClass
	Direction   string
	Note        string
	Destination *Place // of a tow; nil when not named

	OpenedAt time.Time
	Promise  events.Promise // as shown to the owner; never changes

	Crew       events.CrewID // bound now, or bound last when final; zero without
	Round      int           // offers made so far
	AssignedAt *time.Time
	ExpectedAt *time.Time // expected arrival of the crew bound or asked
	DepartedAt *time.Time

	ArrivedAt     *time.Time // proven arrival of Crew
	ArrivalSource ArrivalSource
	Evidence      events.ArrivalEvidence
	UnprovenAt    *time.Time // a tap that nothing bears out, waiting for an operator

	ReleasedAt *time.Time // when the last crew was taken off it
	Warning    *Warning   // what endangers the promise, as last told; nil when nothing does

	StrandedAt  *time.Time // since when nobody can take it; nil otherwise
	StrandedWhy map[string]int
	Held        *Held // why it waits although crews could go; nil otherwise
	Swaps       int   // how often its crew was turned to another request

	ClosedAt *time.Time // finished or cancelled
	Outcome  Outcome    // of a finished one
	Reason   string     // of the last release or cancellation

	Code          string // four digits the owner tells the crew
	CodeTries     int    // wrong codes of the crew bound so far
	TrackingEpoch int    // raised to revoke tracking links

	ChangedAt time.Time

	// Replayed says that this answer repeats an earlier one for the same
	// idempotency key. It is not stored.
	Replayed bool

	key   idempotency
	walls walls
}

// walls are wall-clock moments, kept only to measure this system's own
// speed: business time may run many times faster.
type walls struct {
	opened  time.Time
	offered *time.Time // first offer
}

// wallNow is the wall clock as Postgres keeps it.
func wallNow() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// idempotency ties a creating command to the row it made.
type idempotency struct {
	key  string // empty: none was given
	hash []byte // of the input
}

// Outcome says how a job ended.
type Outcome string

// The outcomes.
const (
	OutcomeFixed         Outcome = "fixed"
	OutcomeTowed         Outcome = "towed"
	OutcomeGoneOnArrival Outcome = "gone_on_arrival"
	OutcomeUnsuccessful  Outcome = "unsuccessful"
)

// Outcomes lists every outcome.
func Outcomes() []Outcome {
	return []Outcome{OutcomeFixed, OutcomeTowed, OutcomeGoneOnArrival, OutcomeUnsuccessful}
}

func (r *Request) advance(ev RequestEvent) (err error) {
	if r.State, err = RequestLife.Next(r.State, ev); !r.State.awaited() {
		r.Warning = nil
	}
	return err
}

func (r *Request) changed(at time.Time) int64 {
	r.Version++
	r.ChangedAt = at
	return r.Version
}

func (r *Request) facts(time.Time) []events.Event { return nil }

// unbind takes the crew off the request and with it all that was its doing.
func (r *Request) unbind() {
	r.Crew, r.CodeTries = events.CrewID{}, 0
	r.AssignedAt, r.ExpectedAt, r.DepartedAt, r.Warning = nil, nil, nil, nil
	r.ArrivedAt, r.ArrivalSource, r.Evidence, r.UnprovenAt = nil, "", events.ArrivalEvidence{}, nil
}
