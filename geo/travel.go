package geo

import (
	"context"
	"fmt"
	"time"
)

// TravelTimes tells how long it takes to drive between places. The answer has a
// row for each from and a column for each to.
type TravelTimes interface {
	Matrix(ctx context.Context, from []Point, to []Point) ([][]time.Duration, error)
}

// RoadClass is the kind of road a job stands on.
type RoadClass string

// The road classes.
const (
	UrbanRoad RoadClass = "urban"
	RuralRoad RoadClass = "rural"
	Motorway  RoadClass = "motorway"
)

// ParseRoadClass reads a road class. Any other text is a *RoadClassError.
func ParseRoadClass(s string) (RoadClass, error) {
	switch c := RoadClass(s); c {
	case UrbanRoad, RuralRoad, Motorway:
		return c, nil
	}
	return "", &RoadClassError{Given: s}
}

// RoadClassError refuses an unknown road class.
type RoadClassError struct{ Given string }

func (e *RoadClassError) Error() string {
	return fmt.Sprintf("road_class: %q is unknown; name urban, rural or motorway", e.Given)
}

// DefaultDetour is how much longer the road is than the great circle, as a rule
// of thumb: 1.3 to 1.4 on the street networks of large cities.
const DefaultDetour = 1.35

// StraightLine estimates travel times without a map: the great-circle distance,
// times a detour, over a speed that depends on the road and on the hour. It is
// an estimate to order crews by, not one to promise by.
type StraightLine struct {
	// Detour is the length of the road over the great circle, 1 or more.
	Detour float64 `json:"detour"`
	// UrbanKmh, RuralKmh and MotorwayKmh are door-to-door speeds in free traffic.
	UrbanKmh    float64 `json:"urban_kmh"`
	RuralKmh    float64 `json:"rural_kmh"`
	MotorwayKmh float64 `json:"motorway_kmh"`
	// Rush multiplies the speed by the local hour of day, 0 to 23: 1 is free
	// traffic. It applies in full on urban roads and by half, as far from 1, on
	// the others.
	Rush [24]float64 `json:"rush"`
}

// DefaultStraightLine is the model used when no routing engine is connected.
// 30, 50 and 80 km/h are speeds of a loaded rescue truck from door to door:
// below the limits of 40-60, 70 and 100 by lights, junctions and ramps. The
// commuting hours 7-9 and 17-19 run at 0.7 and 0.65 of the free speed, the
// shoulders at 0.85, and 22-6 at 1.1.
func DefaultStraightLine() StraightLine {
	return StraightLine{
		Detour:   DefaultDetour,
		UrbanKmh: 30, RuralKmh: 50, MotorwayKmh: 80,
		Rush: [24]float64{
			1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 0.85, 0.7, 0.7, 0.85, 1, 1,
			1, 1, 1, 1, 0.85, 0.65, 0.65, 0.85, 1, 1, 1.1, 1.1,
		},
	}
}

// ConstantSpeed is the model with one speed, in km/h, on every road at every
// hour. The simulator runs it at 30 km/h and DefaultDetour.
func ConstantSpeed(kmh, detour float64) StraightLine {
	m := StraightLine{Detour: detour, UrbanKmh: kmh, RuralKmh: kmh, MotorwayKmh: kmh}
	for h := range m.Rush {
		m.Rush[h] = 1
	}
	return m
}

// Check tells what is wrong with a model: every number must be above zero, and
// the detour at least 1.
func (m StraightLine) Check() error {
	if !(m.Detour >= 1) {
		return fmt.Errorf("detour: %g is below 1; a road is never shorter than the great circle", m.Detour)
	}
	for _, s := range []struct {
		name string
		kmh  float64
	}{{"urban_kmh", m.UrbanKmh}, {"rural_kmh", m.RuralKmh}, {"motorway_kmh", m.MotorwayKmh}} {
		if !(s.kmh > 0) {
			return fmt.Errorf("%s: %g is not a speed above zero", s.name, s.kmh)
		}
	}
	for h, factor := range m.Rush {
		if !(factor > 0) {
			return fmt.Errorf("rush[%d]: %g is not a factor above zero", h, factor)
		}
	}
	return nil
}

// Time estimates the drive between two points for a road class and a local hour
// of day. An unknown class counts as urban, the slowest, and the hour is taken
// around the clock: 24 is 0, -1 is 23.
func (m StraightLine) Time(from, to Point, class RoadClass, hour int) time.Duration {
	return m.duration(Distance(from, to), class, hour)
}

// Pace is how fast the model gets along the great circle, in metres a second.
func (m StraightLine) Pace(class RoadClass, hour int) float64 {
	kmh := m.UrbanKmh
	switch class {
	case RuralRoad:
		kmh = m.RuralKmh
	case Motorway:
		kmh = m.MotorwayKmh
	}
	return kmh * m.factor(class, hour) / 3.6 / m.Detour
}

func (m StraightLine) duration(metres float64, class RoadClass, hour int) time.Duration {
	return time.Duration(metres / m.Pace(class, hour) * float64(time.Second))
}

// factor multiplies the speed for a class and an hour.
func (m StraightLine) factor(class RoadClass, hour int) float64 {
	factor := m.Rush[hourOfDay(hour)]
	if class == RuralRoad || class == Motorway {
		return (1 + factor) / 2
	}
	return factor
}

// hourOfDay brings an hour into 0..23.
func hourOfDay(hour int) int { return ((hour % 24) + 24) % 24 }

// Slowdown is how much longer a drive takes at an hour than in free traffic: 1 /
// 0.65 on urban roads from 17 to 19. It lends the model's rush hours to a routing
// engine that knows no traffic.
func (m StraightLine) Slowdown(class RoadClass, hour int) float64 {
	return 1 / m.factor(class, hour)
}

// Name implements TravelModel.
func (m StraightLine) Name() string { return "straight_line" }

// At fixes the road class and the local hour of day, which makes the model a
// TravelTimes.
func (m StraightLine) At(class RoadClass, hour int) TravelTimes {
	return straightMatrix{model: m, class: class, hour: hour}
}

type straightMatrix struct {
	model StraightLine
	class RoadClass
	hour  int
}

// Matrix implements TravelTimes. Its only error is the context's, or what Check
// finds in the model.
func (s straightMatrix) Matrix(ctx context.Context, from, to []Point) ([][]time.Duration, error) {
	if err := s.model.Check(); err != nil {
		return nil, err
	}
	ends := make([]unit, len(to))
	for j, p := range to {
		ends[j] = unitOf(p)
	}
	rows := make([][]time.Duration, len(from))
	for i, p := range from {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := unitOf(p)
		rows[i] = make([]time.Duration, len(to))
		for j := range to {
			rows[i][j] = s.model.duration(arcMetres(start.chord2(ends[j])), s.class, s.hour)
		}
	}
	return rows, nil
}
