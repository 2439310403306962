package dispatch

import (
	"time"
)

// Waiting is one request as Assign sees it.
type Waiting struct {
	Opened time.Time // when the owner called
	Due    time.Time // an arrival after it breaks the promise
	// Priority is the class, 0 for the ordinary one. A request counts four
	// times one of the class below.
	Priority int
	Reach    []Reach // the crews that may go, and how long each drives
}

// Reach is how far one crew is from one request.
type Reach struct {
	Crew   int           // index of the crew
	Travel time.Duration // driving time, turnout not counted
}

// Pairing sends a crew to a request.
type Pairing struct {
	Request int   // index into waiting
	To      Reach // one of its Reach
}

// What a pairing costs, in seconds of arrival for a request of the ordinary
// class. The figures only have to be far apart: a crew is never left idle to
// save driving, and driving is never saved by breaking a promise.
const (
	unservedCost = 1e7 // a request without a crew while one could go
	brokenCost   = 1e5 // a promise broken
	// overdueCost is what each second counts that an owner waits past his
	// promise. After 50 minutes he comes before one whose promise can still be
	// kept, so that nobody is put off for ever.
	overdueCost = brokenCost / 3000
)

// Assign decides who goes where, now, over all that wait and all free crews
// together (sparse shortest augmenting paths): as many requests are served as
// can be, higher classes first; of what remains as few promises are broken as
// can be; and the sum of the arrivals is the least. Where no two requests want
// the same crew, each gets the one that is there first.
//
// It is a pure function; crews is one more than the highest index in any Reach.
func Assign(waiting []Waiting, crews int, now time.Time, turnout time.Duration) []Pairing {
	rows, skip := make([][]edge, len(waiting)), make([]float64, len(waiting))
	for i, w := range waiting {
		weight := classWeight(w.Priority)
		for _, to := range w.Reach {
			arrival := turnout + to.Travel
			cost := arrival.Seconds()
			if now.Add(arrival).After(w.Due) {
				cost += brokenCost
			}
			rows[i] = append(rows[i], edge{to.Crew, weight * cost})
		}
		waited := now.Sub(w.Opened).Seconds() + overdueCost*max(0, now.Sub(w.Due).Seconds())
		skip[i] = weight * (unservedCost + brokenCost + waited)
	}
	chosen, _ := matching(rows, crews, skip)
	var out []Pairing
	for i, crew := range chosen {
		for _, to := range waiting[i].Reach {
			if to.Crew == crew {
				out = append(out, Pairing{i, to})
				break
			}
		}
	}
	return out
}

func classWeight(priority int) float64 {
	weight := 1.0
	for range priority {
		weight *= 4
	}
	return weight
}
