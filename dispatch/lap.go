package dispatch

import "math"

// edge is one possible pair of a row with a column.
type edge struct {
	col  int
	cost float64
}

// matching solves the sparse linear assignment problem: it pairs rows with
// columns, each at most once, so that the sum of the chosen edges' costs, and
// of skip[row] for every row left alone, is the least possible. It returns the
// column of each row, -1 for none, and that sum. Among equals it prefers the
// lower column, so the answer never varies.
//
// The method is that of shortest augmenting paths with node potentials
// (Jonker and Volgenant, Computing 38, 1987), with a heap in place of dense
// rows. A row left alone is matched to a column of its own, which costs skip.
func matching(rows [][]edge, cols int, skip []float64) ([]int, float64) {
	n := len(rows)
	s := &augmenter{
		rows: rows, cols: cols, skip: skip,
		price: make([]float64, cols+n), holder: make([]int, cols+n), match: make([]int, n),
		dist: make([]float64, cols+n), from: make([]int, cols+n), done: make([]bool, cols+n),
	}
	for j := range s.holder {
		s.holder[j], s.dist[j] = -1, math.Inf(1)
	}
	for i := range s.match {
		s.match[i] = -1
	}
	for i := range rows {
		s.augment(i)
	}
	sum := 0.0
	for i, j := range s.match {
		if j >= cols {
			s.match[i] = -1
			sum += skip[i]
			continue
		}
		sum += s.cost(i, j)
	}
	return s.match, sum
}

type augmenter struct {
	rows   [][]edge
	cols   int
	skip   []float64
	price  []float64 // potential of a column
	holder []int     // row of a column
	match  []int     // column of a row
	dist   []float64
	from   []int // row from which a column was reached
	done   []bool
	heap   leastFirst
	seen   []int // columns touched by the current search
}

// reached is a column and the length of a path to it.
type reached struct {
	dist float64
	col  int
}

func (a reached) less(b reached) bool {
	return a.dist < b.dist || a.dist == b.dist && a.col < b.col
}

func (s *augmenter) cost(row, col int) float64 {
	best := math.Inf(1)
	for _, e := range s.rows[row] {
		if e.col == col {
			best = min(best, e.cost)
		}
	}
	return best
}

// augment finds the cheapest way to give row a column, moving others on.
func (s *augmenter) augment(row int) {
	s.heap, s.seen = s.heap[:0], s.seen[:0]
	base, at, end := 0.0, row, -1
	var reach float64
	for {
		for _, e := range s.rows[at] {
			s.relax(at, e.col, base+e.cost-s.price[e.col])
		}
		s.relax(at, s.cols+at, base+s.skip[at]-s.price[s.cols+at])
		next := s.pop()
		if next.col < 0 {
			break
		}
		s.done[next.col] = true
		if s.holder[next.col] < 0 {
			end, reach = next.col, next.dist
			break
		}
		at = s.holder[next.col]
		// The reduced cost of a matched edge is nil, so the row's own
		// potential is the difference.
		held := s.skip[at]
		if j := s.match[at]; j < s.cols {
			held = s.cost(at, j)
		}
		base = next.dist - (held - s.price[next.col])
	}
	if end >= 0 {
		for _, j := range s.seen {
			if s.done[j] {
				s.price[j] += s.dist[j] - reach
			}
		}
		for j := end; ; {
			i := s.from[j]
			prev := s.match[i]
			s.match[i], s.holder[j] = j, i
			if i == row {
				break
			}
			j = prev
		}
	}
	for _, j := range s.seen {
		s.dist[j], s.done[j] = math.Inf(1), false
	}
}

func (s *augmenter) relax(row, col int, dist float64) {
	if s.done[col] || dist >= s.dist[col] {
		return
	}
	if math.IsInf(s.dist[col], 1) {
		s.seen = append(s.seen, col)
	}
	s.dist[col], s.from[col] = dist, row
	s.heap.push(reached{dist, col})
}

// pop takes the nearest column that is not done; its col is -1 when none is
// left.
func (s *augmenter) pop() reached {
	for len(s.heap) > 0 {
		if top := s.heap.take(); !s.done[top.col] && top.dist == s.dist[top.col] {
			return top
		}
	}
	return reached{col: -1}
}

// leastFirst is a binary heap.
type leastFirst []reached

func (q *leastFirst) push(r reached) {
	h := append(*q, r)
	i := len(h) - 1
	for i > 0 && h[i].less(h[(i-1)/2]) {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		i = (i - 1) / 2
	}
	*q = h
}

// take removes the least of a heap that is not empty.
func (q *leastFirst) take() reached {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		k := 2*i + 1
		if k+1 < len(h) && h[k+1].less(h[k]) {
			k++
		}
		if k >= len(h) || !h[k].less(h[i]) {
			break
		}
		h[i], h[k] = h[k], h[i]
		i = k
	}
	*q = h
	return top
}
