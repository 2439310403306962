package sla

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// Each payment is posted by itself and not its batch in sum: every fen of a
// compensation can then be followed through the chained ledger alone, from
// its accrual to the bank, and a bounce is a true reversal, line by line, of
// the one posting it takes back. It costs three postings for each
// compensation where a sum would cost three for each batch, and they are
// written in portions of thousands, two statements each.

// attemptKey names a posting of one attempt to pay a compensation.
func attemptKey(id events.CompensationID, what string, attempt int) string {
	return postingKey(id, what+":"+strconv.Itoa(attempt))
}

// postSubmission books that lines are on their way: owed no more, not paid yet.
func postSubmission(ctx context.Context, tx pgx.Tx, batch events.BatchID, lines []BatchLine, by events.Actor, at time.Time) error {
	ps := make([]posting, len(lines))
	for i, l := range lines {
		p, err := newPosting(attemptKey(l.CompensationID, "payout", l.Attempt), "payout", by, at,
			entry{OwnerPayable, l.Fen}, entry{PayoutClearing, -l.Fen})
		if err != nil {
			return err
		}
		p.compensation, p.batch = l.CompensationID, batch
		ps[i] = p
	}
	return insertPostings(ctx, tx, ps...)
}

// postPaid books that money has left the bank, on the day it did.
func postPaid(ctx context.Context, tx pgx.Tx, batch events.BatchID, list []landed, by events.Actor, at time.Time) error {
	ps := make([]posting, len(list))
	for i, l := range list {
		p, err := newPosting(attemptKey(l.line.compensation, "paid", l.line.attempt), "paid", by, at,
			entry{PayoutClearing, l.line.fen}, entry{Cash, -l.line.fen})
		if err != nil {
			return err
		}
		p.compensation, p.batch, p.bookedOn = l.line.compensation, batch, l.paidOn
		ps[i] = p
	}
	return insertPostings(ctx, tx, ps...)
}

// postBounced reverses what booked the lines as on their way.
func postBounced(ctx context.Context, tx pgx.Tx, list []landed, by events.Actor, at time.Time) error {
	keys := make([]string, len(list))
	for i, l := range list {
		keys[i] = attemptKey(l.line.compensation, "payout", l.line.attempt)
	}
	submissions, err := listPostings(ctx, tx, keys)
	if err != nil {
		return err
	}
	ps := make([]posting, len(list))
	for i, l := range list {
		submission, ok := submissions[keys[i]]
		if !ok {
			return fmt.Errorf("the submission %s is not in the ledger: %w", keys[i], pgx.ErrNoRows)
		}
		ps[i] = submission.reversal(attemptKey(l.line.compensation, "bounce", l.line.attempt), "bounce", by, at)
	}
	return insertPostings(ctx, tx, ps...)
}
