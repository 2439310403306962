package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/events"
	"rescued/sla"
)

type exportCmd struct {
	What         string `arg:"" enum:"compensations,guarantees,ledger,batch,chargebacks,statement" help:"compensations, guarantees, ledger, batch, chargebacks or statement."`
	Out          string `short:"o" default:"-" help:"File to write; - is standard output. It appears when it is whole."`
	Format       string `enum:"csv,xlsx" default:"csv" help:"csv or xlsx."`
	From         string `help:"From this day (2026-02-01) or moment (RFC 3339) on."`
	To           string `help:"Up to this day or moment, which is not included."`
	Zone         string `default:"Asia/Shanghai" help:"Time zone of days and of the times in the file."`
	State        string `help:"Only those in this state."`
	Area         string `help:"Only those of this area."`
	Policy       string `help:"Only those under this policy."`
	Account      string `help:"Ledger: only transactions with a line on this account."`
	Kind         string `help:"Ledger: only transactions of this kind."`
	Compensation string `help:"Ledger: only transactions about this compensation."`
	Batch        string `help:"Batch: which one. Ledger: only transactions about it."`
	Statement    string `help:"Statement: which one."`
	BOM          bool   `negatable:"" default:"true" help:"CSV: begin with the mark that spreadsheets know UTF-8 by."`
	Summary      bool   `negatable:"" default:"true" help:"CSV: end with rows that say what the file comes to."`
}

// Run writes the file and tells, beside it, what it comes to.
func (c exportCmd) Run(a *app) error {
	filter := sla.ExportFilter{State: c.State, Area: c.Area, Policy: c.Policy, Account: sla.Account(c.Account), Kind: c.Kind}
	var err error
	if filter.From, err = moment("--from", c.From, c.Zone); err != nil {
		return err
	}
	if filter.To, err = moment("--to", c.To, c.Zone); err != nil {
		return err
	}
	if c.Compensation != "" {
		if filter.CompensationID, err = events.ParseID[events.CompensationID](c.Compensation); err != nil {
			return fmt.Errorf("--compensation: %w", err)
		}
	}
	if c.Batch != "" {
		if filter.BatchID, err = events.ParseID[events.BatchID](c.Batch); err != nil {
			return fmt.Errorf("--batch: %w", err)
		}
	}
	if c.Statement != "" {
		if filter.StatementID, err = events.ParseID[events.StatementID](c.Statement); err != nil {
			return fmt.Errorf("--statement: %w", err)
		}
	}
	return writeExport(a, c.Out, sla.ExportOrder{
		What: sla.ExportKind(c.What), Format: sla.ExportFormat(c.Format), Filter: filter, Zone: c.Zone, NoBOM: !c.BOM, NoSummary: !c.Summary,
	})
}

// writeExport writes an order to a file, or to standard output for "-".
func writeExport(a *app, path string, order sla.ExportOrder) error {
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		s := sla.New(pool, sla.Config{Now: a.clock.Now})
		return whole(a, path, func(w io.Writer) error {
			x, err := s.Export(a.ctx, commandLine(), order, w)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stderr, "%s: %d lines, %s, sha256 %s\n", x.ID, x.Lines, x.TotalFen, x.Digest)
			return err
		})
	})
}

// whole lets write make a file that appears under its name only once it is
// whole: nobody takes half an export for one.
func whole(a *app, path string, write func(io.Writer) error) error {
	if path == "-" {
		return write(a.stdout)
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // gone already once it has been renamed
	if err := write(file); err != nil {
		_ = file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// moment reads a day in a zone, which means its beginning, or a moment; no
// text is the zero time.
func moment(flag, text, zone string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("--zone %q is no time zone we know; give a name such as Asia/Shanghai", zone)
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, loc); err == nil {
		return day, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s %q is neither a day (2026-02-01) nor a moment (2026-02-01T08:00:00+08:00)", flag, text)
	}
	return at, nil
}
