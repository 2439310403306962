package dispatch

import (
	"context"
	"maps"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
)

// swapTries is how often a round asks for other swaps after some were refused.
const swapTries = 3

// swap is one exchange of crews, done as a whole or not at all: every request
// that loses its crew gets another one, and every request in it is on time.
type swap struct {
	seats []int // indices of board.seats; all of them are sent a crew
	from  map[events.RequestID]events.CrewID
}

// swap asks again with the crews that may be turned round, and takes the
// answer if it holds: base is the one without. It is false when nothing is
// gained, and base stands.
func (s *Service) swap(ctx context.Context, tx pgx.Tx, b *board, q *question, base *answer) (bool, error) {
	turned := map[int]bool{}
	for j := range b.jobs {
		if b.jobs[j].turn {
			turned[j] = true
		}
	}
	if len(turned) == 0 {
		return false, nil
	}
	if err := s.seatJobs(ctx, tx, b, turned); err != nil {
		return false, err
	}
	for range swapTries {
		rows := append([]int(nil), b.planned...)
		for i := len(b.planned); i < len(b.seats); i++ {
			if j := b.seats[i].job; j >= 0 && turned[j] {
				rows = append(rows, i)
			}
		}
		next := s.ask(b, rows, maps.Clone(turned))
		a := b.assign(next)
		if err := s.retime(ctx, b, next, a); err != nil {
			return false, err
		}
		swaps, refused, err := s.judgeSwaps(ctx, tx, b, next, a, q, base)
		if err != nil || len(swaps) == 0 && len(refused) == 0 {
			return false, err
		}
		if len(refused) == 0 {
			b.swaps = swaps
			b.take(next, a)
			return true, nil
		}
		for _, j := range refused {
			delete(turned, j)
		}
	}
	return false, nil
}

// seatJobs seats the jobs that may be swapped beside what waits.
func (s *Service) seatJobs(ctx context.Context, tx pgx.Tx, b *board, turned map[int]bool) error {
	var seats []*seat
	for j := range b.jobs {
		if turned[j] {
			seats = append(seats, &seat{r: &b.jobs[j].Request, job: j})
		}
	}
	if err := s.learnAsked(ctx, tx, b, seats); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, lockedAsking)
	defer cancel()
	for _, seat := range seats {
		if err := s.timeNearest(ctx, asking, b, seat); err != nil {
			return err
		}
		seat.soon = s.soon(b, seat.r)
	}
	b.seats = append(b.seats, seats...)
	return nil
}

// retime asks the routing engine, if there is one, how long the turned crews
// really drive: few are left by now, and it is their promises that must hold.
func (s *Service) retime(ctx context.Context, b *board, q *question, a *answer) error {
	if s.cfg.Travel.Engine() == "" {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, lockedAsking)
	defer cancel()
	a.sources = map[int]geo.Source{}
	for n := range a.pairings {
		p := &a.pairings[n]
		_, job := b.crewOf(p.To.Crew)
		if job == nil {
			continue
		}
		legs, err := s.legs(ctx, asking, []geo.Point{job.place}, b.seats[q.rows[p.Request]].r, b.m.at)
		if err != nil {
			return err
		}
		p.To.Travel, a.sources[p.Request] = legs[0].Time, legs[0].Source
	}
	return nil
}

// judgeSwaps finds the exchanges in an answer. It returns the jobs of those
// that do not hold: a request that loses its crew must get another one in the
// same answer, all requests of an exchange must be on time even if their crews
// take all the time they have to accept, and one of them must not have been
// before. An answer that breaks a promise elsewhere is refused whole.
func (s *Service) judgeSwaps(ctx context.Context, tx pgx.Tx, b *board, q *question, a *answer, was *question, base *answer) ([]swap, []int, error) {
	group := make([]int, len(q.rows)) // union of rows that hang together
	for k := range group {
		group[k] = k
	}
	var root func(int) int
	root = func(k int) int {
		if group[k] != k {
			group[k] = root(group[k])
		}
		return group[k]
	}
	loses := map[int]bool{} // rows whose crew goes elsewhere or is relieved
	var crews []events.CrewID
	for _, p := range a.pairings {
		crew, _ := b.crewOf(p.To.Crew)
		crews = append(crews, crew)
		if doing := q.crews[p.To.Crew].Doing; doing != nil {
			loses[doing.Request] = true
			group[root(p.Request)] = root(doing.Request)
		}
		if b.seats[q.rows[p.Request]].job >= 0 {
			loses[p.Request] = true
		}
	}
	if len(loses) == 0 {
		return nil, nil, nil
	}
	known, err := listCrewsByID(ctx, tx, crews)
	if err != nil {
		return nil, nil, err
	}
	answersItself := map[events.CrewID]bool{}
	for _, c := range known {
		answersItself[c.ID] = c.AutoAccept
	}
	kept := func(k int) bool { // before
		if seat := b.seats[q.rows[k]]; seat.job >= 0 {
			return !b.jobs[seat.job].arrives.After(q.waiting[k].Due)
		}
		return b.keeps(was, base, k)
	}
	inSwap, holds, saves := map[int]bool{}, map[int]bool{}, map[int]bool{}
	for k := range loses {
		inSwap[root(k)], holds[root(k)] = true, true
	}
	harm := false
	for k := range q.rows {
		g := root(k)
		if !inSwap[g] {
			if job := b.seats[q.rows[k]].job; job < 0 && kept(k) && !b.keeps(q, a, k) {
				harm = true
			}
			continue
		}
		if !b.strict(q, a, k, answersItself) {
			holds[g] = false
		} else if !kept(k) {
			saves[g] = true
		}
	}
	swaps := map[int]*swap{}
	var refused []int
	for k := range q.rows {
		seat, g := b.seats[q.rows[k]], root(k)
		switch {
		case !inSwap[g]:
		case harm || !holds[g] || !saves[g]:
			if seat.job >= 0 {
				refused = append(refused, seat.job)
			}
		default:
			if swaps[g] == nil {
				swaps[g] = &swap{from: map[events.RequestID]events.CrewID{}}
			}
			swaps[g].seats = append(swaps[g].seats, q.rows[k])
			if seat.job >= 0 {
				swaps[g].from[seat.r.ID] = b.jobs[seat.job].crew
			}
		}
	}
	out := make([]swap, 0, len(swaps))
	for k := range q.rows { // in a fixed order
		if sw := swaps[k]; sw != nil {
			out = append(out, *sw)
		}
	}
	return out, refused, nil
}

// strict reports whether a row is on time by a crew that is sent to it now,
// however long that takes to accept.
func (b *board) strict(q *question, a *answer, k int, answersItself map[events.CrewID]bool) bool {
	if a.of[k] < 0 {
		return false
	}
	p := a.pairings[a.of[k]]
	at := b.m.at.Add(b.terms.Turnout + p.To.Travel)
	if crew, _ := b.crewOf(p.To.Crew); !answersItself[crew] {
		at = at.Add(b.ttl)
	}
	return !at.After(q.waiting[k].Due)
}

// swapFor is the exchange a seat is part of.
func (b *board) swapFor(i int) *swap {
	for n := range b.swaps {
		for _, k := range b.swaps[n].seats {
			if k == i {
				return &b.swaps[n]
			}
		}
	}
	return nil
}

// unhand takes the crew off a locked request that is part of an exchange: it
// withdraws the offer that is out, or releases the job.
func (s *Service) unhand(ctx context.Context, tx pgx.Tx, m moment, r *Request, c *Crew, pending *Offer) error {
	r.Swaps++
	if pending != nil {
		return s.lapse(ctx, tx, m, r, c, pending, OfferWithdraw, ReasonSwapped)
	}
	j := job{Request: *r, crew: c}
	err := s.release(ctx, tx, m, &j, ReasonSwapped)
	*r = j.Request
	return err
}

// ReasonSwapped is the reason of a withdrawal or a release that sends the crew
// to another request, to keep a promise.
const ReasonSwapped = "swapped"
