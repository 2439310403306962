package events

import "time"

// ExportMade: somebody took figures out of the house as a file, or began to
// and broke off. The digest is SHA-256 of the lines as plain CSV.
type ExportMade struct {
	ExportID   ExportID  `json:"export_id"`
	What       string    `json:"what"`   // compensations, guarantees, ledger, …
	Format     string    `json:"format"` // csv or xlsx
	Filter     string    `json:"filter"` // what was asked for, as a JSON object
	Lines      int64     `json:"lines"`
	TotalFen   int64     `json:"total_fen"`
	Digest     string    `json:"digest"` // SHA-256 in hexadecimal; empty when it broke off
	LedgerSeq  int64     `json:"ledger_seq"`
	LedgerHash string    `json:"ledger_hash"` // head of the ledger's chain at the time
	Failed     string    `json:"failed,omitempty"`
	MadeAt     time.Time `json:"made_at"`
}

func (ExportMade) EventType() string { return "cn.rescue.export.made.v1" }

// Stream: by export, among the money's topics.
func (e ExportMade) Stream() (Topic, string) { return TopicCompensations, e.ExportID.String() }

// Subject is the export.
func (e ExportMade) Subject() string { return e.ExportID.String() }

// ChargebackChanged: a part of a compensation was charged to somebody besides
// the platform, or that was taken back.
type ChargebackChanged struct {
	CompensationID CompensationID `json:"compensation_id"`
	RequestID      RequestID      `json:"request_id"`
	Area           string         `json:"area"`
	Bearer         string         `json:"bearer"`    // provider or partner
	BearerID       string         `json:"bearer_id"` // prv_… or ptn_…
	State          string         `json:"state"`     // charged or reversed
	Fen            int64          `json:"fen"`
	FaultPct       int            `json:"fault_pct"` // the provider's part of the fault
	ChangedAt      time.Time      `json:"changed_at"`
	Reason         string         `json:"reason,omitempty"` // why it was taken back
}

func (ChargebackChanged) EventType() string { return "cn.rescue.chargeback.changed.v1" }

// Stream: with the compensation, by request.
func (e ChargebackChanged) Stream() (Topic, string) { return TopicCompensations, e.RequestID.String() }

// Subject is the request.
func (e ChargebackChanged) Subject() string { return e.RequestID.String() }

// StatementChanged: a provider's or partner's monthly statement moved on.
type StatementChanged struct {
	StatementID     StatementID `json:"statement_id"`
	Bearer          string      `json:"bearer"`               // provider or partner
	BearerID        string      `json:"bearer_id"`            // prv_… or ptn_…
	ProviderID      ProviderID  `json:"provider_id,omitzero"` // the same, of a provider
	Month           string      `json:"month"`                // 2026-02
	State           string      `json:"state"`                // draft, issued, confirmed, invoiced, settled or discarded
	Services        int64       `json:"services"`
	FeesFen         int64       `json:"fees_fen"`         // owed to a provider; 0 for a partner
	ChargesFen      int64       `json:"charges_fen"`      // owed by a provider, or a partner's share
	CompensationFen int64       `json:"compensation_fen"` // what the owners are paid for that
	ChangedAt       time.Time   `json:"changed_at"`
	Reason          string      `json:"reason,omitempty"`
}

func (StatementChanged) EventType() string { return "cn.rescue.statement.changed.v1" }

// Stream: by statement, among the money's topics.
func (e StatementChanged) Stream() (Topic, string) { return TopicCompensations, e.StatementID.String() }

// Subject is the statement.
func (e StatementChanged) Subject() string { return e.StatementID.String() }

// StatementLineChanged: a line of a statement was disputed or decided, or its
// charge was taken back.
type StatementLineChanged struct {
	StatementID    StatementID    `json:"statement_id"`
	Bearer         string         `json:"bearer"`               // provider or partner
	BearerID       string         `json:"bearer_id"`            // prv_… or ptn_…
	ProviderID     ProviderID     `json:"provider_id,omitzero"` // the same, of a provider
	Line           int            `json:"line"`
	RequestID      RequestID      `json:"request_id"`
	CompensationID CompensationID `json:"compensation_id"`
	State          string         `json:"state"` // disputed, upheld, overturned or withdrawn
	Fen            int64          `json:"fen"`
	ChangedAt      time.Time      `json:"changed_at"`
	Reason         string         `json:"reason"`
}

func (StatementLineChanged) EventType() string { return "cn.rescue.statement.line_changed.v1" }

// Stream: with its statement.
func (e StatementLineChanged) Stream() (Topic, string) {
	return TopicCompensations, e.StatementID.String()
}

// Subject is the statement.
func (e StatementLineChanged) Subject() string { return e.StatementID.String() }
