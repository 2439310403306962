package sla

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
)

// Outcome of a payment, as whoever pays tells it.
type PaymentOutcome string

// The outcomes of a payment.
const (
	OutcomePaid    PaymentOutcome = "paid"
	OutcomeBounced PaymentOutcome = "bounced"
)

// MostResults is the most lines one set of results has.
const MostResults = 20_000

// ResultLine is what became of one payment.
type ResultLine struct {
	Reference string
	Outcome   PaymentOutcome
	Fen       Fen
	PaidOn    time.Time // business date; zero: the day it is recorded. A closed one gives way to the next
	Why       string    // of a bounce
}

// Results is a set of result lines as it came in, with what its sender says
// it comes to.
type Results struct {
	Name  string // of the file, for people
	Lines []ResultLine
	Paid  Tally // what the sender counts as paid
	Total Tally // all lines
}

// landed is a result that changes something.
type landed struct {
	line   knownLine
	state  LineState
	paidOn time.Time
	why    string
}

type resultSum struct {
	paid, bounced Tally
	repeated      int
}

// ErrNotSent means that results came for a batch nothing of which can have
// been paid yet.
var ErrNotSent = fault.New(fault.Conflict, "payout_not_sent", "The batch is not on its way yet, so nothing can have come of it; send the results once it is.")

// Record takes results of a submitted batch: paid lines leave the bank,
// bounced ones are owed again and wait for a later batch. The whole set is
// taken or none of it: a line of another batch, an unknown reference, another
// amount, a second result that contradicts the first, or totals the lines do
// not bear out are fault.Invalid with every wrong line named, and nothing is
// posted. The same set again changes nothing and is a hit; so is each line
// whose result is known, in whatever set it comes.
func (s *Service) Record(ctx context.Context, by events.Actor, id events.BatchID, in Results) (_ Batch, hit bool, err error) {
	defer fault.Wrap(&err, "record results of %s", id)
	if err := in.check(); err != nil {
		return Batch{}, false, err
	}
	digest := in.digest()
	b, err := s.inBatch(ctx, by, id, 0, func(tx pgx.Tx, b Batch, now time.Time) (Batch, error) {
		if hit, err = resultKnown(ctx, tx, id, digest); err != nil || hit {
			return b, err
		}
		if _, err := batchTable.Next(b.State, evRecord); err != nil {
			return b, err
		}
		return s.land(ctx, tx, b, in, digest, by, now)
	})
	return b, hit, err
}

// land applies checked results to a locked batch.
func (s *Service) land(ctx context.Context, tx pgx.Tx, b Batch, in Results, digest string, by events.Actor, now time.Time) (Batch, error) {
	references := make([]string, len(in.Lines))
	for i, l := range in.Lines {
		references[i] = l.Reference
	}
	known, err := findLines(ctx, tx, references)
	if err != nil {
		return b, err
	}
	closed, err := closedThrough(ctx, tx, false)
	if err != nil {
		return b, err
	}
	paid, bounced, sum, err := in.match(b.ID, known, now, closed)
	if err != nil {
		return b, err
	}
	result := uuid.Must(uuid.NewV7())
	if added, err := insertResult(ctx, tx, result, b.ID, in, digest, sum, by, now); err != nil || !added {
		return b, err
	}
	all := append(append([]landed{}, paid...), bounced...)
	if len(all) == 0 {
		return b, nil // every line was known
	}
	if n, err := updateLines(ctx, tx, b.ID, result, all); err != nil {
		return b, err
	} else if n != int64(len(all)) {
		return b, ErrBatchChanged
	}
	for _, part := range []struct {
		list []landed
		ev   CompensationEvent
	}{{paid, evPay}, {bounced, evBounce}} {
		ids, whys := make([]events.CompensationID, len(part.list)), []string(nil)
		for i, l := range part.list {
			ids[i] = l.line.compensation
			if part.ev == evBounce {
				whys = append(whys, l.why)
			}
		}
		if err := moveCompensations(ctx, tx, ids, part.ev, by, "paid by batch "+b.ID.String(), whys, now); err != nil {
			return b, err
		}
	}
	if err := postPaid(ctx, tx, b.ID, paid, by, now); err != nil {
		return b, err
	}
	if err := postBounced(ctx, tx, bounced, by, now); err != nil {
		return b, err
	}
	b.Paid.Lines, b.Paid.Fen = b.Paid.Lines+sum.paid.Lines, b.Paid.Fen+sum.paid.Fen
	b.Bounced.Lines, b.Bounced.Fen = b.Bounced.Lines+sum.bounced.Lines, b.Bounced.Fen+sum.bounced.Fen
	return stepBatch(ctx, tx, b, evRecord, by, in.Name, now)
}

// match holds each line against what the books know of it. A payment on a day
// that is closed belongs to the next that is open.
func (in Results) match(batch events.BatchID, known []knownLine, now, closed time.Time) (paid, bounced []landed, sum resultSum, err error) {
	var wrong complaintList
	unsent := 0
	for i, l := range in.Lines {
		k := known[i]
		want := LinePaid
		if l.Outcome == OutcomeBounced {
			want = LineBounced
		}
		switch {
		case k.batch.IsZero():
			wrong.add(i, "reference", "unknown_reference", "is no payment of ours: %.64q", l.Reference)
		case k.batch != batch:
			wrong.add(i, "reference", "other_batch", "is a payment of %s; send it there", k.batch)
		case k.fen != l.Fen:
			wrong.add(i, "amount", "amount_differs", "is %s, and the payment is %s", l.Fen, k.fen)
		case k.state != LineOpen && k.state != want:
			wrong.add(i, "outcome", "result_contradicts", "says %s, and the line is %s already", l.Outcome, k.state)
		case k.state == want:
			sum.repeated++
		case !k.booked:
			unsent++
		case want == LinePaid:
			day := l.PaidOn
			if day.IsZero() {
				day = dayOf(now)
			}
			if day.After(dayOf(now)) {
				wrong.add(i, "paid_on", "future", "is %s, which has not come yet", day.Format(time.DateOnly))
				continue
			}
			if !day.After(closed) {
				day = closed.AddDate(0, 0, 1)
			}
			paid = append(paid, landed{line: k, state: want, paidOn: day})
			sum.paid.Lines, sum.paid.Fen = sum.paid.Lines+1, sum.paid.Fen+k.fen
		default:
			bounced = append(bounced, landed{line: k, state: want, why: l.Why})
			sum.bounced.Lines, sum.bounced.Fen = sum.bounced.Lines+1, sum.bounced.Fen+k.fen
		}
	}
	if err := wrong.err(); err != nil {
		return nil, nil, sum, err
	}
	if unsent > 0 {
		return nil, nil, sum, ErrNotSent.With("lines", unsent)
	}
	return paid, bounced, sum, nil
}

// check refuses what is wrong with a set by itself, every line of it.
func (in Results) check() error {
	var wrong complaintList
	if n := utf8.RuneCountInString(in.Name); n > longTitle || !utf8.ValidString(in.Name) || strings.ContainsRune(in.Name, 0) {
		wrong.field("name", "length", "must be text of at most 200 characters")
	}
	if len(in.Lines) == 0 || len(in.Lines) > MostResults {
		wrong.field("lines", "count", "has %d lines; send 1 to %d at once", len(in.Lines), MostResults)
		return wrong.err()
	}
	seen := make(map[string]int, len(in.Lines))
	var paid, total Tally
	for i, l := range in.Lines {
		if first, twice := seen[l.Reference]; twice {
			wrong.add(i, "reference", "duplicate", "stands in line %d too", first+1)
		}
		seen[l.Reference] = i
		switch l.Outcome {
		case OutcomePaid:
			paid.Lines, paid.Fen = paid.Lines+1, paid.Fen+l.Fen
			if l.Why != "" {
				wrong.add(i, "reason", "not_wanted", "is for what bounced alone")
			}
		case OutcomeBounced:
			if n := utf8.RuneCountInString(strings.TrimSpace(l.Why)); n == 0 || n > longestReason || !utf8.ValidString(l.Why) || strings.ContainsRune(l.Why, 0) {
				wrong.add(i, "reason", "length", "must say in 1 to %d characters why it bounced", longestReason)
			}
			if !l.PaidOn.IsZero() {
				wrong.add(i, "paid_on", "not_wanted", "is for what was paid alone")
			}
		default:
			wrong.add(i, "outcome", "enum", "must be paid or bounced, not %.40q", string(l.Outcome))
		}
		if l.Fen <= 0 || l.Fen > maxFen {
			wrong.add(i, "amount", "range", "must be an amount of money that can have been paid")
			continue
		}
		total.Lines, total.Fen = total.Lines+1, total.Fen+l.Fen
	}
	if len(wrong.fields) == 0 {
		if in.Total != total {
			wrong.field("total", "total_differs", "says %d lines and %s, and the lines are %d and %s", in.Total.Lines, in.Total.Fen, total.Lines, total.Fen)
		}
		if in.Paid != paid {
			wrong.field("paid", "total_differs", "says %d lines and %s, and those paid are %d and %s", in.Paid.Lines, in.Paid.Fen, paid.Lines, paid.Fen)
		}
	}
	return wrong.err()
}

// digest stands for the lines, however they were written.
func (in Results) digest() string {
	sum := sha256.New()
	for _, l := range in.Lines {
		fmt.Fprintf(sum, "%q,%s,%d,%s,%q\n", l.Reference, l.Outcome, l.Fen, l.PaidOn.Format(time.DateOnly), l.Why)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// complaintList gathers what is wrong with lines, each by its place from 1.
type complaintList struct {
	fields []fault.Field
	more   int
}

// mostNamed bounds the answer; the number of the rest is told.
const mostNamed = 1000

func (c *complaintList) add(line int, field, code, detail string, args ...any) {
	c.field(fmt.Sprintf("lines[%d].%s", line+1, field), code, detail, args...)
}

func (c *complaintList) field(field, code, detail string, args ...any) {
	if len(c.fields) == mostNamed {
		c.more++
		return
	}
	c.fields = append(c.fields, fault.Field{Field: field, Code: code, Detail: fmt.Sprintf(detail, args...)})
}

func (c *complaintList) err() error {
	if len(c.fields) == 0 {
		return nil
	}
	e := &fault.Error{Kind: fault.Invalid, Code: "invalid", Detail: "Nothing was posted; see fields for every wrong line.", Fields: c.fields}
	if c.more > 0 {
		return e.With("more_wrong", c.more)
	}
	return e
}

// dayOf is the business date of a moment, as midnight UTC of that date.
func dayOf(at time.Time) time.Time {
	local := at.In(businessZone)
	return time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
}
