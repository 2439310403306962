package traffic

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"time"
)

// Report accounts for every row of a demand file.
type Report struct {
	Rows   int
	Counts map[Outcome]int
	all    []Row
}

// ReportOf counts rows. The counts add up to the rows: each has one outcome.
func ReportOf(rows []Row) Report {
	r := Report{Rows: len(rows), Counts: map[Outcome]int{}, all: rows}
	for _, row := range rows {
		r.Counts[row.Outcome]++
	}
	return r
}

const shownRows = 10 // of each kind that needs a word; WriteCSV has them all

// WriteText prints the account for a person.
func (r Report) WriteText(w io.Writer) {
	accepted := 0
	for _, o := range []Outcome{InTime, Late, Assigned, StillWaits, Cancelled} {
		accepted += r.Counts[o]
	}
	refused := r.Rows - accepted
	fmt.Fprintf(w, "\n%d rows accounted for: %d accepted, %d not.\n\n", r.Rows, accepted, refused)
	line := func(indent string, o Outcome, n int) { fmt.Fprintf(w, "%s%-15s %6d\n", indent, o, n) }
	fmt.Fprintf(w, "  %-17s %6d\n", "accepted", accepted)
	for _, o := range []Outcome{InTime, Late, Assigned, StillWaits, Cancelled} {
		line("    ", o, r.Counts[o])
	}
	for _, o := range []Outcome{Duplicate, Invalid, Failed, Unsent} {
		line("  ", o, r.Counts[o])
	}
	if done := r.Counts[InTime] + r.Counts[Late]; done > 0 {
		fmt.Fprintf(w, "\n  promises kept: %.1f%% of %d arrivals", 100*float64(r.Counts[InTime])/float64(done), done)
		fmt.Fprintf(w, "; latest arrival %s past its promise\n", r.latest().Round(time.Second))
	}
	r.list(w, Duplicate, "refused as duplicates", func(row Row) string { return "of " + row.Of })
	r.list(w, Invalid, "invalid", func(row Row) string { return row.Why })
	r.list(w, Failed, "failed", func(row Row) string { return row.Why })
	r.list(w, StillWaits, "still waiting", func(row Row) string { return row.Request })
}

func (r Report) latest() (most time.Duration) {
	for _, row := range r.all {
		most = max(most, row.Late)
	}
	return most
}

func (r Report) list(w io.Writer, o Outcome, title string, tell func(Row) string) {
	var of []Row
	for _, row := range r.all {
		if row.Outcome == o {
			of = append(of, row)
		}
	}
	if len(of) == 0 {
		return
	}
	slices.SortFunc(of, func(a, b Row) int { return a.Line - b.Line })
	fmt.Fprintf(w, "\n  %s:\n", title)
	for _, row := range of[:min(len(of), shownRows)] {
		fmt.Fprintf(w, "    line %-6d %s\n", row.Line, tell(row))
	}
	if more := len(of) - shownRows; more > 0 {
		fmt.Fprintf(w, "    and %d more (--report FILE.csv lists every row)\n", more)
	}
}

// WriteCSV writes every row: line, outcome, request, duplicate_of, late_s, why.
func (r Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"line", "outcome", "request", "duplicate_of", "late_s", "why"})
	rows := slices.Clone(r.all)
	slices.SortFunc(rows, func(a, b Row) int { return a.Line - b.Line })
	for _, row := range rows {
		_ = out.Write([]string{fmt.Sprint(row.Line), string(row.Outcome), row.Request, row.Of, fmt.Sprint(int64(row.Late / time.Second)), row.Why})
	}
	out.Flush()
	return out.Error()
}
