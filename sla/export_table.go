package sla

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
)

// cellKind says how a value is written where cells have types.
type cellKind int

const (
	textCell  cellKind = iota // identifiers, plates, words, times
	wholeCell                 // whole numbers
	moneyCell                 // hundredths, written with two decimals: fen in yuan
)

// column is a column of an export. Its name is stable: programs read it.
type column struct {
	name string
	kind cellKind
}

// cell is one value: text, or n for numbers.
type cell struct {
	text string
	n    int64
}

// table is what an export lists: columns, and the statement whose rows fill
// them in the order in which they are written.
type table struct {
	name    string
	columns []column
	sum     int // the column whose total the export carries, in fen
	sql     string
	args    []any
	scan    func(row pgx.Rows, line []cell) error
	notes   []events.Reason // what a reader must know to read it right; the file says so in its summary
}

// columns reads names such as "area" or "yuan:money".
func columnsOf(names ...string) []column {
	list := make([]column, len(names))
	for i, n := range names {
		name, kind, _ := strings.Cut(n, ":")
		list[i] = column{name: name}
		switch kind {
		case "money", "pct":
			list[i].kind = moneyCell
		case "whole":
			list[i].kind = wholeCell
		}
	}
	return list
}

// tables makes the table of each kind of export. takes are the members of the
// filter that mean something to it.
var tables = map[ExportKind]struct {
	takes []string
	make  func(ExportFilter, *time.Location) (table, error)
}{
	ExportCompensations: {[]string{"from", "to", "state", "area", "policy", "request_id"}, compensationTableOf},
	ExportGuarantees:    {[]string{"from", "to", "state", "area", "policy"}, guaranteeTableOf},
	ExportLedger:        {[]string{"from", "to", "account", "kind", "compensation_id", "batch_id"}, ledgerTableOf},
	ExportBatch:         {[]string{"batch_id", "state"}, batchTableOf},
	ExportChargebacks:   {[]string{"from", "to", "state", "provider_id", "partner_id"}, chargebackTableOf},
	ExportStatement:     {[]string{"statement_id"}, statementTableOf},
	ExportReport:        {[]string{"by", "from", "to", "area", "policy", "provider_id", "partner_id", "history"}, reportTableOf},
}

// tableOf refuses members of the filter that the kind has no use for, all at
// once: somebody who believes that he narrowed an export must not get another.
func tableOf(what ExportKind, f ExportFilter, loc *time.Location) (table, error) {
	t, ok := tables[what]
	if !ok {
		return table{}, fault.InvalidFields([]fault.Field{{Field: "what", Code: "unknown", Detail: "is nothing that can be exported"}})
	}
	given := map[string]any{}
	if err := json.Unmarshal([]byte(f.String()), &given); err != nil {
		return table{}, err
	}
	var wrong []fault.Field
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(t.takes, name) {
			wrong = append(wrong, fault.Field{Field: name, Code: "unused",
				Detail: "does not narrow an export of " + string(what) + "; leave it out (it takes " + strings.Join(t.takes, ", ") + ")"})
		}
	}
	if err := fault.InvalidFields(wrong); err != nil {
		return table{}, err
	}
	return t.make(f, loc)
}

// fill writes values into a line, by their types.
func fill(line []cell, loc *time.Location, values ...any) {
	for i, v := range values {
		line[i] = cell{}
		switch v := v.(type) {
		case string:
			line[i].text = v
		case Fen:
			line[i].n = int64(v)
		case int:
			line[i].n = int64(v)
		case int64:
			line[i].n = v
		case time.Time:
			line[i].text = inZone(v, loc)
		case Account:
			line[i].text = string(v)
		case CompensationState:
			line[i].text = string(v)
		case GuaranteeState:
			line[i].text = string(v)
		case Outcome:
			line[i].text = string(v)
		case *uuid.UUID:
			if v != nil {
				line[i].text = v.String()
			}
		case interface{ String() string }:
			line[i].text = v.String()
		default:
			panic("sla: an export has no cell for this type")
		}
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// timeOfDay is how a reason begins that has a time.
const timeOfDay = "15:04:05.999999 "

// reasonLines writes the lines of a verdict as one cell per language, each
// with its time of day where it has one.
func reasonLines(reasons []events.Reason, loc *time.Location) (zh, en string) {
	var z, e strings.Builder
	for i, r := range reasons {
		if i > 0 {
			z.WriteString("；")
			e.WriteString("; ")
		}
		if r.At != nil {
			at := r.At.In(loc).Format(timeOfDay)
			z.WriteString(at)
			e.WriteString(at)
		}
		z.WriteString(r.ZH)
		e.WriteString(r.EN)
	}
	return z.String(), e.String()
}
