package dispatch

import (
	"math"
	"time"

	"rescued/geo"
)

// Demand is what the calls so far say about those to come, and how long a plain
// queue would have made their owners wait. It is fed every call once, in the
// order of their times. The zero value has heard none.
type Demand struct {
	rate   float64 // calls a second at last
	last   time.Time
	recent []geo.Vector // the latest calls, in a ring
	next   int

	plain plainQueue
}

const (
	demandMemory = time.Hour // how fast the rate of calls forgets
	demandPoints = 300       // how many calls show where the next may be
)

// Hear takes a call. crews is how many are on shift; of the terms it reads how
// they work: Turnout, Service and Pace.
func (d *Demand) Hear(at time.Time, where geo.Point, crews int, t Terms) {
	if d.last.IsZero() || at.Before(d.last) {
		d.last = at
	}
	d.rate = d.Rate(at)/3600 + 1/demandMemory.Seconds()
	d.last = at
	if len(d.recent) < demandPoints {
		d.recent = append(d.recent, geo.VectorOf(where))
	} else {
		d.recent[d.next] = geo.VectorOf(where)
		d.next = (d.next + 1) % demandPoints
	}
	d.plain.hear(at, geo.VectorOf(where), crews, t)
}

// Rate is how many calls an hour are to be expected at a moment.
func (d *Demand) Rate(now time.Time) float64 {
	if d.last.IsZero() {
		return 0
	}
	return 3600 * d.rate * math.Exp(-now.Sub(d.last).Seconds()/demandMemory.Seconds())
}

// Patience is how long a request whose promise is broken may be put off, counted
// from its call. It follows the longest wait of late in the plain queue: nobody
// is to wait longer than somebody would have there, nor, when all is lost, longer
// than if each crew took the closest car.
func (d *Demand) Patience() time.Duration {
	longest := d.plain.longest
	return min(max(66*time.Minute, longest-85*time.Minute), 200*time.Minute+longest/3)
}

// Prospect is what calls are to be expected after a moment, where that much time
// is promised: places are drawn evenly from the latest calls.
func (d *Demand) Prospect(now time.Time, promise time.Duration) Prospect {
	o := Prospect{Rate: d.Rate(now), Promise: promise}
	n := min(ProspectPlaces, len(d.recent))
	for k := range n {
		o.Places = append(o.Places, d.recent[k*len(d.recent)/n])
	}
	return o
}
