package dispatch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/geo"
)

// In these tests it is ten in the morning and a crew gets 1 km north in 162
// seconds; a promise is 45 minutes.

// openAt is a call from so many metres north of where crews are measured from.
func (w *world) openAt(metresNorth float64, edit ...func(*dispatch.NewRequest)) dispatch.Request {
	w.t.Helper()
	p := geo.Offset(futian, metresNorth, 0)
	return w.open(append(edit, func(in *dispatch.NewRequest) { in.Location.Lat, in.Location.Lng = &p.Lat, &p.Lng })...)
}

// considered is how the last round for a request saw a crew.
func (w *world) considered(r dispatch.Request, c dispatch.Crew) dispatch.ConsideredCrew {
	w.t.Helper()
	rounds, err := w.Considered(w.ctx, desk, r.ID)
	require.NoError(w.t, err)
	require.NotEmpty(w.t, rounds)
	for _, k := range rounds[len(rounds)-1].Crews {
		if k.Crew == c.ID {
			return k
		}
	}
	require.Fail(w.t, "the crew was not considered")
	return dispatch.ConsideredCrew{}
}

// offered is who has an offer for a request now.
func offered(offers []dispatch.Offer) map[events.RequestID]events.CrewID {
	out := map[events.RequestID]events.CrewID{}
	for _, o := range offers {
		out[o.Request] = o.Crew
	}
	return out
}

func TestTheNearerCrewGoesWhereOnlyItIsInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.openAt(0), w.openAt(6000)
	w.clock.advance(10 * time.Minute)
	near, far := w.crew(2000), w.crew(-9000)
	offers := w.match(a)
	require.Equal(t, map[events.RequestID]events.CrewID{a.ID: far.ID, b.ID: near.ID}, offered(offers))
	for _, o := range offers {
		if o.Request == a.ID {
			require.Contains(t, o.Why, near.ID.String())
			require.Contains(t, o.Why, "is sent to "+b.ID.String()+", whose promise only it can keep")
		}
	}
	seen := w.considered(a, near)
	require.Equal(t, dispatch.WhyOther, seen.Why)
	require.Equal(t, &b.ID, seen.SentTo)
	require.True(t, seen.Only)
	require.Equal(t, dispatch.WhyChosen, w.considered(a, far).Why)
	w.sound(t)
}

func TestACrewThatIsSoonFreeIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	near := w.crew(1000)
	job := w.assigned(near)
	_, err := w.ConfirmArrival(w.ctx, ownerOf(job), job.ID, time.Time{})
	require.NoError(t, err)
	w.clock.advance(28 * time.Minute)
	w.sight(near, 0)
	far := w.crew(13_000)

	r := w.openAt(500)
	require.Empty(t, w.match(r))
	got := w.reload(r)
	require.Equal(t, dispatch.RequestOpen, got.State, "planned is not stranded")
	require.Equal(t, dispatch.HeldPlanned, got.Held.Why)
	require.Equal(t, near.ID, *got.Held.Crew)
	require.Equal(t, w.clock.Now().Add(5*time.Minute), *got.Held.FreeAt)
	require.WithinDuration(t, got.Held.FreeAt.Add(time.Minute+81*time.Second), *got.Held.ExpectedAt, 2*time.Second)
	seen := w.considered(r, near)
	require.Equal(t, dispatch.WhySoon, seen.Why)
	require.Equal(t, 300, seen.FreeInS)
	require.Equal(t, dispatch.WhyKept, w.considered(r, far).Why)
	require.Equal(t, []string{events.RequestOpened{}.EventType(), events.RequestHeld{}.EventType()}, w.told(r))
	require.Empty(t, w.match(r))
	require.Equal(t, got, w.reload(r), "a retry that finds the same changes nothing")

	_, err = w.Finish(w.ctx, as(near), job.ID, dispatch.OutcomeFixed)
	require.NoError(t, err)
	require.Equal(t, map[events.RequestID]events.CrewID{r.ID: near.ID}, offered(w.match(r)))
	require.Nil(t, w.reload(r).Held)
}

func TestABrokenPromiseIsPutOffAndNotForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	late := w.openAt(0)
	w.clock.advance(50 * time.Minute)
	c := w.crew(1000)
	// next is a call that can still be kept, and who gets the only crew.
	next := func() (dispatch.Request, map[events.RequestID]events.CrewID) {
		w.sight(c, 1000)
		r := w.openAt(0)
		return r, offered(w.match(r))
	}
	kept, got := next()
	require.Equal(t, map[events.RequestID]events.CrewID{kept.ID: c.ID}, got)
	r := w.reload(late)
	require.Equal(t, dispatch.RequestOpen, r.State)
	require.Equal(t, dispatch.HeldForPromises, r.Held.Why)
	require.Equal(t, dispatch.WhyOther, w.considered(late, c).Why)
	require.Equal(t, dispatch.HeldForPromises, w.row(late).Held.Why, "the queue shows it")

	_, err := w.Cancel(w.ctx, desk, kept.ID, "over", 0)
	require.NoError(t, err)
	w.clock.advance(150 * time.Minute)
	_, got = next()
	require.Equal(t, c.ID, got[late.ID], "it has waited long enough")
	require.Nil(t, w.reload(late).Held)
	w.sound(t)
}

// A held request that nobody can take any more is stranded, and one that was
// stranded is held when a crew will be free for it.
func TestHeldAndStranded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(1000)
	job := w.assigned(c)
	r := w.open()
	require.Empty(t, w.match(r))
	require.Equal(t, c.ID, *w.reload(r).Held.Crew)

	_, err := w.EndShift(w.ctx, as(c), c.ID)
	require.NoError(t, err)
	require.Empty(t, w.match(r))
	got := w.reload(r)
	require.Equal(t, dispatch.RequestStranded, got.State)
	require.Nil(t, got.Held)

	_, err = w.StartShift(w.ctx, as(c), c.ID)
	require.NoError(t, err)
	require.Empty(t, w.match(r))
	held := w.reload(r)
	require.Equal(t, dispatch.RequestStranded, held.State)
	require.Equal(t, c.ID, *held.Held.Crew)

	_, err = w.EndShift(w.ctx, as(c), c.ID)
	require.NoError(t, err)
	require.Empty(t, w.match(r))
	require.Nil(t, w.reload(r).Held)
	require.Equal(t, got.StrandedAt, w.reload(r).StrandedAt)
	_, err = w.Cancel(w.ctx, desk, job.ID, "over", 0)
	require.NoError(t, err)
	w.sound(t)
}
