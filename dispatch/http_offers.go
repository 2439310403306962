package dispatch

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

type offersInput struct {
	Crew events.CrewID `query:"crew" doc:"Whose; a crew's own token implies it. Left out, all that the caller may see."`
}

type offersBody struct {
	Items []OfferView `json:"items" nullable:"false"`
}

type offerOutput struct{ Body OfferView }

type declineInput struct {
	ID   events.OfferID `path:"id"`
	Body reasonBody
}

func (a *API) offerRoutes(api huma.API) {
	const tag = "offers"
	web.Register(api, operation(http.MethodGet, "/v1/offers", "listOffers", "Offers that wait for an answer", tag), web.Only(crewSideRoles...), a.offers)
	web.RegisterStream(api, operation(http.MethodGet, "/v1/offers/stream", "followOffers", "Offers and jobs of the caller's crews, live", tag),
		web.Only(crewSideRoles...), a.followOffers)
	web.Register(api, operation(http.MethodPost, "/v1/offers/{id}/accept", "acceptOffer", "Take the job", tag),
		web.Only(crewSideRoles...), func(ctx context.Context, in *offerPath) (*requestOutput, error) {
			r, err := a.svc.Accept(ctx, caller(ctx), in.ID)
			return a.answer(ctx, r, err)
		})
	web.Register(api, operation(http.MethodPost, "/v1/offers/{id}/decline", "declineOffer", "Refuse the job, with a reason", tag),
		web.Only(crewSideRoles...), a.ended(a.svc.Decline))
	web.Register(api, operation(http.MethodPost, "/v1/offers/{id}/withdraw", "withdrawOffer", "Take an offer back; matching goes on", tag),
		web.Only(staffRoles...), a.ended(a.svc.Withdraw))
}

// ended makes an operation of a command that ends an offer with a reason.
func (a *API) ended(command func(context.Context, events.Actor, events.OfferID, string) (Offer, error)) func(context.Context, *declineInput) (*offerOutput, error) {
	return func(ctx context.Context, in *declineInput) (*offerOutput, error) {
		o, err := command(ctx, caller(ctx), in.ID, in.Body.Reason)
		if err != nil {
			return nil, err
		}
		return &offerOutput{viewOffer(o)}, nil
	}
}

func (a *API) offers(ctx context.Context, in *offersInput) (*struct{ Body offersBody }, error) {
	crew, provider, err := crewScope(caller(ctx), in.Crew)
	if err != nil {
		return nil, err
	}
	items, err := a.offersOut(ctx, crew, provider)
	if err != nil {
		return nil, err
	}
	return &struct{ Body offersBody }{offersBody{items}}, nil
}

// crewScope says whose offers and jobs a caller may see: one crew's, one
// provider's, or everybody's; zero identifiers do not narrow. Another's crew
// looks like one without offers.
func crewScope(by events.Actor, asked events.CrewID) (crew events.CrewID, provider events.ProviderID, err error) {
	switch by.Role {
	case events.RoleCrew:
		crew, err = events.ParseID[events.CrewID](by.Subject)
		if err == nil && !asked.IsZero() && asked != crew {
			err = ErrNoCrew
		}
		return crew, provider, err
	case events.RoleProvider:
		provider, err = events.ParseID[events.ProviderID](by.Subject)
	}
	return asked, provider, err
}

// offersOut reads the offers that are out, each with its job.
func (a *API) offersOut(ctx context.Context, crew events.CrewID, provider events.ProviderID) ([]OfferView, error) {
	offers, err := listOffersOut(ctx, a.svc.pool, crew, provider)
	if err != nil {
		return nil, err
	}
	cards, err := listJobCards(ctx, a.svc.pool, mapped(offers, func(o Offer) events.RequestID { return o.Request }))
	if err != nil {
		return nil, err
	}
	return mapped(offers, func(o Offer) OfferView {
		v := viewOffer(o)
		if card, ok := cards[o.Request]; ok {
			v.Request = &card
		}
		return v
	}), nil
}
