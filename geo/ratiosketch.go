package geo

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// ratioBins is how many bins lie on each side of 1 in a ratioSketch, and
// ratioStep their width: 2% each, out to a factor of 8.
const (
	ratioStep = 0.02
	ratioBins = 104
)

// ratioSketch keeps how drives compare with a model: the distribution of actual
// over expected time, in bins, each weighted by its expected milliseconds. The
// weighted median of it is the one factor that, multiplied onto the model,
// leaves the least sum of absolute errors (Edgeworth's L1 regression through
// the origin), and half the drives may be nonsense before it breaks.
// All is whole numbers, so that merging is exact in any order.
type ratioSketch struct {
	jobs   int64
	weight map[int16]int64
	median float64 // the natural logarithm of the factor, kept by settle
}

// add counts a drive; settle has to follow.
func (s *ratioSketch) add(expectedMs, actualMs int64) {
	if s.weight == nil {
		s.weight = map[int16]int64{}
	}
	bin := math.Round(math.Log(float64(actualMs)/float64(expectedMs)) / ratioStep)
	s.jobs++
	s.weight[int16(min(max(bin, -ratioBins), ratioBins))] += expectedMs
}

func (s *ratioSketch) merge(o *ratioSketch) {
	if s.weight == nil {
		s.weight = map[int16]int64{}
	}
	s.jobs += o.jobs
	for bin, w := range o.weight {
		s.weight[bin] += w
	}
	s.settle()
}

// settle finds the weighted median. Where the weight is exactly halved between
// two bins it lies between them.
func (s *ratioSketch) settle() {
	var total int64
	for _, w := range s.weight {
		total += w
	}
	bins := slices.Sorted(maps.Keys(s.weight))
	var below int64
	for k, bin := range bins {
		below += s.weight[bin]
		if 2*below < total {
			continue
		}
		s.median = float64(bin) * ratioStep
		if 2*below == total {
			s.median = float64(bin+bins[k+1]) / 2 * ratioStep
		}
		return
	}
}

// shrunk draws the median towards what is known from a wider group, as if that
// group had sent priorJobs drives of its own.
func (s *ratioSketch) shrunk(wider float64) float64 {
	if s == nil {
		return wider
	}
	n := float64(s.jobs)
	return (n*s.median + priorJobs*wider) / (n + priorJobs)
}

// mostWeight, 35,000 years of driving, keeps sums from running over.
const mostWeight = 1 << 50

func (s *ratioSketch) check() error {
	if s.jobs < 1 || len(s.weight) == 0 || int64(len(s.weight)) > s.jobs {
		return fmt.Errorf("jobs: %d cannot fill %d bins", s.jobs, len(s.weight))
	}
	for bin, w := range s.weight {
		if bin < -ratioBins || bin > ratioBins || w < 1 || w > mostWeight {
			return fmt.Errorf("bins: %d with weight %d is outside ±%d or not a sum of drives", bin, w, ratioBins)
		}
	}
	return nil
}
