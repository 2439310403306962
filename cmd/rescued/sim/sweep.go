package sim

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Sizes is a range of fleet sizes, both ends in it.
type Sizes struct{ From, To, Step int }

// ParseSizes reads crews=20..80, or crews=20..80/5 for every fifth size.
func ParseSizes(s string) (Sizes, error) {
	wrong := fmt.Errorf("%q is not a range of fleet sizes; write crews=20..80, or crews=20..80/5 for steps of five", s)
	span, ok := strings.CutPrefix(s, "crews=")
	if !ok {
		return Sizes{}, wrong
	}
	span, step, stepped := strings.Cut(span, "/")
	from, to, ok := strings.Cut(span, "..")
	if !stepped {
		step = "1"
	}
	var n Sizes
	for _, part := range []struct {
		text string
		into *int
	}{{from, &n.From}, {to, &n.To}, {step, &n.Step}} {
		v, err := strconv.Atoi(part.text)
		if err != nil || v < 1 || !ok {
			return Sizes{}, wrong
		}
		*part.into = v
	}
	if n.From > n.To {
		return Sizes{}, fmt.Errorf("%q is empty: write the smaller fleet first", s)
	}
	return n, nil
}

// List is every size of the range.
func (n Sizes) List() []int {
	var list []int
	for size := n.From; size <= n.To; size += n.Step {
		list = append(list, size)
	}
	return list
}

// Case is one run to be made: a policy over a world.
type Case struct {
	World      World
	Policy     string
	StandReady bool // idle crews follow the advice where to stand
}

// RunAll makes runs over all cores and returns their figures in the order of
// the cases. done is called after each, from one goroutine at a time or
// several.
func RunAll(ctx context.Context, cases []Case, done func(finished int)) ([]Summary, error) {
	out := make([]Summary, len(cases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	var finished atomic.Int64
	for i, c := range cases {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			p, err := NewPolicy(c.Policy)
			if err != nil {
				return err
			}
			if c.StandReady {
				p = StandReady(p)
			}
			r, err := Run(ctx, c.World, p, Watch{})
			if err != nil {
				return fmt.Errorf("%s with %d crews: %w", c.Policy, len(c.World.Fleet), err)
			}
			out[i], err = Summarise(c.World, c.Policy, r)
			out[i].StandReady = c.StandReady
			if done != nil {
				done(int(finished.Add(1)))
			}
			return err
		})
	}
	return out, group.Wait()
}

// WriteSweep writes a row for each summary.
func WriteSweep(w io.Writer, all []Summary) error {
	var b strings.Builder
	b.WriteString("crews,policy,requests,served,unserved,late,on_time_share,response_mean_s,response_p90_s,response_max_s,late_total_s,compensation_fen,crew_utilisation,driven_km,moved_km,stand_ready\n")
	for _, s := range all {
		fmt.Fprintf(&b, "%d,%s,%d,%d,%d,%d,%s,%s,%s,%s,%s,%d,%s,%s,%s,%t\n", s.Crews, s.Policy, s.Requests, s.Served, s.Unserved, s.Late,
			number(s.OnTimeShare), number(s.ResponseMeanS), number(s.ResponseP90S), number(s.ResponseMaxS), number(s.LateTotalS), s.CompensationFen, number(s.CrewUtilisation),
			number(s.DrivenKm), number(s.MovedKm), s.StandReady)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// SweepPanels shows the on-time share and what lateness costs against the
// size of the fleet.
func SweepPanels(all []Summary) []Panel {
	onTime := func(s Summary) float64 { return 100 * s.OnTimeShare }
	cost := func(s Summary) float64 { return float64(s.CompensationFen) / 100_000 }
	return []Panel{
		{Title: "Arrivals on time", X: "crews", Y: "% of requests", Series: lines(all, onTime)},
		{Title: "Compensation", X: "crews", Y: "1,000 yuan", Series: lines(all, cost)},
	}
}

// lines makes a line for each policy, over the fleet sizes.
func lines(all []Summary, y func(Summary) float64) []Series {
	var out []Series
	for _, policy := range PolicyNames() {
		s := Series{Name: policy}
		for _, sum := range all {
			if sum.Policy == policy {
				s.X, s.Y = append(s.X, float64(sum.Crews)), append(s.Y, y(sum))
			}
		}
		if len(s.X) > 0 {
			out = append(out, s)
		}
	}
	return out
}
