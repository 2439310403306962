package dispatch

import (
	"context"
	"errors"
	"time"

	"rescued/events"
	"rescued/internal/web"
)

// beatEvery is how often, in wall time, a stream tells the business clock.
// Pages take it for the sign that what they show is fresh.
const beatEvery = 10 * time.Second

// resetNote says why a stream begins anew.
type resetNote struct {
	Why string `json:"why"`
}

type queueStreamInput struct {
	web.Resume
	Area string `query:"area" maxLength:"60" doc:"Only this area's rows."`
}

// followQueue streams the queue: a snapshot, then what each event does to it.
func (a *API) followQueue(_ context.Context, in *queueStreamInput) (func(*web.Stream) error, error) {
	return func(st *web.Stream) error {
		defer a.beat(st)()
		after, resumed := in.Last()
		return a.followFrom(st, after, resumed, func(ctx context.Context) (int64, any, error) {
			snap, err := a.Queue(ctx)
			if in.Area != "" {
				snap = snap.within(in.Area)
			}
			return snap.feedNo, snap, err
		}, func(ctx context.Context, env events.Envelope) error {
			change, ok, err := a.queue.change(ctx, env)
			if err != nil || !ok || (in.Area != "" && change.Row != nil && change.Row.Area != in.Area) {
				return err
			}
			return st.Send(env.FeedNo, "change", change)
		})
	}, nil
}

// within narrows a snapshot to one area.
func (s QueueSnapshot) within(area string) QueueSnapshot {
	rows := []QueueRow{}
	for _, r := range s.Rows {
		if r.Area == area {
			rows = append(rows, r)
		}
	}
	s.Rows, s.Counts = rows, count(rows, s.Now)
	return s
}

// followFrom sends a snapshot, unless the client goes on from an event it has
// seen, and then hands every later event to each, once and in order. A client
// that is too far behind gets reset and a new snapshot.
func (a *API) followFrom(st *web.Stream, after int64, resumed bool,
	snapshot func(context.Context) (int64, any, error), each func(context.Context, events.Envelope) error,
) error {
	ctx := st.Context()
	if resumed {
		last, err := events.LatestFeedNo(ctx, a.svc.pool)
		if err != nil {
			return err
		}
		if after > last { // an event of another database
			resumed = false
			if err := st.Send(0, "reset", resetNote{"unknown event"}); err != nil {
				return err
			}
		}
	}
	for {
		if !resumed {
			no, snap, err := snapshot(ctx)
			if err != nil {
				return err
			}
			if err := st.Send(no, "snapshot", snap); err != nil {
				return err
			}
			after = no
		}
		err := a.cfg.Feed.Follow(ctx, after, func(env events.Envelope) error { return each(ctx, env) })
		if !errors.Is(err, events.ErrFeedReset) {
			return err
		}
		resumed = false
		if err := st.Send(0, "reset", resetNote{"too far behind"}); err != nil {
			return err
		}
	}
}

// beat tells the clock until the returned function is called.
func (a *API) beat(st *web.Stream) (stop func()) {
	ctx, cancel := context.WithCancel(st.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if st.Send(0, "beat", clockBody{a.svc.now(), a.cfg.Speed}) != nil {
					return
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}
