package dispatch

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// Accept binds the crew of a pending offer to its request. Of two answers to
// one offer, the one that commits first counts; the other is ErrOfferGone, as
// is an answer after the offer's time, whether or not a sweep has noticed.
func (s *Service) Accept(ctx context.Context, by events.Actor, id events.OfferID) (r Request, err error) {
	defer fault.Wrap(&err, "accept %s", id)
	_, err = s.answer(ctx, by, id, func(tx pgx.Tx, m moment, req *Request, c *Crew, o *Offer) error {
		if !m.at.Before(o.ExpiresAt) {
			return ErrOfferGone.Detailf("The offer ran out at %s.", o.ExpiresAt.Format("15:04:05Z")).With("state", OfferExpired)
		}
		err := s.accept(ctx, tx, m, req, c, o)
		r = *req
		return err
	}, andStaff(events.RoleCrew, events.RoleProvider)...)
	return r, err
}

// Decline refuses a pending offer; the crew is not asked again for that
// request. A reason is needed: it is what the next offer learns from.
func (s *Service) Decline(ctx context.Context, by events.Actor, id events.OfferID, reason string) (o Offer, err error) {
	defer fault.Wrap(&err, "decline %s", id)
	return s.endOffer(ctx, by, id, OfferDecline, reason, andStaff(events.RoleCrew, events.RoleProvider)...)
}

// Withdraw takes a pending offer back; matching goes on with another crew.
func (s *Service) Withdraw(ctx context.Context, by events.Actor, id events.OfferID, reason string) (o Offer, err error) {
	defer fault.Wrap(&err, "withdraw %s", id)
	return s.endOffer(ctx, by, id, OfferWithdraw, reason, staff...)
}

func (s *Service) endOffer(ctx context.Context, by events.Actor, id events.OfferID, ev OfferEvent, reason string, roles ...events.Role) (Offer, error) {
	reason, err := checkReason(reason)
	if err != nil {
		return Offer{}, err
	}
	return s.answer(ctx, by, id, func(tx pgx.Tx, m moment, r *Request, c *Crew, o *Offer) error {
		return s.lapse(ctx, tx, m, r, c, o, ev, reason)
	}, roles...)
}

// expire ends an offer whose time is up. It is no error that somebody else
// was quicker.
func (s *Service) expire(ctx context.Context, id events.OfferID) (done bool, err error) {
	_, err = s.answer(ctx, events.System("sweep"), id, func(tx pgx.Tx, m moment, r *Request, c *Crew, o *Offer) error {
		if m.at.Before(o.ExpiresAt) {
			return nil
		}
		done = true
		return s.lapse(ctx, tx, m, r, c, o, OfferExpire, "no answer in time")
	}, events.RoleSystem)
	if fault.KindOf(err) == fault.Conflict {
		return false, nil
	}
	return done, err
}

// answer locks request, crew and offer, in this order, and lets do decide
// while the offer is pending.
func (s *Service) answer(ctx context.Context, by events.Actor, id events.OfferID,
	do func(tx pgx.Tx, m moment, r *Request, c *Crew, o *Offer) error, roles ...events.Role,
) (Offer, error) {
	if !by.Is(roles...) {
		return Offer{}, ErrForbidden
	}
	var o Offer
	var r Request
	var c Crew
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		// Which rows it is about never changes, so it may be read unlocked.
		if o, err = selectOffer(ctx, tx, id); err != nil {
			return err
		}
		if r, err = lockRequest(ctx, tx, o.Request); err != nil {
			return err
		}
		if c, err = lockCrew(ctx, tx, o.Crew); err != nil {
			return err
		}
		if mayCrew(by, &c, roles...) != nil {
			return ErrNoOffer
		}
		if o, err = lockOffer(ctx, tx, id); err != nil {
			return err
		}
		if o.State != OfferPending {
			return ErrOfferGone.With("state", o.State).With("request_id", o.Request)
		}
		return do(tx, moment{by, s.now()}, &r, &c, &o)
	})
	if err != nil {
		return Offer{}, err
	}
	s.committed(&r, &c)
	return o, nil
}

// accept steps request, crew and offer together.
func (s *Service) accept(ctx context.Context, tx pgx.Tx, m moment, r *Request, c *Crew, o *Offer) error {
	// The drive starts now, not when the offer was made.
	expected := o.ExpectedAt.Add(m.at.Sub(o.MadeAt))
	r.Crew, r.AssignedAt, r.ExpectedAt = c.ID, &m.at, &expected
	o.EndedAt = &m.at
	assigned := events.RequestAssigned{
		RequestID: r.ID, Area: string(r.Area), OfferID: o.ID, CrewID: c.ID, ProviderID: c.Provider, AssignedAt: m.at, ExpectedAt: expected,
	}
	if err := step(ctx, tx, m, r, RequestAccept, assigned); err != nil {
		return err
	}
	if err := step(ctx, tx, m, c, CrewAccept); err != nil {
		return err
	}
	return step(ctx, tx, m, o, OfferAccept)
}

// lapse ends a pending offer without an acceptance: the request is open
// again and the crew free.
func (s *Service) lapse(ctx context.Context, tx pgx.Tx, m moment, r *Request, c *Crew, o *Offer, ev OfferEvent, reason string) error {
	if err := s.dropOffer(ctx, tx, m, c, o, ev, reason); err != nil {
		return err
	}
	r.ExpectedAt = nil
	return step(ctx, tx, m, r, RequestLapse, o.lapsed(r, m))
}

// dropOffer ends a pending offer and frees its crew; what becomes of the
// request is the caller's to say. All three rows are locked by then, so the
// order of writing is free.
func (s *Service) dropOffer(ctx context.Context, tx pgx.Tx, m moment, c *Crew, o *Offer, ev OfferEvent, reason string) error {
	o.EndedAt, o.Reason = &m.at, reason
	if err := step(ctx, tx, m, o, ev); err != nil {
		return err
	}
	return step(ctx, tx, m, c, CrewLapse)
}

func (o *Offer) lapsed(r *Request, m moment) events.OfferLapsed {
	return events.OfferLapsed{
		OfferID: o.ID, RequestID: o.Request, Area: string(r.Area), CrewID: o.Crew,
		Outcome: string(o.State), Reason: o.Reason, LapsedAt: m.at,
	}
}

// offer makes an offer on locked, fitting rows; a crew that accepts by itself
// is assigned at once.
func (s *Service) offer(ctx context.Context, tx pgx.Tx, m moment, r *Request, c *Crew, o Offer) (Offer, error) {
	r.Round++
	o.ID, o.Version, o.State = events.NewID[events.OfferID](), 1, OfferPending
	o.Request, o.Crew, o.Round = r.ID, c.ID, r.Round
	o.MadeAt, o.ExpiresAt = m.at, m.at.Add(s.cfg.OfferTTL)
	o.ExpectedAt = o.ExpectedAt.Truncate(time.Microsecond) // as the database keeps it
	r.ExpectedAt, r.StrandedAt, r.StrandedWhy, r.Held = &o.ExpectedAt, nil, nil, nil
	made := events.OfferMade{
		OfferID: o.ID, RequestID: r.ID, Area: string(r.Area), CrewID: c.ID, MadeAt: o.MadeAt, ExpiresAt: o.ExpiresAt,
		TravelS: int(o.Travel.Seconds()), ExpectedAt: o.ExpectedAt, Metres: int(o.Metres), Reason: o.Why,
	}
	if err := step(ctx, tx, m, r, RequestOffer, made); err != nil {
		return o, err
	}
	if err := step(ctx, tx, m, c, CrewOffer); err != nil {
		return o, err
	}
	if err := insertOffer(ctx, tx, &o); err != nil {
		return o, err
	}
	if !c.AutoAccept {
		return o, nil
	}
	return o, s.accept(ctx, tx, m, r, c, &o)
}

// committed tells this replica at once what a transaction has changed, and
// has its consequences looked at.
func (s *Service) committed(r *Request, crews ...*Crew) {
	s.cfg.Wake()
	if r != nil && r.State.Waits() {
		s.queue.put(r.Area)
	}
	for _, c := range crews {
		s.fleet.learn(c)
		if c.State == CrewAvailable {
			s.queue.free(c.ID)
		}
	}
}

// checkReason wants a reason of one to 500 characters.
func checkReason(reason string) (string, error) {
	var c checker
	reason = c.text("reason", reason, 1, 500)
	return strings.TrimSpace(reason), c.err()
}
