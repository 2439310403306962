package sim

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// TrialDoc is what the document about trials says of them besides their
// figures.
type TrialDoc struct {
	World  World
	Demand string // name of the file
	Plot   string // name of the picture beside the document
	Seeds  []uint64
}

// Write writes the document, in Markdown, and returns how many criteria there
// are and how many are missed.
func (d TrialDoc) Write(w io.Writer, trials []Trial) (asked, missed int, err error) {
	var b strings.Builder
	d.head(&b)
	failed := d.criteria(&b, trials, &asked)
	missed = len(failed)
	if missed > 0 {
		b.WriteString("\n### What is missed\n\n| row | asked | got |\n|---|---|---|\n")
		b.WriteString(strings.Join(failed, ""))
	}
	d.table(&b, trials)
	_, err = io.WriteString(w, b.String())
	return asked, missed, err
}

func (d TrialDoc) head(b *strings.Builder) {
	seeds := strings.Trim(fmt.Sprint(d.Seeds), "[]")
	fmt.Fprintf(b, `# The promise, against nearest and closest

What the service's assignment (promise) makes of real calls, beside two plain
rules: nearest, where the oldest request takes the nearest free crew, and
closest, where a freed crew takes the closest waiting car. `+"`make bench-promise DEMAND=FILE`"+`
writes this page; `+"`rescued replay`"+` shows the same on any operator's own calls.

Demand: %s, %d calls, month by month. Crews: placed at calls drawn
from the month with seed %s, always on duty. Travel: great circle × %s at %s km/h;
turnout %s min, service %s min, promise %s min.

![late arrivals by fleet size](%s)

`, d.Demand, len(d.World.Calls), strings.ReplaceAll(seeds, " ", ", "), number(d.World.Model.Detour), number(d.World.Model.UrbanKmh),
		inMinutes(d.World.Turnout), inMinutes(d.World.Service), inMinutes(d.World.Promised), d.Plot)
}

func inMinutes(t time.Duration) string { return number(t.Minutes()) }

// criteria writes how many rows of each band hold what is asked of them, and
// returns a line for each criterion that is missed.
func (d TrialDoc) criteria(b *strings.Builder, trials []Trial, asked *int) (failed []string) {
	b.WriteString("## What is asked, and whether it holds\n\n| asked | got | holds |\n|---|---|---|\n")
	for _, c := range SumCriteria(trials) {
		*asked++
		fmt.Fprintf(b, "| %s | %s | %s |\n", c.What, c.Got, passed(c.Pass))
		if !c.Pass {
			failed = append(failed, fmt.Sprintf("| all busy | %s | %s |\n", c.What, c.Got))
		}
	}
	var none []string
	for _, band := range []Band{Easy, Busy, Collapse} {
		held, of := map[string]int{}, map[string]int{}
		var order []string
		for _, t := range trials {
			if t.Band() != band {
				continue
			}
			for _, c := range t.Criteria() {
				*asked++
				if of[c.What] == 0 {
					order = append(order, c.What)
				}
				of[c.What]++
				held[c.What] += btoi(c.Pass)
				if !c.Pass {
					failed = append(failed, fmt.Sprintf("| %s, %d crews, seed %d (%s) | %s | %s |\n", t.Month, t.Crews, t.Seed, band, c.What, c.Got))
				}
			}
		}
		if len(order) == 0 {
			none = append(none, string(band))
		}
		for _, what := range order {
			fmt.Fprintf(b, "| each %s row: %s | %d of %d rows | %s |\n", band, what, held[what], of[what], passed(held[what] == of[what]))
		}
	}
	b.WriteString("\nA row is easy where nearest is late for less than 5%, busy for 5–40%, hard up to 60%\n(nothing is asked there), in collapse above.\n")
	if len(none) > 0 {
		fmt.Fprintf(b, "Of these calls and fleets, no row is %s: what is asked there was not tried.\n", strings.Join(none, ", or "))
	}
	return failed
}

func passed(ok bool) string {
	if ok {
		return "yes"
	}
	return "**no**"
}

// table writes the figures of every run.
func (d TrialDoc) table(b *strings.Builder, trials []Trial) {
	b.WriteString("\n## Every run\n\nMinutes, but for the counts.\n\n| month | crews | seed | row | policy | late | share | mean | P90 | longest wait | late in all | diversions |\n|---|---:|---:|---|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, t := range trials {
		first := fmt.Sprintf("%s | %d | %d | %s", t.Month, t.Crews, t.Seed, t.Band())
		for _, s := range []Summary{t.Nearest, t.Closest, t.Promise} {
			fmt.Fprintf(b, "| %s | %s | %d | %.2f%% | %.1f | %.1f | %.1f | %.0f | %d |\n", first, s.Policy, s.Late,
				100*share(s.Late, s.Requests), s.ResponseMeanS/60, s.ResponseP90S/60, s.ResponseMaxS/60, s.LateTotalS/60, s.Diversions)
			first = " | | | "
		}
	}
}

// TrialPanels shows the share of late arrivals against the size of the fleet,
// a panel for each month, the mean over the seeds.
func TrialPanels(trials []Trial) []Panel {
	var panels []Panel
	byMonth := map[string][]Trial{}
	for _, t := range trials {
		if len(byMonth[t.Month]) == 0 {
			panels = append(panels, Panel{Title: t.Month, X: "crews", Y: "% late"})
		}
		byMonth[t.Month] = append(byMonth[t.Month], t)
	}
	for i := range panels {
		all := byMonth[panels[i].Title]
		for j, name := range PolicyNames() {
			line := Series{Name: name}
			for _, t := range all {
				s := []Summary{t.Nearest, t.Closest, t.Promise}[j]
				late := 100 * float64(s.Late) / float64(max(s.Requests, 1))
				at := -1
				for k, x := range line.X {
					if x == float64(t.Crews) {
						at = k
					}
				}
				if at < 0 {
					at = len(line.X)
					line.X, line.Y = append(line.X, float64(t.Crews)), append(line.Y, 0)
				}
				line.Y[at] += late
			}
			for k := range line.Y {
				line.Y[k] *= float64(len(line.Y)) / float64(len(all))
			}
			panels[i].Series = append(panels[i].Series, line)
		}
	}
	return panels
}
