package sim

import "fmt"

// Trial is one comparison of the three policies: a month, a fleet.
type Trial struct {
	Month                     string // 2016-02
	Crews                     int
	Seed                      uint64 // of the crews' places
	Nearest, Closest, Promise Summary
}

// Band sorts trials by how hard they are: by the share of nearest's late
// arrivals.
type Band string

// The bands. Nothing is asked between busy and collapse.
const (
	Easy     Band = "easy"     // below 5%
	Busy     Band = "busy"     // 5–40%
	Hard     Band = "hard"     // above 40%, up to 60%
	Collapse Band = "collapse" // above 60%
)

// Band tells how hard a trial is.
func (t Trial) Band() Band {
	late, of := t.Nearest.Late, t.Nearest.Requests
	switch {
	case late*100 < of*5:
		return Easy
	case late*100 <= of*40:
		return Busy
	case late*100 <= of*60:
		return Hard
	}
	return Collapse
}

// Criterion is something asked of promise, and whether it holds.
type Criterion struct {
	What string
	Got  string
	Pass bool
}

// atMost asks that got is no more than share of bound.
func atMost(what string, got, share, bound float64) Criterion {
	c := Criterion{What: what, Pass: got <= share*bound*(1+1e-12)}
	if bound > 0 {
		c.Got = fmt.Sprintf("%s of %s (%.3f)", number(rounded(got, 1)), number(rounded(bound, 1)), got/bound)
	} else {
		c.Got = fmt.Sprintf("%s of %s", number(rounded(got, 1)), number(rounded(bound, 1)))
	}
	return c
}

// Criteria lists what is asked of promise in this trial by itself.
func (t Trial) Criteria() []Criterion {
	n, c, p := t.Nearest, t.Closest, t.Promise
	switch t.Band() {
	case Easy:
		return []Criterion{
			atMost("late arrivals: no more than nearest's", float64(p.Late), 1, float64(n.Late)),
			atMost("mean response: at most 1.02 of nearest's, in minutes", p.ResponseMeanS/60, 1.02, n.ResponseMeanS/60),
		}
	case Busy:
		return []Criterion{
			atMost("late arrivals: at most 1/5 of nearest's", float64(p.Late), 1.0/5, float64(n.Late)),
			atMost("late arrivals: at most 1/3 of closest's", float64(p.Late), 1.0/3, float64(c.Late)),
			atMost("longest wait: no longer than nearest's, in minutes", p.ResponseMaxS/60, 1, n.ResponseMaxS/60),
			atMost("minutes of lateness: no more than closest's", p.LateTotalS/60, 1, c.LateTotalS/60),
		}
	case Collapse:
		return []Criterion{
			atMost("late arrivals: at most 3/4 of closest's", float64(p.Late), 3.0/4, float64(c.Late)),
			atMost("longest wait: at most 1.1 of closest's, in minutes", p.ResponseMaxS/60, 1.1, c.ResponseMaxS/60),
		}
	}
	return nil
}

// SumCriteria lists what is asked of promise over all busy trials together.
func SumCriteria(trials []Trial) []Criterion {
	var nearest, closest, promise float64
	for _, t := range trials {
		if t.Band() == Busy {
			nearest += float64(t.Nearest.Late)
			closest += float64(t.Closest.Late)
			promise += float64(t.Promise.Late)
		}
	}
	return []Criterion{
		atMost("late arrivals, all busy rows: at most 1/8 of nearest's", promise, 1.0/8, nearest),
		atMost("late arrivals, all busy rows: at most 1/5 of closest's", promise, 1.0/5, closest),
	}
}

// Trials are the cases of a comparison: every month of the world's calls, with
// every size of fleet, drawn from that month's calls with every seed.
func Trials(w World, sizes []int, seeds []uint64, words *Vocabulary) ([]Trial, []Case) {
	var trials []Trial
	var cases []Case
	for _, month := range Months(w.Calls) {
		for _, seed := range seeds {
			for _, n := range sizes {
				trials = append(trials, Trial{Month: month[0].CalledAt.Format("2006-01"), Crews: n, Seed: seed})
				w.Calls, w.Fleet = month, Placed(month, n, seed, words.All())
				for _, policy := range PolicyNames() {
					cases = append(cases, Case{World: w, Policy: policy})
				}
			}
		}
	}
	return trials, cases
}

// Fill puts the summaries of the cases into their trials.
func Fill(trials []Trial, all []Summary) {
	for i := range trials {
		of := all[i*len(PolicyNames()):]
		for j, into := range []*Summary{&trials[i].Nearest, &trials[i].Closest, &trials[i].Promise} {
			*into = of[j]
		}
	}
}
