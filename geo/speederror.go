package geo

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// ErrorTable tells how far off predicted driving times were: a row per road
// class that has drives, and one of all together, whose Class is AllRoads.
type ErrorTable []ErrorRow

// AllRoads marks the row over every class.
const AllRoads RoadClass = "all"

// ErrorRow compares a model before and after it learned, over the same drives.
type ErrorRow struct {
	Class  RoadClass    `json:"class"`
	Jobs   int64        `json:"jobs"`
	Before ErrorFigures `json:"before"`
	After  ErrorFigures `json:"after"`
}

// ErrorFigures are of predicted minus actual driving time, in seconds.
type ErrorFigures struct {
	MeanAbs   float64 `json:"mean_abs_s"`
	MedianAbs float64 `json:"median_abs_s"` // to within 2.5%, out of bins
	Bias      float64 `json:"bias_s"`       // the mean: above zero is predicted too long
	Within10  float64 `json:"within_10min"` // share of drives that were off by 10 minutes or less, 0 to 1
}

// String sets the table in columns, for a terminal.
func (t ErrorTable) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "class\tjobs\tmean |error|\tafter\tmedian |error|\tafter\twithin 10 min\tafter\tbias\tafter\t")
	for _, r := range t {
		fmt.Fprintf(w, "%s\t%d\t%.0f s\t%.0f s\t%.0f s\t%.0f s\t%.1f%%\t%.1f%%\t%+.0f s\t%+.0f s\t\n", r.Class, r.Jobs,
			r.Before.MeanAbs, r.After.MeanAbs, r.Before.MedianAbs, r.After.MedianAbs,
			100*r.Before.Within10, 100*r.After.Within10, r.Before.Bias, r.After.Bias)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return out.String()
}

func tableOf(pairs map[RoadClass]*errorPair) ErrorTable {
	var table ErrorTable
	var all errorPair
	for _, class := range []RoadClass{UrbanRoad, RuralRoad, Motorway} {
		if pair := pairs[class]; pair != nil {
			table = append(table, pair.row(class))
			all.before.merge(pair.before)
			all.after.merge(pair.after)
		}
	}
	return append(table, all.row(AllRoads))
}

func (p *errorPair) row(class RoadClass) ErrorRow {
	return ErrorRow{Class: class, Jobs: p.before.jobs, Before: p.before.figures(), After: p.after.figures()}
}

// errorTally sums errors so that tallies add up. The sizes are kept in bins of
// 5% from a second on, for the median.
type errorTally struct {
	jobs   int64
	absMs  int64
	biasMs int64
	within int64 // off by tolerable or less
	abs    map[int16]int64
}

const (
	errorStep = 0.05
	tolerable = 10 * time.Minute
)

func (t *errorTally) add(predicted, actual time.Duration) {
	if t.abs == nil {
		t.abs = map[int16]int64{}
	}
	off := (predicted - actual).Milliseconds()
	size := max(off, -off)
	t.jobs++
	t.absMs += size
	t.biasMs += off
	if size <= tolerable.Milliseconds() {
		t.within++
	}
	t.abs[int16(math.Round(math.Log(max(float64(size)/1000, 1))/errorStep))]++
}

func (t *errorTally) merge(o errorTally) {
	if t.abs == nil {
		t.abs = map[int16]int64{}
	}
	t.jobs += o.jobs
	t.absMs += o.absMs
	t.biasMs += o.biasMs
	t.within += o.within
	for bin, n := range o.abs {
		t.abs[bin] += n
	}
}

func (t *errorTally) figures() ErrorFigures {
	if t.jobs == 0 {
		return ErrorFigures{}
	}
	f := ErrorFigures{
		MeanAbs:  float64(t.absMs) / float64(t.jobs) / 1000,
		Bias:     float64(t.biasMs) / float64(t.jobs) / 1000,
		Within10: float64(t.within) / float64(t.jobs),
	}
	var below int64
	for _, bin := range slices.Sorted(maps.Keys(t.abs)) {
		if below += t.abs[bin]; 2*below >= t.jobs {
			f.MedianAbs = math.Exp(float64(bin) * errorStep)
			break
		}
	}
	return f
}

// mostErrorBin is the bin of an error of a week.
const mostErrorBin = 270

func (t *errorTally) check() error {
	var n int64
	for bin, count := range t.abs {
		if bin < 0 || bin > mostErrorBin || count < 1 {
			return fmt.Errorf("bins: %d of bin %d is impossible", count, bin)
		}
		n += count
	}
	if n != t.jobs || t.within < 0 || t.within > t.jobs || t.absMs < 0 || max(t.biasMs, -t.biasMs) > t.absMs {
		return fmt.Errorf("jobs: %d do not fit the bins and sums beside them", t.jobs)
	}
	return nil
}
