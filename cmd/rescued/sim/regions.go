package sim

import (
	"time"

	"rescued/dispatch"
	"rescued/geo"
)

// regions keeps a dispatch.Demand for every part of a large country: of the
// calls in a cell and in the cells around it, so that whoever stands in the
// cell may be of use to all of them and to few others.
type regions struct {
	res     int
	of      map[geo.Cell]*region
	counted time.Time // when crews were
}

type region struct {
	demand dispatch.Demand
	disk   []geo.Cell
	crews  int // on shift in the cell, when counted last
}

// crewsCounted is how often the crews of each region are counted.
const crewsCounted = 15 * time.Minute

// newRegions takes the finest cells whose neighbours a crew can reach in time,
// but no further.
func newRegions(v *View) *regions {
	reach := (v.Promised - v.Turnout).Seconds() * v.Pace
	// A step of cells is about 1.7 of their edges: 2.1 km at resolution 7, 2.65
	// times as far with each coarser one.
	res, step := 7, 2_100.0
	for ; step < reach && res > 0; res-- {
		step *= 2.65
	}
	return &regions{res: res, of: map[geo.Cell]*region{}}
}

// cell is where a point lies. The points of a View are valid, and so are the
// resolutions: there are no errors.
func (r *regions) cell(p geo.Point) geo.Cell {
	c, _ := geo.CellAt(p, r.res)
	return c
}

func (r *regions) at(c geo.Cell) *region {
	g := r.of[c]
	if g == nil {
		g = &region{}
		g.disk, _ = c.Disk(1)
		r.of[c] = g
	}
	return g
}

// hear takes a call into the regions that it concerns.
func (r *regions) hear(v *View, at time.Time, where geo.Point) {
	if r.counted.IsZero() || v.Now.Sub(r.counted) >= crewsCounted {
		r.count(v)
	}
	for _, c := range r.at(r.cell(where)).disk {
		g, crews := r.at(c), 0
		for _, d := range g.disk {
			if near := r.of[d]; near != nil {
				crews += near.crews
			}
		}
		g.demand.Hear(at, where, crews, v.terms())
	}
}

// count counts the crews on shift by where they are, or are to be.
func (r *regions) count(v *View) {
	r.counted = v.Now
	for _, g := range r.of {
		g.crews = 0
	}
	for i := range v.Crews {
		c := &v.Crews[i]
		if !c.OnShift {
			continue
		}
		at := c.From
		if c.Moves {
			at = c.To
		}
		r.at(r.cell(at)).crews++
	}
}
