package dispatch

import (
	"time"

	"rescued/geo"
)

// plainQueue is what would have become of the calls so far if each, in turn,
// had been given the nearest of the crews that are free. It is the measure of
// how long an owner may be made to wait for the sake of others. Since nobody
// overtakes in it, what it makes of a call is known as soon as the call is made.
type plainQueue struct {
	crews   []plainCrew
	longest time.Duration // from call to arrival, of late
	seen    time.Time     // when longest was called
}

// plainCrew is a crew of the plain queue.
type plainCrew struct {
	free time.Time
	at   geo.Vector
	been bool // it has had a job, which says where it stands
}

const (
	// plainMemory is how long the longest wait of the plain queue counts.
	plainMemory = 12 * time.Hour
	// plainDrive is how long a crew drives of which nobody knows where it stands.
	plainDrive = 15 * time.Minute
)

func (q *plainQueue) hear(at time.Time, where geo.Vector, crews int, t Terms) {
	for len(q.crews) < crews {
		q.crews = append(q.crews, plainCrew{})
	}
	q.crews = q.crews[:crews]
	if crews == 0 {
		return
	}
	start := q.crews[0].free
	for _, c := range q.crews {
		if c.free.Before(start) {
			start = c.free
		}
	}
	if start.Before(at) {
		start = at
	}
	var nearest *plainCrew
	var least time.Duration
	for i := range q.crews {
		c := &q.crews[i]
		if c.free.After(start) {
			continue
		}
		drive := plainDrive
		if c.been {
			drive = time.Duration(c.at.Distance(where) / t.Pace * float64(time.Second))
		}
		if nearest == nil || drive < least {
			nearest, least = c, drive
		}
	}
	arrives := start.Add(t.Turnout + least)
	*nearest = plainCrew{arrives.Add(t.Service), where, true}
	if waited := arrives.Sub(at); waited >= q.longest || at.Sub(q.seen) > plainMemory {
		q.longest, q.seen = waited, at
	}
}
