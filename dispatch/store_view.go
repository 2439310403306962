package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// The statements behind what is shown beside a request, an offer or a party.

// listCrewCards reads what owners see of crews.
func listCrewCards(ctx context.Context, db events.Querier, ids []events.CrewID) (map[events.CrewID]CrewCard, error) {
	cards := make(map[events.CrewID]CrewCard, len(ids))
	if len(ids) == 0 {
		return cards, nil
	}
	found, err := many(ctx, db, func(row pgx.CollectableRow) (c CrewCard, err error) {
		var plate string
		err = row.Scan(&c.ID, &c.Name, &plate, &c.Phone)
		if plate != "" {
			c.PlateMasked = MaskPlate(plate)
		}
		return c, err
	}, `SELECT id, name, plate, phone FROM dispatch.crews WHERE id = ANY($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("read crews: %w", err)
	}
	for _, c := range found {
		cards[c.ID] = c
	}
	return cards, nil
}

// listJobCards reads what a crew is told of requests before it takes them.
func listJobCards(ctx context.Context, db events.Querier, ids []events.RequestID) (map[events.RequestID]JobCard, error) {
	cards := make(map[events.RequestID]JobCard, len(ids))
	if len(ids) == 0 {
		return cards, nil
	}
	found, err := many(ctx, db, func(row pgx.CollectableRow) (j JobCard, err error) {
		err = row.Scan(&j.ID, &j.State, &j.Priority, &j.Problem, &j.Energy, &j.WeightClass, &j.Make, &j.Model,
			&j.Location.Lat, &j.Location.Lng, &j.Address, &j.RoadClass, &j.Direction, &j.Note, &j.DueAt)
		utc(&j.DueAt)
		return j, err
	}, `SELECT id, state, priority, problem, energy, weight_class, make, model,
			lat, lng, address, road_class, direction, note, due_at
		FROM dispatch.requests WHERE id = ANY($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	for _, j := range found {
		cards[j.ID] = j
	}
	return cards, nil
}

// listOffersOut reads every offer that is out, of one crew or of one
// provider's crews; zero identifiers do not narrow.
func listOffersOut(ctx context.Context, db events.Querier, crew events.CrewID, provider events.ProviderID) ([]Offer, error) {
	return many(ctx, db, scanOffer, `SELECT `+offerColumns+` FROM dispatch.offers
		WHERE state = 'pending' AND ($1::uuid IS NULL OR crew_id = $1)
		  AND ($2::uuid IS NULL OR crew_id IN (SELECT id FROM dispatch.crews WHERE provider_id = $2))
		ORDER BY expires_at, id`, crew, provider)
}

// listBound reads which request each crew has now, narrowed likewise.
func listBound(ctx context.Context, db events.Querier, crew events.CrewID, provider events.ProviderID) (map[events.CrewID]events.RequestID, error) {
	type pair struct {
		crew    events.CrewID
		request events.RequestID
	}
	pairs, err := many(ctx, db, func(row pgx.CollectableRow) (p pair, err error) {
		err = row.Scan(&p.crew, &p.request)
		return p, err
	}, `SELECT crew_id, id FROM dispatch.requests
		WHERE state IN ('assigned', 'en_route', 'on_scene') AND ($1::uuid IS NULL OR crew_id = $1)
		  AND ($2::uuid IS NULL OR crew_id IN (SELECT id FROM dispatch.crews WHERE provider_id = $2))`, crew, provider)
	if err != nil {
		return nil, fmt.Errorf("read the crews' requests: %w", err)
	}
	bound := make(map[events.CrewID]events.RequestID, len(pairs))
	for _, p := range pairs {
		bound[p.crew] = p.request
	}
	return bound, nil
}

// listProviderOf reads whose crews these are.
func listProviderOf(ctx context.Context, db events.Querier, ids []events.CrewID) (map[events.CrewID]events.ProviderID, error) {
	of := make(map[events.CrewID]events.ProviderID, len(ids))
	rows, err := db.Query(ctx, `SELECT id, provider_id FROM dispatch.crews WHERE id = ANY($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("read the crews' providers: %w", err)
	}
	var crew events.CrewID
	var provider events.ProviderID
	_, err = pgx.ForEachRow(rows, []any{&crew, &provider}, func() error {
		of[crew] = provider
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the crews' providers: %w", err)
	}
	return of, nil
}

// listProviders reads a page of providers, by identifier.
func listProviders(ctx context.Context, db events.Querier, only, after events.ProviderID, limit int) ([]Provider, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (p Provider, err error) {
		err = row.Scan(&p.ID, &p.Name, &p.Phone, &p.RegisteredAt)
		utc(&p.RegisteredAt)
		return p, err
	}, `SELECT id, name, phone, registered_at FROM dispatch.providers
		WHERE ($1::uuid IS NULL OR id = $1) AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3`, only, after, limit)
}

// listPartners reads a page of partners, by identifier.
func listPartners(ctx context.Context, db events.Querier, after events.PartnerID, limit int) ([]Partner, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (p Partner, err error) {
		err = row.Scan(&p.ID, &p.Name, &p.RegisteredAt)
		utc(&p.RegisteredAt)
		return p, err
	}, `SELECT id, name, registered_at FROM dispatch.partners
		WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// listProviderNames reads what these providers are called.
func listProviderNames(ctx context.Context, db events.Querier, ids []events.ProviderID) ([]Provider, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (p Provider, err error) {
		err = row.Scan(&p.ID, &p.Name)
		return p, err
	}, `SELECT id, name FROM dispatch.providers WHERE id = ANY($1)`, ids)
}

// listPartnerNames reads what these partners are called.
func listPartnerNames(ctx context.Context, db events.Querier, ids []events.PartnerID) ([]Partner, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (p Partner, err error) {
		err = row.Scan(&p.ID, &p.Name)
		return p, err
	}, `SELECT id, name FROM dispatch.partners WHERE id = ANY($1)`, ids)
}

// listBusyCrews is those of the crews that have a request, or had one that
// ended after the moment: only their fixes can prove anything.
func listBusyCrews(ctx context.Context, db events.Querier, ids []events.CrewID, since time.Time) ([]events.CrewID, error) {
	return many(ctx, db, pgx.RowTo[events.CrewID], `SELECT DISTINCT crew_id FROM dispatch.requests
		WHERE crew_id = ANY($1) AND (closed_at IS NULL OR closed_at >= $2) ORDER BY crew_id`, ids, since)
}
