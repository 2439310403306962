package sla

import (
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// compensationTableOf lists compensations as the list of them does.
//
// The lateral limits keep the order of the index: a join would sort every
// line on disk before the first one leaves.
func compensationTableOf(f ExportFilter, loc *time.Location) (table, error) {
	where := CompensationFilter{State: CompensationState(f.State), Area: f.Area, Policy: f.Policy, RequestID: f.RequestID, From: f.From, To: f.To}
	t := table{
		name: "compensations",
		columns: columnsOf("compensation_id", "request_id", "area", "tier", "partner_id", "provider_id", "state", "yuan:money", "policy", "policy_version:whole",
			"opened_at", "due_at", "stopped_at", "late_s:whole", "accrued_at", "changed_at",
			"approved_by", "approved_why", "disputed_by", "disputed_why", "voided_by", "voided_why", "verdict_zh", "verdict_en"),
		sum: 7,
		sql: `SELECT c.id, c.request_id, c.area, g.tier, g.partner_id, g.provider_id, c.state, c.fen, c.policy, c.policy_version,
				g.opened_at, g.due_at, g.stopped_at, g.late_us, c.accrued_at, c.changed_at,
				c.approved_by, c.approved_why, c.disputed_by, c.disputed_why, c.voided_by, c.voided_why, c.reasons
			FROM sla.compensations c JOIN LATERAL (SELECT * FROM sla.guarantees WHERE id = c.guarantee_id LIMIT 1) g ON true
			WHERE ` + where.sql("c") + ` ORDER BY c.accrued_at, c.id`,
		args: where.args(),
	}
	text := reasonText{loc: loc}
	t.scan = func(row pgx.Rows, line []cell) error {
		var reasons pgtype.DriverBytes
		var c Compensation
		var g Guarantee
		var stopped *time.Time
		var lateUS int64
		err := row.Scan(&c.ID, &c.RequestID, &c.Area, &g.Tier, &g.PartnerID, &g.ProviderID, &c.State, &c.Fen, &c.Policy, &c.PolicyVersion,
			&g.OpenedAt, &g.Verdict.DueAt, &stopped, &lateUS, &c.AccruedAt, &c.ChangedAt,
			&c.ApprovedBy, &c.ApprovedWhy, &c.DisputedBy, &c.DisputedWhy, &c.VoidedBy, &c.VoidedWhy, &reasons)
		if err != nil {
			return err
		}
		zh, en, err := text.read(reasons)
		if err != nil {
			return err
		}
		fill(line, loc, c.ID, c.RequestID, c.Area, g.Tier, g.PartnerID, g.ProviderID, c.State, c.Fen, c.Policy, c.PolicyVersion,
			g.OpenedAt, g.Verdict.DueAt, utc(stopped), lateUS/1_000_000, c.AccruedAt, c.ChangedAt,
			c.ApprovedBy, c.ApprovedWhy, c.DisputedBy, c.DisputedWhy, c.VoidedBy, c.VoidedWhy, zh, en)
		return nil
	}
	return t, nil
}

// guaranteeTableOf lists promises by their opening, with their verdicts.
func guaranteeTableOf(f ExportFilter, loc *time.Location) (table, error) {
	t := table{
		name: "guarantees",
		columns: columnsOf("guarantee_id", "request_id", "area", "tier", "priority:whole", "partner_id", "provider_id", "state", "outcome",
			"promise_minutes:whole", "promise_rule", "policy", "policy_version:whole",
			"opened_at", "due_at", "stopped_at", "cancelled", "late_s:whole", "owed_yuan:money", "excluded", "without_exclusion_yuan:money", "import_id", "review", "verdict_zh", "verdict_en"),
		sum: 18,
		sql: `SELECT id, request_id, area, tier, priority, partner_id, provider_id, state, outcome, promise_minutes, promise_rule, policy, policy_version,
				opened_at, due_at, stopped_at, cancelled, late_us, owed_fen, excluded, raw_fen, import_id, review, reasons
			FROM sla.guarantees
			WHERE ($1 = '' OR state = $1) AND ($2 = '' OR area = $2) AND ($3 = '' OR policy = $3)
				AND opened_at >= coalesce($4, '-infinity'::timestamptz) AND opened_at < coalesce($5, 'infinity'::timestamptz)
			ORDER BY opened_at, id`,
		args: []any{f.State, f.Area, f.Policy, nullable(f.From), nullable(f.To)},
	}
	text := reasonText{loc: loc}
	t.scan = func(row pgx.Rows, line []cell) error {
		var reasons pgtype.DriverBytes
		var g Guarantee
		var stopped *time.Time
		var lateUS int64
		v := &g.Verdict
		err := row.Scan(&g.ID, &g.RequestID, &g.Area, &g.Tier, &g.Priority, &g.PartnerID, &g.ProviderID, &g.State, &v.Outcome,
			&g.Promise.Minutes, &g.Promise.Rule, &g.Promise.Policy, &g.Promise.PolicyVersion,
			&g.OpenedAt, &v.DueAt, &stopped, &v.Cancelled, &lateUS, &v.Fen, &v.Excluded, &v.RawFen, &g.ImportID, &v.Review, &reasons)
		if err != nil {
			return err
		}
		zh, en, err := text.read(reasons)
		if err != nil {
			return err
		}
		fill(line, loc, g.ID, g.RequestID, g.Area, g.Tier, g.Priority, g.PartnerID, g.ProviderID, g.State, v.Outcome,
			g.Promise.Minutes, g.Promise.Rule, g.Promise.Policy, g.Promise.PolicyVersion,
			g.OpenedAt, v.DueAt, utc(stopped), yes(v.Cancelled), lateUS/1_000_000, v.Fen, v.Excluded, v.RawFen, g.ImportID, v.Review, zh, en)
		return nil
	}
	return t, nil
}

// ledgerTableOf lists whole transactions, a line each for their lines; the
// total is that of the debits, which the credits equal.
func ledgerTableOf(f ExportFilter, loc *time.Location) (table, error) {
	where := TransactionFilter{Account: f.Account, Kind: f.Kind, CompensationID: f.CompensationID, BatchID: f.BatchID, From: f.From, To: f.To}
	t := table{
		name: "ledger",
		columns: columnsOf("transaction_id", "line:whole", "key", "kind", "account", "currency", "debit_yuan:money", "credit_yuan:money",
			"compensation_id", "batch_id", "reverses_id", "posted_by", "posted_at", "booked_on", "chain_seq:whole", "chain_hash"),
		sum: 6,
		sql: `SELECT t.id, e.line, t.key, t.kind, e.account, e.currency, e.fen, t.compensation_id, t.batch_id, t.reverses_id, t.actor, t.posted_at,
				coalesce(to_char(t.booked_on, 'YYYY-MM-DD'), ''),
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
		err := row.Scan(&x.ID, &n, &x.Key, &x.Kind, &l.Account, &l.Currency, &l.Fen, &x.CompensationID, &x.BatchID, &x.ReversesID, &x.By, &x.PostedAt, &x.BookedOn, &x.Seq, &hash)
		if err != nil {
			return err
		}
		fill(line, loc, x.ID, n, x.Key, x.Kind, l.Account, l.Currency, max(0, l.Fen), max(0, -l.Fen),
			x.CompensationID, x.BatchID, x.ReversesID, x.By, x.PostedAt, x.BookedOn, x.Seq, hash)
		return nil
	}
	return t, nil
}
