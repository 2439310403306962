package sla_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

// drawn is a random story of one request: facts that dispatch could tell.
func drawn(random *rand.Rand) []sla.Fact {
	crews := []events.CrewID{crewA, crewB}
	kinds := []sla.FactKind{
		sla.FactAssigned, sla.FactArrived, sla.FactArrived, sla.FactArrived, sla.FactReleased, sla.FactCancelled, sla.FactFinished,
	}
	facts := make([]sla.Fact, random.Intn(6))
	for i := range facts {
		f := sla.Fact{
			Kind: kinds[random.Intn(len(kinds))], Crew: crews[random.Intn(2)],
			At: opened.Add(time.Duration(random.Intn(90)) * time.Minute),
		}
		switch f.Kind {
		case sla.FactArrived:
			f.Source = "gps"
		case sla.FactAssigned:
			f.Until = f.At.Add(time.Duration(random.Intn(60)) * time.Minute)
		case sla.FactCancelled:
			f.Crew = events.CrewID{}
		}
		facts[i] = f
	}
	return facts
}

// telling is a story as it might be heard: the opening and every fact in any
// order, some twice, under a new event identifier or the old one.
func telling(random *rand.Rand, opening events.RequestOpened, facts []sla.Fact) []events.Envelope {
	heard := []events.Envelope{wrap(opening)}
	for _, f := range facts {
		heard = append(heard, wrap(asEvent(opening.RequestID, f)))
	}
	for _, env := range heard {
		if random.Intn(3) == 0 {
			env.ID = events.NewID[events.EventID]()
		}
		if random.Intn(2) == 0 {
			heard = append(heard, env)
		}
	}
	random.Shuffle(len(heard), func(i, j int) { heard[i], heard[j] = heard[j], heard[i] })
	return heard
}

// ending is what must not depend on the telling.
func ending(r *rig, id events.RequestID) string {
	st := r.standing(id)
	v := st.Guarantee.Verdict
	live, _ := st.Live()
	return fmt.Sprint(st.Guarantee.State, " stopped ", v.StoppedAt, " late ", v.Late, " owed ", v.Fen,
		" live ", live.State, live.Fen, " expected ", st.Guarantee.ExpectedAt, " review ", v.Review)
}

// TestEveryTellingEndsAlikeInTheDatabase tells a few hundred stories three
// times each, in different orders and with repetitions, by several hands at
// once and with sweeps of any time in between.
func TestEveryTellingEndsAlikeInTheDatabase(t *testing.T) {
	t.Parallel()
	const stories, tellings, hands = 120, 3, 4
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewSource(seed))
	r := newRig(t)
	opening := r.open(events.NewID[events.RequestID](), "urban")

	told := make([][]sla.Fact, stories)
	ids := make([][tellings]events.RequestID, stories)
	work := make(chan []events.Envelope, stories*tellings)
	for i := range told {
		told[i] = drawn(random)
		for n := range tellings {
			ids[i][n] = events.NewID[events.RequestID]()
			opening.RequestID = ids[i][n]
			work <- telling(random, opening, told[i])
		}
	}
	close(work)
	var group errgroup.Group
	for hand := range hands {
		random := rand.New(rand.NewSource(seed + int64(hand)))
		group.Go(func() error {
			for heard := range work {
				for _, env := range heard {
					if err := r.deliver(env); err != nil {
						return err
					}
					if random.Intn(4) == 0 {
						now := opened.Add(time.Duration(random.Intn(100)) * time.Minute)
						if _, err := r.Sweep(context.Background(), now, 5); err != nil {
							return err
						}
					}
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	r.sweep(opened.Add(48 * time.Hour))

	var owed sla.Fen
	for i, facts := range told {
		want := sla.Example45().Owed(timeline(sla.Example45(), facts...))
		first := ending(r, ids[i][0])
		for _, id := range ids[i] {
			require.Equal(t, first, ending(r, id), "facts %v", facts)
			require.Equal(t, want.Fen, r.live(id).Fen, "facts %v", facts)
			owed += want.Fen
		}
	}
	requireBalance(t, r, owed)
}

// TestSweepsAndNewsAtOnce lets three replicas sweep while others hear the same
// stories, openings and arrivals at the same moment.
func TestSweepsAndNewsAtOnce(t *testing.T) {
	t.Parallel()
	const requests, hearers, sweepers = 60, 4, 3
	r := newRig(t)
	ids := make([]events.RequestID, requests)
	var heard []events.Envelope
	for i := range ids {
		ids[i] = events.NewID[events.RequestID]()
		opening := wrap(r.open(ids[i], "urban"))
		late := wrap(arrivedEvent(ids[i], crewA, due.Add(time.Duration(i-20)*time.Minute)))
		heard = append(heard, opening, late, opening, late)
	}
	var hearing, sweeping sync.WaitGroup
	done := make(chan struct{})
	failures := make(chan error, hearers+sweepers)
	for n := range hearers {
		hearing.Go(func() {
			mine := append([]events.Envelope(nil), heard...)
			rand.New(rand.NewSource(int64(n))).Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			for _, env := range mine {
				if err := r.deliver(env); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	for range sweepers {
		sweeping.Go(func() {
			for {
				if _, err := r.Sweep(context.Background(), due.Add(time.Hour), 20); err != nil {
					failures <- err
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	hearing.Wait()
	close(done)
	sweeping.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	var owed sla.Fen
	for i, id := range ids {
		want := sla.Example45().Owed(timeline(sla.Example45(), arrived(crewA, due.Add(time.Duration(i-20)*time.Minute))))
		g := r.standing(id).Guarantee
		require.Equal(t, string(want.Outcome), string(g.State))
		require.Equal(t, want.Fen, g.Verdict.Fen)
		require.Equal(t, want.Fen, r.live(id).Fen)
		require.Len(t, r.standing(id).Compensations, min(1, int(want.Fen)), "accrued once")
		require.LessOrEqual(t, r.count(id, events.GuaranteeBreached{}), 1)
		require.Equal(t, 1, r.count(id, events.GuaranteeSettled{}))
		owed += want.Fen
	}
	requireBalance(t, r, owed)
}

// TestTheOpeningAndTheArrivalHeardAtOnce hears both at the same moment on two
// replicas: whichever commits first, neither may miss the other.
func TestTheOpeningAndTheArrivalHeardAtOnce(t *testing.T) {
	t.Parallel()
	const rounds = 60
	r := newRig(t)
	opening := r.open(events.NewID[events.RequestID](), "urban")
	for range rounds {
		opening.RequestID = events.NewID[events.RequestID]()
		start := make(chan struct{})
		var group errgroup.Group
		for _, ev := range []events.Event{opening, arrivedEvent(opening.RequestID, crewA, due.Add(time.Minute))} {
			group.Go(func() error {
				<-start
				return r.tell(ev)
			})
		}
		close(start)
		require.NoError(t, group.Wait())
		require.Equal(t, sla.Late, r.standing(opening.RequestID).Guarantee.State)
	}
	requireBalance(t, r, rounds*2000)
}

// TestOneAlarmFromManySweeps has eight replicas sweep the same deadlines.
func TestOneAlarmFromManySweeps(t *testing.T) {
	t.Parallel()
	const requests, replicas = 150, 8
	r := newRig(t)
	for range requests {
		r.must(r.open(events.NewID[events.RequestID](), "urban"))
	}
	require.Equal(t, requests, sweepTogether(t, r, replicas, due.Add(-time.Minute)), "at risk")
	require.Equal(t, requests, sweepTogether(t, r, replicas, due.Add(time.Minute)), "breached")
	var told int
	require.NoError(t, r.pool.QueryRow(t.Context(), `SELECT count(*) FROM events.journal WHERE type IN ($1, $2)`,
		events.GuaranteeAtRisk{}.EventType(), events.GuaranteeBreached{}.EventType()).Scan(&told))
	require.Equal(t, 2*requests, told)
}

func sweepTogether(t *testing.T, r *rig, replicas int, now time.Time) int {
	t.Helper()
	var raised atomic.Int64
	var group errgroup.Group
	for range replicas {
		group.Go(func() error {
			n, err := r.Sweep(context.Background(), now, 1000)
			raised.Add(int64(n))
			return err
		})
	}
	require.NoError(t, group.Wait())
	// Whoever skipped rows that another held leaves them to the next tick.
	return int(raised.Load()) + r.sweep(now)
}

// TestManyApproveAtOnce lets ten people decide at the same moment: one does,
// the others learn that they saw an old version.
func TestManyApproveAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.live(r.late(time.Minute))
	var approved, stale atomic.Int32
	var group errgroup.Group
	for n := range 10 {
		group.Go(func() error {
			by := events.Actor{Role: events.RoleFinance, Subject: fmt.Sprintf("f%d", n)}
			decide := r.Approve
			if n%2 == 1 {
				decide = r.Void
			}
			switch _, err := decide(context.Background(), by, c.ID, c.Version, "mine"); {
			case err == nil:
				approved.Add(1)
			case errors.Is(err, sla.ErrStale) && fault.KindOf(err) == fault.Stale:
				stale.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, approved.Load())
	require.EqualValues(t, 9, stale.Load())
	require.Equal(t, 1, r.count(c.RequestID, events.CompensationChanged{}))
}
