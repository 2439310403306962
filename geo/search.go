package geo

import (
	"math"
	"slices"
)

// maxBatch is how many hits a search takes under one hold of the read lock.
const maxBatch = 32

// search is the state of one Near: the frontier of nodes not yet opened and
// things not yet yielded, as a heap by distance.
type search[K comparable] struct {
	from    unit
	need    Capabilities
	began   bool
	moves   uint64 // the index's move number when the search began
	heap    []candidate[K]
	yielded []K
}

// candidate is a node, with the least distance any thing in it can have, or a
// thing with its own. Distances are squared chords.
type candidate[K comparable] struct {
	d2   float64
	node *node[K]
	it   *thing[K]
}

// before orders the heap. At equal distance a node comes first, since it may
// hold a thing as near as that, and then the thing put first.
func (c *candidate[K]) before(d *candidate[K]) bool {
	if c.d2 != d.d2 {
		return c.d2 < d.d2
	}
	if c.it == nil || d.it == nil {
		return d.it != nil
	}
	return c.it.ord < d.it.ord
}

func (s *search[K]) reset() {
	clear(s.heap)
	clear(s.yielded)
	*s = search[K]{heap: s.heap[:0], yielded: s.yielded[:0]}
}

// fill takes the next hits, as many as there is room for, and returns their
// number; fewer means that there are no more. The caller holds the read lock.
func (ix *Index[K]) fill(s *search[K], out []Hit[K]) int {
	if !s.began {
		s.began, s.moves = true, ix.moves
		s.open(ix.root)
	}
	n := 0
	for n < len(out) && len(s.heap) > 0 {
		next := s.pop()
		if next.node != nil {
			s.open(next.node)
			continue
		}
		t := next.it
		// Writers may have run since this candidate was found.
		if !t.free || !t.can.Has(s.need) {
			continue
		}
		if d2 := s.from.chord2(t.pos); d2 != next.d2 {
			s.push(candidate[K]{d2: d2, it: t})
			continue
		}
		// Only a thing that has come to a leaf since can be met twice.
		if t.move > s.moves && slices.Contains(s.yielded, t.key) {
			continue
		}
		s.yielded = append(s.yielded, t.key)
		out[n] = Hit[K]{Key: t.key, Point: t.at, Metres: arcMetres(next.d2), Seen: t.seen}
		n++
	}
	return n
}

// open puts what a node holds on the frontier.
func (s *search[K]) open(n *node[K]) {
	for _, kid := range n.kids {
		if kid.free == 0 || !kid.can.Has(s.need) {
			continue
		}
		var least2 float64
		if gap := math.Sqrt(s.from.chord2(kid.centre)) - kid.radius; gap > 0 {
			least2 = gap * gap
		}
		s.push(candidate[K]{d2: least2, node: kid})
	}
	for i := range n.list {
		if l := &n.list[i]; l.can.Has(s.need) {
			s.push(candidate[K]{d2: s.from.chord2(l.pos), it: l.it})
		}
	}
}

func (s *search[K]) push(c candidate[K]) {
	s.heap = append(s.heap, c)
	h, i := s.heap, len(s.heap)-1
	for i > 0 {
		up := (i - 1) / 2
		if !c.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = c
}

func (s *search[K]) pop() candidate[K] {
	h := s.heap
	top := h[0]
	last := len(h) - 1
	c := h[last]
	h[last] = candidate[K]{}
	h = h[:last]
	s.heap = h
	if last == 0 {
		return top
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && h[down+1].before(&h[down]) {
			down++
		}
		if !h[down].before(&c) {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = c
	return top
}
