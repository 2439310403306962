package dispatch

import (
	"context"

	"rescued/events"
	"rescued/geo"
)

// Read is one request as by may see it, for pages that show it beside the API.
// Its errors are those of Service.Request.
func (a *API) Read(ctx context.Context, by events.Actor, id events.RequestID) (RequestView, error) {
	r, err := a.svc.Request(ctx, by, id)
	if err != nil {
		return RequestView{}, err
	}
	return a.view(ctx, by, r)
}

// view writes one request for one reader, with its crew and its verdict.
func (a *API) view(ctx context.Context, by events.Actor, r Request) (RequestView, error) {
	views, err := a.views(ctx, by, []Request{r})
	if err != nil {
		return RequestView{}, err
	}
	v := views[0]
	if a.cfg.Verdicts != nil && !by.Is(events.RoleCrew) { // what an owner is paid is not for those who drive
		if v.Verdict, err = a.cfg.Verdicts.RequestVerdict(ctx, r.ID); err != nil {
			return RequestView{}, err
		}
	}
	return v, nil
}

// views writes requests with their crews, but without verdicts: a list is for
// finding, not for settling.
func (a *API) views(ctx context.Context, by events.Actor, requests []Request) ([]RequestView, error) {
	var crews []events.CrewID
	for _, r := range requests {
		if !r.Crew.IsZero() {
			crews = append(crews, r.Crew)
		}
	}
	cards, err := listCrewCards(ctx, a.svc.pool, crews)
	if err != nil {
		return nil, err
	}
	now := a.svc.now()
	views := make([]RequestView, len(requests))
	for i, r := range requests {
		views[i] = viewRequest(r, by, now)
		if views[i].ArrivalCode != "" { // whoever holds the code holds the link
			views[i].TrackingURL = a.cfg.PublicURL + "/r/" + a.svc.Link(r)
		}
		if card, ok := cards[r.Crew]; ok && r.State != RequestCancelled {
			views[i].Crew = a.showCrew(card, by, r)
		}
	}
	return views, nil
}

// showCrew completes a card for one reader: owners may call the crew, and see
// where it is, while it works for them.
func (a *API) showCrew(card CrewCard, by events.Actor, r Request) *CrewCard {
	if !r.State.Active() || by.Is(events.RoleFinance) {
		card.Phone = ""
		return &card
	}
	if fix, ok := a.svc.LastFix(card.ID); ok && a.svc.now().Sub(fix.At) <= a.svc.cfg.FreshFor {
		card.Position = viewFix(fix)
	}
	return &card
}

func viewFix(f Fix) *positionView {
	return &positionView{Lat: f.Point.Lat, Lng: f.Point.Lng, Datum: string(geo.WGS84), FixedAt: f.At, AccuracyM: f.Accuracy}
}

// PartyNames gives the names of providers and partners by their identifiers as
// they are written, for pages that show them beside the API. Whom nobody
// registered here, and what is no identifier of either, has none. Those of the
// desk see every name, a provider or partner its own; nobody else sees any.
func (a *API) PartyNames(ctx context.Context, by events.Actor, ids ...string) (map[string]string, error) {
	names := map[string]string{}
	var providers []events.ProviderID
	var partners []events.PartnerID
	for _, id := range ids {
		if !by.Is(events.RoleOperator, events.RoleFinance, events.RoleAdmin) && !(by.Is(events.RoleProvider, events.RolePartner) && id == by.Subject) {
			continue
		}
		if p, err := events.ParseID[events.ProviderID](id); err == nil {
			providers = append(providers, p)
		} else if p, err := events.ParseID[events.PartnerID](id); err == nil {
			partners = append(partners, p)
		}
	}
	if len(providers) > 0 {
		found, err := listProviderNames(ctx, a.svc.pool, providers)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			names[p.ID.String()] = p.Name
		}
	}
	if len(partners) > 0 {
		found, err := listPartnerNames(ctx, a.svc.pool, partners)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			names[p.ID.String()] = p.Name
		}
	}
	return names, nil
}
