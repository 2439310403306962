package sla

import (
	"time"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/fsm"
)

// ImportState is where an import of past rescues stands.
type ImportState string

// The states of an import.
const (
	ImportLoading  ImportState = "loading"  // rows are coming in; one that was interrupted goes on when the file is given again
	ImportLoaded   ImportState = "loaded"   // complete, and nothing of it is ever paid
	ImportPrepared ImportState = "prepared" // complete and meant to be paid: finance decides
	ImportApproved ImportState = "approved" // what its rescues owe accrues
	ImportRejected ImportState = "rejected" // it stays as history; nothing of it is paid
)

// ImportEvent moves an import on.
type ImportEvent string

// The events of an import.
const (
	evLoad          ImportEvent = "load"
	evPrepare       ImportEvent = "prepare"
	evApproveImport ImportEvent = "approve"
	evRejectImport  ImportEvent = "reject"
)

// importTable is the lifecycle of an import.
var importTable = fsm.Table[ImportState, ImportEvent]{
	ImportLoading:  {evLoad: ImportLoaded, evPrepare: ImportPrepared},
	ImportPrepared: {evApproveImport: ImportApproved, evRejectImport: ImportRejected},
}

// ImportStates lists every state, for filters and documents.
func ImportStates() []ImportState {
	return []ImportState{ImportLoading, ImportLoaded, ImportPrepared, ImportApproved, ImportRejected}
}

// ImportSpec says what is brought in and under which terms.
type ImportSpec struct {
	Source        string // names the system it comes from; references are unique within it
	File          string // name of the file, for people
	Digest        string // SHA-256 of the file, in hex
	Policy        string // promises and prices each rescue that names no policy of its own
	PolicyVersion int
	Payable       bool // what it owes is to be paid, once finance has approved
}

// Import is one file of past rescues that was brought in.
type Import struct {
	ID events.ImportID
	ImportSpec
	State   ImportState
	Version int64

	Rescues int // brought in by it
	Late    int // of them
	Owed    Fen // by their verdicts

	PreparedBy, DecidedBy, DecidedWhy string // as role:subject
	PreparedAt, DecidedAt             time.Time
	AccruedAt                         time.Time // when the last of an approved import had accrued; zero before
	ChangedAt                         time.Time

	accruedTo events.GuaranteeID
}

// Errors of imports.
var (
	ErrNoImport       = fault.New(fault.NotFound, "import_not_found", "There is no such import.")
	ErrImportFourEyes = fault.New(fault.Forbidden, "four_eyes", "Whoever prepared an import does not decide it; a second person must.")
	ErrPast           = fault.New(fault.Conflict, "past_rescue", "This rescue is history that was imported; it stands as its source told it.")
)

// PastRescue is one rescue as another system tells it. Times that are not
// known are zero.
type PastRescue struct {
	Reference     string            `json:"reference"` // what its source calls it
	CalledAt      time.Time         `json:"called_at"` // when the request was accepted
	Area          string            `json:"area"`
	Tier          string            `json:"tier"`
	RoadClass     string            `json:"road_class"`
	Problem       string            `json:"problem"`
	Kind          string            `json:"kind"` // the source's own word for what was wrong
	Priority      int               `json:"priority"`
	Product       string            `json:"product"`
	PriceFen      Fen               `json:"price_fen"` // what the rescue cost; 0 when not known
	Location      *events.LatLng    `json:"location"`
	PartnerID     events.PartnerID  `json:"partner_id"`
	Provider      string            `json:"provider"`    // the source's word for who was sent
	ProviderID    events.ProviderID `json:"provider_id"` // zero when it is none of ours
	VehicleKey    string            `json:"vehicle_key"` // stands for the car, whose month it is held against; no plate, and empty when not told
	Crew          string            `json:"crew"`        // the source's word for who came
	AssignedAt    time.Time         `json:"assigned_at"`
	ExpectedAt    time.Time         `json:"expected_at,omitzero"` // when the crew was expected as it took the job; left out, a rescue is what it was before there was this
	DepartedAt    time.Time         `json:"departed_at"`
	ArrivedAt     time.Time         `json:"arrived_at"`
	ArrivalSource string            `json:"arrival_source"` // what proves the arrival
	FreedAt       time.Time         `json:"freed_at"`
	CancelledAt   time.Time         `json:"cancelled_at"`
	Policy        string            `json:"policy"` // empty: the import's
	PolicyVersion int               `json:"policy_version"`
}

// RefusedRescue is a row that cannot be history, and why.
type RefusedRescue struct {
	Row    int // its place in what was given, from 0
	Fields []fault.Field
}

// ImportedRows is what came of some rows.
type ImportedRows struct {
	Added   int // brought in
	Known   int // brought in before, word for word
	Late    int // of the added
	Owed    Fen // by the added
	Refused []RefusedRescue
	// Owes is what each of the added owes, in fen, by its place in what was given.
	Owes map[int]Fen
	// Earlier counts the known by the import that brought them in.
	Earlier map[events.ImportID]int
}
