package sim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rescued/sla"
)

// Output is a file being written. It appears under its name when it is
// complete, and not at all otherwise; a device or a pipe is written at once.
type Output struct {
	*bufio.Writer
	path   string
	temp   *os.File
	direct bool // temp is what is at path
}

// Create begins the file at path, beside which it is written until Close.
func Create(path string) (*Output, error) {
	if at, err := os.Stat(path); err == nil && !at.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be written: %s", path, reason(err))
		}
		return &Output{bufio.NewWriterSize(f, 1<<16), path, f, true}, nil
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %s", path, reason(err))
	}
	return &Output{bufio.NewWriterSize(temp, 1<<16), path, temp, false}, nil
}

// Close completes the file.
func (o *Output) Close() error {
	err := o.Flush()
	if err == nil && !o.direct {
		err = o.temp.Chmod(0o644)
	}
	if closed := o.temp.Close(); err == nil {
		err = closed
	}
	if err == nil && !o.direct {
		err = os.Rename(o.temp.Name(), o.path)
	}
	o.Discard()
	if err != nil {
		return fmt.Errorf("%s cannot be written: %s", o.path, reason(err))
	}
	return nil
}

// Discard gives the file up; after Close it does nothing.
func (o *Output) Discard() {
	o.temp.Close()
	if !o.direct {
		os.Remove(o.temp.Name())
	}
}

const (
	runsHeading = "request,crew_id,called_at,assigned_at,arrived_at,freed_at,late_s,compensation_fen"
	legsHeading = "crew_id,request,committed_at,from_lat,from_lng,ended_at,end"
)

// WriteRuns writes a row for each request, in order. One that nobody served
// has its call and nothing else.
func WriteRuns(w io.Writer, rows []Row) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, runsHeading)
	var line []byte
	for _, r := range rows {
		line = strconv.AppendInt(line[:0], int64(r.Request), 10)
		line = append(line, ',')
		line = appendText(line, r.Crew)
		line = append(line, ',')
		line = append(line, stamp(r.CalledAt)...)
		if r.Served() {
			for _, at := range []time.Time{r.AssignedAt, r.ArrivedAt, r.FreedAt} {
				line = append(line, ',')
				line = append(line, stamp(at)...)
			}
			line = fmt.Appendf(line, ",%d.%03d,%d\n", r.Late/time.Second, r.Late%time.Second/time.Millisecond, r.Fen)
		} else {
			line = append(line, ",,,,,\n"...)
		}
		out.Write(line)
	}
	return out.Flush()
}

// LegWriter writes legs as they end.
type LegWriter struct {
	out   io.Writer
	fleet []Member
	line  []byte
}

// NewLegWriter writes the heading of a file of legs.
func NewLegWriter(out io.Writer, fleet []Member) (*LegWriter, error) {
	_, err := fmt.Fprintln(out, legsHeading)
	return &LegWriter{out: out, fleet: fleet}, err
}

// Write writes a leg. The request of an idle crew's move is empty.
func (w *LegWriter) Write(l Leg) error {
	line := appendText(w.line[:0], w.fleet[l.Crew].ID)
	line = append(line, ',')
	if l.Request != nobody {
		line = strconv.AppendInt(line, int64(l.Request), 10)
	}
	line = append(line, ',')
	line = append(line, stamp(l.CommittedAt)...)
	line = append(line, ',')
	line = strconv.AppendFloat(line, l.From.Lat, 'f', -1, 64)
	line = append(line, ',')
	line = strconv.AppendFloat(line, l.From.Lng, 'f', -1, 64)
	line = append(line, ',')
	line = append(line, stamp(l.EndedAt)...)
	if l.Arrived {
		line = append(line, ",arrived\n"...)
	} else {
		line = append(line, ",diverted\n"...)
	}
	w.line = line
	_, err := w.out.Write(line)
	return err
}

// appendText writes a CSV field.
func appendText(line []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") && strings.TrimSpace(s) == s {
		return append(line, s...)
	}
	line = append(line, '"')
	line = append(line, strings.ReplaceAll(s, `"`, `""`)...)
	return append(line, '"')
}

// WriteJSON writes a value as an indented document.
func WriteJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// ReadRuns reads what WriteRuns wrote. A row that cannot be one is a *Wrong.
func ReadRuns(path string) ([]Row, error) {
	t, err := openTable(path, strings.Split(runsHeading, ",")...)
	if err != nil {
		return nil, err
	}
	defer t.close()
	var rows []Row
	for {
		ok, err := t.next()
		if err != nil || !ok {
			return rows, err
		}
		row, err := t.row(len(rows))
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
}

func (t *table) row(number int) (Row, error) {
	r := Row{Request: number, Crew: strings.Clone(t.field("crew_id"))}
	if t.field("request") != strconv.Itoa(number) {
		return r, t.wrong("request", "%q is not %d; requests stand in order from 0", t.field("request"), number)
	}
	var err error
	if r.CalledAt, err = t.moment("called_at"); err != nil || !r.Served() {
		return r, err
	}
	for _, f := range []struct {
		name string
		at   *time.Time
	}{{"assigned_at", &r.AssignedAt}, {"arrived_at", &r.ArrivedAt}, {"freed_at", &r.FreedAt}} {
		if *f.at, err = t.moment(f.name); err != nil {
			return r, err
		}
	}
	late, err := strconv.ParseFloat(t.field("late_s"), 64)
	if err != nil || late < 0 {
		return r, t.wrong("late_s", "%q is not a number of seconds, 0 or more", t.field("late_s"))
	}
	r.Late = time.Duration(late * float64(time.Second)).Round(time.Millisecond)
	fen, err := strconv.ParseInt(t.field("compensation_fen"), 10, 64)
	if err != nil {
		return r, t.wrong("compensation_fen", "%q is not a whole number of fen", t.field("compensation_fen"))
	}
	r.Fen = sla.Fen(fen)
	return r, nil
}
