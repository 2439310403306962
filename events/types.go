package events

import "time"

// Event is a fact worth telling others: what happened, in the past tense.
// EventType is its CloudEvents type; Stream is the topic it goes to and the
// key that keeps its order; Subject is what it tells of (req_… or crw_…), by
// which its timeline can be read across topics.
//
// Payloads carry no name, phone, plate or VIN: whoever needs those asks the
// API for the request, under his own token.
type Event interface {
	EventType() string
	Stream() (Topic, string)
	Subject() string
}

// LatLng is a WGS-84 position in degrees.
type LatLng struct {
	Lat float64 `json:"lat"`
	Lng float64 `json:"lng"`
}

// Promise is what an owner was shown: pinned at opening, kept as shown.
type Promise struct {
	Minutes       int       `json:"minutes"`        // promised response, in minutes
	DueAt         time.Time `json:"due_at"`         // the moment after which an arrival is late
	Policy        string    `json:"policy"`         // policy name, such as example-45
	PolicyVersion int       `json:"policy_version"` // pinned version of it
	Rule          string    `json:"rule"`           // the rule that chose the minutes
	Reason        string    `json:"reason"`         // that rule in words

	Weather string `json:"weather,omitempty"` // declared weather mode it was made under; absent is normal
}

// PromiseFacts is what a promise may depend on. It is the question the opener
// of a request asks whoever makes promises; the answer is a Promise.
type PromiseFacts struct {
	At        time.Time // when the request is accepted; the clock starts here
	Area      string
	Tier      string // urban or county
	RoadClass string // urban, rural or motorway
	Problem   string
	Priority  int       // 0 danger to life, 1 exposed, 2 normal
	PartnerID PartnerID // zero when the owner asked by himself
	Product   string    // what the owner has bought; empty when not told
}

// RequestOpened: an owner asked for help and was given a promise.
type RequestOpened struct {
	RequestID    RequestID  `json:"request_id"`
	Area         string     `json:"area"`
	Tier         string     `json:"tier"` // urban or county
	OpenedAt     time.Time  `json:"opened_at"`
	Priority     int        `json:"priority"` // 0 danger to life, 1 exposed, 2 normal
	Problem      string     `json:"problem"`
	Capabilities []string   `json:"capabilities"` // what a crew must be able to do
	Location     LatLng     `json:"location"`
	RoadClass    string     `json:"road_class"`
	Promise      Promise    `json:"promise"`
	PartnerID    *PartnerID `json:"partner_id,omitempty"`
	PartnerRef   string     `json:"partner_ref,omitempty"`
	Product      string     `json:"product,omitempty"`     // what the owner has bought, such as a plan
	VehicleKey   string     `json:"vehicle_key,omitempty"` // the same for the same car; a keyed digest, no plate
	IntakeID     string     `json:"intake_id,omitempty"`   // CloudEvents id and source of the intake event that opened it
	Source       string     `json:"source,omitempty"`
}

// RequestRefused: a request that came in over the intake topic could not be
// opened. IntakeID is the CloudEvents id it came with.
type RequestRefused struct {
	IntakeID  string         `json:"intake_id"`
	Source    string         `json:"source"`
	Code      string         `json:"code"`
	Detail    string         `json:"detail"`
	Fields    []RefusedField `json:"fields,omitempty"`
	RequestID *RequestID     `json:"request_id,omitempty"` // the open request it repeats
	RefusedAt time.Time      `json:"refused_at"`
}

// RefusedField is one wrong field of a refused request.
type RefusedField struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// OfferMade: a crew was asked to take a request until ExpiresAt.
type OfferMade struct {
	OfferID    OfferID   `json:"offer_id"`
	RequestID  RequestID `json:"request_id"`
	Area       string    `json:"area"`
	CrewID     CrewID    `json:"crew_id"`
	MadeAt     time.Time `json:"made_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	TravelS    int       `json:"travel_s"`    // expected travel, seconds
	ExpectedAt time.Time `json:"expected_at"` // expected arrival
	Metres     int       `json:"metres"`      // straight line at the time
	Reason     string    `json:"reason"`      // why this crew
}

// OfferLapsed: an offer ended without being accepted.
type OfferLapsed struct {
	OfferID   OfferID   `json:"offer_id"`
	RequestID RequestID `json:"request_id"`
	Area      string    `json:"area"`
	CrewID    CrewID    `json:"crew_id"`
	Outcome   string    `json:"outcome"` // declined, expired or withdrawn
	Reason    string    `json:"reason,omitempty"`
	LapsedAt  time.Time `json:"lapsed_at"`
}

// RequestAssigned: a crew accepted and is bound to the request.
type RequestAssigned struct {
	RequestID  RequestID  `json:"request_id"`
	Area       string     `json:"area"`
	OfferID    OfferID    `json:"offer_id"`
	CrewID     CrewID     `json:"crew_id"`
	ProviderID ProviderID `json:"provider_id,omitzero"` // whose crew it is
	AssignedAt time.Time  `json:"assigned_at"`
	ExpectedAt time.Time  `json:"expected_at"`
}

// RequestStranded: nobody can take the request now; it is tried again.
type RequestStranded struct {
	RequestID  RequestID      `json:"request_id"`
	Area       string         `json:"area"`
	StrandedAt time.Time      `json:"stranded_at"`
	WhyNot     map[string]int `json:"why_not"` // how many crews were ruled out, by reason
}

// RequestHeld: the request waits although crews could go; it is not stranded
// and is tried again.
type RequestHeld struct {
	RequestID  RequestID  `json:"request_id"`
	Area       string     `json:"area"`
	HeldAt     time.Time  `json:"held_at"`
	Why        string     `json:"why"`                   // planned, held_for_promises, awaits_crew
	CrewID     *CrewID    `json:"crew_id,omitempty"`     // whose next job it is, or who is free first
	ExpectedAt *time.Time `json:"expected_at,omitempty"` // when that crew would arrive
}

// CrewDeparted: the assigned crew set out.
type CrewDeparted struct {
	RequestID  RequestID `json:"request_id"`
	Area       string    `json:"area"`
	CrewID     CrewID    `json:"crew_id"`
	DepartedAt time.Time `json:"departed_at"`
}

// ArrivalUnproven: a crew said it had arrived and nothing bears it out. The
// promise clock runs on; an operator decides.
type ArrivalUnproven struct {
	RequestID RequestID `json:"request_id"`
	Area      string    `json:"area"`
	CrewID    CrewID    `json:"crew_id"`
	ClaimedAt time.Time `json:"claimed_at"`
	Why       string    `json:"why"`
}

// ArrivalEvidence keeps all the times side by side; the earliest proven one
// is the arrival.
type ArrivalEvidence struct {
	GPSAt      *time.Time `json:"gps_at,omitempty"`      // first of two fixes that show a dwell
	OwnerAt    *time.Time `json:"owner_at,omitempty"`    // the owner's confirmation or code
	ClaimedAt  *time.Time `json:"claimed_at,omitempty"`  // the crew's tap
	OperatorAt *time.Time `json:"operator_at,omitempty"` // an operator's decision on an unproven tap
	FixMetres  *int       `json:"fix_metres,omitempty"`  // distance of the deciding fix
	FixAgeS    *int       `json:"fix_age_s,omitempty"`   // its age at the tap
	Note       string     `json:"note,omitempty"`
}

// CrewArrived: help is there, proven. A second CrewArrived for the same
// request and crew, with an earlier ArrivedAt, means that earlier proof came
// to light; the earliest counts.
type CrewArrived struct {
	RequestID RequestID       `json:"request_id"`
	Area      string          `json:"area"`
	CrewID    CrewID          `json:"crew_id"`
	ArrivedAt time.Time       `json:"arrived_at"`
	Source    string          `json:"source"` // gps, owner, code, tap or operator
	Evidence  ArrivalEvidence `json:"evidence"`
}

// RequestReleased: the crew no longer has the request, which is open again.
// An arrival of that crew before ReleasedAt counts no more: the owner still waits.
type RequestReleased struct {
	RequestID  RequestID `json:"request_id"`
	Area       string    `json:"area"`
	CrewID     CrewID    `json:"crew_id"`
	ReleasedAt time.Time `json:"released_at"`
	Reason     string    `json:"reason"`
	FromState  string    `json:"from_state"`
	Cause      string    `json:"cause,omitempty"` // crew, owner or choice, where the desk says what it was for
}

// RequestCancelled: the owner or somebody for him called it off.
type RequestCancelled struct {
	RequestID   RequestID `json:"request_id"`
	Area        string    `json:"area"`
	CancelledAt time.Time `json:"cancelled_at"`
	Reason      string    `json:"reason"`
	FromState   string    `json:"from_state"`
	CrewID      *CrewID   `json:"crew_id,omitempty"`
}

// RequestFinished: the work is done and the crew free.
type RequestFinished struct {
	RequestID  RequestID `json:"request_id"`
	Area       string    `json:"area"`
	CrewID     CrewID    `json:"crew_id"`
	FinishedAt time.Time `json:"finished_at"`
	Outcome    string    `json:"outcome"` // fixed, towed, gone_on_arrival or unsuccessful
}

// Remedy is the crew that could be sent to a request in danger, and what that
// would gain.
type Remedy struct {
	CrewID     CrewID    `json:"crew_id"`
	ReadyAt    time.Time `json:"ready_at"`    // when it can be sent: then, or once its present job is over
	ExpectedAt time.Time `json:"expected_at"` // its arrival, sent then
	Saves      bool      `json:"saves"`       // whether that keeps the promise
	Metres     int       `json:"metres"`      // straight line to the car, from where it starts
	ZH         string    `json:"zh"`
	EN         string    `json:"en"`
}

// RequestWarned: what endangers a promise is now this, and this could be done.
// It is told when it changes; without reasons the danger is over. A warning
// also ends, untold, with the crew's release, its arrival and the request's end.
type RequestWarned struct {
	RequestID  RequestID  `json:"request_id"`
	Area       string     `json:"area"`
	CrewID     *CrewID    `json:"crew_id,omitempty"`     // the crew that has it; absent when none has
	Reasons    []Reason   `json:"reasons"`               // no_acceptance, no_movement, silent, moving_away, expected_late
	ExpectedAt *time.Time `json:"expected_at,omitempty"` // arrival as it looks now; absent when nobody could come
	DueAt      time.Time  `json:"due_at"`
	WarnedAt   time.Time  `json:"warned_at"`
	Remedy     *Remedy    `json:"remedy,omitempty"`
}

// ArrivalForecast: the crew that has a request is expected at another time than
// was last told.
type ArrivalForecast struct {
	RequestID  RequestID `json:"request_id"`
	Area       string    `json:"area"`
	CrewID     CrewID    `json:"crew_id"`
	ExpectedAt time.Time `json:"expected_at"`
	DueAt      time.Time `json:"due_at"`
	ForecastAt time.Time `json:"forecast_at"`
}

// CrewPositioned: where a crew was, by its device's clock. These go straight
// to the topic, without the journal.
type CrewPositioned struct {
	CrewID    CrewID    `json:"crew_id"`
	FixedAt   time.Time `json:"fixed_at"`
	Location  LatLng    `json:"location"`
	AccuracyM float64   `json:"accuracy_m"`
	HeardAt   time.Time `json:"heard_at"`
}

// CrewChanged: a crew's state, shift or capabilities changed.
type CrewChanged struct {
	CrewID       CrewID     `json:"crew_id"`
	ProviderID   ProviderID `json:"provider_id"`
	State        string     `json:"state"`
	Capabilities []string   `json:"capabilities"`
	ChangedAt    time.Time  `json:"changed_at"`
	Version      int64      `json:"version"`
}

// CloudEvents types, one per payload. A change of shape is a new version.
func (RequestOpened) EventType() string    { return "cn.rescue.request.opened.v1" }
func (RequestRefused) EventType() string   { return "cn.rescue.request.refused.v1" }
func (OfferMade) EventType() string        { return "cn.rescue.offer.made.v1" }
func (OfferLapsed) EventType() string      { return "cn.rescue.offer.lapsed.v1" }
func (RequestAssigned) EventType() string  { return "cn.rescue.request.assigned.v1" }
func (RequestStranded) EventType() string  { return "cn.rescue.request.stranded.v1" }
func (RequestHeld) EventType() string      { return "cn.rescue.request.held.v1" }
func (CrewDeparted) EventType() string     { return "cn.rescue.crew.departed.v1" }
func (ArrivalUnproven) EventType() string  { return "cn.rescue.arrival.unproven.v1" }
func (CrewArrived) EventType() string      { return "cn.rescue.crew.arrived.v1" }
func (RequestReleased) EventType() string  { return "cn.rescue.request.released.v1" }
func (RequestCancelled) EventType() string { return "cn.rescue.request.cancelled.v1" }
func (RequestFinished) EventType() string  { return "cn.rescue.request.finished.v1" }
func (RequestWarned) EventType() string    { return "cn.rescue.request.warned.v1" }
func (ArrivalForecast) EventType() string  { return "cn.rescue.arrival.forecast.v1" }
func (CrewPositioned) EventType() string   { return "cn.rescue.crew.positioned.v1" }
func (CrewChanged) EventType() string      { return "cn.rescue.crew.changed.v1" }

// Streams: requests by area, crews by crew.
func (e RequestOpened) Stream() (Topic, string)    { return TopicRequests, e.Area }
func (e RequestRefused) Stream() (Topic, string)   { return TopicRequests, e.IntakeID }
func (e OfferMade) Stream() (Topic, string)        { return TopicRequests, e.Area }
func (e OfferLapsed) Stream() (Topic, string)      { return TopicRequests, e.Area }
func (e RequestAssigned) Stream() (Topic, string)  { return TopicRequests, e.Area }
func (e RequestStranded) Stream() (Topic, string)  { return TopicRequests, e.Area }
func (e RequestHeld) Stream() (Topic, string)      { return TopicRequests, e.Area }
func (e CrewDeparted) Stream() (Topic, string)     { return TopicRequests, e.Area }
func (e ArrivalUnproven) Stream() (Topic, string)  { return TopicRequests, e.Area }
func (e CrewArrived) Stream() (Topic, string)      { return TopicRequests, e.Area }
func (e RequestReleased) Stream() (Topic, string)  { return TopicRequests, e.Area }
func (e RequestCancelled) Stream() (Topic, string) { return TopicRequests, e.Area }
func (e RequestFinished) Stream() (Topic, string)  { return TopicRequests, e.Area }
func (e RequestWarned) Stream() (Topic, string)    { return TopicRequests, e.Area }
func (e ArrivalForecast) Stream() (Topic, string)  { return TopicRequests, e.Area }
func (e CrewPositioned) Stream() (Topic, string)   { return TopicCrews, e.CrewID.String() }
func (e CrewChanged) Stream() (Topic, string)      { return TopicCrews, e.CrewID.String() }

// Subjects: the request, or the crew for what concerns a crew alone.
func (e RequestOpened) Subject() string    { return e.RequestID.String() }
func (e OfferMade) Subject() string        { return e.RequestID.String() }
func (e OfferLapsed) Subject() string      { return e.RequestID.String() }
func (e RequestAssigned) Subject() string  { return e.RequestID.String() }
func (e RequestStranded) Subject() string  { return e.RequestID.String() }
func (e RequestHeld) Subject() string      { return e.RequestID.String() }
func (e CrewDeparted) Subject() string     { return e.RequestID.String() }
func (e ArrivalUnproven) Subject() string  { return e.RequestID.String() }
func (e CrewArrived) Subject() string      { return e.RequestID.String() }
func (e RequestReleased) Subject() string  { return e.RequestID.String() }
func (e RequestCancelled) Subject() string { return e.RequestID.String() }
func (e RequestFinished) Subject() string  { return e.RequestID.String() }
func (e RequestWarned) Subject() string    { return e.RequestID.String() }
func (e ArrivalForecast) Subject() string  { return e.RequestID.String() }
func (e CrewPositioned) Subject() string   { return e.CrewID.String() }
func (e CrewChanged) Subject() string      { return e.CrewID.String() }

// Subject is the open request it repeats, else the CloudEvents id it came with.
func (e RequestRefused) Subject() string {
	if e.RequestID != nil {
		return e.RequestID.String()
	}
	return e.IntakeID
}
