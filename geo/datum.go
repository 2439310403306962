package geo

import (
	"fmt"
	"math"
)

// Datum names the coordinate system a position was given in. Chinese phones
// and maps do not speak WGS-84, and the difference, some hundreds of metres, is
// a crew sent to the wrong street: a position without a datum is refused.
type Datum string

// The datums that are understood.
const (
	WGS84 Datum = "wgs84" // GPS and BeiDou receivers, OpenStreetMap
	GCJ02 Datum = "gcj02" // Amap, Tencent, WeChat and other maps of mainland China
	BD09  Datum = "bd09"  // Baidu: a further shift on top of GCJ-02
)

// Datums lists what ParseDatum accepts.
var Datums = []Datum{WGS84, GCJ02, BD09}

// DatumError refuses a position whose datum is missing or unknown.
type DatumError struct{ Given string }

func (e *DatumError) Error() string {
	if e.Given == "" {
		return "datum: is missing; name wgs84, gcj02 or bd09"
	}
	return fmt.Sprintf("datum: %q is unknown; name wgs84, gcj02 or bd09", e.Given)
}

// ParseDatum reads a datum's name. It returns a *DatumError for any other text,
// the empty one included.
func ParseDatum(s string) (Datum, error) {
	switch d := Datum(s); d {
	case WGS84, GCJ02, BD09:
		return d, nil
	}
	return "", &DatumError{Given: s}
}

// ToWGS84 makes a Point of a coordinate given in a datum. It returns a
// *DatumError or a *CoordinateError for what cannot be one.
//
// GCJ-02 is turned back by iteration on the published forward formula, so that
// FromWGS84 returns the coordinate that came in to a fraction of a millimetre.
// Outside the mainland, Hong Kong, Macao and Taiwan included, GCJ-02 is WGS-84
// and passes as it is. Baidu defines BD-09 for Hong Kong, Macao and Taiwan too:
// there its own shift alone is undone; abroad BD-09 also passes as it is.
//
// Along the outline of the mainland lies a band, under 1 km wide, where a
// GCJ-02 coordinate has two readings, one on each side. It is read as inside:
// those who name GCJ-02 are there.
func ToWGS84(d Datum, lat, lng float64) (Point, error) {
	p, err := NewPoint(lat, lng)
	if err != nil {
		return Point{}, err
	}
	switch d {
	case WGS84:
		return p, nil
	case GCJ02:
		return fromGCJ02(p), nil
	case BD09:
		g := invert(bd09Estimate(p), p, toBD09)
		if w := fromGCJ02(g); inBaiduChina(w) {
			return w, nil
		}
		return p, nil
	}
	return Point{}, &DatumError{Given: string(d)}
}

// FromWGS84 returns the point's latitude and longitude in a datum, for maps and
// clients that want theirs. It returns a *DatumError or a *CoordinateError.
func FromWGS84(d Datum, p Point) (lat, lng float64, err error) {
	if _, err := NewPoint(p.Lat, p.Lng); err != nil {
		return 0, 0, err
	}
	switch d {
	case WGS84:
	case GCJ02:
		p = toGCJ02(p)
	case BD09:
		if inBaiduChina(p) {
			p = toBD09(toGCJ02(p))
		}
	default:
		return 0, 0, &DatumError{Given: string(d)}
	}
	return p.Lat, p.Lng, nil
}

// The ellipsoid of Krasovsky 1940, on which the GCJ-02 formula is written.
const (
	krasovskyA  = 6378245.0              // semi-major axis, metres
	krasovskyE2 = 0.00669342162296594323 // first eccentricity squared
)

// shiftGCJ02 applies the GCJ-02 formula wherever the point lies. The State's
// own algorithm is not published; this is the form that became known in 2010
// (the EvilTransform source) and that every public converter uses.
func shiftGCJ02(p Point) Point {
	x, y := p.Lng-105, p.Lat-35
	root := math.Sqrt(math.Abs(x))
	common := 20*math.Sin(6*x*math.Pi) + 20*math.Sin(2*x*math.Pi)
	north := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*root +
		2.0/3*(common+20*math.Sin(y*math.Pi)+40*math.Sin(y/3*math.Pi)+
			160*math.Sin(y/12*math.Pi)+320*math.Sin(y*math.Pi/30))
	east := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*root +
		2.0/3*(common+20*math.Sin(x*math.Pi)+40*math.Sin(x/3*math.Pi)+
			150*math.Sin(x/12*math.Pi)+300*math.Sin(x/30*math.Pi))

	sinLat, cosLat := math.Sincos(radians(p.Lat))
	w2 := 1 - krasovskyE2*sinLat*sinLat
	w := math.Sqrt(w2)
	return Point{
		Lat: p.Lat + degrees(north*w2*w/(krasovskyA*(1-krasovskyE2))),
		Lng: p.Lng + degrees(east*w/(krasovskyA*cosLat)),
	}
}

func toGCJ02(p Point) Point {
	if !inMainland(p) {
		return p
	}
	return shiftGCJ02(p)
}

func fromGCJ02(g Point) Point {
	// The shift is below 0.02 degrees: what lies further out needs no search.
	if !mainlandBox.contains(g, 0.02) {
		return g
	}
	if w := invert(g, g, shiftGCJ02); inMainland(w) {
		return w
	}
	return g
}

const baiduTurn = math.Pi * 3000 / 180

// toBD09 is Baidu's published step from GCJ-02: a small twist about the origin
// and a constant.
func toBD09(g Point) Point {
	radius := math.Hypot(g.Lng, g.Lat) + 0.00002*math.Sin(g.Lat*baiduTurn)
	angle := math.Atan2(g.Lat, g.Lng) + 0.000003*math.Cos(g.Lng*baiduTurn)
	return Point{Lat: radius*math.Sin(angle) + 0.006, Lng: radius*math.Cos(angle) + 0.0065}
}

// bd09Estimate is the usual one-step way back to GCJ-02. It misses by up to
// 0.3 m, hence it only starts the iteration.
func bd09Estimate(b Point) Point {
	lat, lng := b.Lat-0.006, b.Lng-0.0065
	radius := math.Hypot(lng, lat) - 0.00002*math.Sin(lat*baiduTurn)
	angle := math.Atan2(lat, lng) - 0.000003*math.Cos(lng*baiduTurn)
	return Point{Lat: radius * math.Sin(angle), Lng: radius * math.Cos(angle)}
}

// invert finds the point that forward carries to want, starting at guess. Both
// shifts change so slowly with place that every round gains about two digits.
func invert(guess, want Point, forward func(Point) Point) Point {
	const enough = 1e-11 // degrees; about a micrometre
	for range 20 {
		got := forward(guess)
		dLat, dLng := want.Lat-got.Lat, want.Lng-got.Lng
		guess.Lat += dLat
		guess.Lng += dLng
		if math.Abs(dLat) < enough && math.Abs(dLng) < enough {
			break
		}
	}
	return guess
}
