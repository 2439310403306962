package sla

import (
	"time"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/fsm"
)

// BatchState is where a batch of payments stands.
type BatchState string

// The states of a batch.
const (
	BatchDraft     BatchState = "draft"     // compensations are added and removed
	BatchSealed    BatchState = "sealed"    // lines, total and digest are frozen
	BatchApproved  BatchState = "approved"  // a second person agreed
	BatchSubmitted BatchState = "submitted" // handed to whoever pays; results land line by line
	BatchSettled   BatchState = "settled"   // every line has its result
	BatchDiscarded BatchState = "discarded" // given up; its compensations wait for another
)

// BatchEvent moves a batch on.
type BatchEvent string

// The events of a batch.
const (
	evAdd     BatchEvent = "add"
	evRemove  BatchEvent = "remove"
	evSeal    BatchEvent = "seal"
	evDiscard BatchEvent = "discard"
	evAgree   BatchEvent = "approve"
	evReject  BatchEvent = "reject"
	evSubmit  BatchEvent = "submit"
	evResend  BatchEvent = "resend" // a payout that failed is tried again, under its own key
	evRecord  BatchEvent = "record"
	evClose   BatchEvent = "close"
)

// batchTable is the lifecycle of a batch.
var batchTable = fsm.Table[BatchState, BatchEvent]{
	BatchDraft:     {evAdd: BatchDraft, evRemove: BatchDraft, evSeal: BatchSealed, evDiscard: BatchDiscarded},
	BatchSealed:    {evAgree: BatchApproved, evReject: BatchDiscarded},
	BatchApproved:  {evSubmit: BatchSubmitted},
	BatchSubmitted: {evResend: BatchSubmitted, evRecord: BatchSubmitted, evClose: BatchSettled},
}

// BatchStates lists every state, for filters and documents.
func BatchStates() []BatchState {
	return []BatchState{BatchDraft, BatchSealed, BatchApproved, BatchSubmitted, BatchSettled, BatchDiscarded}
}

// Batch is a set of approved compensations paid together. From its sealing on
// its lines, total and digest are what they were.
type Batch struct {
	ID      events.BatchID
	State   BatchState
	Version int64
	Title   string // what finance calls it
	Lines   int64
	Total   Fen
	Digest  string // SHA-256 of the sealed lines, hexadecimal; see PayoutLine

	// What came back of it, line by line.
	Paid, Bounced Tally

	// Who did what, as role:subject, and why where a reason is asked for.
	CreatedBy, SealedBy, ApprovedBy, ApprovedWhy, SubmittedBy string
	EndedBy, EndedWhy                                         string // discarded, rejected or settled
	CreatedAt, SealedAt, ApprovedAt, SubmittedAt, EndedAt     time.Time
	ChangedAt                                                 time.Time

	releasedAt time.Time // when the lines of a discarded batch were free again
}

// Tally is a number of lines and their sum.
type Tally struct {
	Lines int64 `json:"lines"`
	Fen   Fen   `json:"fen"`
}

// Open is how many lines have no result yet, and their sum.
func (b Batch) Open() Tally {
	return Tally{b.Lines - b.Paid.Lines - b.Bounced.Lines, b.Total - b.Paid.Fen - b.Bounced.Fen}
}

// LineState is what became of a line.
type LineState string

// The states of a line.
const (
	LineOpen     LineState = "open"     // no result yet
	LinePaid     LineState = "paid"     // the money has arrived
	LineBounced  LineState = "bounced"  // it came back; the compensation waits for another batch
	LineReleased LineState = "released" // the batch was given up before it left
)

// BatchLine is one payment of a batch.
type BatchLine struct {
	PayoutLine
	Attempt int // the how manieth attempt to pay this compensation
	State   LineState
	PaidOn  time.Time // business date of the payment; zero unless paid
	Why     string    // of a bounce
}

// Errors of batches.
var (
	ErrNoBatch      = fault.New(fault.NotFound, "batch_not_found", "There is no such batch.")
	ErrNoLine       = fault.New(fault.NotFound, "batch_line_not_found", "The batch has no line for this compensation.")
	ErrEmptyBatch   = fault.New(fault.Conflict, "batch_empty", "The batch has no lines; add what is to be paid first.")
	ErrSecondPerson = fault.New(fault.Forbidden, "second_person", "Whoever opened or sealed a batch does not approve it; a second person must.")
	ErrBatchChanged = fault.New(fault.Conflict, "batch_changed", "The batch's lines are not those that were sealed; nothing was done. Have the database looked at before anything is paid.")
	ErrLinesOpen    = fault.New(fault.Conflict, "batch_lines_open", "Lines of the batch have no result yet; record them first.")
	ErrLineTaken    = fault.New(fault.Conflict, "compensation_in_batch", "This compensation is in a batch already.")
	ErrTooOften     = fault.New(fault.Conflict, "bounced_too_often", "This compensation has bounced 35 times; pay it another way and void it.")
	ErrDiffers      = fault.New(fault.Conflict, "verdict_differs", "The present verdict owes another amount than this; void it, or settle the difference by hand.")
	ErrKeyReused    = fault.New(fault.Unprocessable, "idempotency_key_reused", "This Idempotency-Key was used with another input; use a fresh key for a new request.")
)
