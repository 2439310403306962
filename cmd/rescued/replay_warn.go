package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
)

// replayWarnCmd measures the early warning: which breaches it would have
// announced, how long before, and what it would have announced for nothing.
type replayWarnCmd struct {
	replayWorld
	Crews         []int     `help:"Sizes of fleet." default:"20"`
	Seed          uint64    `help:"Seed of the crews' places." default:"1"`
	PolicyAssign  []string  `help:"Who goes where, each in a run of its own." enum:"nearest,closest,promise" default:"nearest,closest,promise"`
	BelievedMin   []float64 `help:"More runs, in which the warning wrongly believes that a job at the car takes so many minutes."`
	BelievedSpeed []float64 `name:"believed-kmh" help:"More runs, in which it wrongly believes that crews drive so fast, in km/h."`
	Out           string    `help:"Write the page here." default:"promise-warning.md"`
}

// Run measures, writes the page and fails when less is announced than is asked.
func (c replayWarnCmd) Run(a *app) error {
	var words sim.Vocabulary
	w, err := c.world(&words)
	if err != nil {
		return err
	}
	slices.Sort(c.Crews)
	c.Crews = slices.Compact(c.Crews)
	if len(c.Crews) == 0 || c.Crews[0] < 1 || len(c.PolicyAssign) == 0 {
		return errors.New("--crews and --policy-assign: name at least one of each, and crews of 1 or more")
	}
	cases, err := c.cases(w, &words)
	if err != nil {
		return err
	}
	progress := newProgress(a.stderr, "replay warn", len(cases), "runs")
	rows, err := sim.WarnAll(a.ctx, cases, func(finished int) { progress.at(finished, "") })
	if err != nil {
		return halted(err)
	}
	doc := sim.WarnDoc{World: w, Demand: filepath.Base(c.Demand), Seed: c.Seed}
	missed := 0
	if err := writeFile(c.Out, func(out io.Writer) (err error) {
		missed, err = doc.Write(out, rows)
		return err
	}); err != nil {
		return err
	}
	for _, r := range rows {
		x := r.All
		fmt.Fprintf(a.stdout, "%-8s %3d crews, %-22s %d of %d breaches announced 10 min ahead (%d as expected late), lead %.0f min, %d false alarms\n",
			r.Case.Policy, len(r.Case.World.Fleet), r.Case.What+":", x.Any.Announced, x.Breaches, x.Expected.Announced, x.Any.LeadP50S/60, x.Any.FalseAlarms)
	}
	fmt.Fprintf(a.stdout, "%d runs: %s\n", len(rows), c.Out)
	if missed > 0 {
		return fmt.Errorf("less than %.0f%% of the breaches are announced in %d rows of %s", 100*sim.WarnAsked, missed, c.Out)
	}
	return nil
}

// cases are the runs: every policy with every fleet and every belief.
func (c replayWarnCmd) cases(w sim.World, words *sim.Vocabulary) ([]sim.WarnCase, error) {
	type belief struct {
		sim.Belief
		what string
	}
	beliefs := []belief{{w.Believes(), "what is so"}}
	for _, min := range c.BelievedMin {
		service, err := minutes("--believed-min", min)
		if err != nil {
			return nil, err
		}
		if service < time.Minute {
			return nil, fmt.Errorf("--believed-min %g: must be 1 or more", min)
		}
		beliefs = append(beliefs, belief{sim.Belief{Service: service, Model: w.Model}, fmt.Sprintf("jobs of %g min", min)})
	}
	for _, kmh := range c.BelievedSpeed {
		model := geo.ConstantSpeed(kmh, c.Detour)
		if err := model.Check(); err != nil {
			return nil, fmt.Errorf("--believed-kmh %g: must be a speed above 0", kmh)
		}
		beliefs = append(beliefs, belief{sim.Belief{Service: w.Service, Model: model}, fmt.Sprintf("%g km/h", kmh)})
	}
	var cases []sim.WarnCase
	for _, n := range c.Crews {
		w.Fleet = sim.Placed(w.Calls, n, c.Seed, words.All())
		for _, policy := range c.PolicyAssign {
			for _, b := range beliefs {
				cases = append(cases, sim.WarnCase{World: w, Policy: policy, Belief: b.Belief, What: b.what})
			}
		}
	}
	return cases, nil
}
