package dispatch

import (
	"context"
	"maps"
	"time"

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
	all := maps.Clone(turned)
	for range swapTries {
		next := s.ask(b, b.withJobs(turned), maps.Clone(turned))
		refused, found, err := s.tryAnswer(ctx, tx, b, next, b.assign(next), q, base)
		if err != nil || found {
			return found, err
		}
		if len(refused) == 0 {
			break
		}
		for _, j := range refused {
			delete(turned, j)
		}
	}
	next := s.ask(b, b.withJobs(all), all)
	_, found, err := s.tryAnswer(ctx, tx, b, next, b.relay(next, q, base), q, base)
	return found, err
}

// tryAnswer takes an answer if all its swaps hold; else it says which jobs are
// not to be swapped.
func (s *Service) tryAnswer(ctx context.Context, tx pgx.Tx, b *board, q *question, a *answer, was *question, base *answer) ([]int, bool, error) {
	if err := s.retime(ctx, b, q, a); err != nil {
		return nil, false, err
	}
	swaps, refused, err := s.judgeSwaps(ctx, tx, b, q, a, was, base)
	if err != nil || len(refused) > 0 || len(swaps) == 0 {
		return refused, false, err
	}
	b.swaps = swaps
	b.take(q, a)
	return nil, true, nil
}

// withJobs is what is planned for, with the jobs that may be swapped.
func (b *board) withJobs(turned map[int]bool) []int {
	rows := append([]int(nil), b.planned...)
	for i := range b.seats {
		if j := b.seats[i].job; j >= 0 && turned[j] {
			rows = append(rows, i)
		}
	}
	return rows
}

// relay is base with the simplest of swaps: a crew leaves its request for one
// that would be late otherwise, and one that base leaves free takes that over.
// It finds what a search that improves a plan step by step passes by, since
// either step alone makes the plan worse. Of several it takes the least driving.
func (b *board) relay(q, was *question, base *answer) *answer {
	a := &answer{pairings: append([]Pairing(nil), base.pairings...), of: make([]int, len(q.rows)), plan: make([]forecast, len(q.rows))}
	used := map[int]bool{}
	for _, p := range a.pairings {
		used[p.To.Crew] = true
	}
	driver := map[int]int{} // row of the request a crew drives to, by crew
	for k := range q.rows {
		a.of[k], a.plan[k].crew = -1, -1
		if k < len(base.of) {
			a.of[k] = base.of[k]
		}
		if k < len(base.plan) {
			a.plan[k] = base.plan[k]
			if a.plan[k].crew >= was.free { // more free crews stand before it now
				a.plan[k].crew += q.free - was.free
			}
		}
		if j := b.seats[q.rows[k]].job; j >= 0 {
			driver[q.free+j] = k
		}
	}
	inTime := func(k int, to Reach) bool {
		return !b.m.at.Add(b.terms.Turnout + to.Travel + b.ttl).After(q.waiting[k].Due)
	}
	for k := range base.of {
		if b.keeps(q, a, k) || !q.waiting[k].Due.After(b.m.at) {
			continue
		}
		late := a.of[k]
		if late >= 0 {
			used[a.pairings[late].To.Crew] = false
		}
		var turn, take Reach
		var from int
		least := time.Duration(-1)
		for _, c := range q.waiting[k].Reach {
			x, drives := driver[c.Crew]
			if !drives || used[c.Crew] || q.waiting[x].Priority > q.waiting[k].Priority || !inTime(k, c) {
				continue
			}
			for _, d := range q.waiting[x].Reach {
				if d.Crew >= q.free || used[d.Crew] || !inTime(x, d) {
					continue
				}
				if way := c.Travel + d.Travel; least < 0 || way < least {
					least, turn, take, from = way, c, d, x
				}
			}
		}
		if least < 0 {
			if late >= 0 {
				used[a.pairings[late].To.Crew] = true
			}
			continue
		}
		used[turn.Crew], used[take.Crew] = true, true
		if late >= 0 {
			a.pairings[late] = Pairing{Request: k, To: turn}
		} else {
			a.of[k] = len(a.pairings)
			a.pairings = append(a.pairings, Pairing{Request: k, To: turn})
		}
		a.of[from] = len(a.pairings)
		a.pairings = append(a.pairings, Pairing{Request: from, To: take})
	}
	return a
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
		_, job := b.crewOf(q, p.To.Crew)
		if job == nil {
			continue
		}
		legs, err := s.legs(ctx, asking, b.roads, []geo.Point{job.place}, b.seats[q.rows[p.Request]].r, b.m.at)
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
// before, and is of no lower class than those that lose. An answer that breaks a promise elsewhere is refused whole.
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
		crew, _ := b.crewOf(q, p.To.Crew)
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
	top := map[int]int{} // the highest class that loses its crew: only its like may gain
	for k := range loses {
		g := root(k)
		inSwap[g], holds[g] = true, true
		top[g] = max(top[g], q.waiting[k].Priority)
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
		} else if !kept(k) && q.waiting[k].Priority >= top[g] {
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
	if crew, _ := b.crewOf(q, p.To.Crew); !answersItself[crew] {
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
	err := s.release(ctx, tx, m, &j, CauseChoice, ReasonSwapped)
	*r = j.Request
	return err
}

// ReasonSwapped is the reason of a withdrawal or a release that sends the crew
// to another request, to keep a promise.
const ReasonSwapped = "swapped"
