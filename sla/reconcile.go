package sla

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// MostTold is the most lines one statement has; a longer one comes in parts.
const MostTold = 100_000

// Told is a bank's or payment house's word on what it paid for us on one
// business day, with what its sender says it comes to.
type Told struct {
	Source string // whose it is
	Name   string // of the file, for people
	Day    time.Time
	Lines  []ToldLine
	Total  Tally
}

// ToldLine is one payment as its payer tells it.
type ToldLine struct {
	Reference string
	Fen       Fen
	PaidOn    time.Time // zero when the line does not say; else the statement's day
}

// Reconciliation is a statement that was taken in.
type Reconciliation struct {
	ID         events.ReconciliationID
	Source     string
	Name       string
	Day        time.Time
	Digest     string
	Total      Tally
	ImportedBy string
	ImportedAt time.Time
}

// ErrNoReconciliation means that there is no such statement.
var ErrNoReconciliation = fault.New(fault.NotFound, "reconciliation_not_found", "There is no such reconciliation.")

// Reconcile takes a statement in. It posts nothing: what it says stands beside
// what our books say, in the four lists of its day. The whole statement is
// taken or none of it; a total its lines do not bear out, a reference that
// stands in it twice or was told before, and a line of another day are
// fault.Invalid with every wrong line named. The same statement again changes
// nothing and is a hit. A statement of a closed day is ErrDayClosed.
func (s *Service) Reconcile(ctx context.Context, by events.Actor, in Told) (_ Reconciliation, hit bool, err error) {
	defer fault.Wrap(&err, "reconcile %s of %s", in.Source, in.Day.Format(time.DateOnly))
	if !by.Is(events.RoleFinance) {
		return Reconciliation{}, false, forbidden(by)
	}
	in.Source, in.Name = strings.TrimSpace(in.Source), strings.TrimSpace(in.Name)
	if err := in.check(dayOf(s.now())); err != nil {
		return Reconciliation{}, false, err
	}
	r := Reconciliation{
		ID: events.NewID[events.ReconciliationID](), Source: in.Source, Name: in.Name, Day: in.Day, Digest: in.digest(), Total: in.Total, ImportedBy: by.String(),
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		closed, err := closedThrough(ctx, tx, false)
		if err != nil {
			return err
		}
		if was, err := findReconciliationLike(ctx, tx, r); err == nil {
			r, hit = was, true
			return nil
		} else if !pg.NotFound(err) {
			return err
		}
		if !in.Day.After(closed) {
			return ErrDayClosed.With("closed_through", dateText(closed))
		}
		r.ImportedAt = s.now()
		if err := insertReconciliation(ctx, tx, r); err != nil {
			return err
		}
		told, err := insertTold(ctx, tx, r, in.Lines)
		if err != nil {
			return err
		}
		var wrong complaintList
		for i, l := range in.Lines {
			if before, ok := told[l.Reference]; ok {
				wrong.add(i, "reference", "told_before", "was told by %s", before)
			}
		}
		if err := wrong.err(); err != nil {
			return err
		}
		return events.Append(ctx, tx, by, r.ImportedAt, 1, events.StatementReconciled{
			ReconciliationID: r.ID, Source: r.Source, Name: r.Name, Day: dateText(r.Day), Lines: r.Total.Lines,
			TotalFen: int64(r.Total.Fen), Digest: r.Digest, ImportedAt: r.ImportedAt,
		})
	})
	return r, hit, err
}

// check refuses what is wrong with a statement by itself, every line of it.
func (in Told) check(today time.Time) error {
	var wrong complaintList
	text := func(field, s string, least int) {
		if n := utf8.RuneCountInString(s); n < least || n > longTitle || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			wrong.field(field, "length", "must be text of %d to %d characters", least, longTitle)
		}
	}
	text("source", in.Source, 1)
	text("name", in.Name, 0)
	if in.Day.IsZero() || in.Day.After(today) {
		wrong.field("day", "range", "must be a business day that has come")
	}
	if len(in.Lines) == 0 || len(in.Lines) > MostTold {
		wrong.field("lines", "count", "has %d lines; send 1 to %d at once", len(in.Lines), MostTold)
		return wrong.err()
	}
	seen := make(map[string]int, len(in.Lines))
	var total Tally
	for i, l := range in.Lines {
		if n := len(l.Reference); n == 0 || n > 64 || !utf8.ValidString(l.Reference) || strings.ContainsRune(l.Reference, 0) {
			wrong.add(i, "reference", "length", "must be 1 to 64 characters")
		} else if first, twice := seen[l.Reference]; twice {
			wrong.add(i, "reference", "duplicate", "stands in line %d too", first+1)
		}
		seen[l.Reference] = i
		if !l.PaidOn.IsZero() && !l.PaidOn.Equal(in.Day) {
			wrong.add(i, "paid_on", "other_day", "is %s, and the statement is of %s", dateText(l.PaidOn), dateText(in.Day))
		}
		if l.Fen <= 0 || l.Fen > maxFen {
			wrong.add(i, "amount", "range", "must be an amount of money that can have been paid")
			continue
		}
		total.Lines, total.Fen = total.Lines+1, total.Fen+l.Fen
	}
	if len(wrong.fields) == 0 && in.Total != total {
		wrong.field("total", "total_differs", "says %d lines and %s, and the lines are %d and %s", in.Total.Lines, in.Total.Fen, total.Lines, total.Fen)
	}
	return wrong.err()
}

// digest stands for the lines, however they were written.
func (in Told) digest() string {
	sum := sha256.New()
	for _, l := range in.Lines {
		fmt.Fprintf(sum, "%q,%d\n", l.Reference, l.Fen)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Reconciliations lists statements by when they were taken in, at most limit
// of those after the place where the page before ended. Finance and
// administrators may.
func (s *Service) Reconciliations(ctx context.Context, by events.Actor, day time.Time, after ReconciliationPlace, limit int) (_ []Reconciliation, err error) {
	defer fault.Wrap(&err, "reconciliations")
	if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	return listReconciliations(ctx, s.pool, day, after, limit)
}

// Reconciliation gives one statement and how it compares with our books now.
func (s *Service) Reconciliation(ctx context.Context, by events.Actor, id events.ReconciliationID) (r Reconciliation, f DayFigures, err error) {
	defer fault.Wrap(&err, "reconciliation %s", id)
	if !by.Is(moneyReaders...) {
		return r, f, forbidden(by)
	}
	if r, err = findReconciliation(ctx, s.pool, id); err != nil {
		if pg.NotFound(err) {
			err = ErrNoReconciliation
		}
		return r, f, err
	}
	f, err = sumCompared(ctx, s.pool, r.Day, r.ID)
	return r, f, err
}

// Compared lists one of the four lists of a day, or all, in the order of
// references, at most limit of those after one; of a statement alone when of
// is not zero. Finance and administrators may.
func (s *Service) Compared(ctx context.Context, by events.Actor, day time.Time, of events.ReconciliationID, list MatchList, after string, limit int) (_ []ComparedLine, err error) {
	defer fault.Wrap(&err, "compare %s", dateText(day))
	if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	return listCompared(ctx, s.pool, day, of, list, after, limit)
}
