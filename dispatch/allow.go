package dispatch

import (
	"context"
	"slices"

	"rescued/events"
	"rescued/geo"
)

// Who may do what. A role that may never do a thing is ErrForbidden; a thing
// that is not the caller's own does not exist for him.

// sees reports whether an actor may see a request. A crew sees the one it has
// or had last, and the one it is being asked for.
func (s *Service) sees(ctx context.Context, db events.Querier, by events.Actor, r *Request) error {
	var ok bool
	var err error
	switch by.Role {
	case events.RoleOperator, events.RoleAdmin, events.RoleFinance, events.RoleSystem:
		ok = true
	case events.RoleOwner:
		ok = by.Subject == r.Owner.String()
	case events.RolePartner:
		ok = by.Subject == r.Partner.String()
	case events.RoleCrew:
		if ok = by.Subject == r.Crew.String(); !ok && r.State == RequestOffered {
			ok, err = isAsked(ctx, db, r.ID, by.Subject)
		}
	case events.RoleProvider:
		if !r.Crew.IsZero() {
			var c Crew
			c, err = selectCrew(ctx, db, r.Crew)
			ok = c.Provider.String() == by.Subject
		}
	}
	if err == nil && !ok {
		err = ErrNoRequest
	}
	return err
}

func isAsked(ctx context.Context, db events.Querier, id events.RequestID, crew string) (ok bool, err error) {
	who, err := events.ParseID[events.CrewID](crew)
	if err != nil {
		return false, nil
	}
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM dispatch.offers
		WHERE request_id = $1 AND crew_id = $2 AND state = 'pending')`, id, who).Scan(&ok)
	return ok, err
}

// may checks a command on a request: one of the roles, and a request he sees.
func (s *Service) may(ctx context.Context, db events.Querier, by events.Actor, r *Request, roles ...events.Role) error {
	if !by.Is(roles...) {
		return ErrForbidden
	}
	return s.sees(ctx, db, by, r)
}

// mayCrew checks a command on a crew: the crew itself, its provider, or staff.
func mayCrew(by events.Actor, c *Crew, roles ...events.Role) error {
	if !by.Is(roles...) {
		return ErrForbidden
	}
	own := map[events.Role]string{events.RoleCrew: c.ID.String(), events.RoleProvider: c.Provider.String()}
	if subject, bound := own[by.Role]; bound && subject != by.Subject {
		return ErrNoCrew
	}
	return nil
}

// staff and system act for everybody.
var staff = []events.Role{events.RoleOperator, events.RoleAdmin, events.RoleSystem}

func andStaff(roles ...events.Role) []events.Role { return slices.Concat(roles, staff) }

func latLng(p geo.Point) events.LatLng { return events.LatLng{Lat: p.Lat, Lng: p.Lng} }
