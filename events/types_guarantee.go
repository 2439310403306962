package events

import "time"

// GuaranteeArmed: a promise is being kept from now on.
type GuaranteeArmed struct {
	GuaranteeID GuaranteeID `json:"guarantee_id"`
	RequestID   RequestID   `json:"request_id"`
	Area        string      `json:"area"`
	ArmedAt     time.Time   `json:"armed_at"`
	Promise     Promise     `json:"promise"`
}

// GuaranteeAtRisk: the promise may be missed and can still be saved.
type GuaranteeAtRisk struct {
	GuaranteeID GuaranteeID `json:"guarantee_id"`
	RequestID   RequestID   `json:"request_id"`
	Area        string      `json:"area"`
	DueAt       time.Time   `json:"due_at"`
	NoticedAt   time.Time   `json:"noticed_at"`
	Reason      string      `json:"reason"`              // due_soon, or the first reason of RequestWarned
	RemedyZH    string      `json:"remedy_zh,omitempty"` // what could be done, in words
	RemedyEN    string      `json:"remedy_en,omitempty"`
}

// GuaranteeBreached: the deadline passed and nobody is known to have arrived.
// An alarm, not a verdict: news of an arrival in time still makes it met.
type GuaranteeBreached struct {
	GuaranteeID GuaranteeID `json:"guarantee_id"`
	RequestID   RequestID   `json:"request_id"`
	Area        string      `json:"area"`
	DueAt       time.Time   `json:"due_at"`
	NoticedAt   time.Time   `json:"noticed_at"`
}

// GuaranteeSettled: the verdict. A later one for the same guarantee replaces
// it, when an earlier proof or an annulled arrival comes to light.
type GuaranteeSettled struct {
	GuaranteeID GuaranteeID `json:"guarantee_id"`
	RequestID   RequestID   `json:"request_id"`
	Area        string      `json:"area"`
	Outcome     string      `json:"outcome"` // met, late, void or waived
	DueAt       time.Time   `json:"due_at"`
	StoppedAt   *time.Time  `json:"stopped_at,omitempty"` // arrival or cancellation
	LateS       int64       `json:"late_s"`
	OwedFen     int64       `json:"owed_fen"`
	Reasons     []Reason    `json:"reasons"`
}

// Reason is one line of an explanation, in both languages of the pages.
type Reason struct {
	At   *time.Time `json:"at,omitempty"`
	Code string     `json:"code"`
	ZH   string     `json:"zh"`
	EN   string     `json:"en"`
	Fen  int64      `json:"fen,omitempty"`
}

// CompensationAccrued: a late arrival is owed for.
type CompensationAccrued struct {
	CompensationID CompensationID `json:"compensation_id"`
	GuaranteeID    GuaranteeID    `json:"guarantee_id"`
	RequestID      RequestID      `json:"request_id"`
	Area           string         `json:"area"`
	Fen            int64          `json:"fen"`
	Policy         string         `json:"policy"`
	PolicyVersion  int            `json:"policy_version"`
	AccruedAt      time.Time      `json:"accrued_at"`
	Reasons        []Reason       `json:"reasons"`
}

// CompensationChanged: a compensation moved on in its life.
type CompensationChanged struct {
	CompensationID CompensationID `json:"compensation_id"`
	RequestID      RequestID      `json:"request_id"`
	Area           string         `json:"area"`
	State          string         `json:"state"` // approved, disputed, batched, paid or void
	Fen            int64          `json:"fen"`
	ChangedAt      time.Time      `json:"changed_at"`
	Reason         string         `json:"reason,omitempty"`
}

// CloudEvents types.
func (GuaranteeArmed) EventType() string      { return "cn.rescue.guarantee.armed.v1" }
func (GuaranteeAtRisk) EventType() string     { return "cn.rescue.guarantee.at_risk.v1" }
func (GuaranteeBreached) EventType() string   { return "cn.rescue.guarantee.breached.v1" }
func (GuaranteeSettled) EventType() string    { return "cn.rescue.guarantee.settled.v1" }
func (CompensationAccrued) EventType() string { return "cn.rescue.compensation.accrued.v1" }
func (CompensationChanged) EventType() string { return "cn.rescue.compensation.changed.v1" }

// Streams: by request.
func (e GuaranteeArmed) Stream() (Topic, string)    { return TopicPromises, e.RequestID.String() }
func (e GuaranteeAtRisk) Stream() (Topic, string)   { return TopicPromises, e.RequestID.String() }
func (e GuaranteeBreached) Stream() (Topic, string) { return TopicPromises, e.RequestID.String() }
func (e GuaranteeSettled) Stream() (Topic, string)  { return TopicPromises, e.RequestID.String() }
func (e CompensationAccrued) Stream() (Topic, string) {
	return TopicCompensations, e.RequestID.String()
}
func (e CompensationChanged) Stream() (Topic, string) {
	return TopicCompensations, e.RequestID.String()
}

// Subjects: the request.
func (e GuaranteeArmed) Subject() string      { return e.RequestID.String() }
func (e GuaranteeAtRisk) Subject() string     { return e.RequestID.String() }
func (e GuaranteeBreached) Subject() string   { return e.RequestID.String() }
func (e GuaranteeSettled) Subject() string    { return e.RequestID.String() }
func (e CompensationAccrued) Subject() string { return e.RequestID.String() }
func (e CompensationChanged) Subject() string { return e.RequestID.String() }
