package dispatch_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/geo"
)

// fiveKm is what the model says of 5 km in Shenzhen at ten in the morning.
var fiveKm = geo.DefaultStraightLine().Time(geo.Offset(futian, 5000, 0), futian, geo.UrbanRoad, 10)

// nextMorning brings the clock to ten o'clock in Shenzhen.
func (w *world) nextMorning() {
	now := w.clock.Now()
	day := time.Date(now.Year(), now.Month(), now.Day(), 2, 0, 0, 0, time.UTC)
	if day.Before(now) {
		day = day.AddDate(0, 0, 1)
	}
	w.clock.advance(day.Sub(now))
}

// setOff has the crew sent to a new request from so many metres north.
func (w *world) setOff(c dispatch.Crew, metres float64) dispatch.Request {
	w.t.Helper()
	w.clock.advance(time.Second) // or the fix is no news
	w.sight(c, metres)
	r := w.assigned(c)
	r, err := w.Depart(w.ctx, as(c), r.ID)
	require.NoError(w.t, err)
	return r
}

// arrive has the crew at the car after a drive, proven by a fix beside its tap.
func (w *world) arrive(c dispatch.Crew, r dispatch.Request, took time.Duration) {
	w.t.Helper()
	w.clock.advance(took)
	w.sight(c, 40)
	r, err := w.ClaimArrival(w.ctx, as(c), r.ID, time.Time{})
	require.NoError(w.t, err)
	require.Equal(w.t, dispatch.ByTap, r.ArrivalSource)
}

func (w *world) finish(c dispatch.Crew, r dispatch.Request) {
	w.t.Helper()
	_, err := w.Finish(w.ctx, as(c), r.ID, dispatch.OutcomeFixed)
	require.NoError(w.t, err)
}

// speeds reads what was finished and tells what is known.
func speeds(t *testing.T, w *world, s *dispatch.Service) dispatch.SpeedReport {
	t.Helper()
	require.NoError(t, s.LearnSpeeds(w.ctx))
	report, err := s.Speeds(w.ctx, desk)
	require.NoError(t, err)
	return report
}

func TestFinishedJobsTeachTheModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(5000)
	before := w.open()
	offers := w.match(before)
	require.InDelta(t, fiveKm.Seconds(), offers[0].Travel.Seconds(), 1)
	require.Contains(t, offers[0].Why, "(straight_line)")
	_, err := w.Cancel(w.ctx, desk, before.ID, "for the test", 0)
	require.NoError(t, err)

	// Every morning the road takes twice what the model thinks.
	const jobs = 30
	for n := range jobs {
		w.nextMorning()
		r := w.setOff(c, 5000)
		w.arrive(c, r, 2*fiveKm)
		w.finish(c, r)
		if n%10 == 0 {
			require.NoError(t, w.LearnSpeeds(w.ctx)) // some at once, some together
		}
	}
	report := speeds(t, w, w.Service)
	require.EqualValues(t, jobs, report.Jobs)
	require.Empty(t, report.NotLearned)
	require.Equal(t, report, speeds(t, w, w.Service), "nothing is learned twice")
	urban := report.Errors[0]
	require.Equal(t, geo.UrbanRoad, urban.Class)
	require.InDelta(t, -fiveKm.Seconds(), urban.Before.Bias, 2, "the model is as far off as ever")
	require.Greater(t, urban.After.Bias, urban.Before.Bias, "what was predicted drew nearer as the days went by")
	require.Less(t, urban.After.MeanAbs, urban.Before.MeanAbs)
	require.Zero(t, urban.Before.Within10)
	require.Greater(t, urban.After.Within10, 0.5)

	// The next offer is planned, and the owner told, by what was learned. The
	// promise is the policy's and does not move.
	w.nextMorning()
	w.sight(c, 5000)
	after := w.open()
	offers = w.match(after)
	require.Greater(t, offers[0].Travel, 3*fiveKm/2)
	require.Less(t, offers[0].Travel, 2*fiveKm+fiveKm/10)
	require.Contains(t, offers[0].Why, "(learned)")
	require.Equal(t, before.Promise.Minutes, after.Promise.Minutes)
	require.Equal(t, after.OpenedAt.Add(45*time.Minute), after.Promise.DueAt)
	rounds, err := w.Considered(w.ctx, desk, after.ID)
	require.NoError(t, err)
	require.Equal(t, "learned", rounds[0].Crews[0].Source)
	_, err = w.Cancel(w.ctx, desk, after.ID, "for the test", 0)
	require.NoError(t, err)

	// A replica that starts knows the same, and behind an engine too.
	fresh := w.replica(w.pool)
	require.Equal(t, speeds(t, w, w.Service), speeds(t, w, fresh))
	engine, err := geo.NewRouted(geo.RoutedConfig{Engine: &river{wait: time.Minute}})
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	behind := dispatch.New(w.pool, dispatch.Config{
		Now: w.clock.Now, Promiser: promise45{}, LinkKey: []byte("0123456789abcdef0123456789abcdef"),
		Log: slog.New(slog.DiscardHandler), Travel: engine, Meters: registry,
	})
	require.NoError(t, behind.Refresh(w.ctx))
	behind.Sight(c.ID, w.sight(c, 5000))
	require.NoError(t, behind.LearnSpeeds(w.ctx))
	last := w.open()
	again, err := behind.Match(w.ctx, last.Area)
	require.NoError(t, err)
	require.Equal(t, offers[0].Travel, again[0].Travel)
	require.Contains(t, again[0].Why, "learned (timeout)")

	// And /metrics tell of it.
	gathered, err := registry.Gather()
	require.NoError(t, err)
	shown := map[string]float64{}
	for _, family := range gathered {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			shown[name] = max(m.GetGauge().GetValue(), m.GetCounter().GetValue())
		}
	}
	require.EqualValues(t, jobs, shown["rescued_travel_learned_drives urban"])
	require.Equal(t, urban.After.MedianAbs, shown["rescued_travel_error_median_seconds learned urban"])
	require.Equal(t, urban.After.Within10, shown["rescued_travel_error_within_10min_ratio learned all"])
	require.NotZero(t, shown["rescued_travel_figures_total learned (timeout)"])
	require.NotZero(t, shown["rescued_travel_engine_failures_total timeout"])

	// What is long ago is forgotten, and the bare model answers again.
	w.clock.advance(100 * 24 * time.Hour)
	report = speeds(t, w, w.Service)
	require.Zero(t, report.Jobs)
	_, err = w.Cancel(w.ctx, desk, last.ID, "for the test", 0)
	require.NoError(t, err)
	w.nextMorning()
	w.sight(c, 5000)
	require.Contains(t, w.match(w.open())[0].Why, "(straight_line)")
}

// Nothing is learned from a drive of which an end was not measured, or that
// was no drive straight to the car.
func TestWhatTeachesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		passed string // the reason; empty when the drive is not even counted
		jobs   int64
		happen func(w *world, c dispatch.Crew)
	}{
		"an ordinary drive teaches": {jobs: 1, happen: func(w *world, c dispatch.Crew) {
			r := w.setOff(c, 5000)
			w.arrive(c, r, 20*time.Minute)
			w.finish(c, r)
		}},
		"the owner's word alone": {passed: "unmeasured", happen: func(w *world, c dispatch.Crew) {
			r := w.setOff(c, 5000)
			w.clock.advance(20 * time.Minute)
			_, err := w.ConfirmArrival(w.ctx, ownerOf(r), r.ID, time.Time{})
			require.NoError(w.t, err)
			w.finish(c, r)
		}},
		"an operator's decision on a bare tap": {passed: "unmeasured", happen: func(w *world, c dispatch.Crew) {
			r := w.setOff(c, 5000)
			w.clock.advance(20 * time.Minute)
			_, err := w.ClaimArrival(w.ctx, as(c), r.ID, time.Time{})
			require.NoError(w.t, err)
			_, err = w.DecideArrival(w.ctx, desk, r.ID, true, time.Time{}, "on the phone")
			require.NoError(w.t, err)
			w.finish(c, r)
		}},
		"an unproven tap": {happen: func(w *world, c dispatch.Crew) {
			r := w.setOff(c, 5000)
			w.clock.advance(20 * time.Minute)
			_, err := w.ClaimArrival(w.ctx, as(c), r.ID, time.Time{})
			require.NoError(w.t, err)
		}},
		"a silent device at departure": {passed: "no_position", happen: func(w *world, c dispatch.Crew) {
			w.sight(c, 5000)
			r := w.assigned(c)
			w.clock.advance(6 * time.Minute)
			_, err := w.Depart(w.ctx, as(c), r.ID)
			require.NoError(w.t, err)
			w.arrive(c, r, 20*time.Minute)
			w.finish(c, r)
		}},
		"never said to have set off": {happen: func(w *world, c dispatch.Crew) {
			w.sight(c, 5000)
			r := w.assigned(c)
			w.arrive(c, r, 20*time.Minute)
			w.finish(c, r)
		}},
		"the tap came with the arrival": {passed: "too_short", happen: func(w *world, c dispatch.Crew) {
			r := w.setOff(c, 250)
			w.arrive(c, r, time.Minute)
			w.finish(c, r)
		}},
		"faster than any truck": {passed: "implausible", happen: func(w *world, c dispatch.Crew) {
			r := w.setOff(c, 5000)
			w.arrive(c, r, 30*time.Second)
			w.finish(c, r)
		}},
		"six times as long": {passed: "outlier", happen: func(w *world, c dispatch.Crew) {
			r := w.setOff(c, 5000)
			w.arrive(c, r, 6*fiveKm)
			w.finish(c, r)
		}},
		"stood on its way": {passed: "pause", happen: func(w *world, c dispatch.Crew) {
			r := w.setOff(c, 5000)
			w.standing(c, 3000, 12)
			w.arrive(c, r, 10*time.Minute)
			w.finish(c, r)
		}},
		"crept through a jam": {jobs: 1, happen: func(w *world, c dispatch.Crew) {
			r := w.setOff(c, 5000)
			for n := range 12 {
				w.standing(c, 3000-80*float64(n), 1)
			}
			w.arrive(c, r, 10*time.Minute)
			w.finish(c, r)
		}},
		"called off at the car": {happen: func(w *world, c dispatch.Crew) {
			r := w.setOff(c, 5000)
			w.arrive(c, r, 20*time.Minute)
			_, err := w.Cancel(w.ctx, desk, r.ID, "for the test", 0)
			require.NoError(w.t, err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.happen(w, w.crew(5000))
			report := speeds(t, w, w.Service)
			require.Equal(t, c.jobs, report.Jobs)
			if c.passed == "" {
				require.Empty(t, report.NotLearned)
			} else {
				require.Equal(t, map[string]int64{c.passed: 1}, report.NotLearned)
			}
		})
	}
}

// standing samples the crew at one place, so many minutes in a row.
func (w *world) standing(c dispatch.Crew, metresNorth float64, minutes int) {
	w.t.Helper()
	for range minutes {
		w.clock.advance(time.Minute)
		require.NoError(w.t, w.SampleFixes(w.ctx, map[events.CrewID]dispatch.Fix{c.ID: w.sight(c, metresNorth)}))
	}
}

// Of a request that changed crews only the drive of the one that arrived
// counts, from where and when that one set off.
func TestASwappedCrewTeachesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.crew(5000)
	r := w.setOff(first, 5000)
	w.clock.advance(20 * time.Minute)
	_, err := w.Release(w.ctx, as(first), r.ID, "a flat tyre", 0)
	require.NoError(t, err)
	second := w.crew(4000)
	offers := w.match(r)
	require.Equal(t, second.ID, offers[0].Crew)
	_, err = w.Accept(w.ctx, as(second), offers[0].ID)
	require.NoError(t, err)
	r, err = w.Depart(w.ctx, as(second), r.ID)
	require.NoError(t, err)
	w.arrive(second, r, 8*time.Minute)
	w.finish(second, r)
	report := speeds(t, w, w.Service)
	require.EqualValues(t, 1, report.Jobs)
	fourKm := fiveKm * 4 / 5
	require.InDelta(t, (fourKm - 8*time.Minute).Seconds(), report.Errors[0].Before.Bias, 2)

	_, err = w.Speeds(w.ctx, as(second))
	require.ErrorIs(t, err, dispatch.ErrForbidden)
}

// A proof that comes to light after the end of a job corrects what is learned,
// the next day at the latest.
func TestALaterProofCorrectsTheLesson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.crew(5000)
	r := w.setOff(c, 5000)
	w.clock.advance(15 * time.Minute)
	there := []dispatch.Fix{w.sight(c, 40)}
	w.clock.advance(25 * time.Second)
	there = append(there, w.sight(c, 40))
	w.arrive(c, r, 10*time.Minute)
	w.finish(c, r)
	bias := speeds(t, w, w.Service).Errors[0].Before.Bias
	require.NoError(t, w.NoteFixes(w.ctx, c.ID, there)) // from a device that was out of reach
	require.Equal(t, there[0].At, *w.reload(r).ArrivedAt)
	w.nextMorning()
	report := speeds(t, w, w.Service)
	require.EqualValues(t, 1, report.Jobs)
	require.InDelta(t, bias+625, report.Errors[0].Before.Bias, 1)
}

func TestSpeedsOnTheWire(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	crew := e.crew(e.provider(), 3000)
	r := e.assign(newOwner(), crew, "粤B11111")
	path := "/v1/requests/" + r.id()
	e.ok(crew, http.MethodPost, path+"/depart", nil)
	e.pass(12 * time.Minute)
	e.report(crew, 30)
	e.ok(crew, http.MethodPost, path+"/arrive", map[string]any{"arrived_at": e.clock.Now()})
	e.ok(crew, http.MethodPost, path+"/finish", map[string]any{"outcome": "fixed"})
	golden(t, "speeds", e.ok(desk, http.MethodGet, "/v1/speeds", nil).Text)
}
