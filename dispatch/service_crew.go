package dispatch

import (
	"bytes"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// RegisterProvider makes a company known that runs crews.
func (s *Service) RegisterProvider(ctx context.Context, by events.Actor, in NewProvider) (p Provider, err error) {
	defer fault.Wrap(&err, "register provider")
	if !by.Is(staff...) {
		return Provider{}, ErrForbidden
	}
	if p, err = in.Check(); err != nil {
		return Provider{}, err
	}
	p.ID, p.RegisteredAt = events.NewID[events.ProviderID](), s.now()
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error { return insertProvider(ctx, tx, by, &p) })
	if pg.Violates(err, "providers_idempotency") {
		was, err := selectProviderByKey(ctx, s.pool, by, p.key.key)
		was.Replayed = true
		return was, sameInput(err, was.key, p.key)
	}
	return p, err
}

// RegisterPartner makes a client known that opens requests for owners.
func (s *Service) RegisterPartner(ctx context.Context, by events.Actor, in NewPartner) (p Partner, err error) {
	defer fault.Wrap(&err, "register partner")
	if !by.Is(staff...) {
		return Partner{}, ErrForbidden
	}
	if p, err = in.Check(); err != nil {
		return Partner{}, err
	}
	p.ID, p.RegisteredAt = events.NewID[events.PartnerID](), s.now()
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error { return insertPartner(ctx, tx, by, &p) })
	if pg.Violates(err, "partners_idempotency") {
		was, err := selectPartnerByKey(ctx, s.pool, by, p.key.key)
		was.Replayed = true
		return was, sameInput(err, was.key, p.key)
	}
	return p, err
}

// RegisterCrew makes a crew known, off duty. A provider registers its own.
func (s *Service) RegisterCrew(ctx context.Context, by events.Actor, in NewCrew) (c Crew, err error) {
	defer fault.Wrap(&err, "register crew")
	if !by.Is(andStaff(events.RoleProvider)...) {
		return Crew{}, ErrForbidden
	}
	if by.Is(events.RoleProvider) {
		own, err := events.ParseID[events.ProviderID](by.Subject)
		if err != nil {
			return Crew{}, err
		}
		if !in.Provider.IsZero() && in.Provider != own {
			return Crew{}, ErrNoProvider
		}
		in.Provider = own
	}
	if c, err = in.Check(); err != nil {
		return Crew{}, err
	}
	m := moment{by, s.now()}
	c.ID, c.RegisteredAt = events.NewID[events.CrewID](), m.at
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		c.Version = 0
		c.changed(m.at)
		if err := insertCrew(ctx, tx, by, &c); err != nil {
			return err
		}
		return events.Append(ctx, tx, by, m.at, c.Version, c.facts(m.at)...)
	})
	switch {
	case pg.Violates(err, "crews_idempotency"):
		was, err := selectCrewByKey(ctx, s.pool, by, c.key.key)
		was.Replayed = true
		return was, sameInput(err, was.key, c.key)
	case pg.Violates(err, "crews_provider_id_fkey"):
		return Crew{}, ErrNoProvider
	case err == nil:
		s.committed(nil, &c)
	}
	return c, err
}

// sameInput checks that a repeated key came with the input it came with first.
func sameInput(err error, was, is idempotency) error {
	if err == nil && !bytes.Equal(was.hash, is.hash) {
		return ErrKeyReused
	}
	return err
}

// UpdateCrew changes what is known of a crew. version is the one the caller
// has seen, 0 any. A crew may only choose whether it accepts by itself; its
// provider and staff may change everything.
func (s *Service) UpdateCrew(ctx context.Context, by events.Actor, id events.CrewID, change CrewChange, version int64) (c Crew, err error) {
	defer fault.Wrap(&err, "update crew %s", id)
	if by.Is(events.RoleCrew) && change != (CrewChange{AutoAccept: change.AutoAccept}) {
		return Crew{}, ErrForbidden.Detailf("A crew may change auto_accept only; ask its provider for the rest.")
	}
	return s.changeCrew(ctx, by, id, version, func(tx pgx.Tx, m moment, c *Crew) error {
		if err := change.apply(c); err != nil {
			return err
		}
		return amend(ctx, tx, m, c)
	})
}

// StartShift puts a crew on duty. One that was going off after its present
// job stays on.
func (s *Service) StartShift(ctx context.Context, by events.Actor, id events.CrewID) (c Crew, err error) {
	defer fault.Wrap(&err, "start shift of %s", id)
	return s.changeCrew(ctx, by, id, 0, func(tx pgx.Tx, m moment, c *Crew) error {
		return step(ctx, tx, m, c, CrewStartShift)
	})
}

// EndShift takes a crew off duty: at once, or after its present job. A crew
// that is being asked answers first.
func (s *Service) EndShift(ctx context.Context, by events.Actor, id events.CrewID) (c Crew, err error) {
	defer fault.Wrap(&err, "end shift of %s", id)
	return s.changeCrew(ctx, by, id, 0, func(tx pgx.Tx, m moment, c *Crew) error {
		return step(ctx, tx, m, c, CrewEndShift)
	})
}

func (s *Service) changeCrew(ctx context.Context, by events.Actor, id events.CrewID, version int64,
	do func(tx pgx.Tx, m moment, c *Crew) error,
) (Crew, error) {
	roles := andStaff(events.RoleCrew, events.RoleProvider)
	if !by.Is(roles...) {
		return Crew{}, ErrForbidden
	}
	var c Crew
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		if c, err = lockCrew(ctx, tx, id); err != nil {
			return err
		}
		if err := mayCrew(by, &c, roles...); err != nil {
			return err
		}
		if version != 0 && version != c.Version {
			return ErrStale.With("version", c.Version)
		}
		return do(tx, moment{by, s.now()}, &c)
	})
	if err != nil {
		return Crew{}, err
	}
	s.committed(nil, &c)
	return c, nil
}

// Crew is one crew, for itself, its provider and staff.
func (s *Service) Crew(ctx context.Context, by events.Actor, id events.CrewID) (c Crew, err error) {
	defer fault.Wrap(&err, "crew %s", id)
	if c, err = selectCrew(ctx, s.pool, id); err != nil {
		return Crew{}, err
	}
	return c, mayCrew(by, &c, andStaff(events.RoleCrew, events.RoleProvider, events.RoleFinance)...)
}

// Crews lists crews: a provider's own, a crew itself, all for staff.
func (s *Service) Crews(ctx context.Context, by events.Actor, f CrewFilter) (list []Crew, err error) {
	defer fault.Wrap(&err, "list crews")
	switch {
	case by.Is(staff...):
	case by.Is(events.RoleProvider):
		own, err := events.ParseID[events.ProviderID](by.Subject)
		if err != nil {
			return nil, err
		}
		if !f.Provider.IsZero() && f.Provider != own {
			return nil, nil
		}
		f.Provider = own
	default:
		return nil, ErrForbidden
	}
	return listCrews(ctx, s.pool, f)
}

// Offers is what a crew is being asked now.
func (s *Service) Offers(ctx context.Context, by events.Actor, crew events.CrewID) (list []Offer, err error) {
	defer fault.Wrap(&err, "offers of %s", crew)
	if _, err := s.Crew(ctx, by, crew); err != nil {
		if errors.Is(err, ErrNoCrew) && by.Is(events.RoleCrew) {
			return nil, ErrNoCrew
		}
		return nil, err
	}
	return listOffersOf(ctx, s.pool, crew, pageSize(0))
}
