package events

import "time"

// BatchChanged: a batch of payments was opened, filled, sealed, approved,
// submitted, answered line by line, settled or given up.
type BatchChanged struct {
	BatchID      BatchID   `json:"batch_id"`
	Event        string    `json:"event"` // open, add, remove, seal, approve, reject, discard, submit, resend, record or close
	State        string    `json:"state"` // draft, sealed, approved, submitted, settled or discarded
	Title        string    `json:"title"`
	Lines        int64     `json:"lines"`
	TotalFen     int64     `json:"total_fen"`
	Digest       string    `json:"digest,omitempty"` // SHA-256 of the sealed lines, hexadecimal
	PaidLines    int64     `json:"paid_lines"`
	PaidFen      int64     `json:"paid_fen"`
	BouncedLines int64     `json:"bounced_lines"`
	BouncedFen   int64     `json:"bounced_fen"`
	ChangedAt    time.Time `json:"changed_at"`
	Reason       string    `json:"reason,omitempty"`
}

// PayoutChanged: a submitted batch reached whoever pays it, or was given up.
type PayoutChanged struct {
	BatchID   BatchID   `json:"batch_id"`
	State     string    `json:"state"` // sent or failed
	Via       string    `json:"via"`   // file or webhook
	Key       string    `json:"key"`   // the idempotency key it is sent under, every time
	Attempts  int       `json:"attempts"`
	Lines     int64     `json:"lines"`
	TotalFen  int64     `json:"total_fen"`
	Digest    string    `json:"digest"` // SHA-256 of the sealed lines, hexadecimal
	Receipt   string    `json:"receipt,omitempty"`
	Failure   string    `json:"failure,omitempty"`
	ChangedAt time.Time `json:"changed_at"`
}

// EventType is the CloudEvents type.
func (BatchChanged) EventType() string  { return "cn.rescue.batch.changed.v1" }
func (PayoutChanged) EventType() string { return "cn.rescue.payout.changed.v1" }

// Stream is the topic of compensations, keyed by batch.
func (e BatchChanged) Stream() (Topic, string)  { return TopicCompensations, e.BatchID.String() }
func (e PayoutChanged) Stream() (Topic, string) { return TopicCompensations, e.BatchID.String() }

// Subject is the batch.
func (e BatchChanged) Subject() string  { return e.BatchID.String() }
func (e PayoutChanged) Subject() string { return e.BatchID.String() }
