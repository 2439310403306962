package sla

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// PayoutState is how far a submitted batch is on its way out.
type PayoutState string

// The states of a payout.
const (
	PayoutWaiting PayoutState = "waiting" // its lines are being posted
	PayoutSending PayoutState = "sending" // posted; being sent, or about to be tried again
	PayoutSent    PayoutState = "sent"    // the other side has it
	PayoutFailed  PayoutState = "failed"  // given up; a person decides
)

// PayoutStatus is how a submitted batch gets to whoever pays.
type PayoutStatus struct {
	BatchID   events.BatchID
	Key       string // under which it is sent, every time
	Via       string
	State     PayoutState
	Attempts  int
	NextAt    time.Time // not to be tried before
	Failure   string    // of the latest attempt
	Receipt   string    // what the other side had to show
	SentAt    time.Time
	ChangedAt time.Time

	bookedTo events.CompensationID // up to which lines are posted
	bookedAt time.Time             // when the last of them was
}

const (
	bookChunk      = 5000 // postings per transaction
	readChunk      = 5000 // lines read at a time while sending
	payoutTries    = 8
	payoutPause    = 30 * time.Second // before the second try; doubles
	payoutLongest  = 30 * time.Minute
	payoutsAtATime = 20
)

// PayOut takes submitted batches on: it posts their lines, from what is owed
// to what is on its way, and hands them to their way to pay. It says how many
// it handed over. Run does it all the time; several replicas may at once.
//
// A crash at any point is made good by the next call. Posting goes on after
// the last portion that was committed. Whether a sending got through nobody
// knows; so it is repeated under the same key, which pays nobody twice.
func (s *Service) PayOut(ctx context.Context) (handed int, err error) {
	defer fault.Wrap(&err, "pay out")
	list, err := listDuePayouts(ctx, s.pool, s.now(), payoutsAtATime)
	if err != nil {
		return 0, err
	}
	var failures []error
	for _, id := range list {
		sent, err := s.payOut(ctx, id)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", id, err))
		}
		if sent {
			handed++
		}
	}
	return handed, errors.Join(failures...)
}

func (s *Service) payOut(ctx context.Context, id events.BatchID) (sent bool, err error) {
	// Only so that two replicas do not send the same order at once; that both
	// did would do no harm.
	lock, ok, err := pg.TryLock(ctx, s.pool, "sla payout "+id.String())
	if err != nil || !ok {
		return false, err
	}
	defer lock.Release()
	ctx = lock.Context()
	for booked := false; !booked; {
		if err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
			booked, err = s.bookPortion(ctx, tx, id)
			return err
		}); errors.Is(err, ErrBatchChanged) {
			return false, errors.Join(err, s.endSending(ctx, PayoutStatus{BatchID: id}, err))
		} else if err != nil {
			return false, err
		}
	}
	p, b, err := s.startSending(ctx, id)
	if err != nil || p.State != PayoutSending {
		return false, err
	}
	way, err := s.payout(p.Via)
	if err == nil {
		p.Receipt, err = way.Send(ctx, PayoutOrder{
			Key: p.Key, BatchID: b.ID, Title: b.Title, Lines: b.Lines, Total: b.Total, Digest: b.Digest,
			ApprovedBy: b.ApprovedBy, ApprovedAt: b.ApprovedAt,
		}, s.payoutLines(ctx, b))
	}
	if err != nil && ctx.Err() != nil {
		return false, err // told to stop; nothing is known, and the next one tries again
	}
	return err == nil, errors.Join(err, s.endSending(ctx, p, err))
}

// bookPortion posts the next lines of a payout and reports whether all are.
func (s *Service) bookPortion(ctx context.Context, tx pgx.Tx, id events.BatchID) (done bool, err error) {
	b, err := lockBatch(ctx, tx, id)
	if err != nil {
		return false, err
	}
	p, err := lockPayout(ctx, tx, id)
	if err != nil || !p.bookedAt.IsZero() || p.State != PayoutWaiting {
		return true, err
	}
	if err := walkIndexes(ctx, tx); err != nil {
		return false, err
	}
	if p.bookedTo.IsZero() { // before anything is posted or sent
		if err := unchanged(ctx, tx, b); err != nil {
			return false, err
		}
	}
	by, err := events.ParseActor(b.SubmittedBy)
	if err != nil {
		return false, err
	}
	lines, err := listLines(ctx, tx, id, "", p.bookedTo, bookChunk)
	if err != nil {
		return false, err
	}
	now := s.now()
	if err := postSubmission(ctx, tx, b.ID, lines, by, now); err != nil {
		return false, err
	}
	if done = len(lines) < bookChunk; done {
		p.bookedAt = now
	}
	if len(lines) > 0 {
		p.bookedTo = lines[len(lines)-1].CompensationID
	}
	p.ChangedAt = now
	return done, updatePayout(ctx, tx, p)
}

// startSending counts an attempt before it is made.
func (s *Service) startSending(ctx context.Context, id events.BatchID) (p PayoutStatus, b Batch, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if b, err = lockBatch(ctx, tx, id); err != nil {
			return err
		}
		if p, err = lockPayout(ctx, tx, id); err != nil {
			return err
		}
		if p.State == PayoutSent || p.State == PayoutFailed || p.bookedAt.IsZero() {
			return nil
		}
		p.State, p.ChangedAt = PayoutSending, s.now()
		p.Attempts++
		return updatePayout(ctx, tx, p)
	})
	return p, b, err
}

// endSending records what came of an attempt.
func (s *Service) endSending(ctx context.Context, sent PayoutStatus, failure error) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		b, err := lockBatch(ctx, tx, sent.BatchID)
		if err != nil {
			return err
		}
		p, err := lockPayout(ctx, tx, sent.BatchID)
		if err != nil || p.State == PayoutSent || p.State == PayoutFailed {
			return err
		}
		now := s.now()
		p.Receipt, p.Failure, p.ChangedAt = sent.Receipt, "", now
		switch {
		case failure == nil:
			p.State, p.SentAt = PayoutSent, now
		case errors.Is(failure, ErrPayoutRefused), errors.Is(failure, ErrBatchChanged), p.Attempts >= payoutTries:
			p.State, p.Failure = PayoutFailed, shortened(failure.Error())
		default:
			p.Failure, p.NextAt = shortened(failure.Error()), now.Add(pauseAfter(p.Attempts))
			return updatePayout(ctx, tx, p)
		}
		if err := updatePayout(ctx, tx, p); err != nil {
			return err
		}
		return events.Append(ctx, tx, payoutActor, now, b.Version, events.PayoutChanged{
			BatchID: p.BatchID, State: string(p.State), Via: p.Via, Key: p.Key, Attempts: p.Attempts,
			Lines: b.Lines, TotalFen: int64(b.Total), Digest: b.Digest, Failure: p.Failure, Receipt: p.Receipt, ChangedAt: now,
		})
	})
}

// payoutActor is who hands batches over.
var payoutActor = events.System("payout")

// pauseAfter is how long to wait after the nth failed attempt.
func pauseAfter(attempts int) time.Duration {
	return min(payoutPause<<min(attempts-1, 10), payoutLongest)
}

func shortened(text string) string {
	if runes := []rune(text); len(runes) > longestReason {
		return string(runes[:longestReason])
	}
	return text
}

// payoutLines reads a batch's lines in order, some at a time, so that a slow
// receiver holds neither a connection nor the batch. Lines that are not what
// was sealed end in ErrBatchChanged, after the last.
func (s *Service) payoutLines(ctx context.Context, b Batch) iter.Seq2[PayoutLine, error] {
	return func(yield func(PayoutLine, error) bool) {
		sum := newLineSum()
		var after events.CompensationID
		for more := true; more; {
			var lines []BatchLine
			if err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
				if err = walkIndexes(ctx, tx); err == nil {
					lines, err = listLines(ctx, tx, b.ID, "", after, readChunk)
				}
				return err
			}); err != nil {
				yield(PayoutLine{}, err)
				return
			}
			for _, l := range lines {
				if err := sum.add(l.PayoutLine); err != nil {
					yield(PayoutLine{}, err)
					return
				}
				if !yield(l.PayoutLine, nil) {
					return
				}
				after = l.CompensationID
			}
			more = len(lines) == readChunk
		}
		if !sum.is(b) {
			yield(PayoutLine{}, ErrBatchChanged)
		}
	}
}

// PayoutOf tells how a submitted batch gets on; a batch that was not
// submitted is ErrNoBatch. Finance and administrators may.
func (s *Service) PayoutOf(ctx context.Context, by events.Actor, id events.BatchID) (_ PayoutStatus, err error) {
	defer fault.Wrap(&err, "payout of %s", id)
	if !by.Is(moneyReaders...) {
		return PayoutStatus{}, forbidden(by)
	}
	p, err := findPayout(ctx, s.pool, id)
	if pg.NotFound(err) {
		err = ErrNoBatch
	}
	return p, err
}
