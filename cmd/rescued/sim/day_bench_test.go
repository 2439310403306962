package sim_test

import (
	"context"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
	"rescued/sla"
)

// bigDay is a synthetic day: calls over a country of cities, more by day than
// by night, five kinds of need, and crews of mixed ability in three shifts.
func bigDay(calls, crews int, seed uint64) sim.World {
	draw := rand.New(rand.NewPCG(seed, 1))
	cities := make([]geo.Point, 40)
	for i := range cities {
		cities[i] = geo.Point{Lat: 24 + 16*draw.Float64(), Lng: 102 + 18*draw.Float64()}
	}
	place := func() geo.Point {
		// The first cities are the largest.
		city := cities[int(float64(len(cities))*math.Pow(draw.Float64(), 2))]
		return geo.Offset(city, 12_000*draw.NormFloat64(), 12_000*draw.NormFloat64())
	}
	kinds := []string{"jump", "tyre", "tow", "winch", "heavy"}
	w := sim.World{
		Needs: map[string]geo.Capabilities{"tyre": 1, "tow": 2, "winch": 2 | 4, "heavy": 8},
		Model: geo.ConstantSpeed(30, 1.35), Turnout: 2 * time.Minute, Service: 30 * time.Minute, Promised: 45 * time.Minute,
		Pays: sla.Example45(),
	}
	start := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for len(w.Calls) < calls {
		at := draw.Float64() * 24
		if draw.Float64() < 0.4+0.6*math.Pow(math.Sin(at/24*math.Pi), 2) {
			w.Calls = append(w.Calls, sim.Call{
				CalledAt: start.Add(time.Duration(at*3_600_000) * time.Millisecond), At: place(), Kind: kinds[draw.IntN(len(kinds))],
			})
		}
	}
	slices.SortStableFunc(w.Calls, func(a, b sim.Call) int { return a.CalledAt.Compare(b.CalledAt) })
	shifts := []sim.Shift{sim.Always, sim.NewShift(6*time.Hour, 22*time.Hour), sim.NewShift(18*time.Hour, 8*time.Hour)}
	for i := range crews {
		w.Fleet = append(w.Fleet, sim.Member{
			ID: "c", At: place(), Can: []geo.Capabilities{1, 3, 7, 15}[draw.IntN(4)], Shift: shifts[i%3],
		})
	}
	return w
}

// BenchmarkDay replays 100,000 requests with 5,000 crews, legs written, and
// reports the heap beyond the calls themselves at its highest.
func BenchmarkDay(b *testing.B) {
	runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(runtime.NumCPU())
	w := bigDay(100_000, 5_000, 1)
	for _, name := range sim.PolicyNames() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				runtime.GC()
				var before, now runtime.MemStats
				runtime.ReadMemStats(&before)
				peak, n := uint64(0), 0
				to, err := sim.NewLegWriter(io.Discard, w.Fleet)
				require.NoError(b, err)
				result, err := sim.Run(context.Background(), w, policy(b, name), sim.Watch{Leg: to.Write, Progress: func(time.Time, int) {
					if n++; n%10_000 == 0 {
						runtime.ReadMemStats(&now)
						peak = max(peak, now.HeapAlloc)
					}
				}})
				require.NoError(b, err)
				s, err := sim.Summarise(w, name, result)
				require.NoError(b, err)
				b.ReportMetric(float64(peak-before.HeapAlloc)/1e6, "MB-heap-peak")
				b.ReportMetric(100*s.OnTimeShare, "%on-time")
				b.ReportMetric(100*s.CrewUtilisation, "%busy")
			}
		})
	}
}

// curious asks for the eight nearest of everything at every call and every
// freed crew, and keeps idle crews on the move, before another policy decides.
type curious struct {
	sim.Policy
	draw *rand.Rand
}

func (p *curious) Decide(v *sim.View, out *sim.Orders) {
	for _, r := range v.NewWaiting {
		at, need := v.Requests[r].At, v.Requests[r].Need
		eight(v.IdleNear(at, need))
		eight(v.DrivingNear(at, need))
		eight(v.EngagedNear(at, need))
	}
	for _, c := range v.NewIdle {
		eight(v.WaitingNear(v.Crews[c].From, v.Crews[c].Can))
	}
	p.Policy.Decide(v, out)
}

func eight(seq iter.Seq2[int, time.Duration]) {
	n := 0
	for range seq {
		if n++; n == 8 {
			return
		}
	}
}

// strolling moves every crew that is idle and stands still when nothing else
// is to be done, so that most idle crews are under way.
type strolling struct{ curious }

func (p *strolling) Decide(v *sim.View, out *sim.Orders) {
	if len(v.NewWaiting) > 0 || len(v.NewIdle) > 0 {
		p.curious.Decide(v, out)
		out.WakeAt(v.Now.Add(time.Second))
		return
	}
	for range 4 {
		if c := p.draw.IntN(len(v.Crews)); v.Crews[c].State == sim.Idle && !v.Crews[c].Moves {
			out.Move(c, geo.Offset(v.Crews[c].From, 5000*p.draw.NormFloat64(), 5000*p.draw.NormFloat64()))
			return
		}
	}
}

// BenchmarkDaySearched is the day with a policy that asks for the neighbours of
// everything, the idle crews standing or moving.
func BenchmarkDaySearched(b *testing.B) {
	runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(runtime.NumCPU())
	w := bigDay(100_000, 5_000, 1)
	for _, moving := range []bool{false, true} {
		b.Run(map[bool]string{false: "standing", true: "moving"}[moving], func(b *testing.B) {
			for b.Loop() {
				moves := 0
				p := curious{policy(b, sim.Closest), rand.New(rand.NewPCG(1, 1))}
				asks := sim.Policy(&p)
				if moving {
					asks = &strolling{p}
				}
				_, err := sim.Run(context.Background(), w, asks, sim.Watch{Leg: func(l sim.Leg) error {
					if l.Request < 0 {
						moves++
					}
					return nil
				}})
				require.NoError(b, err)
				b.ReportMetric(float64(moves), "moves")
			}
		})
	}
}
