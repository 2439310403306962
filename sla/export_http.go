package sla

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

// Exporting goes into the input of every export.
type Exporting struct {
	Format  ExportFormat `query:"format" enum:"csv,xlsx" default:"csv" doc:"How the file is written."`
	BOM     bool         `query:"bom" default:"true" doc:"CSV only: begin with the mark that spreadsheets know UTF-8 by. Programs ask for bom=0."`
	Summary bool         `query:"summary" default:"true" doc:"CSV only: end with rows that begin with # and say what was asked for and what it comes to. With summary=0 the trailers and the export's record say it."`
	Zone    string       `query:"zone" maxLength:"60" default:"Asia/Shanghai" doc:"Time zone of the times, by its IANA name."`
}

func (e Exporting) order(what ExportKind, f ExportFilter) ExportOrder {
	return ExportOrder{What: what, Format: e.Format, Filter: f, Zone: e.Zone, NoBOM: !e.BOM, NoSummary: !e.Summary}
}

type exportCompensationsInput struct {
	Exporting
	State     string           `query:"state" enum:"accrued,disputed,approved,batched,paid,void" doc:"Only those in this state."`
	Area      string           `query:"area" maxLength:"100" doc:"Only those of this area."`
	Policy    string           `query:"policy" maxLength:"63" doc:"Only those under this policy."`
	RequestID events.RequestID `query:"request_id" doc:"Only those of this request."`
	From      time.Time        `query:"from" doc:"Accrued at or after this moment."`
	To        time.Time        `query:"to" doc:"Accrued before this moment."`
}

type exportGuaranteesInput struct {
	Exporting
	State  string    `query:"state" enum:"armed,breached,met,late,void,waived" doc:"Only those in this state."`
	Area   string    `query:"area" maxLength:"100" doc:"Only those of this area."`
	Policy string    `query:"policy" maxLength:"63" doc:"Only those under this policy."`
	From   time.Time `query:"from" doc:"Opened at or after this moment."`
	To     time.Time `query:"to" doc:"Opened before this moment."`
}

type exportLedgerInput struct {
	Exporting
	Account        string                `query:"account" enum:"owner_payable,compensation_expense,provider_receivable,partner_share,service_cost,provider_payable,payout_clearing,cash" doc:"Only transactions with a line on this account."`
	Kind           string                `query:"kind" maxLength:"40" doc:"Only those of this kind, such as accrual or void."`
	CompensationID events.CompensationID `query:"compensation_id" doc:"Only those about this compensation."`
	BatchID        events.BatchID        `query:"batch_id" doc:"Only those about this batch."`
	From           time.Time             `query:"from" doc:"Posted at or after this moment."`
	To             time.Time             `query:"to" doc:"Posted before this moment."`
}

type exportBatchInput struct {
	Exporting
	ID    events.BatchID `path:"id"`
	State string         `query:"state" enum:"open,paid,bounced,released" doc:"Only lines in this state."`
}

type exportChargebacksInput struct {
	Exporting
	ProviderID events.ProviderID `query:"provider_id" doc:"Only those of this provider."`
	PartnerID  events.PartnerID  `query:"partner_id" doc:"Only those of this partner."`
	State      string            `query:"state" enum:"charged,reversed" doc:"Only those in this state."`
	From       time.Time         `query:"from" doc:"Charged at or after this moment."`
	To         time.Time         `query:"to" doc:"Charged before this moment."`
}

type exportStatementInput struct {
	Exporting
	ID events.StatementID `path:"id"`
}

// The trailers that follow an export over HTTP.
const (
	headerExport   = "Export-Id"
	headerFilter   = "Export-Filter"
	trailerLines   = "Export-Lines"
	trailerTotal   = "Export-Total-Fen"
	trailerDigest  = "Export-Digest-Sha256"
	aboutExporting = " All lines come from one moment. The file says what was asked for, how many lines it has, what they come to, and their SHA-256; the same follow as the trailers Export-Lines, Export-Total-Fen and Export-Digest-Sha256, and stay in the export's record, GET /v1/exports/{id}."
)

// exportRoute registers the export of one kind.
func exportRoute[I any](s *Service, api huma.API, what ExportKind, id, path, about string, may web.Audience, read func(*I) (Exporting, ExportFilter)) {
	op := operation(id, http.MethodGet, path, "Export "+string(what)+" as CSV or XLSX", about+aboutExporting)
	op.Tags = []string{"Exports"}
	web.RegisterDownload(api, op, may, []string{CSV.MediaType(), XLSX.MediaType()},
		func(ctx context.Context, in *I) (*web.Download, error) {
			by, _ := web.ActorFrom(ctx)
			e, f := read(in)
			job, err := s.PrepareExport(ctx, by, e.order(what, f))
			if err != nil {
				return nil, err
			}
			return job.download(ctx), nil
		})
}

// download is the job as the answer to a call.
func (j *ExportJob) download(ctx context.Context) *web.Download {
	return &web.Download{
		Name:     fmt.Sprintf("%s-%s.%s", j.order.What, j.s.now().Format("20060102T150405Z"), j.order.Format),
		Type:     j.order.Format.MediaType(),
		Headers:  map[string]string{headerExport: j.id.String(), headerFilter: j.order.Filter.String()},
		Trailers: []string{trailerLines, trailerTotal, trailerDigest},
		Write: func(w io.Writer) (map[string]string, error) {
			x, err := j.Write(ctx, w)
			return map[string]string{
				trailerLines: strconv.FormatInt(x.Lines, 10), trailerTotal: strconv.FormatInt(int64(x.TotalFen), 10), trailerDigest: x.Digest,
			}, err
		},
	}
}

type exportInput struct {
	ID events.ExportID `path:"id"`
}

type exportOutput struct{ Body Export }

func (s *Service) registerExports(api huma.API) {
	money := web.Only(moneyReaders...)
	exportRoute(s, api, ExportCompensations, "exportCompensations", "/v1/exports/compensations", "With the verdict each rests on, line by line, by accrual.", money,
		func(in *exportCompensationsInput) (Exporting, ExportFilter) {
			return in.Exporting, ExportFilter{From: in.From, To: in.To, State: in.State, Area: in.Area, Policy: in.Policy, RequestID: in.RequestID}
		})
	exportRoute(s, api, ExportGuarantees, "exportGuarantees", "/v1/exports/guarantees", "Promises with their verdicts, by opening.", money,
		func(in *exportGuaranteesInput) (Exporting, ExportFilter) {
			return in.Exporting, ExportFilter{From: in.From, To: in.To, State: in.State, Area: in.Area, Policy: in.Policy}
		})
	exportRoute(s, api, ExportLedger, "exportLedger", "/v1/exports/ledger", "One line per ledger line, whole transactions, by posting, with their place in the chain; the total is that of the debits.", money,
		func(in *exportLedgerInput) (Exporting, ExportFilter) {
			return in.Exporting, ExportFilter{From: in.From, To: in.To, Account: Account(in.Account), Kind: in.Kind, CompensationID: in.CompensationID, BatchID: in.BatchID}
		})
	exportRoute(s, api, ExportBatch, "exportBatch", "/v1/exports/batches/{id}", "The lines of one batch, by compensation.", money,
		func(in *exportBatchInput) (Exporting, ExportFilter) {
			return in.Exporting, ExportFilter{BatchID: in.ID, State: in.State}
		})
	exportRoute(s, api, ExportChargebacks, "exportChargebacks", "/v1/exports/chargebacks", "What providers and partners were charged, with the attribution of fault, by when.", money,
		func(in *exportChargebacksInput) (Exporting, ExportFilter) {
			return in.Exporting, ExportFilter{ProviderID: in.ProviderID, PartnerID: in.PartnerID, State: in.State, From: in.From, To: in.To}
		})
	exportRoute(s, api, ExportStatement, "exportStatement", "/v1/exports/statements/{id}", "The lines of one statement; the total is what is charged and stands, or a partner's share, less credits. The provider or partner it is of may take it.",
		web.Only(statementReaders...), func(in *exportStatementInput) (Exporting, ExportFilter) {
			return in.Exporting, ExportFilter{StatementID: in.ID}
		})
	records := func(id, path, summary, about string) huma.Operation {
		op := operation(id, http.MethodGet, path, summary, about)
		op.Tags = []string{"Exports"}
		return op
	}
	web.Register(api, records("listExports", "/v1/exports", "List exports by time", "Who took what out of the house, what it came to, and its digest."),
		web.Only(moneyReaders...), s.listExports)
	web.Register(api, records("readExport", "/v1/exports/{id}", "The record of one export", "What the file must come to, to tell whether the one at hand is whole and unchanged."),
		web.Only(moneyReaders...), func(ctx context.Context, in *exportInput) (*exportOutput, error) {
			by, _ := web.ActorFrom(ctx)
			x, err := s.ExportRecord(ctx, by, in.ID)
			if err != nil {
				return nil, err
			}
			return &exportOutput{x}, nil
		})
}

func (s *Service) listExports(ctx context.Context, in *web.Listing) (*web.List[Export], error) {
	return listed(ctx, "exports", *in, func(by events.Actor, after ExportPlace, limit int) ([]Export, error) {
		return s.ExportRecords(ctx, by, after, limit)
	}, func(x Export) Export { return x }, func(x Export) ExportPlace { return ExportPlace{x.MadeAt, x.ID} })
}
