package sim

import (
	"bufio"
	"fmt"
	"io"
)

// Change is what another run did to one request.
type Change string

// The changes, from the first run to the second.
const (
	Gained Change = "gained" // late or unserved, then on time
	Lost   Change = "lost"   // on time, then late or unserved
	Sooner Change = "sooner" // the same side of the promise, an earlier arrival
	Later  Change = "later"  // the same side of the promise, a later arrival
	Same   Change = "same"
)

// Changed says what became of a request in run b against run a.
func Changed(a, b Row) Change {
	kept := func(r Row) bool { return r.Served() && r.Late == 0 }
	switch {
	case !kept(a) && kept(b):
		return Gained
	case kept(a) && !kept(b):
		return Lost
	case a.Served() && !b.Served():
		return Later
	case !a.Served() && b.Served():
		return Sooner
	}
	switch b.ArrivedAt.Compare(a.ArrivedAt) {
	case -1:
		return Sooner
	case 1:
		return Later
	}
	return Same
}

// Compare writes how run b differs from run a of the same calls: the totals,
// then each request that gained or lost. It refuses runs of other calls.
func Compare(w io.Writer, nameA, nameB string, a, b []Row) error {
	if len(a) != len(b) {
		return fmt.Errorf("%s has %d requests and %s has %d; compare two runs of the same demand and kind", nameA, len(a), nameB, len(b))
	}
	counts := map[Change]int{}
	moved := map[Change]float64{} // minutes of arrival, of requests served by both
	for i := range a {
		if !a[i].CalledAt.Equal(b[i].CalledAt) {
			return fmt.Errorf("request %d was called at %s in %s and at %s in %s; compare two runs of the same demand and kind",
				i, stamp(a[i].CalledAt), nameA, stamp(b[i].CalledAt), nameB)
		}
		c := Changed(a[i], b[i])
		counts[c]++
		if a[i].Served() && b[i].Served() {
			moved[c] += b[i].ArrivedAt.Sub(a[i].ArrivedAt).Minutes()
		}
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "A  %s\nB  %s\n\n", nameA, nameB)
	fmt.Fprintf(out, "%-10s %9s %9s %9s\n", "", "A", "B", "B - A")
	for _, f := range []struct {
		name  string
		count func(Row) float64
	}{
		{"unserved", func(r Row) float64 { return float64(btoi(!r.Served())) }},
		{"late", func(r Row) float64 { return float64(btoi(r.Late > 0)) }},
		{"late min", func(r Row) float64 { return r.Late.Minutes() }},
		{"fen", func(r Row) float64 { return float64(r.Fen) }},
	} {
		var inA, inB float64
		for i := range a {
			inA, inB = inA+f.count(a[i]), inB+f.count(b[i])
		}
		fmt.Fprintf(out, "%-10s %9.0f %9.0f %+9.0f\n", f.name, inA, inB, inB-inA)
	}
	fmt.Fprintf(out, "\n%-10s %9s   %s\n", "", "requests", "arrival, on average")
	for _, c := range []Change{Gained, Lost, Sooner, Later, Same} {
		average := ""
		if counts[c] > 0 && c != Same {
			average = fmt.Sprintf("%+.1f min", moved[c]/float64(counts[c]))
		}
		fmt.Fprintf(out, "%-10s %9d   %s\n", c, counts[c], average)
	}
	if counts[Gained]+counts[Lost] > 0 {
		fmt.Fprintf(out, "\nrequest,change,called_at,a_crew,a_arrived_at,a_late_s,b_crew,b_arrived_at,b_late_s\n")
	}
	for i := range a {
		if c := Changed(a[i], b[i]); c == Gained || c == Lost {
			fmt.Fprintf(out, "%d,%s,%s,%s,%s\n", i, c, stamp(a[i].CalledAt), side(a[i]), side(b[i]))
		}
	}
	return out.Flush()
}

func side(r Row) string {
	if !r.Served() {
		return ",,"
	}
	return fmt.Sprintf("%s,%s,%.3f", appendText(nil, r.Crew), stamp(r.ArrivedAt), r.Late.Seconds())
}
