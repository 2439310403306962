package sla

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/internal/web"
)

// RecordFact records a fact of a request, and the clock is reckoned anew at once.
// A pause is opened, or recorded afterwards with both its ends; which reasons
// there are, and who may open them, the policy says. The same key and input
// again give what was recorded then.
//
// Errors: fault.Invalid with every wrong field; ErrNoGuarantee, also when the
// caller may not see the request; ErrNoPauseRule with the reasons there are;
// ErrPauseOpen; ErrPast; ErrSettledForAll; forbidden.
func (s *Service) RecordFact(ctx context.Context, by events.Actor, id events.RequestID, in NewRecording) (rec Recording, err error) {
	defer fault.Wrap(&err, "record %s of %s", in.Kind, id)
	if err := s.sees(ctx, by, id); err != nil {
		return Recording{}, err
	}
	hash := web.InputHash(struct {
		RequestID events.RequestID
		In        NewRecording
	}{id, in})
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if err := lockRequest(ctx, tx, id); err != nil {
			return err
		}
		was, err := findRecordingByKey(ctx, tx, by, in.Key)
		if err == nil {
			if was.hash != hash {
				return web.ErrKeyReused
			}
			was.Replayed = true
			rec = was
			return nil
		}
		if !pg.NotFound(err) {
			return err
		}
		g, policy, facts, err := s.recordable(ctx, tx, id)
		if err != nil {
			return err
		}
		now := s.now()
		in, err := in.checked(g.OpenedAt, now)
		if err != nil {
			return err
		}
		if err := in.may(by, policy); err != nil {
			return err
		}
		if in.Kind == FactPaused && in.Until.IsZero() && policy.openPause(facts, PauseReason(in.Source), now) {
			return ErrPauseOpen
		}
		if in.About != uuid.Nil && !slices.ContainsFunc(facts, func(f Fact) bool { return f.Ref == in.About }) {
			return ErrNoRecording
		}
		rec = Recording{
			ID: events.NewID[events.RecordID](), RequestID: id, Note: in.Note, By: by.String(), RecordedAt: now, key: in.Key, hash: hash,
			Fact: Fact{Kind: in.Kind, At: in.At, Until: in.Until, Source: in.Source, Ref: in.About, By: by.Role, SaidAt: now, Metres: in.Metres, Fen: in.Fen},
		}
		if in.Kind == FactEvidence { // its reference is what it is about
			rec.Fact.Record = rec.ID.UUID()
		} else { // what is recorded can be spoken of
			rec.Fact.Ref = rec.ID.UUID()
		}
		return s.keepRecording(ctx, tx, by, g, rec)
	})
	return rec, err
}

// sees says whether the caller may see a request.
func (s *Service) sees(ctx context.Context, by events.Actor, id events.RequestID) error {
	if by.Is(promiseReaders...) || by.Is(events.RoleSystem) {
		return nil
	}
	if s.cfg.Visible == nil {
		return ErrNoGuarantee
	}
	return s.cfg.Visible(ctx, by, id)
}

// recordable gives a locked promise of which facts may be recorded, with its
// policy and what is known.
func (s *Service) recordable(ctx context.Context, tx pgx.Tx, id events.RequestID) (g Guarantee, p Policy, facts []Fact, err error) {
	g, err = lockGuarantee(ctx, tx, id)
	switch {
	case pg.NotFound(err):
		return g, p, nil, ErrNoGuarantee
	case err != nil:
		return g, p, nil, err
	case !g.ImportID.IsZero():
		return g, p, nil, ErrPast
	case g.State == Waived:
		return g, p, nil, ErrSettledForAll
	}
	if p, err = s.policy(ctx, tx, g.Promise.Policy, g.Promise.PolicyVersion); err != nil {
		return g, p, nil, err
	}
	facts, err = listFacts(ctx, tx, id)
	return g, p, facts, err
}

// keepRecording writes down who said it, lets the promise hear the fact, and
// tells it.
func (s *Service) keepRecording(ctx context.Context, tx pgx.Tx, by events.Actor, g Guarantee, rec Recording) error {
	switch err := insertRecording(ctx, tx, rec); pg.Violated(err) {
	case "":
		if err != nil {
			return err
		}
	case "second_person":
		return ErrOwnRecording.Because(err)
	case "approved_once":
		return ErrApproved.Because(err)
	case "withdrawn_once":
		return ErrWithdrawn.Because(err)
	case "closed_once":
		return ErrPauseOver.Because(err)
	default:
		return err
	}
	facts, err := listFacts(ctx, tx, g.RequestID)
	if err != nil {
		return err
	}
	ofCondition := rec.Fact.Ref != uuid.Nil && slices.ContainsFunc(facts, func(f Fact) bool { return f.Kind == FactCondition && f.Ref == rec.Fact.Ref })
	added, err := s.addRecorded(ctx, tx, by, g, rec.ID, rec.Fact, ofCondition)
	if err != nil || !added {
		return err
	}
	return s.reckon(ctx, tx, g.RequestID)
}

// addRecorded adds a recorded fact to what is known and tells it; false for
// one that is known already, word for word.
func (s *Service) addRecorded(ctx context.Context, tx pgx.Tx, by events.Actor, g Guarantee, id events.RecordID, f Fact, condition bool) (bool, error) {
	now := s.now()
	told, err := events.AppendEach(ctx, tx, by, now, g.Version, []events.Event{events.FactRecorded{
		RequestID: g.RequestID, Area: g.Area, RecordID: id, Kind: string(f.Kind), At: f.At, Until: nullable(f.Until), Source: f.Source,
		RefersTo: f.refersTo(condition), Role: string(f.By), RecordedAt: f.SaidAt, Level: f.Level, Metres: f.Metres, Fen: int64(f.Fen),
	}})
	if err != nil {
		return false, err
	}
	return insertFact(ctx, tx, g.RequestID, f, told[0], now)
}

// ClosePause ends a pause; at is when it ended, zero for now. seen is the
// version of the promise the caller saw. A pause that has reached its longest
// length is over already: ErrPauseOver.
func (s *Service) ClosePause(ctx context.Context, by events.Actor, id events.RequestID, pause events.RecordID, seen int64, at time.Time, note string) (Recording, error) {
	return s.about(ctx, by, id, pause, seen, func(p Policy, was Recording, facts []Fact, now time.Time) (Recording, error) {
		f, found := pauseOf(setOf(facts), pause.UUID())
		if !found || was.Fact.Kind != FactPaused {
			return Recording{}, ErrNoRecording
		}
		rule := p.pause(PauseReason(f.Source))
		if rule != nil && len(rule.OpenedBy) > 0 && !by.Is(rule.OpenedBy...) && !by.Is(events.RoleOperator) || !by.Is(pauseRoles...) {
			return Recording{}, forbidden(by)
		}
		if !f.Until.IsZero() || rule != nil && !f.At.Add(seconds(rule.LongestS)).After(now) {
			return Recording{}, ErrPauseOver
		}
		end := microOrZero(at)
		if end.IsZero() {
			end = now
		}
		if !end.After(f.At) || end.After(now) {
			return Recording{}, fault.InvalidFields([]fault.Field{{Field: "at", Code: "range", Detail: "must be after the pause began and not in the future"}})
		}
		f.Until, f.By, f.SaidAt = end, by.Role, now
		return Recording{Fact: f, Note: note}, nil
	})
}

// ApproveRecording approves a pause that was recorded afterwards, so that it
// counts. Operators, finance and administrators may, and never who recorded
// it: ErrOwnRecording.
func (s *Service) ApproveRecording(ctx context.Context, by events.Actor, id events.RequestID, of events.RecordID, seen int64, why string) (Recording, error) {
	why, err := checkReason(why)
	if err != nil {
		return Recording{}, err
	}
	return s.about(ctx, by, id, of, seen, func(_ Policy, was Recording, facts []Fact, now time.Time) (Recording, error) {
		if !by.Is(promiseReaders...) {
			return Recording{}, forbidden(by)
		}
		if was.Fact.Kind != FactPaused || was.Fact.Ref != of.UUID() {
			return Recording{}, ErrNoRecording.Detailf("Only a pause is approved, and %s is none.", of)
		}
		if withdrawn(facts, of.UUID()) {
			return Recording{}, ErrWithdrawn
		}
		return Recording{Fact: Fact{Kind: FactApproved, At: now, Ref: of.UUID(), By: by.Role, SaidAt: now}, Note: why, Approves: of}, nil
	})
}

// WithdrawRecording takes back what was recorded by mistake: a piece of
// evidence by itself, anything else with the evidence about it. It never
// counted, the verdict is reckoned anew, and nothing is erased. Whoever recorded
// it may, operators and administrators as well.
func (s *Service) WithdrawRecording(ctx context.Context, by events.Actor, id events.RequestID, of events.RecordID, seen int64, why string) (Recording, error) {
	why, err := checkReason(why)
	if err != nil {
		return Recording{}, err
	}
	return s.about(ctx, by, id, of, seen, func(_ Policy, was Recording, _ []Fact, now time.Time) (Recording, error) {
		if was.By != by.String() && !by.Is(events.RoleOperator, events.RoleAdmin) {
			return Recording{}, forbidden(by)
		}
		if was.Fact.Ref != of.UUID() && was.Fact.Record != of.UUID() {
			return Recording{}, ErrNoWithdrawal
		}
		return Recording{Fact: Fact{Kind: FactWithdrawn, At: now, Ref: of.UUID(), By: by.Role, SaidAt: now}, Note: why}, nil
	})
}

func withdrawn(facts []Fact, ref uuid.UUID) bool {
	return slices.ContainsFunc(facts, func(f Fact) bool { return f.Kind == FactWithdrawn && f.Ref == ref })
}

// about records something about what was recorded before.
func (s *Service) about(ctx context.Context, by events.Actor, id events.RequestID, of events.RecordID, seen int64,
	decide func(p Policy, was Recording, facts []Fact, now time.Time) (Recording, error)) (rec Recording, err error) {
	defer fault.Wrap(&err, "recording %s of %s", of, id)
	if err := s.sees(ctx, by, id); err != nil {
		return Recording{}, err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if err := lockRequest(ctx, tx, id); err != nil {
			return err
		}
		g, policy, facts, err := s.recordable(ctx, tx, id)
		if err != nil {
			return err
		}
		was, err := findRecording(ctx, tx, id, of)
		if pg.NotFound(err) {
			return ErrNoRecording
		}
		if err != nil {
			return err
		}
		if g.Version != seen {
			return ErrStale.With("version", g.Version)
		}
		now := s.now()
		if rec, err = decide(policy, was, facts, now); err != nil {
			return err
		}
		if withdrawn(facts, of.UUID()) {
			return ErrWithdrawn
		}
		rec.ID, rec.RequestID, rec.By, rec.RecordedAt = events.NewID[events.RecordID](), id, by.String(), now
		return s.keepRecording(ctx, tx, by, g, rec)
	})
	return rec, err
}

// Recorded is what was recorded of a request, and whether it counts.
type Recorded struct {
	Recording
	Counts  bool  // it was not withdrawn; of a pause: the clock stood still for it
	Against Words // why it does not count
}

// Recordings lists what was recorded of a request, oldest first. Whoever may
// see the promise may.
func (s *Service) Recordings(ctx context.Context, by events.Actor, id events.RequestID) (_ []Recorded, err error) {
	defer fault.Wrap(&err, "recordings of %s", id)
	if err := s.sees(ctx, by, id); err != nil {
		return nil, err
	}
	g, err := findGuarantee(ctx, s.pool, id)
	if pg.NotFound(err) {
		return nil, ErrNoGuarantee
	}
	if err != nil {
		return nil, err
	}
	policy, err := s.policy(ctx, s.pool, g.Promise.Policy, g.Promise.PolicyVersion)
	if err != nil {
		return nil, err
	}
	facts, err := listFacts(ctx, s.pool, id)
	if err != nil {
		return nil, err
	}
	list, err := listRecordings(ctx, s.pool, id)
	if err != nil {
		return nil, err
	}
	return mapped(list, func(r Recording) Recorded {
		rec := Recorded{Recording: r, Counts: true}
		switch {
		case withdrawn(facts, r.ID.UUID()) || r.Fact.Ref != uuid.Nil && withdrawn(facts, r.Fact.Ref) && r.Fact.Kind != FactWithdrawn:
			rec.Counts, rec.Against = false, withdrawnWords
		case r.Fact.Kind == FactPaused:
			rec.Counts, rec.Against = policy.counts(g, facts, r.Fact.Ref)
		}
		return rec
	}), nil
}

var withdrawnWords = Words{"已撤回", "it was withdrawn"}

// counts says whether a pause that was not withdrawn counts, and why not.
func (p Policy) counts(g Guarantee, facts []Fact, ref uuid.UUID) (bool, Words) {
	alone := slices.DeleteFunc(setOf(facts), func(f Fact) bool { return f.Kind == FactPaused && f.Ref != ref })
	count, refused := p.pauses(g.OpenedAt, alone, g.Verdict.StoppedAt)
	if len(refused) > 0 {
		return false, refused[0].against
	}
	for _, ps := range count {
		if ps.from.Before(ps.to) && ps.from.Before(g.Verdict.DueAt) {
			return true, Words{}
		}
	}
	return false, Words{"开始时期限已过或救援已到达", "the deadline had passed, or help had come, when it began"}
}
