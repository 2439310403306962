package sim

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"rescued/geo"
)

// Wrong is what is wrong with an input file, where, and how to mend it.
type Wrong struct {
	File   string
	Line   int    // the heading is line 1; 0 for the file as a whole
	Field  string // empty for the line as a whole
	Detail string // what is wrong, and the mend
}

func (w *Wrong) Error() string {
	at := w.File
	if w.Line > 0 {
		at += fmt.Sprintf(": line %d", w.Line)
	}
	if w.Field != "" {
		at += ": " + w.Field
	}
	return at + ": " + w.Detail
}

// table reads a CSV file, gzipped or not, by the names of its columns.
type table struct {
	path string
	file *os.File
	rows *csv.Reader
	col  map[string]int
	rec  []string
	line int
}

// openTable opens path and finds the columns it must have, in any order.
func openTable(path string, columns ...string) (*table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &Wrong{File: path, Detail: "cannot be opened: " + reason(err)}
	}
	t := &table{path: path, file: f, col: map[string]int{}}
	if err := t.heading(columns); err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

func (t *table) heading(columns []string) error {
	var r io.Reader = t.file
	buf := bufio.NewReaderSize(t.file, 1<<16)
	r = buf
	if magic, _ := buf.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(buf)
		if err != nil {
			return &Wrong{File: t.path, Detail: "begins like a gzip file and is none: " + err.Error()}
		}
		r = z
	}
	t.rows = csv.NewReader(r)
	t.rows.FieldsPerRecord = -1
	t.rows.ReuseRecord = true
	need := strings.Join(columns, ",")
	head, err := t.rows.Read()
	if errors.Is(err, io.EOF) {
		return &Wrong{File: t.path, Detail: "is empty; it needs a heading line with " + need}
	}
	if err != nil {
		return t.unreadable(err)
	}
	for i, name := range head {
		name = strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))
		if _, twice := t.col[name]; twice {
			return &Wrong{File: t.path, Line: 1, Field: name, Detail: "stands twice in the heading; rename one of the two columns"}
		}
		t.col[name] = i
	}
	for _, name := range columns {
		if _, ok := t.col[name]; !ok {
			return &Wrong{File: t.path, Line: 1, Field: name, Detail: "the heading has no such column; it needs " + need}
		}
	}
	return nil
}

// next reads a row; false at the end of the file.
func (t *table) next() (bool, error) {
	rec, err := t.rows.Read()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, t.unreadable(err)
	}
	t.rec = rec
	t.line, _ = t.rows.FieldPos(0)
	return true, nil
}

func (t *table) unreadable(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return &Wrong{File: t.path, Line: parse.StartLine, Detail: "is not CSV: " + parse.Err.Error()}
	}
	return &Wrong{File: t.path, Detail: "cannot be read: " + reason(err)}
}

func (t *table) close() { t.file.Close() }

// field is a row's text in a column, without the space around it.
func (t *table) field(name string) string {
	if i, ok := t.col[name]; ok && i < len(t.rec) {
		return strings.TrimSpace(t.rec[i])
	}
	return ""
}

func (t *table) wrong(field, detail string, args ...any) error {
	return &Wrong{File: t.path, Line: t.line, Field: field, Detail: fmt.Sprintf(detail, args...)}
}

// point reads the columns lat and lng.
func (t *table) point() (geo.Point, error) {
	lat, err := t.degrees("lat")
	if err != nil {
		return geo.Point{}, err
	}
	lng, err := t.degrees("lng")
	if err != nil {
		return geo.Point{}, err
	}
	p, err := geo.NewPoint(lat, lng)
	var bad *geo.CoordinateError
	if errors.As(err, &bad) {
		return geo.Point{}, t.wrong(bad.Field, "%s", bad.Detail)
	}
	return p, err
}

func (t *table) degrees(name string) (float64, error) {
	text := t.field(name)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, t.wrong(name, "%q is not a number; write WGS-84 degrees such as 40.1852", text)
	}
	return v, nil
}

// moment reads a time; one without a zone is UTC.
func (t *table) moment(name string) (time.Time, error) {
	text := t.field(name)
	for _, layout := range []string{"2006-01-02T15:04:05", time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, t.wrong(name, "%q is not a time; write it as 2016-02-24T08:15:00", text)
}

// reason is an error of the file system without the path it repeats.
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
