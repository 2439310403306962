package sla

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/internal/fault"
	"rescued/internal/pg"
)

// Discrepancy is something that stands otherwise in the database than it must.
type Discrepancy struct {
	Check   string // which check found it
	Subject string // the request, posting or batch it is about; empty for the whole
	Field   string
	Stored  string
	Wanted  string // as it follows from the journal or the other books
}

// String is the difference as one line.
func (d Discrepancy) String() string {
	line := d.Check
	if d.Subject != "" {
		line += ": " + d.Subject
	}
	line += ": " + d.Field
	if d.Stored == "" && d.Wanted == "" {
		return line
	}
	return fmt.Sprintf("%s: stored %s, must be %s", line, orNothing(d.Stored), orNothing(d.Wanted))
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// Check is one thing that Verify goes through.
type Check struct {
	Name string
	Unit string // what it counts, in the plural
	run  func(ctx context.Context, r *Report) error
}

// Checks lists everything that Verify goes through, in order. Whoever keeps
// books of another kind adds a check of them here.
func (s *Service) Checks() []Check {
	return []Check{
		{"openings", "openings in the journal", s.verifyOpenings},
		{"promises", "promises", s.verifyPromises},
		{"batches", "batches", s.verifyBatches},
		{"ledger", "postings", s.verifyLedger},
		{"caps", "accruals", s.verifyCaps},
		{"chargebacks", "chargebacks", s.verifyCharges},
		{"conditions", "declarations", s.verifyConditions},
	}
}

// Report is what a check tells as it goes.
type Report struct {
	check    Check
	verify   Verify
	checked  int
	waiting  int
	found    int
	snapshot func(ctx context.Context, do func(pgx.Tx) error) error
}

// differ reports a difference.
func (r *Report) differ(subject, field, stored, wanted string) {
	r.found++
	if r.verify.Found != nil {
		r.verify.Found(Discrepancy{r.check.Name, subject, field, stored, wanted})
	}
}

// did says that n more were checked, of total in all.
func (r *Report) did(n, total int) {
	r.checked += n
	if r.verify.Progress != nil {
		r.verify.Progress(r.check, r.checked, total)
	}
}

// Verify says whom to tell of what is found, and of how far it is. Both may
// be missing.
type Verify struct {
	Found    func(Discrepancy)
	Progress func(check Check, checked, total int)
	Kept     []ChainHead // heads of the ledger's chain that somebody kept
}

// Verified is what one check came to.
type Verified struct {
	Check
	Checked     int
	Waiting     int // told in the journal and not heard here yet; they are left out
	Differences int
}

// Verify recomputes every verdict from the journal and compares it, the facts
// it rests on, the promise as it was shown, what it owes and what was booked
// for it with what is stored; it follows what the caps were weighed against,
// attributes anew what others were charged, holds what was declared against
// the journal, walks the ledger's chain and balances the books. Each check
// reads one snapshot, of any size, in parts, and changes
// nothing. What dispatch has told and this slice has not heard yet is left
// out of the replay, as it is out of the store.
func (s *Service) Verify(ctx context.Context, v Verify) (done []Verified, err error) {
	defer fault.Wrap(&err, "verify")
	for _, check := range s.Checks() {
		r := &Report{check: check, verify: v, snapshot: s.snapshot}
		if err := check.run(ctx, r); err != nil {
			return done, fmt.Errorf("%s: %w", check.Name, err)
		}
		done = append(done, Verified{check, r.checked, r.waiting, r.found})
	}
	return done, nil
}

// snapshot reads in one lasting view of the database, without the limit on
// how long a statement may run.
func (s *Service) snapshot(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := pg.NoLimits(ctx, tx); err != nil {
			return err
		}
		return do(tx)
	})
}

// verifyLedger walks the ledger's chain and balances the books. Batches and
// caps have checks of their own, and nothing is named twice.
func (s *Service) verifyLedger(ctx context.Context, r *Report) error {
	check, err := s.checkLedger(ctx, (*LedgerCheck).reckon, r.verify.Kept...)
	if err != nil {
		return err
	}
	for _, f := range check.Findings {
		r.differ("", f, "", "")
	}
	r.did(int(check.Postings), int(check.Postings))
	return nil
}

// differences of two lists of facts, either's own.
func apart(stored, told []Fact) (surplus, missing []Fact) {
	stored, told = plainSet(stored), plainSet(told)
	for _, f := range stored {
		if _, found := slices.BinarySearchFunc(told, f, compareFacts); !found {
			surplus = append(surplus, f)
		}
	}
	for _, f := range told {
		if _, found := slices.BinarySearchFunc(stored, f, compareFacts); !found {
			missing = append(missing, f)
		}
	}
	return surplus, missing
}

// plainSet is setOf, with what was withdrawn.
func plainSet(facts []Fact) []Fact {
	facts = slices.Clone(facts)
	for i := range facts {
		f := &facts[i]
		f.At, f.Until, f.SaidAt = micro(f.At), microOrZero(f.Until), microOrZero(f.SaidAt)
	}
	slices.SortFunc(facts, compareFacts)
	return slices.CompactFunc(facts, func(a, b Fact) bool { return compareFacts(a, b) == 0 })
}

// String is a fact as one line, for whoever compares facts.
func (f Fact) String() string {
	line := string(f.Kind) + " at " + moment(f.At)
	for _, part := range []struct {
		name, value string
	}{
		{"until", moment(f.Until)}, {"", f.Source}, {"crew", f.Crew.String()}, {"provider", f.Provider.String()},
		{"level", f.Level}, {"by", string(f.By)}, {"said at", moment(f.SaidAt)}, {"ref", refText(f.Ref)}, {"record", refText(f.Record)},
		{"metres", countText(f.Metres)}, {"fen", countText(int64(f.Fen))},
	} {
		if part.value != "" {
			line += strings.TrimRight(", "+part.name, " ") + " " + part.value
		}
	}
	return line
}

func refText(ref uuid.UUID) string {
	if ref == uuid.Nil {
		return ""
	}
	return ref.String()
}

func countText(n int64) string {
	if n == 0 {
		return ""
	}
	return number(n)
}
