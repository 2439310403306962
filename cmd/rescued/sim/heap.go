package sim

// heap gives the least of its items first. The zero heap is empty.
type heap[T ordered[T]] struct{ items []T }

// ordered is what says which of two comes first.
type ordered[T any] interface{ less(T) bool }

func (h *heap[T]) len() int { return len(h.items) }

func (h *heap[T]) reset() { h.items = h.items[:0] }

func (h *heap[T]) least() T { return h.items[0] }

func (h *heap[T]) push(x T) {
	h.items = append(h.items, x)
	i := len(h.items) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !x.less(h.items[up]) {
			break
		}
		h.items[i] = h.items[up]
		i = up
	}
	h.items[i] = x
}

func (h *heap[T]) pop() T {
	top, last := h.items[0], len(h.items)-1
	x := h.items[last]
	h.items = h.items[:last]
	i := 0
	for {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && h.items[down+1].less(h.items[down]) {
			down++
		}
		if !h.items[down].less(x) {
			break
		}
		h.items[i] = h.items[down]
		i = down
	}
	if last > 0 {
		h.items[i] = x
	}
	return top
}
