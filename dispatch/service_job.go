package dispatch

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// job is a request with the crew that is bound to it, both locked.
type job struct {
	Request
	crew *Crew // nil when none is bound
}

// change locks a request and the crew bound to it, in this order, checks who
// asks and which version he has in mind (0: any), and lets do decide.
func (s *Service) change(ctx context.Context, by events.Actor, id events.RequestID, version int64,
	roles []events.Role, do func(tx pgx.Tx, m moment, j *job) error,
) (Request, error) {
	if !by.Is(roles...) {
		return Request{}, ErrForbidden
	}
	var j job
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		j = job{}
		if j.Request, err = lockRequest(ctx, tx, id); err != nil {
			return err
		}
		if err := s.may(ctx, tx, by, &j.Request, roles...); err != nil {
			return err
		}
		if version != 0 && version != j.Version {
			return ErrStale.With("version", j.Version)
		}
		if j.State.Active() {
			c, err := lockCrew(ctx, tx, j.Crew)
			if err != nil {
				return err
			}
			j.crew = &c
		}
		return do(tx, moment{by, s.now()}, &j)
	})
	if err != nil {
		return Request{}, err
	}
	var crews []*Crew
	if j.crew != nil {
		crews = append(crews, j.crew)
	}
	s.committed(&j.Request, crews...)
	return j.Request, nil
}

// Cancel calls a request off, at any stage before its end. A crew that was
// asked or bound is free again. version is the one the caller has seen, 0 any.
func (s *Service) Cancel(ctx context.Context, by events.Actor, id events.RequestID, reason string, version int64) (r Request, err error) {
	defer fault.Wrap(&err, "cancel %s", id)
	if reason, err = checkReason(reason); err != nil {
		return Request{}, err
	}
	return s.change(ctx, by, id, version, andStaff(events.RoleOwner, events.RolePartner), func(tx pgx.Tx, m moment, j *job) error {
		cancelled := events.RequestCancelled{
			RequestID: j.ID, Area: string(j.Area), CancelledAt: m.at, Reason: reason, FromState: string(j.State),
		}
		if j.crew != nil {
			crew := j.crew.ID
			cancelled.CrewID = &crew
		}
		evs := []events.Event{cancelled}
		if j.State == RequestOffered {
			o, err := s.retract(ctx, tx, m, j, "the request was cancelled")
			if err != nil {
				return err
			}
			evs = []events.Event{o.lapsed(&j.Request, m), cancelled}
		}
		if j.crew != nil && j.crew.State.Busy() {
			if err := step(ctx, tx, m, j.crew, CrewRelease); err != nil {
				return err
			}
		}
		j.ClosedAt, j.Reason, j.StrandedAt, j.StrandedWhy, j.Held = &m.at, reason, nil, nil, nil
		return step(ctx, tx, m, &j.Request, RequestCancel, evs...)
	})
}

// retract withdraws the pending offer of a locked request and frees the crew
// that was asked, which it leaves in j.crew.
func (s *Service) retract(ctx context.Context, tx pgx.Tx, m moment, j *job, reason string) (Offer, error) {
	o, err := selectPending(ctx, tx, j.ID)
	if err != nil {
		return o, err
	}
	c, err := lockCrew(ctx, tx, o.Crew)
	if err != nil {
		return o, err
	}
	if o, err = lockOffer(ctx, tx, o.ID); err != nil {
		return o, err
	}
	j.crew = &c
	return o, s.dropOffer(ctx, tx, m, &c, &o, OfferWithdraw, reason)
}

// Release takes the crew off a request, which is open again; that crew is not
// asked for it again. The crew itself, its provider or staff may do so.
func (s *Service) Release(ctx context.Context, by events.Actor, id events.RequestID, reason string, version int64) (Request, error) {
	return s.ReleaseFor(ctx, by, id, "", reason, version)
}

// ReleaseFor is Release with a cause, which staff alone names: nobody puts his
// own fault down to others.
func (s *Service) ReleaseFor(ctx context.Context, by events.Actor, id events.RequestID, cause ReleaseCause, reason string, version int64) (r Request, err error) {
	defer fault.Wrap(&err, "release %s", id)
	if reason, err = checkRelease(reason, cause); err != nil {
		return Request{}, err
	}
	may := andStaff(events.RoleCrew, events.RoleProvider)
	if cause != "" {
		may = staff
	}
	return s.change(ctx, by, id, version, may, func(tx pgx.Tx, m moment, j *job) error {
		return s.release(ctx, tx, m, j, cause, reason)
	})
}

func (s *Service) release(ctx context.Context, tx pgx.Tx, m moment, j *job, cause ReleaseCause, reason string) error {
	if j.crew == nil {
		if _, err := RequestLife.Next(j.State, RequestRelease); err != nil {
			return err
		}
		return ErrNoCrewBound
	}
	released := events.RequestReleased{
		RequestID: j.ID, Area: string(j.Area), CrewID: j.crew.ID, ReleasedAt: m.at, Reason: reason, FromState: string(j.State), Cause: string(cause),
	}
	j.unbind()
	j.Reason, j.ReleasedAt = reason, &m.at
	if err := step(ctx, tx, m, &j.Request, RequestRelease, released); err != nil {
		return err
	}
	return step(ctx, tx, m, j.crew, CrewRelease)
}

// Reassign takes a request from the crew that has it, or withdraws the offer
// that is out, and offers it to another: to the crew named, or, when none is,
// to whom matching finds. A crew is never asked twice for one request.
func (s *Service) Reassign(ctx context.Context, by events.Actor, id events.RequestID, to events.CrewID, reason string, version int64) (Request, error) {
	return s.ReassignFor(ctx, by, id, to, "", reason, version)
}

// ReassignFor is Reassign with what the crew that had it was taken off for.
func (s *Service) ReassignFor(ctx context.Context, by events.Actor, id events.RequestID, to events.CrewID, cause ReleaseCause, reason string, version int64) (r Request, err error) {
	defer fault.Wrap(&err, "reassign %s", id)
	if reason, err = checkRelease(reason, cause); err != nil {
		return Request{}, err
	}
	var next *Crew
	r, err = s.change(ctx, by, id, version, staff, func(tx pgx.Tx, m moment, j *job) error {
		next = nil
		pending, err := s.lockReassigned(ctx, tx, j, to, &next)
		if err != nil {
			return err
		}
		switch {
		case pending != nil:
			err = s.lapse(ctx, tx, m, &j.Request, j.crew, pending, OfferWithdraw, reason)
		case j.crew != nil:
			err = s.release(ctx, tx, m, j, cause, reason)
		case !j.State.Waits():
			_, err = RequestLife.Next(j.State, RequestRelease)
		}
		if err != nil || next == nil {
			return err
		}
		return s.offerByHand(ctx, tx, m, &j.Request, next, reason)
	})
	if err == nil && next != nil {
		s.committed(nil, next)
	}
	return r, err
}

// lockReassigned locks what a reassignment touches: the crew asked or bound
// and the crew wanted, by ascending identifier, then the offer that is out.
// change has locked a bound crew already; a wanted crew with a lower
// identifier is therefore taken without waiting, so that two reassignments
// can never wait for each other.
func (s *Service) lockReassigned(ctx context.Context, tx pgx.Tx, j *job, to events.CrewID, next **Crew) (*Offer, error) {
	var pending *Offer
	if j.State == RequestOffered {
		o, err := selectPending(ctx, tx, j.ID)
		if err != nil {
			return nil, err
		}
		pending = &o
	}
	var ids []events.CrewID
	if pending != nil {
		ids = append(ids, pending.Crew)
	}
	if !to.IsZero() && (j.crew == nil || j.crew.ID != to) && !slices.Contains(ids, to) {
		ids = append(ids, to)
	}
	slices.SortFunc(ids, events.CrewID.Compare)
	for _, id := range ids {
		c, err := lockCrewAfter(ctx, tx, id, j.crew)
		if err != nil {
			return nil, err
		}
		if pending != nil && id == pending.Crew {
			j.crew = &c
		} else {
			*next = &c
		}
	}
	if !to.IsZero() && *next == nil {
		return nil, ErrCrewAsked
	}
	if pending == nil {
		return nil, nil
	}
	o, err := lockOffer(ctx, tx, pending.ID)
	return &o, err
}

// lockCrewAfter locks a crew when another may be locked already: out of order
// it does not wait, and says that the crew is not free.
func lockCrewAfter(ctx context.Context, tx pgx.Tx, id events.CrewID, held *Crew) (Crew, error) {
	if held == nil || held.ID.Compare(id) < 0 {
		return lockCrew(ctx, tx, id)
	}
	free, err := lockFreeCrews(ctx, tx, []events.CrewID{id})
	if err != nil {
		return Crew{}, err
	}
	if len(free) == 0 {
		if _, err := selectCrew(ctx, tx, id); err != nil {
			return Crew{}, err
		}
		return Crew{}, ErrCrewTaken
	}
	return free[0], nil
}

// offerByHand offers a locked, waiting request to a locked crew of somebody's
// choice.
func (s *Service) offerByHand(ctx context.Context, tx pgx.Tx, m moment, r *Request, c *Crew, reason string) error {
	switch {
	case !c.Capabilities.Has(r.Need):
		return ErrCrewUnfit.With("needs", CapabilityNames(r.Need))
	case c.State != CrewAvailable:
		return ErrCrewTaken.With("state", c.State)
	}
	had, err := listAsked(ctx, tx, []events.RequestID{r.ID})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(had, func(a asked) bool { return a.crew == c.ID }) {
		return ErrCrewAsked
	}
	// A crew that was never heard of is not at the car: it is taken to need
	// what help needs as a rule.
	o, source := Offer{Why: "chosen by hand: " + reason, Travel: nominalReach}, ""
	if fix, ok := s.lastFix(c); ok {
		o.Metres = geo.Distance(fix.Point, r.Place.Point)
		asking, cancel := context.WithTimeout(ctx, lockedAsking)
		defer cancel()
		legs, err := s.legs(ctx, asking, s.roads(), []geo.Point{fix.Point}, r, m.at)
		if err != nil {
			return err
		}
		o.Travel, source = legs[0].Time, legs[0].Source.String()
	}
	o.ExpectedAt = m.at.Add(s.cfg.Turnout + o.Travel)
	round := Round{Version: r.Version + 1, At: m.at, Counts: map[string]int{}, Crews: []ConsideredCrew{
		{Crew: c.ID, Why: WhyByHand, Metres: int(o.Metres), TravelS: int(o.Travel.Seconds()), Source: source},
	}}
	if _, err = s.offer(ctx, tx, m, r, c, o); err != nil {
		return err
	}
	return insertRound(ctx, tx, r.ID, round)
}

// Depart notes that the bound crew has set out.
func (s *Service) Depart(ctx context.Context, by events.Actor, id events.RequestID) (r Request, err error) {
	defer fault.Wrap(&err, "depart %s", id)
	return s.change(ctx, by, id, 0, andStaff(events.RoleCrew, events.RoleProvider), func(tx pgx.Tx, m moment, j *job) error {
		j.DepartedAt = &m.at
		departed := events.CrewDeparted{RequestID: j.ID, Area: string(j.Area), CrewID: j.Crew, DepartedAt: m.at}
		if err := step(ctx, tx, m, &j.Request, RequestDepart, departed); err != nil {
			return err
		}
		if j.crew == nil {
			return errors.New("a request under way without a crew")
		}
		fix, known := s.lastFix(j.crew)
		return insertDeparture(ctx, tx, departureOf(&j.Request, fix, known, s.learner.speeds(), m.at, s.cfg.Zone))
	})
}

// Finish ends the job of a crew that has arrived; the crew is free again.
func (s *Service) Finish(ctx context.Context, by events.Actor, id events.RequestID, outcome Outcome) (r Request, err error) {
	defer fault.Wrap(&err, "finish %s", id)
	var c checker
	oneOf(&c, "outcome", outcome, Outcomes())
	if err := c.err(); err != nil {
		return Request{}, err
	}
	return s.change(ctx, by, id, 0, andStaff(events.RoleCrew, events.RoleProvider), func(tx pgx.Tx, m moment, j *job) error {
		j.ClosedAt, j.Outcome = &m.at, outcome
		finished := events.RequestFinished{
			RequestID: j.ID, Area: string(j.Area), CrewID: j.Crew, FinishedAt: m.at, Outcome: string(outcome),
		}
		if err := step(ctx, tx, m, &j.Request, RequestFinish, finished); err != nil {
			return err
		}
		if j.crew == nil {
			return errors.New("a finished request without a crew")
		}
		if err := step(ctx, tx, m, j.crew, CrewFinish); err != nil {
			return err
		}
		return endDeparture(ctx, tx, &j.Request)
	})
}
