package dispatch

import "time"

// Uncontended sends each request the free crew that is there soonest, if no two
// want the same one and every promise is kept that way. It is false when they
// compete: then Assign has to plan. Like Assign it is a pure function.
func Uncontended(waiting []Waiting, crews []Candidate, now time.Time, t Terms) ([]Pairing, bool) {
	out := make([]Pairing, 0, len(waiting))
	taken := make(map[int]bool, len(waiting))
	for i, w := range waiting {
		best := -1
		for k, to := range w.Reach {
			c := crews[to.Crew]
			if c.FreeAt.After(now) || c.Doing != nil || !c.Until.IsZero() && c.Until.Before(now) {
				continue
			}
			if best < 0 || to.Travel < w.Reach[best].Travel {
				best = k
			}
		}
		if best < 0 || taken[w.Reach[best].Crew] || now.Add(t.Turnout+w.Reach[best].Travel).After(w.Due) {
			return nil, false
		}
		taken[w.Reach[best].Crew] = true
		out = append(out, Pairing{Request: i, To: w.Reach[best]})
	}
	return out, true
}
