package sla

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"rescued/internal/fault"
)

// payoutFile writes each order into a directory, for somebody to fetch: the
// payments as CSV and as XLSX, and a manifest that says what they come to.
type payoutFile struct {
	dir      string
	rowsEach int // on one worksheet
}

// NewPayoutFile pays by files in a directory, which must exist and be
// writable. An order is three files named after its key. The CSV is UTF-8
// with a byte order mark and CRLF; without mark and heading its SHA-256 is
// the batch's digest. The manifest comes last: an order without one is not
// complete, and an order with one is not written again, even if its files
// have been fetched since.
func NewPayoutFile(dir string) (Payout, error) {
	if dir == "" {
		return nil, errors.New("no directory for payouts")
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return nil, fmt.Errorf("the directory for payouts cannot be written to: %w", err)
	}
	_ = probe.Close()
	return &payoutFile{dir: dir, rowsEach: mostRows}, os.Remove(probe.Name())
}

// Name is file.
func (*payoutFile) Name() string { return "file" }

// PayoutManifest says what the files of an order come to.
type PayoutManifest struct {
	Key        string            `json:"key"`
	BatchID    string            `json:"batch_id"`
	Title      string            `json:"title"`
	Lines      int64             `json:"lines"`
	TotalFen   Fen               `json:"total_fen"`
	Total      string            `json:"total"`
	Digest     string            `json:"digest"`
	ApprovedBy string            `json:"approved_by"`
	Files      map[string]string `json:"files"` // SHA-256 of each, by name
}

// Send implements Payout.
func (p *payoutFile) Send(ctx context.Context, order PayoutOrder, lines iter.Seq2[PayoutLine, error]) (_ string, err error) {
	defer fault.Wrap(&err, "payout file %s", order.Key)
	manifest := filepath.Join(p.dir, order.Key+".json")
	switch was, err := readManifest(manifest); {
	case err == nil && was.Digest == order.Digest:
		return was.receipt(), nil // sent before, and perhaps fetched
	case err == nil:
		return "", ErrPayoutRefused.Detailf("%s is there already and is of another order.", filepath.Base(manifest))
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	m := PayoutManifest{
		Key: order.Key, BatchID: order.BatchID.String(), Title: order.Title, Lines: order.Lines, TotalFen: order.Total,
		Total: yuan(order.Total), Digest: order.Digest, ApprovedBy: order.ApprovedBy, Files: map[string]string{},
	}
	csv, err := newWhole(p.dir, order.Key+".csv")
	if err != nil {
		return "", err
	}
	defer csv.drop()
	xlsx, err := newWhole(p.dir, order.Key+".xlsx")
	if err != nil {
		return "", err
	}
	defer xlsx.drop()
	if err := p.write(ctx, m, lines, csv, xlsx); err != nil {
		return "", err
	}
	for _, f := range []*whole{csv, xlsx} {
		if err := f.keep(); err != nil {
			return "", err
		}
		m.Files[f.name] = f.digest()
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return "", err
	}
	last, err := newWhole(p.dir, order.Key+".json")
	if err != nil {
		return "", err
	}
	defer last.drop()
	if _, err := last.Write(append(text, '\n')); err != nil {
		return "", err
	}
	return m.receipt(), last.keep()
}

func (m PayoutManifest) receipt() string {
	return fmt.Sprintf("%s.csv %s", m.Key, m.Files[m.Key+".csv"])
}

func readManifest(path string) (m PayoutManifest, err error) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

// write makes both files in one pass over the lines.
func (p *payoutFile) write(ctx context.Context, m PayoutManifest, lines iter.Seq2[PayoutLine, error], csv, xlsx io.Writer) error {
	if _, err := io.WriteString(csv, bom+payoutColumns+"\r\n"); err != nil {
		return err
	}
	sheet, err := newWorkbook(xlsx, table{name: "payments", columns: columnsOf("reference", "payee", "fen:whole", "amount:money", "currency", "compensation_id")}, p.rowsEach)
	if err != nil {
		return err
	}
	defer sheet.drop()
	sum, row := newLineSum(), make([]cell, 6)
	for l, err := range lines {
		if err != nil {
			return err
		}
		if sum.lines%readChunk == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := sum.add(l); err != nil {
			return err
		}
		if _, err := csv.Write(sum.row); err != nil {
			return err
		}
		row[0].text, row[1].text, row[2].n, row[3].n = l.Reference, l.Payee.String(), int64(l.Fen), int64(l.Fen)
		row[4].text, row[5].text = "CNY", l.CompensationID.String()
		if err := sheet.line(row); err != nil {
			return err
		}
	}
	if sum.lines != m.Lines || sum.total != m.TotalFen || sum.digest() != m.Digest {
		return ErrBatchChanged
	}
	text := func(name, value string) fact { return fact{name, cell{text: value}, textCell} }
	return sheet.finish([]fact{
		text("key", m.Key), text("batch", m.BatchID), text("title", m.Title),
		{"lines", cell{n: m.Lines}, wholeCell}, {"total_yuan", cell{n: int64(m.TotalFen)}, moneyCell},
		text("digest_sha256", m.Digest), text("approved_by", m.ApprovedBy),
	})
}

// whole is a file that is there whole or not at all: it is written under
// another name, forced to the disk, and then given its own.
type whole struct {
	dir, name string
	file      *os.File
	out       *bufio.Writer
	sum       interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func newWhole(dir, name string) (*whole, error) {
	f, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return nil, err
	}
	w := &whole{dir: dir, name: name, file: f, sum: sha256.New()}
	w.out = bufio.NewWriterSize(io.MultiWriter(f, w.sum), 256<<10)
	return w, nil
}

// Write implements io.Writer.
func (w *whole) Write(b []byte) (int, error) { return w.out.Write(b) }

func (w *whole) digest() string { return hex.EncodeToString(w.sum.Sum(nil)) }

func (w *whole) keep() error {
	if err := errors.Join(w.out.Flush(), w.file.Chmod(0o640), w.file.Sync(), w.file.Close()); err != nil {
		return err
	}
	if err := os.Rename(w.file.Name(), filepath.Join(w.dir, w.name)); err != nil {
		return err
	}
	w.file = nil
	dir, err := os.Open(w.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close()) // else the name may not outlive a power cut
}

// drop removes what was not kept.
func (w *whole) drop() {
	if w.file != nil {
		_ = w.file.Close()
		_ = os.Remove(w.file.Name())
	}
}
