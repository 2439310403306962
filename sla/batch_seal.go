package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// Seal freezes a draft: its lines, their total, and the digest of each and
// all of them. seen is the version of the draft the caller saw.
func (s *Service) Seal(ctx context.Context, by events.Actor, id events.BatchID, seen int64) (_ Batch, err error) {
	defer fault.Wrap(&err, "seal %s", id)
	return s.inBatch(ctx, by, id, seen, func(tx pgx.Tx, b Batch, now time.Time) (Batch, error) {
		if _, err := batchTable.Next(b.State, evSeal); err != nil {
			return b, err
		}
		sum, strayed, err := sumBacked(ctx, tx, b.ID)
		if err != nil {
			return b, err
		}
		switch {
		case sum.lines == 0:
			return b, ErrEmptyBatch
		case sum.lines != b.Lines || sum.total != b.Total:
			return b, ErrBatchChanged
		case strayed > 0:
			return b, ErrBatchChanged.With("lines_without_batched_compensation", strayed)
		}
		b.Digest = sum.digest()
		return stepBatch(ctx, tx, b, evSeal, by, "", now)
	})
}

// ApproveBatch agrees to a sealed batch, as the caller saw it in version
// seen. Neither who opened it nor who sealed it may: ErrSecondPerson. A batch
// that is not what was sealed any more is ErrBatchChanged.
func (s *Service) ApproveBatch(ctx context.Context, by events.Actor, id events.BatchID, seen int64, why string) (_ Batch, err error) {
	defer fault.Wrap(&err, "approve %s", id)
	if why, err = checkReason(why); err != nil {
		return Batch{}, err
	}
	return s.inBatch(ctx, by, id, seen, func(tx pgx.Tx, b Batch, now time.Time) (Batch, error) {
		if _, err := batchTable.Next(b.State, evAgree); err != nil {
			return b, err
		}
		if err := unchanged(ctx, tx, b); err != nil {
			return b, err
		}
		return stepBatch(ctx, tx, b, evAgree, by, why, now)
	})
}

// Submit hands an approved batch to the named way to pay, or to the first
// that is configured. The key under which it is sent is stored here, before
// anything is; PayOut, which Run calls, posts the lines and sends them.
func (s *Service) Submit(ctx context.Context, by events.Actor, id events.BatchID, seen int64, via string) (_ Batch, err error) {
	defer fault.Wrap(&err, "submit %s", id)
	way, err := s.payout(via)
	if err != nil {
		return Batch{}, err
	}
	return s.inBatch(ctx, by, id, seen, func(tx pgx.Tx, b Batch, now time.Time) (Batch, error) {
		if _, err := batchTable.Next(b.State, evSubmit); err != nil {
			return b, err
		}
		if err := unchanged(ctx, tx, b); err != nil {
			return b, err
		}
		if err := insertPayout(ctx, tx, PayoutStatus{
			BatchID: b.ID, Key: "payout-" + b.ID.UUID().String(), Via: way.Name(), State: PayoutWaiting, NextAt: now, ChangedAt: now,
		}); err != nil {
			return b, err
		}
		return stepBatch(ctx, tx, b, evSubmit, by, "by "+way.Name(), now)
	})
}

// Resend tries a payout that has failed again, under the key it had.
func (s *Service) Resend(ctx context.Context, by events.Actor, id events.BatchID, seen int64, why string) (_ Batch, err error) {
	defer fault.Wrap(&err, "resend %s", id)
	if why, err = checkReason(why); err != nil {
		return Batch{}, err
	}
	return s.inBatch(ctx, by, id, seen, func(tx pgx.Tx, b Batch, now time.Time) (Batch, error) {
		if _, err := batchTable.Next(b.State, evResend); err != nil {
			return b, err
		}
		p, err := lockPayout(ctx, tx, b.ID)
		if err != nil {
			return b, err
		}
		if p.State != PayoutFailed {
			return b, ErrNotFailed.With("payout", string(p.State))
		}
		p.State, p.Attempts, p.NextAt, p.ChangedAt = PayoutWaiting, 0, now, now
		if err := updatePayout(ctx, tx, p); err != nil {
			return b, err
		}
		return stepBatch(ctx, tx, b, evResend, by, why, now)
	})
}

// SettleBatch closes a batch every line of which has its result; else it is
// ErrLinesOpen.
func (s *Service) SettleBatch(ctx context.Context, by events.Actor, id events.BatchID, seen int64) (_ Batch, err error) {
	defer fault.Wrap(&err, "settle %s", id)
	return s.inBatch(ctx, by, id, seen, func(tx pgx.Tx, b Batch, now time.Time) (Batch, error) {
		if _, err := batchTable.Next(b.State, evClose); err != nil {
			return b, err
		}
		if open := b.Open(); open.Lines > 0 {
			return b, ErrLinesOpen.With("open_lines", open.Lines).With("open_fen", open.Fen)
		}
		return stepBatch(ctx, tx, b, evClose, by, "", now)
	})
}

// Batches lists batches by their opening, at most limit of those after the
// place where the page before ended. Finance and administrators may.
func (s *Service) Batches(ctx context.Context, by events.Actor, state BatchState, after BatchPlace, limit int) (_ []Batch, err error) {
	defer fault.Wrap(&err, "batches")
	if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	return listBatches(ctx, s.pool, state, after, limit)
}

// Batch gives one batch, or ErrNoBatch. Finance and administrators may.
func (s *Service) Batch(ctx context.Context, by events.Actor, id events.BatchID) (_ Batch, err error) {
	defer fault.Wrap(&err, "batch %s", id)
	if !by.Is(moneyReaders...) {
		return Batch{}, forbidden(by)
	}
	b, err := findBatch(ctx, s.pool, id)
	if pg.NotFound(err) {
		err = ErrNoBatch
	}
	return b, err
}

// BatchLines lists the payments of a batch in their order, those in one state
// or all, at most limit of those after a compensation. Finance and
// administrators may.
func (s *Service) BatchLines(ctx context.Context, by events.Actor, id events.BatchID, state LineState, after events.CompensationID, limit int) (_ []BatchLine, err error) {
	defer fault.Wrap(&err, "lines of %s", id)
	if _, err := s.Batch(ctx, by, id); err != nil {
		return nil, err
	}
	return listLines(ctx, s.pool, id, state, after, limit)
}
