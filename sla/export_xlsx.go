package sla

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/xuri/excelize/v2"
)

// mostRows is how many rows a worksheet can hold, the header included.
const mostRows = excelize.TotalRows

// mostExact is the largest amount, in fen, that a cell can hold to the fen:
// spreadsheets keep fifteen digits.
const mostExact = Fen(999_999_999_999_999)

// workbook writes XLSX: a sheet that says what the export is and comes to,
// then the lines, on as many sheets as they need. The lines wait in a
// temporary file, for a workbook is a ZIP archive whose parts are written one
// after the other; memory stays the same however many they are.
type workbook struct {
	w        io.Writer
	file     *excelize.File
	table    table
	rowsEach int // on one sheet, the header included

	stream *excelize.StreamWriter
	sheets int
	row    int // last one written of the present sheet
	values []any

	money, bold int // styles
	plain       *plainCSV
	sum         hash.Hash
}

const summarySheet = "summary"

func newWorkbook(w io.Writer, t table, rowsEach int) (_ *workbook, err error) {
	b := &workbook{w: w, file: excelize.NewFile(), table: t, rowsEach: rowsEach, values: make([]any, len(t.columns)), sum: sha256.New()}
	defer func() {
		if err != nil {
			b.drop()
		}
	}()
	if b.plain, err = newPlainCSV(b.sum, t); err != nil {
		return nil, err
	}
	if b.money, err = b.file.NewStyle(&excelize.Style{NumFmt: 4}); err != nil { // #,##0.00
		return nil, err
	}
	if b.bold, err = b.file.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}}); err != nil {
		return nil, err
	}
	if err = b.file.SetSheetName("Sheet1", summarySheet); err != nil {
		return nil, err
	}
	return b, b.turn()
}

// turn begins the next sheet of lines.
func (b *workbook) turn() error {
	if err := b.endSheet(); err != nil {
		return err
	}
	b.sheets++
	name := b.table.name
	if b.sheets > 1 {
		name = fmt.Sprintf("%s (%d)", name, b.sheets)
	}
	if _, err := b.file.NewSheet(name); err != nil {
		return err
	}
	stream, err := b.file.NewStreamWriter(name)
	if err != nil {
		return err
	}
	b.stream, b.row = stream, 1
	if err := stream.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	for i, c := range b.table.columns {
		b.values[i] = excelize.Cell{StyleID: b.bold, Value: c.name}
	}
	return stream.SetRow("A1", b.values)
}

func (b *workbook) endSheet() error {
	if b.stream == nil {
		return nil
	}
	return b.stream.Flush()
}

func (b *workbook) line(line []cell) error {
	if err := b.plain.line(line); err != nil {
		return err
	}
	if b.row == b.rowsEach {
		if err := b.turn(); err != nil {
			return err
		}
	}
	b.row++
	for i, c := range b.table.columns {
		value, err := b.value(line[i], c.kind)
		if err != nil {
			return err
		}
		b.values[i] = value
	}
	at, err := excelize.CoordinatesToCellName(1, b.row)
	if err != nil {
		return err
	}
	return b.stream.SetRow(at, b.values)
}

// value is a cell with its type. Money in a cell is a number, and a number in
// a spreadsheet is a binary fraction; below mostExact its shortest decimal
// form is the amount to the fen, and above it is refused.
func (b *workbook) value(c cell, kind cellKind) (any, error) {
	switch kind {
	case moneyCell:
		if f := Fen(c.n); f > mostExact || f < -mostExact {
			return nil, ErrAmount.Detailf("%s is more than a cell of a spreadsheet holds to the fen; export it as CSV.", f)
		}
		return excelize.Cell{StyleID: b.money, Value: float64(c.n) / 100}, nil
	case wholeCell:
		return c.n, nil
	}
	if c.text == "" {
		return nil, nil
	}
	return c.text, nil
}

func (b *workbook) close(x *Export) error {
	b.plain.w.Flush()
	x.Digest = hex.EncodeToString(b.sum.Sum(nil))
	return b.finish(x.facts())
}

// finish ends the lines, says on the first sheet what they come to, and
// writes the whole.
func (b *workbook) finish(facts []fact) error {
	if err := b.endSheet(); err != nil {
		return err
	}
	for i, f := range facts {
		value, err := b.value(f.value, f.kind)
		if err != nil {
			return err
		}
		style := 0
		if c, ok := value.(excelize.Cell); ok {
			value, style = c.Value, c.StyleID
		}
		at := fmt.Sprintf("B%d", i+1)
		if err := b.file.SetCellStr(summarySheet, fmt.Sprintf("A%d", i+1), f.name); err != nil {
			return err
		}
		if err := b.file.SetCellValue(summarySheet, at, value); err != nil {
			return err
		}
		if err := b.file.SetCellStyle(summarySheet, at, at, style); err != nil {
			return err
		}
	}
	if err := b.file.SetColWidth(summarySheet, "A", "B", 24); err != nil {
		return err
	}
	// Left alone, the library would build the whole archive in memory first.
	b.file.SetZipWriter(func(io.Writer) excelize.ZipWriter { return zip.NewWriter(b.w) })
	return b.file.Write(io.Discard)
}

func (b *workbook) drop() { _ = b.file.Close() }
