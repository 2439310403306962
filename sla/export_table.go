package sla

import (
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
	moneyCell                 // fen, written in yuan with two decimals
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
}

// columns reads names such as "area" or "yuan:money".
func columnsOf(names ...string) []column {
	list := make([]column, len(names))
	for i, n := range names {
		name, kind, _ := strings.Cut(n, ":")
		list[i] = column{name: name}
		switch kind {
		case "money":
			list[i].kind = moneyCell
		case "whole":
			list[i].kind = wholeCell
		}
	}
	return list
}

// tables makes the table of each kind of export.
var tables = map[ExportKind]struct {
	takes []string // members of the filter that mean something to it
	make  func(ExportFilter, *time.Location) table
}{
	ExportCompensations: {[]string{"from", "to", "state", "area", "policy", "request_id"}, compensationTableOf},
	ExportGuarantees:    {[]string{"from", "to", "state", "area", "policy"}, guaranteeTableOf},
	ExportLedger:        {[]string{"from", "to", "account", "kind", "compensation_id", "batch_id"}, ledgerTableOf},
	ExportStatement:     {[]string{"statement_id"}, statementTableOf},
}

// tableOf refuses members of the filter that the kind has no use for, all at
// once: somebody who believes that he narrowed an export must not get another.
func tableOf(what ExportKind, f ExportFilter, loc *time.Location) (table, error) {
	t, ok := tables[what]
	if !ok {
		return table{}, fault.InvalidFields([]fault.Field{{Field: "what", Code: "unknown", Detail: "is nothing that can be exported"}})
	}
	given := map[string]bool{
		"from": !f.From.IsZero(), "to": !f.To.IsZero(), "state": f.State != "", "area": f.Area != "", "policy": f.Policy != "",
		"request_id": !f.RequestID.IsZero(), "account": f.Account != "", "kind": f.Kind != "",
		"compensation_id": !f.CompensationID.IsZero(), "batch_id": !f.BatchID.IsZero(), "statement_id": !f.StatementID.IsZero(),
	}
	for _, name := range t.takes {
		delete(given, name)
	}
	var wrong []fault.Field
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if given[name] {
			wrong = append(wrong, fault.Field{Field: name, Code: "unused",
				Detail: "does not narrow an export of " + string(what) + "; leave it out (it takes " + strings.Join(t.takes, ", ") + ")"})
		}
	}
	return t.make(f, loc), fault.InvalidFields(wrong)
}

// compensationTableOf lists compensations as the list of them does.
//
// The lateral limits keep the order of the index: a join would sort every
// line on disk before the first one leaves.
func compensationTableOf(f ExportFilter, loc *time.Location) table {
	where := CompensationFilter{State: CompensationState(f.State), Area: f.Area, Policy: f.Policy, RequestID: f.RequestID, From: f.From, To: f.To}
	t := table{
		name: "compensations",
		columns: columnsOf("compensation_id", "request_id", "area", "tier", "partner_id", "state", "yuan:money", "policy", "policy_version:whole",
			"opened_at", "due_at", "stopped_at", "late_s:whole", "accrued_at", "changed_at",
			"approved_by", "approved_why", "disputed_by", "disputed_why", "voided_by", "voided_why", "verdict_zh", "verdict_en"),
		sum: 6,
		sql: `SELECT c.id, c.request_id, c.area, g.tier, g.partner_id, c.state, c.fen, c.policy, c.policy_version,
				g.opened_at, g.due_at, g.stopped_at, g.late_us, c.accrued_at, c.changed_at,
				c.approved_by, c.approved_why, c.disputed_by, c.disputed_why, c.voided_by, c.voided_why, c.reasons
			FROM sla.compensations c JOIN LATERAL (SELECT * FROM sla.guarantees WHERE id = c.guarantee_id LIMIT 1) g ON true
			WHERE ` + where.sql("c") + ` ORDER BY c.accrued_at, c.id`,
		args: where.args(),
	}
	t.scan = func(row pgx.Rows, line []cell) error {
		var c Compensation
		var g Guarantee
		var stopped *time.Time
		var lateUS int64
		err := row.Scan(&c.ID, &c.RequestID, &c.Area, &g.Tier, &g.PartnerID, &c.State, &c.Fen, &c.Policy, &c.PolicyVersion,
			&g.OpenedAt, &g.Verdict.DueAt, &stopped, &lateUS, &c.AccruedAt, &c.ChangedAt,
			&c.ApprovedBy, &c.ApprovedWhy, &c.DisputedBy, &c.DisputedWhy, &c.VoidedBy, &c.VoidedWhy, &c.Reasons)
		if err != nil {
			return err
		}
		zh, en := reasonLines(c.Reasons, loc)
		fill(line, loc, c.ID, c.RequestID, c.Area, g.Tier, g.PartnerID, c.State, c.Fen, c.Policy, c.PolicyVersion,
			g.OpenedAt, g.Verdict.DueAt, utc(stopped), lateUS/1_000_000, c.AccruedAt, c.ChangedAt,
			c.ApprovedBy, c.ApprovedWhy, c.DisputedBy, c.DisputedWhy, c.VoidedBy, c.VoidedWhy, zh, en)
		return nil
	}
	return t
}

// guaranteeTableOf lists promises by their opening, with their verdicts.
func guaranteeTableOf(f ExportFilter, loc *time.Location) table {
	t := table{
		name: "guarantees",
		columns: columnsOf("guarantee_id", "request_id", "area", "tier", "priority:whole", "partner_id", "state", "outcome",
			"promise_minutes:whole", "promise_rule", "policy", "policy_version:whole",
			"opened_at", "due_at", "stopped_at", "cancelled", "late_s:whole", "owed_yuan:money", "review", "verdict_zh", "verdict_en"),
		sum: 17,
		sql: `SELECT id, request_id, area, tier, priority, partner_id, state, outcome, promise_minutes, promise_rule, policy, policy_version,
				opened_at, due_at, stopped_at, cancelled, late_us, owed_fen, review, reasons
			FROM sla.guarantees
			WHERE ($1 = '' OR state = $1) AND ($2 = '' OR area = $2) AND ($3 = '' OR policy = $3)
				AND opened_at >= coalesce($4, '-infinity'::timestamptz) AND opened_at < coalesce($5, 'infinity'::timestamptz)
			ORDER BY opened_at, id`,
		args: []any{f.State, f.Area, f.Policy, nullable(f.From), nullable(f.To)},
	}
	t.scan = func(row pgx.Rows, line []cell) error {
		var g Guarantee
		var stopped *time.Time
		var lateUS int64
		v := &g.Verdict
		err := row.Scan(&g.ID, &g.RequestID, &g.Area, &g.Tier, &g.Priority, &g.PartnerID, &g.State, &v.Outcome,
			&g.Promise.Minutes, &g.Promise.Rule, &g.Promise.Policy, &g.Promise.PolicyVersion,
			&g.OpenedAt, &v.DueAt, &stopped, &v.Cancelled, &lateUS, &v.Fen, &v.Review, &v.Reasons)
		if err != nil {
			return err
		}
		zh, en := reasonLines(v.Reasons, loc)
		fill(line, loc, g.ID, g.RequestID, g.Area, g.Tier, g.Priority, g.PartnerID, g.State, v.Outcome,
			g.Promise.Minutes, g.Promise.Rule, g.Promise.Policy, g.Promise.PolicyVersion,
			g.OpenedAt, v.DueAt, utc(stopped), yes(v.Cancelled), lateUS/1_000_000, v.Fen, v.Review, zh, en)
		return nil
	}
	return t
}

// ledgerTableOf lists whole transactions, a line each for their lines; the
// total is that of the debits, which the credits equal.
func ledgerTableOf(f ExportFilter, loc *time.Location) table {
	where := TransactionFilter{Account: f.Account, Kind: f.Kind, CompensationID: f.CompensationID, BatchID: f.BatchID, From: f.From, To: f.To}
	t := table{
		name: "ledger",
		columns: columnsOf("transaction_id", "line:whole", "key", "kind", "account", "currency", "debit_yuan:money", "credit_yuan:money",
			"compensation_id", "batch_id", "reverses_id", "posted_by", "posted_at", "chain_seq:whole", "chain_hash"),
		sum: 6,
		sql: `SELECT t.id, e.line, t.key, t.kind, e.account, e.currency, e.fen, t.compensation_id, t.batch_id, t.reverses_id, t.actor, t.posted_at,
				coalesce(k.seq, 0), coalesce(encode(k.hash, 'hex'), '')
			FROM sla.ledger_transactions t
				JOIN LATERAL (SELECT * FROM sla.ledger_entries WHERE transaction_id = t.id ORDER BY line OFFSET 0) e ON true
				LEFT JOIN LATERAL (SELECT seq, hash FROM sla.ledger_chain WHERE transaction_id = t.id LIMIT 1) k ON true
			WHERE ` + transactionWhere + ` ORDER BY t.posted_at, t.id, e.line`,
		args: where.args(),
	}
	t.scan = func(row pgx.Rows, line []cell) error {
		var x Transaction
		var n int
		var l Line
		var hash string
		err := row.Scan(&x.ID, &n, &x.Key, &x.Kind, &l.Account, &l.Currency, &l.Fen, &x.CompensationID, &x.BatchID, &x.ReversesID, &x.By, &x.PostedAt, &x.Seq, &hash)
		if err != nil {
			return err
		}
		fill(line, loc, x.ID, n, x.Key, x.Kind, l.Account, l.Currency, max(0, l.Fen), max(0, -l.Fen),
			x.CompensationID, x.BatchID, x.ReversesID, x.By, x.PostedAt, x.Seq, hash)
		return nil
	}
	return t
}

// statementTableOf lists the lines of a statement. What is charged and stands
// adds up to the statement's charges; a credit is negative, and what was
// overturned or withdrawn is nothing.
func statementTableOf(f ExportFilter, loc *time.Location) table {
	t := table{
		name: "statement",
		columns: columnsOf("line:whole", "kind", "state", "request_id", "compensation_id", "area", "opened_at", "stopped_at", "outcome", "late_s:whole",
			"fee_yuan:money", "charge_yuan:money", "fault_pct:whole", "disputed_why", "decided_why", "fault_zh", "fault_en"),
		sum: 11,
		sql: `SELECT ` + prefixed("l", statementLineColumns) + `, c.attribution
			FROM sla.statement_lines l LEFT JOIN LATERAL (SELECT attribution FROM sla.chargebacks
				WHERE compensation_id = l.compensation_id AND bearer = 'provider' AND bearer_id = l.provider_id LIMIT 1) c ON true
			WHERE l.statement_id = $1 ORDER BY l.line`,
		args: []any{f.StatementID},
	}
	t.scan = func(row pgx.Rows, line []cell) error {
		l, a, err := scanStatementLineWith(row)
		if err != nil {
			return err
		}
		var fee, charge Fen
		switch {
		case l.Kind == ItemService:
			fee = l.Fen
		case l.Kind == ItemCredit:
			charge = -l.Fen
		case l.State == ItemListed || l.State == ItemDisputed || l.State == ItemUpheld:
			charge = l.Fen
		}
		var zh, en string
		if a != nil {
			zh, en = reasonLines(a.Reasons, loc)
		}
		fill(line, loc, l.No, string(l.Kind), string(l.State), l.RequestID, l.CompensationID, l.Area, l.OpenedAt, l.StoppedAt, l.Outcome, int64(l.Late/time.Second),
			fee, charge, l.FaultPct, l.DisputedWhy, l.DecidedWhy, zh, en)
		return nil
	}
	return t
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
			at := r.At.In(loc).Format("15:04:05.999999 ")
			z.WriteString(at)
			e.WriteString(at)
		}
		z.WriteString(r.ZH)
		e.WriteString(r.EN)
	}
	return z.String(), e.String()
}
