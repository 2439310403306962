package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/sla"
)

type policyCmd struct {
	Check   checkPolicyCmd   `cmd:"" help:"Check a policy document and name every wrong field."`
	Schema  policySchemaCmd  `cmd:"" help:"Print the JSON Schema of a policy document."`
	Example policyExampleCmd `cmd:"" help:"Print an example to begin with: example-45, which is in force from the start, example-per-minute or example-partner-share."`
	Trial   trialPolicyCmd   `cmd:"" help:"Run a policy over the rescues there were, and show what would change in fen."`
}

type checkPolicyCmd struct {
	File string `arg:"" type:"existingfile" help:"A policy document, JSON."`
}

// Run says what is wrong, or what the document promises.
func (c checkPolicyCmd) Run(a *app) error {
	p, err := readPolicy(c.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s version %d is valid: %s\n", p.Name, p.Version, p.Title.EN)
	out := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	for i, r := range p.Promises {
		fmt.Fprintf(out, "%d\t%s\t%d min\t%s\n", i+1, r.Rule, r.Minutes, r.Reason.EN)
	}
	return out.Flush()
}

func readPolicy(file string) (sla.Policy, error) {
	document, err := os.ReadFile(file)
	if err != nil {
		return sla.Policy{}, err
	}
	p, err := sla.ParsePolicy(document)
	if err != nil {
		return sla.Policy{}, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

type policySchemaCmd struct{}

// Run prints the schema; it needs no database.
func (policySchemaCmd) Run(a *app) error {
	_, err := a.stdout.Write(sla.PolicySchema())
	return err
}

type policyExampleCmd struct {
	Name string `arg:"" enum:"example-45,example-per-minute,example-partner-share" help:"Which one."`
}

// Run prints the document as it is shipped; it needs no database.
func (c policyExampleCmd) Run(a *app) error {
	document, err := sla.ExamplePolicy(c.Name)
	if err == nil {
		_, err = a.stdout.Write(document)
	}
	return err
}

type trialPolicyCmd struct {
	File    string `arg:"" type:"existingfile" help:"A policy document, JSON; it need not be stored."`
	From    string `required:"" help:"Rescues opened from this day (2026-02-01) or moment (RFC 3339) on."`
	To      string `required:"" help:"Up to this day or moment, which is not included."`
	Zone    string `default:"Asia/Shanghai" help:"Time zone of days."`
	Under   string `help:"Only rescues promised under this policy." placeholder:"NAME"`
	CSV     string `name:"csv" help:"Write the table of cities as CSV too; - is standard output, instead of the table." placeholder:"OUT"`
	Rescues string `help:"Write each rescue, as it stands and as it would, as CSV." placeholder:"OUT"`
}

// Run shows what the policy would have changed. Nothing is stored.
func (c trialPolicyCmd) Run(a *app) error {
	p, err := readPolicy(c.File)
	if err != nil {
		return err
	}
	trial := sla.Trial{Policy: p, Under: c.Under}
	if trial.From, err = moment("--from", c.From, c.Zone); err != nil {
		return err
	}
	if trial.To, err = moment("--to", c.To, c.Zone); err != nil {
		return err
	}
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		var bar *progress
		trial.Progress = func(done, total int) {
			if bar == nil {
				bar = newProgress(a.stderr, "trial of "+p.Name, total, "rescues")
			}
			bar.at(done, "")
		}
		var areas []sla.TrialSum
		var all sla.TrialSum
		try := func() (err error) {
			areas, all, err = sla.New(pool, sla.Config{Now: a.clock.Now}).Try(a.ctx, trial)
			return err
		}
		if c.Rescues == "" {
			err = try()
		} else {
			err = whole(a, c.Rescues, func(w io.Writer) error { return writeTriedRescues(w, &trial, try) })
		}
		if err != nil {
			return err
		}
		if c.CSV != "" {
			if err := whole(a, c.CSV, func(w io.Writer) error { return writeTrialCSV(w, areas, all) }); err != nil || c.CSV == "-" {
				return err
			}
		}
		return writeTrial(a.stdout, p, areas, all)
	})
}

// writeTrial shows a trial as a table for people.
func writeTrial(w io.Writer, p sla.Policy, areas []sla.TrialSum, all sla.TrialSum) error {
	fmt.Fprintf(w, "%s version %d over %d rescues; nothing is stored\n", p.Name, p.Version, all.Rescues)
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "CITY\tRESCUES\tLATE NOW\tTHEN\tEXCUSED NOW\tTHEN\tOWED NOW\tTHEN\tDIFFERENCE\t")
	all.Area = "total"
	for _, s := range append(areas, all) {
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t\n", s.Area, s.Rescues, s.LateNow, s.LateThen,
			s.ExcusedNow, s.ExcusedThen, s.NowFen, s.ThenFen, signed(s.Difference()))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if all.OverBudget > 0 {
		fmt.Fprintf(w, "the budget of %s would be spent: %d rescues would wait for finance\n", p.Caps.BudgetFen, all.OverBudget)
	}
	return nil
}

func signed(f sla.Fen) string {
	if f > 0 {
		return "+" + f.String()
	}
	return f.String()
}

// writeTrialCSV writes the same table for machines: amounts in fen, a last
// line "total".
func writeTrialCSV(w io.Writer, areas []sla.TrialSum, all sla.TrialSum) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"city", "rescues", "late_now", "late_trial", "excused_now", "excused_trial", "owed_now_fen", "owed_trial_fen", "difference_fen", "over_budget"})
	all.Area = "total"
	for _, s := range append(areas, all) {
		_ = out.Write([]string{
			s.Area, strconv.Itoa(s.Rescues), strconv.Itoa(s.LateNow), strconv.Itoa(s.LateThen), strconv.Itoa(s.ExcusedNow), strconv.Itoa(s.ExcusedThen),
			whole64(s.NowFen), whole64(s.ThenFen), whole64(s.Difference()), strconv.Itoa(s.OverBudget),
		})
	}
	out.Flush()
	return out.Error()
}

// writeTriedRescues writes a line for each rescue while the trial runs.
func writeTriedRescues(w io.Writer, trial *sla.Trial, try func() error) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{
		"request_id", "city", "opened_at", "policy_now", "minutes_now", "outcome_now", "late_now_s", "excused_now", "owed_now_fen",
		"rule_trial", "minutes_trial", "outcome_trial", "late_trial_s", "excused_trial", "owed_trial_fen", "difference_fen",
	})
	trial.Rescue = func(r sla.TrialRescue) error {
		g, now, then := r.Guarantee, r.Guarantee.Verdict, r.Verdict
		return out.Write([]string{
			g.RequestID.String(), g.Area, g.OpenedAt.Format(time.RFC3339Nano),
			g.Promise.Policy, strconv.Itoa(g.Promise.Minutes), string(now.Outcome), late(now), now.Excluded, whole64(now.Fen),
			r.Promise.Rule, strconv.Itoa(r.Promise.Minutes), string(then.Outcome), late(then), then.Excluded, whole64(then.Fen), whole64(then.Fen - now.Fen),
		})
	}
	if err := try(); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func late(v sla.Verdict) string { return strconv.FormatInt(int64(v.Late/time.Second), 10) }

func whole64(f sla.Fen) string { return strconv.FormatInt(int64(f), 10) }
