package dispatch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/fault"
)

func TestABareTapStopsNoClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(9000)
	r := w.assigned(c)
	w.clock.advance(5 * time.Minute)
	tapped := w.clock.Now()
	r, err := w.ClaimArrival(w.ctx, as(c), r.ID, time.Time{})
	require.NoError(t, err)
	require.Equal(t, dispatch.RequestAssigned, r.State)
	require.Equal(t, tapped, *r.UnprovenAt)
	require.Contains(t, w.told(r), events.ArrivalUnproven{}.EventType())
	_, err = w.Finish(w.ctx, as(c), r.ID, dispatch.OutcomeFixed)
	require.Equal(t, fault.Conflict, fault.KindOf(err), "who has not arrived cannot have finished")

	_, err = w.DecideArrival(w.ctx, as(c), r.ID, true, time.Time{}, "I was there")
	require.ErrorIs(t, err, dispatch.ErrForbidden)
	r, err = w.DecideArrival(w.ctx, desk, r.ID, false, time.Time{}, "the tracker shows it 9 km away")
	require.NoError(t, err)
	require.Nil(t, r.UnprovenAt)
	require.Equal(t, dispatch.RequestAssigned, r.State)

	w.clock.advance(time.Minute)
	second := w.clock.Now()
	r, err = w.ClaimArrival(w.ctx, as(c), r.ID, second)
	require.NoError(t, err)
	require.Equal(t, second, *r.UnprovenAt, "the tap that was not believed counts no more")
	r, err = w.DecideArrival(w.ctx, desk, r.ID, true, time.Time{}, "the owner was on the phone")
	require.NoError(t, err)
	require.Equal(t, dispatch.RequestOnScene, r.State)
	require.Equal(t, dispatch.ByOperator, r.ArrivalSource)
	require.Equal(t, second, *r.ArrivedAt)
}

// stood is a crew that has stood at the car of its request, with the two fixes
// that prove it once its trail is noted.
func (w *world) stood() (c dispatch.Crew, r dispatch.Request, first, second dispatch.Fix) {
	c = w.crew(2000)
	r = w.assigned(c)
	w.clock.advance(10 * time.Minute)
	first = w.sight(c, 40)
	w.clock.advance(25 * time.Second)
	return c, r, first, w.sight(c, 30)
}

func TestEarlierProofComesToLight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, r, first, second := w.stood()
	w.clock.advance(5 * time.Minute)
	r, err := w.ConfirmArrival(w.ctx, ownerOf(r), r.ID, time.Time{})
	require.NoError(t, err)
	require.Equal(t, dispatch.ByOwner, r.ArrivalSource)
	r, err = w.Finish(w.ctx, as(c), r.ID, dispatch.OutcomeFixed)
	require.NoError(t, err)

	// The device was out of reach; its trail arrives after the job, in pieces,
	// in the wrong order, and twice.
	require.NoError(t, w.NoteFixes(w.ctx, c.ID, []dispatch.Fix{second}))
	require.Equal(t, r, w.reload(r), "one fix is no stay")
	for range 2 {
		require.NoError(t, w.NoteFixes(w.ctx, c.ID, []dispatch.Fix{second, first}))
	}
	r = w.reload(r)
	require.Equal(t, first.At, *r.ArrivedAt)
	require.Equal(t, dispatch.ByGPS, r.ArrivalSource)
	require.Equal(t, first.At, *r.Evidence.GPSAt)
	require.NotNil(t, r.Evidence.OwnerAt, "all times are kept")
	n := 0
	for _, typ := range w.told(r) {
		if typ == (events.CrewArrived{}).EventType() {
			n++
		}
	}
	require.Equal(t, 2, n)
}

// A crew that stood at the car when its owner called it off had arrived, even
// if its trail is heard only while it has its next request.
func TestProofComesToLightAfterACancellation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, r, first, second := w.stood()
	w.clock.advance(time.Minute)
	r, err := w.Cancel(w.ctx, ownerOf(r), r.ID, "it runs again", 0)
	require.NoError(t, err)
	require.Nil(t, r.ArrivedAt)
	next := w.assigned(c)

	require.NoError(t, w.NoteFixes(w.ctx, c.ID, []dispatch.Fix{first, second}))
	r = w.reload(r)
	require.Equal(t, dispatch.RequestCancelled, r.State)
	require.Equal(t, first.At, *r.ArrivedAt)
	require.Contains(t, w.told(r), events.CrewArrived{}.EventType())
	require.Equal(t, next, w.reload(next), "the same fixes are older than the next request")

	after := dispatch.Fix{At: r.ClosedAt.Add(time.Second), Point: r.Place.Point, Accuracy: 5}
	later := after
	later.At = after.At.Add(time.Minute)
	before := w.reload(r)
	require.NoError(t, w.NoteFixes(w.ctx, c.ID, []dispatch.Fix{after, later}))
	require.Equal(t, before, w.reload(r), "to stand there after the end proves nothing")
}

func TestArrivalTimesThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(2000)
	r := w.assigned(c)
	w.clock.advance(10 * time.Minute)
	for _, at := range []time.Time{w.clock.Now().Add(time.Minute), w.clock.Now().Add(-time.Hour)} {
		_, err := w.ClaimArrival(w.ctx, as(c), r.ID, at)
		require.Equal(t, []string{"arrived_at range"}, wrongFields(t, err))
		_, err = w.ConfirmArrival(w.ctx, ownerOf(r), r.ID, at)
		require.Equal(t, []string{"arrived_at range"}, wrongFields(t, err))
	}
	require.Equal(t, r, w.reload(r))
	r, err := w.ConfirmArrival(w.ctx, ownerOf(r), r.ID, w.clock.Now().Add(3*time.Second))
	require.NoError(t, err, "a phone's clock may be a little ahead")
	require.Equal(t, w.clock.Now(), *r.ArrivedAt)
	_, err = w.ClaimArrival(w.ctx, as(w.crew(1)), r.ID, time.Time{})
	require.ErrorIs(t, err, dispatch.ErrNoRequest)
}

// TestArrivalOfARequestThatIsOver is the crew that taps while its owner calls
// off: what it says is true, and the request's state is why it is refused.
func TestArrivalOfARequestThatIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(2000)
	r := w.assigned(c)
	w.clock.advance(10 * time.Minute)
	r, err := w.Cancel(w.ctx, ownerOf(r), r.ID, "it starts again", 0)
	require.NoError(t, err)
	closed := w.clock.Now()
	w.clock.advance(time.Second)
	for name, hear := range map[string]func(at time.Time) (dispatch.Request, error){
		"tap":   func(at time.Time) (dispatch.Request, error) { return w.ClaimArrival(w.ctx, as(c), r.ID, at) },
		"owner": func(at time.Time) (dispatch.Request, error) { return w.ConfirmArrival(w.ctx, ownerOf(r), r.ID, at) },
		"code": func(at time.Time) (dispatch.Request, error) {
			return w.ConfirmByCode(w.ctx, as(c), r.ID, r.Code, at)
		},
	} {
		for _, at := range []time.Time{{}, w.clock.Now(), w.clock.Now().Add(3 * time.Second), closed.Add(time.Microsecond)} {
			_, err = hear(at)
			require.ErrorIs(t, err, dispatch.ErrRequestClosed, name)
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Equal(t, map[string]any{"state": dispatch.RequestCancelled, "closed_at": closed}, f.Facts, name)
		}
		_, err = hear(w.clock.Now().Add(time.Minute))
		require.Equal(t, []string{"arrived_at range"}, wrongFields(t, err), "the future is malformed, whatever the state")
	}
	require.Equal(t, r, w.reload(r), "nothing has changed")
}

// TestWordOfAnArrivalBeforeTheEnd is the crew that was there, whose tap came
// in after the owner had called off: when things happened counts, not when we
// heard.
func TestWordOfAnArrivalBeforeTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(2000)
	r := w.assigned(c)
	w.clock.advance(10 * time.Minute)
	w.sight(c, 40)
	there := w.clock.Now()
	w.clock.advance(5 * time.Second)
	_, err := w.Cancel(w.ctx, ownerOf(r), r.ID, "it starts again", 0)
	require.NoError(t, err)
	w.clock.advance(time.Second)
	r, err = w.ClaimArrival(w.ctx, as(c), r.ID, there)
	require.NoError(t, err)
	require.Equal(t, dispatch.RequestCancelled, r.State)
	require.Equal(t, there, *r.ArrivedAt)
	require.Equal(t, dispatch.CrewAvailable, w.crewNow(c).State)
	require.Equal(t, events.CrewArrived{}.EventType(), w.told(r)[4], "the promise is reckoned with it")
}

func TestTheOwnersCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(2000)
	r := w.assigned(c)
	wrong := "0000"
	if r.Code == wrong {
		wrong = "0001"
	}
	w.clock.advance(10 * time.Minute)
	for range 4 {
		_, err := w.ConfirmByCode(w.ctx, as(c), r.ID, wrong, time.Time{})
		require.ErrorIs(t, err, dispatch.ErrWrongCode)
	}
	_, err := w.ConfirmByCode(w.ctx, as(c), r.ID, r.Code, w.clock.Now().Add(-6*time.Minute))
	require.Equal(t, []string{"arrived_at range"}, wrongFields(t, err))
	got, err := w.ConfirmByCode(w.ctx, as(c), r.ID, r.Code, time.Time{})
	require.NoError(t, err)
	require.Equal(t, dispatch.ByCode, got.ArrivalSource)

	d := w.crew(3000)
	r = w.assigned(d)
	for range 5 {
		_, err := w.ConfirmByCode(w.ctx, as(d), r.ID, "12345", time.Time{})
		require.ErrorIs(t, err, dispatch.ErrWrongCode)
	}
	_, err = w.ConfirmByCode(w.ctx, as(d), r.ID, r.Code, time.Time{})
	require.ErrorIs(t, err, dispatch.ErrCodeSpent)

	next := w.crew(4000)
	r, err = w.Release(w.ctx, as(d), r.ID, "cannot read", 0)
	require.NoError(t, err)
	offers := w.match(r)
	require.Len(t, offers, 1)
	r, err = w.Accept(w.ctx, as(next), offers[0].ID)
	require.NoError(t, err)
	r, err = w.ConfirmByCode(w.ctx, as(next), r.ID, r.Code, time.Time{})
	require.NoError(t, err, "one crew's mistakes do not shut out the next")
	require.Equal(t, dispatch.ByCode, r.ArrivalSource)
}
