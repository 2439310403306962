package events

import "time"

// HistoryImported: a past rescue was brought in from another system or from a
// simulation, with all that is known of it. It is history and never live:
// nobody is to be sent, warned or told of it.
type HistoryImported struct {
	ImportID   ImportID    `json:"import_id"`
	RequestID  RequestID   `json:"request_id"`
	Source     string      `json:"source"`    // where it comes from, as the import says
	Reference  string      `json:"reference"` // what it is called there; unique within the source
	Area       string      `json:"area"`
	Tier       string      `json:"tier"` // urban or county
	OpenedAt   time.Time   `json:"opened_at"`
	Priority   int         `json:"priority"` // 0 danger to life, 1 exposed, 2 normal
	Problem    string      `json:"problem"`
	Kind       string      `json:"kind,omitempty"` // the source's own word for what was wrong
	RoadClass  string      `json:"road_class"`
	VehicleKey string      `json:"vehicle_key,omitempty"` // the same for the same car; a keyed digest, no plate
	Location   *LatLng     `json:"location,omitempty"`
	Product    string      `json:"product,omitempty"`
	Promise    Promise     `json:"promise"` // as its policy would have promised then
	PartnerID  *PartnerID  `json:"partner_id,omitempty"`
	Provider   string      `json:"provider,omitempty"` // the source's word for who was sent
	ProviderID *ProviderID `json:"provider_id,omitempty"`
	Payable    bool        `json:"payable"` // what it owes is paid once finance has approved the import
	Facts      []PastFact  `json:"facts"`
	ImportedAt time.Time   `json:"imported_at"`
}

// PastFact is one thing that happened to a past rescue.
type PastFact struct {
	Kind       string      `json:"kind"` // offered, assigned, departed, arrived, cancelled, finished or priced
	At         time.Time   `json:"at"`
	Until      *time.Time  `json:"until,omitempty"`
	CrewID     *CrewID     `json:"crew_id,omitempty"`
	ProviderID *ProviderID `json:"provider_id,omitempty"` // of an assignment: whose crew it is
	Source     string      `json:"source,omitempty"`      // of an arrival: what proves it
	Fen        int64       `json:"fen,omitempty"`         // of a price
}

// ImportChanged: an import of past rescues moved on in its life.
type ImportChanged struct {
	ImportID  ImportID  `json:"import_id"`
	Source    string    `json:"source"`
	State     string    `json:"state"`  // loading, loaded, prepared, approved or rejected
	Digest    string    `json:"digest"` // SHA-256 of the file, in hex
	Payable   bool      `json:"payable"`
	Rescues   int       `json:"rescues"`
	Late      int       `json:"late"`
	OwedFen   int64     `json:"owed_fen"` // by the verdicts of its rescues
	ChangedAt time.Time `json:"changed_at"`
	Reason    string    `json:"reason,omitempty"`
}

// EventType is the CloudEvents type.
func (HistoryImported) EventType() string { return "cn.rescue.history.imported.v1" }

// EventType is the CloudEvents type.
func (ImportChanged) EventType() string { return "cn.rescue.import.changed.v1" }

// Stream keeps history on a topic of its own, so that no consumer of live
// rescues ever meets it.
func (e HistoryImported) Stream() (Topic, string) { return TopicHistory, e.Area }

// Stream is the topic of history, keyed by import.
func (e ImportChanged) Stream() (Topic, string) { return TopicHistory, e.ImportID.String() }

// Subject is the past request.
func (e HistoryImported) Subject() string { return e.RequestID.String() }

// Subject is the import.
func (e ImportChanged) Subject() string { return e.ImportID.String() }
