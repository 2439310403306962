package dispatch_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/fault"
)

// The lifecycles are those of the plan, to the letter.
func TestLifecyclesAreAsPlanned(t *testing.T) {
	t.Parallel()
	require.Equal(t, []dispatch.RequestState{
		"assigned", "cancelled", "done", "en_route", "offered", "on_scene", "open", "stranded",
	}, dispatch.RequestLife.States())
	rows := []string{}
	for from, row := range dispatch.RequestLife {
		for ev, to := range row {
			rows = append(rows, fmt.Sprintf("request %s %s %s", from, ev, to))
		}
	}
	for from, row := range dispatch.CrewLife {
		for ev, to := range row {
			rows = append(rows, fmt.Sprintf("crew %s %s %s", from, ev, to))
		}
	}
	for from, row := range dispatch.OfferLife {
		for ev, to := range row {
			rows = append(rows, fmt.Sprintf("offer %s %s %s", from, ev, to))
		}
	}
	slices.Sort(rows)
	require.Equal(t, []string{
		"crew available end_shift off_duty", "crew available offer held",
		"crew engaged end_shift finishing", "crew engaged finish available", "crew engaged release available",
		"crew finishing finish off_duty", "crew finishing release off_duty", "crew finishing start_shift engaged",
		"crew held accept engaged", "crew held lapse available", "crew off_duty start_shift available",
		"offer pending accept accepted", "offer pending decline declined", "offer pending expire expired", "offer pending withdraw withdrawn",
		"request assigned arrive on_scene", "request assigned cancel cancelled", "request assigned depart en_route", "request assigned release open",
		"request en_route arrive on_scene", "request en_route cancel cancelled", "request en_route release open",
		"request offered accept assigned", "request offered cancel cancelled", "request offered lapse open",
		"request on_scene cancel cancelled", "request on_scene finish done", "request on_scene release open",
		"request open cancel cancelled", "request open exhaust stranded", "request open offer offered",
		"request stranded cancel cancelled", "request stranded offer offered",
	}, rows)
}

// deed is one thing that somebody tries, at the right moment or not.
type deed struct {
	do    int // index into deeds
	which int // of the requests
	crew  int // of the crews
}

// deeds is everything that can be tried.
func deeds(w *world, requests *[]dispatch.Request, crews []dispatch.Crew) []func(d deed) error {
	request := func(d deed) dispatch.Request { return (*requests)[d.which%len(*requests)] }
	crew := func(d deed) dispatch.Crew { return crews[d.crew%len(crews)] }
	pending := func(d deed) events.OfferID {
		offers, err := w.Offers(w.ctx, desk, crew(d).ID)
		require.NoError(w.t, err)
		if len(offers) == 0 {
			return events.NewID[events.OfferID]()
		}
		return offers[0].ID
	}
	return []func(d deed) error{
		func(d deed) error { *requests = append(*requests, w.open()); return nil },
		func(d deed) error { _, err := w.Match(w.ctx, request(d).Area); return err },
		func(d deed) error { _, err := w.Accept(w.ctx, as(crew(d)), pending(d)); return err },
		func(d deed) error { _, err := w.Accept(w.ctx, as(crew(d)), pending(d)); return err },
		func(d deed) error { _, err := w.Decline(w.ctx, as(crew(d)), pending(d), "no"); return err },
		func(d deed) error { _, err := w.Withdraw(w.ctx, desk, pending(d), "changed plans"); return err },
		func(d deed) error { w.clock.advance(50 * time.Second); _, err := w.Sweep(w.ctx, 10); return err },
		func(d deed) error { _, err := w.Depart(w.ctx, desk, request(d).ID); return err },
		func(d deed) error {
			_, err := w.ConfirmArrival(w.ctx, ownerOf(request(d)), request(d).ID, time.Time{})
			return err
		},
		func(d deed) error {
			_, err := w.ClaimArrival(w.ctx, as(crew(d)), request(d).ID, time.Time{})
			return err
		},
		func(d deed) error { _, err := w.Finish(w.ctx, desk, request(d).ID, dispatch.OutcomeTowed); return err },
		func(d deed) error {
			_, err := w.Cancel(w.ctx, ownerOf(request(d)), request(d).ID, "no need", 0)
			return err
		},
		func(d deed) error { _, err := w.Release(w.ctx, desk, request(d).ID, "broke down", 0); return err },
		func(d deed) error {
			_, err := w.Reassign(w.ctx, desk, request(d).ID, crew(d).ID, "nearer", 0)
			return err
		},
		func(d deed) error {
			_, err := w.Reassign(w.ctx, desk, request(d).ID, events.CrewID{}, "again", 0)
			return err
		},
		func(d deed) error { _, err := w.StartShift(w.ctx, as(crew(d)), crew(d).ID); return err },
		func(d deed) error { _, err := w.EndShift(w.ctx, as(crew(d)), crew(d).ID); return err },
		func(d deed) error {
			_, err := w.UpdateCrew(w.ctx, as(crew(d)), crew(d).ID, dispatch.CrewChange{AutoAccept: ptr(d.which%2 == 0)}, 0)
			return err
		},
		func(d deed) error { w.sight(crew(d), float64(100+d.which)); return nil },
	}
}

// Whatever is tried, in whatever order: what must hold between requests,
// crews and offers holds, a refusal says why, and what is over stays over.
func TestNoOrderOfDeedsBreaksTheRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		crews := []dispatch.Crew{w.crew(1000), w.crew(2000), w.crew(3000)}
		requests := []dispatch.Request{w.open(), w.open()}
		try := deeds(w, &requests, crews)
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) deed {
			return deed{rapid.IntRange(0, len(try)-1).Draw(rt, "do"), rapid.IntRange(0, 4).Draw(rt, "which"), rapid.IntRange(0, 2).Draw(rt, "crew")}
		}), 1, 16).Draw(rt, "deeds")
		for _, d := range steps {
			over := map[events.RequestID]dispatch.Request{}
			for _, r := range requests {
				if r = w.reload(r); dispatch.RequestLife.Final(r.State) {
					over[r.ID] = r
				}
			}
			if err := try[d.do](d); err != nil {
				require.Contains(rt, []fault.Kind{fault.Conflict, fault.NotFound, fault.Invalid}, fault.KindOf(err), "%v", err)
			}
			w.sound(rt)
			for _, r := range over {
				now := w.reload(r)
				require.Equal(rt, r.State, now.State)
				require.Equal(rt, r.Crew, now.Crew)
			}
		}
		for _, r := range requests {
			_, _ = w.Cancel(w.ctx, desk, r.ID, "the day is over", 0)
		}
		for _, c := range crews {
			_, _ = w.EndShift(w.ctx, desk, c.ID)
		}
		w.sound(rt)
	})
}
