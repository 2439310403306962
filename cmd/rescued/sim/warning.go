package sim

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// WarnCase is a run to be warned of.
type WarnCase struct {
	World  World
	Policy string
	Belief Belief
	What   string // what is believed, in words
}

// WarnRow is how well a run's breaches were announced: over all of it, and over
// its busiest day.
type WarnRow struct {
	Case       WarnCase
	All, Storm Warnings
}

// Run makes the run and counts what was announced.
func (c WarnCase) Run(ctx context.Context) (WarnRow, error) {
	p, err := NewPolicy(c.Policy)
	if err != nil {
		return WarnRow{}, err
	}
	look := NewLookout(c.World, c.Belief)
	r, err := Run(ctx, c.World, p, Watch{Minute: look.Minute})
	if err != nil {
		return WarnRow{}, fmt.Errorf("%s with %d crews: %w", c.Policy, len(c.World.Fleet), err)
	}
	storm := BusiestDay(c.World.Calls)
	return WarnRow{
		Case: c, All: look.Report(r.Rows, nil),
		Storm: look.Report(r.Rows, func(row Row) bool { return row.CalledAt.Truncate(day).Equal(storm) }),
	}, nil
}

// WarnAll makes runs over all cores, in the order of the cases. done is called
// after each, from one goroutine at a time or several.
func WarnAll(ctx context.Context, cases []WarnCase, done func(finished int)) ([]WarnRow, error) {
	out := make([]WarnRow, len(cases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	var finished atomic.Int64
	for i, c := range cases {
		group.Go(func() (err error) {
			if out[i], err = c.Run(ctx); err == nil && done != nil {
				done(int(finished.Add(1)))
			}
			return err
		})
	}
	return out, group.Wait()
}

// BusiestDay is the beginning of the day with the most calls, the first of
// equal ones.
func BusiestDay(calls []Call) time.Time {
	var best time.Time
	counts := map[time.Time]int{}
	for _, c := range calls { // in time order
		d := c.CalledAt.Truncate(day)
		if counts[d]++; counts[d] > counts[best] {
			best = d
		}
	}
	return best
}

// WarnAsked is the share of breaches that must be announced.
const WarnAsked = 0.95

// WarnDoc is what the page about the warning says besides its figures.
type WarnDoc struct {
	World  World
	Demand string // name of the file
	Seed   uint64
}

// Write writes the page, in Markdown. missed says how many runs announce less
// than is asked, on the busiest day or in all.
func (d WarnDoc) Write(w io.Writer, rows []WarnRow) (missed int, err error) {
	var b strings.Builder
	storm := BusiestDay(d.World.Calls).Format("2 January 2006")
	fmt.Fprintf(&b, `# Early warning, measured in replay

At every simulated minute the service's own early warning (dispatch.Foresee) is
asked what it would announce of each request for which help has not arrived.
`+"`make bench-warning DEMAND=FILE`"+` writes this page; `+"`rescued replay warn`"+` shows the same on any
operator's own calls.

Demand: %s, %d calls; the storm is %s, its busiest day.
Crews: placed at calls drawn with seed %d, always on duty, heard of once a minute.
Travel: great circle × %s at %s km/h; turnout %s min, service %s min, promise %s min.

A breach counts as announced when a danger stood announced 10 minutes before the
promised moment. A false alarm is a promise that was kept
although one stood announced 10 minutes before; rang counts those kept of which
one was ever announced, however briefly. Lead is the median time from the last
announcement to the promised moment. The crews of a run drive and work exactly as
the head says; the rows in which the warning believes otherwise show what it is
worth when it is wrong about that.

"any danger" is every reason: nobody has accepted for 3 minutes, a crew that
stands still, is silent or moves away, and help expected late. "expected late" is
the forecast alone. Asked: %.0f%% of the breaches.
`, d.Demand, len(d.World.Calls), storm, d.Seed, number(d.World.Model.Detour), number(d.World.Model.UrbanKmh),
		inMinutes(d.World.Turnout), inMinutes(d.World.Service), inMinutes(d.World.Promised), 100*WarnAsked)
	for _, part := range []struct {
		title string
		of    func(WarnRow) Warnings
	}{{"The storm, " + storm, func(r WarnRow) Warnings { return r.Storm }}, {"All calls", func(r WarnRow) Warnings { return r.All }}} {
		fmt.Fprintf(&b, "\n## %s\n\n| policy | crews | the warning believes | requests | breaches | could be saved | danger | announced | share | lead, min | false alarms | rang |\n|---|---:|---|---:|---:|---:|---|---:|---:|---:|---:|---:|\n", part.title)
		for _, r := range rows {
			x := part.of(r)
			first := fmt.Sprintf("%s | %d | %s | %d | %d | %d", r.Case.Policy, len(r.Case.World.Fleet), r.Case.What, x.Requests, x.Breaches, x.Savable)
			for _, h := range []struct {
				name string
				Heralds
			}{{"any danger", x.Any}, {"expected late", x.Expected}} {
				fmt.Fprintf(&b, "| %s | %s | %d | %s | %.0f | %d | %d |\n", first, h.name, h.Announced, portion(h.Announced, x.Breaches), h.LeadP50S/60, h.FalseAlarms, h.Rang)
				first = " | | | | | "
			}
			if x.Breaches > 0 && x.Any.AnnouncedShare < WarnAsked {
				missed++
			}
		}
	}
	b.WriteString("\n\"Could be saved\" counts the breaches for which at some minute a crew was named that\nwould still have made it, had it been kept for that request.\n")
	_, err = io.WriteString(w, b.String())
	return missed, err
}

// portion is a share in percent; — of nothing.
func portion(n, of int) string {
	if of == 0 {
		return "—"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(of))
}
