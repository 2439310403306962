package traffic

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"rescued/geo"
)

// Call is one row of a demand file: somebody needed help there and then.
type Call struct {
	Line     int       // line in the file, the heading being 1
	CalledAt time.Time // the file's own clock, read as UTC
	At       geo.Point // WGS-84
	Kind     string    // the file's word for what happened
}

// BadRow is a row that cannot be a call, and why.
type BadRow struct {
	Line int
	Why  string
}

// Selection narrows a demand file. Zero fields select everything.
type Selection struct {
	From, To time.Time // From ≤ call < To
	Kind     string
}

// ReadDemand reads the CSV file at path, gzipped if its name ends in .gz, with
// the columns call_time, lat, lng and kind in any order; other columns are
// ignored. Calls come back in time order. Rows that are not calls come back
// beside them, each with its line and reason; only a file without the columns,
// or one that cannot be read, is an error.
func ReadDemand(path string, sel Selection) ([]Call, []BadRow, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open the demand file: %w", err)
	}
	defer f.Close()
	var r io.Reader = bufio.NewReader(f)
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, fmt.Errorf("%s ends in .gz but is not gzipped: %w", path, err)
		}
		defer z.Close()
		r = z
	}
	calls, bad, err := parseDemand(r, sel)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return calls, bad, nil
}

func parseDemand(r io.Reader, sel Selection) ([]Call, []BadRow, error) {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = -1
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("no heading line with call_time,lat,lng,kind: %w", err)
	}
	col := map[string]int{}
	for i, name := range head {
		col[strings.TrimPrefix(strings.TrimSpace(name), "\ufeff")] = i
	}
	for _, name := range []string{"call_time", "lat", "lng", "kind"} {
		if _, ok := col[name]; !ok {
			return nil, nil, fmt.Errorf("the heading has no column %s; it needs call_time,lat,lng,kind", name)
		}
	}
	var calls []Call
	var bad []BadRow
	for {
		rec, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := rows.FieldPos(0)
		if err != nil {
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				bad = append(bad, BadRow{pe.StartLine, "not CSV: " + pe.Err.Error()})
				continue
			}
			return nil, nil, err
		}
		call, why := parseCall(rec, col)
		call.Line = line
		if why != "" {
			bad = append(bad, BadRow{line, why})
			continue
		}
		if sel.keeps(call) {
			calls = append(calls, call)
		}
	}
	slices.SortStableFunc(calls, func(a, b Call) int { return a.CalledAt.Compare(b.CalledAt) })
	return calls, bad, nil
}

func (s Selection) keeps(c Call) bool {
	return (s.From.IsZero() || !c.CalledAt.Before(s.From)) &&
		(s.To.IsZero() || c.CalledAt.Before(s.To)) &&
		(s.Kind == "" || s.Kind == c.Kind)
}

func parseCall(rec []string, col map[string]int) (Call, string) {
	field := func(name string) string {
		if i := col[name]; i < len(rec) {
			return strings.TrimSpace(rec[i])
		}
		return ""
	}
	at, err := parseTime(field("call_time"))
	if err != nil {
		return Call{}, fmt.Sprintf("call_time %q is not a time such as 2016-02-24T08:15:00", field("call_time"))
	}
	lat, errLat := strconv.ParseFloat(field("lat"), 64)
	lng, errLng := strconv.ParseFloat(field("lng"), 64)
	if errLat != nil || errLng != nil {
		return Call{}, fmt.Sprintf("lat %q and lng %q must be numbers in degrees", field("lat"), field("lng"))
	}
	p, err := geo.NewPoint(lat, lng)
	if err != nil {
		return Call{}, err.Error()
	}
	return Call{CalledAt: at, At: p, Kind: field("kind")}, ""
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", time.RFC3339Nano, "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("unknown layout")
}

// Moved carries calls as they stand to another place: their middle comes to lie
// on centre, and every call keeps its distance in metres and its bearing from
// the middle, so that their spacing in place stays real.
func Moved(calls []Call, centre geo.Point) []Call {
	if len(calls) == 0 {
		return nil
	}
	var middle geo.Point
	for _, c := range calls {
		middle.Lat += c.At.Lat / float64(len(calls))
		middle.Lng += c.At.Lng / float64(len(calls))
	}
	out := slices.Clone(calls)
	for i, c := range calls {
		out[i].At = geo.Destination(centre, geo.Bearing(middle, c.At), geo.Distance(middle, c.At))
	}
	return out
}

// RoundTheClock turns one day's calls so that the day starts at the given hour:
// what came before it follows a day later. The spacing in time stays real, and
// a demonstration can start where something happens.
func RoundTheClock(calls []Call, hour time.Duration) []Call {
	out := slices.Clone(calls)
	for i, c := range calls {
		midnight := c.CalledAt.Truncate(24 * time.Hour)
		if c.CalledAt.Sub(midnight) < hour {
			out[i].CalledAt = c.CalledAt.Add(24 * time.Hour)
		}
	}
	slices.SortStableFunc(out, func(a, b Call) int { return a.CalledAt.Compare(b.CalledAt) })
	return out
}
