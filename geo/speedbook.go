package geo

import (
	"errors"
	"math"
	"slices"
	"sync"
	"time"
)

// priorJobs is how many drives of its own a group needs to weigh as much as the
// wider group it belongs to.
const priorJobs = 12

// SpeedBook is the straight-line model corrected by what crews really needed.
// For every start cell, local hour and road class it keeps how actual drives
// compared with the model; Speeds predicts by the model times a factor: the robust
// middle of those ratios, drawn towards that of the class at this hour, which is
// drawn towards that of the class, which is drawn towards the model itself. So
// few drives change little, and where nothing was learned it is the model.
// Being a middle, half the drives take longer: a promise needs a margin on top.
//
// Books that learned from different drives can be merged, in any order, with the
// same result as one book that saw all. It is safe for concurrent use.
type SpeedBook struct {
	base StraightLine

	mu       sync.RWMutex
	sketches map[speedKey]*ratioSketch // at each of the three levels
	errors   map[RoadClass]*errorPair
}

// speedKey names a group of drives: a cell, hour and class, or with cell 0 an
// hour and class, or with hour -1 as well a class.
type speedKey struct {
	cell  Cell
	hour  int8
	class RoadClass
}

const anyHour = -1

// errorPair is how far off the predictions were that were made before each
// drive was learned.
type errorPair struct{ before, after errorTally }

// NewSpeedBook makes an empty book over a model. Its error is Check's.
func NewSpeedBook(base StraightLine) (*SpeedBook, error) {
	if err := base.Check(); err != nil {
		return nil, err
	}
	return emptyBook(base), nil
}

func emptyBook(base StraightLine) *SpeedBook {
	return &SpeedBook{
		base: base, sketches: map[speedKey]*ratioSketch{}, errors: map[RoadClass]*errorPair{},
	}
}

// Learn takes finished drives into account. Before it does, it notes how far
// off the model and the book would have been, or were if the drive says so, so
// that Error compares predictions, never hindsight. The zero Drive teaches
// nothing.
func (b *SpeedBook) Learn(drives ...Drive) {
	b.mu.Lock()
	defer b.mu.Unlock()
	touched := map[*ratioSketch]struct{}{}
	for _, d := range drives {
		expected := b.base.duration(d.metres, d.class, d.hour)
		if d.took <= 0 || expected < time.Millisecond {
			continue
		}
		b.judge(d, expected)
		for _, key := range levels(d.start, d.class, d.hour) {
			s := b.sketch(key)
			s.add(expected.Milliseconds(), max(d.took.Milliseconds(), 1))
			touched[s] = struct{}{}
		}
	}
	for s := range touched {
		s.settle()
	}
}

// judge notes how far off the predictions of a drive were.
func (b *SpeedBook) judge(d Drive, expected time.Duration) {
	pair := b.errors[d.class]
	if pair == nil {
		pair = &errorPair{}
		b.errors[d.class] = pair
	}
	if d.said != nil {
		pair.before.add(d.said.model, d.took)
		pair.after.add(d.said.learned, d.took)
		return
	}
	pair.before.add(expected, d.took)
	pair.after.add(b.correct(expected, d), d.took)
}

// levels lists the groups a drive belongs to, from the narrowest.
func levels(cell Cell, class RoadClass, hour int) [3]speedKey {
	return [3]speedKey{
		{cell, int8(hour), class},
		{0, int8(hour), class},
		{0, anyHour, class},
	}
}

func (b *SpeedBook) sketch(key speedKey) *ratioSketch {
	s := b.sketches[key]
	if s == nil {
		s = &ratioSketch{}
		b.sketches[key] = s
	}
	return s
}

// correct applies the factor of a drive's cell, class and hour to the model's
// time.
func (b *SpeedBook) correct(expected time.Duration, d Drive) time.Duration {
	groups := levels(d.start, d.class, d.hour)
	return time.Duration(float64(expected) * math.Exp(b.logFactor(groups[:])))
}

// logFactor is the logarithm of the factor of the first of some groups, each of
// which belongs to the next.
func (b *SpeedBook) logFactor(groups []speedKey) float64 {
	log := 0.0
	for _, key := range slices.Backward(groups) {
		log = b.sketches[key].shrunk(log)
	}
	return log
}

func startCell(p Point) Cell {
	cell, err := CellAt(p, SpeedResolution)
	if err != nil {
		return 0
	}
	return cell
}

func knownClass(class RoadClass) RoadClass {
	if class == RuralRoad || class == Motorway {
		return class
	}
	return UrbanRoad
}

// ErrOtherBase refuses to merge books that correct different models.
var ErrOtherBase = errors.New("base: the books correct different straight-line models; learn anew from the drives")

// Merge adds what another book learned. The books must be over the same model:
// otherwise it is ErrOtherBase. Their drives should be different ones, since a
// drive in both counts twice.
func (b *SpeedBook) Merge(other *SpeedBook) error {
	if b.base != other.base {
		return ErrOtherBase
	}
	copied := other.copied() // so that no two locks are held at once
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, s := range copied.sketches {
		b.sketch(key).merge(s)
	}
	for class, pair := range copied.errors {
		own := b.errors[class]
		if own == nil {
			own = &errorPair{}
			b.errors[class] = own
		}
		own.before.merge(pair.before)
		own.after.merge(pair.after)
	}
	return nil
}

func (b *SpeedBook) copied() *SpeedBook {
	c := emptyBook(b.base)
	b.mu.RLock()
	defer b.mu.RUnlock()
	for key, s := range b.sketches {
		c.sketch(key).merge(s)
	}
	for class, pair := range b.errors {
		own := &errorPair{}
		own.before.merge(pair.before)
		own.after.merge(pair.after)
		c.errors[class] = own
	}
	return c
}

// Jobs is how many drives the book has learned from.
func (b *SpeedBook) Jobs() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var n int64
	for _, class := range []RoadClass{UrbanRoad, RuralRoad, Motorway} {
		if s := b.sketches[speedKey{0, anyHour, class}]; s != nil {
			n += s.jobs
		}
	}
	return n
}

// Error tells how far off the model was and how far the book, per class, over
// all drives learned from, each predicted before it was learned. After a merge
// it is the sum of both books' predictions.
func (b *SpeedBook) Error() ErrorTable {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return tableOf(b.errors)
}

// Assess tells how far off the model and the book are on drives that it has not
// learned, and learns nothing from them.
func (b *SpeedBook) Assess(drives []Drive) ErrorTable {
	b.mu.RLock()
	defer b.mu.RUnlock()
	pairs := map[RoadClass]*errorPair{}
	for _, d := range drives {
		if d.took <= 0 {
			continue
		}
		pair := pairs[d.class]
		if pair == nil {
			pair = &errorPair{}
			pairs[d.class] = pair
		}
		expected := b.base.duration(d.metres, d.class, d.hour)
		pair.before.add(expected, d.took)
		pair.after.add(b.correct(expected, d), d.took)
	}
	return tableOf(pairs)
}
