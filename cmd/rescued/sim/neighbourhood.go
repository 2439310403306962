package sim

import (
	"time"

	"rescued/dispatch"
	"rescued/geo"
)

// neighbourhood is a small problem for dispatch.Assign out of a large country.
type neighbourhood struct {
	requests []int // in the view
	fleet    []int // in the view
	waiting  []dispatch.Waiting
	crews    []dispatch.Candidate
	seats    places // of requests
	known    marks  // crews asked for
	at       []geo.Vector
	reach    []dispatch.Reach // of all requests, one after the other
}

// places tells where in a short list a number is, and forgets all at once.
type places struct {
	marks
	place []int
}

func (s *places) reset(size int) {
	s.marks.reset(size)
	for len(s.place) < len(s.marks.at) {
		s.place = append(s.place, 0)
	}
}

func (s *places) put(i, place int) {
	s.set(i)
	s.place[i] = place
}

func (n *neighbourhood) reset(v *View) {
	n.requests, n.fleet, n.waiting, n.crews, n.at, n.reach = n.requests[:0], n.fleet[:0], n.waiting[:0], n.crews[:0], n.at[:0], n.reach[:0]
	n.seats.reset(len(v.Requests))
	n.known.reset(len(v.Crews))
}

// request takes in a request and returns its place.
func (n *neighbourhood) request(r int) int {
	if !n.seats.has(r) {
		n.seats.put(r, len(n.requests))
		n.requests = append(n.requests, r)
	}
	return n.seats.place[r]
}

// crew takes in a crew, and the request that it drives to and may leave.
func (n *neighbourhood) crew(v *View, c int) {
	if n.known.has(c) {
		return
	}
	n.known.set(c)
	k, ok := candidate(v, c)
	if !ok {
		return
	}
	if k.Doing != nil {
		k.Doing.Request = n.request(v.Crews[c].Request)
	}
	n.crews, n.fleet = append(n.crews, k), append(n.fleet, c)
}

// gather lists the requests with how far each of the crews is from them.
// A crew counts for a request that it reaches within the time promised, for the
// one it drives to, and wherever nobody is nearer.
func (n *neighbourhood) gather(v *View) {
	for c := range n.crews {
		n.at = append(n.at, geo.VectorOf(n.crews[c].At))
	}
	within := geo.Chord(v.Promised.Seconds() * v.Pace)
	for i, r := range n.requests {
		q := &v.Requests[r]
		w := dispatch.Waiting{At: q.At, Opened: q.CalledAt, Due: q.Due, Priority: q.Priority}
		at := geo.VectorOf(q.At)
		from := len(n.reach)
		add := func(near bool) {
			for c := range n.crews {
				k := &n.crews[c]
				if !v.Able(n.fleet[c], r) || near && !at.Within(n.at[c], within) && !(k.Doing != nil && k.Doing.Request == i) {
					continue
				}
				seconds := n.at[c].Distance(at) / v.Pace
				n.reach = append(n.reach, dispatch.Reach{Crew: c, Travel: time.Duration(seconds * float64(time.Second))})
			}
		}
		if add(true); len(n.reach) == from {
			add(false)
		}
		w.Reach = n.reach[from:len(n.reach):len(n.reach)]
		n.waiting = append(n.waiting, w)
	}
}
