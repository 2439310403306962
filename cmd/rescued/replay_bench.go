package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"rescued/cmd/rescued/sim"
)

// replayBenchCmd compares the policies month by month and says whether the
// service's own is as good as it must be.
type replayBenchCmd struct {
	replayWorld
	Crews []int    `help:"Sizes of fleet." default:"14,16,20,24,30,40"`
	Seeds []uint64 `help:"Seeds of the crews' places, each a row of its own." default:"1"`
	Out   string   `help:"Write the page here, and its plot beside it as .svg." default:"promise.md"`
}

// Run runs every row over all cores, writes the page and the plot, and fails
// when a criterion is missed.
func (c replayBenchCmd) Run(a *app) error {
	var words sim.Vocabulary
	w, err := c.world(&words)
	if err != nil {
		return err
	}
	slices.Sort(c.Crews)
	c.Crews = slices.Compact(c.Crews)
	if len(c.Crews) == 0 || c.Crews[0] < 1 || len(c.Seeds) == 0 {
		return errors.New("--crews and --seeds: name at least one of each, and crews of 1 or more")
	}
	trials, cases := sim.Trials(w, c.Crews, c.Seeds, &words)
	progress := newProgress(a.stderr, "replay bench", len(cases), "runs")
	all, err := sim.RunAll(a.ctx, cases, func(finished int) { progress.at(finished, "") })
	if err != nil {
		return halted(err)
	}
	sim.Fill(trials, all)

	plot := strings.TrimSuffix(c.Out, filepath.Ext(c.Out)) + ".svg"
	doc := sim.TrialDoc{World: w, Demand: filepath.Base(c.Demand), Plot: filepath.Base(plot), Seeds: c.Seeds}
	var asked, missed int
	if err := writeFile(c.Out, func(out io.Writer) (err error) {
		asked, missed, err = doc.Write(out, trials)
		return err
	}); err != nil {
		return err
	}
	if err := writeFile(plot, func(out io.Writer) error {
		return sim.WritePlot(out, "Late arrivals by fleet size", sim.TrialPanels(trials))
	}); err != nil {
		return err
	}
	for _, criterion := range sim.SumCriteria(trials) {
		fmt.Fprintf(a.stdout, "%-60s %s\n", criterion.What, criterion.Got)
	}
	fmt.Fprintf(a.stdout, "%d runs: %s and %s\n", len(all), c.Out, plot)
	if missed > 0 {
		return fmt.Errorf("%d of %d criteria are missed; %s names them", missed, asked, c.Out)
	}
	return nil
}
