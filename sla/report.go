package sla

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
)

// ReportBy is what a report has a row for.
type ReportBy string

// What reports have rows for.
const (
	ByDay      ReportBy = "day"
	ByMonth    ReportBy = "month"
	ByCity     ReportBy = "city" // the area of the request
	ByProvider ReportBy = "provider"
	ByPartner  ReportBy = "partner"
	ByPolicy   ReportBy = "policy" // name and version
)

// ReportKinds lists what reports have rows for.
func ReportKinds() []ReportBy {
	return []ReportBy{ByDay, ByMonth, ByCity, ByProvider, ByPartner, ByPolicy}
}

// reportKeys is the key of a row, over a guarantee g; $1 is the time zone.
var reportKeys = map[ReportBy]string{
	ByDay:      `to_char(g.opened_at AT TIME ZONE $1, 'YYYY-MM-DD')`,
	ByMonth:    `to_char(g.opened_at AT TIME ZONE $1, 'YYYY-MM')`,
	ByCity:     `g.area`,
	ByProvider: `coalesce('prv_' || g.provider_id, '')`,
	ByPartner:  `coalesce('ptn_' || g.partner_id, '')`,
	ByPolicy:   `g.policy || ' v' || g.policy_version`,
}

// History says whether a report takes in past rescues that were imported.
type History string

// What a report takes in.
const (
	HistoryAll      History = "all"
	HistoryLive     History = "live"     // only rescues of this system
	HistoryImported History = "imported" // only those that were imported
)

// ReportFilter narrows a report; zero values do not.
type ReportFilter struct {
	From, To   time.Time // opened at or after From and before To
	Zone       string    // in which days and months begin; DefaultZone when empty
	Area       string
	ProviderID events.ProviderID
	PartnerID  events.PartnerID
	Policy     string // by name
	History    History
}

// Figures are what a report says of some rescues: those whose promise came to
// an end in an arrival, or late. What was called off in time, waived, or is
// still under way is no rescue here.
type Figures struct {
	Rescues   int64 `json:"rescues" doc:"Promises kept and broken."`
	OnTime    int64 `json:"on_time"`
	Late      int64 `json:"late" doc:"An owner who gave up after the deadline is late too."`
	Excluded  int64 `json:"excluded" doc:"Of the late: excused by an exclusion of the policy."`
	RawPct    Pct   `json:"on_time_raw_pct" doc:"On time, of all rescues."`
	AfterPct  Pct   `json:"on_time_after_exclusions_pct" doc:"On time, of those that no exclusion excuses."`
	Fen       Fen   `json:"compensation_fen" doc:"Owed and not void."`
	Average   Fen   `json:"average_per_rescue_fen" doc:"Over all rescues, rounded to a whole fen."`
	Paid      Fen   `json:"paid_fen"`
	Open      Fen   `json:"outstanding_fen" doc:"Owed, not void and not paid yet."`
	OpenCount int64 `json:"outstanding" doc:"How many compensations that is."`
	// OldestOpen is when the oldest of the outstanding accrued.
	OldestOpen *time.Time `json:"oldest_outstanding_at,omitempty"`
}

// Pct is a percentage in hundredths of a percent, written with two decimals.
type Pct int64

// String writes 97.50.
func (p Pct) String() string { return yuan(Fen(p)) }

// MarshalJSON writes the number 97.50.
func (p Pct) MarshalJSON() ([]byte, error) { return []byte(p.String()), nil }

// ReportRow is one row of a report.
type ReportRow struct {
	Key string `json:"key" doc:"The day, month, area, provider, partner, or policy and version; empty for rescues without."`
	Figures
}

// PeriodReport is rows and what they come to together.
type PeriodReport struct {
	By    ReportBy
	Zone  string
	Rows  []ReportRow
	Total Figures
}

// finish works out what follows from the counts.
func (f *Figures) finish() {
	f.Late = f.Rescues - f.OnTime
	f.RawPct, f.AfterPct = ratio(f.OnTime, f.Rescues), ratio(f.OnTime, f.Rescues-f.Excluded)
	f.Open = f.Fen - f.Paid
	if f.Rescues > 0 {
		f.Average = Fen((int64(f.Fen)*2 + f.Rescues) / (f.Rescues * 2))
	}
}

// add takes in the figures of a row.
func (f *Figures) add(g Figures) (err error) {
	f.Rescues, f.OnTime, f.Excluded, f.OpenCount = f.Rescues+g.Rescues, f.OnTime+g.OnTime, f.Excluded+g.Excluded, f.OpenCount+g.OpenCount
	if f.Fen, err = f.Fen.Plus(g.Fen); err != nil {
		return err
	}
	if f.Paid, err = f.Paid.Plus(g.Paid); err != nil {
		return err
	}
	if g.OldestOpen != nil && (f.OldestOpen == nil || g.OldestOpen.Before(*f.OldestOpen)) {
		f.OldestOpen = g.OldestOpen
	}
	return nil
}

// ratio is part of whole, rounded to a hundredth of a percent; of nothing it
// is zero.
func ratio(part, whole int64) Pct {
	if whole == 0 {
		return 0
	}
	return Pct((part*20_000 + whole) / (whole * 2))
}

// Report tells how promises were kept and what that cost, with a row for each
// day, month, city, provider, partner or policy. Finance and administrators
// may.
func (s *Service) Report(ctx context.Context, by events.Actor, of ReportBy, f ReportFilter) (r PeriodReport, err error) {
	defer fault.Wrap(&err, "report by %s", of)
	if !by.Is(moneyReaders...) {
		return PeriodReport{}, forbidden(by)
	}
	sql, args, err := f.query(of)
	if err != nil {
		return PeriodReport{}, err
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return PeriodReport{}, err
	}
	r = PeriodReport{By: of, Zone: args[0].(string)}
	if r.Rows, err = pgx.CollectRows(rows, scanReportRow); err != nil {
		return PeriodReport{}, err
	}
	for _, row := range r.Rows {
		if err := r.Total.add(row.Figures); err != nil {
			return PeriodReport{}, err
		}
	}
	r.Total.finish()
	return r, nil
}

// query is the statement of a report, whose rows scanReportRow reads.
func (f ReportFilter) query(of ReportBy) (sql string, args []any, err error) {
	key, ok := reportKeys[of]
	var wrong []fault.Field
	if !ok {
		wrong = append(wrong, fault.Field{Field: "by", Code: "unknown", Detail: "is nothing a report has rows for; use day, month, city, provider, partner or policy"})
	}
	if f.History != "" && !slices.Contains([]History{HistoryAll, HistoryLive, HistoryImported}, f.History) {
		wrong = append(wrong, fault.Field{Field: "history", Code: "unknown", Detail: "is not all, live or imported"})
	}
	if err := fault.InvalidFields(wrong); err != nil {
		return "", nil, err
	}
	if err := checkPeriod(f.From, f.To); err != nil {
		return "", nil, err
	}
	loc, err := zone(f.Zone)
	if err != nil {
		return "", nil, err
	}
	// One live compensation per guarantee, by unique index: the join repeats none.
	return `
		SELECT ` + key + `, count(*), count(*) FILTER (WHERE g.outcome = 'met'), count(*) FILTER (WHERE g.excluded <> ''),
			coalesce(sum(c.fen), 0)::bigint, coalesce(sum(c.fen) FILTER (WHERE c.state = 'paid'), 0)::bigint,
			count(c.id) FILTER (WHERE c.state <> 'paid'), min(c.accrued_at) FILTER (WHERE c.state <> 'paid')
		FROM sla.guarantees g LEFT JOIN sla.compensations c ON c.guarantee_id = g.id AND c.state <> 'void'
		WHERE g.outcome IN ('met', 'late')
			AND g.opened_at >= coalesce($2, '-infinity'::timestamptz) AND g.opened_at < coalesce($3, 'infinity'::timestamptz)
			AND ($4 = '' OR g.area = $4) AND ($5::uuid IS NULL OR g.provider_id = $5) AND ($6::uuid IS NULL OR g.partner_id = $6)
			AND ($7 = '' OR g.policy = $7)
			AND ($8 IN ('', 'all') OR (g.import_id IS NULL) = ($8 = 'live'))
			AND $1 <> ''
		GROUP BY 1 ORDER BY 1`,
		[]any{loc.String(), nullable(f.From), nullable(f.To), f.Area, f.ProviderID, f.PartnerID, f.Policy, string(f.History)}, nil
}

func scanReportRow(row pgx.CollectableRow) (ReportRow, error) {
	var r ReportRow
	err := row.Scan(&r.Key, &r.Rescues, &r.OnTime, &r.Excluded, &r.Fen, &r.Paid, &r.OpenCount, &r.OldestOpen)
	r.OldestOpen = nullable(utc(r.OldestOpen))
	r.finish()
	return r, err
}
