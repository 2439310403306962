package dispatch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/fault"
)

// stages brings a request to each state in which it can be called off, taken
// from its crew or given to another. The crew is the nearest.
var stages = map[dispatch.RequestState]func(*world, dispatch.Crew) dispatch.Request{
	dispatch.RequestOpen: func(w *world, _ dispatch.Crew) dispatch.Request { return w.open() },
	dispatch.RequestStranded: func(w *world, c dispatch.Crew) dispatch.Request {
		r := w.open()
		w.clock.advance(time.Hour)
		w.match(r)
		w.sight(c, 1000)
		return r
	},
	dispatch.RequestOffered: func(w *world, _ dispatch.Crew) dispatch.Request {
		r := w.open()
		w.match(r)
		return r
	},
	dispatch.RequestAssigned: func(w *world, c dispatch.Crew) dispatch.Request { return w.assigned(c) },
	dispatch.RequestEnRoute: func(w *world, c dispatch.Crew) dispatch.Request {
		r, err := w.Depart(w.ctx, as(c), w.assigned(c).ID)
		require.NoError(w.t, err)
		return r
	},
	dispatch.RequestOnScene: func(w *world, c dispatch.Crew) dispatch.Request {
		r := w.assigned(c)
		r, err := w.ConfirmArrival(w.ctx, ownerOf(r), r.ID, time.Time{})
		require.NoError(w.t, err)
		return r
	},
}

func TestCancelAtEachStage(t *testing.T) {
	t.Parallel()
	for state, bring := range stages {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.crew(1000)
			r := bring(w, c)
			require.Equal(t, state, w.reload(r).State)
			_, err := w.Cancel(w.ctx, newOwner(), r.ID, "mine?", 0)
			require.ErrorIs(t, err, dispatch.ErrNoRequest)
			_, err = w.Cancel(w.ctx, as(c), r.ID, "I will not go", 0)
			require.ErrorIs(t, err, dispatch.ErrForbidden)
			r, err = w.Cancel(w.ctx, ownerOf(r), r.ID, "it started again", 0)
			require.NoError(t, err)
			require.Equal(t, dispatch.RequestCancelled, r.State)
			require.Equal(t, dispatch.CrewAvailable, w.crewNow(c).State)
			require.Equal(t, r, w.reload(r))
			_, err = w.Cancel(w.ctx, ownerOf(r), r.ID, "again", 0)
			require.Equal(t, fault.Conflict, fault.KindOf(err))
			require.Len(t, w.match(w.open()), 1, "the crew can be asked for another")
		})
	}
}

// TestReleaseAtEachStage: a crew gives back what it has, at any stage, by
// itself, its provider or the desk; nobody else may, and it is never asked for
// that request again.
func TestReleaseAtEachStage(t *testing.T) {
	t.Parallel()
	for state, bring := range stages {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.crew(1000)
			provider := events.Actor{Role: events.RoleProvider, Subject: w.provider.String()}
			rival := events.Actor{Role: events.RoleProvider, Subject: events.NewID[events.ProviderID]().String()}
			for _, by := range []events.Actor{as(c), provider, desk, root} {
				r := bring(w, c)
				_, err := w.Release(w.ctx, ownerOf(r), r.ID, "not him", 0)
				require.ErrorIs(t, err, dispatch.ErrForbidden)
				for _, other := range []events.Actor{as(w.crew(9000)), rival} {
					_, err = w.Release(w.ctx, other, r.ID, "mine now", 0)
					require.ErrorIs(t, err, dispatch.ErrNoRequest)
				}
				before := w.reload(r)
				got, err := w.Release(w.ctx, by, r.ID, "engine trouble", 0)
				if !state.Active() {
					require.Contains(t, []fault.Kind{fault.Conflict, fault.NotFound}, fault.KindOf(err), "%s has no crew to release: %v", state, err)
					require.Equal(t, before, w.reload(r))
				} else {
					require.NoError(t, err)
					require.Equal(t, dispatch.RequestOpen, got.State)
					require.True(t, got.Crew.IsZero())
					require.Nil(t, got.ArrivedAt, "the owner waits again")
					require.Equal(t, dispatch.CrewAvailable, w.crewNow(c).State)
					for _, o := range w.match(got) {
						require.NotEqual(t, c.ID, o.Crew)
					}
				}
				_, err = w.Cancel(w.ctx, desk, r.ID, "the next", 0)
				require.NoError(t, err)
				w.crewsHome()
				w.sight(c, 1000)
			}
		})
	}
}

// crewsHome ends the shift of every crew but the first, so that only that one
// is in reach of what comes next.
func (w *world) crewsHome() {
	w.t.Helper()
	crews, err := w.Crews(w.ctx, desk, dispatch.CrewFilter{})
	require.NoError(w.t, err)
	for _, c := range crews[1:] {
		if c.State != dispatch.CrewOffDuty {
			_, err := w.EndShift(w.ctx, desk, c.ID)
			require.NoError(w.t, err)
		}
	}
}

// TestReassignAtEachStage: the desk gives a request to a crew of its choice at
// any stage before its end, never to one that was asked before; what the desk
// chose is told beside what matching weighed.
func TestReassignAtEachStage(t *testing.T) {
	t.Parallel()
	for state, bring := range stages {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.crew(1000)
			r := w.reload(bring(w, c))
			require.Equal(t, state, r.State)
			next, unfit, off := w.crew(5000), w.crew(50, "tyre"), w.crew(60)
			_, err := w.EndShift(w.ctx, as(off), off.ID)
			require.NoError(t, err)
			for _, by := range []events.Actor{ownerOf(r), as(c), finance, {Role: events.RoleProvider, Subject: w.provider.String()}} {
				_, err := w.Reassign(w.ctx, by, r.ID, next.ID, "I say so", 0)
				require.ErrorIs(t, err, dispatch.ErrForbidden)
			}
			_, err = w.Reassign(w.ctx, desk, r.ID, unfit.ID, "it is near", r.Version)
			require.ErrorIs(t, err, dispatch.ErrCrewUnfit)
			_, err = w.Reassign(w.ctx, desk, r.ID, off.ID, "it is near", r.Version)
			require.ErrorIs(t, err, dispatch.ErrCrewTaken)
			_, err = w.Reassign(w.ctx, desk, r.ID, events.NewID[events.CrewID](), "who?", r.Version)
			require.ErrorIs(t, err, dispatch.ErrNoCrew)
			require.Equal(t, r, w.reload(r), "a refusal changes nothing, the crew it has included")

			had := r.State.Active() || r.State == dispatch.RequestOffered
			if had {
				_, err = w.Reassign(w.ctx, desk, r.ID, c.ID, "the same again", r.Version)
				require.ErrorIs(t, err, dispatch.ErrCrewAsked)
			}
			r, err = w.Reassign(w.ctx, desk, r.ID, next.ID, "knows the place", r.Version)
			require.NoError(t, err)
			require.Equal(t, dispatch.RequestOffered, r.State)
			require.Equal(t, r, w.reload(r))
			require.Equal(t, dispatch.CrewHeld, w.crewNow(next).State)
			require.Equal(t, dispatch.CrewAvailable, w.crewNow(c).State)
			rounds, err := w.Considered(w.ctx, desk, r.ID)
			require.NoError(t, err)
			last := rounds[len(rounds)-1]
			require.Len(t, last.Crews, 1)
			require.Equal(t, next.ID, last.Crews[0].Crew)
			require.Equal(t, dispatch.WhyByHand, last.Crews[0].Why)
			require.InDelta(t, 5000, last.Crews[0].Metres, 1)
			require.Positive(t, last.Crews[0].TravelS)

			// Without a name matching decides; who was asked stays passed over.
			r, err = w.Reassign(w.ctx, desk, r.ID, events.CrewID{}, "no answer", r.Version)
			require.NoError(t, err)
			require.Equal(t, dispatch.RequestOpen, r.State)
			offers := w.match(r)
			if had {
				require.Empty(t, offers)
				require.Equal(t, 2, w.reload(r).StrandedWhy[dispatch.WhyAsked])
			} else {
				require.Equal(t, c.ID, offers[0].Crew)
			}
			r, err = w.Cancel(w.ctx, desk, r.ID, "over", 0)
			require.NoError(t, err)
			_, err = w.Reassign(w.ctx, desk, r.ID, c.ID, "too late", 0)
			require.Equal(t, fault.Conflict, fault.KindOf(err))
		})
	}
}
