package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"rescued/sla"
)

// closingPage is where `make closing` keeps the statement.
const closingPage = "../../deploy/closing.md"

var writeClosing = flag.Bool("closing", false, "write the statement of the closing to deploy/closing.md")

// figures are what a report says, as its reader sees them.
type figures struct {
	Rescues int64       `json:"rescues"`
	OnTime  int64       `json:"on_time"`
	Late    int64       `json:"late"`
	Raw     json.Number `json:"on_time_raw_pct"`
	Fen     sla.Fen     `json:"compensation_fen"`
	Average sla.Fen     `json:"average_per_rescue_fen"`
	Paid    sla.Fen     `json:"paid_fen"`
	Open    sla.Fen     `json:"outstanding_fen"`
	OpenN   int64       `json:"outstanding"`
}

// trial is a trial balance: what the accounts held at some stage, those that
// held nothing left out.
type trial struct {
	when string
	held map[sla.Account]sla.Fen
}

// head begins the page.
func (c *closing) head() {
	c.tell(`# The closing of February 2016

A month from its calls to its last fen, as a finance department closes it: 4,183 real
emergency calls of Montgomery County, Pennsylvania, served in the simulator by 20 vans
under the plain rule "nearest", priced by an example policy (45 minutes; ¥20 to ¥300 by
lateness; above ¥200 two persons approve), imported as payable history, and from there
on like any other. Beside them are three customers of our own whom nobody reached in
time. Chen brings the month in, with a list that says which van is whose of four
providers; Lin and Zhou are finance; nothing imported is ever approved by the policy
alone. A provider is charged its part as the compensation is approved, in March, so that
it stands on its statement of March; February's has the services alone. Everything goes
through the public API, the commands and the files for the bank. ` + "`make closing`" + ` runs it
and writes this page; TestAMonthIsClosed holds the page to what it finds.

## What was done

| day | who | what | lines | amount |
|---|---|---|---:|---:|`)
}

// summary tells what the month came to, and what was held against what.
func (c *closing) summary(f figures, asCSV, asXLSX sla.Tally, verdicts sla.Fen) {
	c.tell(`
## What it came to

| | lines | amount |
|---|---:|---:|
| rescues | %d | |
| in time, %s%% | %d | |
| late | %d | %s |
| paid | %d | %s |
| outstanding | %d | %s |

A rescue cost %s of compensation on average.`, f.Rescues, f.Raw, f.OnTime, f.Late, f.Fen, f.Late-f.OpenN, f.Paid, f.OpenN, f.Open, f.Average)
	c.bear()
	c.tell(`
## The accounts, stage by stage

Debits are positive and credits negative; each row sums to zero. The other accounts
were never touched. What the providers bear is no expense of ours: it is receivable from
them until their statements of March are settled, and at every stage what those come to.
`)
	used := map[sla.Account]bool{}
	for _, b := range c.trials {
		for a := range b.held {
			used[a] = true
		}
	}
	accounts := slices.DeleteFunc(sla.Accounts(), func(a sla.Account) bool { return !used[a] })
	row := func(first string, cell func(sla.Account) string) {
		cells := []string{first}
		for _, a := range accounts {
			cells = append(cells, cell(a))
		}
		c.tell("| %s |", strings.Join(cells, " | "))
	}
	row("", func(a sla.Account) string { return strings.ReplaceAll(string(a), "_", " ") })
	c.tell("|---%s|", strings.Repeat("|---:", len(accounts)))
	for _, b := range c.trials {
		row(b.when, func(a sla.Account) string { return b.held[a].String() })
	}
	fees, charges := c.stated()
	expense := c.trials[len(c.trials)-1].held[sla.CompensationExpense]
	c.tell(`
## What says the same, to the fen

| said by | lines | amount |
|---|---:|---:|
| all verdicts, added up | %d | %s |
| compensations exported as CSV, read back | %d | %s |
| the same as XLSX, read back | %d | %s |
| paid and outstanding, by the report | %d | %s |
| the account of the expense, %s, and what the providers bore by their statements, %s | | %s |

The account of the services' cost and the statements say the same of the fees: %s.

`+"`rescued verify` finds 0 differences.", f.Late, verdicts, asCSV.Lines, asCSV.Fen, asXLSX.Lines, asXLSX.Fen,
		f.Late, f.Paid+f.Open, expense, charges, expense+charges, fees)
}

// keeps logs the statement, and holds the page to it or writes the page.
func (c *closing) keeps() {
	c.t.Log("\n" + c.story.String())
	if *writeClosing {
		require.NoError(c.t, os.WriteFile(closingPage, []byte(c.story.String()), 0o644))
		return
	}
	kept, err := os.ReadFile(closingPage)
	require.NoError(c.t, err, "make closing writes it")
	require.True(c.t, bytes.Equal(kept, []byte(c.story.String())), "deploy/closing.md tells another month; if this one is right, `make closing` writes it anew")
}
