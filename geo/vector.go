package geo

import "math"

// Vector is a point made ready for many distances: the trigonometry is done
// once. The zero value is no place.
type Vector struct{ u unit }

// VectorOf prepares a point.
func VectorOf(p Point) Vector { return Vector{unitOf(p)} }

// Distance is the great-circle distance in metres, as Distance of the points.
func (v Vector) Distance(w Vector) float64 { return arcMetres(v.u.chord2(w.u)) }

// Chord is what a distance in metres along the great circle is as the squared
// chord between two vectors, for Within.
//
// No two points are further apart than half the equator.
func Chord(metres float64) float64 {
	half := math.Sin(max(0, min(math.Pi/2, metres/(2*EarthRadius))))
	return 4 * half * half
}

// Within reports whether two points are no further apart than the distance
// whose Chord is given.
func (v Vector) Within(w Vector, chord float64) bool { return v.u.chord2(w.u) <= chord }
