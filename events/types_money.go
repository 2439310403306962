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

// StatementReconciled: what a bank or payment house says it paid on a day was
// taken in, to stand beside what our books say.
type StatementReconciled struct {
	ReconciliationID ReconciliationID `json:"reconciliation_id"`
	Source           string           `json:"source"` // whose statement it is
	Name             string           `json:"name,omitempty"`
	Day              string           `json:"day"` // business day, 2026-03-02
	Lines            int64            `json:"lines"`
	TotalFen         int64            `json:"total_fen"`
	Digest           string           `json:"digest"` // SHA-256 of its lines, hexadecimal
	ImportedAt       time.Time        `json:"imported_at"`
}

// DayChanged: somebody signed for what differs on a business day, or closed it.
type DayChanged struct {
	Day           string    `json:"day"`   // 2026-03-02
	State         string    `json:"state"` // signed or closed
	OursFen       int64     `json:"ours_fen"`
	TheirsFen     int64     `json:"theirs_fen"`
	Matched       int64     `json:"matched"`        // payments both have
	OursOnly      int64     `json:"ours_only"`      // payments no statement has
	TheirsOnly    int64     `json:"theirs_only"`    // payments our books do not have
	AmountsDiffer int64     `json:"amounts_differ"` // payments both have with different amounts
	ChangedAt     time.Time `json:"changed_at"`
	Reason        string    `json:"reason"`
}

// EventType is the CloudEvents type.
func (StatementReconciled) EventType() string { return "cn.rescue.statement.reconciled.v1" }
func (DayChanged) EventType() string          { return "cn.rescue.day.changed.v1" }

// Stream is the topic of compensations, keyed by business day.
func (e StatementReconciled) Stream() (Topic, string) { return TopicCompensations, "day_" + e.Day }
func (e DayChanged) Stream() (Topic, string)          { return TopicCompensations, "day_" + e.Day }

// Subject is the reconciliation, or the day.
func (e StatementReconciled) Subject() string { return e.ReconciliationID.String() }
func (e DayChanged) Subject() string          { return "day_" + e.Day }

// EventType is the CloudEvents type.
func (BatchChanged) EventType() string  { return "cn.rescue.batch.changed.v1" }
func (PayoutChanged) EventType() string { return "cn.rescue.payout.changed.v1" }

// Stream is the topic of compensations, keyed by batch.
func (e BatchChanged) Stream() (Topic, string)  { return TopicCompensations, e.BatchID.String() }
func (e PayoutChanged) Stream() (Topic, string) { return TopicCompensations, e.BatchID.String() }

// Subject is the batch.
func (e BatchChanged) Subject() string  { return e.BatchID.String() }
func (e PayoutChanged) Subject() string { return e.BatchID.String() }
