package sla

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// ChargebackBody is a chargeback as JSON.
type ChargebackBody struct {
	CompensationID events.CompensationID `json:"compensation_id"`
	RequestID      events.RequestID      `json:"request_id"`
	Area           string                `json:"area"`
	Bearer         Bearer                `json:"bearer" enum:"provider,partner"`
	BearerID       string                `json:"bearer_id" doc:"prv_… or ptn_…."`
	State          ChargebackState       `json:"state" enum:"charged,reversed"`
	Fen            Fen                   `json:"fen"`
	FaultPct       int                   `json:"fault_pct" doc:"The provider's part of the fault, in percent; 0 for a partner, who bears by agreement."`
	Attribution    Attribution           `json:"attribution" doc:"By whom the arrival was late, with the figures."`
	Policy         string                `json:"policy"`
	PolicyVersion  int                   `json:"policy_version"`
	ChargedAt      time.Time             `json:"charged_at"`
	ChangedAt      time.Time             `json:"changed_at"`
	ReversedWhy    string                `json:"reversed_why,omitempty"`
}

func chargebackBody(b Chargeback) ChargebackBody {
	return ChargebackBody{
		CompensationID: b.CompensationID, RequestID: b.RequestID, Area: b.Area, Bearer: b.Bearer, BearerID: b.BearerID(),
		State: b.State, Fen: b.Fen, FaultPct: b.FaultPct, Attribution: b.Attribution, Policy: b.Policy, PolicyVersion: b.PolicyVersion,
		ChargedAt: b.ChargedAt, ChangedAt: b.ChangedAt, ReversedWhy: b.ReversedWhy,
	}
}

// ownBearer is what a provider or partner may see: what it bears itself. For
// finance and administrators it is nothing narrower.
func ownBearer(by events.Actor) (Counterparty, error) {
	switch by.Role {
	case events.RoleFinance, events.RoleAdmin:
		return Counterparty{}, nil
	case events.RoleProvider:
		id, err := events.ParseID[events.ProviderID](by.Subject)
		return ProviderOf(id), err
	case events.RolePartner:
		id, err := events.ParseID[events.PartnerID](by.Subject)
		return PartnerOf(id), err
	}
	return Counterparty{}, forbidden(by)
}

// within reports whether what is asked for, where a zero value asks for any,
// includes c.
func (c Counterparty) within(bearer Bearer, id uuid.UUID) bool {
	return (bearer == "" || bearer == c.Bearer) && (id == uuid.Nil || id == c.ID)
}

// counterparty is whom a provider's or a partner's identifier means; zero when
// neither is given.
func counterparty(provider events.ProviderID, partner events.PartnerID) (c Counterparty, err error) {
	switch {
	case !provider.IsZero() && !partner.IsZero():
		err = errTwoBearers
	case !provider.IsZero():
		c = ProviderOf(provider)
	case !partner.IsZero():
		c = PartnerOf(partner)
	}
	return c, err
}

// own narrows a filter to what by may see.
func (f ChargebackFilter) own(by events.Actor) (ChargebackFilter, error) {
	own, err := ownBearer(by)
	if err == nil && own.Bearer != "" {
		if !own.within(f.Bearer, f.BearerID) {
			return f, ErrNoChargeback
		}
		f.Bearer, f.BearerID = own.Bearer, own.ID
	}
	return f, err
}

// Chargebacks lists what others were charged, by when, at most limit of those
// after the place where the page before ended. Finance and administrators see
// all, a provider or partner its own.
func (s *Service) Chargebacks(ctx context.Context, by events.Actor, f ChargebackFilter, after ChargebackPlace, limit int) (_ []Chargeback, err error) {
	defer fault.Wrap(&err, "chargebacks")
	if f, err = f.own(by); err != nil {
		return nil, err
	}
	return listChargebacks(ctx, s.pool, f, after, limit)
}

// TotalChargebacks says how many there are and what they come to.
func (s *Service) TotalChargebacks(ctx context.Context, by events.Actor, f ChargebackFilter) (_ Sum, err error) {
	defer fault.Wrap(&err, "total of chargebacks")
	if f, err = f.own(by); err != nil {
		return Sum{}, err
	}
	return sumOf(ctx, s.pool, `SELECT count(*), coalesce(sum(b.fen), 0)::bigint FROM sla.chargebacks b WHERE `+chargebackWhere, f.args())
}

// Attribution says by whom the arrival at a request was late, with the
// figures. Operators, finance and administrators may.
func (s *Service) Attribution(ctx context.Context, by events.Actor, id events.RequestID) (_ Attribution, err error) {
	defer fault.Wrap(&err, "attribution of %s", id)
	if !by.Is(promiseReaders...) {
		return Attribution{}, forbidden(by)
	}
	st, err := s.standing(ctx, id)
	if err != nil {
		return Attribution{}, err
	}
	facts, err := listFacts(ctx, s.pool, id)
	if err != nil {
		return Attribution{}, err
	}
	g := st.Guarantee
	policy, err := s.policy(ctx, s.pool, g.Promise.Policy, g.Promise.PolicyVersion)
	if err != nil {
		return Attribution{}, err
	}
	return policy.Attribute(g.timeline(facts), g.Verdict), nil
}

var errTwoBearers = fault.InvalidFields([]fault.Field{{Field: "partner_id", Code: "both", Detail: "is of another than provider_id; a charge and a statement are of one, so give one of the two"}})

type listChargebacksInput struct {
	web.Listing
	Totaling
	ProviderID     events.ProviderID     `query:"provider_id" doc:"Only those of this provider."`
	PartnerID      events.PartnerID      `query:"partner_id" doc:"Only those of this partner."`
	State          string                `query:"state" enum:"charged,reversed" doc:"Only those in this state."`
	CompensationID events.CompensationID `query:"compensation_id" doc:"Only those of this compensation."`
	RequestID      events.RequestID      `query:"request_id" doc:"Only those of this request."`
	From           time.Time             `query:"from" doc:"Charged at or after this moment."`
	To             time.Time             `query:"to" doc:"Charged before this moment."`
}

type attributionOutput struct{ Body Attribution }

func (s *Service) registerChargebacks(api huma.API) {
	op := operation("listChargebacks", http.MethodGet, "/v1/chargebacks",
		"List what others were charged, by when", "A provider bears its part of the fault, a partner its share; each sees its own alone.")
	op.Tags = []string{"Chargebacks"}
	web.Register(api, op, web.Only(events.RoleFinance, events.RoleAdmin, events.RoleProvider, events.RolePartner), s.listChargebacks)
	op = operation("readAttribution", http.MethodGet, "/v1/requests/{id}/attribution",
		"By whom an arrival was late", "The phases of the wait with what each was allowed, and each party's part in percent; empty while no promise is broken.")
	op.Tags = []string{"Chargebacks"}
	web.Register(api, op, web.Only(promiseReaders...), func(ctx context.Context, in *requestInput) (*attributionOutput, error) {
		by, _ := web.ActorFrom(ctx)
		a, err := s.Attribution(ctx, by, in.ID)
		if err != nil {
			return nil, err
		}
		return &attributionOutput{a}, nil
	})
}

func (s *Service) listChargebacks(ctx context.Context, in *listChargebacksInput) (*totaled[ChargebackBody], error) {
	by, _ := web.ActorFrom(ctx)
	if err := checkPeriod(in.From, in.To); err != nil {
		return nil, err
	}
	of, err := counterparty(in.ProviderID, in.PartnerID)
	if err != nil {
		return nil, err
	}
	f := ChargebackFilter{
		Bearer: of.Bearer, BearerID: of.ID, State: ChargebackState(in.State), CompensationID: in.CompensationID, RequestID: in.RequestID, From: in.From, To: in.To,
	}
	list, err := listed(ctx, "chargebacks", in.Listing, func(_ events.Actor, after ChargebackPlace, limit int) ([]Chargeback, error) {
		return s.Chargebacks(ctx, by, f, after, limit)
	}, chargebackBody, func(b Chargeback) ChargebackPlace { return ChargebackPlace{b.ChargedAt, b.CompensationID, b.ID} })
	if err != nil {
		return nil, err
	}
	return totaledList(in.Totaling, list, func() (Sum, error) {
		return s.TotalChargebacks(ctx, by, f)
	})
}
