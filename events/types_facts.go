package events

import "time"

// FactRecorded: somebody recorded a fact of a request that bears on its
// promise, or a condition declared for its region does. What was said beside
// it stays with the service: it may name people.
type FactRecorded struct {
	RequestID  RequestID  `json:"request_id"`
	Area       string     `json:"area"`
	RecordID   RecordID   `json:"record_id"`
	Kind       string     `json:"kind"` // paused, condition, evidence, approved, withdrawn, located, scheduled, handed_over, mislocated, no_coverage or priced
	At         time.Time  `json:"at"`
	Until      *time.Time `json:"until,omitempty"`
	Source     string     `json:"source,omitempty"`    // of a pause, condition or evidence: which
	RefersTo   string     `json:"refers_to,omitempty"` // the record or condition it is part of or speaks of: fct_… or cnd_…
	Role       string     `json:"role"`
	RecordedAt time.Time  `json:"recorded_at"`
	Level      string     `json:"level,omitempty"` // of a weather alert
	Metres     int64      `json:"metres,omitempty"`
	Fen        int64      `json:"fen,omitempty"`
}

// DeadlineMoved: a pause, its end, or a late start moved the moment a promise
// is due, while nobody had arrived.
type DeadlineMoved struct {
	GuaranteeID GuaranteeID `json:"guarantee_id"`
	RequestID   RequestID   `json:"request_id"`
	Area        string      `json:"area"`
	DueAt       time.Time   `json:"due_at"`
	WasDueAt    time.Time   `json:"was_due_at"`
	MovedAt     time.Time   `json:"moved_at"`
	Reasons     []Reason    `json:"reasons"`
}

// ConditionDeclared: a condition holds for a region and a time, or what was
// said of it before is corrected. Of several tellings of one condition, the
// one of the highest revision holds.
type ConditionDeclared struct {
	ConditionID ConditionID `json:"condition_id"`
	Revision    int         `json:"revision"`
	Condition   string      `json:"condition"`       // weather_alert, closure, remote_area or storm_mode
	Level       string      `json:"level,omitempty"` // of a weather alert: blue, yellow, orange or red
	Areas       []string    `json:"areas"`           // empty: everywhere
	From        time.Time   `json:"from"`
	Until       *time.Time  `json:"until,omitempty"` // absent while it lasts
	Evidence    []string    `json:"evidence,omitempty"`
	DeclaredAt  time.Time   `json:"declared_at"`
}

// EventType is the CloudEvents type.
func (FactRecorded) EventType() string { return "cn.rescue.fact.recorded.v1" }

// EventType is the CloudEvents type.
func (DeadlineMoved) EventType() string { return "cn.rescue.deadline.moved.v1" }

// EventType is the CloudEvents type.
func (ConditionDeclared) EventType() string { return "cn.rescue.condition.declared.v1" }

// Stream is the topic of promises, keyed by request.
func (e FactRecorded) Stream() (Topic, string) { return TopicPromises, e.RequestID.String() }

// Stream is the topic of promises, keyed by request.
func (e DeadlineMoved) Stream() (Topic, string) { return TopicPromises, e.RequestID.String() }

// Stream is the topic of promises, keyed by condition.
func (e ConditionDeclared) Stream() (Topic, string) { return TopicPromises, e.ConditionID.String() }

// Subject is the request.
func (e FactRecorded) Subject() string { return e.RequestID.String() }

// Subject is the request.
func (e DeadlineMoved) Subject() string { return e.RequestID.String() }

// Subject is the condition.
func (e ConditionDeclared) Subject() string { return e.ConditionID.String() }
