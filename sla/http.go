package sla

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// Register adds the slice's operations to the API.
func (s *Service) Register(api huma.API) {
	s.registerPromises(api)
	s.registerPolicies(api)
	s.registerMoney(api)
	s.registerApprovals(api)
	s.registerBatches(api)
	s.registerDays(api)
	s.registerLedger(api)
	s.registerImports(api)
	s.registerRecordings(api)
	s.registerConditions(api)
	s.registerExports(api)
	s.registerChargebacks(api)
	s.registerStatements(api)
	s.registerReports(api)
}

func operation(id, method, path, summary, about string) huma.Operation {
	tag := "Promises"
	if strings.Contains(path, "compensations") {
		tag = "Compensations"
	}
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Description: about, Tags: []string{tag}}
}

type listGuaranteesInput struct {
	web.Listing
	State    string `query:"state" enum:"armed,breached,met,late,void,waived" doc:"Only those in this state."`
	Area     string `query:"area" maxLength:"100" doc:"Only those of this area."`
	Review   bool   `query:"review" doc:"Only those a person must look at."`
	AtRisk   bool   `query:"at_risk" doc:"Only those with an alarm raised and no verdict yet."`
	Imported bool   `query:"imported" doc:"Only past rescues that were imported; without it, only promises made here."`
}

type requestInput struct {
	ID events.RequestID `path:"id"`
}

type standingOutput struct {
	web.Versioned
	Body StandingBody
}

type waiveInput struct {
	web.Precondition
	ID   events.RequestID `path:"id"`
	Body DecisionBody
}

// DecisionBody carries the reason of a decision.
type DecisionBody struct {
	Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"Why; it is kept with the decision."`
}

func (s *Service) registerPromises(api huma.API) {
	web.Register(api, operation("listGuarantees", http.MethodGet, "/v1/guarantees",
		"List guarantees by deadline", "The promises being kept and how they ended, the earliest deadline first."),
		web.Only(promiseReaders...), s.listGuarantees)
	web.Register(api, operation("readGuarantee", http.MethodGet, "/v1/requests/{id}/guarantee",
		"How the promise of a request stands", "The promise as it was shown, the verdict, and what is owed, explained line by line."),
		web.Only(), s.readGuarantee)
	web.Register(api, operation("waiveGuarantee", http.MethodPost, "/v1/requests/{id}/guarantee/waive",
		"Set a promise aside", "Before any verdict, for a reason that is kept and shown: a duplicate, a test, an agreement with the owner."),
		web.Only(events.RoleOperator, events.RoleFinance), s.waiveGuarantee)
}

func (s *Service) listGuarantees(ctx context.Context, in *listGuaranteesInput) (*web.List[GuaranteeBody], error) {
	f := GuaranteeFilter{State: GuaranteeState(in.State), Area: in.Area, Review: in.Review, AtRisk: in.AtRisk, Imported: in.Imported}
	return listed(ctx, "guarantees", in.Listing, func(by events.Actor, after GuaranteePlace, limit int) ([]Guarantee, error) {
		return s.Guarantees(ctx, by, f, after, limit)
	}, guaranteeBody, func(g Guarantee) GuaranteePlace { return GuaranteePlace{g.Verdict.DueAt, g.ID} })
}

func (s *Service) readGuarantee(ctx context.Context, in *requestInput) (*standingOutput, error) {
	by, _ := web.ActorFrom(ctx)
	st, err := s.Standing(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	return &standingOutput{web.Version(st.Guarantee.Version), standingBody(st, by.Is(promiseReaders...)).forReader(by)}, nil
}

func (s *Service) waiveGuarantee(ctx context.Context, in *waiveInput) (*standingOutput, error) {
	by, _ := web.ActorFrom(ctx)
	seen, err := in.Precondition.Version()
	if err != nil {
		return nil, err
	}
	if _, err := s.Waive(ctx, by, in.ID, seen, in.Body.Reason); err != nil {
		return nil, err
	}
	return s.readGuarantee(ctx, &requestInput{in.ID})
}

type listCompensationsInput struct {
	web.Listing
	Totaling
	State     string           `query:"state" enum:"accrued,disputed,approved,batched,paid,void" doc:"Only those in this state."`
	Area      string           `query:"area" maxLength:"100" doc:"Only those of this area."`
	Policy    string           `query:"policy" maxLength:"63" doc:"Only those under this policy."`
	RequestID events.RequestID `query:"request_id" doc:"Only those of this request."`
	ImportID  events.ImportID  `query:"import_id" doc:"Only what came with this import."`
	From      time.Time        `query:"from" doc:"Accrued at or after this moment."`
	To        time.Time        `query:"to" doc:"Accrued before this moment."`
	UpToFen   int64            `query:"up_to_fen" minimum:"0" doc:"At most this much each, in fen; 0 is no limit."`
}

type compensationInput struct {
	ID events.CompensationID `path:"id"`
}

type compensationOutput struct {
	web.Versioned
	Body CompensationBody
}

type decisionInput struct {
	web.Precondition
	ID   events.CompensationID `path:"id"`
	Body DecisionBody
}

func (s *Service) registerMoney(api huma.API) {
	web.Register(api, operation("listCompensations", http.MethodGet, "/v1/compensations",
		"List compensations by accrual", "What late arrivals owe, the oldest first."),
		web.Only(moneyReaders...), s.listCompensations)
	web.Register(api, operation("readCompensation", http.MethodGet, "/v1/compensations/{id}",
		"One compensation", "With the verdict it rests on and who decided what."),
		web.Only(moneyReaders...), func(ctx context.Context, in *compensationInput) (*compensationOutput, error) {
			by, _ := web.ActorFrom(ctx)
			return compensationAnswer(s.Compensation(ctx, by, in.ID))
		})
	money := []events.Role{events.RoleFinance}
	for _, d := range []struct {
		name, summary, about string
		do                   func(context.Context, events.Actor, events.CompensationID, int64, string) (Compensation, error)
		may                  []events.Role
	}{
		{"approve", "Approve a compensation", "It may then be paid; above the four-eyes limit once a second person approves too.", s.Approve, money},
		{"dispute", "Dispute a compensation", "It is not paid until somebody else decides.", s.Dispute, []events.Role{events.RoleFinance, events.RoleOperator}},
		{"uphold", "Uphold a disputed compensation", "It is approved; never by whoever disputed it. Where two must approve, two must uphold.", s.Uphold, money},
		{"overturn", "Overturn a disputed compensation", "It is void; never by whoever disputed it.", s.Overturn, money},
		{"void", "Void a compensation", "It is owed no more; the ledger gets a linked reversal.", s.Void, money},
	} {
		web.Register(api, operation(d.name+"Compensation", http.MethodPost, "/v1/compensations/{id}/"+d.name, d.summary, d.about),
			web.Only(d.may...), func(ctx context.Context, in *decisionInput) (*compensationOutput, error) {
				by, _ := web.ActorFrom(ctx)
				seen, err := in.Precondition.Version()
				if err != nil {
					return nil, err
				}
				return compensationAnswer(d.do(ctx, by, in.ID, seen, in.Body.Reason))
			})
	}
}

func (s *Service) listCompensations(ctx context.Context, in *listCompensationsInput) (*totaled[CompensationBody], error) {
	by, _ := web.ActorFrom(ctx)
	if err := checkPeriod(in.From, in.To); err != nil {
		return nil, err
	}
	f := CompensationFilter{
		State: CompensationState(in.State), Area: in.Area, Policy: in.Policy,
		RequestID: in.RequestID, From: in.From, To: in.To, ImportID: in.ImportID, UpTo: Fen(in.UpToFen),
	}
	list, err := listed(ctx, "compensations", in.Listing, func(_ events.Actor, after CompensationPlace, limit int) ([]Compensation, error) {
		return s.Compensations(ctx, by, f, after, limit)
	}, compensationBody, func(c Compensation) CompensationPlace { return CompensationPlace{c.AccruedAt, c.ID} })
	if err != nil {
		return nil, err
	}
	return totaledList(in.Totaling, list, func() (Sum, error) {
		return s.TotalCompensations(ctx, by, f)
	})
}

// checkPeriod refuses a period that ends before it begins; either end may be
// open.
func checkPeriod(from, to time.Time) error {
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return fault.InvalidFields([]fault.Field{{Field: "to", Code: "range", Detail: "must be later than from"}})
	}
	return nil
}

func compensationAnswer(c Compensation, err error) (*compensationOutput, error) {
	if err != nil {
		return nil, err
	}
	return &compensationOutput{web.Version(c.Version), compensationBody(c)}, nil
}

// listed gives one page of a list. read is given the place after which it begins,
// as the cursor tells it, and asked for one entry more than the page holds; place
// says where an entry lies.
func listed[T, B, P any](ctx context.Context, kind string, at web.Listing,
	read func(by events.Actor, after P, limit int) ([]T, error), body func(T) B, place func(T) P,
) (*web.List[B], error) {
	by, _ := web.ActorFrom(ctx)
	var after P
	if _, err := web.DecodeCursor(kind, at.Cursor, &after); err != nil {
		return nil, err
	}
	list, err := read(by, after, at.Limit+1)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(list) > at.Limit {
		list = list[:at.Limit]
		next = web.EncodeCursor(kind, place(list[at.Limit-1]))
	}
	return web.Listed(ctx, mapped(list, body), next), nil
}

func mapped[T, U any](list []T, f func(T) U) []U {
	out := make([]U, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}
