package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
	"rescued/sla"
)

// replayCmd runs history through the dispatcher.
type replayCmd struct {
	Run     replayRunCmd     `cmd:"" default:"withargs" help:"Replay a demand file against a fleet (what replay does by itself)."`
	Compare replayCompareCmd `cmd:"" help:"Show which requests gained and lost from one run to another."`
	Bench   replayBenchCmd   `cmd:"" help:"Compare the policies month by month, and hold promise to what is asked of it."`
	Warn    replayWarnCmd    `cmd:"" help:"Measure the early warning: breaches announced in time, and false alarms."`
}

// replayWorld are the flags that make a world, the fleet aside.
type replayWorld struct {
	Demand     string  `help:"Calls: CSV or CSV.gz with call_time,lat,lng,kind (WGS-84, UTC)." required:"" placeholder:"FILE.csv[.gz]"`
	Kind       string  `help:"Only calls of this kind." placeholder:"KIND"`
	KindNeed   string  `help:"JSON object from a kind to the capabilities it needs; a kind that is not in it needs none." placeholder:"MAP.json"`
	SpeedKmh   float64 `help:"Driving speed." default:"30"`
	Detour     float64 `help:"Length of the road over the great circle." default:"1.35"`
	ServiceMin float64 `help:"Minutes a crew works at the car." default:"30"`
	TurnoutMin float64 `help:"Minutes from a crew's commitment to its departure." default:"2"`
	PromiseMin float64 `help:"Promised minutes from call to arrival." default:"45"`
	SLAPolicy  string  `name:"sla-policy" help:"What a late arrival pays: a policy document as the live service has it; example-45 by default. The promise itself is --promise-min." placeholder:"FILE.json"`
}

// replayRunCmd is one run, or a sweep of many.
type replayRunCmd struct {
	replayWorld
	Fleet        string `help:"Crews: CSV with crew_id,lat,lng,capabilities,shift_start,shift_end." placeholder:"FILE.csv"`
	PolicyAssign string `help:"Who goes where: ${enum}; promise is the live service's." enum:"nearest,closest,promise" default:"promise"`
	Out          string `help:"Write a row for each request; with --sweep, for each run, and the plot beside it as .svg." placeholder:"RUNS.csv"`
	Summary      string `help:"Write the figures of the run." placeholder:"FILE.json"`
	Legs         string `help:"Write a row for each committed leg." placeholder:"LEGS.csv"`
	Sweep        string `help:"Run every policy with fleets of these sizes: crews=20..80, or crews=20..80/5. Each fleet is the first rows of --fleet, or drawn from the demand." placeholder:"crews=A..B"`
	StandReady   bool   `help:"Let idle crews follow the service's advice where to stand, learned from the calls so far."`
	Seed         uint64 `help:"Seed of the places of a sweep's crews, when there is no --fleet." default:"1"`
}

// Run replays.
func (c replayRunCmd) Run(a *app) error {
	var words sim.Vocabulary
	w, err := c.world(&words)
	if err != nil {
		return err
	}
	if c.Sweep != "" {
		return c.sweep(a, w, &words)
	}
	switch {
	case c.Fleet == "":
		return errors.New("--fleet is missing: name a file with the crews, or ask for --sweep crews=A..B")
	case c.Out == c.Legs && c.Out != "", c.Out == c.Summary && c.Out != "", c.Legs == c.Summary && c.Legs != "":
		return errors.New("--out, --summary and --legs must name different files")
	}
	if w.Fleet, err = sim.ReadFleet(c.Fleet, &words); err != nil {
		return err
	}
	c.warnUnable(a.stderr, w)
	return c.once(a, w)
}

// once makes one run and writes what was asked for. The files are begun before
// the run, so that a place that cannot be written to costs no waiting.
func (c replayRunCmd) once(a *app, w sim.World) error {
	policy, err := sim.NewPolicy(c.PolicyAssign)
	if err != nil {
		return err
	}
	if c.StandReady {
		policy = sim.StandReady(policy)
	}
	var runs, figures, legs *sim.Output
	for _, f := range []struct {
		path string
		into **sim.Output
	}{{c.Out, &runs}, {c.Summary, &figures}, {c.Legs, &legs}} {
		if f.path == "" {
			continue
		}
		out, err := sim.Create(f.path)
		if err != nil {
			return err
		}
		defer out.Discard()
		*f.into = out
	}
	progress := newProgress(a.stderr, "replay", len(w.Calls), "calls")
	watch := sim.Watch{Progress: func(now time.Time, called int) { progress.at(called, now.Format(time.DateOnly)) }}
	if legs != nil {
		to, err := sim.NewLegWriter(legs, w.Fleet)
		if err != nil {
			return err
		}
		watch.Leg = to.Write
	}
	result, err := sim.Run(a.ctx, w, policy, watch)
	if err != nil {
		return halted(err)
	}
	summary, err := sim.Summarise(w, c.PolicyAssign, result)
	if err != nil {
		return err
	}
	summary.StandReady = c.StandReady
	if runs != nil {
		if err := sim.WriteRuns(runs, result.Rows); err != nil {
			return fmt.Errorf("%s: %w", c.Out, err)
		}
	}
	if figures != nil {
		if err := sim.WriteJSON(figures, summary); err != nil {
			return fmt.Errorf("%s: %w", c.Summary, err)
		}
	}
	for _, out := range []*sim.Output{runs, figures, legs} {
		if out == nil {
			continue
		}
		if err := out.Close(); err != nil {
			return err
		}
	}
	return printSummary(a.stdout, summary)
}

func printSummary(out io.Writer, s sim.Summary) error {
	_, err := fmt.Fprintf(out, `%s with %d crews
  requests      %d, served %d, unserved %d
  on time       %d (%.2f%%), late %d
  response      mean %.1f min, p50 %.1f, p90 %.1f, p99 %.1f, longest %.1f
  lateness      mean %.1f min, %.0f min in all
  compensation  %v by %s
  crews         %.1f%% of their time with a job, %d diversions
  driven        %.0f km, %.0f of them to stand ready
`, s.Policy, s.Crews, s.Requests, s.Served, s.Unserved, s.OnTime, 100*s.OnTimeShare, s.Late,
		s.ResponseMeanS/60, s.ResponseP50S/60, s.ResponseP90S/60, s.ResponseP99S/60, s.ResponseMaxS/60,
		s.LateMeanS/60, s.LateTotalS/60, s.CompensationFen, s.SLAPolicy, 100*s.CrewUtilisation, s.Diversions,
		s.DrivenKm, s.MovedKm)
	return err
}

// sweep runs every policy with every size of fleet.
func (c replayRunCmd) sweep(a *app, w sim.World, words *sim.Vocabulary) error {
	sizes, err := sim.ParseSizes(c.Sweep)
	if err != nil {
		return fmt.Errorf("--sweep: %w", err)
	}
	if c.Legs != "" || c.Summary != "" {
		return errors.New("--legs and --summary are of one run; with --sweep only --out is written")
	}
	fleet := sim.Placed(w.Calls, sizes.To, c.Seed, words.All())
	if c.Fleet != "" {
		if fleet, err = sim.ReadFleet(c.Fleet, words); err != nil {
			return err
		}
		if len(fleet) < sizes.To {
			return fmt.Errorf("--sweep asks for %d crews and %s has %d; ask for fewer, or add rows", sizes.To, c.Fleet, len(fleet))
		}
	}
	var cases []sim.Case
	for _, n := range sizes.List() {
		for _, policy := range sim.PolicyNames() {
			w.Fleet = fleet[:n]
			cases = append(cases, sim.Case{World: w, Policy: policy, StandReady: c.StandReady})
		}
	}
	progress := newProgress(a.stderr, "replay", len(cases), "runs")
	all, err := sim.RunAll(a.ctx, cases, func(finished int) { progress.at(finished, "") })
	if err != nil {
		return halted(err)
	}
	table := c.Out
	if table == "" {
		table = "sweep.csv"
	}
	plot := strings.TrimSuffix(table, filepath.Ext(table)) + ".svg"
	if err := writeFile(table, func(out io.Writer) error { return sim.WriteSweep(out, all) }); err != nil {
		return err
	}
	title := fmt.Sprintf("%d calls, %d to %d crews", len(w.Calls), sizes.From, sizes.To)
	if err := writeFile(plot, func(out io.Writer) error { return sim.WritePlot(out, title, sim.SweepPanels(all)) }); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%d runs: %s and %s\n", len(all), table, plot)
	return err
}

// warnUnable tells of calls that nobody in the fleet can serve.
func (c replayRunCmd) warnUnable(out io.Writer, w sim.World) {
	for _, u := range w.Unable() {
		fmt.Fprintf(out, "replay: nobody in %s has all that %q needs by %s; %d calls stay unserved\n", c.Fleet, u.Kind, c.KindNeed, u.Calls)
	}
}

// world reads the files and checks the figures.
func (c replayWorld) world(words *sim.Vocabulary) (w sim.World, err error) {
	if w.Turnout, err = minutes("--turnout-min", c.TurnoutMin); err != nil {
		return w, err
	}
	if w.Service, err = minutes("--service-min", c.ServiceMin); err != nil {
		return w, err
	}
	if w.Promised, err = minutes("--promise-min", c.PromiseMin); err != nil {
		return w, err
	}
	switch {
	case !(c.SpeedKmh > 0) || math.IsInf(c.SpeedKmh, 0):
		return w, fmt.Errorf("--speed-kmh %g: must be a speed above 0", c.SpeedKmh)
	case !(c.Detour >= 1) || math.IsInf(c.Detour, 0):
		return w, fmt.Errorf("--detour %g: must be 1 or more; a road is never shorter than the great circle", c.Detour)
	}
	w.Model = geo.ConstantSpeed(c.SpeedKmh, c.Detour)
	w.Pays = sla.Example45()
	if c.SLAPolicy != "" {
		document, err := os.ReadFile(c.SLAPolicy)
		if err != nil {
			return w, fmt.Errorf("--sla-policy: %w", err)
		}
		if w.Pays, err = sla.ParsePolicy(document); err != nil {
			return w, fmt.Errorf("--sla-policy %s: %w", c.SLAPolicy, err)
		}
	}
	if c.KindNeed != "" {
		if w.Needs, err = sim.ReadNeeds(c.KindNeed, words); err != nil {
			return w, err
		}
	}
	if w.Calls, err = sim.ReadDemand(c.Demand, c.Kind); err != nil {
		return w, err
	}
	if len(w.Calls) == 0 && c.Kind != "" {
		return w, fmt.Errorf("%s has no calls of kind %q; leave --kind out for all, or spell it as the file does", c.Demand, c.Kind)
	}
	if len(w.Calls) == 0 {
		return w, fmt.Errorf("%s has no calls; add a row for each", c.Demand)
	}
	return w, nil
}

// halted tells of a run that was stopped halfway. Unlike a server that is told
// to stop, it has not done what was asked.
func halted(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted; nothing was written")
	}
	return err
}

// minutes reads a flag, to the millisecond.
func minutes(flag string, min float64) (time.Duration, error) {
	if !(min >= 0 && min <= 7*24*60) {
		return 0, fmt.Errorf("%s %g: must be between 0 and %d minutes", flag, min, 7*24*60)
	}
	return time.Duration(math.Round(min*60_000)) * time.Millisecond, nil
}

// writeFile writes a file whole, or nothing for an empty path.
func writeFile(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	out, err := sim.Create(path)
	if err != nil {
		return err
	}
	defer out.Discard()
	if err := write(out); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return out.Close()
}

// replayCompareCmd compares two runs.
type replayCompareCmd struct {
	A string `arg:"" help:"The run to compare with." placeholder:"A.csv"`
	B string `arg:"" help:"The run to compare." placeholder:"B.csv"`
}

// Run prints the comparison.
func (c replayCompareCmd) Run(a *app) error {
	first, err := sim.ReadRuns(c.A)
	if err != nil {
		return err
	}
	second, err := sim.ReadRuns(c.B)
	if err != nil {
		return err
	}
	return sim.Compare(a.stdout, c.A, c.B, first, second)
}
