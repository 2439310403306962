package geo

import (
	"fmt"
	"math"
	"slices"
)

// AreaID names a promise area. In the built-in set it is the six-digit
// administrative code (adcode) of a Chinese city.
type AreaID string

// Tier says which of an area's promises a place has.
type Tier string

// The tiers.
const (
	Urban  Tier = "urban"  // the built-up city
	County Tier = "county" // the covered rest
)

// Area is a covered city with its surroundings. The radii are kilometres from
// the centre; an area drawn as polygons has none.
type Area struct {
	ID        AreaID  `json:"id"`
	Name      string  `json:"name"`
	Province  string  `json:"province,omitempty"`
	Centre    Point   `json:"centre"`
	UrbanKm   float64 `json:"urban_km,omitempty"`
	CoveredKm float64 `json:"covered_km,omitempty"`
}

// Place is where a point lies: its area, its tier there, and how many metres it
// is from the area's centre.
type Place struct {
	Area   Area    `json:"area"`
	Tier   Tier    `json:"tier"`
	Metres float64 `json:"metres"`
}

// OutsideError says that a point is in no covered area, and which is nearest.
type OutsideError struct {
	Point   Point
	Nearest Area
	// Km is the distance to the nearest area's centre, or to its outline when it
	// is drawn as polygons.
	Km float64
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("%s is outside the covered area; the nearest covered place is %s, %.0f km away",
		e.Point, e.Nearest.Name, e.Km)
}

// Areas is an unchanging set of covered areas, given as centres with radii or as
// polygons. ChinaAreas, ParseCentres and ParseGeoJSON make one. It is safe for
// concurrent use.
type Areas struct {
	areas []Area
	byID  map[AreaID]int

	// Centres, one for each area: the nearest that reaches the point has it.
	centres []centre
	within  func(Point) bool // a country's limits, or nil

	// Polygons, in order of preference: urban first, then the smaller.
	shapes []shape
	grid   map[gridSquare][]int // shapes by square degree
	wide   []int                // shapes over too many squares to list
}

// centre is an area's centre and the squared chord that it covers. A plain scan
// over them is faster than any index for some thousands.
type centre struct {
	pos    unit
	reach2 float64
}

// shape is one polygon of an area.
type shape struct {
	polygon
	area int
	tier Tier
}

type gridSquare struct{ lat, lng int16 }

func squareOf(lat, lng float64) gridSquare {
	return gridSquare{int16(math.Floor(lat)), int16(math.Floor(lng))}
}

// newCentres builds a set of areas that have centres and radii.
func newCentres(areas []Area, within func(Point) bool) *Areas {
	s := &Areas{areas: areas, within: within, centres: make([]centre, len(areas))}
	s.indexIDs()
	for i, a := range areas {
		arc := min(math.Pi, a.CoveredKm*1000/EarthRadius)
		chord := 2 * math.Sin(arc/2)
		s.centres[i] = centre{pos: unitOf(a.Centre), reach2: chord * chord}
	}
	return s
}

// newShapes builds a set of areas drawn as polygons.
func newShapes(areas []Area, shapes []shape) *Areas {
	slices.SortStableFunc(shapes, func(a, b shape) int {
		switch {
		case a.tier != b.tier && a.tier == Urban:
			return -1
		case a.tier != b.tier:
			return 1
		case a.box.size() < b.box.size():
			return -1
		case a.box.size() > b.box.size():
			return 1
		}
		return 0
	})
	s := &Areas{areas: areas, shapes: shapes, grid: make(map[gridSquare][]int)}
	s.indexIDs()
	for i := range shapes {
		b := shapes[i].box
		low, high := squareOf(b.south, b.west), squareOf(b.north, b.east)
		if (int(high.lat)-int(low.lat)+1)*(int(high.lng)-int(low.lng)+1) > 1000 {
			s.wide = append(s.wide, i)
			continue
		}
		for lat := low.lat; lat <= high.lat; lat++ {
			for lng := low.lng; lng <= high.lng; lng++ {
				at := gridSquare{lat, lng}
				s.grid[at] = append(s.grid[at], i)
			}
		}
	}
	return s
}

func (s *Areas) indexIDs() {
	s.byID = make(map[AreaID]int, len(s.areas))
	for i, a := range s.areas {
		s.byID[a.ID] = i
	}
}

// Len returns the number of areas.
func (s *Areas) Len() int { return len(s.areas) }

// All returns every area, in the order of their source.
func (s *Areas) All() []Area { return slices.Clone(s.areas) }

// Lookup returns the area of an ID.
func (s *Areas) Lookup(id AreaID) (Area, bool) {
	i, ok := s.byID[id]
	if !ok {
		return Area{}, false
	}
	return s.areas[i], true
}

// Locate tells which area a point lies in, and its tier there.
//
// Among centres it is the nearest one that covers the point; the tier is urban
// within its urban radius. Among polygons an urban one goes before a county one,
// and then the smaller before the larger. It returns an *OutsideError when
// nothing covers the point, and a *CoordinateError when it is no point.
func (s *Areas) Locate(p Point) (Place, error) {
	if _, err := NewPoint(p.Lat, p.Lng); err != nil {
		return Place{}, err
	}
	if s.centres != nil {
		return s.locateCentre(p)
	}
	return s.locateShape(p)
}

// locateCentre looks at every centre; a country's limits come last, they cost most.
func (s *Areas) locateCentre(p Point) (Place, error) {
	pos := unitOf(p)
	nearest, nearest2 := 0, math.Inf(1)
	covering, covering2 := -1, math.Inf(1)
	for i := range s.centres {
		c := &s.centres[i]
		d2 := pos.chord2(c.pos)
		if d2 < nearest2 {
			nearest, nearest2 = i, d2
		}
		if d2 < covering2 && d2 <= c.reach2 {
			covering, covering2 = i, d2
		}
	}
	if covering < 0 || s.within != nil && !s.within(p) {
		return Place{}, &OutsideError{Point: p, Nearest: s.areas[nearest], Km: arcMetres(nearest2) / 1000}
	}
	place := Place{Area: s.areas[covering], Tier: County, Metres: arcMetres(covering2)}
	if place.Metres <= place.Area.UrbanKm*1000 {
		place.Tier = Urban
	}
	return place, nil
}

func (s *Areas) locateShape(p Point) (Place, error) {
	best := -1
	for _, list := range [][]int{s.grid[squareOf(p.Lat, p.Lng)], s.wide} {
		for _, i := range list {
			if (best < 0 || i < best) && s.shapes[i].contains(p) {
				best = i
				break // a list is in order of preference
			}
		}
	}
	if best < 0 {
		return Place{}, s.outsideShapes(p)
	}
	a := s.areas[s.shapes[best].area]
	return Place{Area: a, Tier: s.shapes[best].tier, Metres: Distance(p, a.Centre)}, nil
}

func (s *Areas) outsideShapes(p Point) error {
	e := &OutsideError{Point: p, Km: math.Inf(1)}
	for i := range s.shapes {
		sh := &s.shapes[i]
		// A degree of latitude is 111 km everywhere: skip what is further north or
		// south than the best.
		if gap := max(sh.box.south-p.Lat, p.Lat-sh.box.north); gap*111 > e.Km {
			continue
		}
		if km := sh.outer.metresTo(p) / 1000; km < e.Km {
			e.Nearest, e.Km = s.areas[sh.area], km
		}
		for _, hole := range sh.holes {
			if km := hole.metresTo(p) / 1000; km < e.Km {
				e.Nearest, e.Km = s.areas[sh.area], km
			}
		}
	}
	return e
}
