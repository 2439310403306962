package dispatch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
)

func TestARescueFromCallToDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	near, far := w.crew(1000), w.crew(5000)

	r := w.open(func(in *dispatch.NewRequest) {
		in.Vehicle.VIN, in.Location.Address, in.Location.AccuracyM = "LSVAA4182E2184847", "福中路", 20
		in.Destination = &dispatch.NewDestination{Lat: ptr(22.55), Lng: ptr(114.06), Datum: geo.GCJ02}
	})
	require.Equal(t, dispatch.RequestOpen, r.State)
	require.Equal(t, geo.AreaID("440300"), r.Area)
	require.Equal(t, geo.Urban, r.Tier)
	require.Equal(t, r.OpenedAt.Add(45*time.Minute), r.Promise.DueAt)
	require.Equal(t, "粤B00001", r.Vehicle.Plate)
	require.Equal(t, r, w.reload(r), "what is stored is what was answered")

	offers := w.match(r)
	require.Len(t, offers, 1)
	require.Equal(t, near.ID, offers[0].Crew)
	require.Equal(t, offers[0].MadeAt.Add(45*time.Second), offers[0].ExpiresAt)
	require.Equal(t, dispatch.CrewHeld, w.crewNow(near).State)
	pending, err := w.Offers(w.ctx, as(near), near.ID)
	require.NoError(t, err)
	require.Equal(t, offers, pending)

	w.clock.advance(10 * time.Second)
	r, err = w.Accept(w.ctx, as(near), offers[0].ID)
	require.NoError(t, err)
	require.Equal(t, dispatch.RequestAssigned, r.State)
	require.Equal(t, offers[0].ExpectedAt.Add(10*time.Second), *r.ExpectedAt)
	require.Equal(t, dispatch.CrewEngaged, w.crewNow(near).State)

	r, err = w.Depart(w.ctx, as(near), r.ID)
	require.NoError(t, err)
	w.clock.advance(10 * time.Minute)
	w.sight(near, 50)
	r, err = w.ClaimArrival(w.ctx, as(near), r.ID, time.Time{})
	require.NoError(t, err)
	require.Equal(t, dispatch.RequestOnScene, r.State)
	require.Equal(t, dispatch.ByTap, r.ArrivalSource)

	w.clock.advance(20 * time.Minute)
	r, err = w.Finish(w.ctx, as(near), r.ID, dispatch.OutcomeFixed)
	require.NoError(t, err)
	require.Equal(t, dispatch.RequestDone, r.State)
	require.Equal(t, r, w.reload(r))
	require.Equal(t, dispatch.CrewAvailable, w.crewNow(near).State)
	require.Equal(t, dispatch.CrewAvailable, w.crewNow(far).State)

	require.Equal(t, []string{
		events.RequestOpened{}.EventType(), events.OfferMade{}.EventType(), events.RequestAssigned{}.EventType(),
		events.CrewDeparted{}.EventType(), events.CrewArrived{}.EventType(), events.RequestFinished{}.EventType(),
	}, w.told(r))

	rounds, err := w.Considered(w.ctx, desk, r.ID)
	require.NoError(t, err)
	require.Len(t, rounds, 1)
	require.Equal(t, dispatch.WhyChosen, rounds[0].Crews[0].Why)
	require.Equal(t, map[string]int{dispatch.WhyFarther: 1}, rounds[0].Counts)

	st, err := w.Stats(w.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, st.Requests)
	require.Equal(t, 1, st.Done)
	require.Equal(t, 1, st.FirstOffers)
	require.Positive(t, st.OfferP50)
	w.sight(near, 50)
	require.Len(t, w.match(w.open()), 1)
	st, err = w.Stats(w.ctx)
	require.NoError(t, err)
	require.Equal(t, 2, st.FirstOffers)
	require.Greater(t, st.OfferP99, st.OfferP50, "of two, one is the slower")
}

func TestOffersCascadeAndNeverComeTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.crew(1000), w.crew(2000)
	r := w.open()

	first := w.match(r)
	require.Equal(t, a.ID, first[0].Crew)
	_, err := w.Decline(w.ctx, as(a), first[0].ID, "")
	require.Equal(t, fault.Invalid, fault.KindOf(err), "a refusal needs a reason")
	_, err = w.Decline(w.ctx, as(a), first[0].ID, "flat tyre ourselves")
	require.NoError(t, err)

	second := w.match(r)
	require.Equal(t, b.ID, second[0].Crew)
	require.Equal(t, 2, second[0].Round)
	w.clock.advance(44 * time.Second)
	n, err := w.Sweep(w.ctx, 100)
	require.NoError(t, err)
	require.Zero(t, n)
	w.clock.advance(time.Second)
	_, err = w.Accept(w.ctx, as(b), second[0].ID)
	require.ErrorIs(t, err, dispatch.ErrOfferGone, "time is up even before a sweep has noticed")
	n, err = w.Sweep(w.ctx, 100)
	require.NoError(t, err)
	require.Equal(t, 1, n)

	require.Empty(t, w.match(r), "both have been asked")
	got := w.reload(r)
	require.Equal(t, dispatch.RequestStranded, got.State)
	require.Equal(t, map[string]int{dispatch.WhyAsked: 2}, got.StrandedWhy)
	require.Empty(t, w.match(r))
	require.Equal(t, got, w.reload(r), "a retry that finds nobody changes nothing")

	c := w.crew(3000)
	third := w.match(r)
	require.Equal(t, c.ID, third[0].Crew)
	require.Nil(t, w.reload(r).StrandedAt)
}

func TestWhoIsPassedOverAndWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crew(500, "tyre")
	stale := w.crew(600)
	w.clock.advance(11 * time.Minute)
	w.sight(w.crew(700), 700)
	busy := w.crew(100)
	w.assigned(busy)
	off := w.crew(300)
	_, err := w.EndShift(w.ctx, as(off), off.ID)
	require.NoError(t, err)
	w.crew(400_000)

	r := w.open()
	offers := w.match(r)
	require.Len(t, offers, 1)
	require.NotEqual(t, stale.ID, offers[0].Crew)
	rounds, err := w.Considered(w.ctx, desk, r.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]int{
		dispatch.WhyUnfit: 1, dispatch.WhyStale: 1, dispatch.WhySoon: 1, dispatch.WhyOffDuty: 1,
	}, rounds[0].Counts)

	last := w.open()
	require.Empty(t, w.match(last))
	require.Equal(t, dispatch.RequestOpen, w.reload(last).State, "two crews will be free")
	require.Equal(t, dispatch.HeldPlanned, w.reload(last).Held.Why)
	rounds, err = w.Considered(w.ctx, desk, last.ID)
	require.NoError(t, err)
	require.Equal(t, 2, rounds[0].Counts[dispatch.WhySoon])

	none := w.open(func(in *dispatch.NewRequest) { in.Problem = dispatch.ProblemHeavy })
	for _, c := range []dispatch.Crew{busy, {ID: offers[0].Crew}} {
		_, err := w.UpdateCrew(w.ctx, root, c.ID, dispatch.CrewChange{Capabilities: ptr([]string{"tyre"})}, 0)
		require.NoError(t, err)
	}
	require.Empty(t, w.match(none))
	require.Equal(t, dispatch.RequestStranded, w.reload(none).State)
	require.Contains(t, w.reload(none).StrandedWhy, dispatch.WhyHeld)
}

func TestAutoAcceptIsAssignedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(1000)
	_, err := w.UpdateCrew(w.ctx, as(c), c.ID, dispatch.CrewChange{AutoAccept: ptr(true)}, 0)
	require.NoError(t, err)
	_, err = w.UpdateCrew(w.ctx, as(c), c.ID, dispatch.CrewChange{Name: ptr("Other")}, 0)
	require.ErrorIs(t, err, dispatch.ErrForbidden)

	r := w.open()
	offers := w.match(r)
	require.Equal(t, dispatch.OfferAccepted, offers[0].State)
	require.Equal(t, dispatch.RequestAssigned, w.reload(r).State)
	require.Equal(t, []string{
		events.RequestOpened{}.EventType(), events.OfferMade{}.EventType(), events.RequestAssigned{}.EventType(),
	}, w.told(r))
}

func TestReleaseAndReassign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b, c := w.crew(1000), w.crew(2000), w.crew(3000)
	r := w.assigned(a)

	r, err := w.Release(w.ctx, as(a), r.ID, "engine trouble", 0)
	require.NoError(t, err)
	require.Equal(t, dispatch.RequestOpen, r.State)
	require.True(t, r.Crew.IsZero())
	require.Equal(t, r, w.reload(r))

	_, err = w.Reassign(w.ctx, desk, r.ID, a.ID, "go back", 0)
	require.ErrorIs(t, err, dispatch.ErrCrewAsked)
	_, err = w.Reassign(w.ctx, desk, r.ID, c.ID, "knows the place", r.Version+1)
	require.ErrorIs(t, err, dispatch.ErrStale)
	_, err = w.Reassign(w.ctx, ownerOf(r), r.ID, c.ID, "I like him", 0)
	require.ErrorIs(t, err, dispatch.ErrForbidden)
	r, err = w.Reassign(w.ctx, desk, r.ID, c.ID, "knows the place", r.Version)
	require.NoError(t, err)
	require.Equal(t, dispatch.RequestOffered, r.State)
	require.Equal(t, dispatch.CrewHeld, w.crewNow(c).State)

	_, err = w.ReassignFor(w.ctx, desk, r.ID, events.CrewID{}, "whim", "", 0)
	require.ErrorContains(t, err, "cause")
	require.ErrorContains(t, err, "reason")
	r, err = w.Reassign(w.ctx, desk, r.ID, events.CrewID{}, "no answer on the radio", 0)
	require.NoError(t, err)
	require.Equal(t, dispatch.RequestOpen, r.State)
	require.Equal(t, dispatch.CrewAvailable, w.crewNow(c).State)
	offers := w.match(r)
	require.Equal(t, b.ID, offers[0].Crew)
}

func TestShifts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(1000)
	r := w.assigned(c)
	k, err := w.EndShift(w.ctx, as(c), c.ID)
	require.NoError(t, err)
	require.Equal(t, dispatch.CrewFinishing, k.State)
	_, err = w.ConfirmArrival(w.ctx, ownerOf(r), r.ID, time.Time{})
	require.NoError(t, err)
	_, err = w.Finish(w.ctx, as(c), r.ID, "lunch")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	_, err = w.Finish(w.ctx, as(c), r.ID, dispatch.OutcomeTowed)
	require.NoError(t, err)
	require.Equal(t, dispatch.CrewOffDuty, w.crewNow(c).State)
}

func TestEverybodySeesHisOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, other := w.crew(1000), w.crew(9000)
	ptn, err := w.RegisterPartner(w.ctx, root, dispatch.NewPartner{Name: "Example Motors"})
	require.NoError(t, err)
	partner := events.Actor{Role: events.RolePartner, Subject: ptn.ID.String()}
	r, err := w.Open(w.ctx, partner, w.call())
	require.NoError(t, err)
	require.Equal(t, ptn.ID, r.Partner)

	see := func(by events.Actor) error { _, err := w.Request(w.ctx, by, r.ID); return err }
	require.NoError(t, see(partner))
	require.NoError(t, see(ownerOf(r)))
	require.ErrorIs(t, see(as(mine)), dispatch.ErrNoRequest)
	offers := w.match(r)
	require.NoError(t, see(as(mine)), "a crew sees what it is asked for")
	require.ErrorIs(t, see(as(other)), dispatch.ErrNoRequest)
	_, err = w.Accept(w.ctx, as(other), offers[0].ID)
	require.ErrorIs(t, err, dispatch.ErrNoOffer)
	_, err = w.Accept(w.ctx, ownerOf(r), offers[0].ID)
	require.ErrorIs(t, err, dispatch.ErrForbidden)
	_, err = w.Accept(w.ctx, as(mine), offers[0].ID)
	require.NoError(t, err)

	provider := events.Actor{Role: events.RoleProvider, Subject: w.provider.String()}
	rival := events.Actor{Role: events.RoleProvider, Subject: events.NewID[events.ProviderID]().String()}
	require.NoError(t, see(provider))
	require.ErrorIs(t, see(rival), dispatch.ErrNoRequest)
	_, err = w.Crew(w.ctx, rival, mine.ID)
	require.ErrorIs(t, err, dispatch.ErrNoCrew)
	_, err = w.Offers(w.ctx, as(other), mine.ID)
	require.ErrorIs(t, err, dispatch.ErrNoCrew)

	list := func(by events.Actor) int {
		got, err := w.Requests(w.ctx, by, dispatch.RequestFilter{})
		require.NoError(t, err)
		return len(got)
	}
	require.Equal(t, []int{1, 1, 1, 0, 1, 0, 1}, []int{
		list(partner), list(ownerOf(r)), list(as(mine)), list(as(other)), list(provider), list(rival), list(desk),
	})
	crews, err := w.Crews(w.ctx, provider, dispatch.CrewFilter{})
	require.NoError(t, err)
	require.Len(t, crews, 2)
}

// TestTheDeskSaysWhatACrewWasTakenOffFor: what it names is told with the
// release; a crew names no cause of its own.
func TestTheDeskSaysWhatACrewWasTakenOffFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cause := func(id events.RequestID) (told []string) {
		stream, err := events.ReadStream(w.ctx, w.pool, id.String(), 1000)
		require.NoError(t, err)
		for _, env := range stream {
			if env.Type == (events.RequestReleased{}).EventType() {
				ev, err := events.Decode[events.RequestReleased](env)
				require.NoError(t, err)
				told = append(told, ev.Cause)
			}
		}
		return told
	}
	a := w.crew(1000)
	r := w.assigned(a)
	_, err := w.ReleaseFor(w.ctx, as(a), r.ID, dispatch.CauseOwner, "he wants another", 0)
	require.ErrorIs(t, err, dispatch.ErrForbidden)
	r, err = w.ReleaseFor(w.ctx, desk, r.ID, dispatch.CauseOwner, "he wants another", 0)
	require.NoError(t, err)
	require.Equal(t, []string{"owner"}, cause(r.ID))

	b := w.crew(1500)
	offers := w.match(r)
	require.Len(t, offers, 1)
	r, err = w.Accept(w.ctx, as(b), offers[0].ID)
	require.NoError(t, err)
	_, err = w.ReassignFor(w.ctx, desk, r.ID, events.CrewID{}, dispatch.CauseCrew, "no answer on the radio", r.Version)
	require.NoError(t, err)
	require.Equal(t, []string{"owner", "crew"}, cause(r.ID))
}
