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
	for i := 0; ; i++ {
		more, err := file.next()
		if err != nil {
			return out, err
		}
		if !more {
			return out, wrong.err()
		}
		if i == MostResults {
			wrong.field("lines", "count", "has more than %d lines; send it in parts", MostResults)
			return out, wrong.err()
		}
		l := ResultLine{Reference: strings.Clone(file.text("reference")), Outcome: PaymentOutcome(strings.Clone(file.text("outcome"))), Why: strings.Clone(file.text("reason"))}
		if l.Fen, err = ParseFen(file.text("amount")); err != nil {
			wrong.add(i, "amount", "amount", "must be an amount such as 20.00, not %.40q", file.text("amount"))
		}
		if text := file.text("paid_on"); text != "" {
			if l.PaidOn, err = time.Parse(time.DateOnly, text); err != nil {
				wrong.add(i, "paid_on", "date", "must be a date such as 2026-03-02, not %.40q", text)
			}
		}
		out.Lines = append(out.Lines, l)
	}
}
