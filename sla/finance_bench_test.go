package sla_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

// Asked of benchmarks by the environment.
const (
	benchLines = "RESCUED_BENCH_LINES" // how many compensations, if not the usual; ten thousand with -short
	benchOut   = "RESCUED_BENCH_OUT"   // the page the result is written to, if any
)

// asked is how many lines a benchmark is asked for.
func asked(b *testing.B, usual int) int {
	if testing.Short() {
		usual = 10_000
	}
	if text := os.Getenv(benchLines); text != "" {
		var err error
		usual, err = strconv.Atoi(text)
		require.NoError(b, err, benchLines)
	}
	return usual
}

// BenchmarkFinance takes a million compensations from accrued to paid out, by
// one batch, and exported, and works out verdicts. It tells how long each step
// took and how much memory the process held, beside a floor measured in the
// same run: the least that could be done about as many lines. It asserts no
// times.
func BenchmarkFinance(b *testing.B) {
	lines := asked(b, 1_000_000)
	for b.Loop() {
		m := &measured{b: b}
		m.verdicts()
		m.month(lines)
		if page := os.Getenv(benchOut); page != "" {
			require.NoError(b, os.WriteFile(page, []byte(m.page(lines)), 0o644))
		}
	}
}

// measured is what a run has measured so far.
type measured struct {
	b     *testing.B
	steps []stepTaken
}

// stepTaken is what one step took, and its floor.
type stepTaken struct {
	name, floorIs string
	lines         int
	took, floor   time.Duration
	heapMB, rssMB float64
}

// step measures do over lines, then the floor over as many.
func (m *measured) step(name string, lines int, do func(), floorIs string, floor func()) {
	m.b.Helper()
	s := stepTaken{name: name, floorIs: floorIs, lines: lines}
	runtime.GC()
	forgetPeak()
	start := time.Now()
	s.heapMB = peak(do)
	s.took = time.Since(start)
	s.rssMB = peakRSS()
	start = time.Now()
	floor()
	s.floor = time.Since(start)
	m.steps = append(m.steps, s)
	m.b.ReportMetric(float64(lines)/s.took.Seconds(), name+"/s")
	m.b.ReportMetric(s.heapMB, name+"-MB")
	progress("%-14s %8.2f s %10.0f/s, heap %4.0f MB, RSS %4.0f MB; floor %.2f s", name, s.took.Seconds(), float64(lines)/s.took.Seconds(), s.heapMB, s.rssMB, s.floor.Seconds())
}

// verdicts works out one verdict many times, beside the plain subtraction of
// the deadline from the first arrival.
func (m *measured) verdicts() {
	p, t := everyShape(m.b)
	const n = 20_000
	var late time.Duration
	m.step("verdicts", n, func() {
		for range n {
			p.Owed(t)
		}
	}, "the first arrival less the deadline, no reasons", func() {
		for range n {
			var first time.Time
			for _, f := range t.Facts {
				if f.Kind == sla.FactArrived && (first.IsZero() || f.At.Before(first)) {
					first = f.At
				}
			}
			late += first.Sub(t.Promise.DueAt)
		}
	})
	require.NotZero(m.b, late)
}

// month is the way of many compensations to their owners, and into files.
func (m *measured) month(lines int) {
	b, ctx := m.b, m.b.Context()
	way, err := sla.NewPayoutFile(b.TempDir())
	require.NoError(b, err)
	r := newRig(b)
	still := &stillPayer{}
	r.Service = sla.New(r.pool, sla.Config{Now: r.now, Payouts: []sla.Payout{still, way}})
	manyCompensations(b, r, lines)
	m.approves(r, lines)
	r.seal()
	batch, _, err := r.OpenBatch(ctx, finance, "a month", "bench")
	require.NoError(b, err)

	journaled := r.yetToCome()
	m.step("fill", lines, func() {
		for more := true; more; {
			batch, _, more, err = r.FillWithin(ctx, finance, batch.ID, sla.FillFilter{}, 0, 10*time.Second)
			require.NoError(b, err)
			progress("%d of %d lines", batch.Lines, lines)
		}
	}, "INSERT … SELECT of its lines and their events, no index", func() { m.copied(r, "sla.batch_lines", journaled) })
	require.EqualValues(b, lines, batch.Lines)
	hashing := func() { hashLines(lines, 120) }
	m.step("seal", lines, func() { batch, err = r.Seal(ctx, finance, batch.ID, batch.Version) }, "SHA-256 of as many lines in memory", hashing)
	require.NoError(b, err)
	m.step("approve", lines, func() { batch, err = r.ApproveBatch(ctx, finance2, batch.ID, batch.Version, "checked") }, "SHA-256 of as many lines in memory", hashing)
	require.NoError(b, err)
	m.step("submit", lines, func() { batch, err = r.Submit(ctx, finance2, batch.ID, batch.Version, "still") }, "SHA-256 of as many lines in memory", hashing)
	require.NoError(b, err)
	m.step("post", lines, func() { _, err = r.PayOut(ctx) }, "INSERT … SELECT of the postings and their lines, no index", func() { m.copied(r, "sla.ledger_transactions", "sla.ledger_entries") })
	require.NoError(b, err)
	m.step("chain", lines, func() { require.Equal(b, lines, r.seal()) }, "SHA-256 of as many postings in memory", func() { hashLines(lines, 500) })
	m.step("payout-files", lines, func() { _, err = way.Send(ctx, still.order, sla.PayoutLines(ctx, r.Service, batch)) },
		"the lines read, nothing done with them", func() { m.scanned(r, lines, sla.ExportBatch, sla.ExportFilter{BatchID: batch.ID}) })
	require.NoError(b, err)
	results := m.results(r, batch)
	m.step("record", len(results.Lines), func() { batch, _, err = r.Record(ctx, finance, batch.ID, results) }, "INSERT … SELECT of their postings, no index",
		func() { m.copied(r, `sla.ledger_transactions WHERE kind IN ('paid', 'bounce')`) })
	require.NoError(b, err)
	for _, format := range []sla.ExportFormat{sla.CSV, sla.XLSX} {
		m.step("export-"+string(format), lines, func() {
			x, err := r.Export(ctx, finance, sla.ExportOrder{What: sla.ExportCompensations, Format: format}, io.Discard)
			require.NoError(b, err)
			require.EqualValues(b, lines, x.Lines)
			require.Equal(b, batch.Total, x.TotalFen)
		}, "the rows read, nothing done with them", func() { m.scanned(r, lines, sla.ExportCompensations, sla.ExportFilter{}) })
	}
}

// approves lets finance approve what has accrued, as many in each call as it
// takes.
func (m *measured) approves(r *rig, lines int) {
	journaled := r.yetToCome()
	m.step("approve-each", lines, func() {
		for approved := 0; approved < lines; progress("%d of %d approved", approved, lines) {
			got, err := r.ApproveMany(m.b.Context(), finance, sla.ApproveOrder{Why: "looked through"})
			require.NoError(m.b, err)
			require.NotZero(m.b, got.Approved.Lines)
			approved += int(got.Approved.Lines)
		}
	}, "INSERT … SELECT of them and their events, no index", func() { m.copied(r, "sla.compensations", journaled) })
}

// yetToCome names the rows of the journal that are yet to come.
func (r *rig) yetToCome() string {
	return fmt.Sprintf("events.journal WHERE seq > %d", r.rows(`SELECT coalesce(max(seq), 0) FROM events.journal`))
}

// results are what became of a batch's first payments, as many as come at
// once: of a hundred, three came back.
func (m *measured) results(r *rig, batch sla.Batch) (in sla.Results) {
	lines, err := r.BatchLines(m.b.Context(), finance, batch.ID, sla.LineOpen, events.CompensationID{}, sla.MostResults)
	require.NoError(m.b, err)
	in.Name, in.Total.Lines = "the bank's", int64(len(lines))
	for i, l := range lines {
		result := sla.ResultLine{Reference: l.Reference, Outcome: sla.OutcomePaid, Fen: l.Fen}
		in.Total.Fen += l.Fen
		if i%100 < 3 {
			result.Outcome, result.Why = sla.OutcomeBounced, "the account is closed"
		} else {
			in.Paid.Lines, in.Paid.Fen = in.Paid.Lines+1, in.Paid.Fen+l.Fen
		}
		in.Lines = append(in.Lines, result)
	}
	return in
}

// scanned reads the rows of an export.
func (m *measured) scanned(r *rig, lines int, what sla.ExportKind, f sla.ExportFilter) {
	n, err := sla.ScanOnly(m.b.Context(), r.Service, what, f)
	require.NoError(m.b, err)
	require.Equal(m.b, lines, n)
}

// copied writes rows, all of a table or those a condition is true of, into
// tables without index or constraint.
func (m *measured) copied(r *rig, sources ...string) {
	unbounded(m.b, r, func(_ pgx.Tx, run func(sql string, args ...any)) {
		for i, source := range sources {
			bare := fmt.Sprintf("bare_%d", i)
			table, _, _ := strings.Cut(source, " ")
			run(`CREATE TABLE ` + bare + ` (LIKE ` + table + `)`)
			run(`INSERT INTO ` + bare + ` SELECT * FROM ` + source)
			run(`DROP TABLE ` + bare)
		}
	})
}

// hashLines hashes as many lines of so many bytes.
func hashLines(lines, size int) {
	sum, line := sha256.New(), make([]byte, size)
	for range lines {
		sum.Write(line)
	}
	sum.Sum(nil)
}

// stillPayer keeps an order and sends nothing.
type stillPayer struct{ order sla.PayoutOrder }

func (*stillPayer) Name() string { return "still" }

func (p *stillPayer) Send(_ context.Context, order sla.PayoutOrder, _ iter.Seq2[sla.PayoutLine, error]) (string, error) {
	p.order = order
	return "kept", nil
}
