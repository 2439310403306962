package geo

import (
	"fmt"
	"math"
)

// EarthRadius is the mean radius of the Earth in metres (IUGG, R1), the sphere
// every distance of this package is measured on.
const EarthRadius = 6_371_008.8

// Point is a place in WGS-84 degrees: latitude north, longitude east. A
// coordinate in another datum is never a Point; ToWGS84 makes it one.
type Point struct {
	Lat float64 `json:"lat"`
	Lng float64 `json:"lng"`
}

// CoordinateError says which coordinate cannot be one, and why.
type CoordinateError struct {
	Field  string  // "lat" or "lng"
	Value  float64 // as given
	Detail string  // one sentence with the mend
}

func (e *CoordinateError) Error() string { return e.Field + ": " + e.Detail }

// NewPoint makes a point of WGS-84 degrees. It returns a *CoordinateError when
// a coordinate is not finite, or when the latitude is outside -90..90 or the
// longitude outside -180..180.
func NewPoint(lat, lng float64) (Point, error) {
	if err := checkCoordinate("lat", lat, 90); err != nil {
		return Point{}, err
	}
	if err := checkCoordinate("lng", lng, 180); err != nil {
		return Point{}, err
	}
	return Point{Lat: lat, Lng: lng}, nil
}

// Valid reports whether NewPoint would have made this point.
func (p Point) Valid() bool {
	// NaN fails every comparison.
	return p.Lat >= -90 && p.Lat <= 90 && p.Lng >= -180 && p.Lng <= 180
}

// String writes the point as "lat,lng" to six decimals, about 0.1 m.
func (p Point) String() string { return fmt.Sprintf("%.6f,%.6f", p.Lat, p.Lng) }

func checkCoordinate(field string, v, limit float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return &CoordinateError{Field: field, Value: v, Detail: "must be a finite number of degrees"}
	}
	if v < -limit || v > limit {
		return &CoordinateError{Field: field, Value: v,
			Detail: fmt.Sprintf("%g is outside -%g..%g degrees", v, limit, limit)}
	}
	return nil
}

// Distance returns the great-circle distance between two points in metres, on
// a sphere of EarthRadius. It is accurate to well under a millimetre at every
// separation, poles and antipodes included.
func Distance(a, b Point) float64 {
	return arcMetres(unitOf(a).chord2(unitOf(b)))
}

// Bearing returns the initial great-circle course from a to b in degrees
// clockwise from north, 0 up to 360. It is 0 when the points coincide.
func Bearing(a, b Point) float64 {
	lat1, lat2 := radians(a.Lat), radians(b.Lat)
	dLng := radians(b.Lng - a.Lng)
	y := math.Sin(dLng) * math.Cos(lat2)
	x := math.Cos(lat1)*math.Sin(lat2) - math.Sin(lat1)*math.Cos(lat2)*math.Cos(dLng)
	deg := degrees(math.Atan2(y, x))
	if deg < 0 {
		deg += 360
	}
	return deg
}

// Destination returns the point reached from p after metres along the great
// circle that starts on the given bearing, in degrees clockwise from north.
func Destination(p Point, bearing, metres float64) Point {
	lat, arc, course := radians(p.Lat), metres/EarthRadius, radians(bearing)
	sinLat2 := math.Sin(lat)*math.Cos(arc) + math.Cos(lat)*math.Sin(arc)*math.Cos(course)
	lat2 := math.Asin(max(-1, min(1, sinLat2)))
	dLng := math.Atan2(math.Sin(course)*math.Sin(arc)*math.Cos(lat),
		math.Cos(arc)-math.Sin(lat)*sinLat2)
	return Point{Lat: degrees(lat2), Lng: wrapLng(p.Lng + degrees(dLng))}
}

// Offset returns the point that lies the given metres north and east of p,
// negative for south and west. North and east are taken at p, so the result is
// meant for distances that are small beside the Earth.
func Offset(p Point, metresNorth, metresEast float64) Point {
	bearing := degrees(math.Atan2(metresEast, metresNorth))
	return Destination(p, bearing, math.Hypot(metresNorth, metresEast))
}

// Toward returns the point metres along the great circle from a to b. It
// returns b when b is no further than that, and a when metres is not positive.
func Toward(a, b Point, metres float64) Point {
	if metres <= 0 {
		return a
	}
	if Distance(a, b) <= metres {
		return b
	}
	return Destination(a, Bearing(a, b), metres)
}

// unit is a point as a vector on the unit sphere. The straight chord between
// two such vectors grows with the great-circle arc, needs no special case at
// the poles or the dateline, and obeys the triangle inequality.
type unit struct{ x, y, z float64 }

func unitOf(p Point) unit {
	sinLat, cosLat := math.Sincos(radians(p.Lat))
	sinLng, cosLng := math.Sincos(radians(p.Lng))
	return unit{cosLat * cosLng, cosLat * sinLng, sinLat}
}

// chord2 is the squared length of the chord, between 0 and 4.
func (u unit) chord2(v unit) float64 {
	dx, dy, dz := u.x-v.x, u.y-v.y, u.z-v.z
	return dx*dx + dy*dy + dz*dz
}

// arcMetres turns a squared chord into metres along the great circle. The
// arctangent form keeps its accuracy near the antipode, where an arcsine
// loses half of its digits.
func arcMetres(chord2 float64) float64 {
	return 2 * EarthRadius * math.Atan2(math.Sqrt(chord2), math.Sqrt(max(0, 4-chord2)))
}

func radians(deg float64) float64 { return deg * (math.Pi / 180) }
func degrees(rad float64) float64 { return rad * (180 / math.Pi) }

// wrapLng brings a longitude back into -180..180.
func wrapLng(lng float64) float64 {
	if lng >= -180 && lng <= 180 {
		return lng
	}
	lng = math.Mod(lng+180, 360)
	if lng < 0 {
		lng += 360
	}
	return lng - 180
}
