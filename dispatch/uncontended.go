package dispatch

import "time"

// calmAhead is how far ahead the calls to be expected compete with those that
// wait: about as long as a crew that is sent works at the car.
const calmAhead = 30 * time.Minute

// Uncontended sends each request the crew that is there soonest, if nobody
// competes: no two want the same one, each of them is free, every promise is
// kept that way, and the free crews are no fewer than those who wait and who are
// to be expected meanwhile. It is false when they compete, or a crew that is not
// free yet would be sooner: then Assign has to plan. Like Assign it is a pure
// function.
func Uncontended(waiting []Waiting, crews []Candidate, now time.Time, t Terms) ([]Pairing, bool) {
	out := make([]Pairing, 0, len(waiting))
	taken := make(map[int]bool, len(waiting))
	for i, w := range waiting {
		best, soonest := -1, time.Duration(0)
		for k, to := range w.Reach {
			c := &crews[to.Crew]
			free := max(0, c.FreeAt.Sub(now))
			if !c.Until.IsZero() && c.Until.Before(now.Add(free)) {
				continue
			}
			if lead := free + to.Travel; best < 0 || lead < soonest {
				best, soonest = k, lead
			}
		}
		if best < 0 {
			return nil, false
		}
		to := w.Reach[best]
		if c := &crews[to.Crew]; taken[to.Crew] || c.Doing != nil || c.FreeAt.After(now) || now.Add(t.Turnout+to.Travel).After(w.Due) {
			return nil, false
		}
		taken[to.Crew] = true
		out = append(out, Pairing{Request: i, To: to})
	}
	free := 0
	for _, k := range crews {
		if k.Doing == nil && !k.FreeAt.After(now) && (k.Until.IsZero() || !k.Until.Before(now)) {
			free++
		}
	}
	if float64(free) < float64(len(waiting))+t.Prospect.Rate*calmAhead.Hours() {
		return nil, false
	}
	return out, true
}
