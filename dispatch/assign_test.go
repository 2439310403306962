package dispatch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/geo"
)

var (
	midday = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	square = geo.Point{Lat: 22.54, Lng: 114.05}
	terms  = Terms{Turnout: 2 * time.Minute, Service: 30 * time.Minute, Patience: 90 * time.Minute, Pace: 6}
)

func minutes(n float64) time.Duration { return time.Duration(n * float64(time.Minute)) }

// called is a request opened some minutes ago under a 45-minute promise.
func called(minutesAgo float64, priority int, reach ...Reach) Waiting {
	opened := midday.Add(-minutes(minutesAgo))
	return Waiting{At: square, Opened: opened, Due: opened.Add(45 * time.Minute), Priority: priority, Reach: reach}
}

func drive(crew int, n float64) Reach { return Reach{crew, minutes(n)} }

func free() Candidate { return Candidate{At: square, FreeAt: midday} }

func freeIn(n float64) Candidate { return Candidate{At: square, FreeAt: midday.Add(minutes(n))} }

func until(n float64) Candidate {
	return Candidate{At: square, FreeAt: midday, Until: midday.Add(minutes(n))}
}

func doing(request int, arrives float64) Candidate {
	return Candidate{At: square, FreeAt: midday, Doing: &Drive{request, midday.Add(minutes(arrives))}}
}

// busy are the terms where two calls an hour are to be expected half an hour's
// drive from the square.
func busy() Terms {
	t := terms
	t.Prospect = Prospect{Places: []geo.Vector{geo.VectorOf(geo.Offset(square, 12_000, 0))}, Rate: 2, Promise: promised}
	return t
}

// sent is who goes to each request, -1 for nobody new.
func sent(waiting []Waiting, crews []Candidate, t Terms) []int {
	got := make([]int, len(waiting))
	for i := range got {
		got[i] = -1
	}
	for _, p := range Assign(waiting, crews, midday, t) {
		got[p.Request] = p.To.Crew
	}
	return got
}

func TestAssign(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		crews   []Candidate
		waiting []Waiting
		want    []int
	}{
		{"nobody competes: the soonest crew", []Candidate{free(), free()},
			[]Waiting{called(0, 0, drive(0, 20), drive(1, 8))}, []int{1}},
		{"a sooner crew is left to whom nobody else reaches in time", []Candidate{free(), free()},
			[]Waiting{called(0, 0, drive(0, 5), drive(1, 9)), called(30, 0, drive(0, 10), drive(1, 40))}, []int{1, 0}},
		{"nobody stays unserved to save driving", []Candidate{free(), free()},
			[]Waiting{called(0, 0, drive(0, 5)), called(0, 0, drive(0, 6), drive(1, 30))}, []int{0, 1}},
		{"one crew: the promise that can be kept", []Candidate{free()},
			[]Waiting{called(50, 0, drive(0, 10)), called(20, 0, drive(0, 10))}, []int{-1, 0}},
		{"one crew, two promises: the higher class", []Candidate{free()},
			[]Waiting{called(30, 0, drive(0, 5)), called(30, 2, drive(0, 5))}, []int{-1, 0}},
		{"a crew that covers nothing is spared at once", []Candidate{free()},
			[]Waiting{called(60, 0, drive(0, 10))}, []int{0}},
		{"after Patience a crew's last job is for it, not for a promise", []Candidate{until(5)},
			[]Waiting{called(91, 0, drive(0, 10)), called(20, 0, drive(0, 10))}, []int{0, -1}},
		{"after Patience somebody goes, from however far", []Candidate{free()},
			[]Waiting{called(91, 0, drive(0, 600))}, []int{0}},
		{"a near crew soon free rather than a far one", []Candidate{free(), freeIn(2)},
			[]Waiting{called(0, 0, drive(0, 38), drive(1, 4))}, []int{-1}},
		{"a far free crew rather than a broken promise", []Candidate{free(), freeIn(44)},
			[]Waiting{called(0, 0, drive(0, 38), drive(1, 4))}, []int{0}},
		{"a crew turned round where that saves a promise", []Candidate{doing(0, 20), free()},
			[]Waiting{called(5, 0, drive(0, 18), drive(1, 20)), called(30, 0, drive(0, 8), drive(1, 50))}, []int{1, 0}},
		{"a crew under way kept where it saves nothing", []Candidate{doing(0, 20), free()},
			[]Waiting{called(5, 0, drive(0, 18), drive(1, 20)), called(5, 0, drive(0, 10), drive(1, 12))}, []int{-1, 1}},
		{"no job starts after the shift", []Candidate{until(-1), free()},
			[]Waiting{called(0, 0, drive(0, 5), drive(1, 20))}, []int{1}},
		{"a job may end after it", []Candidate{until(1), free()},
			[]Waiting{called(0, 0, drive(0, 5), drive(1, 20))}, []int{0}},
		{"nobody can go", []Candidate{free()}, []Waiting{called(0, 0)}, []int{-1}},
		{"nobody is there", nil, []Waiting{called(0, 0)}, []int{-1}},
		{"nobody waits", []Candidate{free()}, nil, []int{}},
	} {
		require.Equal(t, c.want, sent(c.waiting, c.crews, terms), c.name)
	}
}

func TestAssignWithCallsToCome(t *testing.T) {
	t.Parallel()
	east := Candidate{At: geo.Offset(square, 24_000, 0), FreeAt: midday}
	far := func(w Waiting) Waiting { w.At = geo.Offset(square, -12_000, 0); return w }
	for _, c := range []struct {
		name    string
		crews   []Candidate
		waiting []Waiting
		want    []int
	}{
		{"a late one waits for a crew that can be spared", []Candidate{free()},
			[]Waiting{called(60, 0, drive(0, 10))}, []int{-1}},
		{"a late one is served after Patience", []Candidate{free()},
			[]Waiting{called(91, 0, drive(0, 10))}, []int{0}},
		{"a late one of a higher class is not put off", []Candidate{free()},
			[]Waiting{called(60, 1, drive(0, 10))}, []int{0}},
		{"a crew is spared when another, whom nobody asks for, covers the place too", []Candidate{free(), east, east, east},
			[]Waiting{called(60, 0, drive(0, 10))}, []int{0}},
		{"the crew that covers nothing goes, though the other is sooner", []Candidate{free(), {At: geo.Offset(square, -24_000, 0), FreeAt: midday}},
			[]Waiting{far(called(0, 0, drive(0, 30), drive(1, 34)))}, []int{1}},
		{"a promise is not given up for one that may be needed", []Candidate{free()},
			[]Waiting{far(called(0, 0, drive(0, 30)))}, []int{0}},
	} {
		require.Equal(t, c.want, sent(c.waiting, c.crews, busy()), c.name)
	}
}

func TestAssignSaysWhatIsLate(t *testing.T) {
	t.Parallel()
	pairings := Assign([]Waiting{called(60, 0, drive(0, 10)), called(0, 0, drive(1, 10))}, []Candidate{free(), free()}, midday, terms)
	require.ElementsMatch(t, []Pairing{{0, drive(0, 10), true}, {1, drive(1, 10), false}}, pairings)
}

// drawWorld makes a world of a city: crews free, soon free, at the end of their
// shift and on their way, and requests new and old.
func drawWorld(t *rapid.T, mostWaiting, mostCrews int) ([]Waiting, []Candidate, Terms) {
	place := func(what string) geo.Point {
		at := func(axis string) float64 { return float64(rapid.IntRange(-12, 12).Draw(t, what+axis)) * 1000 }
		return geo.Offset(square, at(" east"), at(" north"))
	}
	n, m := rapid.IntRange(0, mostWaiting).Draw(t, "waiting"), rapid.IntRange(0, mostCrews).Draw(t, "crews")
	waiting, crews := make([]Waiting, n), make([]Candidate, m)
	for i := range waiting {
		waiting[i] = called(float64(rapid.IntRange(0, 120).Draw(t, "age")), rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "class"))
		waiting[i].At = place("request")
	}
	driven := map[int]bool{}
	for c := range crews {
		k := free()
		k.At = place("crew")
		switch rapid.IntRange(0, 4).Draw(t, "state") {
		case 0:
			k.FreeAt = midday.Add(minutes(float64(rapid.IntRange(1, 40).Draw(t, "free in"))))
		case 1:
			k.Until = midday.Add(minutes(float64(rapid.IntRange(-5, 60).Draw(t, "until"))))
		case 2:
			if i := rapid.IntRange(0, n).Draw(t, "doing"); i < n && !driven[i] {
				driven[i] = true
				k.Doing = &Drive{i, midday.Add(terms.Turnout + minutes(geo.Distance(k.At, waiting[i].At)/terms.Pace/60))}
			}
		}
		crews[c] = k
		for i := range waiting {
			if k.Doing != nil && k.Doing.Request == i || rapid.IntRange(0, 3).Draw(t, "able") > 0 {
				waiting[i].Reach = append(waiting[i].Reach, drive(c, geo.Distance(k.At, waiting[i].At)/terms.Pace/60))
			}
		}
	}
	with := terms
	with.Prospect.Promise, with.Prospect.Rate = promised, float64(rapid.IntRange(0, 20).Draw(t, "calls an hour"))
	for range rapid.IntRange(0, 5).Draw(t, "places") {
		with.Prospect.Places = append(with.Prospect.Places, geo.VectorOf(place("call")))
	}
	return waiting, crews, with
}

func TestAssignKeepsTheRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		waiting, crews, with := drawWorld(t, 12, 8)
		pairings := Assign(waiting, crews, midday, with)
		require.Equal(t, pairings, Assign(waiting, crews, midday, with), "another answer to the same question")
		requests, named := map[int]bool{}, map[int]bool{}
		for _, p := range pairings {
			require.False(t, requests[p.Request], "a request twice")
			require.False(t, named[p.To.Crew], "a crew twice")
			requests[p.Request], named[p.To.Crew] = true, true
			require.Contains(t, waiting[p.Request].Reach, p.To)
			k := crews[p.To.Crew]
			require.False(t, k.FreeAt.After(midday), "a crew that is not free")
			require.False(t, !k.Until.IsZero() && k.Until.Before(midday), "a crew whose shift is over")
			require.False(t, k.Doing != nil && k.Doing.Request == p.Request, "sent where it drives already")
		}
	})
}

// planned is a plan after some steps, and what it costs with all that is left
// out and the calls to come that will be missed.
func planned(waiting []Waiting, crews []Candidate, with Terms, steps func(*plan)) (*plan, float64) {
	p := newPlan(waiting, crews, midday, with)
	for c := range p.routes {
		p.price(c)
	}
	steps(p)
	total := p.cost(p.routes)
	for i := range p.jobs {
		if len(p.jobs[i].reach) > 0 && p.holder[i] < 0 {
			total += p.jobs[i].skip
		}
	}
	return p, total
}

// cost is what routes cost, with the calls that will be missed.
func (p *plan) cost(routes [][]int) float64 {
	total := 0.0
	for c, route := range routes {
		total += p.weigh(c, route)
	}
	if p.watch == nil || math.IsInf(total, 1) {
		return total
	}
	for s, calls := range p.watch.weight {
		for i := range p.watch.places {
			missed := calls
			for c, route := range routes {
				if p.after(c, route)[s]>>i&1 == 1 {
					missed *= prospectBusy
				}
			}
			total += brokenCost * missed
		}
	}
	return total
}

func TestPlanIsNeverWorseThanItsMatching(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		waiting, crews, with := drawWorld(t, 12, 8)
		_, matched := planned(waiting, crews, with, (*plan).match)
		p, made := planned(waiting, crews, with, (*plan).make)
		require.LessOrEqual(t, made, matched+1e-6)
		held := map[int]int{}
		for c, route := range p.routes {
			require.LessOrEqual(t, len(route), routeMost)
			require.InDelta(t, p.weigh(c, route), p.costs[c], 1e-6, "a route's cost is not what was kept")
			if p.watch != nil {
				require.Equal(t, p.after(c, route), p.watch.covers[c], "what it covers is not what was kept")
			}
			for _, i := range route {
				held[i]++
				require.Equal(t, c, p.holder[i])
			}
		}
		for i := range p.jobs {
			require.Equal(t, p.holder[i] >= 0, held[i] == 1, "request %d is in %d routes", i, held[i])
		}
	})
}

// cheapest tries every way to give the jobs from i on to crews, in any order.
func (p *plan) cheapest(i int, routes [][]int) float64 {
	if i == len(p.jobs) {
		return p.cost(routes)
	}
	if len(p.jobs[i].reach) == 0 {
		return p.cheapest(i+1, routes)
	}
	best := p.jobs[i].skip + p.cheapest(i+1, routes)
	for _, to := range p.jobs[i].reach {
		route := routes[to.col]
		if len(route) == routeMost {
			continue
		}
		for at := range len(route) + 1 {
			routes[to.col] = slices.Insert(slices.Clone(route), at, i)
			best = math.Min(best, p.cheapest(i+1, routes))
		}
		routes[to.col] = route
	}
	return best
}

// On small worlds the search finds the best of all plans nearly always. Where
// it does not, it would take three crews at once to get there; all in all that
// costs little.
func TestPlanAgainstAllPlans(t *testing.T) {
	t.Parallel()
	worlds, optimal, sum, least := 0, 0, 0.0, 0.0
	rapid.Check(t, func(t *rapid.T) {
		waiting, crews, with := drawWorld(t, 4, 3)
		for c := range crews {
			// One that is late whatever happens would be cheapest called back for
			// nothing, which is no plan.
			if k := &crews[c]; k.Doing != nil && k.Doing.Arrives.After(waiting[k.Doing.Request].Due) {
				k.Doing = nil
			}
		}
		p, made := planned(waiting, crews, with, (*plan).make)
		best := p.cheapest(0, make([][]int, len(crews)))
		require.GreaterOrEqual(t, made, best-1e-6)
		worlds, sum, least = worlds+1, sum+made, least+best
		if made <= best+1e-6 {
			optimal++
		}
	})
	t.Logf("%d of %d plans are the best of all; together they cost %.5f times as much", optimal, worlds, sum/least)
	require.GreaterOrEqual(t, float64(optimal), 0.95*float64(worlds))
	require.LessOrEqual(t, sum, 1.25*least)
}

// BenchmarkAssign is one decision: requests spread over a country or all in one
// city, with as many crews as requests and with fewer, each request reached by
// its sixteen nearest. The floor gives each request in turn its soonest crew.
func BenchmarkAssign(b *testing.B) {
	for _, size := range [][2]int{{50, 50}, {500, 500}, {500, 50}, {5000, 5000}, {5000, 500}} {
		for _, spread := range []float64{12_000, 200_000} {
			waiting, crews := benchWorld(size[0], size[1], spread)
			with := terms
			with.Prospect = Prospect{Rate: float64(size[0]), Promise: promised}
			for i := range ProspectPlaces {
				with.Prospect.Places = append(with.Prospect.Places, geo.VectorOf(waiting[i*len(waiting)/ProspectPlaces].At))
			}
			name := fmt.Sprintf("waiting=%d/crews=%d/km=%.0f", size[0], size[1], spread/1000)
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					Assign(waiting, crews, midday, with)
				}
			})
			b.Run(name+"/floor=each-its-soonest", func(b *testing.B) {
				for b.Loop() {
					eachItsSoonest(waiting, len(crews))
				}
			})
		}
	}
}

func eachItsSoonest(waiting []Waiting, crews int) []int {
	used, chosen := make([]bool, crews), make([]int, len(waiting))
	for i, w := range waiting {
		best := -1
		for k, to := range w.Reach {
			if !used[to.Crew] && (best < 0 || to.Travel < w.Reach[best].Travel) {
				best = k
			}
		}
		if chosen[i] = best; best >= 0 {
			used[w.Reach[best].Crew] = true
		}
	}
	return chosen
}

func benchWorld(n, m int, spread float64) ([]Waiting, []Candidate) {
	draw := rand.New(rand.NewPCG(uint64(n), uint64(m)))
	place := func() geo.Point { return geo.Offset(square, spread*draw.NormFloat64(), spread*draw.NormFloat64()) }
	waiting, crews := make([]Waiting, n), make([]Candidate, m)
	for c := range crews {
		crews[c] = free()
		crews[c].At = place()
		if c%3 == 0 {
			crews[c].FreeAt = midday.Add(minutes(30 * draw.Float64()))
		}
	}
	for i := range waiting {
		waiting[i] = called(30*draw.Float64(), 0)
		waiting[i].At = place()
		at := geo.VectorOf(waiting[i].At)
		reach := make([]Reach, m)
		for c := range crews {
			reach[c] = drive(c, at.Distance(geo.VectorOf(crews[c].At))/terms.Pace/60)
		}
		slices.SortFunc(reach, func(a, b Reach) int { return int(a.Travel - b.Travel) })
		waiting[i].Reach = slices.Clone(reach[:min(16, m)])
	}
	return waiting, crews
}
