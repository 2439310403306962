package geo

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"
)

// question is one matrix while Routed fills it.
type question struct {
	routed   *Routed
	from, to []Point
	class    RoadClass
	hour     int

	answer    Answer
	model     [][]time.Duration // the fallback's own figures
	fromCells []Cell
	toCells   []Cell
	missing   [][]int // by destination: those to ask the engine about
}

// estimate fills every pair by the model.
func (q *question) estimate() error {
	fallback := q.routed.cfg.Fallback
	q.answer.Times = make([][]time.Duration, len(q.from))
	q.answer.Sources = make([][]Source, len(q.from))
	q.model = make([][]time.Duration, len(q.from))
	for i, p := range q.from {
		q.model[i] = make([]time.Duration, len(q.to))
		q.answer.Sources[i] = make([]Source, len(q.to))
		for j, t := range q.to {
			q.model[i][j] = fallback.Time(p, t, q.class, q.hour)
			q.answer.Sources[i][j] = Source{By: fallback.Name()}
		}
		q.answer.Times[i] = slices.Clone(q.model[i])
	}
	if q.routed.cfg.Engine == nil {
		return nil
	}
	var err error
	if q.fromCells, err = cellsOf(q.from); err != nil {
		return err
	}
	q.toCells, err = cellsOf(q.to)
	return err
}

func cellsOf(points []Point) ([]Cell, error) {
	cells := make([]Cell, len(points))
	for i, p := range points {
		c, err := CellAt(p, CacheResolution)
		if err != nil {
			return nil, err
		}
		cells[i] = c
	}
	return cells, nil
}

// recall fills in what is kept, and lists for each destination those of its
// shortlist, the nearest by the model, that are not.
func (q *question) recall() {
	now := time.Now()
	q.missing = make([][]int, len(q.to))
	order := make([]int, len(q.from))
	for j := range q.to {
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(q.model[a][j], q.model[b][j]) })
		for rank, i := range order {
			if q.routed.cache != nil {
				if drive, ok := q.routed.cache.find(q.key(i, j), now); ok {
					q.set(i, j, drive, WhyCached)
					continue
				}
			}
			if rank < q.routed.cfg.Shortlist {
				q.missing[j] = append(q.missing[j], i)
			} else {
				q.answer.Sources[i][j].Why = WhyNotListed
			}
		}
	}
}

// askAll asks the engine about what is missing, destination by destination, all
// within one budget.
func (q *question) askAll(ctx context.Context) {
	var wanted []int
	for j, missing := range q.missing {
		if len(missing) > 0 {
			wanted = append(wanted, j)
		}
	}
	if len(wanted) == 0 {
		return
	}
	ctx, cancel := q.routed.budget(ctx)
	defer cancel()

	times := make([][]time.Duration, len(wanted))
	failed := make([]error, len(wanted))
	each(len(wanted), q.routed.cfg.Parallel, func(n int) {
		j := wanted[n]
		if err := ctx.Err(); err != nil {
			failed[n] = &EngineError{Engine: q.routed.cfg.Engine.Name(), Why: FailTimeout, Err: err}
			return
		}
		places := make([]Point, len(q.missing[j]))
		for k, i := range q.missing[j] {
			places[k] = q.from[i]
		}
		times[n], failed[n] = q.routed.ask(ctx, places, q.to[j])
	})

	now := time.Now()
	for n, j := range wanted {
		for k, i := range q.missing[j] {
			if failed[n] != nil {
				q.answer.Sources[i][j].Why = string(failureOf(failed[n]))
				continue
			}
			q.set(i, j, times[n][k], "")
			if q.routed.cache != nil {
				q.routed.cache.store(q.key(i, j), times[n][k], now)
			}
		}
	}
	q.answer.Err = errors.Join(failed...)
}

// set takes over a figure of the engine's.
func (q *question) set(i, j int, drive time.Duration, why string) {
	if drive == NoRoute {
		q.answer.Sources[i][j].Why = WhyNoRoute
		return
	}
	if f := q.routed.cfg.Slowdown(q.class, q.hour); f > 0 && !math.IsInf(f, 1) {
		drive = min(time.Duration(float64(drive)*f), longestDrive)
	}
	q.answer.Times[i][j] = drive
	q.answer.Sources[i][j] = Source{By: q.routed.cfg.Engine.Name(), Why: why}
}

const (
	shortDrive = 30 * time.Second // of shorter ones a ratio says little
	levelLeast = 0.5
	levelMost  = 4.0
)

// level brings the model's figures for one destination to the engine's level.
func (q *question) level(j int) {
	engine := q.routed.cfg.Engine.Name()
	var ratios []float64
	for i := range q.from {
		if q.answer.Sources[i][j].By == engine && q.model[i][j] >= shortDrive {
			ratios = append(ratios, float64(q.answer.Times[i][j])/float64(q.model[i][j]))
		}
	}
	if len(ratios) == 0 {
		return
	}
	slices.Sort(ratios)
	ratio := min(max(ratios[len(ratios)/2], levelLeast), levelMost)
	for i := range q.from {
		if q.answer.Sources[i][j].By != engine {
			q.answer.Times[i][j] = time.Duration(float64(q.model[i][j]) * ratio)
		}
	}
}

func (q *question) key(i, j int) travelKey {
	return travelKey{from: q.fromCells[i], to: q.toCells[j], hour: hourOfWeek(q.hour)}
}
