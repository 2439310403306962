package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

// vansEach is how many of the run's twenty vans each station has, and
// drivenKmh how fast the simulator drives them all.
const (
	vansEach  = 5
	drivenKmh = 30
)

// station is a provider whose vans serve the month.
type station struct {
	name    string
	saidKmh int // how fast it told its customers that it drives
	id      string
	client
	month      statementOf // its statement that is under way
	statements []statementOf
	charged    sla.Tally // at the approvals
	takenBack  sla.Tally // of it, because it was right
	moved      sla.Fen   // money it has had in settlement, less what it gave
}

// statementOf is a statement as its reader sees it.
type statementOf struct {
	thing
	Month    string  `json:"month"`
	Services int64   `json:"services"`
	Late     int64   `json:"late"`
	Fees     sla.Fen `json:"fees_fen"`
	Charges  sla.Fen `json:"charges_fen"`
	Net      sla.Fen `json:"net_fen"`
	Disputed int64   `json:"disputed"`
	By       string  `json:"confirmed_by"`
}

// engages registers the stations that the vans belong to.
func (c *closing) engages() {
	desk := c.chen.as(c.token(events.RoleOperator, "desk"))
	for _, s := range []station{{name: "North", saidKmh: drivenKmh}, {name: "East", saidKmh: 36}, {name: "South", saidKmh: 40}, {name: "West", saidKmh: 45}} {
		desk.must(c.t, http.StatusCreated, http.MethodPost, "/v1/providers", map[string]any{"name": s.name}, &s.month, "Idempotency-Key", "station-"+s.name)
		s.id = s.month.ID
		s.client = desk.as(c.token(events.RoleProvider, s.id))
		c.stations = append(c.stations, &s)
	}
}

// whoseVans writes which van is whose.
func (c *closing) whoseVans() string {
	rows := [][]string{{"crew", "provider"}}
	for n := range vansEach * len(c.stations) {
		rows = append(rows, []string{fmt.Sprint("van ", n+1), c.stations[n/vansEach].id})
	}
	return c.writes("crews.csv", rows...)
}

// expecting adds to a run when each van was expected as it took the job. In a
// run every van comes when it is expected; here each has told the customer that
// it drives as fast as its station says.
func (c *closing) expecting(run string) string {
	const stamp, turnout = "2006-01-02T15:04:05.000Z", 2 * time.Minute
	body, err := os.ReadFile(c.file(run))
	require.NoError(c.t, err)
	heading, _, _ := strings.Cut(string(body), "\n")
	columns := strings.Split(heading, ",")
	rows := [][]string{append(columns, "expected_at")}
	for _, line := range c.rows(c.file(run)) {
		row := make([]string, len(columns), len(columns)+1)
		for i, column := range columns {
			row[i] = line[column]
		}
		expected := ""
		if line["crew_id"] != "" {
			van, err := strconv.Atoi(strings.TrimPrefix(line["crew_id"], "van "))
			require.NoError(c.t, err)
			assigned, err := time.Parse(stamp, line["assigned_at"])
			require.NoError(c.t, err)
			arrived, err := time.Parse(stamp, line["arrived_at"])
			require.NoError(c.t, err)
			drive := arrived.Sub(assigned) - turnout
			expected = assigned.Add(turnout + drive*drivenKmh/time.Duration(c.stations[(van-1)/vansEach].saidKmh)).Format(stamp)
		}
		rows = append(rows, append(row, expected))
	}
	return c.writes("expected-"+run, rows...)
}

// chargesBack sees what the approvals charged the stations.
func (c *closing) chargesBack() {
	var all sla.Tally
	for _, s := range c.stations {
		s.charged = c.chargedTo(s)
		all.Lines, all.Fen = all.Lines+s.charged.Lines, all.Fen+s.charged.Fen
	}
	require.Zero(c.t, c.stations[0].charged, "who drives as fast as he says loses no time")
	require.Positive(c.t, all.Fen)
	c.did("2 March", "the approvals", "charge the providers their part of these", all)
}

// chargedTo is what stands charged to a station, as it sees it itself.
func (c *closing) chargedTo(s *station) sla.Tally {
	var list struct {
		Total sla.Tally `json:"total"`
	}
	s.must(c.t, http.StatusOK, http.MethodGet, "/v1/chargebacks?state=charged&total=true&limit=1", nil, &list)
	return list.Total
}

// each does something with the statement that is under way of each station but
// some, and reads it anew.
func (c *closing) each(do func(s *station, path string), but ...string) (sum statementOf) {
	for _, s := range c.stations {
		path := "/v1/statements/" + s.month.ID
		if !slices.Contains(but, s.name) {
			do(s, path)
		}
		c.lin.must(c.t, http.StatusOK, http.MethodGet, path, nil, &s.month)
		sum.Services, sum.Late = sum.Services+s.month.Services, sum.Late+s.month.Late
		sum.Fees, sum.Charges, sum.Net = sum.Fees+s.month.Fees, sum.Charges+s.month.Charges, sum.Net+s.month.Net
	}
	return sum
}

// states draws up the stations' statements of a month and shows them.
func (c *closing) states(day, month string) {
	for _, s := range c.stations {
		s.month = statementOf{}
		c.lin.must(c.t, http.StatusOK, http.MethodPost, "/v1/statements", map[string]any{"provider_id": s.id, "month": month}, &s.month)
		s.must(c.t, http.StatusNotFound, http.MethodGet, "/v1/statements/"+s.month.ID, nil, nil) // before it is issued it is finance's
	}
	sum := c.each(func(_ *station, path string) { c.decides(c.lin, path, "issue", "", http.StatusOK) })
	c.did(day, "Lin", "shows each provider its statement of "+month+": services, and their fees", sla.Tally{Lines: sum.Services, Fen: sum.Fees})
	var lines int64
	for _, s := range c.stations {
		for range all[thing](c.t, s.client, "/v1/statements/"+s.month.ID+"/lines?kind=charge") {
			lines++
		}
	}
	if lines > 0 {
		c.did(day, "Lin", "… and on it what was charged in that month", sla.Tally{Lines: lines, Fen: sum.Charges})
		require.Equal(c.t, c.balances("charges stated")[sla.ProviderReceivable], sum.Charges, "the account says what the statements say")
	}
}

// disputes has South doubt its dearest charge, and Zhou find it right.
func (c *closing) disputes(day string) {
	south := c.stations[2]
	path := "/v1/statements/" + south.month.ID
	type line struct {
		No  int     `json:"line"`
		Fen sla.Fen `json:"fen"`
	}
	lines := all[line](c.t, south.client, path+"/lines?kind=charge")
	require.NotEmpty(c.t, lines)
	dearest := slices.MaxFunc(lines, func(a, b line) int { return int(a.Fen - b.Fen) })
	decide := func(as client, what, why string) {
		var got thing
		as.must(c.t, http.StatusOK, http.MethodPost, fmt.Sprintf("%s/lines/%d/%s", path, dearest.No, what), map[string]any{"reason": why}, &got, c.seen(as, path)...)
	}
	decide(south.client, "dispute", "the bridge was closed")
	require.Equal(c.t, "lines_in_dispute", c.decides(south.client, path, "confirm", "", http.StatusConflict).Code)
	c.did(day, "South", "disputes a charge", sla.Tally{Lines: 1, Fen: dearest.Fen})
	decide(c.zhou, "overturn", "so it was")
	south.takenBack = sla.Tally{Lines: 1, Fen: dearest.Fen}
	sum := c.each(func(*station, string) {})
	c.did(day, "Zhou", "finds it right: that charge is taken back", south.takenBack)
	require.Equal(c.t, c.balances("one of them taken back")[sla.ProviderReceivable], sum.Charges, "the account says what the statements say")
	require.Equal(c.t, south.charged.Fen-dearest.Fen, c.chargedTo(south).Fen)
}

// confirm has the stations agree, but some that say nothing.
func (c *closing) confirm(day string, silent ...string) {
	c.each(func(s *station, path string) {
		require.Equal(c.t, "confirmed", c.decides(s.client, path, "confirm", "", http.StatusOK).State)
	}, silent...)
	var agreed sla.Tally
	for _, s := range c.stations {
		if !slices.Contains(silent, s.name) {
			agreed.Lines, agreed.Fen = agreed.Lines+1, agreed.Fen+s.month.Net
		}
	}
	c.did(day, "the providers", "agree to their statements"+sayingNothing(silent), agreed)
}

func sayingNothing(silent []string) string {
	if len(silent) == 0 {
		return ""
	}
	return "; " + strings.Join(silent, ", ") + " says nothing"
}

// lapses waits until the window of a silent station has closed.
func (c *closing) lapses(day, silent string) {
	for _, s := range c.stations {
		if s.name != silent {
			continue
		}
		eventually(c.t, "the window of "+silent+" has closed", func() bool {
			c.lin.must(c.t, http.StatusOK, http.MethodGet, "/v1/statements/"+s.month.ID, nil, &s.month)
			return s.month.State == "confirmed"
		})
		require.Equal(c.t, "system:statements", s.month.By)
		c.did(day, "the calendar", "the window for disputes has closed, and "+silent+" has agreed", sla.Tally{Lines: 1, Fen: s.month.Net})
	}
}

// invoice has the stations send their invoices, which Lin records.
func (c *closing) invoice(day string) {
	sum := c.each(func(s *station, path string) {
		number := fmt.Sprintf("2532200000%02d%08d", len(s.statements), slices.Index(c.stations, s))
		c.lin.must(c.t, http.StatusOK, http.MethodPost, path+"/fapiao", map[string]any{"fapiao_number": number, "tax_pct": 6}, nil, c.seen(c.lin, path)...)
	})
	c.did(day, "Lin", "records their invoices, over the fees", sla.Tally{Lines: int64(len(c.stations)), Fen: sum.Fees})
	held := c.balances("fees of " + c.stations[0].month.Month + " invoiced")
	require.Equal(c.t, -sum.Fees, held[sla.ProviderPayable], "the account says what the statements say")
}

// settle settles the statements: in money each, or with only the difference.
func (c *closing) settle(day string, how sla.SettledHow) map[sla.Account]sla.Fen {
	before := c.trials[len(c.trials)-1].held
	sum := c.each(func(s *station, path string) {
		c.lin.must(c.t, http.StatusOK, http.MethodPost, path+"/settle", map[string]any{"how": how, "reference": "transfer of " + day}, nil, c.seen(c.lin, path)...)
	})
	for _, s := range c.stations {
		require.Equal(c.t, "settled", s.month.State)
		s.statements, s.moved = append(s.statements, s.month), s.moved+s.month.Net
	}
	what := "pays the fees"
	if how == sla.SettledSetOff {
		what = "sets charges off against fees; the providers pay the difference"
	}
	c.did(day, "Lin", what, sla.Tally{Lines: int64(len(c.stations)), Fen: sum.Net})
	held := c.balances(c.stations[0].month.Month + " settled with providers")
	require.Zero(c.t, held[sla.ProviderPayable])
	require.Equal(c.t, before[sla.ProviderReceivable]-sum.Charges, held[sla.ProviderReceivable], "what the statements come to is gone")
	require.Equal(c.t, before[sla.Cash]-sum.Net, held[sla.Cash])
	return held
}

// stated is what all settled statements come to.
func (c *closing) stated() (fees, charges sla.Fen) {
	for _, s := range c.stations {
		for _, st := range s.statements {
			fees, charges = fees+st.Fees, charges+st.Charges
		}
	}
	return fees, charges
}

// bear tells what each station did, was charged and settled for.
func (c *closing) bear() {
	c.tell(`
## What the providers bear

Of a lateness a provider bears 60%% as far as the fault was its, and never more than its
fee of ¥120.00 for the rescue. It is measured by when its van was expected as it took the
job, and four minutes more. In the simulator all vans drive 30 km/h and every one comes
when it is expected; so that somebody was at fault here, each provider has told its
customers another speed.

| provider | vans | said km/h | services | of them late | fees | charges | amount | taken back | net |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|`)
	var all station
	var services, late int64
	var sum sla.Fen
	for _, s := range c.stations {
		var n, l int64
		var fees sla.Fen
		for _, st := range s.statements {
			n, l, fees = n+st.Services, l+st.Late, fees+st.Fees
		}
		require.Equal(c.t, s.moved, fees-s.charged.Fen+s.takenBack.Fen)
		c.tell("| %s | %d | %d | %d | %d | %s | %d | %s | %s | %s |", s.name, vansEach, s.saidKmh, n, l, fees, s.charged.Lines, s.charged.Fen, s.takenBack.Fen, s.moved)
		services, late, sum = services+n, late+l, sum+fees
		all.charged = sla.Tally{Lines: all.charged.Lines + s.charged.Lines, Fen: all.charged.Fen + s.charged.Fen}
		all.takenBack.Fen, all.moved = all.takenBack.Fen+s.takenBack.Fen, all.moved+s.moved
	}
	c.tell("| together | %d | | %d | %d | %s | %d | %s | %s | %s |", vansEach*len(c.stations), services, late, sum, all.charged.Lines, all.charged.Fen, all.takenBack.Fen, all.moved)
}
