package geo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// The part of GeoJSON (RFC 7946) that area files use.
type featureCollection struct {
	Type     string    `json:"type"`
	Features []feature `json:"features"`
}

type feature struct {
	Type       string          `json:"type"`
	ID         any             `json:"id"`
	Properties map[string]any  `json:"properties"`
	Geometry   json.RawMessage `json:"geometry"`
}

// ParseGeoJSON reads covered places, of any country, drawn as polygons: a GeoJSON
// FeatureCollection (RFC 7946, WGS-84 longitude before latitude) whose features
// are Polygon or MultiPolygon, holes allowed. Their properties are id (or the
// feature's own), name, and if wanted province and tier: urban, or county, which
// it is when absent, since that is the promise easier to keep. An area of both
// tiers is two features of one id and one name; urban goes first where they
// overlap. The area's centre is the centre of area of its largest part, urban
// before county.
//
// What is wrong with the file is an *ImportError that lists every problem with
// its feature, counted from 1, and the mend. Any other error comes from the
// reader.
func ParseGeoJSON(r io.Reader) (*Areas, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxAreaFile))
	if err != nil {
		return nil, err
	}
	var found problems
	text = []byte(strings.TrimPrefix(string(text), "\ufeff"))
	var doc featureCollection
	if err := json.Unmarshal(text, &doc); err != nil {
		found.add(lineOfError(text, err), "", "is not GeoJSON: %v", err)
		return nil, found.err()
	}
	if doc.Type != "FeatureCollection" {
		found.add("line 1", "type", "is %q; the file must be one FeatureCollection", doc.Type)
		return nil, found.err()
	}
	if len(doc.Features) == 0 {
		found.add("line 1", "features", "is empty; there is nothing to cover")
		return nil, found.err()
	}

	var areas []Area
	var shapes []shape
	byID := make(map[AreaID]int)
	for i := range doc.Features {
		f := featureReader{where: fmt.Sprintf("feature %d", i+1), from: &doc.Features[i], found: &found}
		a, tier := f.area()
		polygons := f.polygons()
		at, known := byID[a.ID]
		switch {
		case !known || a.ID == "":
			at = len(areas)
			byID[a.ID] = at
			areas = append(areas, a)
		case areas[at].Name != a.Name:
			found.add(f.where, "name", "is %q, but the same id is named %q before; make them one", a.Name, areas[at].Name)
		}
		for _, g := range polygons {
			shapes = append(shapes, shape{polygon: g, area: at, tier: tier})
		}
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	placeCentres(areas, shapes)
	return newShapes(areas, shapes), nil
}

// placeCentres gives every area the centre of its largest part, urban first.
func placeCentres(areas []Area, shapes []shape) {
	best := make([]*shape, len(areas))
	for i := range shapes {
		s := &shapes[i]
		b := best[s.area]
		if b == nil || s.tier == Urban && b.tier == County ||
			s.tier == b.tier && s.box.size() > b.box.size() {
			best[s.area] = s
		}
	}
	for i, s := range best {
		areas[i].Centre = s.outer.centroid()
	}
}

func lineOfError(text []byte, err error) string {
	offset := int64(0)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	offset = min(offset, int64(len(text)))
	return fmt.Sprintf("line %d", 1+strings.Count(string(text[:offset]), "\n"))
}

// featureReader reads one feature and files what is wrong with it.
type featureReader struct {
	where string
	from  *feature
	found *problems
}

// text reads a property that may be written as a text or a number.
func (f *featureReader) text(field string) string {
	v := f.from.Properties[field]
	if v == nil && field == "id" {
		v = f.from.ID
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return strings.TrimSpace(v)
	case float64:
		return fmt.Sprintf("%.0f", v)
	}
	f.found.add(f.where, field, "must be a text")
	return ""
}

func (f *featureReader) area() (Area, Tier) {
	if f.from.Type != "Feature" {
		f.found.add(f.where, "type", "is %q; it must be Feature", f.from.Type)
	}
	a := Area{ID: AreaID(f.text("id")), Name: f.text("name"), Province: f.text("province")}
	if a.ID == "" {
		f.found.add(f.where, "id", "is missing; give the feature an id")
	}
	if a.Name == "" {
		f.found.add(f.where, "name", "is missing; give the feature a name")
	}
	switch tier := f.text("tier"); Tier(tier) {
	case "", County:
		return a, County
	case Urban:
		return a, Urban
	default:
		f.found.add(f.where, "tier", "%q is unknown; name urban or county", tier)
		return a, County
	}
}

func (f *featureReader) polygons() []polygon {
	var geometry struct {
		Type        string          `json:"type"`
		Coordinates json.RawMessage `json:"coordinates"`
	}
	if len(f.from.Geometry) == 0 || string(f.from.Geometry) == "null" {
		f.found.add(f.where, "geometry", "is missing; draw the feature as a Polygon or MultiPolygon")
		return nil
	}
	if err := json.Unmarshal(f.from.Geometry, &geometry); err != nil {
		f.found.add(f.where, "geometry", "cannot be read: %v", err)
		return nil
	}
	var parts [][][][]float64
	switch geometry.Type {
	case "Polygon":
		parts = make([][][][]float64, 1)
		if err := json.Unmarshal(geometry.Coordinates, &parts[0]); err != nil {
			f.found.add(f.where, "coordinates", "are not those of a Polygon: %v", err)
			return nil
		}
	case "MultiPolygon":
		if err := json.Unmarshal(geometry.Coordinates, &parts); err != nil {
			f.found.add(f.where, "coordinates", "are not those of a MultiPolygon: %v", err)
			return nil
		}
	default:
		f.found.add(f.where, "geometry", "is a %q; draw the feature as a Polygon or MultiPolygon", geometry.Type)
		return nil
	}
	if len(parts) == 0 {
		f.found.add(f.where, "coordinates", "are empty; draw at least one polygon")
	}
	var out []polygon
	for _, rings := range parts {
		if len(rings) == 0 {
			f.found.add(f.where, "coordinates", "hold a polygon without a ring; remove it")
			continue
		}
		g := polygon{}
		for i, corners := range rings {
			r, ok := f.ring(corners)
			switch {
			case !ok && i == 0:
				// Its holes are still read for their own problems.
			case i == 0:
				g.outer, g.box = r, r.bounds()
			case ok:
				g.holes = append(g.holes, r)
			}
		}
		if g.outer != nil {
			out = append(out, g)
		}
	}
	return out
}

// ring reads one closed ring and drops the repeated last corner.
func (f *featureReader) ring(corners [][]float64) (ring, bool) {
	const field = "coordinates"
	if len(corners) < 4 {
		f.found.add(f.where, field, "hold a ring of %d positions; a closed ring has at least 4", len(corners))
		return nil, false
	}
	r := make(ring, len(corners))
	for i, c := range corners {
		if len(c) < 2 {
			f.found.add(f.where, field, "position %d of a ring has %d numbers; it needs longitude and latitude", i+1, len(c))
			return nil, false
		}
		if _, err := NewPoint(c[1], c[0]); err != nil {
			f.found.add(f.where, field, "position %d of a ring: %v; longitude comes before latitude", i+1, err)
			return nil, false
		}
		r[i] = [2]float64{c[0], c[1]}
		if i > 0 && math.Abs(r[i][0]-r[i-1][0]) > 180 {
			f.found.add(f.where, field, "position %d of a ring jumps over the 180th meridian; cut the polygon there in two", i+1)
			return nil, false
		}
	}
	last := len(r) - 1
	if r[0] != r[last] {
		f.found.add(f.where, field, "hold a ring that is not closed; repeat its first position at its end")
		return nil, false
	}
	return r[:last], true
}
