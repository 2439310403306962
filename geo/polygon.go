package geo

import "math"

// ring is a closed line of {longitude, latitude} corners in degrees; the last
// joins the first. It must not cross the 180th meridian.
type ring [][2]float64

// contains tells by ray casting whether the point lies inside.
func (r ring) contains(p Point) bool {
	in := false
	prev := r[len(r)-1]
	for _, at := range r {
		if (at[1] > p.Lat) != (prev[1] > p.Lat) &&
			p.Lng < (prev[0]-at[0])*(p.Lat-at[1])/(prev[1]-at[1])+at[0] {
			in = !in
		}
		prev = at
	}
	return in
}

// box is a range of latitudes and longitudes in degrees.
type box struct{ south, west, north, east float64 }

func (b box) contains(p Point, margin float64) bool {
	return p.Lat >= b.south-margin && p.Lat <= b.north+margin &&
		p.Lng >= b.west-margin && p.Lng <= b.east+margin
}

// size orders boxes; it is square degrees, not an area on the ground.
func (b box) size() float64 { return (b.north - b.south) * (b.east - b.west) }

func (r ring) bounds() box {
	b := box{south: 90, west: 180, north: -90, east: -180}
	for _, c := range r {
		b.west, b.east = min(b.west, c[0]), max(b.east, c[0])
		b.south, b.north = min(b.south, c[1]), max(b.north, c[1])
	}
	return b
}

// polygon is an outer ring with holes, and the box around it.
type polygon struct {
	outer ring
	holes []ring
	box   box
}

func (g *polygon) contains(p Point) bool {
	if !g.box.contains(p, 0) || !g.outer.contains(p) {
		return false
	}
	for _, hole := range g.holes {
		if hole.contains(p) {
			return false
		}
	}
	return true
}

// centroid is the centre of area of the ring on the map plane, in degrees. A
// ring without area gives the mean of its corners.
func (r ring) centroid() Point {
	var twice, lat, lng, sumLat, sumLng float64
	prev := r[len(r)-1]
	for _, at := range r {
		// Corners are taken from the first one, so that small rings far from the
		// origin keep their digits.
		x1, y1 := prev[0]-r[0][0], prev[1]-r[0][1]
		x2, y2 := at[0]-r[0][0], at[1]-r[0][1]
		cross := x1*y2 - x2*y1
		twice += cross
		lng += (x1 + x2) * cross
		lat += (y1 + y2) * cross
		sumLng, sumLat = sumLng+at[0], sumLat+at[1]
		prev = at
	}
	if math.Abs(twice) < 1e-12 {
		n := float64(len(r))
		return Point{Lat: sumLat / n, Lng: sumLng / n}
	}
	return Point{Lat: r[0][1] + lat/(3*twice), Lng: r[0][0] + lng/(3*twice)}
}

// metresTo is the distance from a point to the nearest place on the ring. Each
// side is taken as straight on a map centred on the point, which is good to a
// few per cent at some hundred kilometres: enough to tell somebody how far off
// he is.
func (r ring) metresTo(p Point) float64 {
	const perDegree = EarthRadius * math.Pi / 180
	shrink := math.Cos(radians(p.Lat))
	flat := func(c [2]float64) (x, y float64) {
		return wrapLng(c[0]-p.Lng) * shrink * perDegree, (c[1] - p.Lat) * perDegree
	}
	best := math.Inf(1)
	x1, y1 := flat(r[len(r)-1])
	for _, c := range r {
		x2, y2 := flat(c)
		dx, dy := x2-x1, y2-y1
		along := 0.0
		if length2 := dx*dx + dy*dy; length2 > 0 {
			along = max(0, min(1, -(x1*dx+y1*dy)/length2))
		}
		best = min(best, math.Hypot(x1+along*dx, y1+along*dy))
		x1, y1 = x2, y2
	}
	return best
}
