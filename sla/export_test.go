package sla

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/pg"
)

// Guarded is the guard of a text in a CSV file.
var Guarded = guarded

// Workbook writes order as XLSX with no more than rowsEach rows on a sheet.
func Workbook(ctx context.Context, s *Service, by events.Actor, order ExportOrder, w io.Writer, rowsEach int) (Export, error) {
	job, err := s.PrepareExport(ctx, by, order)
	if err != nil {
		return Export{}, err
	}
	job.rowsEach = rowsEach
	return job.Write(ctx, w)
}

// ScanOnly reads the rows of an export without decoding or writing anything:
// the floor an export is measured beside.
func ScanOnly(ctx context.Context, s *Service, what ExportKind, f ExportFilter) (n int, err error) {
	t, err := tableOf(what, f, time.UTC)
	if err != nil {
		return 0, err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if err := pg.NoLimits(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, t.sql, t.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			rows.RawValues()
			n++
		}
		return rows.Err()
	})
	return n, err
}

// ReadReasons reads stored reasons as an export does.
func ReadReasons(stored []byte, loc *time.Location) (zh, en string, err error) {
	text := reasonText{loc: loc}
	return text.read(stored)
}

// ReasonLines writes reasons as cells.
var ReasonLines = reasonLines

// Ratio is part of whole in hundredths of a percent.
var Ratio = ratio

// PayoutLines reads the lines of a batch as they are sent.
func PayoutLines(ctx context.Context, s *Service, b Batch) iter.Seq2[PayoutLine, error] {
	return s.payoutLines(ctx, b)
}

// ApproveChunk is how many compensations are approved per transaction.
const ApproveChunk = approveChunk
