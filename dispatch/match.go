package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

const (
	// shortlist is how many crews are timed by road for one request, at least.
	// When more requests wait it is as many as are planned together: then no
	// matching can need a crew that is further down anybody's list.
	shortlist = 16
	// roundLimit is how many requests are planned together; the rest, less
	// urgent, come in the next round.
	roundLimit = 64
	// settleLimit is how many requests one transaction settles, the most urgent
	// first. A long one would keep them all waiting for the last, and a replica
	// that dies in the middle would lose it whole.
	settleLimit = 16
	// lostPause is the wall time to look again after a crew was in use elsewhere.
	lostPause = 20 * time.Millisecond
	// waitingLimit bounds what one round reads.
	waitingLimit = 2000
)

var matcher = events.System("match")

// Match makes offers for what waits in an area: it plans over the crews that
// are free and fresh, wherever they stand, those that will be after the job
// they have, and, where a promise would be broken otherwise, those that may be
// turned round. Rounds of one area never overlap, in any number of replicas. A
// request that nobody able could take becomes stranded; one that waits for a
// crew, or for others' sake, keeps its state and says so in Held.
func (s *Service) Match(ctx context.Context, area geo.AreaID) (offers []Offer, err error) {
	defer fault.Wrap(&err, "match %s", area)
	s.askAhead(ctx, area)
	begun := time.Now()
	var b *board
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		b = nil
		if err := pg.LockTx(ctx, tx, "dispatch.match "+string(area)); err != nil {
			return err
		}
		waiting, err := listWaiting(ctx, tx, area, waitingLimit)
		if err != nil || len(waiting) == 0 {
			return err
		}
		if b, err = s.setUp(ctx, tx, waiting, area); err != nil {
			return err
		}
		if err := s.pair(ctx, tx, b); err != nil {
			return err
		}
		return s.settle(ctx, tx, b)
	})
	if err != nil || b == nil {
		return nil, err
	}
	s.told(ctx, area, b)
	s.meter.round(time.Since(begun))
	return b.offers, nil
}

// board is one round: who waits, who could go, and what came of it.
type board struct {
	m       moment
	since   time.Time       // older positions are stale
	roads   *geo.Routed     // travel times; what is learned meanwhile does not show in them
	model   geo.TravelModel // behind roads
	terms   Terms
	most    int // crews timed for one request
	asked   map[events.RequestID]map[events.CrewID]bool
	seats   []*seat // what waits, most urgent first; then jobs that may be swapped
	planned []int   // indices of seats that are planned for
	crews   []geo.Hit[events.CrewID]
	place   map[events.CrewID]int    // index into crews
	jobs    []underway               // in the area, with crews that may be asked
	around  []geo.Hit[events.CrewID] // free crews near the area, whether or not anybody may get them
	cut     bool                     // more could be planned than one round takes

	swaps []swap
	ttl   time.Duration // of an offer

	lost   map[events.CrewID]bool // gone when its row was to be locked
	offers []Offer
	firsts []time.Duration // wall time to each first offer
	again  bool            // another round may find more
	taken  []*Crew         // whose rows were changed
}

// seat is one request on the board.
type seat struct {
	r       *Request
	job     int          // index into board.jobs; -1 for one that waits
	free    []Reach      // crews that may go now, soonest first: index into board.crews
	source  []geo.Source // where the times of free come from
	soon    []Reach      // crews that may go after their job: index into board.jobs
	anybody bool         // somebody able is free or will be
	sent    *sending     // the plan
	held    *Held        // why it goes without, if it was planned and does
}

// sending is a crew that a plan sends to a request now.
type sending struct {
	crew   events.CrewID
	from   geo.Point
	travel time.Duration
	source geo.Source
	late   bool // the promise is broken already
}

// setUp finds, for each waiting request, the nearest crews that could be
// asked, and times them by road; and the crews that will be free.
func (s *Service) setUp(ctx context.Context, tx pgx.Tx, waiting []Request, area geo.AreaID) (*board, error) {
	b, err := s.seat(ctx, tx, waiting)
	if err != nil {
		return nil, err
	}
	if err := s.muster(ctx, tx, b, area); err != nil {
		return nil, err
	}
	if err := s.terms(ctx, tx, b, area); err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, lockedAsking)
	defer cancel()
	for _, i := range b.byTurn() {
		seat := b.seats[i]
		seat.soon = s.soon(b, seat.r)
		if len(b.planned) == roundLimit {
			b.cut = true
			// Whether anybody could go still has to be known: it may be stranded.
			seat.anybody = len(seat.soon) > 0 || len(s.near(b, seat.r, 1)) > 0
			continue
		}
		if err := s.timeNearest(ctx, asking, b, seat); err != nil {
			return nil, err
		}
		if seat.anybody = len(seat.free)+len(seat.soon) > 0; seat.anybody {
			b.planned = append(b.planned, i)
		}
	}
	return b, nil
}

// byTurn is the order in which waiting requests are planned when there are
// more than one round takes: higher classes, then who was put off long enough,
// then promises that can still be kept, the next due first.
func (b *board) byTurn() []int {
	order := make([]int, len(b.seats))
	for i := range order {
		order[i] = i
	}
	if len(order) <= roundLimit {
		return order
	}
	rank := func(r *Request) int {
		switch {
		case b.m.at.Sub(r.OpenedAt) > b.terms.Patience:
			return 0
		case b.m.at.Before(r.Promise.DueAt):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(order, func(i, j int) int {
		x, y := b.seats[i].r, b.seats[j].r
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), cmp.Compare(rank(x), rank(y)), x.Promise.DueAt.Compare(y.Promise.DueAt))
	})
	return order
}

// seat puts the waiting requests on a board, with the crews each was offered to.
func (s *Service) seat(ctx context.Context, tx pgx.Tx, waiting []Request) (*board, error) {
	now := s.now()
	b := &board{
		most: max(shortlist, min(len(waiting), roundLimit)),
		m:    moment{matcher, now}, since: now.Add(-s.cfg.FreshFor), ttl: s.cfg.OfferTTL, roads: s.roads(), model: s.learner.speeds(),
		asked: map[events.RequestID]map[events.CrewID]bool{}, place: map[events.CrewID]int{}, lost: map[events.CrewID]bool{},
	}
	for i := range waiting {
		b.seats = append(b.seats, &seat{r: &waiting[i], job: -1})
	}
	return b, s.learnAsked(ctx, tx, b, b.seats)
}

// learnAsked reads who has had an offer for the requests.
func (s *Service) learnAsked(ctx context.Context, tx pgx.Tx, b *board, seats []*seat) error {
	ids := make([]events.RequestID, len(seats))
	for i, seat := range seats {
		ids[i] = seat.r.ID
		b.asked[ids[i]] = map[events.CrewID]bool{}
	}
	had, err := listAsked(ctx, tx, ids)
	for _, a := range had {
		b.asked[a.request][a.crew] = true
	}
	return err
}

// near is the nearest crews that may be asked for a request.
func (s *Service) near(b *board, r *Request, most int) []geo.Hit[events.CrewID] {
	var hits []geo.Hit[events.CrewID]
	for hit := range s.cfg.Index.Near(r.Place.Point, r.Need) {
		if hit.Metres > s.maxMetres() || len(hits) == most {
			break
		}
		if !hit.Seen.Before(b.since) && !b.asked[r.ID][hit.Key] {
			hits = append(hits, hit)
		}
	}
	return hits
}

// timeNearest times the nearest crews of one request; asking bounds how long a
// routing engine may take.
func (s *Service) timeNearest(ctx, asking context.Context, b *board, seat *seat) error {
	hits := s.near(b, seat.r, b.most)
	if len(hits) == 0 {
		return nil
	}
	from := make([]geo.Point, len(hits))
	for k, hit := range hits {
		from[k] = hit.Point
	}
	legs, err := s.legs(ctx, asking, b.roads, from, seat.r, b.m.at)
	if err != nil {
		return fmt.Errorf("travel times: %w", err)
	}
	for _, leg := range legs {
		if leg.Time > s.cfg.MaxTravel {
			continue
		}
		hit := hits[leg.From]
		at, known := b.place[hit.Key]
		if !known {
			at = len(b.crews)
			b.place[hit.Key] = at
			b.crews = append(b.crews, hit)
		}
		seat.free = append(seat.free, Reach{Crew: at, Travel: leg.Time})
		seat.source = append(seat.source, leg.Source)
	}
	return nil
}

// told passes on what a committed round has changed.
func (s *Service) told(ctx context.Context, area geo.AreaID, b *board) {
	for _, c := range b.taken {
		s.fleet.learn(c)
		if c.State == CrewAvailable {
			s.queue.free(c.ID)
		}
	}
	s.meter.offered(b.firsts)
	s.cfg.Wake()
	if len(b.lost) > 0 {
		// The index was behind, or another area's round has these crews in hand.
		// Look again once that one is over.
		if err := s.relearn(ctx, sortedKeys(b.lost)); err != nil {
			s.log.Warn("the index stays behind until the next refresh", "err", err)
		}
		time.AfterFunc(lostPause, func() { s.queue.put(area) })
	} else if b.again {
		s.queue.put(area)
	}
}

// maxMetres is further than any crew drives within MaxTravel: 120 km/h.
func (s *Service) maxMetres() float64 { return s.cfg.MaxTravel.Hours() * 120_000 }
