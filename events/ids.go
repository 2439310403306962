package events

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"rescued/internal/fault"
)

// kind ties an identifier to the noun it names; its prefix is the written form's.
type kind interface{ prefix() string }

type (
	requestKind        struct{}
	crewKind           struct{}
	offerKind          struct{}
	guaranteeKind      struct{}
	compensationKind   struct{}
	batchKind          struct{}
	eventKind          struct{}
	ownerKind          struct{}
	providerKind       struct{}
	partnerKind        struct{}
	tokenKind          struct{}
	reconciliationKind struct{}
	importKind         struct{}
	recordKind         struct{}
	conditionKind      struct{}
	exportKind         struct{}
	statementKind      struct{}
)

func (requestKind) prefix() string        { return "req" }
func (crewKind) prefix() string           { return "crw" }
func (offerKind) prefix() string          { return "ofr" }
func (guaranteeKind) prefix() string      { return "gua" }
func (compensationKind) prefix() string   { return "cmp" }
func (batchKind) prefix() string          { return "bat" }
func (eventKind) prefix() string          { return "evt" }
func (ownerKind) prefix() string          { return "own" }
func (providerKind) prefix() string       { return "prv" }
func (partnerKind) prefix() string        { return "ptn" }
func (tokenKind) prefix() string          { return "tok" }
func (reconciliationKind) prefix() string { return "rec" }
func (importKind) prefix() string         { return "imp" }
func (recordKind) prefix() string         { return "fct" }
func (conditionKind) prefix() string      { return "cnd" }
func (exportKind) prefix() string         { return "exp" }
func (statementKind) prefix() string      { return "stm" }

// ID is a UUIDv7 that knows what it names. It is stored as uuid and written
// with the noun's prefix (req_0198…), so that one noun's identifier can never
// pass for another's, neither in Go nor on the wire.
type ID[K kind] struct{ u uuid.UUID }

// The identifiers of this system.
type (
	RequestID        = ID[requestKind]        // req_…
	CrewID           = ID[crewKind]           // crw_…
	OfferID          = ID[offerKind]          // ofr_…
	GuaranteeID      = ID[guaranteeKind]      // gua_…
	CompensationID   = ID[compensationKind]   // cmp_…
	BatchID          = ID[batchKind]          // bat_…
	EventID          = ID[eventKind]          // evt_…
	OwnerID          = ID[ownerKind]          // own_…
	ProviderID       = ID[providerKind]       // prv_…
	PartnerID        = ID[partnerKind]        // ptn_…
	TokenID          = ID[tokenKind]          // tok_…
	ReconciliationID = ID[reconciliationKind] // rec_…
	ImportID         = ID[importKind]         // imp_…
	RecordID         = ID[recordKind]         // fct_…
	ConditionID      = ID[conditionKind]      // cnd_…
	ExportID         = ID[exportKind]         // exp_…
	StatementID      = ID[statementKind]      // stm_…
)

// NewID makes a fresh identifier: events.NewID[events.RequestID]().
func NewID[T interface{ of(uuid.UUID) T }]() T {
	return IDFromUUID[T](uuid.Must(uuid.NewV7()))
}

// ParseID reads the written form: events.ParseID[events.RequestID]("req_…").
// Any other prefix, or no UUID behind it, is fault.Invalid.
func ParseID[T interface{ parse(string) (T, error) }](s string) (T, error) {
	var zero T
	return zero.parse(s)
}

// IDFromUUID names an existing UUID; the zero UUID stays the zero ID.
func IDFromUUID[T interface{ of(uuid.UUID) T }](u uuid.UUID) T {
	var zero T
	return zero.of(u)
}

func (ID[K]) of(u uuid.UUID) ID[K] { return ID[K]{u} }

func (id ID[K]) parse(s string) (ID[K], error) {
	var k K
	rest, ok := strings.CutPrefix(s, k.prefix()+"_")
	u, err := uuid.Parse(rest)
	if !ok || err != nil || len(rest) != 36 {
		return ID[K]{}, &fault.Error{
			Kind:   fault.Invalid,
			Code:   "invalid_id",
			Detail: fmt.Sprintf("%.60q is not an identifier of the form %s_ followed by a UUID.", s, k.prefix()),
		}
	}
	return id.of(u), nil
}

// IsZero reports whether the identifier names nothing.
func (id ID[K]) IsZero() bool { return id.u == uuid.Nil }

// IDPrefix is the noun's prefix in the written form, for schemas.
func (ID[K]) IDPrefix() string {
	var k K
	return k.prefix()
}

// UUID is the bare value, as stored.
func (id ID[K]) UUID() uuid.UUID { return id.u }

// String is the written form; the zero ID is the empty string.
func (id ID[K]) String() string {
	if id.IsZero() {
		return ""
	}
	var k K
	return k.prefix() + "_" + id.u.String()
}

// Compare orders identifiers; rows of one kind are locked in this order.
func (id ID[K]) Compare(other ID[K]) int {
	return strings.Compare(string(id.u[:]), string(other.u[:]))
}

// MarshalText writes the written form.
func (id ID[K]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the written form; empty text is the zero ID.
func (id *ID[K]) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID[K]{}
		return nil
	}
	parsed, err := id.parse(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// ScanUUID reads a uuid column; NULL is the zero ID.
func (id *ID[K]) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		*id = ID[K]{}
		return nil
	}
	id.u = v.Bytes
	return nil
}

// UUIDValue writes a uuid column; the zero ID is NULL.
func (id ID[K]) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: id.u, Valid: !id.IsZero()}, nil
}
