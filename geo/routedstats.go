package geo

import (
	"maps"
	"sync"
	"time"
)

// RoutedStats is what a Routed has done since it was made.
type RoutedStats struct {
	Decisions   int64             // matrices answered
	Figures     map[Source]int64  // single travel times, by where they came from
	EngineCalls int64             // questions to the engine, answered or not
	EngineTime  time.Duration     // spent waiting for them, in sum
	Failures    map[Failure]int64 // questions that gave nothing, by reason
	BreakerOpen bool              // the engine is resting after failures
	Kept        int               // pairs in the cache
}

// Stats returns the counts of this moment. The maps are the caller's.
func (r *Routed) Stats() RoutedStats {
	r.counts.mu.Lock()
	s := r.counts.stats
	s.Figures, s.Failures = maps.Clone(s.Figures), maps.Clone(s.Failures)
	r.counts.mu.Unlock()
	s.BreakerOpen = r.breaker.open()
	if r.cache != nil {
		s.Kept = r.cache.size()
	}
	return s
}

type routedCounts struct {
	mu    sync.Mutex
	stats RoutedStats
}

func (c *routedCounts) decided(q *question) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Decisions++
	if c.stats.Figures == nil {
		c.stats.Figures = map[Source]int64{}
	}
	for _, row := range q.answer.Sources {
		for _, source := range row {
			c.stats.Figures[source]++
		}
	}
}

func (c *routedCounts) asked(took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.EngineCalls++
	c.stats.EngineTime += took
	if err != nil {
		if c.stats.Failures == nil {
			c.stats.Failures = map[Failure]int64{}
		}
		c.stats.Failures[failureOf(err)]++
	}
}
