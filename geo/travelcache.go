package geo

import (
	"sync"
	"time"
)

// CacheResolution is the H3 resolution at which an engine's figures are kept. A
// cell is about 350 m across, so that a kept figure is off by some 20 s in the
// middle and 50 s at worst, at 30 km/h from one edge of two cells to the other.
const CacheResolution = 9

// travelKey is what a kept figure is for.
type travelKey struct {
	from, to Cell
	hour     int16 // of the week, 0 to 167
}

type travelEntry struct {
	drive time.Duration // as the engine gave it, NoRoute included
	until time.Time
}

// travelCache keeps an engine's figures for a while. It holds at most so many:
// when half of that are young, they become the old ones and the old ones are
// dropped, unless asked for since. It is safe for concurrent use.
type travelCache struct {
	keep time.Duration
	half int

	mu         sync.Mutex
	young, old map[travelKey]travelEntry
}

func newTravelCache(keep time.Duration, most int) *travelCache {
	return &travelCache{keep: keep, half: max(most/2, 1), young: map[travelKey]travelEntry{}}
}

func (c *travelCache) find(k travelKey, now time.Time) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[k]
	if !ok {
		if e, ok = c.old[k]; ok && now.Before(e.until) {
			delete(c.old, k)
			c.insert(k, e)
		}
	}
	return e.drive, ok && now.Before(e.until)
}

func (c *travelCache) store(k travelKey, drive time.Duration, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.old, k)
	c.insert(k, travelEntry{drive: drive, until: now.Add(c.keep)})
}

func (c *travelCache) insert(k travelKey, e travelEntry) {
	if _, known := c.young[k]; !known && len(c.young) >= c.half {
		c.young, c.old = make(map[travelKey]travelEntry, c.half), c.young
	}
	c.young[k] = e
}

func (c *travelCache) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}

// hourOfWeek brings an hour into 0..167. An hour of day, 0 to 23, is the first
// day's: callers that do not tell days apart share its figures.
func hourOfWeek(hour int) int16 {
	const week = 7 * 24
	return int16(((hour % week) + week) % week)
}
