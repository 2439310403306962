package sla

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

// ImportBody is an import of past rescues as JSON.
type ImportBody struct {
	ID            events.ImportID `json:"id"`
	Source        string          `json:"source" doc:"The system the rescues come from."`
	File          string          `json:"file"`
	Digest        string          `json:"digest" doc:"SHA-256 of the file, in hexadecimal."`
	Policy        string          `json:"policy"`
	PolicyVersion int             `json:"policy_version"`
	Payable       bool            `json:"payable" doc:"What it owes is to be paid, once finance has approved."`
	State         ImportState     `json:"state" enum:"loading,loaded,prepared,approved,rejected"`
	Version       int64           `json:"version" doc:"Goes into If-Match."`
	Rescues       int             `json:"rescues"`
	Late          int             `json:"late"`
	OwedFen       Fen             `json:"owed_fen" doc:"By the verdicts of its rescues, in fen."`
	PreparedBy    string          `json:"prepared_by"`
	PreparedAt    time.Time       `json:"prepared_at"`
	DecidedBy     string          `json:"decided_by,omitempty"`
	DecidedWhy    string          `json:"decided_why,omitempty"`
	DecidedAt     *time.Time      `json:"decided_at,omitempty"`
	AccruedAt     *time.Time      `json:"accrued_at,omitempty" doc:"When the last compensation of an approved import had accrued."`
}

func importBody(i Import) ImportBody {
	return ImportBody{
		ID: i.ID, Source: i.Source, File: i.File, Digest: i.Digest, Policy: i.Policy, PolicyVersion: i.PolicyVersion,
		Payable: i.Payable, State: i.State, Version: i.Version, Rescues: i.Rescues, Late: i.Late, OwedFen: i.Owed,
		PreparedBy: i.PreparedBy, PreparedAt: i.PreparedAt, DecidedBy: i.DecidedBy, DecidedWhy: i.DecidedWhy,
		DecidedAt: nullable(i.DecidedAt), AccruedAt: nullable(i.AccruedAt),
	}
}

type listImportsInput struct {
	web.Listing
	State string `query:"state" enum:"loading,loaded,prepared,approved,rejected" doc:"Only those in this state."`
}

type importInput struct {
	ID events.ImportID `path:"id"`
}

type importOutput struct {
	web.Versioned
	Body ImportBody
}

type decideImportInput struct {
	web.Precondition
	ID   events.ImportID `path:"id"`
	Body DecisionBody
}

func importAnswer(i Import, err error) (*importOutput, error) {
	if err != nil {
		return nil, err
	}
	return &importOutput{web.Version(i.Version), importBody(i)}, nil
}

func (s *Service) registerImports(api huma.API) {
	op := func(id, method, path, summary, about string) huma.Operation {
		o := operation(id, method, path, summary, about)
		o.Tags = []string{"History"}
		return o
	}
	web.Register(api, op("listImports", http.MethodGet, "/v1/imports",
		"List imports of past rescues", "What was brought in from other systems, the oldest first. The rescues themselves are listed at /v1/guarantees?imported=true."),
		web.Only(promiseReaders...), s.listImports)
	web.Register(api, op("readImport", http.MethodGet, "/v1/imports/{id}", "One import", "With its figures, who prepared it and who decided."),
		web.Only(promiseReaders...), func(ctx context.Context, in *importInput) (*importOutput, error) {
			by, _ := web.ActorFrom(ctx)
			return importAnswer(s.Import(ctx, by, in.ID))
		})
	for _, d := range []struct {
		name, summary, about string
		do                   func(context.Context, events.Actor, events.ImportID, int64, string) (Import, error)
	}{
		{"approve", "Approve a payable import", "What its rescues owe accrues, and may then be approved and paid like any other. Never by whoever prepared it.", s.ApproveImport},
		{"reject", "Reject a payable import", "It stays as history and nothing of it is paid. Never by whoever prepared it.", s.RejectImport},
	} {
		web.Register(api, op(d.name+"Import", http.MethodPost, "/v1/imports/{id}/"+d.name, d.summary, d.about),
			web.Only(events.RoleFinance), func(ctx context.Context, in *decideImportInput) (*importOutput, error) {
				by, _ := web.ActorFrom(ctx)
				seen, err := in.Precondition.Version()
				if err != nil {
					return nil, err
				}
				return importAnswer(d.do(ctx, by, in.ID, seen, in.Body.Reason))
			})
	}
}

func (s *Service) listImports(ctx context.Context, in *listImportsInput) (*web.List[ImportBody], error) {
	return listed(ctx, "imports", in.Listing, func(by events.Actor, after ImportPlace, limit int) ([]Import, error) {
		return s.Imports(ctx, by, ImportState(in.State), after, limit)
	}, importBody, func(i Import) ImportPlace { return ImportPlace{i.PreparedAt, i.ID} })
}
