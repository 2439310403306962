package geo

import (
	"iter"
	"sync"
	"time"
)

// Capabilities is a set of things a crew can do, or a job needs, one bit each.
// What a bit means is its user's business.
type Capabilities uint64

// Has reports whether every capability of need is in the set. Every set has the
// empty need.
func (c Capabilities) Has(need Capabilities) bool { return c&need == need }

// Hit is one thing that Near found.
type Hit[K comparable] struct {
	Key    K
	Point  Point
	Metres float64   // great-circle distance, as Distance measures it
	Seen   time.Time // when the thing was at Point
}

// Standing is what the index knows of one thing.
type Standing struct {
	Point Point
	Seen  time.Time
	Free  bool
	Can   Capabilities
}

// Index holds moving things and finds the nearest that are free and capable, in
// exact great-circle order, anywhere on Earth. It is safe for concurrent use.
//
// The things hang in a tree of H3 cells. Every node keeps a ball around all
// things below it, the number of free ones and the union of what those can do.
// Near walks the tree best first and never opens a node that is too far, has
// nobody free, or lacks a needed capability. Because each ball is grown from
// the positions themselves, the answer is exact whatever the shape of the
// cells: that H3 parents do not quite contain their children, or that a thing
// has drifted over its cell's edge, costs a little speed and nothing else.
type Index[K comparable] struct {
	mu     sync.RWMutex
	things map[K]*thing[K]
	nodes  map[Cell]*node[K]
	root   *node[K]
	puts   uint64 // numbers things as they first come in
	moves  uint64 // numbers changes of leaf

	searches sync.Pool // of *search[K]
}

// thing is one entry. While it is free it also stands in its leaf's list.
type thing[K comparable] struct {
	key  K
	at   Point
	pos  unit
	seen time.Time
	can  Capabilities
	free bool
	ord  uint64 // order of first Put; decides between equal distances
	move uint64 // the index's move number when it came to its leaf
	leaf *node[K]
	slot int // in leaf.list, when free
}

// NewIndex returns an empty index.
func NewIndex[K comparable]() *Index[K] {
	ix := &Index[K]{
		things: make(map[K]*thing[K]),
		nodes:  make(map[Cell]*node[K]),
		root:   &node[K]{},
	}
	ix.searches.New = func() any { return new(search[K]) }
	return ix
}

// Put records where a thing is, what it can do and whether it is free, as seen
// at a time. It returns false and changes nothing when a later sighting is
// already known or the point is not Valid. A sighting of the same time replaces
// the one before.
func (ix *Index[K]) Put(k K, p Point, can Capabilities, free bool, seen time.Time) bool {
	if !p.Valid() {
		return false
	}
	pos := unitOf(p)

	ix.mu.Lock()
	defer ix.mu.Unlock()
	t := ix.things[k]
	if t != nil && seen.Before(t.seen) {
		return false
	}
	if t != nil && pos.chord2(t.leaf.centre) <= leafReach2 {
		t.at, t.pos, t.seen = p, pos, seen
		t.leaf.cover(pos)
		ix.refile(t, can, free)
		return true
	}
	leaf, ok := ix.leafAt(p)
	if !ok {
		return false
	}
	// The new leaf is counted before the old one is left: leaving drops nodes
	// that become empty, and the new leaf may hang from one of them.
	leaf.count(1)
	if t == nil {
		ix.puts++
		t = &thing[K]{key: k, ord: ix.puts}
		ix.things[k] = t
	} else {
		ix.leave(t)
	}
	ix.moves++
	t.at, t.pos, t.seen, t.can, t.free = p, pos, seen, can, free
	t.leaf, t.move = leaf, ix.moves
	leaf.cover(pos)
	if free {
		leaf.enlist(t)
	}
	return true
}

// Remove forgets a thing. It reports whether it was known.
func (ix *Index[K]) Remove(k K) bool {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	t := ix.things[k]
	if t == nil {
		return false
	}
	ix.leave(t)
	t.free = false // a reader in mid-sequence may still hold it
	t.leaf = nil
	delete(ix.things, k)
	return true
}

// SetFree changes whether a thing is free, leaving it where it is. It reports
// whether the thing is known.
func (ix *Index[K]) SetFree(k K, free bool) bool {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	t := ix.things[k]
	if t != nil {
		ix.refile(t, t.can, free)
	}
	return t != nil
}

// SetCapabilities changes what a thing can do, leaving it where it is. It
// reports whether the thing is known.
func (ix *Index[K]) SetCapabilities(k K, can Capabilities) bool {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	t := ix.things[k]
	if t != nil {
		ix.refile(t, can, t.free)
	}
	return t != nil
}

// Lookup returns what is known of a thing, free or not.
func (ix *Index[K]) Lookup(k K) (Standing, bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	t := ix.things[k]
	if t == nil {
		return Standing{}, false
	}
	return Standing{Point: t.at, Seen: t.seen, Free: t.free, Can: t.can}, true
}

// Len returns the number of things, free or not.
func (ix *Index[K]) Len() int {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return len(ix.things)
}

// Near yields the free things that can do all that is needed, nearest first.
// Equal distances come in the order the things were first put. The sequence
// ends when there are no more, or at once for a point that is not Valid.
//
// No lock is held while the caller has a hit in hand: it may call any method of
// the index. The first hit is exact for the moment it is found. A thing that
// moves while the sequence is being read comes at most once, and may be missed;
// one that stands still comes in its exact place.
func (ix *Index[K]) Near(p Point, need Capabilities) iter.Seq[Hit[K]] {
	return func(yield func(Hit[K]) bool) {
		if !p.Valid() {
			return
		}
		s := ix.searches.Get().(*search[K])
		defer func() {
			s.reset()
			ix.searches.Put(s)
		}()
		s.from, s.need = unitOf(p), need

		var batch [maxBatch]Hit[K]
		for given := 0; ; {
			// As many again as were given, so that little is found in vain.
			size := min(max(given, 1), maxBatch)
			ix.mu.RLock()
			n := ix.fill(s, batch[:size])
			ix.mu.RUnlock()
			given += n
			for _, hit := range batch[:n] {
				if !yield(hit) {
					return
				}
			}
			if n < size {
				return
			}
		}
	}
}
