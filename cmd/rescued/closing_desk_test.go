package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"context"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"rescued/events"
	"rescued/internal/web"
	"rescued/sla"
)

// closing is a finance department at the end of a month: the service, in this
// process and by a clock that the test sets, the command line on the same
// database, and the people, each with a token of his own. What they do goes
// through the public API and the commands.
type closing struct {
	*site
	t       *testing.T
	clock   *businessClock
	dir     string // files that people exchange
	payouts string // where the service leaves orders for the bank

	chen      client // brings the month in
	lin, zhou client // finance
	stations  []*station

	story  strings.Builder
	trials []trial
}

// newClosing opens the department on a morning.
func newClosing(t *testing.T, morning time.Time) *closing {
	broker := newSwitched(t)
	c := &closing{site: newSite(t, broker.config()), t: t, clock: wallClock(), dir: t.TempDir(), payouts: t.TempDir()}
	c.at(morning)
	way, err := sla.NewPayoutFile(c.payouts)
	require.NoError(t, err)
	log := new(transcript)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the service warned of:\n%s", tailOf(log.String(), 50))
		}
	})
	sys, err := newSystem(t.Context(), systemConfig{
		Pool: c.pool, Kafka: c.kafka, Clock: c.clock, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})), Roles: []role{roleAPI, roleSLA},
		Payouts: []sla.Payout{way}, DrainFor: time.Second, RequestRate: 1_000_000,
	})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sys.run(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
		sys.close()
	})
	require.NoError(t, sys.awaitReady(t.Context()))
	base := "http://" + listener.Addr().String()
	for name, into := range map[string]*client{"chen": &c.chen, "lin": &c.lin, "zhou": &c.zhou} {
		token, _, err := web.NewTokens(c.pool, c.clock.Now).Issue(t.Context(), events.System("test"),
			web.NewToken{Role: events.RoleFinance, Subject: name, Name: "closing of a month"})
		require.NoError(t, err)
		*into = at(base, token)
	}
	return c
}

// at sets the clock forward; it goes on from there.
func (c *closing) at(moment time.Time) {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	c.clock.business, c.clock.wall = moment, time.Now()
}

// runs runs a command to its end by the same clock; it must succeed.
func (c *closing) runs(args ...string) (stdout string) {
	c.t.Helper()
	var out, errs bytes.Buffer
	code := runAt(c.t.Context(), c.clock, args, []string{"RESCUED_DATABASE_URL=" + c.url}, &out, &errs)
	require.Zero(c.t, code, "rescued %s: %s%s", strings.Join(args, " "), &out, &errs)
	return out.String()
}

// file is a path in the department's directory.
func (c *closing) file(name string) string { return filepath.Join(c.dir, name) }

// thing is what most of the API's answers have in common.
type thing struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// seen are the headers of a decision about something as it was read.
func (c *closing) seen(as client, path string) []string {
	c.t.Helper()
	return []string{"If-Match", as.must(c.t, http.StatusOK, http.MethodGet, path, nil, nil).head.Get("ETag")}
}

// decides makes a decision about a thing, as it stands, with a reason.
func (c *closing) decides(as client, path, what, why string, status int) (got thing) {
	c.t.Helper()
	var body any
	if why != "" {
		body = map[string]any{"reason": why}
	}
	as.must(c.t, status, http.MethodPost, path+"/"+what, body, &got, c.seen(as, path)...)
	return got
}

// sends posts a CSV file with what its sender says of it.
func (c *closing) sends(as client, path string, says url.Values, file string, out any) {
	c.t.Helper()
	body, err := os.ReadFile(file)
	require.NoError(c.t, err)
	as.must(c.t, http.StatusOK, http.MethodPost, path+"?"+says.Encode(), raw{"text/csv", body}, out)
}

// payment is a line of an order for the bank.
type payment struct {
	reference, payee string
	fen              sla.Fen
}

// order reads what the service has left for the bank.
func (c *closing) order(batch string) (list []payment) {
	c.t.Helper()
	var payout struct {
		State string `json:"state"`
		Key   string `json:"key"`
	}
	eventually(c.t, "the order is with the bank", func() bool {
		c.lin.must(c.t, http.StatusOK, http.MethodGet, "/v1/batches/"+batch+"/payout", nil, &payout)
		return payout.State == "sent"
	})
	for _, row := range c.rows(filepath.Join(c.payouts, payout.Key+".csv")) {
		list = append(list, payment{row["reference"], row["payee"], yuanOf(c.t, row["amount"])})
	}
	return list
}

// rows reads the lines of a CSV by column, without what follows them.
func (c *closing) rows(path string) (list []map[string]string) {
	c.t.Helper()
	body, err := os.ReadFile(path)
	require.NoError(c.t, err)
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\uFEFF")))).ReadAll()
	require.NoError(c.t, err)
	for _, row := range rows[1:] {
		if strings.HasPrefix(row[0], "# ") {
			continue
		}
		line := map[string]string{}
		for i, value := range row {
			line[rows[0][i]] = value
		}
		list = append(list, line)
	}
	return list
}

// writes writes a CSV file.
func (c *closing) writes(name string, rows ...[]string) string {
	c.t.Helper()
	var out bytes.Buffer
	require.NoError(c.t, csv.NewWriter(&out).WriteAll(rows))
	require.NoError(c.t, os.WriteFile(c.file(name), out.Bytes(), 0o600))
	return c.file(name)
}

// sumCSV adds up a column of amounts of an exported CSV.
func (c *closing) sumCSV(path, column string) (t sla.Tally) {
	c.t.Helper()
	for _, line := range c.rows(path) {
		t.Lines, t.Fen = t.Lines+1, t.Fen+yuanOf(c.t, line[column])
	}
	return t
}

// sumXLSX does the same with an exported workbook, on the sheet of its lines.
func (c *closing) sumXLSX(what, column string) (t sla.Tally) {
	c.t.Helper()
	book, err := excelize.OpenFile(c.file(what + ".xlsx"))
	require.NoError(c.t, err)
	defer book.Close()
	rows, err := book.GetRows(what, excelize.Options{RawCellValue: true})
	require.NoError(c.t, err)
	at := slices.Index(rows[0], column)
	require.NotEqual(c.t, -1, at, "the sheet has no column %s", column)
	for _, row := range rows[1:] {
		t.Lines, t.Fen = t.Lines+1, t.Fen+yuanOf(c.t, row[at])
	}
	return t
}

// yuanOf reads an amount as files carry it: 20, 20.5 or 20.00.
func yuanOf(t testing.TB, text string) sla.Fen {
	t.Helper()
	whole, cents, _ := strings.Cut(text, ".")
	fen, err := sla.ParseFen(whole + "." + (cents + "00")[:max(2, len(cents))])
	require.NoError(t, err)
	return fen
}

// amount is how a bank writes it.
func amount(fen sla.Fen) string { return strings.TrimPrefix(fen.String(), "¥") }

// tell adds a line to the statement of the month.
func (c *closing) tell(format string, args ...any) { fmt.Fprintf(&c.story, format+"\n", args...) }

// did adds a row to its table of steps.
func (c *closing) did(day, who, what string, sum sla.Tally) {
	c.tell("| %s | %s | %s | %d | %s |", day, who, what, sum.Lines, sum.Fen)
}
