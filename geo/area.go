package geo

import (
	"fmt"
	"math"
	"slices"
	"time"
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

	// Centres: the nearest centre that reaches the point has it.
	centres *Index[int]
	reach   float64          // metres; the widest reach of all
	within  func(Point) bool // a country's limits, or nil

	// Polygons, in order of preference: urban first, then the smaller.
	shapes []shape
	grid   map[gridSquare][]int // shapes by square degree
	wide   []int                // shapes over too many squares to list
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
	s := &Areas{areas: areas, within: within, centres: NewIndex[int]()}
	s.indexIDs()
	for i, a := range areas {
		s.centres.Put(i, a.Centre, 0, true, time.Time{})
		s.reach = max(s.reach, a.CoveredKm*1000)
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

func (s *Areas) locateCentre(p Point) (Place, error) {
	outside := &OutsideError{Point: p}
	foreign := s.within != nil && !s.within(p)
	for hit := range s.centres.Near(p, 0) {
		a := s.areas[hit.Key]
		if outside.Nearest.ID == "" {
			outside.Nearest, outside.Km = a, hit.Metres/1000
		}
		if foreign || hit.Metres > s.reach {
			break
		}
		if hit.Metres > a.CoveredKm*1000 {
			continue
		}
		place := Place{Area: a, Tier: County, Metres: hit.Metres}
		if hit.Metres <= a.UrbanKm*1000 {
			place.Tier = Urban
		}
		return place, nil
	}
	return Place{}, outside
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
