package sla

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// ExportKind is what an export lists.
type ExportKind string

// The kinds of exports.
const (
	ExportCompensations ExportKind = "compensations" // with the verdict each rests on, line by line
	ExportGuarantees    ExportKind = "guarantees"    // promises and their verdicts
	ExportLedger        ExportKind = "ledger"        // one line per ledger line
	ExportBatch         ExportKind = "batch"         // the lines of one batch
	ExportChargebacks   ExportKind = "chargebacks"   // what others were charged
	ExportStatement     ExportKind = "statement"     // the lines of one statement
	ExportReport        ExportKind = "report"        // the rows of a report
)

// ExportFormat is how a file is written.
type ExportFormat string

// The formats.
const (
	CSV  ExportFormat = "csv"
	XLSX ExportFormat = "xlsx"
)

// MediaType is the format's.
func (f ExportFormat) MediaType() string {
	if f == XLSX {
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	}
	return "text/csv; charset=utf-8"
}

// ExportFilter narrows an export; zero values do not. What a kind has no use
// for is refused rather than passed over.
type ExportFilter struct {
	From           time.Time             `json:"from,omitzero"` // accrued, opened or posted at or after it
	To             time.Time             `json:"to,omitzero"`   // and before it
	State          string                `json:"state,omitempty"`
	Area           string                `json:"area,omitempty"`
	Policy         string                `json:"policy,omitempty"`
	RequestID      events.RequestID      `json:"request_id,omitzero"`
	Account        Account               `json:"account,omitempty"`
	Kind           string                `json:"kind,omitempty"` // of a posting
	CompensationID events.CompensationID `json:"compensation_id,omitzero"`
	BatchID        events.BatchID        `json:"batch_id,omitzero"`
	StatementID    events.StatementID    `json:"statement_id,omitzero"`
	ProviderID     events.ProviderID     `json:"provider_id,omitzero"`
	PartnerID      events.PartnerID      `json:"partner_id,omitzero"`
	By             ReportBy              `json:"by,omitempty"` // what a report has a row for
	History        History               `json:"history,omitempty"`

	stated Statement // whose lines StatementID asks for
}

// String is the filter as a JSON object, as files and records carry it.
func (f ExportFilter) String() string {
	text, err := json.Marshal(f)
	if err != nil {
		panic("sla: " + err.Error()) // plain values always marshal
	}
	return string(text)
}

// ExportOrder is what somebody wants to have as a file.
type ExportOrder struct {
	What      ExportKind
	Format    ExportFormat
	Filter    ExportFilter
	Zone      string // of the times; DefaultZone when empty
	NoBOM     bool   // CSV only: leave out the mark that spreadsheets know UTF-8 by
	NoSummary bool   // CSV only: leave out the rows after the lines that say what they come to
}

// Export is the record of one export.
type Export struct {
	ID         events.ExportID `json:"id"`
	What       ExportKind      `json:"what"`
	Format     ExportFormat    `json:"format"`
	Filter     string          `json:"filter" doc:"What was asked for, as a JSON object."`
	Zone       string          `json:"zone" doc:"Time zone of the times in it."`
	MadeBy     string          `json:"made_by" doc:"Who, as role:subject."`
	MadeAt     time.Time       `json:"made_at"`
	FinishedAt *time.Time      `json:"finished_at,omitempty" doc:"Absent while it is being made, and for good when the process died."`
	Lines      int64           `json:"lines"`
	TotalFen   Fen             `json:"total_fen"`
	Digest     string          `json:"digest" doc:"SHA-256 of the lines as CSV with bom=0 and summary=0, in hexadecimal: what sha256sum says of that file."`
	LedgerHead ChainHead       `json:"ledger_head" doc:"Head of the ledger's chain as it was read; a kept export proves the ledger before it."`
	Failed     string          `json:"failed,omitempty" doc:"Why it broke off."`

	notes []events.Reason // of the table
}

// ExportJob is an export that has been checked and can be written.
type ExportJob struct {
	s     *Service
	by    events.Actor
	order ExportOrder
	table table
	id    events.ExportID

	rowsEach int // of a worksheet, the header included
}

// PrepareExport checks an order: who asks, and that its filter can be meant.
// Finance and administrators may; a statement may also be taken by the
// provider or partner it is of.
func (s *Service) PrepareExport(ctx context.Context, by events.Actor, order ExportOrder) (_ *ExportJob, err error) {
	defer fault.Wrap(&err, "export %s", order.What)
	if order.What == ExportStatement {
		if order.Filter.stated, err = s.Statement(ctx, by, order.Filter.StatementID); err != nil {
			return nil, err
		}
	} else if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	loc, err := zone(order.Zone)
	if err != nil {
		return nil, err
	}
	order.Zone = loc.String()
	if order.Format != CSV && order.Format != XLSX {
		return nil, fault.InvalidFields([]fault.Field{{Field: "format", Code: "format", Detail: "is not csv or xlsx"}})
	}
	if err := checkPeriod(order.Filter.From, order.Filter.To); err != nil {
		return nil, err
	}
	t, err := tableOf(order.What, order.Filter, loc)
	if err != nil {
		return nil, err
	}
	return &ExportJob{s: s, by: by, order: order, table: t, id: events.NewID[events.ExportID](), rowsEach: mostRows}, nil
}

// ID names the export before it is written.
func (j *ExportJob) ID() events.ExportID { return j.id }

// Write makes the file on w and gives its record. All lines come from one
// snapshot of the database. The record is opened before the first byte and
// closed after the last; what breaks off is recorded as that.
func (j *ExportJob) Write(ctx context.Context, w io.Writer) (_ Export, err error) {
	defer fault.Wrap(&err, "write export %s of %s", j.id, j.order.What)
	x := Export{
		ID: j.id, What: j.order.What, Format: j.order.Format, Filter: j.order.Filter.String(), Zone: j.order.Zone,
		MadeBy: j.by.String(), MadeAt: j.s.now(), notes: j.table.notes,
	}
	if err := insertExport(ctx, j.s.pool, x); err != nil {
		return x, err
	}
	made := j.lines(ctx, w, &x)
	if made != nil {
		x.Failed, x.Digest = oneLine(made), ""
	}
	// The record is closed even when it is the caller who left.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	x.FinishedAt = nullable(j.s.now())
	err = j.s.inTx(ctx, func(tx pgx.Tx) error {
		if err := updateExport(ctx, tx, x); err != nil {
			return err
		}
		return events.Append(ctx, tx, j.by, *x.FinishedAt, 1, events.ExportMade{
			ExportID: x.ID, What: string(x.What), Format: string(x.Format), Filter: x.Filter, Lines: x.Lines, TotalFen: int64(x.TotalFen),
			Digest: x.Digest, LedgerSeq: x.LedgerHead.Seq, LedgerHash: x.LedgerHead.Hash, Failed: x.Failed, MadeAt: x.MadeAt,
		})
	})
	if made != nil {
		return x, made
	}
	return x, err
}

// lines makes the file and gives it to w, and says in x what it came to. The
// snapshot it is read from lasts as long as the reading; whoever takes the
// file takes his time.
func (j *ExportJob) lines(ctx context.Context, w io.Writer, x *Export) error {
	if j.order.Format == XLSX {
		return j.fill(ctx, w, x) // a workbook writes nothing before it has read all
	}
	s, err := newSpool()
	if err != nil {
		return err
	}
	defer s.drop()
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	made := make(chan error, 1)
	go func() { made <- s.end(j.fill(ctx, s, x)) }()
	left := s.takeTo(w)
	if left != nil {
		leave()
	}
	err = <-made
	if left != nil {
		return left
	}
	return err
}

// fill reads the snapshot into a file.
func (j *ExportJob) fill(ctx context.Context, w io.Writer, x *Export) error {
	out, err := j.sheet(w)
	if err != nil {
		return err
	}
	defer out.drop()
	err = pgx.BeginTxFunc(ctx, j.s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		// One statement gives all lines, and takes as long as they are many.
		if err := pg.NoLimits(ctx, tx); err != nil {
			return err
		}
		var err error
		if x.LedgerHead, err = head(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, j.table.sql, j.table.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		line := make([]cell, len(j.table.columns))
		for rows.Next() {
			if err := j.table.scan(rows, line); err != nil {
				return err
			}
			if x.TotalFen, err = x.TotalFen.Plus(Fen(line[j.table.sum].n)); err != nil {
				return err
			}
			if err := out.line(line); err != nil {
				return err
			}
			x.Lines++
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	return out.close(x)
}

// oneLine is an error as the record of an export keeps it.
func oneLine(err error) string {
	text := []rune(err.Error())
	if len(text) > longestReason {
		text = text[:longestReason]
	}
	return string(text)
}

// Export writes an order in one go.
func (s *Service) Export(ctx context.Context, by events.Actor, order ExportOrder, w io.Writer) (Export, error) {
	job, err := s.PrepareExport(ctx, by, order)
	if err != nil {
		return Export{}, err
	}
	return job.Write(ctx, w)
}

// ErrNoExport means that there is no record of such an export.
var ErrNoExport = fault.New(fault.NotFound, "export_not_found", "There is no record of such an export.")

// ExportRecord gives the record of an export. Finance and administrators may.
func (s *Service) ExportRecord(ctx context.Context, by events.Actor, id events.ExportID) (_ Export, err error) {
	defer fault.Wrap(&err, "export %s", id)
	if !by.Is(moneyReaders...) {
		return Export{}, forbidden(by)
	}
	x, err := findExport(ctx, s.pool, id)
	if pg.NotFound(err) {
		err = ErrNoExport
	}
	return x, err
}

// ExportPlace is where a page of export records ended.
type ExportPlace = place[events.ExportID]

// ExportRecords lists the records by time, at most limit of those after the
// place where the page before ended.
func (s *Service) ExportRecords(ctx context.Context, by events.Actor, after ExportPlace, limit int) (_ []Export, err error) {
	defer fault.Wrap(&err, "exports")
	if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	return listExports(ctx, s.pool, after, limit)
}
