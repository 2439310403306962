package sla

import (
	"bytes"
	"context"
	"crypto/sha256"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

const (
	fillChunk = 5000 // lines per transaction when many are added or freed
	// MostFilled is the most lines one call of Fill adds.
	MostFilled = 50_000
	longTitle  = 200
	patience   = 10 * time.Second // after which a call begins no further portion: it has 30 s in all
)

// OpenBatch opens an empty draft for finance. The same key and title again
// give the batch as it is now, with hit set; the same key with another title
// is ErrKeyReused.
func (s *Service) OpenBatch(ctx context.Context, by events.Actor, title, key string) (b Batch, hit bool, err error) {
	defer fault.Wrap(&err, "open a batch")
	if !by.Is(events.RoleFinance) {
		return Batch{}, false, forbidden(by)
	}
	title = strings.TrimSpace(title)
	if n := utf8.RuneCountInString(title); n == 0 || n > longTitle || strings.ContainsRune(title, 0) {
		return Batch{}, false, fault.InvalidFields([]fault.Field{{Field: "title", Code: "length", Detail: "must be 1 to 200 characters; say what is paid, such as 2026-02"}})
	}
	hash := sha256.Sum256([]byte(title))
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		now := s.now()
		b = Batch{
			ID: events.NewID[events.BatchID](), State: BatchDraft, Version: 1, Title: title,
			CreatedBy: by.String(), CreatedAt: now, ChangedAt: now,
		}
		// A key is the caller's own; another's may be the same.
		added, err := insertBatch(ctx, tx, b, by.String()+" "+key, hash[:])
		if err != nil {
			return err
		}
		if added {
			return events.Append(ctx, tx, by, now, b.Version, events.BatchChanged{
				BatchID: b.ID, Event: "open", State: string(b.State), Title: b.Title, ChangedAt: now,
			})
		}
		id, was, err := findBatchByKey(ctx, tx, by.String()+" "+key)
		if err != nil {
			return err
		}
		if !bytes.Equal(was, hash[:]) {
			return ErrKeyReused
		}
		hit = true
		b, err = findBatch(ctx, tx, id)
		return err
	})
	return b, hit, err
}

// FillFilter says which approved compensations go into a batch; zero values
// do not narrow.
type FillFilter struct {
	Area, Policy string
	From, To     time.Time // accrued at or after From and before To
	UpTo         Fen       // at most this much each
	FirstAttempt bool      // none that has bounced before
}

// Fill adds approved compensations to a draft, the oldest first, at most
// limit of them and MostFilled, and says how many. It adds in portions, each
// in a transaction of its own, so that nothing is lost when it is interrupted
// and calling it again goes on; fewer than asked for means that there are no
// more. A compensation that another batch is taking at the same moment is
// left to it, and one that the present verdict does not bear out is passed
// over.
func (s *Service) Fill(ctx context.Context, by events.Actor, id events.BatchID, f FillFilter, limit int) (b Batch, added int, err error) {
	b, added, _, err = s.FillWithin(ctx, by, id, f, limit, 0)
	return b, added, err
}

// FillWithin is Fill for somebody who waits: once it has taken that long, by
// the wall, it begins no further portion. more says that there may be more to
// add; another call goes on. 0 is no bound.
func (s *Service) FillWithin(ctx context.Context, by events.Actor, id events.BatchID, f FillFilter, limit int, long time.Duration) (b Batch, added int, more bool, err error) {
	defer fault.Wrap(&err, "fill %s", id)
	if limit <= 0 || limit > MostFilled {
		limit = MostFilled
	}
	var after payablePlace
	for begun := time.Now(); added < limit; {
		chunk := min(limit-added, fillChunk)
		var list []payable
		var last payablePlace // after stays where it is until this has committed
		b, err = s.inBatch(ctx, by, id, 0, func(tx pgx.Tx, b Batch, now time.Time) (Batch, error) {
			var err error
			if list, last, err = lockPayable(ctx, tx, f, after, chunk); err != nil {
				return b, err
			}
			return addLines(ctx, tx, b, list, by, now)
		})
		if err != nil {
			return b, added, true, err
		}
		after = last
		if added += len(list); len(list) < chunk {
			return b, added, false, nil
		}
		if long > 0 && time.Since(begun) >= long {
			break
		}
	}
	return b, added, true, nil
}

// AddLine adds one approved compensation to a draft.
func (s *Service) AddLine(ctx context.Context, by events.Actor, id events.BatchID, compensation events.CompensationID) (_ Batch, err error) {
	defer fault.Wrap(&err, "add %s to %s", compensation, id)
	return s.inBatch(ctx, by, id, 0, func(tx pgx.Tx, b Batch, now time.Time) (Batch, error) {
		c, err := lockCompensation(ctx, tx, compensation)
		if pg.NotFound(err) {
			return b, ErrNoCompensation
		}
		if err != nil {
			return b, err
		}
		switch {
		case c.State == Batched:
			return b, ErrLineTaken.With("compensation_id", c.ID)
		case c.Bounces >= mostAttempts:
			return b, ErrTooOften
		}
		if _, err := compensationTable.Next(c.State, evBatch); err != nil {
			return b, err
		}
		if other, err := differs(ctx, tx, c.ID); err != nil {
			return b, err
		} else if other {
			return b, ErrDiffers
		}
		return addLines(ctx, tx, b, []payable{{c.ID, c.RequestID, c.Fen, c.Bounces}}, by, now)
	})
}

// addLines puts locked, approved compensations into a locked draft.
func addLines(ctx context.Context, tx pgx.Tx, b Batch, list []payable, by events.Actor, now time.Time) (Batch, error) {
	if _, err := batchTable.Next(b.State, evAdd); err != nil || len(list) == 0 {
		return b, err
	}
	ids := make([]events.CompensationID, len(list))
	for i, p := range list {
		ids[i] = p.id
		total, err := b.Total.Plus(p.fen)
		if err != nil {
			return b, err
		}
		b.Total = total
	}
	b.Lines += int64(len(list))
	if err := insertLines(ctx, tx, b.ID, list); pg.Violates(err, "one_live_line") {
		return b, ErrLineTaken.Because(err)
	} else if err != nil {
		return b, err
	}
	if err := moveCompensations(ctx, tx, ascending(ids), evBatch, by, "put into batch "+b.ID.String(), nil, now); err != nil {
		return b, err
	}
	return stepBatch(ctx, tx, b, evAdd, by, "", now)
}

// RemoveLine takes a compensation out of a draft; it is approved as before.
func (s *Service) RemoveLine(ctx context.Context, by events.Actor, id events.BatchID, compensation events.CompensationID) (_ Batch, err error) {
	defer fault.Wrap(&err, "remove %s from %s", compensation, id)
	return s.inBatch(ctx, by, id, 0, func(tx pgx.Tx, b Batch, now time.Time) (Batch, error) {
		if _, err := batchTable.Next(b.State, evRemove); err != nil {
			return b, err
		}
		fen, err := deleteLine(ctx, tx, b.ID, compensation)
		if pg.NotFound(err) {
			return b, ErrNoLine
		}
		if err != nil {
			return b, err
		}
		if err := moveCompensations(ctx, tx, []events.CompensationID{compensation}, evUnbatch, by, "taken out of batch "+b.ID.String(), nil, now); err != nil {
			return b, err
		}
		b.Lines, b.Total = b.Lines-1, b.Total-fen
		return stepBatch(ctx, tx, b, evRemove, by, "", now)
	})
}

// DiscardBatch gives a draft up; its compensations wait for another batch.
func (s *Service) DiscardBatch(ctx context.Context, by events.Actor, id events.BatchID, seen int64, why string) (_ Batch, err error) {
	defer fault.Wrap(&err, "discard %s", id)
	return s.giveUp(ctx, by, id, seen, why, evDiscard)
}

// RejectBatch refuses a sealed batch; its compensations wait for another.
// Whoever sealed it may as well.
func (s *Service) RejectBatch(ctx context.Context, by events.Actor, id events.BatchID, seen int64, why string) (_ Batch, err error) {
	defer fault.Wrap(&err, "reject %s", id)
	return s.giveUp(ctx, by, id, seen, why, evReject)
}

func (s *Service) giveUp(ctx context.Context, by events.Actor, id events.BatchID, seen int64, why string, ev BatchEvent) (b Batch, err error) {
	if why, err = checkReason(why); err != nil {
		return Batch{}, err
	}
	if b, err = s.inBatch(ctx, by, id, seen, func(tx pgx.Tx, b Batch, now time.Time) (Batch, error) {
		return stepBatch(ctx, tx, b, ev, by, why, now)
	}); err != nil {
		return b, err
	}
	// The batch is given up. Should freeing its lines be interrupted, or take
	// longer than a caller waits, Run goes on.
	if err := s.release(ctx, id, patience); err != nil {
		return b, err
	}
	return findBatch(ctx, s.pool, id)
}

// release frees the lines of a discarded batch in portions, and begins none
// once it has taken that long; 0 is no bound.
func (s *Service) release(ctx context.Context, id events.BatchID, long time.Duration) error {
	var after events.CompensationID
	for begun := time.Now(); long == 0 || time.Since(begun) < long; {
		var freed []events.CompensationID
		if err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
			freed, err = s.releasePortion(ctx, tx, id, after)
			return err
		}); err != nil || len(freed) < fillChunk {
			return err
		}
		after = freed[len(freed)-1]
	}
	return nil
}

// releasePortion frees the next lines after a place, and notes the end after
// the last of them.
func (s *Service) releasePortion(ctx context.Context, tx pgx.Tx, id events.BatchID, after events.CompensationID) ([]events.CompensationID, error) {
	b, err := lockBatch(ctx, tx, id)
	if err != nil || b.State != BatchDiscarded || !b.releasedAt.IsZero() {
		return nil, err
	}
	if err := walkIndexes(ctx, tx); err != nil {
		return nil, err
	}
	ids, err := releaseLines(ctx, tx, id, after, fillChunk)
	if err != nil {
		return nil, err
	}
	by, err := events.ParseActor(b.EndedBy)
	if err != nil {
		return nil, err
	}
	now := s.now()
	if err := moveCompensations(ctx, tx, ids, evUnbatch, by, "batch "+id.String()+" given up: "+b.EndedWhy, nil, now); err != nil {
		return nil, err
	}
	if len(ids) == fillChunk {
		return ids, nil
	}
	b.releasedAt, b.ChangedAt, b.Version = now, now, b.Version+1
	return ids, updateBatch(ctx, tx, b)
}

// ReleaseDiscarded frees what an interrupted discard left, and says of how
// many batches. Run does it all the time.
func (s *Service) ReleaseDiscarded(ctx context.Context) (n int, err error) {
	defer fault.Wrap(&err, "release discarded batches")
	list, err := listToRelease(ctx, s.pool, 100)
	if err != nil {
		return 0, err
	}
	for _, id := range list {
		if err := s.release(ctx, id, 0); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
