package history

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// content opens a file, and unpacks it when it is gzipped.
func content(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	buf := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := buf.Peek(2); string(magic) != "\x1f\x8b" {
		return unpacked{buf, f}, nil
	}
	z, err := gzip.NewReader(buf)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s begins like a gzip file and is none: %w", path, err)
	}
	return unpacked{z, f}, nil
}

type unpacked struct {
	io.Reader
	io.Closer
}

// Survey reads a file once, for what must be known before its rows: the
// SHA-256 of its content, the same whether it is gzipped or not, and how many
// lines it has.
func Survey(path string) (digest string, lines int, err error) {
	in, err := content(path)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	sum, chunk := sha256.New(), make([]byte, 1<<16)
	for {
		n, err := in.Read(chunk)
		sum.Write(chunk[:n])
		lines += bytes.Count(chunk[:n], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(sum.Sum(nil)), lines, nil
		}
		if err != nil {
			return "", 0, fmt.Errorf("%s cannot be read: %w", path, err)
		}
	}
}

// sheet is a CSV file by the names of its columns.
type sheet struct {
	path string
	in   io.Closer
	rows *csv.Reader
	col  map[string]int
	rec  []string
	line int
}

func openSheet(path string) (*sheet, error) {
	in, err := content(path)
	if err != nil {
		return nil, err
	}
	s := &sheet{path: path, in: in, rows: csv.NewReader(in), col: map[string]int{}}
	s.rows.FieldsPerRecord = -1
	s.rows.ReuseRecord = true
	if err := s.heading(); err != nil {
		in.Close()
		return nil, err
	}
	return s, nil
}

func (s *sheet) heading() error {
	head, err := s.rows.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s is empty; it needs a heading line with at least reference,called_at", s.path)
	}
	if err != nil {
		return fmt.Errorf("%s: line 1: is not CSV: %w", s.path, err)
	}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if _, twice := s.col[name]; twice {
			return fmt.Errorf("%s: line 1: %s stands twice in the heading; rename one of the two columns", s.path, name)
		}
		s.col[strings.Clone(name)] = i
	}
	return nil
}

// next reads a row; false at the end. A row that is no CSV is an error of its
// own, and the rows after it can be read.
func (s *sheet) next() (bool, error) {
	rec, err := s.rows.Read()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		s.line = parse.StartLine
		return true, fmt.Errorf("is not CSV: %w", parse.Err)
	}
	if err != nil {
		return false, fmt.Errorf("%s cannot be read: %w", s.path, err)
	}
	s.rec = rec
	s.line, _ = s.rows.FieldPos(0)
	return true, nil
}

func (s *sheet) has(column string) bool {
	_, ok := s.col[column]
	return ok
}

// field is a row's text in a column, without the space around it.
func (s *sheet) field(column string) string {
	if i, ok := s.col[column]; ok && i < len(s.rec) {
		return strings.TrimSpace(s.rec[i])
	}
	return ""
}
