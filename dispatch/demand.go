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

	busy    []time.Time // of the plain queue: when each of its crews is free again
	longest time.Duration
	seen    time.Time // when longest was
}

const (
	demandMemory = time.Hour // how fast the rate of calls forgets
	demandPoints = 300       // how many calls show where the next may be
	// plainCycle is how long a job takes a crew of a plain queue: it gives each
	// call, in turn, the nearest of the few crews that are free.
	plainCycle = 50 * time.Minute
	// plainMemory is how long the longest wait of the plain queue counts.
	plainMemory = 12 * time.Hour
)

// Hear takes a call. crews is how many are on shift.
func (d *Demand) Hear(at time.Time, where geo.Point, crews int) {
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
	d.queue(at, crews)
}

// queue lets the call wait for its turn in the plain queue.
func (d *Demand) queue(at time.Time, crews int) {
	for len(d.busy) < crews {
		d.busy = append(d.busy, time.Time{})
	}
	d.busy = d.busy[:crews]
	if crews == 0 {
		return
	}
	first := 0
	for i, free := range d.busy {
		if free.Before(d.busy[first]) {
			first = i
		}
	}
	start := at
	if d.busy[first].After(at) {
		start = d.busy[first]
	}
	d.busy[first] = start.Add(plainCycle)
	if waited := start.Sub(at); waited >= d.longest || at.Sub(d.seen) > plainMemory {
		d.longest, d.seen = waited, at
	}
}

// Rate is how many calls an hour are to be expected at a moment.
func (d *Demand) Rate(now time.Time) float64 {
	if d.last.IsZero() {
		return 0
	}
	return 3600 * d.rate * math.Exp(-now.Sub(d.last).Seconds()/demandMemory.Seconds())
}

// Patience is how long a request whose promise is broken may be put off, counted
// from its call. It follows the longest wait of late in the plain queue, whose
// drives are long: nobody is to wait longer than he would have there, nor, when
// all is lost, longer than if each crew took the closest car.
func (d *Demand) Patience() time.Duration {
	return min(66*time.Minute+d.longest*21/10, 150*time.Minute+d.longest*83/100)
}

// coverBusy is how likely it is that a crew which could be in time for a call
// is needed elsewhere by then.
const coverBusy = 0.4

// Cover sets each free crew's Cover: how likely it is that, within a job's
// time, a promise is broken because this crew was not there. A place is
// covered by the crews that would be there in time for a call made there now.
// promise is the time promised.
//
// The figure follows the maximal expected covering location model with a busy
// probability (Daskin, Transportation Science 17, 1983), asked at the margin:
// what the next call loses if this crew is gone.
func (d *Demand) Cover(crews []Candidate, now time.Time, promise time.Duration, t Terms) {
	if len(d.recent) == 0 {
		return
	}
	loss := make([]float64, len(crews))
	at, reach := make([]geo.Vector, len(crews)), make([]float64, len(crews))
	for c := range crews {
		k := &crews[c]
		reach[c] = -1
		if left := promise - t.Turnout - max(0, k.FreeAt.Sub(now)); k.Doing == nil && left > 0 {
			at[c], reach[c] = geo.VectorOf(k.At), geo.Chord(left.Seconds()*t.Pace)
		}
	}
	covers := make([]int, 0, len(crews))
	for _, p := range d.recent {
		covers = covers[:0]
		for c := range crews {
			if reach[c] >= 0 && at[c].Within(p, reach[c]) {
				covers = append(covers, c)
			}
		}
		without := math.Pow(coverBusy, float64(len(covers)-1))
		for _, c := range covers {
			loss[c] += without * (1 - coverBusy)
		}
	}
	calls := d.Rate(now) * coverFor.Hours() / float64(len(d.recent))
	for c := range crews {
		crews[c].Cover = 0
		if k := &crews[c]; k.Doing == nil && !k.FreeAt.After(now) {
			k.Cover = 0.9 * (1 - math.Exp(-loss[c]*calls))
		}
	}
}

// coverFor is how long a crew is away on a job.
const coverFor = 35 * time.Minute
