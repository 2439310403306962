package sla_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// page is the result as deploy/finance.md keeps it.
func (m *measured) page(lines int) string {
	var out strings.Builder
	fmt.Fprintf(&out, `# The books, by the million

How fast verdicts are reached and a month's compensations go by one batch from
accrued to paid out and into files, each beside a floor of the same run: the
least that could be done about as many lines. `+"`make bench-finance`"+` writes this page.

Compensations: %d, all in one batch. %d cores, %s, Postgres on the same
machine without fsync, 64 MB of shared buffers, no autovacuum. Memory is that
of the service: its heap, and what the process held in all (RSS), each at its
highest during the step.

| step | lines | seconds | per second | heap MB | RSS MB | floor s | times the floor | the floor is |
|---|---:|---:|---:|---:|---:|---:|---:|---|
`, lines, runtime.NumCPU(), runtime.Version())
	for _, s := range m.steps {
		rss := "-"
		if s.rssMB > 0 {
			rss = fmt.Sprintf("%.0f", s.rssMB)
		}
		fmt.Fprintf(&out, "| %s | %d | %.2f | %.0f | %.0f | %s | %.3f | %.1f | %s |\n",
			s.name, s.lines, s.took.Seconds(), float64(s.lines)/s.took.Seconds(), s.heapMB, rss, s.floor.Seconds(), s.took.Seconds()/s.floor.Seconds(), s.floorIs)
	}
	out.WriteString(`
A verdict is one whole working-out with its reasons in two languages. approve-each
approves compensations of one programme as finance does, as many in each call as
it takes: it looks at all that wait and at their verdicts, moves each, counts it
as spent and journals it; nobody else bears a part of them. fill puts them into
the batch, moves each and journals it; seal, approve and submit each read, digest
and check every line; post books each payment by itself and chain links the
bookings. payout-files is one pass that writes CSV and XLSX; record takes the
first results, as many as come at once, of which three of a hundred bounced; the
exports hold every compensation with its verdict in words.
`)
	return out.String()
}

// forgetPeak has the kernel count the process's highest memory from now on;
// where it does not, peakRSS tells the highest of all time, or 0.
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peakRSS is the most memory the process has held, in MB; 0 where the system
// does not tell.
func peakRSS() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if text, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kb, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(string(text)), " kB"), 64)
			return kb / 1e3
		}
	}
	return 0
}
