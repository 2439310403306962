package geo

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// DefaultCoveredKm is how far a centre of an imported file covers when its row
// does not say.
const DefaultCoveredKm = 100.0

// maxAreaFile bounds an imported file, in bytes.
const maxAreaFile = 256 << 20

// Problem is one thing wrong with an imported file.
type Problem struct {
	Where  string // "line 3", or "feature 2"
	Field  string // the column or property, or empty
	Detail string // what is wrong, and the mend
}

func (p Problem) String() string {
	if p.Field == "" {
		return p.Where + ": " + p.Detail
	}
	return p.Where + ": " + p.Field + ": " + p.Detail
}

// ImportError holds everything wrong with an imported file, in its order.
type ImportError struct{ Problems []Problem }

func (e *ImportError) Error() string {
	const shown = 50
	lines := make([]string, 0, min(len(e.Problems), shown)+1)
	for i, p := range e.Problems {
		if i == shown {
			lines = append(lines, fmt.Sprintf("and %d more", len(e.Problems)-shown))
			break
		}
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// problems gathers what is wrong while a file is read.
type problems []Problem

func (ps *problems) add(where, field, format string, args ...any) {
	*ps = append(*ps, Problem{Where: where, Field: field, Detail: fmt.Sprintf(format, args...)})
}

func (ps problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return &ImportError{Problems: ps}
}

// ParseAreas reads either form of area file: GeoJSON when it begins with a
// brace, else a CSV of centres.
func ParseAreas(r io.Reader) (*Areas, error) {
	in := bufio.NewReader(r)
	for {
		c, _, err := in.ReadRune()
		if errors.Is(err, io.EOF) {
			return nil, &ImportError{[]Problem{{Where: "line 1", Detail: "the file is empty"}}}
		}
		if err != nil {
			return nil, err
		}
		if c == '\ufeff' || unicode.IsSpace(c) {
			continue
		}
		if err := in.UnreadRune(); err != nil {
			return nil, err
		}
		if c == '{' {
			return ParseGeoJSON(in)
		}
		return ParseCentres(in)
	}
}

// centreColumns are the columns ParseCentres knows; the first four are needed.
var centreColumns = []string{"id", "name", "lat", "lng", "province",
	"population_10k", "urban_radius_km", "covered_radius_km", "datum"}

// ParseCentres reads a CSV of covered places, of any country. The first line
// names the columns, in any order: id, name, lat and lng; and, if wanted,
// province, datum (wgs84 if absent), covered_radius_km (DefaultCoveredKm if
// absent), and either population_10k, from which UrbanRadiusKm follows, or
// urban_radius_km; with neither the urban radius is 5 km.
//
// What is wrong with the file is an *ImportError that lists every problem with
// its line and the mend. Any other error comes from the reader.
func ParseCentres(r io.Reader) (*Areas, error) {
	in := csv.NewReader(io.LimitReader(r, maxAreaFile))
	in.FieldsPerRecord = -1
	in.TrimLeadingSpace = true

	var found problems
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		found.add("line 1", "", "the file is empty; its first line must name the columns %s", strings.Join(centreColumns[:4], ", "))
		return nil, found.err()
	}
	if err := csvProblem(&found, err); err != nil {
		return nil, err
	}
	column := readHeader(&found, header)
	if len(found) > 0 {
		return nil, found.err()
	}

	var areas []Area
	lineOf := make(map[AreaID]int)
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err := csvProblem(&found, err); err != nil {
			return nil, err
		}
		if err != nil {
			continue
		}
		line, _ := in.FieldPos(0)
		if len(row) != len(header) {
			found.add(fmt.Sprintf("line %d", line), "", "has %d fields where the first line names %d", len(row), len(header))
			continue
		}
		c := centreRow{where: fmt.Sprintf("line %d", line), row: row, column: column, found: &found}
		a := c.area()
		if a.ID != "" {
			if first, taken := lineOf[a.ID]; taken {
				found.add(c.where, "id", "%q is already on line %d; give each place its own", a.ID, first)
			} else {
				lineOf[a.ID] = line
			}
		}
		areas = append(areas, a)
	}
	if len(areas) == 0 && len(found) == 0 {
		found.add("line 2", "", "no places follow the first line")
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	return newCentres(areas, nil), nil
}

// csvProblem files a broken line as a problem and passes on any other error.
func csvProblem(found *problems, err error) error {
	var broken *csv.ParseError
	if errors.As(err, &broken) {
		found.add(fmt.Sprintf("line %d", broken.Line), "", "is not CSV: %v; put a text that has a quote or a comma in double quotes, and double the quotes in it", broken.Err)
		return nil
	}
	return err
}

func readHeader(found *problems, header []string) map[string]int {
	column := make(map[string]int)
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if !slices.Contains(centreColumns, name) {
			found.add("line 1", name, "is not a known column; known are %s", strings.Join(centreColumns, ", "))
			continue
		}
		if _, twice := column[name]; twice {
			found.add("line 1", name, "is named twice; remove one")
		}
		column[name] = i
	}
	for _, name := range centreColumns[:4] {
		if _, ok := column[name]; !ok {
			found.add("line 1", name, "is missing; the first line must name the columns %s", strings.Join(centreColumns[:4], ", "))
		}
	}
	return column
}

// centreRow reads one line and files what is wrong with it.
type centreRow struct {
	where  string
	row    []string
	column map[string]int
	found  *problems
}

func (c *centreRow) text(field string) string {
	i, ok := c.column[field]
	if !ok {
		return ""
	}
	return strings.TrimSpace(c.row[i])
}

func (c *centreRow) needed(field string) string {
	s := c.text(field)
	if s == "" {
		c.found.add(c.where, field, "is empty; every place needs one")
	}
	return s
}

// number reads a finite number; ok is false when there is none to use.
func (c *centreRow) number(field, s string) (v float64, ok bool) {
	if s == "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		c.found.add(c.where, field, "%q is not a number; write it like 39.9042", s)
		return 0, false
	}
	return v, true
}

// positive reads a number above zero and up to a limit, or returns otherwise.
func (c *centreRow) positive(field string, limit, otherwise float64) float64 {
	v, ok := c.number(field, c.text(field))
	if !ok {
		return otherwise
	}
	if v <= 0 || v > limit {
		c.found.add(c.where, field, "%g must be above 0 and at most %g", v, limit)
		return otherwise
	}
	return v
}

func (c *centreRow) area() Area {
	const halfAround = 20_038 // km; no place is further away
	a := Area{
		ID:       AreaID(c.needed("id")),
		Name:     c.needed("name"),
		Province: c.text("province"),
		Centre:   c.centre(),
		UrbanKm:  unknownUrbanKm,
	}
	switch population, radius := c.text("population_10k"), c.text("urban_radius_km"); {
	case population != "" && radius != "":
		c.found.add(c.where, "urban_radius_km", "stands beside population_10k; leave one of them empty")
	case population != "":
		a.UrbanKm = UrbanRadiusKm(c.positive("population_10k", 1e6, 1))
	case radius != "":
		a.UrbanKm = c.positive("urban_radius_km", halfAround, unknownUrbanKm)
	}
	a.CoveredKm = c.positive("covered_radius_km", halfAround, max(DefaultCoveredKm, a.UrbanKm))
	if a.CoveredKm < a.UrbanKm {
		c.found.add(c.where, "covered_radius_km", "%g is below the urban radius of %.1f km; make it at least as large", a.CoveredKm, a.UrbanKm)
	}
	return a
}

func (c *centreRow) centre() Point {
	lat, latOK := c.number("lat", c.needed("lat"))
	lng, lngOK := c.number("lng", c.needed("lng"))
	// Each coordinate is judged by itself, so that both are named when both are wrong.
	for _, at := range []struct {
		field string
		v     float64
		limit float64
		ok    *bool
	}{{"lat", lat, 90, &latOK}, {"lng", lng, 180, &lngOK}} {
		var wrong *CoordinateError
		if *at.ok && errors.As(checkCoordinate(at.field, at.v, at.limit), &wrong) {
			c.found.add(c.where, at.field, "%s", wrong.Detail)
			*at.ok = false
		}
	}
	datum := WGS84
	if s := c.text("datum"); s != "" {
		d, err := ParseDatum(strings.ToLower(s))
		if err != nil {
			c.found.add(c.where, "datum", "%q is unknown; name wgs84, gcj02 or bd09", s)
			return Point{}
		}
		datum = d
	}
	if !latOK || !lngOK {
		return Point{}
	}
	p, err := ToWGS84(datum, lat, lng)
	if err != nil {
		c.found.add(c.where, "datum", "%v", err)
	}
	return p
}
