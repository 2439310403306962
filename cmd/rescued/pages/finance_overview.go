package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

// file is a download of what a page shows.
type file struct{ Format, Href string }

// filesOf are the two formats of an export, of the filter that the page shows.
func filesOf(path string, filter url.Values) []file {
	var list []file
	for _, format := range []sla.ExportFormat{sla.CSV, sla.XLSX} {
		q := url.Values{"format": {string(format)}}
		for name, values := range filter {
			if values[0] != "" {
				q[name] = values
			}
		}
		list = append(list, file{strings.ToUpper(string(format)), "/v1/exports/" + path + "?" + q.Encode()})
	}
	return list
}

// period is a stretch of time as the API writes it; an open end is empty.
func period(from, to time.Time) url.Values {
	text := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return url.Values{"from": {text(from)}, "to": {text(to)}}
}

// task is what waits for a person, and where.
type task struct {
	Word, Href string
	sla.Sum
}

type overviewPage struct {
	finance
	Month         month
	City, History string
	Split         sla.ReportBy // what there is a row for
	Bys           []choice
	Histories     []choice
	Report        sla.PeriodReport
	Files         []file
	Tasks         []task
	At            string // moment of the balances, as the form has it
	Trial         trial
}

// overview shows a month's figures, what waits for somebody, and what the
// accounts hold. Who has no business with them is led to what he may see.
func (p *pages) overview(w http.ResponseWriter, r *http.Request, f finance) error {
	switch {
	case f.By.Is(events.RoleOperator):
		http.Redirect(w, r, "/finance/promises", http.StatusSeeOther)
		return nil
	case f.By.Is(events.RoleProvider, events.RolePartner):
		http.Redirect(w, r, "/finance/statements", http.StatusSeeOther)
		return nil
	}
	page := overviewPage{finance: f, City: f.Query.Get("area"), Split: sla.ReportBy(f.Query.Get("by")), History: f.Query.Get("history"), At: f.Query.Get("at")}
	var err error
	if page.Month, err = p.monthOf(f.Query.Get("month"), 0); err != nil {
		return err
	}
	for _, by := range sla.ReportKinds() {
		page.Bys = append(page.Bys, choice{string(by), f.word("by_" + string(by))})
	}
	if !slices.Contains(sla.ReportKinds(), page.Split) {
		page.Split = sla.ByDay
	}
	for _, h := range []sla.History{sla.HistoryAll, sla.HistoryLive, sla.HistoryImported} {
		page.Histories = append(page.Histories, choice{string(h), f.word("history_" + string(h))})
	}
	filter := sla.ReportFilter{From: page.Month.from, To: page.Month.to, Zone: p.Zone.String(), Area: f.areaOf(page.City), History: sla.History(page.History)}
	if page.Report, err = p.Money.Report(r.Context(), f.By, page.Split, filter); err != nil {
		return err
	}
	if err := f.learn(r, keysOf(page.Report)...); err != nil {
		return err
	}
	q := period(filter.From, filter.To)
	q.Set("zone", filter.Zone)
	q.Set("area", filter.Area)
	q.Set("history", page.History)
	page.Files = filesOf("reports/"+string(page.Split), q)
	if page.Tasks, err = p.tasks(r, f); err != nil {
		return err
	}
	var at time.Time
	if page.At != "" {
		if at, err = momentOf(page.At, p.Zone); err != nil {
			return err
		}
	}
	if page.Trial, err = f.trialAt(r, at); err != nil {
		return err
	}
	return f.show(w, r, "overview", page)
}

// tasks counts what waits for somebody of finance.
func (p *pages) tasks(r *http.Request, f finance) (list []task, err error) {
	for _, state := range []sla.CompensationState{sla.Accrued, sla.Disputed, sla.Approved} {
		sum, err := p.Money.TotalCompensations(r.Context(), f.By, sla.CompensationFilter{State: state})
		if err != nil {
			return nil, err
		}
		list = append(list, task{f.word("task_" + string(state)), "/finance/compensations?month=all&state=" + string(state), sum})
	}
	sealed, err := p.Money.Batches(r.Context(), f.By, sla.BatchSealed, sla.BatchPlace{}, sealedAtMost)
	if err != nil {
		return nil, err
	}
	wait := task{Word: f.word("task_sealed"), Href: "/finance/batches?state=sealed", Sum: sla.Sum{Lines: int64(len(sealed))}}
	for _, b := range sealed {
		wait.Fen += b.Total
	}
	return append(list, wait), nil
}

// sealedAtMost bounds how many batches are looked at; nobody has as many
// waiting for approval.
const sealedAtMost = 1000

// RowName is what a row of the report is called.
func (page overviewPage) RowName(key string) string {
	switch {
	case key == "":
		return page.word("nobody")
	case page.Split == sla.ByCity:
		return page.finance.Area(key)
	}
	return page.Name(key)
}

// keysOf are what the rows of a report are of.
func keysOf(report sla.PeriodReport) []string {
	keys := make([]string, len(report.Rows))
	for i, row := range report.Rows {
		keys[i] = row.Key
	}
	return keys
}

// figuresRow is the figures of a row, for the cells that rows and total share.
type figuresRow struct {
	P overviewPage
	F sla.Figures
}

// Row makes one.
func (page overviewPage) Row(f sla.Figures) figuresRow { return figuresRow{page, f} }

// Oldest is when the oldest of what is outstanding accrued.
func (page overviewPage) Oldest(at *time.Time) string {
	if at == nil {
		return "—"
	}
	return page.Day(at.In(page.p.Zone))
}

// ReportRows is how many rows there are, as the files count them.
func (page overviewPage) ReportRows() int { return len(page.Report.Rows) }

// momentOf reads a moment as a form sends it, in the zone of the pages.
func momentOf(text string, zone *time.Location) (time.Time, error) {
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(form, strings.TrimSpace(text), zone); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fault.InvalidFields([]fault.Field{{Field: "at", Code: "moment", Detail: "is no moment; write it as 2026-03-02 15:04"}})
}

type exportsPage struct {
	finance
	Since   string
	Exports []sla.Export
}

// exports lists what was taken away as a file: by whom, of what, and the
// digest by which a file can be known again.
func (p *pages) exports(w http.ResponseWriter, r *http.Request, f finance) error {
	page := exportsPage{finance: f, Since: f.Query.Get("since")}
	if page.Since == "" {
		page.Since = p.Now().In(p.Zone).AddDate(0, 0, -7).Format(time.DateOnly)
	}
	since, err := momentOf(page.Since, p.Zone)
	if err != nil {
		return err
	}
	after := sla.ExportPlace{At: since}
	if err := f.from("exports", &after); err != nil {
		return err
	}
	list, err := p.Money.ExportRecords(r.Context(), f.By, after, pageSize+1)
	if err != nil {
		return err
	}
	page.Exports, page.Pager = cut(f, list, pageSize, "exports", func(x sla.Export) any { return sla.ExportPlace{At: x.MadeAt, ID: x.ID} })
	return f.show(w, r, "exports", page)
}
