package sla

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
)

// statementTableOf lists the lines of a statement. What is charged and stands
// adds up to the statement's charges; a credit is negative, and what was
// overturned or withdrawn is nothing. A provider's charge goes by its part of
// the fault, a partner's share by its policy alone.
func statementTableOf(f ExportFilter, loc *time.Location) (table, error) {
	names := []string{"line:whole", "kind", "state", "request_id", "compensation_id", "area", "opened_at", "stopped_at", "outcome", "late_s:whole",
		"compensation_yuan:money", "compensation_state", "policy", "policy_version:whole"}
	of := f.stated.Of.Bearer
	if of == BearerPartner {
		names = append(names, "share_yuan:money")
	} else {
		names = append(names, "fee_yuan:money", "charge_yuan:money", "fault_pct:whole")
	}
	t := table{
		name:    "statement",
		columns: columnsOf(append(names, "disputed_why", "decided_why", "fault_zh", "fault_en")...),
		notes:   f.stated.Notes(),
		sql: `SELECT ` + statementLineColumns + `, b.attribution
			FROM ` + statementLinesFrom + ` LEFT JOIN LATERAL (SELECT attribution FROM sla.chargebacks
				WHERE compensation_id = l.compensation_id AND bearer = l.bearer AND bearer_id = l.bearer_id LIMIT 1) b ON true
			WHERE l.statement_id = $1 ORDER BY l.line`,
		args: []any{f.StatementID},
	}
	t.sum = slices.IndexFunc(t.columns, func(c column) bool { return c.name == "share_yuan" || c.name == "charge_yuan" })
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
		values := []any{l.No, string(l.Kind), string(l.State), l.RequestID, l.CompensationID, l.Area, l.OpenedAt, l.StoppedAt, l.Outcome, int64(l.Late / time.Second),
			l.Compensation, string(l.CompensationState), l.Policy, l.PolicyVersion}
		if of == BearerPartner {
			values = append(values, charge)
		} else {
			values = append(values, fee, charge, l.FaultPct)
		}
		fill(line, loc, append(values, l.DisputedWhy, l.DecidedWhy, zh, en)...)
		return nil
	}
	return t, nil
}

// batchTableOf lists the lines of one batch, by compensation.
func batchTableOf(f ExportFilter, loc *time.Location) (table, error) {
	if f.BatchID.IsZero() {
		return table{}, fault.InvalidFields([]fault.Field{{Field: "batch_id", Code: "required", Detail: "is missing; say which batch"}})
	}
	t := table{
		name:    "batch",
		columns: columnsOf("batch_id", "batch_state", "compensation_id", "request_id", "reference", "attempt:whole", "yuan:money", "state", "paid_on", "bounced_why"),
		sum:     6,
		sql: `SELECT l.batch_id, b.state, l.compensation_id, l.request_id, l.reference, l.attempt, l.fen, l.state, coalesce(to_char(l.paid_on, 'YYYY-MM-DD'), ''), l.why
			FROM sla.batch_lines l JOIN sla.batches b ON b.id = l.batch_id
			WHERE l.batch_id = $1 AND ($2 = '' OR l.state = $2) ORDER BY l.compensation_id`,
		args: []any{f.BatchID, f.State},
	}
	t.scan = func(row pgx.Rows, line []cell) error {
		var batch events.BatchID
		var compensation events.CompensationID
		var request events.RequestID
		var attempt int
		var fen Fen
		var batchState, reference, state, paidOn, why string
		err := row.Scan(&batch, &batchState, &compensation, &request, &reference, &attempt, &fen, &state, &paidOn, &why)
		if err != nil {
			return err
		}
		fill(line, loc, batch, batchState, compensation, request, reference, attempt, fen, state, paidOn, why)
		return nil
	}
	return t, nil
}

// chargebackTableOf lists what others were charged, by when.
func chargebackTableOf(f ExportFilter, loc *time.Location) (table, error) {
	of, err := counterparty(f.ProviderID, f.PartnerID)
	if err != nil {
		return table{}, err
	}
	where := ChargebackFilter{Bearer: of.Bearer, BearerID: of.ID, State: ChargebackState(f.State), From: f.From, To: f.To}
	t := table{
		name: "chargebacks",
		columns: columnsOf("compensation_id", "request_id", "area", "bearer", "bearer_id", "state", "yuan:money", "fault_pct:whole", "policy", "policy_version:whole",
			"charged_at", "changed_at", "reversed_why", "fault_zh", "fault_en"),
		sum:  6,
		sql:  `SELECT ` + chargebackColumns + ` FROM sla.chargebacks b WHERE ` + chargebackWhere + ` ORDER BY b.charged_at, b.compensation_id, b.bearer_id`,
		args: where.args(),
	}
	t.scan = func(row pgx.Rows, line []cell) error {
		b, err := scanChargeback(row)
		if err != nil {
			return err
		}
		zh, en := reasonLines(b.Attribution.Reasons, loc)
		fill(line, loc, b.CompensationID, b.RequestID, b.Area, string(b.Bearer), b.BearerID(), string(b.State), b.Fen, b.FaultPct, b.Policy, b.PolicyVersion,
			b.ChargedAt, b.ChangedAt, b.ReversedWhy, zh, en)
		return nil
	}
	return t, nil
}

// reportTableOf lists the rows of a report; what they come to together is in
// the summary, as far as it adds up: the compensation.
func reportTableOf(f ExportFilter, loc *time.Location) (table, error) {
	sql, args, err := ReportFilter{
		From: f.From, To: f.To, Zone: loc.String(), Area: f.Area, ProviderID: f.ProviderID, PartnerID: f.PartnerID, Policy: f.Policy, History: f.History,
	}.query(f.By)
	if err != nil {
		return table{}, err
	}
	t := table{
		name: "report",
		columns: columnsOf(string(f.By), "rescues:whole", "on_time:whole", "late:whole", "excluded:whole", "on_time_raw_pct:pct", "on_time_after_exclusions_pct:pct",
			"compensation_yuan:money", "average_per_rescue_yuan:money", "paid_yuan:money", "outstanding_yuan:money", "outstanding:whole", "oldest_outstanding_at"),
		sum: 7, sql: sql, args: args,
	}
	t.scan = func(row pgx.Rows, line []cell) error {
		r, err := scanReportRow(row)
		if err != nil {
			return err
		}
		fill(line, loc, r.Key, r.Rescues, r.OnTime, r.Late, r.Excluded, int64(r.RawPct), int64(r.AfterPct), r.Fen, r.Average, r.Paid, r.Open, r.OpenCount, utc(r.OldestOpen))
		return nil
	}
	return t, nil
}
