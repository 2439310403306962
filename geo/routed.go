package geo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// MaxShortlist is the most places one question to the engine names for one
// destination. The nearest eight by the model hold the soonest by road in all
// but odd cases, and asking more costs time and quota in each decision.
const MaxShortlist = 8

// RoutedConfig says how travel times are found. The zero value is the
// straight-line model alone.
type RoutedConfig struct {
	// Engine is asked for the shortlist; nil asks nobody.
	Engine RoutingEngine
	// Fallback orders the places for the shortlist and answers for all the
	// engine does not; nil is DefaultStraightLine.
	Fallback TravelModel
	// Shortlist is 1 to MaxShortlist; 0 is MaxShortlist.
	Shortlist int
	// Timeout is the longest a decision waits for the engine; 0 is 300 ms. A
	// nearer deadline of the caller's context shortens it.
	Timeout time.Duration
	// Parallel is how many destinations are asked about at once; 0 is 4.
	Parallel int
	// CacheFor is how long the engine's figures are kept; 0 is 15 minutes, below
	// zero is not at all. CachePairs is how many; 0 is 100,000, about 10 MB.
	CacheFor   time.Duration
	CachePairs int
	// Slowdown multiplies the engine's times, for engines that know no traffic:
	// StraightLine.Slowdown fits. Nil is 1.
	Slowdown func(class RoadClass, hour int) float64
}

// Routed finds travel times by road within a deadline that it always keeps. A
// routing engine times the shortlist; figures it gave lately are kept by cell
// and hour; and whatever it does not give, because it is slow, down, out of
// quota or knows no way, the model answers. Each figure names its source.
//
// It is safe for concurrent use. Its limits and its cache run on wall time.
type Routed struct {
	cfg RoutedConfig
	*engineSide
}

// engineSide is what every Routed over one engine has in common.
type engineSide struct {
	cache   *travelCache // nil keeps nothing
	breaker breaker
	counts  routedCounts
}

// NewRouted checks the configuration and fills in what is not set.
func NewRouted(cfg RoutedConfig) (*Routed, error) {
	switch {
	case cfg.Shortlist < 0 || cfg.Shortlist > MaxShortlist:
		return nil, fmt.Errorf("shortlist: %d is outside 1..%d", cfg.Shortlist, MaxShortlist)
	case cfg.Timeout < 0:
		return nil, fmt.Errorf("timeout: %s is negative", cfg.Timeout)
	case cfg.Parallel < 0:
		return nil, fmt.Errorf("parallel: %d is negative", cfg.Parallel)
	case cfg.CachePairs < 0:
		return nil, fmt.Errorf("cache_pairs: %d is negative", cfg.CachePairs)
	}
	if m, ok := cfg.Fallback.(StraightLine); ok {
		if err := m.Check(); err != nil {
			return nil, fmt.Errorf("fallback: %w", err)
		}
	}
	if cfg.Fallback == nil {
		cfg.Fallback = DefaultStraightLine()
	}
	cfg.Shortlist = cmp.Or(cfg.Shortlist, MaxShortlist)
	cfg.Timeout = cmp.Or(cfg.Timeout, 300*time.Millisecond)
	cfg.Parallel = cmp.Or(cfg.Parallel, 4)
	cfg.CacheFor = cmp.Or(cfg.CacheFor, 15*time.Minute)
	cfg.CachePairs = cmp.Or(cfg.CachePairs, 100_000)
	if cfg.Slowdown == nil {
		cfg.Slowdown = func(RoadClass, int) float64 { return 1 }
	}
	r := &Routed{cfg: cfg, engineSide: &engineSide{}}
	if cfg.Engine != nil && cfg.CacheFor > 0 {
		r.cache = newTravelCache(cfg.CacheFor, cfg.CachePairs)
	}
	return r, nil
}

// Over is the same with another model behind the engine. Cache, limits and
// counts stay common to both.
func (r *Routed) Over(model TravelModel) *Routed {
	over := *r
	over.cfg.Fallback = model
	return &over
}

// Engine is the name of the routing engine that is asked; empty when the model
// answers alone.
func (r *Routed) Engine() string {
	if r.cfg.Engine == nil {
		return ""
	}
	return r.cfg.Engine.Name()
}

// Metered reports whether the engine is paid by the call, so that it should be
// asked for decisions only.
func (r *Routed) Metered() bool {
	engine, ok := r.cfg.Engine.(interface{ Metered() bool })
	return ok && engine.Metered()
}

// At fixes the road class and the local hour, which makes it a TravelTimes.
func (r *Routed) At(class RoadClass, hour int) TravelTimes {
	return routedMatrix{routed: r, class: class, hour: hour}
}

type routedMatrix struct {
	routed *Routed
	class  RoadClass
	hour   int
}

// Matrix implements TravelTimes by MatrixSourced, without the sources.
func (m routedMatrix) Matrix(ctx context.Context, from, to []Point) ([][]time.Duration, error) {
	answer, err := m.routed.MatrixSourced(ctx, from, to, m.class, m.hour)
	return answer.Times, err
}

// Refine times the drives to one place and returns them soonest first. Drives
// of equal length keep the order of from.
func (r *Routed) Refine(ctx context.Context, from []Point, to Point, class RoadClass, hour int) ([]Leg, error) {
	answer, err := r.MatrixSourced(ctx, from, []Point{to}, class, hour)
	if err != nil {
		return nil, err
	}
	return answer.legs(), nil
}

// Recall is Refine when there is no time left to ask: the engine's figures that
// are kept, and the model's for the rest of the shortlist, which say so by
// FailTimeout. Its only error is a *CoordinateError.
func (r *Routed) Recall(from []Point, to Point, class RoadClass, hour int) ([]Leg, error) {
	q, err := r.begin(from, []Point{to}, class, hour)
	if err != nil {
		return nil, err
	}
	for j, missing := range q.missing {
		for _, i := range missing {
			q.answer.Sources[i][j].Why = string(FailTimeout)
		}
		q.level(j)
	}
	r.counts.decided(q)
	return q.answer.legs(), nil
}

// legs are the drives to the first destination, soonest first.
func (a Answer) legs() []Leg {
	legs := make([]Leg, len(a.Times))
	for i := range legs {
		legs[i] = Leg{From: i, Time: a.Times[i][0], Source: a.Sources[i][0]}
	}
	slices.SortStableFunc(legs, func(a, b Leg) int { return cmp.Compare(a.Time, b.Time) })
	return legs
}

// MatrixSourced times every pair. For each destination the engine is asked, in
// one question, about those of the shortlist whose figures are not kept. Where
// it answered for some of a destination's drives, the model's figures for the
// others are brought to its level: multiplied by the median of the engine's
// time over the model's. Without that a crew nobody asked about would look
// sooner than those that were, whenever roads are slower than the model.
//
// The hour is local: 0 to 23, or 0 to 167 counted from the week's first midnight.
// Its only errors are a context that has already ended and a *CoordinateError;
// whatever befalls the engine, the answer is complete.
func (r *Routed) MatrixSourced(
	ctx context.Context, from, to []Point, class RoadClass, hour int,
) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	q, err := r.begin(from, to, class, hour)
	if err != nil {
		return Answer{}, err
	}
	if len(q.missing) > 0 {
		q.askAll(ctx)
		for j := range to {
			q.level(j)
		}
	}
	r.counts.decided(q)
	return q.answer, nil
}

// begin answers by the model and, where there is an engine, by what is kept of
// its figures; missing then lists what to ask it about.
func (r *Routed) begin(from, to []Point, class RoadClass, hour int) (*question, error) {
	for _, p := range slices.Concat(from, to) {
		if _, err := NewPoint(p.Lat, p.Lng); err != nil {
			return nil, err
		}
	}
	q := &question{routed: r, from: from, to: to, class: class, hour: hour}
	if err := q.estimate(); err != nil {
		return nil, err
	}
	if r.cfg.Engine != nil && len(from) > 0 {
		q.recall()
	}
	return q, nil
}

// ask puts one question to the engine, if the breaker lets it. It never outlasts
// its context, even if the engine does.
func (r *Routed) ask(ctx context.Context, from []Point, to Point) ([]time.Duration, error) {
	if !r.breaker.pass() {
		return nil, &EngineError{Engine: r.cfg.Engine.Name(), Why: FailOpen}
	}
	begun := time.Now()
	type outcome struct {
		rows [][]time.Duration
		err  error
	}
	result := make(chan outcome, 1)
	go func() {
		rows, err := r.cfg.Engine.Matrix(ctx, from, []Point{to})
		result <- outcome{rows, err}
	}()
	var out outcome
	select {
	case out = <-result:
	case <-ctx.Done():
		out.err = &EngineError{Engine: r.cfg.Engine.Name(), Why: FailTimeout, Err: ctx.Err()}
	}
	took := time.Since(begun)
	times, err := column(r.cfg.Engine.Name(), out.rows, len(from), out.err)
	r.breaker.done(r.judge(ctx, err, took))
	r.counts.asked(took, err)
	return times, err
}

// fairWait is what an engine must have been given before a timeout counts
// against it: half of Timeout, and no more than this.
const fairWait = 50 * time.Millisecond

// judge says what a call told about the engine. A call that its caller gave up
// or left no time for, and one never sent for want of quota, tell nothing.
func (r *Routed) judge(ctx context.Context, err error, took time.Duration) verdict {
	if err == nil {
		return healthy
	}
	switch failureOf(err) {
	case FailRefused:
		return healthy
	case FailQuota:
		return unknown
	case FailTimeout:
		if errors.Is(ctx.Err(), context.Canceled) || took < min(r.cfg.Timeout/2, fairWait) {
			return unknown
		}
	}
	return broken
}

// column takes the one column out of an engine's answer.
func column(engine string, rows [][]time.Duration, n int, err error) ([]time.Duration, error) {
	if err != nil {
		return nil, err
	}
	bad := func() error {
		return &EngineError{Engine: engine, Why: FailMalformed, Err: errors.New("the matrix has the wrong size or a negative time")}
	}
	if len(rows) != n {
		return nil, bad()
	}
	times := make([]time.Duration, n)
	for i, row := range rows {
		if len(row) != 1 || row[0] < 0 {
			return nil, bad()
		}
		times[i] = row[0]
	}
	return times, nil
}

// budget is when the engine must have answered: after Timeout, and early enough
// before the caller's own deadline to answer in its place.
func (r *Routed) budget(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := r.cfg.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		limit = min(limit, left-max(left/10, 2*time.Millisecond))
	}
	return context.WithTimeout(ctx, limit)
}

// each runs job for 0 to n-1, at most parallel of them at once, and waits.
func each(n, parallel int, job func(i int)) {
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			job(i)
		})
	}
	all.Wait()
}
