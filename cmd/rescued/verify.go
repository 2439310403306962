package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/sla"
)

// verifyCmd holds everything that is owed and booked against the journal.
type verifyCmd struct {
	Kept []string `help:"A head of the ledger's chain that was kept elsewhere; the chain must still run through it. May be given several times." placeholder:"SEQ:HASH"`
}

// Run prints a line for each difference and one for each check; any difference
// makes the exit code 1.
func (c verifyCmd) Run(a *app) error {
	kept, err := c.heads()
	if err != nil {
		return err
	}
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		bars, found := map[string]*progress{}, 0
		done, err := sla.New(pool, sla.Config{Now: a.clock.Now}).Verify(a.ctx, sla.Verify{
			Kept: kept,
			Found: func(d sla.Discrepancy) {
				found++
				fmt.Fprintln(a.stdout, d)
			},
			Progress: func(check sla.Check, checked, total int) {
				bar := bars[check.Name]
				if bar == nil {
					bar = newProgress(a.stderr, "verify "+check.Name, total, check.Unit)
					bars[check.Name] = bar
				}
				bar.at(checked, "")
			},
		})
		if err != nil {
			return err
		}
		for _, d := range done {
			waiting := ""
			if d.Waiting > 0 {
				waiting = fmt.Sprintf(", %d events not heard yet", d.Waiting)
			}
			fmt.Fprintf(a.stdout, "%-11s %d %s, %d differences%s\n", d.Name, d.Checked, d.Unit, d.Differences, waiting)
		}
		fmt.Fprintf(a.stdout, "%d differences\n", found)
		if found > 0 {
			return fmt.Errorf("%d differences: what is stored is not what the journal says; deploy/runbook.md says what to do", found)
		}
		return nil
	})
}

func (c verifyCmd) heads() (heads []sla.ChainHead, err error) {
	for _, text := range c.Kept {
		number, hash, ok := strings.Cut(text, ":")
		seq, bad := strconv.ParseInt(number, 10, 64)
		if !ok || bad != nil || seq < 1 || len(hash) != 64 {
			return nil, fmt.Errorf("--kept %s is not SEQ:HASH, as every export carries it", text)
		}
		heads = append(heads, sla.ChainHead{Seq: seq, Hash: hash})
	}
	return heads, nil
}
