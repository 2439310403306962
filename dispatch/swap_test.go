package dispatch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
)

// standoff is a request x that c is asked for or drives to, and a call w that
// only c can reach in time while d could be at x in time.
type standoff struct {
	*world
	c, d dispatch.Crew
	x    dispatch.Request
	ask  dispatch.Offer // of x to c
}

func newStandoff(w *world, edit ...func(*dispatch.NewRequest)) *standoff {
	s := &standoff{world: w, c: w.crew(2000), d: w.crew(-9000)}
	s.again(edit...)
	return s
}

// again opens the next x.
func (s *standoff) again(edit ...func(*dispatch.NewRequest)) {
	s.t.Helper()
	s.clock.advance(4 * time.Hour) // the calls before are forgotten: nobody is kept for more
	s.sight(s.c, 2000)
	s.sight(s.d, -9000)
	s.x = s.openAt(0, edit...)
	offers := s.match(s.x)
	require.Len(s.t, offers, 1)
	require.Equal(s.t, s.c.ID, offers[0].Crew)
	s.ask = offers[0]
}

// drive lets c accept and set out.
func (s *standoff) drive() {
	s.t.Helper()
	_, err := s.Accept(s.ctx, as(s.c), s.ask.ID)
	require.NoError(s.t, err)
	s.clock.advance(time.Minute)
	s.x, err = s.Depart(s.ctx, as(s.c), s.x.ID)
	require.NoError(s.t, err)
	s.sight(s.c, 1900)
	s.sight(s.d, -9000)
}

func TestAnUnansweredOfferIsSwapped(t *testing.T) {
	t.Parallel()
	s := newStandoff(newWorld(t))
	late := s.openAt(8000)
	offers := s.match(late)
	require.Equal(t, map[events.RequestID]events.CrewID{s.x.ID: s.d.ID, late.ID: s.c.ID}, offered(offers))
	x := s.reload(s.x)
	require.Equal(t, dispatch.RequestOffered, x.State)
	require.Equal(t, 1, x.Swaps)
	require.Equal(t, []string{
		events.RequestOpened{}.EventType(), events.OfferMade{}.EventType(), events.OfferLapsed{}.EventType(), events.OfferMade{}.EventType(),
	}, s.told(s.x))
	_, err := s.Accept(s.ctx, as(s.c), s.ask.ID)
	require.ErrorIs(t, err, dispatch.ErrOfferGone)
	for _, o := range offers {
		require.Contains(t, o.Why, "swapped: ")
		by := s.d
		if o.Request == late.ID {
			by = s.c
		}
		_, err := s.Accept(s.ctx, as(by), o.ID)
		require.NoError(t, err)
		got, err := s.Request(s.ctx, desk, o.Request)
		require.NoError(t, err)
		require.False(t, got.ExpectedAt.After(got.Promise.DueAt))
	}
	s.sound(t)
}

func TestACrewOnItsWayIsTurnedRound(t *testing.T) {
	t.Parallel()
	s := newStandoff(newWorld(t))
	s.drive()
	late := s.openAt(8000)
	require.Equal(t, map[events.RequestID]events.CrewID{s.x.ID: s.d.ID, late.ID: s.c.ID}, offered(s.match(late)))
	x := s.reload(s.x)
	require.Equal(t, dispatch.RequestOffered, x.State)
	require.Equal(t, dispatch.ReasonSwapped, x.Reason)
	require.Nil(t, x.DepartedAt)
	require.Contains(t, s.told(s.x), events.RequestReleased{}.EventType())
	require.Equal(t, dispatch.CrewHeld, s.crewNow(s.c).State)
	s.sound(t)

	// The crew that left is not asked for it again, whatever becomes of the swap.
	_, err := s.Cancel(s.ctx, desk, late.ID, "over", 0)
	require.NoError(t, err)
	_, err = s.Reassign(s.ctx, desk, s.x.ID, events.CrewID{}, "again", 0)
	require.NoError(t, err)
	require.Empty(t, s.match(s.x))
	require.Equal(t, dispatch.WhyAsked, s.considered(s.x, s.c).Why)
}

func TestNoSwap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*standoff)
		off  bool
		x    []func(*dispatch.NewRequest)
	}{
		"the request is of a higher class": {
			edit: func(*standoff) {}, x: []func(*dispatch.NewRequest){func(in *dispatch.NewRequest) { in.Safety.Injury = true }},
		},
		"the crew is at the car":                {edit: func(s *standoff) { s.moved(s.c, 300) }},
		"the crew says it is there":             {edit: func(s *standoff) { s.claim() }},
		"the request has lost too many":         {edit: func(s *standoff) { s.lost(100) }},
		"nobody else would be there in time":    {edit: func(s *standoff) { s.moved(s.d, -17_000) }},
		"nobody else can do it":                 {edit: func(s *standoff) { s.unable(s.d) }},
		"the crew's position is old":            {edit: func(s *standoff) { s.clock.advance(11 * time.Minute); s.sight(s.d, -9000) }},
		"swaps are switched off":                {off: true, edit: func(*standoff) {}},
		"the crew has had the other before":     {edit: nil},
		"the crew goes off duty after this one": {edit: func(s *standoff) { _, _ = s.EndShift(s.ctx, as(s.c), s.c.ID) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.off {
				w.Service = dispatch.New(w.pool, dispatch.Config{Now: w.clock.Now, Promiser: promise45{}})
				require.NoError(t, w.Refresh(w.ctx))
			}
			s := newStandoff(w, c.x...)
			var late dispatch.Request
			if c.edit == nil {
				_, err := s.Decline(s.ctx, as(s.c), s.ask.ID, "first the other")
				require.NoError(t, err)
				_, err = s.Cancel(s.ctx, desk, s.x.ID, "over", 0)
				require.NoError(t, err)
				late = s.openAt(8000)
				_, err = s.Decline(s.ctx, as(s.c), s.match(late)[0].ID, "not that one")
				require.NoError(t, err)
				_, err = s.Reassign(s.ctx, desk, late.ID, s.d.ID, "by hand", 0)
				require.NoError(t, err)
				s.x = s.openAt(0)
				s.ask = s.match(s.x)[0]
				require.Equal(t, s.c.ID, s.ask.Crew)
				_, err = s.Reassign(s.ctx, desk, late.ID, events.CrewID{}, "back", 0)
				require.NoError(t, err)
				s.drive()
			} else {
				s.drive()
				c.edit(s)
				late = s.openAt(8000)
			}
			s.match(late)
			got := s.reload(s.x)
			require.Equal(t, dispatch.RequestEnRoute, got.State)
			require.Equal(t, s.c.ID, got.Crew)
			s.sound(t)
		})
	}
}

// moved is a new position.
func (s *standoff) moved(c dispatch.Crew, metresNorth float64) {
	s.clock.advance(time.Second)
	s.sight(c, metresNorth)
}

func (s *standoff) claim() {
	s.t.Helper()
	r, err := s.ClaimArrival(s.ctx, as(s.c), s.x.ID, time.Time{})
	require.NoError(s.t, err)
	require.NotNil(s.t, r.UnprovenAt)
}

func (s *standoff) lost(times int) {
	s.t.Helper()
	_, err := s.pool.Exec(s.ctx, `UPDATE dispatch.requests SET swaps = $2 WHERE id = $1`, s.x.ID, times)
	require.NoError(s.t, err)
}

func (s *standoff) unable(c dispatch.Crew) {
	s.t.Helper()
	_, err := s.UpdateCrew(s.ctx, root, c.ID, dispatch.CrewChange{Capabilities: &[]string{"tyre"}}, 0)
	require.NoError(s.t, err)
}

// row is a request in the live queue.
func (w *world) row(r dispatch.Request) dispatch.QueueRow {
	w.t.Helper()
	api := dispatch.NewAPI(w.Service, dispatch.APIConfig{PublicURL: "http://127.0.0.1"})
	snap, err := api.Queue(w.ctx)
	require.NoError(w.t, err)
	for _, row := range snap.Rows {
		if row.ID == r.ID {
			return row
		}
	}
	require.Fail(w.t, "the request is not in the queue")
	return dispatch.QueueRow{}
}

// TestSwapAgainstEverybody: while a round swaps, the crews answer, drive and
// arrive, and the owners call off. Whoever is first counts, and no crew is on
// two requests, no request with two crews.
func TestSwapAgainstEverybody(t *testing.T) {
	t.Parallel()
	type act func(s *standoff, late dispatch.Request) error
	for name, c := range map[string]struct {
		driving bool
		do      act
	}{
		"accept": {false, func(s *standoff, _ dispatch.Request) error {
			_, err := s.Accept(s.ctx, as(s.c), s.ask.ID)
			return err
		}},
		"decline": {false, func(s *standoff, _ dispatch.Request) error {
			_, err := s.Decline(s.ctx, as(s.c), s.ask.ID, "too far")
			return err
		}},
		"cancel the offered": {false, func(s *standoff, _ dispatch.Request) error {
			_, err := s.Cancel(s.ctx, desk, s.x.ID, "over", 0)
			return err
		}},
		"cancel the driven to": {true, func(s *standoff, _ dispatch.Request) error {
			_, err := s.Cancel(s.ctx, desk, s.x.ID, "over", 0)
			return err
		}},
		"cancel the waiting": {true, func(s *standoff, late dispatch.Request) error {
			_, err := s.Cancel(s.ctx, desk, late.ID, "over", 0)
			return err
		}},
		"arrive": {true, func(s *standoff, _ dispatch.Request) error {
			_, err := s.ConfirmArrival(s.ctx, ownerOf(s.x), s.x.ID, time.Time{})
			return err
		}},
		"release": {true, func(s *standoff, _ dispatch.Request) error {
			_, err := s.Release(s.ctx, as(s.c), s.x.ID, "engine trouble", 0)
			return err
		}},
		"end the shift": {true, func(s *standoff, _ dispatch.Request) error {
			_, err := s.EndShift(s.ctx, as(s.d), s.d.ID)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStandoff(newWorld(t))
			other := s.replica(s.pool)
			swaps := 0
			for n := range 12 {
				if n > 0 {
					s.again()
				}
				if c.driving {
					s.drive()
				}
				late := s.openAt(8000)
				require.NoError(t, other.Refresh(s.ctx))
				for _, k := range []dispatch.Crew{s.c, s.d} {
					fix, _ := s.LastFix(k.ID)
					other.Sight(k.ID, fix)
				}
				errs := atOnce(
					func() error { _, err := other.Match(s.ctx, late.Area); return err },
					func() error {
						time.Sleep(time.Duration(n) * 2 * time.Millisecond)
						return c.do(s, late)
					},
				)
				require.NoError(t, errs[0])
				s.sound(t)
				swaps += s.reload(s.x).Swaps
				for _, r := range []dispatch.Request{s.x, late} {
					if st := s.reload(r).State; st != dispatch.RequestCancelled {
						_, err := s.Cancel(s.ctx, desk, r.ID, "next", 0)
						require.NoError(t, err)
					}
				}
				if s.crewNow(s.d).State == dispatch.CrewOffDuty {
					_, err := s.StartShift(s.ctx, as(s.d), s.d.ID)
					require.NoError(t, err)
				}
				require.NoError(t, s.Refresh(s.ctx))
				s.sound(t)
			}
			require.Positive(t, swaps, "the test itself: some rounds were to swap")
		})
	}
}
