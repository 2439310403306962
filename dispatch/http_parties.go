package dispatch

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

type newProviderInput struct {
	web.Idempotent
	Body NewProvider
}

// Resolve implements huma.Resolver.
func (in *newProviderInput) Resolve(ctx huma.Context) []error {
	return alsoWrong(ctx, checked(in.Body.Check))
}

type newProviderOutput struct {
	web.Replay
	Body ProviderView
}

type newPartnerInput struct {
	web.Idempotent
	Body NewPartner
}

// Resolve implements huma.Resolver.
func (in *newPartnerInput) Resolve(ctx huma.Context) []error {
	return alsoWrong(ctx, checked(in.Body.Check))
}

type newPartnerOutput struct {
	web.Replay
	Body PartnerView
}

// partyRoutes are about those who run crews and those who open requests for
// owners.
func (a *API) partyRoutes(api huma.API) {
	const tag = "parties"
	web.Register(api, creating("/v1/providers", "registerProvider", "Register a company that runs crews", tag),
		web.Only(staffRoles...), func(ctx context.Context, in *newProviderInput) (*newProviderOutput, error) {
			in.Body.Key = in.Key
			p, err := a.svc.RegisterProvider(ctx, caller(ctx), in.Body)
			if err != nil {
				return nil, err
			}
			return &newProviderOutput{web.Replayed(p.Replayed), viewProvider(p)}, nil
		})
	web.Register(api, operation(http.MethodGet, "/v1/providers", "listProviders", "Providers; a provider sees itself", tag),
		web.Only(events.RoleProvider, events.RoleOperator, events.RoleFinance, events.RoleAdmin), a.providers)
	web.Register(api, creating("/v1/partners", "registerPartner", "Register a client that opens requests for owners", tag),
		web.Only(staffRoles...), func(ctx context.Context, in *newPartnerInput) (*newPartnerOutput, error) {
			in.Body.Key = in.Key
			p, err := a.svc.RegisterPartner(ctx, caller(ctx), in.Body)
			if err != nil {
				return nil, err
			}
			return &newPartnerOutput{web.Replayed(p.Replayed), viewPartner(p)}, nil
		})
	web.Register(api, operation(http.MethodGet, "/v1/partners", "listPartners", "Partners", tag),
		web.Only(events.RoleOperator, events.RoleFinance, events.RoleAdmin), a.partners)
}

func viewProvider(p Provider) ProviderView {
	return ProviderView{ID: p.ID, Name: p.Name, Phone: p.Phone, RegisteredAt: p.RegisteredAt}
}

func viewPartner(p Partner) PartnerView {
	return PartnerView{ID: p.ID, Name: p.Name, RegisteredAt: p.RegisteredAt}
}

func (a *API) providers(ctx context.Context, in *web.Listing) (*web.List[ProviderView], error) {
	var only, after events.ProviderID
	if by := caller(ctx); by.Is(events.RoleProvider) {
		own, err := events.ParseID[events.ProviderID](by.Subject)
		if err != nil {
			return nil, err
		}
		only = own
	}
	if _, err := web.DecodeCursor("providers", in.Cursor, &after); err != nil {
		return nil, err
	}
	found, err := listProviders(ctx, a.svc.pool, only, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	found, next := page("providers", found, in.Limit, func(p Provider) events.ProviderID { return p.ID })
	return web.Listed(ctx, mapped(found, viewProvider), next), nil
}

func (a *API) partners(ctx context.Context, in *web.Listing) (*web.List[PartnerView], error) {
	var after events.PartnerID
	if _, err := web.DecodeCursor("partners", in.Cursor, &after); err != nil {
		return nil, err
	}
	found, err := listPartners(ctx, a.svc.pool, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	found, next := page("partners", found, in.Limit, func(p Partner) events.PartnerID { return p.ID })
	return web.Listed(ctx, mapped(found, viewPartner), next), nil
}
