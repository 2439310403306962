package dispatch

import (
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
	// optimal plan can need a crew that is further down anybody's list.
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

// Match makes offers for what waits in an area: to the soonest free, capable,
// fresh crews, wherever they stand. Rounds of one area never overlap, in any
// number of replicas. A request nobody can take becomes stranded.
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
		if b, err = s.setUp(ctx, tx, waiting); err != nil {
			return err
		}
		b.pair(s)
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
	since   time.Time   // older positions are stale
	roads   *geo.Routed // travel times; what is learned meanwhile does not show in them
	waiting []Request
	most    int // crews timed for one request
	asked   map[events.RequestID]map[events.CrewID]bool
	planned []int // indices of waiting that have anybody to weigh
	crews   []geo.Hit[events.CrewID]
	place   map[events.CrewID]int // index into crews
	reach   map[int][]Reach       // by index of waiting, soonest first
	source  map[int][]geo.Source  // where the times of reach come from
	cut     bool                  // more could be planned than one round takes
	sent    map[int]Reach         // the plan: by index of waiting

	lost   map[events.CrewID]bool // gone when its row was to be locked
	offers []Offer
	firsts []time.Duration // wall time to each first offer
	again  bool            // another round may find more
	taken  []*Crew
}

// setUp finds, for each waiting request, the nearest crews that could be
// asked, and times them by road.
func (s *Service) setUp(ctx context.Context, tx pgx.Tx, waiting []Request) (*board, error) {
	b, err := s.seat(ctx, tx, waiting)
	if err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, lockedAsking)
	defer cancel()
	for i := range waiting {
		if len(b.planned) == roundLimit {
			b.cut = true
			// Whether anybody could go still has to be known: it may be stranded.
			if len(s.near(b, &waiting[i], 1)) > 0 {
				b.reach[i] = []Reach{}
			}
			continue
		}
		if err := s.timeNearest(ctx, asking, b, i); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// seat puts the waiting requests on a board, with the crews each was offered to.
func (s *Service) seat(ctx context.Context, tx pgx.Tx, waiting []Request) (*board, error) {
	now := s.now()
	b := &board{
		most: max(shortlist, min(len(waiting), roundLimit)),
		m:    moment{matcher, now}, since: now.Add(-s.cfg.FreshFor), roads: s.roads(), waiting: waiting,
		asked: map[events.RequestID]map[events.CrewID]bool{}, place: map[events.CrewID]int{},
		reach: map[int][]Reach{}, source: map[int][]geo.Source{}, sent: map[int]Reach{}, lost: map[events.CrewID]bool{},
	}
	ids := make([]events.RequestID, len(waiting))
	for i := range waiting {
		ids[i] = waiting[i].ID
		b.asked[ids[i]] = map[events.CrewID]bool{}
	}
	had, err := listAsked(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	for _, a := range had {
		b.asked[a.request][a.crew] = true
	}
	return b, nil
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
func (s *Service) timeNearest(ctx, asking context.Context, b *board, i int) error {
	r := &b.waiting[i]
	hits := s.near(b, r, b.most)
	if len(hits) == 0 {
		return nil
	}
	from := make([]geo.Point, len(hits))
	for k, hit := range hits {
		from[k] = hit.Point
	}
	legs, err := s.legs(ctx, asking, b.roads, from, r, b.m.at)
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
		b.reach[i] = append(b.reach[i], Reach{Crew: at, Travel: leg.Time})
		b.source[i] = append(b.source[i], leg.Source)
	}
	if len(b.reach[i]) > 0 {
		b.planned = append(b.planned, i)
	}
	return nil
}

// pair lets Assign choose among what is on the board.
func (b *board) pair(s *Service) {
	waiting := make([]Waiting, len(b.planned))
	for k, i := range b.planned {
		r := &b.waiting[i]
		waiting[k] = Waiting{
			At: r.Place.Point, Opened: r.OpenedAt, Due: r.Promise.DueAt, Priority: int(PriorityNormal - r.Priority), Reach: b.reach[i],
		}
	}
	crews := make([]Candidate, len(b.crews))
	for c, hit := range b.crews {
		crews[c] = Candidate{At: hit.Point, FreeAt: b.m.at}
	}
	for _, p := range Assign(waiting, crews, b.m.at, Terms{Turnout: s.cfg.Turnout, Service: 30 * time.Minute, Pace: 6}) {
		b.sent[b.planned[p.Request]] = p.To
	}
}

// settle turns the plan into offers: it locks the requests, then the crews,
// each by ascending identifier, and keeps what is still true of them.
func (s *Service) settle(ctx context.Context, tx pgx.Tx, b *board) error {
	index := map[events.RequestID]int{}
	var ids []events.RequestID
	crews := map[events.CrewID]bool{}
	for i := range b.waiting {
		r := &b.waiting[i]
		to, sent := b.sent[i]
		if _, anybody := b.reach[i]; !sent && (anybody || r.State == RequestStranded) {
			continue
		}
		if len(ids) == settleLimit {
			b.again = true
			break
		}
		if sent {
			crews[b.crews[to.Crew].Key] = true
		}
		index[r.ID] = i
		ids = append(ids, r.ID)
	}
	locked, err := lockWaiting(ctx, tx, ids)
	if err != nil {
		return err
	}
	free, err := lockFreeCrews(ctx, tx, sortedKeys(crews))
	if err != nil {
		return err
	}
	got := map[events.CrewID]*Crew{}
	for k := range free {
		got[free[k].ID] = &free[k]
	}
	for id := range crews {
		if got[id] == nil {
			b.lost[id] = true
		}
	}
	for k := range locked {
		r := &locked[k]
		i := index[r.ID]
		if r.Version != b.waiting[i].Version {
			b.again = true // somebody has changed it since; who was asked may have, too
			continue
		}
		if err := s.fulfil(ctx, tx, b, i, r, got); err != nil {
			return err
		}
	}
	b.again = b.again || (len(b.offers) > 0 && (b.cut || len(b.sent) < len(b.planned)))
	return nil
}

// fulfil makes the planned offer for one locked request, or finds it
// stranded.
func (s *Service) fulfil(ctx context.Context, tx pgx.Tx, b *board, i int, r *Request, got map[events.CrewID]*Crew) error {
	to, sent := b.sent[i]
	if !sent {
		round := s.round(b, i, r)
		r.StrandedAt, r.StrandedWhy = &b.m.at, round.Counts
		round.Version = r.Version + 1
		err := step(ctx, tx, b.m, r, RequestExhaust, events.RequestStranded{
			RequestID: r.ID, Area: string(r.Area), StrandedAt: b.m.at, WhyNot: round.Counts,
		})
		if err != nil {
			return err
		}
		return insertRound(ctx, tx, r.ID, round)
	}
	hit := b.crews[to.Crew]
	c := got[hit.Key]
	if c == nil || !c.Capabilities.Has(r.Need) {
		b.lost[hit.Key] = true
		return nil
	}
	round := s.round(b, i, r)
	round.Version = r.Version + 1
	o := Offer{
		Travel: to.Travel, Metres: geo.Distance(hit.Point, r.Place.Point),
		ExpectedAt: b.m.at.Add(s.cfg.Turnout + to.Travel), Why: b.whyChosen(i, to),
	}
	if r.walls.offered == nil {
		wall := wallNow()
		r.walls.offered = &wall
		b.firsts = append(b.firsts, wall.Sub(r.walls.opened))
	}
	o, err := s.offer(ctx, tx, b.m, r, c, o)
	if err != nil {
		return err
	}
	b.offers, b.taken = append(b.offers, o), append(b.taken, c)
	return insertRound(ctx, tx, r.ID, round)
}

// whyChosen says in words why this crew, and whose figure that rests on.
func (b *board) whyChosen(i int, to Reach) string {
	k := slices.IndexFunc(b.reach[i], func(r Reach) bool { return r.Crew == to.Crew })
	said := fmt.Sprintf("soonest by road: %s", to.Travel.Round(time.Second))
	if k > 0 {
		said = fmt.Sprintf("%s by road, number %d of the soonest: the sooner ones serve others better", to.Travel.Round(time.Second), k+1)
	}
	if k >= 0 {
		said += fmt.Sprintf(" (%s)", b.source[i][k])
	}
	return said
}

// told passes on what a committed round has changed.
func (s *Service) told(ctx context.Context, area geo.AreaID, b *board) {
	for _, c := range b.taken {
		s.fleet.learn(c)
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
