package geo

import (
	"context"
	"math"
	"time"
)

// Speeds is what a SpeedBook knew at one moment, and never changes: a decision
// that uses one throughout is a pure function of it, in the live service as in
// a simulation. It is safe for concurrent use.
//
// The factor of a start cell at an hour on a road class is drawn towards that
// of the class at this hour everywhere, this towards that of the class, and
// this towards the bare model. Where nothing was learned of the cell and hour
// the next wider group answers, in the end the model itself.
type Speeds struct {
	base    StraightLine
	factors map[speedKey]float64 // onto the model's time, for each group that has drives
}

// Unlearned is the bare model as Speeds.
func Unlearned(base StraightLine) *Speeds { return &Speeds{base: base} }

// Speeds is what the book knows now.
func (b *SpeedBook) Speeds() *Speeds {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s := &Speeds{base: b.base, factors: make(map[speedKey]float64, len(b.sketches))}
	for key := range b.sketches {
		s.factors[key] = math.Exp(b.logFactor(key.upwards()))
	}
	return s
}

// upwards lists a group and the wider ones it belongs to.
func (k speedKey) upwards() []speedKey {
	all := levels(k.cell, k.class, int(k.hour))
	switch {
	case k.hour == anyHour:
		return all[2:]
	case k.cell == 0:
		return all[1:]
	}
	return all[:]
}

// Name implements TravelModel: "learned", or the bare model's own name as long
// as nothing was.
func (s *Speeds) Name() string {
	if len(s.factors) == 0 {
		return s.base.Name()
	}
	return "learned"
}

// Model is the bare model's time for a drive, before anything learned.
func (s *Speeds) Model(from, to Point, class RoadClass, hour int) time.Duration {
	return s.base.Time(from, to, class, hour)
}

// Time implements TravelModel. An unknown class counts as urban and the hour is
// taken around the clock, as the model does; a point that is not Valid is timed
// as if nothing were known of its cell.
func (s *Speeds) Time(from, to Point, class RoadClass, hour int) time.Duration {
	expected := s.base.Time(from, to, class, hour)
	if len(s.factors) == 0 {
		return expected // spares the search for the cell
	}
	return s.correct(expected, startCell(from), class, hour)
}

func (s *Speeds) correct(expected time.Duration, cell Cell, class RoadClass, hour int) time.Duration {
	for _, key := range levels(cell, knownClass(class), hourOfDay(hour)) {
		if factor, ok := s.factors[key]; ok {
			return time.Duration(float64(expected) * factor)
		}
	}
	return expected
}

// At fixes the road class and the local hour of day, which makes it a
// TravelTimes. Its only error is the context's.
func (s *Speeds) At(class RoadClass, hour int) TravelTimes {
	return speedsMatrix{speeds: s, class: class, hour: hour}
}

type speedsMatrix struct {
	speeds *Speeds
	class  RoadClass
	hour   int
}

// Matrix implements TravelTimes.
func (m speedsMatrix) Matrix(ctx context.Context, from, to []Point) ([][]time.Duration, error) {
	rows, err := m.speeds.base.At(m.class, m.hour).Matrix(ctx, from, to)
	if err != nil {
		return nil, err
	}
	for i, row := range rows {
		cell := startCell(from[i])
		for j, expected := range row {
			row[j] = m.speeds.correct(expected, cell, m.class, m.hour)
		}
	}
	return rows, nil
}
