package dispatch

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
)

// question is what Assign is asked: rows of the board, and its crews, free ones
// first, then those of board.jobs, then those around that nobody reaches.
type question struct {
	rows    []int // indices of board.seats, in the order of waiting
	turned  map[int]bool
	free    int // crews that are free; the board may come to know more
	waiting []Waiting
	crews   []Candidate
}

// answer is what Assign says, and, where it leaves somebody without a crew,
// what it has in mind for him.
type answer struct {
	pairings []Pairing
	of       []int      // by row: index into pairings, -1 for none
	plan     []forecast // by row; nil when nobody is left without
	// sources says, by row, where the times of turned crews come from when it is
	// not the straight-line model.
	sources map[int]geo.Source
}

// pair lets Assign choose among what is on the board, if there is anything to
// choose. Only when a promise
// would be broken is it asked again with crews that may be turned round.
func (s *Service) pair(ctx context.Context, tx pgx.Tx, b *board) error {
	if len(b.planned) == 0 {
		return nil
	}
	q := s.ask(b, b.planned, nil)
	a := b.assign(q)
	if s.cfg.Swaps && b.breaks(q, a) {
		found, err := s.swap(ctx, tx, b, q, a)
		if err != nil || found {
			return err
		}
	}
	b.take(q, a)
	return nil
}

// ask puts the question for some seats. The crews of the jobs in turned may be
// turned round; those of all others will be free when their job is over.
func (s *Service) ask(b *board, rows []int, turned map[int]bool) *question {
	q := &question{rows: rows, turned: turned, free: len(b.crews)}
	for _, hit := range b.crews {
		q.crews = append(q.crews, Candidate{At: hit.Point, FreeAt: b.m.at})
	}
	for j := range b.jobs {
		q.crews = append(q.crews, Candidate{At: b.jobs[j].Place.Point, FreeAt: b.jobs[j].freeAt})
	}
	for _, hit := range b.around {
		if _, asked := b.place[hit.Key]; !asked {
			q.crews = append(q.crews, Candidate{At: hit.Point, FreeAt: b.m.at})
		}
	}
	for k, i := range rows {
		seat := b.seats[i]
		r := seat.r
		w := Waiting{At: r.Place.Point, Opened: r.OpenedAt, Due: r.Promise.DueAt, Priority: int(PriorityNormal - r.Priority)}
		w.Reach = append(w.Reach, seat.free...)
		for _, to := range seat.soon {
			if !turned[to.Crew] {
				w.Reach = append(w.Reach, Reach{Crew: q.free + to.Crew, Travel: to.Travel})
			}
		}
		if len(turned) > 0 {
			for _, to := range s.turnable(b, r, turned) {
				w.Reach = append(w.Reach, Reach{Crew: q.free + to.Crew, Travel: to.Travel})
			}
		}
		if seat.job >= 0 {
			c := &q.crews[q.free+seat.job]
			c.At, c.FreeAt, c.Doing = b.jobs[seat.job].place, b.m.at, &Drive{Request: k, Arrives: b.jobs[seat.job].arrives}
		}
		q.waiting = append(q.waiting, w)
	}
	return q
}

// crewOf is a candidate of a question: a free crew, or one with its job.
func (b *board) crewOf(q *question, c int) (events.CrewID, *underway) {
	if c < q.free {
		return b.crews[c].Key, nil
	}
	job := &b.jobs[c-q.free]
	return job.crew, job
}

func (b *board) assign(q *question) *answer {
	var pairings []Pairing
	calm := false
	if len(q.turned) == 0 {
		pairings, calm = Uncontended(q.waiting, q.crews, b.m.at, b.terms)
	}
	if !calm {
		pairings = Assign(q.waiting, q.crews, b.m.at, b.terms)
	}
	a := &answer{pairings: pairings, of: make([]int, len(q.rows))}
	for k := range a.of {
		a.of[k] = slices.IndexFunc(a.pairings, func(p Pairing) bool { return p.Request == k })
	}
	if slices.Contains(a.of, -1) {
		a.plan = foresee(q.waiting, q.crews, b.m.at, b.terms)
	}
	return a
}

// arrival is when somebody is expected at a row; false when nobody is.
func (b *board) arrival(a *answer, k int) (time.Time, bool) {
	if p := a.of[k]; p >= 0 {
		return b.m.at.Add(b.terms.Turnout + a.pairings[p].To.Travel), true
	}
	if f := a.plan[k]; f.crew >= 0 {
		return f.arrives, true
	}
	return time.Time{}, false
}

// keeps reports whether a row's promise is kept.
func (b *board) keeps(q *question, a *answer, k int) bool {
	at, somebody := b.arrival(a, k)
	return somebody && !at.After(q.waiting[k].Due)
}

// breaks reports whether a promise is broken that is not yet past due.
func (b *board) breaks(q *question, a *answer) bool {
	for k := range q.rows {
		if q.waiting[k].Due.After(b.m.at) && !b.keeps(q, a, k) {
			return true
		}
	}
	return false
}

// take puts an answer on the board.
func (b *board) take(q *question, a *answer) {
	for k, i := range q.rows {
		seat := b.seats[i]
		if p := a.of[k]; p >= 0 {
			seat.sent = b.sending(q, seat, a.pairings[p])
			if source, ok := a.sources[k]; ok {
				seat.sent.source = source
			}
		} else if seat.job < 0 {
			held := b.whyHeld(q, seat, a.plan[k])
			seat.held = &held
		}
	}
}

// sending is a pairing with where its time comes from.
func (b *board) sending(q *question, seat *seat, p Pairing) *sending {
	crew, job := b.crewOf(q, p.To.Crew)
	out := &sending{crew: crew, travel: p.To.Travel, late: p.Late}
	if job != nil {
		out.from, out.source = job.place, geo.Source{By: b.model.Name()}
		return out
	}
	out.from = b.crews[p.To.Crew].Point
	if k := slices.IndexFunc(seat.free, func(r Reach) bool { return r.Crew == p.To.Crew }); k >= 0 {
		out.source = seat.source[k]
	}
	return out
}
