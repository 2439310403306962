package dispatch

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
)

// settle turns the plan into offers: it locks the requests, then the crews,
// then the offers that are out, each by ascending identifier, and keeps what is
// still true of them.
func (s *Service) settle(ctx context.Context, tx pgx.Tx, b *board) error {
	chosen := b.choose()
	if len(chosen) == 0 {
		return nil
	}
	ids := make([]events.RequestID, 0, len(chosen))
	crews := map[events.CrewID]bool{}
	for _, i := range chosen {
		ids = append(ids, b.seats[i].r.ID)
		if to := b.seats[i].sent; to != nil {
			crews[to.crew] = true
		}
		if j := b.seats[i].job; j >= 0 {
			crews[b.jobs[j].crew] = true
		}
	}
	h, err := lockHands(ctx, tx, ids, sortedKeys(crews))
	if err != nil {
		return err
	}
	for id := range crews {
		if h.crews[id] == nil {
			b.lost[id] = true
		}
	}
	for n := range b.swaps {
		if err := s.exchange(ctx, tx, b, &b.swaps[n], h); err != nil {
			return err
		}
	}
	for _, i := range chosen {
		if b.swapFor(i) != nil {
			continue
		}
		r := h.requests[b.seats[i].r.ID]
		if r == nil {
			continue
		}
		if r.Version != b.seats[i].r.Version {
			b.again = true // somebody has changed it since; who was asked may have, too
			continue
		}
		if err := s.fulfil(ctx, tx, b, i, r, h); err != nil {
			return err
		}
	}
	left := slices.ContainsFunc(b.planned, func(i int) bool { return b.seats[i].sent == nil })
	b.again = b.again || (len(b.offers) > 0 && (b.cut || left))
	return nil
}

// choose picks what one transaction settles: swaps, whole, then offers, then
// what is stranded, and last what is only to be told why it waits; of that the
// next retry does the rest.
func (b *board) choose() []int {
	var chosen []int
	for n := range b.swaps {
		if len(chosen)+len(b.swaps[n].seats) > max(settleLimit, len(b.swaps[n].seats)) {
			b.swaps, b.again = b.swaps[:n], true
			break
		}
		chosen = append(chosen, b.swaps[n].seats...)
	}
	pick := func(urgent bool, wanted func(*seat) bool) {
		for i, seat := range b.seats {
			if seat.job >= 0 || !wanted(seat) || slices.Contains(chosen, i) {
				continue
			}
			if len(chosen) >= settleLimit {
				b.again = b.again || urgent
				return
			}
			chosen = append(chosen, i)
		}
	}
	pick(true, func(seat *seat) bool { return seat.sent != nil })
	pick(true, func(seat *seat) bool { return !seat.anybody && (seat.r.State == RequestOpen || seat.r.Held != nil) })
	pick(false, func(seat *seat) bool { return seat.held != nil && seat.r.Held.differs(*seat.held) })
	return chosen
}

// hands are the rows a round has locked.
type hands struct {
	requests map[events.RequestID]*Request
	crews    map[events.CrewID]*Crew
	offers   map[events.RequestID]*Offer // that are out
}

func lockHands(ctx context.Context, tx pgx.Tx, ids []events.RequestID, crews []events.CrewID) (*hands, error) {
	h := &hands{map[events.RequestID]*Request{}, map[events.CrewID]*Crew{}, map[events.RequestID]*Offer{}}
	locked, err := lockUnarrived(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var offered []events.RequestID
	for k := range locked {
		h.requests[locked[k].ID] = &locked[k]
		if locked[k].State == RequestOffered {
			offered = append(offered, locked[k].ID)
		}
	}
	onDuty, err := lockCrewsOnDuty(ctx, tx, crews)
	if err != nil {
		return nil, err
	}
	for k := range onDuty {
		h.crews[onDuty[k].ID] = &onDuty[k]
	}
	if len(offered) == 0 {
		return h, nil
	}
	pending, err := lockPendingOf(ctx, tx, offered)
	for k := range pending {
		h.offers[pending[k].Request] = &pending[k]
	}
	return h, err
}

// fulfil makes the planned offer for one locked request, finds it stranded, or
// notes why it waits.
func (s *Service) fulfil(ctx context.Context, tx pgx.Tx, b *board, i int, r *Request, h *hands) error {
	seat := b.seats[i]
	if !r.State.Waits() {
		return nil
	}
	switch {
	case seat.sent != nil:
		c := h.crews[seat.sent.crew]
		if c == nil || c.State != CrewAvailable || !c.Capabilities.Has(r.Need) {
			b.lost[seat.sent.crew] = true
			return nil
		}
		return s.send(ctx, tx, b, i, r, c)
	case seat.held != nil:
		return s.hold(ctx, tx, b, i, r)
	}
	return s.strand(ctx, tx, b, i, r)
}

// strand notes that nobody can take a request. One that was stranded before,
// and then held for a crew that is gone, is so again.
func (s *Service) strand(ctx context.Context, tx pgx.Tx, b *board, i int, r *Request) (err error) {
	round := s.round(b, i, r)
	round.Version = r.Version + 1
	stranded := events.RequestStranded{RequestID: r.ID, Area: string(r.Area), StrandedAt: b.m.at, WhyNot: round.Counts}
	r.StrandedWhy, r.Held = round.Counts, nil
	if r.State == RequestStranded {
		stranded.StrandedAt = *r.StrandedAt
		err = amend(ctx, tx, b.m, r, stranded)
	} else {
		r.StrandedAt = &b.m.at
		err = step(ctx, tx, b.m, r, RequestExhaust, stranded)
	}
	if err != nil {
		return err
	}
	return insertRound(ctx, tx, r.ID, round)
}

// hold notes why a request waits although crews could go. Its state stays.
func (s *Service) hold(ctx context.Context, tx pgx.Tx, b *board, i int, r *Request) error {
	held := b.seats[i].held
	round := s.round(b, i, r)
	round.Version = r.Version + 1
	r.Held = held
	err := amend(ctx, tx, b.m, r, events.RequestHeld{
		RequestID: r.ID, Area: string(r.Area), HeldAt: b.m.at, Why: held.Why, CrewID: held.Crew, ExpectedAt: held.ExpectedAt,
	})
	if err != nil {
		return err
	}
	return insertRound(ctx, tx, r.ID, round)
}

// send makes a planned offer on locked, fitting rows.
func (s *Service) send(ctx context.Context, tx pgx.Tx, b *board, i int, r *Request, c *Crew) error {
	to := b.seats[i].sent
	round := s.round(b, i, r)
	round.Version = r.Version + 1
	o := Offer{
		Travel: to.travel, Metres: geo.Distance(to.from, r.Place.Point),
		ExpectedAt: b.m.at.Add(s.cfg.Turnout + to.travel), Why: b.whyChosen(i),
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

// exchange does one swap, if all its rows are still as they were read: the
// crews leave their requests, then every request in it gets its offer. A crew
// that answered, a driver who arrived, an owner who called off in the meantime
// holds or has changed a row, and the swap is dropped whole.
func (s *Service) exchange(ctx context.Context, tx pgx.Tx, b *board, sw *swap, h *hands) error {
	if !b.stands(sw, h) {
		b.again = true
		return nil
	}
	touched := map[events.CrewID]bool{}
	for _, i := range sw.seats {
		seat := b.seats[i]
		if seat.job < 0 {
			continue
		}
		r, crew := h.requests[seat.r.ID], b.jobs[seat.job].crew
		touched[crew] = true
		if err := s.unhand(ctx, tx, b.m, r, h.crews[crew], h.offers[r.ID]); err != nil {
			return err
		}
	}
	for _, i := range sw.seats {
		seat := b.seats[i]
		touched[seat.sent.crew] = false // send tells of it
		if err := s.send(ctx, tx, b, i, h.requests[seat.r.ID], h.crews[seat.sent.crew]); err != nil {
			return err
		}
	}
	for id, relieved := range touched {
		if relieved {
			b.taken = append(b.taken, h.crews[id])
		}
	}
	return nil
}

// stands reports whether a swap can still be done.
func (b *board) stands(sw *swap, h *hands) bool {
	leaves := map[events.CrewID]bool{}
	for _, i := range sw.seats {
		seat := b.seats[i]
		r := h.requests[seat.r.ID]
		if r == nil || r.Version != seat.r.Version {
			return false
		}
		if seat.job < 0 {
			continue
		}
		crew := b.jobs[seat.job].crew
		c, o := h.crews[crew], h.offers[r.ID]
		if c == nil {
			return false
		}
		switch {
		case r.State == RequestOffered && (o == nil || o.Crew != crew || c.State != CrewHeld || !b.m.at.Before(o.ExpiresAt)):
			return false
		case r.State.Active() && (r.Crew != crew || c.State != CrewEngaged):
			return false
		}
		leaves[crew] = true
	}
	for _, i := range sw.seats {
		seat := b.seats[i]
		c := h.crews[seat.sent.crew]
		if c == nil || !leaves[c.ID] && c.State != CrewAvailable || !c.Capabilities.Has(seat.r.Need) {
			return false
		}
	}
	return true
}
