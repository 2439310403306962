package sla

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/fsm"
)

// Bearer is who, besides the platform, bears a part of a compensation. It is
// always an organisation: nothing is ever charged to a technician.
type Bearer string

// The bearers.
const (
	BearerProvider Bearer = "provider" // in as far as the fault was its
	BearerPartner  Bearer = "partner"  // by agreement, whoever's the fault
)

// BearerKinds lists both, for filters and forms.
func BearerKinds() []Bearer { return []Bearer{BearerProvider, BearerPartner} }

// ChargebackState is where a chargeback stands.
type ChargebackState string

// The states of a chargeback.
const (
	Charged  ChargebackState = "charged"
	Reversed ChargebackState = "reversed" // taken back, in the books by a linked reversal
)

// ChargebackEvent moves a chargeback on.
type ChargebackEvent string

const evReverse ChargebackEvent = "reverse"

// chargebackTable is the lifecycle of a chargeback.
var chargebackTable = fsm.Table[ChargebackState, ChargebackEvent]{
	Charged: {evReverse: Reversed},
}

// Counterparty is one bearer: whom charges are settled with.
type Counterparty struct {
	Bearer Bearer
	ID     uuid.UUID // of the provider or partner
}

// ProviderOf is a provider as a counterparty.
func ProviderOf(id events.ProviderID) Counterparty { return Counterparty{BearerProvider, id.UUID()} }

// PartnerOf is a partner as a counterparty.
func PartnerOf(id events.PartnerID) Counterparty { return Counterparty{BearerPartner, id.UUID()} }

// BearerID is its identifier as it is written, prv_… or ptn_….
func (c Counterparty) BearerID() string {
	if c.Bearer == BearerPartner {
		return events.IDFromUUID[events.PartnerID](c.ID).String()
	}
	return events.IDFromUUID[events.ProviderID](c.ID).String()
}

// provider is its identifier as a provider's; zero for a partner.
func (c Counterparty) provider() (id events.ProviderID) {
	if c.Bearer == BearerProvider {
		id = events.IDFromUUID[events.ProviderID](c.ID)
	}
	return id
}

// account is where the ledger keeps what it owes.
func (c Counterparty) account() Account {
	if c.Bearer == BearerPartner {
		return PartnerShare
	}
	return ProviderReceivable
}

// is reports whether by acts for it.
func (c Counterparty) is(by events.Actor) bool {
	return by.Is(events.Role(c.Bearer)) && by.Subject == c.BearerID()
}

// counterparties are the roles that see what they are charged, and nothing of
// anybody else.
var counterparties = []events.Role{events.RoleProvider, events.RolePartner}

// Charge is what a bearer bears of a compensation.
type Charge struct {
	Counterparty
	Fen      Fen
	FaultPct int // its part of the fault; 0 for a partner
}

// Charges is what others bear of a compensation of fen; the platform bears
// the rest. A provider bears its part of the fault of what the policy lets
// providers bear, and no more than the service fee when that caps it. A
// partner bears its share of its own requests. Fen are rounded down, in the
// bearers' favour.
func (p Policy) Charges(fen Fen, partner events.PartnerID, a Attribution) (list []Charge) {
	b := p.Bearers
	for _, f := range a.Faults {
		if f.Party != PartyProvider {
			continue
		}
		part := percent(percent(fen, b.ProviderPct), f.Pct)
		if b.CapByServiceFee {
			part = min(part, b.ServiceFeeFen)
		}
		if part > 0 {
			list = append(list, Charge{ProviderOf(f.ProviderID), part, f.Pct})
		}
	}
	if share := percent(fen, b.PartnerPct); share > 0 && !partner.IsZero() {
		list = append(list, Charge{PartnerOf(partner), share, 0})
	}
	return list
}

// shared reports whether others may bear a part of what the policy owes.
func (p Policy) shared() bool { return p.Bearers.ProviderPct != 0 || p.Bearers.PartnerPct != 0 }

// Chargeback is a charge as it stands.
type Chargeback struct {
	Charge
	CompensationID events.CompensationID
	RequestID      events.RequestID
	Area           string
	State          ChargebackState
	Version        int64
	Attribution    Attribution
	Policy         string
	PolicyVersion  int
	ChargedAt      time.Time
	ChangedAt      time.Time
	ReversedBy     string
	ReversedWhy    string
}

// entries are what charging books: what the bearer owes is no expense.
func (c Charge) entries() []entry {
	return []entry{{c.account(), c.Fen}, {CompensationExpense, -c.Fen}}
}

func (c Chargeback) key() string {
	return fmt.Sprintf("chargeback:%s:%s", c.CompensationID, c.BearerID())
}

func (c Chargeback) told(now time.Time) events.Event {
	return events.ChargebackChanged{
		CompensationID: c.CompensationID, RequestID: c.RequestID, Area: c.Area, Bearer: string(c.Bearer), BearerID: c.BearerID(),
		State: string(c.State), Fen: int64(c.Fen), FaultPct: c.FaultPct, ChangedAt: now, Reason: c.ReversedWhy,
	}
}

// ErrNoChargeback means that nothing of this was charged to anybody, or
// nothing to this caller.
var ErrNoChargeback = fault.New(fault.NotFound, "chargeback_not_found", "There is no such chargeback.")

// parsed keeps policies by their documents, which say all there is to them.
var parsed sync.Map

// policyStored gives a stored policy to what has no service at hand.
func policyStored(ctx context.Context, db events.Querier, name string, version int) (Policy, error) {
	stored, err := findPolicy(ctx, db, name, version)
	if err != nil {
		return Policy{}, err
	}
	if p, ok := parsed.Load(stored.document); ok {
		return p.(Policy), nil
	}
	p, err := ParsePolicy([]byte(stored.document))
	if err == nil {
		parsed.Store(stored.document, p)
	}
	return p, err
}

// attributed is the attribution of what is known, by the verdict that this
// leads to: whoever knows the same comes to the same.
func (p Policy) attributed(t Timeline) Attribution { return p.Attribute(t, p.Owed(t)) }

// chargeBack charges others what they bear of compensations that have been
// approved; they are locked. Each is attributed once, by what is known at its
// first approval: were it attributed anew after a dispute, two providers could
// be charged the whole of one fault.
func chargeBack(ctx context.Context, tx pgx.Tx, list []Compensation, by events.Actor, now time.Time) error {
	borne, policies, err := borneByOthers(ctx, tx, list)
	if err != nil || len(borne) == 0 {
		return err
	}
	requests := make([]events.RequestID, len(borne))
	for i, c := range borne {
		requests[i] = c.RequestID
	}
	guarantees, err := findGuarantees(ctx, tx, requests)
	if err != nil {
		return err
	}
	known, err := findKnown(ctx, tx, requests)
	if err != nil {
		return err
	}
	fresh, err := insertAttributions(ctx, tx, borne, known, now)
	if err != nil {
		return err
	}
	var charges []Chargeback
	for i, c := range borne {
		if !fresh[c.ID] {
			continue
		}
		g := guarantees[c.RequestID]
		a := policies[i].attributed(g.timeline(known[c.RequestID].facts))
		for _, charge := range policies[i].Charges(c.Fen, g.PartnerID, a) {
			charges = append(charges, Chargeback{
				Charge: charge, CompensationID: c.ID, RequestID: c.RequestID, Area: c.Area, State: Charged, Version: 1,
				Attribution: a, Policy: c.Policy, PolicyVersion: c.PolicyVersion, ChargedAt: now, ChangedAt: now,
			})
		}
	}
	added, err := insertChargebacks(ctx, tx, charges)
	if err != nil {
		return err
	}
	postings, told := make([]posting, len(added)), make([]events.Event, len(added))
	for i, b := range added {
		p, err := newPosting(b.key(), "chargeback", by, now, b.entries()...)
		if err != nil {
			return err
		}
		p.compensation = b.CompensationID
		postings[i], told[i] = p, b.told(now)
	}
	if err := insertPostings(ctx, tx, postings...); err != nil {
		return err
	}
	return events.Append(ctx, tx, by, now, 1, told...)
}

// borneByOthers are the compensations of which a policy lets others bear a
// part, each with its policy.
func borneByOthers(ctx context.Context, tx pgx.Tx, list []Compensation) (borne []Compensation, policies []Policy, err error) {
	known := map[policyKey]Policy{}
	for _, c := range list {
		key := policyKey{c.Policy, c.PolicyVersion}
		policy, ok := known[key]
		if !ok {
			if policy, err = policyStored(ctx, tx, c.Policy, c.PolicyVersion); err != nil {
				return nil, nil, err
			}
			known[key] = policy
		}
		if policy.shared() {
			borne, policies = append(borne, c), append(policies, policy)
		}
	}
	return borne, policies, nil
}

// reverseCharges takes back all that others were charged for a compensation
// that is void; c is locked.
func reverseCharges(ctx context.Context, tx pgx.Tx, c Compensation, by events.Actor, why string, now time.Time) error {
	list, err := lockChargebacks(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	for _, b := range list {
		if b.State == Reversed {
			continue // its bearer had won his dispute
		}
		if err := reverseCharge(ctx, tx, b, by, why, now); err != nil {
			return err
		}
		if err := withdrawLine(ctx, tx, b, by, why, now); err != nil {
			return err
		}
	}
	return nil
}

// reverseCharge takes a locked chargeback back, in the books as well.
func reverseCharge(ctx context.Context, tx pgx.Tx, b Chargeback, by events.Actor, why string, now time.Time) error {
	next, err := chargebackTable.Next(b.State, evReverse)
	if err != nil {
		return err
	}
	b.State, b.Version, b.ChangedAt, b.ReversedBy, b.ReversedWhy = next, b.Version+1, now, by.String(), why
	if err := updateChargeback(ctx, tx, b); err != nil {
		return err
	}
	charged, err := findPosting(ctx, tx, b.key())
	if err != nil {
		return fmt.Errorf("the posting of %s: %w", b.key(), err)
	}
	if err := insertPostings(ctx, tx, charged.reversal(b.key()+":reversal", "chargeback_reversal", by, now)); err != nil {
		return err
	}
	return events.Append(ctx, tx, by, now, b.Version, b.told(now))
}
