package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/internal/web"
)

// conditionsLock orders declaring conditions and arming promises. Without it
// neither would see the other's row, and the request would never hear of the
// condition:
//
//	arm reads the conditions · Declare commits, its spread reads the promises · arm commits
const conditionsLock = "sla conditions"

// Declare declares a condition for a region and a time: a weather alert, a
// closure, a remote area, or storm mode. Requests opened from then on are
// promised in its light, and it becomes a fact of every request there and
// then, those open already included; what they owe is reckoned anew. Storm
// mode is announced before it begins, so it bears only on requests whose
// owners were shown it. Operators and administrators may.
func (s *Service) Declare(ctx context.Context, by events.Actor, in NewCondition) (c DeclaredCondition, err error) {
	defer fault.Wrap(&err, "declare %s", in.Condition)
	if !by.Is(conditionRoles...) {
		return DeclaredCondition{}, forbidden(by)
	}
	hash := web.InputHash(in)
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if err := pg.LockTx(ctx, tx, conditionsLock); err != nil {
			return err
		}
		was, err := findConditionByKey(ctx, tx, by, in.Key)
		if err == nil {
			if was.hash != hash {
				return web.ErrKeyReused
			}
			was.Replayed = true
			c = was
			return nil
		}
		if !pg.NotFound(err) {
			return err
		}
		now := s.now()
		in, err := in.checked(now, false)
		if err != nil {
			return err
		}
		c = DeclaredCondition{
			ID: events.NewID[events.ConditionID](), Revision: 1, Condition: in.Condition, Level: in.Level, Areas: in.Areas,
			From: in.From, Until: in.Until, Evidence: in.Evidence, Note: in.Note, By: by.String(), DeclaredAt: now, key: in.Key, hash: hash,
		}
		return declare(ctx, tx, by, c)
	})
	return c, err
}

// Redeclare says anew until when a condition holds, of what level an alert is,
// and what bears it out; where and from when it holds stays. seen is the
// revision the caller saw.
func (s *Service) Redeclare(ctx context.Context, by events.Actor, id events.ConditionID, seen int64, in NewCondition) (DeclaredCondition, error) {
	return s.redeclare(ctx, by, id, seen, func(was DeclaredCondition, _ time.Time) NewCondition { return in })
}

// EndCondition ends a condition at a moment, now if that is zero. One that
// ends when it begins never held.
func (s *Service) EndCondition(ctx context.Context, by events.Actor, id events.ConditionID, seen int64, at time.Time, note string) (DeclaredCondition, error) {
	return s.redeclare(ctx, by, id, seen, func(was DeclaredCondition, now time.Time) NewCondition {
		if at.IsZero() {
			at = later(now, was.From)
		}
		return NewCondition{Level: was.Level, Until: at, Evidence: was.Evidence, Note: note}
	})
}

func (s *Service) redeclare(ctx context.Context, by events.Actor, id events.ConditionID, seen int64,
	say func(was DeclaredCondition, now time.Time) NewCondition) (c DeclaredCondition, err error) {
	defer fault.Wrap(&err, "declare %s anew", id)
	if !by.Is(conditionRoles...) {
		return DeclaredCondition{}, forbidden(by)
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if err := pg.LockTx(ctx, tx, conditionsLock); err != nil {
			return err
		}
		revisions, err := listRevisions(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(revisions) == 0 {
			return ErrNoCondition
		}
		c = revisions[len(revisions)-1]
		if int64(c.Revision) != seen {
			return ErrStale.With("version", c.Revision)
		}
		now := s.now()
		in := say(c, now)
		in.Condition, in.Areas, in.From = c.Condition, c.Areas, c.From
		if in, err = in.checked(now, true); err != nil {
			return err
		}
		c.Revision, c.Level, c.Until, c.Evidence, c.Note = c.Revision+1, in.Level, in.Until, in.Evidence, in.Note
		c.By, c.DeclaredAt, c.key = by.String(), now, ""
		return declare(ctx, tx, by, c)
	})
	return c, err
}

// declare writes a revision and tells it.
func declare(ctx context.Context, tx pgx.Tx, by events.Actor, c DeclaredCondition) error {
	if err := insertCondition(ctx, tx, c); err != nil {
		return err
	}
	return events.Append(ctx, tx, by, c.DeclaredAt, int64(c.Revision), events.ConditionDeclared{
		ConditionID: c.ID, Revision: c.Revision, Condition: string(c.Condition), Level: c.Level, Areas: c.Areas,
		From: c.From, Until: nullable(c.Until), Evidence: wordsOf(c.Evidence), DeclaredAt: c.DeclaredAt,
	})
}

// Conditions lists the conditions that hold at a moment or later, each as it
// was last said; the zero time lists all. Everybody may know.
func (s *Service) Conditions(ctx context.Context, at time.Time, limit int) (_ []DeclaredCondition, err error) {
	defer fault.Wrap(&err, "conditions")
	return listConditions(ctx, s.pool, at, limit)
}

// weatherAt is the weather mode of an area at a moment.
func (s *Service) weatherAt(ctx context.Context, db events.Querier, area string, at time.Time) (string, error) {
	list, err := listConditionsInForce(ctx, db, area, at)
	return weather(list, at), err
}

// learn lets a promise that is being armed know the conditions of its region
// and time. The lock is shared: arming waits for a declaration, not for
// another arming.
func (s *Service) learn(ctx context.Context, tx pgx.Tx, g Guarantee) error {
	if err := pg.LockTxShared(ctx, tx, conditionsLock); err != nil {
		return err
	}
	list, err := listRevisionsOf(ctx, tx, g.Area, g.OpenedAt)
	if err != nil {
		return err
	}
	for _, revisions := range byCondition(list) {
		if err := s.tellConditions(ctx, tx, g, revisions); err != nil {
			return err
		}
	}
	return nil
}

// tellConditions makes the revisions of a condition facts of a request, unless
// they are.
func (s *Service) tellConditions(ctx context.Context, tx pgx.Tx, g Guarantee, revisions []DeclaredCondition) error {
	for _, c := range revisions {
		by, err := events.ParseActor(c.By)
		if err != nil {
			return err
		}
		for _, f := range c.facts() {
			known, err := factKnown(ctx, tx, g.RequestID, f)
			if err != nil {
				return err
			}
			if known {
				continue
			}
			id := events.NewID[events.RecordID]()
			if f.Kind == FactEvidence {
				f.Record = id.UUID()
			}
			if _, err := s.addRecorded(ctx, tx, by, g, id, f, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// SpreadConditions brings what was declared to the requests it concerns, at
// most limit of them, and says to how many. Run does it all the time; several
// replicas may at once.
func (s *Service) SpreadConditions(ctx context.Context, limit int) (spread int, err error) {
	defer fault.Wrap(&err, "spread conditions")
	open, err := listSpreading(ctx, s.pool)
	if err != nil {
		return 0, err
	}
	for _, at := range open {
		for spread < limit {
			n, more, err := s.spreadSome(ctx, at, min(limit-spread, sweepChunk))
			if err != nil {
				return spread, err
			}
			if spread += n; !more {
				break
			}
		}
	}
	return spread, nil
}

// spreadSome brings a revision to the next requests, each in a transaction of
// its own, and notes how far it came: what is done twice is done once.
func (s *Service) spreadSome(ctx context.Context, at spreading, limit int) (n int, more bool, err error) {
	revisions, err := listRevisions(ctx, s.pool, at.id)
	if err != nil {
		return 0, false, err
	}
	reached, err := findReached(ctx, s.pool, at)
	if err != nil {
		return 0, false, err
	}
	last := revisions[len(revisions)-1]
	ids, err := listConcerned(ctx, s.pool, last, reach(revisions), reached, limit)
	if err != nil {
		return 0, false, err
	}
	for _, id := range ids {
		if err := s.inTx(ctx, func(tx pgx.Tx) error {
			if err := lockRequest(ctx, tx, id); err != nil {
				return err
			}
			g, err := lockGuarantee(ctx, tx, id)
			if err != nil || g.State == Waived {
				return err
			}
			if err := s.tellConditions(ctx, tx, g, revisions); err != nil {
				return err
			}
			return s.reckon(ctx, tx, id)
		}); err != nil {
			return n, false, err
		}
		n++
	}
	more = len(ids) == limit
	if len(ids) > 0 {
		reached = ids[len(ids)-1]
	}
	return n, more, noteReached(ctx, s.pool, at, reached, !more, s.now())
}
