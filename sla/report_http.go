package sla

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

// Reporting goes into the input of a report and of its export.
type Reporting struct {
	By         ReportBy          `path:"by" enum:"day,month,city,provider,partner,policy" doc:"What there is a row for."`
	From       time.Time         `query:"from" doc:"Opened at or after this moment."`
	To         time.Time         `query:"to" doc:"Opened before this moment."`
	Area       string            `query:"area" maxLength:"100" doc:"Only those of this area."`
	ProviderID events.ProviderID `query:"provider_id" doc:"Only those of this provider."`
	PartnerID  events.PartnerID  `query:"partner_id" doc:"Only those of this partner."`
	Policy     string            `query:"policy" maxLength:"63" doc:"Only those under this policy."`
	History    History           `query:"history" enum:"all,live,imported" default:"all" doc:"Whether past rescues that were imported are taken in."`
}

type reportInput struct {
	Reporting
	Zone string `query:"zone" maxLength:"60" default:"Asia/Shanghai" doc:"Time zone in which days and months begin, by its IANA name."`
}

type exportReportInput struct {
	Exporting
	Reporting
}

func (in Reporting) filter(zone string) ReportFilter {
	return ReportFilter{
		From: in.From, To: in.To, Zone: zone, Area: in.Area, ProviderID: in.ProviderID, PartnerID: in.PartnerID, Policy: in.Policy, History: in.History,
	}
}

// ReportBody is a report as JSON.
type ReportBody struct {
	By    ReportBy    `json:"by" enum:"day,month,city,provider,partner,policy"`
	Zone  string      `json:"zone"`
	Rows  []ReportRow `json:"rows" nullable:"false"`
	Total Figures     `json:"total"`
}

type reportOutput struct{ Body ReportBody }

func (s *Service) registerReports(api huma.API) {
	op := operation("readReport", http.MethodGet, "/v1/reports/{by}", "How promises were kept and what it cost",
		"By day, month, city, provider, partner or policy: rescues, on time raw and after exclusions, compensation, paid and outstanding. GET /v1/exports/reports/{by} gives the same as a file.")
	op.Tags = []string{"Reports"}
	web.Register(api, op, web.Only(moneyReaders...), func(ctx context.Context, in *reportInput) (*reportOutput, error) {
		by, _ := web.ActorFrom(ctx)
		r, err := s.Report(ctx, by, in.By, in.filter(in.Zone))
		if err != nil {
			return nil, err
		}
		return &reportOutput{ReportBody(r)}, nil
	})
	exportRoute(s, api, ExportReport, "exportReport", "/v1/exports/reports/{by}", "A report as a file; the total is the compensation.", web.Only(moneyReaders...),
		func(in *exportReportInput) (Exporting, ExportFilter) {
			return in.Exporting, ExportFilter{
				By: in.By, From: in.From, To: in.To, Area: in.Area, ProviderID: in.ProviderID, PartnerID: in.PartnerID, Policy: in.Policy, History: in.History,
			}
		})
}
