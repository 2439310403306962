package dispatch

import (
	"time"

	"rescued/events"
)

// Why a request waits although somebody able is free or soon will be.
const (
	// HeldPlanned: it is the next job of a crew that is not free yet.
	HeldPlanned = "planned"
	// HeldForPromises: the crews that could go keep promises that would be
	// broken otherwise; it is put off for them, no longer than Terms.Patience.
	HeldForPromises = "held_for_promises"
	// HeldUntilFree: no crew that is able to go is free, and none is planned.
	HeldUntilFree = "awaits_crew"
)

// Held is why a request waits although it is not stranded. The request keeps
// its state and is tried again whenever a crew comes free, and by the sweep.
type Held struct {
	Why string `json:"why" enum:"planned,held_for_promises,awaits_crew"`
	// Crew is whose next job it is, or who is free first; nil when put off.
	Crew       *events.CrewID `json:"crew_id,omitempty"`
	FreeAt     *time.Time     `json:"free_at,omitempty" doc:"When that crew is expected to be free."`
	ExpectedAt *time.Time     `json:"expected_at,omitempty" doc:"When that crew would arrive."`
	Since      time.Time      `json:"since" doc:"When this was found."`
}

// heldSteady is how long the crew a request is planned for is shown before
// another takes its place: plans change from round to round, and each change
// that is told is a row and an event.
const heldSteady = time.Minute

// differs reports whether what was found now is worth telling after h.
func (h *Held) differs(now Held) bool {
	if h == nil || h.Why != now.Why {
		return true
	}
	if now.Crew == nil || h.Crew == nil || *h.Crew == *now.Crew {
		return false
	}
	return now.Since.Sub(h.Since) >= heldSteady
}

// forecast is what a plan has for one request.
type forecast struct {
	crew    int // index into the candidates, -1 for none
	arrives time.Time
}

// foresee reads the whole plan behind Assign's pairings: also the jobs of crews
// that are not free yet. It makes the plan again, so it is only asked where a
// request is left without a crew.
func foresee(waiting []Waiting, crews []Candidate, now time.Time, t Terms) []forecast {
	p := newPlan(waiting, crews, now, t)
	p.make()
	out := make([]forecast, len(waiting))
	for i := range out {
		out[i].crew = -1
	}
	for c, route := range p.routes {
		at, last := p.units[c].free, -1
		for _, i := range route {
			if last < 0 {
				at += p.start(c, i)
			} else {
				at += p.leg(last, i)
			}
			out[i] = forecast{c, now.Add(time.Duration(at * float64(time.Second))).Truncate(time.Microsecond)}
			at += p.service
			last = i
		}
	}
	return out
}

// whyHeld says why a planned request gets no crew in this round.
func (b *board) whyHeld(q *question, seat *seat, f forecast) Held {
	h := Held{Why: HeldForPromises, Since: b.m.at}
	tell := func(why string, crew events.CrewID, free, arrives time.Time) {
		h.Why, h.Crew, h.ExpectedAt = why, &crew, &arrives
		if free.After(b.m.at) {
			h.FreeAt = &free
		}
	}
	switch {
	case f.crew >= 0:
		crew, job := b.crewOf(q, f.crew)
		free := time.Time{}
		if job != nil {
			free = job.freeAt
		}
		tell(HeldPlanned, crew, free, f.arrives)
	case len(seat.free) == 0 && len(seat.soon) > 0:
		to := seat.soon[0]
		job := &b.jobs[to.Crew]
		tell(HeldUntilFree, job.crew, job.freeAt, job.freeAt.Add(b.terms.Turnout+to.Travel))
	}
	return h
}
