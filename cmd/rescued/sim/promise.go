package sim

import (
	"rescued/dispatch"
)

// shortlist is how many crews the service weighs for a request.
const shortlist = 8

// promise asks dispatch.Assign over the waiting requests and idle crews.
type promise struct {
	waiting []dispatch.Waiting
}

// Decide implements Policy.
func (p *promise) Decide(v *View, out *Orders) {
	if len(v.NewWaiting)+len(v.NewIdle) == 0 {
		return
	}
	p.waiting = p.waiting[:0]
	for _, i := range v.Waiting {
		r := &v.Requests[i]
		w := dispatch.Waiting{Opened: r.CalledAt, Due: r.Due, Priority: r.Priority}
		for c, travel := range v.IdleNear(r.At, r.Need) {
			w.Reach = append(w.Reach, dispatch.Reach{Crew: c, Travel: travel})
			if len(w.Reach) == shortlist {
				break
			}
		}
		p.waiting = append(p.waiting, w)
	}
	for _, pair := range dispatch.Assign(p.waiting, len(v.Crews), v.Now, v.Turnout) {
		out.Commit(pair.To.Crew, v.Waiting[pair.Request])
	}
}
