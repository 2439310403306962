package sla

import (
	"bufio"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"regexp"
	"strconv"
)

// sheet is a file in the making: lines, then what they come to.
type sheet interface {
	line([]cell) error
	// close writes the totals, having set x.Digest.
	close(x *Export) error
	// drop gives back what the making took; after close it does nothing.
	drop()
}

func (j *ExportJob) sheet(w io.Writer) (sheet, error) {
	if j.order.Format == XLSX {
		return newWorkbook(w, j.table, j.rowsEach)
	}
	return newCSV(w, j.order, j.table)
}

// plainCSV is the form of the lines that the digest is of: RFC 4180, header
// first, no mark, no summary.
type plainCSV struct {
	w      *csv.Writer
	table  table
	record []string
}

func newPlainCSV(w io.Writer, t table) (*plainCSV, error) {
	p := &plainCSV{w: csv.NewWriter(w), table: t, record: make([]string, len(t.columns))}
	p.w.UseCRLF = true
	for i, c := range t.columns {
		p.record[i] = c.name
	}
	return p, p.w.Write(p.record)
}

func (p *plainCSV) line(line []cell) error {
	for i, c := range p.table.columns {
		switch c.kind {
		case moneyCell:
			p.record[i] = yuan(Fen(line[i].n))
		case wholeCell:
			p.record[i] = strconv.FormatInt(line[i].n, 10)
		default:
			p.record[i] = guarded(line[i].text)
		}
	}
	return p.w.Write(p.record)
}

var plainNumber = regexp.MustCompile(`^[+-]\d+(\.\d+)?$`)

// guarded keeps a spreadsheet from running a text as a formula: one that
// begins like a formula gets an apostrophe before it. A signed number is no
// formula and stays as it is, such as the telephone number +8613800001111;
// one with gaps or dashes is, for +86-138 would be worked out.
func guarded(text string) string {
	if text == "" {
		return text
	}
	switch text[0] {
	case '=', '@', '\t', '\r', '\n':
		return "'" + text
	case '+', '-':
		if !plainNumber.MatchString(text) {
			return "'" + text
		}
	}
	return text
}

// yuan writes an amount for programs: -5.00, without the sign of the currency.
func yuan(f Fen) string {
	var text [24]byte
	b, u := text[:0], uint64(f)
	if f < 0 {
		b, u = append(b, '-'), -u
	}
	b = strconv.AppendUint(b, u/100, 10)
	return string(append(b, '.', byte('0'+u/10%10), byte('0'+u%10)))
}

// fact is one thing an export says of itself.
type fact struct {
	name  string
	value cell
	kind  cellKind
}

// facts are what an export says of itself, in one order.
func (x *Export) facts() []fact {
	text := func(name, value string) fact { return fact{name, cell{text: value}, textCell} }
	list := []fact{
		text("export", x.ID.String()), text("what", string(x.What)), text("filter", x.Filter), text("zone", x.Zone),
		text("made_by", x.MadeBy), text("made_at", x.MadeAt.Format("2006-01-02T15:04:05.999999Z07:00")),
		{"lines", cell{n: x.Lines}, wholeCell}, {"total_yuan", cell{n: int64(x.TotalFen)}, moneyCell},
		text("digest_sha256", x.Digest),
		text("ledger_head", fmt.Sprintf("%d %s", x.LedgerHead.Seq, x.LedgerHead.Hash)),
	}
	for _, n := range x.notes {
		list = append(list, text(n.Code, n.ZH+" "+n.EN))
	}
	return list
}

// csvSheet writes CSV: the lines as they are hashed, then the summary.
type csvSheet struct {
	*plainCSV
	out     *bufio.Writer
	sum     hash.Hash
	summary bool
}

const bom = "\uFEFF"

func newCSV(w io.Writer, order ExportOrder, t table) (*csvSheet, error) {
	s := &csvSheet{out: bufio.NewWriterSize(w, 64<<10), sum: sha256.New(), summary: !order.NoSummary}
	if !order.NoBOM {
		if _, err := s.out.WriteString(bom); err != nil {
			return nil, err
		}
	}
	var err error
	s.plainCSV, err = newPlainCSV(io.MultiWriter(s.out, s.sum), t)
	return s, err
}

// close adds the summary: rows as wide as the others, whose first cell begins
// with "# ", so that a program that reads the lines can tell where they end.
func (s *csvSheet) close(x *Export) error {
	s.w.Flush()
	if err := s.w.Error(); err != nil {
		return err
	}
	x.Digest = hex.EncodeToString(s.sum.Sum(nil))
	if s.summary {
		w := csv.NewWriter(s.out)
		w.UseCRLF = true
		for _, f := range x.facts() {
			record := make([]string, len(s.record))
			record[0], record[1] = "# "+f.name, guarded(f.value.text)
			switch f.kind {
			case moneyCell:
				record[1] = yuan(Fen(f.value.n))
			case wholeCell:
				record[1] = strconv.FormatInt(f.value.n, 10)
			}
			if err := w.Write(record); err != nil {
				return err
			}
		}
		w.Flush()
		if err := w.Error(); err != nil {
			return err
		}
	}
	return s.out.Flush()
}

func (s *csvSheet) drop() {}
