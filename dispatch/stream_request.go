package dispatch

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// positionEvery is how often, in wall time, an owner's page may hear where his
// crew is.
const positionEvery = time.Second

// errOutOfSight ends a stream whose reader may see the request no more.
var errOutOfSight = errors.New("the request is out of the reader's sight")

// positionNote tells where the crew is and when it can be expected from there.
type positionNote struct {
	Now        time.Time     `json:"now"`
	CrewID     events.CrewID `json:"crew_id"`
	Position   *positionView `json:"position"`
	ExpectedAt *time.Time    `json:"expected_at,omitempty"`
}

// followRequest streams one request: a snapshot, a change for each of its
// events, and the position of its crew while that is on its way.
func (a *API) followRequest(ctx context.Context, by events.Actor, id events.RequestID) (func(*web.Stream) error, error) {
	if _, err := a.Read(ctx, by, id); err != nil {
		return nil, err
	}
	return func(st *web.Stream) error {
		defer a.beat(st)()
		var watched atomic.Pointer[RequestView]
		defer a.watch(st, &watched)()
		read := func(ctx context.Context) (RequestView, error) {
			view, err := a.Read(ctx, by, id)
			if fault.KindOf(err) == fault.NotFound {
				return view, errOutOfSight
			}
			watched.Store(&view)
			return view, err
		}
		// A request is small: a client that comes back gets it whole again.
		err := a.followFrom(st, 0, false, func(ctx context.Context) (int64, any, error) {
			no, err := events.LatestFeedNo(ctx, a.svc.pool) // before the reading, which may be newer
			if err != nil {
				return 0, nil, err
			}
			view, err := read(ctx)
			return no, view, err
		}, func(ctx context.Context, env events.Envelope) error {
			if env.Subject != id.String() {
				return nil
			}
			view, err := read(ctx)
			if err != nil {
				return err
			}
			return st.Send(env.FeedNo, "change", view)
		})
		if errors.Is(err, errOutOfSight) {
			return st.Send(0, "gone", struct {
				ID events.RequestID `json:"id"`
			}{id})
		}
		return err
	}, nil
}

// watch sends the crew's position whenever it has moved, until the returned
// function is called.
func (a *API) watch(st *web.Stream, watched *atomic.Pointer[RequestView]) (stop func()) {
	ctx, cancel := context.WithCancel(st.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(positionEvery)
		defer tick.Stop()
		var last time.Time
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			note, ok := a.position(ctx, watched.Load())
			if !ok || !note.Position.FixedAt.After(last) {
				continue
			}
			if st.Send(0, "position", note) != nil {
				return
			}
			last = note.Position.FixedAt
		}
	}()
	return func() { cancel(); <-done }
}

// position is where the crew of a request on its way is; false when there is
// nothing to tell.
func (a *API) position(ctx context.Context, v *RequestView) (positionNote, bool) {
	if v == nil || v.Crew == nil || v.ArrivedAt != nil || !RequestState(v.State).Active() {
		return positionNote{}, false
	}
	now := a.svc.now()
	fix, ok := a.svc.LastFix(v.Crew.ID)
	if !ok || now.Sub(fix.At) > a.svc.cfg.FreshFor {
		return positionNote{}, false
	}
	note := positionNote{Now: now, CrewID: v.Crew.ID, Position: viewFix(fix), ExpectedAt: v.ExpectedAt}
	if RequestState(v.State) == RequestEnRoute {
		scene := geo.Point{Lat: v.Location.Lat, Lng: v.Location.Lng}
		note.ExpectedAt = a.svc.onTheWay(ctx, fix.Point, scene, geo.RoadClass(v.Location.RoadClass), now, v.ExpectedAt)
	}
	return note, true
}
