package sla

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/pg"
)

// The events that take many compensations at once, and the state they meet.
var movesFrom = map[CompensationEvent]CompensationState{
	evBatch: Approved, evUnbatch: Batched, evPay: Batched, evBounce: Batched,
}

// moveCompensations takes many compensations one step by the table, as
// stepCompensation takes one: a batch may hold a million. whys are the reasons
// of bounces, one for each identifier; nil for another event. A compensation
// that is not in the state which the event meets is ErrStale, and nothing is
// moved.
func moveCompensations(ctx context.Context, tx pgx.Tx, ids []events.CompensationID, ev CompensationEvent, by events.Actor, why string, whys []string, now time.Time) error {
	from := movesFrom[ev]
	to, err := compensationTable.Next(from, ev)
	if err != nil || len(ids) == 0 {
		return err
	}
	reasons := make(map[events.CompensationID]string, len(whys))
	for i, reason := range whys {
		reasons[ids[i]] = reason
	}
	n, err := lockInState(ctx, tx, ids, from)
	if err != nil {
		return err
	}
	if n != len(ids) {
		return ErrStale.Detailf("%d of %d compensations are not %s any more.", len(ids)-n, len(ids), from)
	}
	list, err := updateStates(ctx, tx, ids, to, whys, now)
	if err != nil {
		return err
	}
	return tellMoved(ctx, tx, list, to, by, func(id events.CompensationID) string {
		if reason, ok := reasons[id]; ok {
			return reason
		}
		return why
	}, now)
}

// tellMoved journals the new state of each, in groups of one version.
func tellMoved(ctx context.Context, tx pgx.Tx, list []moved, to CompensationState, by events.Actor, why func(events.CompensationID) string, now time.Time) error {
	byVersion := map[int64][]events.Event{}
	for _, m := range list {
		byVersion[m.version] = append(byVersion[m.version], events.CompensationChanged{
			CompensationID: m.id, RequestID: m.request, Area: m.area, State: string(to),
			Fen: int64(m.fen), ChangedAt: now, Reason: why(m.id),
		})
	}
	for version, evs := range byVersion {
		if err := events.Append(ctx, tx, by, now, version, evs...); err != nil {
			return err
		}
	}
	return nil
}

// stepBatch moves a locked batch by its table, with whatever else of it has
// changed, and tells so. Nothing else writes its state.
func stepBatch(ctx context.Context, tx pgx.Tx, b Batch, ev BatchEvent, by events.Actor, why string, now time.Time) (Batch, error) {
	next, err := batchTable.Next(b.State, ev)
	if err != nil {
		return b, err
	}
	who := by.String()
	switch ev {
	case evSeal:
		b.SealedBy, b.SealedAt = who, now
	case evAgree:
		b.ApprovedBy, b.ApprovedWhy, b.ApprovedAt = who, why, now
	case evSubmit:
		b.SubmittedBy, b.SubmittedAt = who, now
	case evDiscard, evReject, evClose:
		b.EndedBy, b.EndedWhy, b.EndedAt = who, why, now
	}
	b.State, b.Version, b.ChangedAt = next, b.Version+1, now
	if err := updateBatch(ctx, tx, b); pg.Violates(err, "second_person") {
		return b, ErrSecondPerson.Because(err)
	} else if err != nil {
		return b, err
	}
	return b, events.Append(ctx, tx, by, now, b.Version, events.BatchChanged{
		BatchID: b.ID, Event: string(ev), State: string(b.State), Title: b.Title, Lines: b.Lines, TotalFen: int64(b.Total), Digest: b.Digest,
		PaidLines: b.Paid.Lines, PaidFen: int64(b.Paid.Fen), BouncedLines: b.Bounced.Lines, BouncedFen: int64(b.Bounced.Fen),
		ChangedAt: now, Reason: why,
	})
}

// inBatch runs a command on a batch, locked, by finance. seen is the version
// the caller saw; 0 where it does not matter, as in a draft.
func (s *Service) inBatch(ctx context.Context, by events.Actor, id events.BatchID, seen int64, fn func(tx pgx.Tx, b Batch, now time.Time) (Batch, error)) (b Batch, err error) {
	if !by.Is(events.RoleFinance) {
		return Batch{}, forbidden(by)
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		b, err = lockBatch(ctx, tx, id)
		if pg.NotFound(err) {
			return ErrNoBatch
		}
		if err != nil {
			return err
		}
		if err := walkIndexes(ctx, tx); err != nil {
			return err
		}
		if seen != 0 && b.Version != seen {
			return ErrStale.With("version", b.Version)
		}
		b, err = fn(tx, b, s.now())
		return err
	})
	return b, err
}

// unchanged makes sure that a sealed batch still is what was sealed: its
// lines, each of them, and the compensations behind them. Nothing in the
// service could have changed them; this looks for what came from elsewhere.
func unchanged(ctx context.Context, tx pgx.Tx, b Batch) error {
	sum, strayed, err := sumBacked(ctx, tx, b.ID)
	switch {
	case err != nil:
		return err
	case !sum.is(b):
		return ErrBatchChanged.With("sealed", b.Digest).With("found", sum.digest())
	case strayed > 0:
		return ErrBatchChanged.With("lines_without_batched_compensation", strayed)
	}
	return nil
}

// ascending sorts identifiers as rows are locked.
func ascending(ids []events.CompensationID) []events.CompensationID {
	slices.SortFunc(ids, events.CompensationID.Compare)
	return ids
}
