package sla

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"rescued/internal/fault"
)

// foreignFile reads a CSV file that a bank or provider has made: UTF-8, with or
// without a byte order mark, with a heading that names the columns.
type foreignFile struct {
	csv    *csv.Reader
	column map[string]int
	row    []string
}

// newForeignFile reads the heading. A column that is needed and missing is named.
func newForeignFile(file []byte, needed ...string) (*foreignFile, error) {
	s := &foreignFile{csv: csv.NewReader(bytes.NewReader(bytes.TrimPrefix(file, []byte("\xef\xbb\xbf")))), column: map[string]int{}}
	heading, err := s.csv.Read()
	if err != nil {
		return nil, unreadable(err)
	}
	s.csv.ReuseRecord = true
	for i, name := range heading {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := s.column[name]; twice && slices.Contains(needed, name) {
			return nil, fault.InvalidFields([]fault.Field{{Field: "heading", Code: "duplicate", Detail: "names the column " + name + " twice"}})
		}
		s.column[name] = i
	}
	var wrong complaintList
	for _, name := range needed {
		if _, ok := s.column[name]; !ok {
			wrong.field("heading", "missing_column", "lacks the column %s; needed are %s", name, strings.Join(needed, ", "))
		}
	}
	return s, wrong.err()
}

// next goes to the next row and reports whether there is one.
func (s *foreignFile) next() (bool, error) {
	row, err := s.csv.Read()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, unreadable(err)
	}
	s.row = row
	return true, nil
}

// text is a cell of the present row, without space around it.
func (s *foreignFile) text(name string) string {
	if i, ok := s.column[name]; ok {
		return strings.TrimSpace(s.row[i])
	}
	return ""
}

func unreadable(err error) error {
	if errors.Is(err, io.EOF) {
		return fault.InvalidFields([]fault.Field{{Field: "file", Code: "empty", Detail: "has no heading; send a CSV in UTF-8 whose first line names the columns"}})
	}
	return fault.InvalidFields([]fault.Field{{Field: "file", Code: "csv", Detail: "is no CSV in UTF-8: " + err.Error()}})
}

// payments reads the rows that are left, most at the most, each with the
// reference, the amount and the day of a payment; each may read on in its row.
// What is wrong with a row is added to wrong, and returned with the rest.
func (s *foreignFile) payments(most int, wrong *complaintList, each func(reference string, fen Fen, paidOn time.Time)) error {
	for i := 0; ; i++ {
		more, err := s.next()
		if err != nil {
			return err
		}
		if !more {
			return wrong.err()
		}
		if i == most {
			wrong.field("lines", "count", "has more than %d lines; send it in parts", most)
			return wrong.err()
		}
		fen, err := ParseFen(s.text("amount"))
		if err != nil {
			wrong.add(i, "amount", "amount", "must be an amount such as 20.00, not %.40q", s.text("amount"))
		}
		var paidOn time.Time
		if text := s.text("paid_on"); text != "" {
			if paidOn, err = time.Parse(time.DateOnly, text); err != nil {
				wrong.add(i, "paid_on", "date", "must be a date such as 2026-03-02, not %.40q", text)
			}
		}
		each(strings.Clone(s.text("reference")), fen, paidOn)
	}
}

// results reads a file of results and what its sender says it comes to.
func (in *resultsFileInput) results() (Results, error) {
	var wrong complaintList
	money := func(field, text string) Fen {
		fen, err := ParseFen(text)
		if err != nil || fen < 0 {
			wrong.field(field, "amount", "must be an amount such as 1234.00, not %.40q", text)
		}
		return fen
	}
	out := Results{Name: in.Name, Total: Tally{in.Lines, money("total", in.Total)}, Paid: Tally{in.PaidN, money("paid_total", in.PaidText)}}
	file, err := newForeignFile(in.RawBody, "reference", "outcome", "amount", "paid_on", "reason")
	if err != nil {
		return out, err
	}
	err = file.payments(MostResults, &wrong, func(reference string, fen Fen, paidOn time.Time) {
		out.Lines = append(out.Lines, ResultLine{
			Reference: reference, Outcome: PaymentOutcome(strings.Clone(file.text("outcome"))),
			Fen: fen, PaidOn: paidOn, Why: strings.Clone(file.text("reason")),
		})
	})
	return out, err
}
