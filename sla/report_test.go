package sla_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"rescued/events"
	"rescued/sla"
)

// month makes nine rescues of two days and two areas: five late at ¥20.00 or
// ¥50.00, of which two are paid and one bounced; two in time; one late and
// excused; and one in time on the next day.
func (r *rig) month() {
	r.t.Helper()
	r.inForce(edit(r.t, func(doc map[string]any) {
		doc["version"] = 2
		doc["exclusions"] = []any{map[string]any{
			"rule": "remote", "because": "remote_area", "owes_pct": 0, "when": map[string]any{"areas": []any{"cn-9999"}},
			"words": map[string]any{"zh": "偏远地区", "en": "Remote area"},
		}}
	}))
	r.approved(3) // in cn-3301
	r.results(r.submitted(), func(i int) bool { return i == 0 })
	r.at(opened.Add(2 * time.Hour))
	r.lateBy(time.Minute)
	r.lateBy(11 * time.Minute)
	r.inTime()
	r.inTime()
	remote := r.open(events.NewID[events.RequestID](), "urban")
	remote.Area = "cn-9999"
	r.must(remote, arrivedEvent(remote.RequestID, crewB, due.Add(time.Minute)))
	next := r.open(events.NewID[events.RequestID](), "urban")
	shift := 10 * time.Hour // the next day in Shanghai, the same in UTC
	next.OpenedAt, next.Promise.DueAt = next.OpenedAt.Add(shift), next.Promise.DueAt.Add(shift)
	r.must(next, arrivedEvent(next.RequestID, crewB, next.OpenedAt.Add(time.Minute)))
	// What is still under way, or was called off in time, is no rescue.
	r.must(r.open(events.NewID[events.RequestID](), "urban"))
	off := r.open(events.NewID[events.RequestID](), "urban")
	r.must(off, cancelledEvent(off.RequestID, minute(5)))
}

func (r *rig) report(of sla.ReportBy, f sla.ReportFilter) sla.PeriodReport {
	r.t.Helper()
	got, err := r.Report(r.t.Context(), finance, of, f)
	require.NoError(r.t, err)
	return got
}

func TestReportsAddUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.month()
	all := r.report(sla.ByCity, sla.ReportFilter{}).Total
	require.Equal(t, []int64{9, 3, 6, 1}, []int64{all.Rescues, all.OnTime, all.Late, all.Excluded})
	require.Equal(t, []string{"33.33", "37.50"}, []string{all.RawPct.String(), all.AfterPct.String()}, "3 of 9, and of the 8 that nothing excuses")
	require.EqualValues(t, 3, all.OpenCount, "the bounced one waits too")
	require.Equal(t, all.Fen, all.Paid+all.Open)
	require.NotNil(t, all.OldestOpen)

	// What the verdicts owe is what the report says.
	var owed sla.Fen
	list, err := r.Compensations(t.Context(), finance, sla.CompensationFilter{}, sla.CompensationPlace{}, 100)
	require.NoError(t, err)
	for _, c := range list {
		owed += c.Fen
	}
	require.Equal(t, owed, all.Fen)
	require.Equal(t, sla.Fen((int64(owed)*2+9)/18), all.Average)

	city := r.report(sla.ByCity, sla.ReportFilter{})
	require.Equal(t, "cn-3301", city.Rows[0].Key)
	require.Equal(t, []string{"cn-9999", "0.00", "0.00"}, []string{city.Rows[1].Key, city.Rows[1].RawPct.String(), city.Rows[1].AfterPct.String()})
	require.Zero(t, city.Rows[1].Fen)

	day := r.report(sla.ByDay, sla.ReportFilter{})
	require.Equal(t, []string{"2026-03-02", "2026-03-03"}, []string{day.Rows[0].Key, day.Rows[1].Key})
	require.Len(t, r.report(sla.ByDay, sla.ReportFilter{Zone: "UTC"}).Rows, 1, "a day begins where one says")
	require.Len(t, r.report(sla.ByMonth, sla.ReportFilter{}).Rows, 1)
	require.Equal(t, "2026-03", r.report(sla.ByMonth, sla.ReportFilter{}).Rows[0].Key)
	provider := r.report(sla.ByProvider, sla.ReportFilter{})
	require.Equal(t, []string{"", provA.String()}, []string{provider.Rows[0].Key, provider.Rows[1].Key})
	require.EqualValues(t, 4, provider.Rows[1].Rescues)
	require.Len(t, r.report(sla.ByPartner, sla.ReportFilter{}).Rows, 2)
	require.Equal(t, "example-45 v2", r.report(sla.ByPolicy, sla.ReportFilter{}).Rows[0].Key)

	for _, by := range sla.ReportKinds() {
		require.Equal(t, all, r.report(by, sla.ReportFilter{}).Total, "the same rescues, however they are grouped: %s", by)
	}
	require.EqualValues(t, 4, r.report(sla.ByDay, sla.ReportFilter{ProviderID: provA}).Total.Rescues)
	require.EqualValues(t, 2, r.report(sla.ByDay, sla.ReportFilter{PartnerID: partner}).Total.Rescues)
	require.EqualValues(t, 1, r.report(sla.ByDay, sla.ReportFilter{From: opened.Add(time.Hour)}).Total.Rescues)
	require.Zero(t, r.report(sla.ByDay, sla.ReportFilter{History: sla.HistoryImported}).Total.Rescues)
	require.EqualValues(t, 9, r.report(sla.ByDay, sla.ReportFilter{History: sla.HistoryLive}).Total.Rescues)
	require.Empty(t, r.report(sla.ByDay, sla.ReportFilter{Policy: "other"}).Rows)
}

func TestAReportReadsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.month()
	d := newDoor(t, r)
	screen, _ := d.ask(finance, "GET", "/v1/reports/city", "", 200)
	total := screen["total"].(map[string]any)
	require.EqualValues(t, 33.33, total["on_time_raw_pct"])
	body, _, _ := fetch(t, d, finance, "/v1/exports/reports/city")
	lines, says := readCSV(t, body)
	require.Len(t, lines, 2)
	require.Equal(t, "cn-3301", lines[0]["city"])
	require.Equal(t, "37.50", lines[0]["on_time_raw_pct"])
	require.EqualValues(t, total["compensation_fen"], fenOf(t, says["total_yuan"]))
	book, _, _ := fetch(t, d, finance, "/v1/exports/reports/city?format=xlsx")
	file, err := excelize.OpenReader(bytes.NewReader(book))
	require.NoError(t, err)
	defer file.Close()
	rows, err := file.GetRows("report", excelize.Options{RawCellValue: true})
	require.NoError(t, err)
	var sum sla.Fen
	for _, row := range rows[1:] {
		var yuan float64
		_, err := fmt.Sscan(row[7], &yuan)
		require.NoError(t, err)
		sum += sla.Fen(yuan * 100)
	}
	require.EqualValues(t, total["compensation_fen"], sum)

	d.ask(finance, "GET", "/v1/reports/mood", "", 400)
	d.ask(finance, "GET", "/v1/reports/day?zone=Mars", "", 400)
	d.ask(finance, "GET", "/v1/reports/day?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "", 400)
	d.ask(operator, "GET", "/v1/reports/day", "", 403)
	d.ask(providerA, "GET", "/v1/exports/reports/day", "", 403)
}

func TestABatchAndChargebacksAreExported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	d := newDoor(t, r)
	r.charged(15 * time.Minute)
	r.charged(15 * time.Minute)
	b := r.submitted()
	b = r.results(b, func(i int) bool { return i == 0 })
	body, _, _ := fetch(t, d, finance, "/v1/exports/batches/"+b.ID.String())
	lines, says := readCSV(t, body)
	require.Len(t, lines, 2)
	require.Equal(t, b.Total, fenOf(t, says["total_yuan"]))
	body, _, _ = fetch(t, d, finance, "/v1/exports/batches/"+b.ID.String()+"?state=bounced")
	lines, _ = readCSV(t, body)
	require.Len(t, lines, 1)
	require.NotEmpty(t, lines[0]["bounced_why"])

	screen, _ := d.ask(finance, "GET", "/v1/chargebacks?total=true", "", 200)
	body, _, _ = fetch(t, d, finance, "/v1/exports/chargebacks")
	lines, says = readCSV(t, body)
	require.Len(t, lines, 4)
	require.EqualValues(t, screen["total"].(map[string]any)["fen"], fenOf(t, says["total_yuan"]))
	body, _, _ = fetch(t, d, finance, "/v1/exports/chargebacks?provider_id="+provA.String())
	lines, _ = readCSV(t, body)
	require.Len(t, lines, 2)
	require.Contains(t, lines[0]["fault_en"], "Fault of the provider: 75%")
}

func TestPercentagesRoundAsOneDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		part, whole int64
		want        string
	}{{0, 0, "0.00"}, {1, 3, "33.33"}, {2, 3, "66.67"}, {1, 8, "12.50"}, {999_999, 1_000_000, "100.00"}, {1, 1, "100.00"}, {1, 20_000, "0.01"}} {
		require.Equal(t, c.want, sla.Ratio(c.part, c.whole).String())
	}
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Int64Range(1, 1e9).Draw(t, "whole")
		part := rapid.Int64Range(0, whole).Draw(t, "part")
		p := sla.Ratio(part, whole)
		require.InDelta(t, float64(part)/float64(whole)*10_000, float64(p), 0.5000001)
	})
}
