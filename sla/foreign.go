package sla

import "time"

// ForeignFile is a CSV file from a bank or payment house, with what its sender
// says it comes to, as a person has typed that.
type ForeignFile struct {
	Name  string // of the file, for people
	CSV   []byte // UTF-8, with or without a byte order mark; the first line names the columns
	Lines int64  // how many it has
	Total string // what they come to, such as 1234.00
}

// Results reads the file as results of payments: the columns reference,
// outcome (paid or bounced), amount, paid_on and reason. paidLines and
// paidTotal are what its sender counts as paid. Whatever cannot be read is
// fault.Invalid, each wrong line named; Record checks the rest.
func (f ForeignFile) Results(paidLines int64, paidTotal string) (Results, error) {
	in := resultsFileInput{Name: f.Name, Lines: f.Lines, Total: f.Total, PaidN: paidLines, PaidText: paidTotal, RawBody: f.CSV}
	return in.results()
}

// Told reads the file as a source's statement of a business day: the columns
// reference and amount, and paid_on if it has it. Whatever cannot be read is
// fault.Invalid, each wrong line named; Reconcile checks the rest.
func (f ForeignFile) Told(source string, day time.Time) (Told, error) {
	in := reconcileInput{Source: source, Name: f.Name, Day: dateText(day), Lines: f.Lines, Total: f.Total, RawBody: f.CSV}
	return in.statement()
}
