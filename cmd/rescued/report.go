package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/events"
	"rescued/sla"
)

type reportCmd struct {
	By       string `enum:"day,month,city,provider,partner,policy" default:"month" help:"A row for each day, month, city, provider, partner or policy."`
	From     string `help:"Opened from this day (2026-02-01) or moment (RFC 3339) on."`
	To       string `help:"Up to this day or moment, which is not included."`
	Zone     string `default:"Asia/Shanghai" help:"Time zone in which days and months begin."`
	Area     string `help:"Only rescues of this area."`
	Provider string `help:"Only those of this provider."`
	Partner  string `help:"Only those of this partner."`
	Policy   string `help:"Only those under this policy."`
	History  string `enum:"all,live,imported" default:"all" help:"Whether past rescues that were imported are taken in: all, live or imported."`
	Format   string `enum:"table,csv,xlsx" default:"table" help:"table, csv or xlsx."`
	Out      string `short:"o" default:"-" help:"File to write; - is standard output."`
}

// Run writes the report, as a table for the terminal or as a file.
func (c reportCmd) Run(a *app) error {
	filter := sla.ReportFilter{Zone: c.Zone, Area: c.Area, Policy: c.Policy, History: sla.History(c.History)}
	var err error
	if filter.From, err = moment("--from", c.From, c.Zone); err != nil {
		return err
	}
	if filter.To, err = moment("--to", c.To, c.Zone); err != nil {
		return err
	}
	if c.Provider != "" {
		if filter.ProviderID, err = events.ParseID[events.ProviderID](c.Provider); err != nil {
			return fmt.Errorf("--provider: %w", err)
		}
	}
	if c.Partner != "" {
		if filter.PartnerID, err = events.ParseID[events.PartnerID](c.Partner); err != nil {
			return fmt.Errorf("--partner: %w", err)
		}
	}
	if c.Format != "table" {
		return writeExport(a, c.Out, sla.ExportOrder{What: sla.ExportReport, Format: sla.ExportFormat(c.Format), Zone: c.Zone, Filter: sla.ExportFilter{
			By: sla.ReportBy(c.By), From: filter.From, To: filter.To, Area: c.Area, Policy: c.Policy,
			ProviderID: filter.ProviderID, PartnerID: filter.PartnerID, History: filter.History,
		}})
	}
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		s := sla.New(pool, sla.Config{Now: a.clock.Now})
		report, err := s.Report(a.ctx, commandLine(), sla.ReportBy(c.By), filter)
		if err != nil {
			return err
		}
		return whole(a, c.Out, func(w io.Writer) error { return printReport(w, report) })
	})
}

// printReport writes a report for people: on time before and after exclusions
// side by side, money in yuan.
func printReport(w io.Writer, r sla.PeriodReport) error {
	loc, err := time.LoadLocation(r.Zone)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "%s\tRESCUES\tON TIME\tRAW %%\tEXCUSED\tAFTER %%\tCOMPENSATION\tA RESCUE\tPAID\tOUTSTANDING\tOLDEST\t\n", r.By)
	row := func(key string, f sla.Figures) {
		if key == "" {
			key = "-"
		}
		oldest := "-"
		if f.OldestOpen != nil {
			oldest = f.OldestOpen.In(loc).Format(time.DateOnly)
		}
		fmt.Fprintf(out, "%s\t%d\t%d\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t\n", key, f.Rescues, f.OnTime, f.RawPct, f.Excluded, f.AfterPct, f.Fen, f.Average, f.Paid, f.Open, oldest)
	}
	for _, line := range r.Rows {
		row(line.Key, line.Figures)
	}
	row("total", r.Total)
	return out.Flush()
}
