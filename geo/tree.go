package geo

import "math"

// leafResolution is the H3 resolution of the leaves. Above them the tree has a
// level for every coarser resolution and a root over the whole Earth, so that a
// node has about seven kids and a search opens few it need not. A leaf spans
// about 7 km: in a city of some hundred crews that is a handful of crews a leaf,
// which a processor compares faster than it could follow a finer tree.
const leafResolution = 6

// leafReach2 is the squared chord within which a thing stays in its leaf: 4 km,
// a little beyond the corners of an average cell. Within it an update needs no
// H3 call, and a thing on an edge does not swing between two leaves.
const leafReach2 = (4000 / EarthRadius) * (4000 / EarthRadius)

// node is a cell with something in it; its fields are guarded by Index.mu.
type node[K comparable] struct {
	cell   Cell // zero for the root
	centre unit
	parent *node[K]
	kids   []*node[K]
	radius float64 // chord; the ball about centre holds every thing below
	all    int     // things below
	free   int     // free things below
	can    Capabilities
	list   []listed[K] // leaf: its free things
}

// listed is a free thing as its leaf lists it: what a search must read, flat.
type listed[K comparable] struct {
	pos unit
	can Capabilities
	it  *thing[K]
}

// leafAt finds or makes the leaf of a point.
func (ix *Index[K]) leafAt(p Point) (*node[K], bool) {
	cell, err := CellAt(p, leafResolution)
	if err != nil {
		return nil, false
	}
	return ix.nodeOf(cell, leafResolution)
}

func (ix *Index[K]) nodeOf(cell Cell, res int) (*node[K], bool) {
	if n := ix.nodes[cell]; n != nil {
		return n, true
	}
	centre, err := cell.Centre()
	if err != nil {
		return nil, false
	}
	parent := ix.root
	if res > 0 {
		up, err := cell.Parent(res - 1)
		if err != nil {
			return nil, false
		}
		var ok bool
		if parent, ok = ix.nodeOf(up, res-1); !ok {
			return nil, false
		}
	}
	n := &node[K]{cell: cell, centre: unitOf(centre), parent: parent}
	parent.kids = append(parent.kids, n)
	ix.nodes[cell] = n
	return n, true
}

// refile changes what a thing can do and whether it is free, and brings its
// leaf's list up to its present position.
func (ix *Index[K]) refile(t *thing[K], can Capabilities, free bool) {
	switch {
	case t.free && free && t.can == can:
		t.leaf.list[t.slot].pos = t.pos
		return
	case t.free:
		t.leaf.delist(t)
	}
	t.can, t.free = can, free
	if free {
		t.leaf.enlist(t)
	}
}

// leave takes a thing out of its leaf and drops the nodes that become empty.
func (ix *Index[K]) leave(t *thing[K]) {
	if t.free {
		t.leaf.delist(t)
	}
	t.leaf.count(-1)
	for n := t.leaf; n.parent != nil && n.all == 0; n = n.parent {
		kids := n.parent.kids
		for i, kid := range kids {
			if kid == n {
				kids[i] = kids[len(kids)-1]
				kids[len(kids)-1] = nil
				n.parent.kids = kids[:len(kids)-1]
				break
			}
		}
		delete(ix.nodes, n.cell)
	}
}

// cover grows the ball of a leaf until it holds a position, and each ball above
// until it holds the ball below. Balls never shrink while their node lives: a
// leaf's is bounded by its reach.
func (n *node[K]) cover(pos unit) {
	// A ball must not fall short by rounding: 1e-12 is 6 micrometres.
	const slack = 1e-12
	d2 := pos.chord2(n.centre)
	if d2 < n.radius*n.radius {
		return
	}
	n.radius = math.Sqrt(d2) + slack
	for up := n.parent; up.parent != nil; n, up = up, up.parent {
		r := math.Sqrt(n.centre.chord2(up.centre)) + n.radius + slack
		if r <= up.radius {
			return
		}
		up.radius = r
	}
}

func (n *node[K]) count(by int) {
	for ; n != nil; n = n.parent {
		n.all += by
	}
}

// enlist adds a free thing to the leaf's list.
func (n *node[K]) enlist(t *thing[K]) {
	t.slot = len(n.list)
	n.list = append(n.list, listed[K]{pos: t.pos, can: t.can, it: t})
	for up := n; up != nil; up = up.parent {
		up.free++
		up.can |= t.can
	}
}

// delist removes a thing from the leaf's list, and whatever nobody else there
// can do from the unions above.
func (n *node[K]) delist(t *thing[K]) {
	last := len(n.list) - 1
	n.list[t.slot] = n.list[last]
	n.list[t.slot].it.slot = t.slot
	n.list[last] = listed[K]{}
	n.list = n.list[:last]
	shrunk := true
	for up := n; up != nil; up = up.parent {
		up.free--
		if shrunk {
			before := up.can
			up.can = up.union()
			shrunk = up.can != before
		}
	}
}

func (n *node[K]) union() (can Capabilities) {
	for i := range n.list {
		can |= n.list[i].can
	}
	for _, kid := range n.kids {
		can |= kid.can
	}
	return can
}
