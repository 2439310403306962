package dispatch

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

const (
	// clockSkew is how far ahead of ours a device's clock may be.
	clockSkew = 5 * time.Second
	// codeGrace is how long ago a crew may say it was told the code: knowing
	// it proves presence now, and no more than the time to type it in before.
	codeGrace = 5 * time.Minute
	// codeTries is how many wrong codes are taken before the code is spent.
	codeTries = 5
	// fixesBefore is how far before the assignment fixes are read: one may
	// bear out a tap that came right after it.
	fixesBefore = 2 * time.Minute
)

// ClaimArrival is a crew's tap: it says it was there at arrivedAt (zero: now).
// With a recent fix near the car it proves the arrival; a bare tap is marked
// unproven, stops no clock and goes to an operator. An arrivedAt in the future
// or from before the assignment is fault.Invalid; one from after the end of the
// request is ErrRequestClosed.
func (s *Service) ClaimArrival(ctx context.Context, by events.Actor, id events.RequestID, arrivedAt time.Time) (r Request, err error) {
	defer fault.Wrap(&err, "claim arrival at %s", id)
	return s.hearArrival(ctx, by, id, Word{Source: ByTap, At: arrivedAt}, events.RoleCrew, events.RoleProvider)
}

// ConfirmArrival is the owner's word, or his partner's for him, that the crew
// was there at arrivedAt (zero: now).
func (s *Service) ConfirmArrival(ctx context.Context, by events.Actor, id events.RequestID, arrivedAt time.Time) (r Request, err error) {
	defer fault.Wrap(&err, "confirm arrival at %s", id)
	return s.hearArrival(ctx, by, id, Word{Source: ByOwner, At: arrivedAt}, events.RoleOwner, events.RolePartner)
}

// ConfirmByCode is the crew's proof that it stands before the owner: his
// four-digit code. arrivedAt (zero: now) may lie up to five minutes back.
// Errors: ErrWrongCode; ErrCodeSpent after five of those.
func (s *Service) ConfirmByCode(ctx context.Context, by events.Actor, id events.RequestID, code string, arrivedAt time.Time) (r Request, err error) {
	defer fault.Wrap(&err, "confirm arrival at %s by code", id)
	var wrong bool
	r, err = s.change(ctx, by, id, 0, []events.Role{events.RoleCrew}, func(tx pgx.Tx, m moment, j *job) error {
		wrong = false
		if j.CodeTries >= codeTries {
			return ErrCodeSpent
		}
		if subtle.ConstantTimeCompare([]byte(code), []byte(j.Code)) == 0 {
			// The try has to be counted, so this transaction commits.
			wrong = true
			j.CodeTries++
			return amend(ctx, tx, m, &j.Request)
		}
		if !arrivedAt.IsZero() && m.at.Sub(arrivedAt) > codeGrace {
			return badArrival("is more than 5 minutes ago; the code proves where you are now")
		}
		return s.weighIn(ctx, tx, m, j, Word{Source: ByCode, At: arrivedAt})
	})
	if err == nil && wrong {
		return Request{}, ErrWrongCode.With("tries_left", codeTries-r.CodeTries)
	}
	return r, err
}

// DecideArrival is an operator's word on a tap that nothing bears out: the
// crew was there at arrivedAt (zero: when it tapped), or it was not.
func (s *Service) DecideArrival(ctx context.Context, by events.Actor, id events.RequestID, accept bool, arrivedAt time.Time, reason string) (r Request, err error) {
	defer fault.Wrap(&err, "decide arrival at %s", id)
	if reason, err = checkReason(reason); err != nil {
		return Request{}, err
	}
	return s.change(ctx, by, id, 0, []events.Role{events.RoleOperator, events.RoleAdmin}, func(tx pgx.Tx, m moment, j *job) error {
		tap := j.Evidence.ClaimedAt
		if tap == nil {
			return fault.New(fault.Conflict, "no_claim", "No crew has said that it arrived; there is nothing to decide.")
		}
		if accept {
			if arrivedAt.IsZero() {
				arrivedAt = *tap
			}
			return s.weighIn(ctx, tx, m, j, Word{Source: ByOperator, At: arrivedAt, Note: reason})
		}
		if err := dismissTaps(ctx, tx, &j.Request); err != nil {
			return err
		}
		j.UnprovenAt = nil
		return amend(ctx, tx, m, &j.Request, events.ArrivalUnproven{
			RequestID: j.ID, Area: string(j.Area), CrewID: j.Crew, ClaimedAt: *tap, Why: "an operator did not accept it: " + reason,
		})
	})
}

func (s *Service) hearArrival(ctx context.Context, by events.Actor, id events.RequestID, w Word, roles ...events.Role) (Request, error) {
	return s.change(ctx, by, id, 0, roles, func(tx pgx.Tx, m moment, j *job) error {
		return s.weighIn(ctx, tx, m, j, w)
	})
}

// weighIn adds a word to the evidence, with the last fix this replica has
// heard, and keeps what it all shows now.
func (s *Service) weighIn(ctx context.Context, tx pgx.Tx, m moment, j *job, w Word) error {
	if j.Crew.IsZero() {
		if _, err := RequestLife.Next(j.State, RequestArrive); err != nil {
			return err
		}
		return ErrNoCrewBound
	}
	if w.At.IsZero() {
		w.At = m.at
	}
	w.At = w.At.UTC().Truncate(time.Microsecond)
	switch {
	case w.At.After(m.at.Add(clockSkew)):
		return badArrival("lies in the future: the business clock says " + m.at.Format(time.RFC3339Nano) + "; set the device's clock")
	case w.At.After(m.at):
		w.At = m.at
	}
	if w.At.Before(*j.AssignedAt) {
		return badArrival("is before the crew had the request, which was at " + j.AssignedAt.Format(time.RFC3339Nano))
	}
	if j.ClosedAt != nil && w.At.After(*j.ClosedAt) {
		// Nothing is wrong with the time: the owner called it off, or the crew
		// finished, while this word was on its way.
		return ErrRequestClosed.Detailf("The request was %s at %s; there is nobody to arrive for any more.",
			j.State, j.ClosedAt.Format(time.RFC3339Nano)).With("state", j.State).With("closed_at", *j.ClosedAt)
	}
	if err := insertWord(ctx, tx, m, &j.Request, w); err != nil {
		return err
	}
	if f, ok := s.LastFix(j.Crew); ok && !f.At.After(m.at.Add(clockSkew)) && nearScene(j.Place.Point, f) {
		if err := insertFixes(ctx, tx, j.Crew, []Fix{f}); err != nil {
			return err
		}
	}
	a, err := evidence(ctx, tx, m, &j.Request)
	if err != nil {
		return err
	}
	return conclude(ctx, tx, m, j, a)
}

// evidence weighs all that is known of the arrival of the bound crew.
func evidence(ctx context.Context, tx pgx.Tx, m moment, r *Request) (Arrival, error) {
	until := m.at.Add(clockSkew)
	if r.ClosedAt != nil {
		until = *r.ClosedAt
	}
	fixes, err := listFixes(ctx, tx, r.Crew, r.AssignedAt.Add(-fixesBefore), until)
	if err != nil {
		return Arrival{}, err
	}
	words, err := listWords(ctx, tx, r)
	if err != nil {
		return Arrival{}, err
	}
	return Weigh(r.Place.Point, *r.AssignedAt, fixes, words), nil
}

// earlier reports whether an arrival is news: proven, and before the known one.
func (r *Request) earlier(a Arrival) bool {
	return a.Proven() && (r.ArrivedAt == nil || a.At.Before(*r.ArrivedAt))
}

// conclude keeps what the evidence shows. News of an earlier proof than the
// known one is told again; a later one changes nothing but the evidence.
func conclude(ctx context.Context, tx pgx.Tx, m moment, j *job, a Arrival) error {
	tapped := j.Evidence.ClaimedAt
	j.Evidence = a.Evidence
	switch {
	case j.earlier(a):
		j.ArrivedAt, j.ArrivalSource, j.UnprovenAt = &a.At, a.Source, nil
		arrived := events.CrewArrived{
			RequestID: j.ID, Area: string(j.Area), CrewID: j.Crew, ArrivedAt: a.At, Source: string(a.Source), Evidence: a.Evidence,
		}
		if j.State == RequestAssigned || j.State == RequestEnRoute {
			return step(ctx, tx, m, &j.Request, RequestArrive, arrived)
		}
		return amend(ctx, tx, m, &j.Request, arrived)
	case !a.Proven() && !a.UnprovenAt.IsZero() && (tapped == nil || j.UnprovenAt == nil || a.UnprovenAt.Before(*j.UnprovenAt)):
		j.UnprovenAt = &a.UnprovenAt
		return amend(ctx, tx, m, &j.Request, events.ArrivalUnproven{
			RequestID: j.ID, Area: string(j.Area), CrewID: j.Crew, ClaimedAt: a.UnprovenAt, Why: a.Evidence.Note,
		})
	}
	return amend(ctx, tx, m, &j.Request)
}

// NoteFixes weighs positions of a crew, in any order and however late, as
// evidence of an arrival. Fixes that are far from its car are passed over. It
// does no harm to note a fix twice.
func (s *Service) NoteFixes(ctx context.Context, crew events.CrewID, fixes []Fix) (err error) {
	defer fault.Wrap(&err, "note fixes of %s", crew)
	if len(fixes) == 0 {
		return nil
	}
	fixes = inOrder(fixes)
	jobs, err := listJobsBetween(ctx, s.pool, crew, fixes[0].At, fixes[len(fixes)-1].At)
	if err != nil {
		return err
	}
	for _, r := range jobs {
		var near []Fix
		for _, f := range fixes {
			if nearScene(r.Place.Point, f) {
				near = append(near, f)
			}
		}
		if len(near) == 0 {
			continue
		}
		if err := s.noteNear(ctx, r.ID, crew, near); err != nil {
			return err
		}
	}
	return nil
}

// noteNear keeps fixes at a car and weighs them, unless the crew has lost the
// request in the meantime.
func (s *Service) noteNear(ctx context.Context, id events.RequestID, crew events.CrewID, fixes []Fix) error {
	m := moment{by: events.System("positions"), at: s.now()}
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		r, err := lockRequest(ctx, tx, id)
		if err != nil || r.Crew != crew {
			return err
		}
		if err := insertFixes(ctx, tx, crew, fixes); err != nil {
			return err
		}
		// As long as fixes prove nothing new the request stays untouched, or
		// every fix at a car would be a new version of it.
		a, err := evidence(ctx, tx, m, &r)
		if err != nil || !r.earlier(a) {
			return err
		}
		return conclude(ctx, tx, m, &job{Request: r}, a)
	})
	if err == nil {
		s.cfg.Wake()
	}
	return err
}

// SampleFixes keeps the last position of crews, so that a replica that starts
// with an empty broker has a usable index. It need not survive a crash.
func (s *Service) SampleFixes(ctx context.Context, last map[events.CrewID]Fix) error {
	if len(last) == 0 {
		return nil
	}
	return pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL synchronous_commit = off`); err != nil {
			return err
		}
		stops, err := listStops(ctx, tx, last)
		if err != nil {
			return err
		}
		if err := updateFixes(ctx, tx, last); err != nil {
			return err
		}
		return addStops(ctx, tx, stops)
	})
}

func nearScene(scene geo.Point, f Fix) bool { return geo.Distance(scene, f.Point) <= EvidenceMetres }

func badArrival(detail string) error {
	return fault.InvalidFields([]fault.Field{{Field: "arrived_at", Code: "range", Detail: detail}})
}
