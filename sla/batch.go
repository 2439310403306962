package sla

import (
	"time"

	"rescued/events"
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
	evRecord  BatchEvent = "record"
	evClose   BatchEvent = "close"
)

// batchTable is the lifecycle of a batch.
var batchTable = fsm.Table[BatchState, BatchEvent]{
	BatchDraft:     {evAdd: BatchDraft, evRemove: BatchDraft, evSeal: BatchSealed, evDiscard: BatchDiscarded},
	BatchSealed:    {evAgree: BatchApproved, evReject: BatchDiscarded},
	BatchApproved:  {evSubmit: BatchSubmitted},
	BatchSubmitted: {evRecord: BatchSubmitted, evClose: BatchSettled},
}

// Batch is a set of approved compensations paid together.
type Batch struct {
	ID       events.BatchID
	State    BatchState
	Version  int64
	Lines    int
	Total    Fen
	Digest   string // of the sealed lines
	OpenedAt time.Time
}
