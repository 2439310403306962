package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/fault"
)

// soundness selects what must not be: a row names a broken rule.
const soundness = `
	SELECT 'an active request whose crew is not at work' FROM dispatch.requests r JOIN dispatch.crews c ON c.id = r.crew_id
	WHERE r.state IN ('assigned', 'en_route', 'on_scene') AND c.state NOT IN ('engaged', 'finishing')
	UNION ALL
	SELECT 'a crew on two requests' FROM dispatch.requests
	WHERE state IN ('assigned', 'en_route', 'on_scene') GROUP BY crew_id HAVING count(*) > 1
	UNION ALL
	SELECT 'a crew at work without a request' FROM dispatch.crews c WHERE c.state IN ('engaged', 'finishing')
	AND NOT EXISTS (SELECT FROM dispatch.requests r WHERE r.crew_id = c.id AND r.state IN ('assigned', 'en_route', 'on_scene'))
	UNION ALL
	SELECT 'a held crew without an offer, or the reverse' FROM dispatch.crews c WHERE (c.state = 'held')
	<> EXISTS (SELECT FROM dispatch.offers o WHERE o.crew_id = c.id AND o.state = 'pending')
	UNION ALL
	SELECT 'an offered request without an offer, or the reverse' FROM dispatch.requests r WHERE (r.state = 'offered')
	<> EXISTS (SELECT FROM dispatch.offers o WHERE o.request_id = r.id AND o.state = 'pending')
	UNION ALL
	SELECT 'a crew asked twice' FROM dispatch.offers GROUP BY request_id, crew_id HAVING count(*) > 1
	UNION ALL
	SELECT 'an active request without its accepted offer' FROM dispatch.requests r WHERE r.state IN ('assigned', 'en_route', 'on_scene', 'done')
	AND NOT EXISTS (SELECT FROM dispatch.offers o WHERE o.request_id = r.id AND o.crew_id = r.crew_id AND o.state = 'accepted')
	UNION ALL
	SELECT 'a request that lost its crew to a swap and got no other at once' FROM events.journal j WHERE j.data->>'reason' = 'swapped'
	AND NOT EXISTS (SELECT FROM events.journal o WHERE o.data->>'made_at' = coalesce(j.data->>'released_at', j.data->>'lapsed_at')
		AND o.data->>'request_id' = j.data->>'request_id')`

// sound checks what must hold between rows at every moment.
func (w *world) sound(t require.TestingT) {
	rows, err := w.pool.Query(w.ctx, soundness)
	require.NoError(t, err)
	broken, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Empty(t, broken)
}

// atOnce runs all functions at the same moment and gives their errors.
func atOnce(fns ...func() error) []error {
	errs := make([]error, len(fns))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() {
			<-start
			errs[i] = fn()
		})
	}
	close(start)
	wg.Wait()
	return errs
}

func won(errs []error) (n int) {
	for _, err := range errs {
		if err == nil {
			n++
		}
	}
	return n
}

const raceRuns = 25

func TestTwoAcceptsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.replica(w.pool)
	c := w.crew(1000)
	for range raceRuns {
		o := w.match(w.open())[0]
		errs := atOnce(
			func() error { _, err := w.Accept(w.ctx, as(c), o.ID); return err },
			func() error { _, err := other.Accept(w.ctx, as(c), o.ID); return err },
		)
		require.Equal(t, 1, won(errs), errs)
		require.ErrorIs(t, errors.Join(errs...), dispatch.ErrOfferGone)
		w.sound(t)
		_, err := w.Cancel(w.ctx, desk, o.Request, "next", 0)
		require.NoError(t, err)
	}
}

func TestAcceptAgainstExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// The sweeping replica's clock is past the offer's end, the other's is not.
	late := dispatch.New(w.pool, dispatch.Config{
		Now: func() time.Time { return w.clock.Now().Add(time.Minute) }, Promiser: promise45{},
	})
	c := w.crew(1000)
	for range raceRuns {
		require.NoError(t, w.Refresh(w.ctx), "what the other replica did to the crew")
		r := w.open()
		o := w.match(r)[0]
		ended := 0
		errs := atOnce(
			func() error { _, err := w.Accept(w.ctx, as(c), o.ID); return err },
			func() (err error) { ended, err = late.Sweep(w.ctx, 10); return err },
		)
		require.NoError(t, errs[1])
		w.sound(t)
		if errs[0] == nil {
			require.Zero(t, ended)
			require.Equal(t, dispatch.RequestAssigned, w.reload(r).State)
		} else {
			require.ErrorIs(t, errs[0], dispatch.ErrOfferGone)
			require.Equal(t, 1, ended)
			require.Equal(t, dispatch.RequestOpen, w.reload(r).State)
		}
		_, err := w.Cancel(w.ctx, desk, r.ID, "next", 0)
		require.NoError(t, err)
	}
}

func TestAcceptAgainstCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(1000)
	for range raceRuns {
		r := w.open()
		o := w.match(r)[0]
		errs := atOnce(
			func() error { _, err := w.Accept(w.ctx, as(c), o.ID); return err },
			func() error { _, err := w.Cancel(w.ctx, ownerOf(r), r.ID, "it started", 0); return err },
		)
		require.NoError(t, errs[1], "an owner may cancel at any stage")
		if errs[0] != nil {
			require.ErrorIs(t, errs[0], dispatch.ErrOfferGone)
		}
		require.Equal(t, dispatch.RequestCancelled, w.reload(r).State)
		require.Equal(t, dispatch.CrewAvailable, w.crewNow(c).State)
		w.sound(t)
	}
}

func TestMatchFromThreeReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var requests []dispatch.Request
	for range 12 {
		requests = append(requests, w.open())
	}
	replicas := []*dispatch.Service{w.Service, w.replica(w.pool), w.replica(w.pool)}
	for i := range 8 {
		w.crew(float64(500 * (i + 1)))
	}
	// The others know the crews from Postgres only.
	last := map[events.CrewID]dispatch.Fix{}
	crews, err := w.Crews(w.ctx, desk, dispatch.CrewFilter{})
	require.NoError(t, err)
	for _, c := range crews {
		last[c.ID], _ = w.LastFix(c.ID)
	}
	require.NoError(t, w.SampleFixes(w.ctx, last))
	for _, s := range replicas {
		require.NoError(t, s.Refresh(w.ctx))
	}
	var mu sync.Mutex
	made := 0
	round := func(s *dispatch.Service) func() error {
		return func() error {
			offers, err := s.Match(w.ctx, requests[0].Area)
			mu.Lock()
			defer mu.Unlock()
			made += len(offers)
			return err
		}
	}
	for _, err := range atOnce(round(replicas[0]), round(replicas[1]), round(replicas[2])) {
		require.NoError(t, err)
	}
	w.sound(t)
	require.Equal(t, 8, made, "every crew was asked once, by one of them")
	require.NoError(t, w.Refresh(w.ctx))
	w.match(requests[0])
	st, err := w.Stats(w.ctx)
	require.NoError(t, err)
	require.Zero(t, st.Stranded, "the eight that are asked may come free")
	require.Equal(t, 12, st.Waiting)
}

func TestEndShiftAgainstOffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(1000)
	for range raceRuns {
		r := w.open()
		var offers []dispatch.Offer
		errs := atOnce(
			func() (err error) { offers, err = w.Match(w.ctx, r.Area); return err },
			func() error { _, err := w.EndShift(w.ctx, as(c), c.ID); return err },
		)
		require.NoError(t, errs[0])
		w.sound(t)
		if len(offers) == 1 {
			require.Equal(t, fault.Conflict, fault.KindOf(errs[1]), "a crew that is asked answers first")
			require.Equal(t, dispatch.CrewHeld, w.crewNow(c).State)
		} else {
			require.NoError(t, errs[1])
			_, err := w.StartShift(w.ctx, as(c), c.ID)
			require.NoError(t, err)
		}
		_, err := w.Cancel(w.ctx, desk, r.ID, "next", 0)
		require.NoError(t, err)
	}
}

func TestOneKeyTwiceAtOnceOpensOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := events.Actor{Role: events.RoleOwner, Subject: events.NewID[events.OwnerID]().String()}
	for range raceRuns {
		in := w.call()
		in.Key = in.Vehicle.Plate
		var got [3]dispatch.Request
		open := func(i int) func() error {
			return func() (err error) { got[i], err = w.Open(w.ctx, owner, in); return err }
		}
		for _, err := range atOnce(open(0), open(1), open(2)) {
			require.NoError(t, err)
		}
		require.Equal(t, got[0].ID, got[1].ID)
		require.Equal(t, got[0].ID, got[2].ID)
	}
	var n int
	require.NoError(t, w.pool.QueryRow(w.ctx, `SELECT count(*) FROM dispatch.requests`).Scan(&n))
	require.Equal(t, raceRuns, n)
}

// mortal is a dispatching replica that is killed and started again, so many
// times: its context ends in the middle of whatever it does, and its
// connections die. The last one lives on.
func (w *world) mortal(ctx context.Context, name, url string, deaths int, rng *rand.Rand) {
	for ; ctx.Err() == nil; deaths-- {
		cfg, err := pgxpool.ParseConfig(url)
		require.NoError(w.t, err)
		cfg.MaxConns = 6
		cfg.ConnConfig.RuntimeParams["application_name"] = name
		pool, err := pgxpool.NewWithConfig(ctx, cfg)
		if err != nil {
			return
		}
		s := w.replica(pool)
		life, kill := context.WithCancel(ctx)
		if deaths > 0 {
			life, kill = context.WithTimeout(ctx, time.Duration(200+rng.IntN(800))*time.Millisecond)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Follow(life) })
		wg.Go(func() { _ = s.Run(life) })
		<-life.Done()
		_, _ = w.pool.Exec(context.WithoutCancel(ctx),
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1`, name)
		wg.Wait()
		kill()
		pool.Close()
	}
}

// work is a crew's day: it answers offers, or does not, and does its jobs.
func (w *world) work(ctx context.Context, c dispatch.Crew, rng *rand.Rand) {
	me := as(c)
	for ctx.Err() == nil {
		offers, err := w.Offers(ctx, me, c.ID)
		if err == nil && len(offers) == 1 {
			switch n := rng.IntN(20); {
			case n == 0: // says nothing; the offer runs out
				time.Sleep(20 * time.Millisecond)
			case n < 3:
				_, _ = w.Decline(ctx, me, offers[0].ID, "no")
			default:
				if r, err := w.Accept(ctx, me, offers[0].ID); err == nil {
					w.serve(ctx, c, r, rng)
				}
			}
		}
		time.Sleep(time.Duration(50+rng.IntN(50)) * time.Millisecond)
	}
}

func (w *world) serve(ctx context.Context, c dispatch.Crew, r dispatch.Request, rng *rand.Rand) {
	if rng.IntN(20) == 0 {
		_, _ = w.Release(ctx, as(c), r.ID, "broke down", 0)
		return
	}
	_, _ = w.Depart(ctx, as(c), r.ID)
	_, err := w.ConfirmArrival(ctx, ownerOf(r), r.ID, time.Time{})
	if err == nil {
		_, err = w.Finish(ctx, as(c), r.ID, dispatch.OutcomeFixed)
	}
	if err != nil && ctx.Err() == nil {
		w.t.Errorf("serve: %v", err)
	}
}

// Two hundred requests and fifty crews through three dispatchers that are
// killed again and again, and without a broker: no crew is ever on two
// requests, no request has two crews, and none is forgotten.
func TestStormThroughDyingReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := w.pool.Config().ConnString()
	crews := make([]dispatch.Crew, 50)
	last := map[events.CrewID]dispatch.Fix{}
	for i := range crews {
		crews[i] = w.crew(float64(100 * (i + 1)))
		last[crews[i].ID] = w.sight(crews[i], float64(100*(i+1)))
	}
	require.NoError(t, w.SampleFixes(w.ctx, last))

	ctx, stop := context.WithTimeout(w.ctx, 8*time.Minute)
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() { w.mortal(ctx, fmt.Sprintf("replica-%d", i), url, 8, rand.New(rand.NewPCG(1, uint64(i)))) })
	}
	for i, c := range crews {
		wg.Go(func() { w.work(ctx, c, rand.New(rand.NewPCG(2, uint64(i)))) })
	}
	// Fifteen business seconds every wall second, and fewer on a machine so busy
	// that crews come late to their offers: the clock waits its turn as they do.
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			time.Sleep(20 * time.Millisecond)
			_, _ = w.Offers(ctx, as(crews[n%50]), crews[n%50].ID)
			w.clock.advance(300 * time.Millisecond)
			if n%100 == 0 { // nobody's position grows stale
				for id, f := range last {
					f.At = w.clock.Now()
					last[id] = f
				}
				_ = w.SampleFixes(ctx, last)
			}
		}
	})
	for i := range 200 {
		_, err := w.Open(ctx, system, carCall(1000+i))
		require.NoError(t, err)
		if i%10 == 0 {
			w.sound(t)
		}
	}
	for {
		w.sound(t)
		st, err := w.Stats(w.ctx)
		require.NoError(t, err)
		if st.Done == 200 {
			break
		}
		require.NoError(t, ctx.Err(), "every request is done in the end: %+v", st)
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	wg.Wait()
	w.sound(t)
	var offers int
	require.NoError(t, w.pool.QueryRow(w.ctx, `SELECT count(*) FROM dispatch.offers`).Scan(&offers))
	require.Greater(t, offers, 200, "some were declined, released or left unanswered")
}
