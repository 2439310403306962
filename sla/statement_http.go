package sla

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// StatementBody is a statement as JSON.
type StatementBody struct {
	ID              events.StatementID `json:"id"`
	Bearer          Bearer             `json:"bearer" enum:"provider,partner" doc:"Of whom it is."`
	BearerID        string             `json:"bearer_id" doc:"prv_… or ptn_…."`
	Month           string             `json:"month" example:"2026-02"`
	From            time.Time          `json:"from" doc:"The month in the business zone."`
	To              time.Time          `json:"to"`
	State           StatementState     `json:"state" enum:"draft,issued,confirmed,invoiced,settled,discarded"`
	Version         int64              `json:"version" doc:"Goes into If-Match, also for its lines."`
	Services        int64              `json:"services" doc:"A provider's rescues; a partner's are those of its customers, called off late or not."`
	Late            int64              `json:"late" doc:"Of the services."`
	FeesFen         Fen                `json:"fees_fen" doc:"Earned by a provider's services, with tax (the tax is not booked apart); booked as owed to it once its invoice is recorded. 0 for a partner, to whom no fees are owed."`
	ChargesFen      Fen                `json:"charges_fen" doc:"What a provider is charged back, or a partner's share, with tax where it is invoiced; what stands, less credits. It owes this; negative when more is credited, and then it is owed that."`
	CompensationFen Fen                `json:"compensation_fen" doc:"What the owners are paid for that: the compensations of which charges_fen is a part. Each line says whether its own is paid yet."`
	NetFen          Fen                `json:"net_fen" doc:"Fees less charges: what is paid out when both are set off. Negative: so much is received, as from a partner."`
	Disputed        int64              `json:"disputed" doc:"Lines in dispute."`
	DraftedBy       string             `json:"drafted_by,omitempty"`
	DraftedAt       time.Time          `json:"drafted_at"`
	IssuedAt        *time.Time         `json:"issued_at,omitempty"`
	DisputesUntil   *time.Time         `json:"disputes_until,omitempty" doc:"The window for disputes ends with this moment."`
	ConfirmedBy     string             `json:"confirmed_by,omitempty" doc:"system:statements when the window closed without a dispute."`
	ConfirmedAt     *time.Time         `json:"confirmed_at,omitempty"`
	FapiaoNumber    string             `json:"fapiao_number,omitempty" doc:"Of the provider's invoice for its fees, or of ours to the partner for its share."`
	TaxPct          int                `json:"tax_pct" doc:"The rate that invoice bears. It is noted: amounts are with tax, and no tax is reckoned or booked apart by it."`
	InvoicedAt      *time.Time         `json:"invoiced_at,omitempty"`
	SettledHow      SettledHow         `json:"settled_how,omitempty" enum:"paid,set_off"`
	Reference       string             `json:"reference,omitempty" doc:"The bank's reference, or what it was set off against."`
	SettledAt       *time.Time         `json:"settled_at,omitempty"`
	ChangedAt       time.Time          `json:"changed_at"`
	Notes           []events.Reason    `json:"notes" nullable:"false" doc:"In words: who invoices and pays whom, and that what is invoiced is stated with tax."`
}

// statementBody tells a provider or partner nothing of who in finance did what.
func statementBody(by events.Actor, s Statement) StatementBody {
	b := StatementBody{
		ID: s.ID, Bearer: s.Of.Bearer, BearerID: s.Of.BearerID(), Month: s.Month.Format("2006-01"), From: s.From, To: s.To, State: s.State, Version: s.Version,
		Services: s.Services, Late: s.Late, FeesFen: s.Fees, ChargesFen: s.Charges, CompensationFen: s.Compensation, NetFen: s.Net(), Disputed: s.Disputed,
		DraftedBy: s.DraftedBy, DraftedAt: s.DraftedAt, IssuedAt: nullable(s.IssuedAt), DisputesUntil: nullable(s.DisputesUntil),
		ConfirmedBy: s.ConfirmedBy, ConfirmedAt: nullable(s.ConfirmedAt), FapiaoNumber: s.Fapiao.Number, TaxPct: s.Fapiao.TaxPct,
		InvoicedAt: nullable(s.InvoicedAt), SettledHow: s.Settlement.How, Reference: s.Settlement.Ref, SettledAt: nullable(s.SettledAt), ChangedAt: s.ChangedAt,
		Notes: s.Notes(),
	}
	if by.Is(counterparties...) {
		b.DraftedBy = ""
	}
	return b
}

// StatementLineBody is a line of a statement as JSON.
type StatementLineBody struct {
	Line              int                   `json:"line"`
	Kind              ItemKind              `json:"kind" enum:"service,charge,credit" doc:"A rescue; what a provider is charged back, or a partner's share; or one of an earlier statement that was taken back since."`
	State             ItemState             `json:"state" enum:"listed,disputed,upheld,overturned,withdrawn"`
	RequestID         events.RequestID      `json:"request_id"`
	CompensationID    events.CompensationID `json:"compensation_id,omitzero"`
	CompensationFen   Fen                   `json:"compensation_fen,omitempty" doc:"What the owner is paid, of which fen is a part."`
	CompensationState CompensationState     `json:"compensation_state,omitempty" enum:"accrued,disputed,approved,batched,paid,void" doc:"How far that payment is now; the statement itself does not change with it."`
	Policy            string                `json:"policy,omitempty" doc:"By which the charge was reckoned."`
	PolicyVersion     int                   `json:"policy_version,omitempty"`
	Area              string                `json:"area"`
	OpenedAt          time.Time             `json:"opened_at"`
	StoppedAt         *time.Time            `json:"stopped_at,omitempty"`
	Outcome           Outcome               `json:"outcome"`
	LateS             int64                 `json:"late_s"`
	Fen               Fen                   `json:"fen" doc:"Earned by a provider's service, charged, or credited."`
	FaultPct          int                   `json:"fault_pct" doc:"The provider's part of the fault, in percent; GET /v1/chargebacks shows the figures. 0 for a partner, who bears by agreement."`
	DisputedWhy       string                `json:"disputed_why,omitempty"`
	DisputedAt        *time.Time            `json:"disputed_at,omitempty"`
	DecidedWhy        string                `json:"decided_why,omitempty"`
	DecidedAt         *time.Time            `json:"decided_at,omitempty"`
}

func statementLineBody(l StatementLine) StatementLineBody {
	return StatementLineBody{
		Line: l.No, Kind: l.Kind, State: l.State, RequestID: l.RequestID, CompensationID: l.CompensationID,
		CompensationFen: l.Compensation, CompensationState: l.CompensationState, Policy: l.Policy, PolicyVersion: l.PolicyVersion, Area: l.Area,
		OpenedAt: l.OpenedAt, StoppedAt: nullable(l.StoppedAt), Outcome: l.Outcome, LateS: int64(l.Late / time.Second), Fen: l.Fen, FaultPct: l.FaultPct,
		DisputedWhy: l.DisputedWhy, DisputedAt: nullable(l.DisputedAt), DecidedWhy: l.DecidedWhy, DecidedAt: nullable(l.DecidedAt),
	}
}

type statementOutput struct {
	web.Versioned
	Body StatementBody
}

func statementAnswer(ctx context.Context, s Statement, err error) (*statementOutput, error) {
	if err != nil {
		return nil, err
	}
	by, _ := web.ActorFrom(ctx)
	return &statementOutput{web.Version(s.Version), statementBody(by, s)}, nil
}

type draftStatementInput struct {
	Body struct {
		ProviderID events.ProviderID `json:"provider_id,omitzero" doc:"Of this provider; give this or partner_id."`
		PartnerID  events.PartnerID  `json:"partner_id,omitzero" doc:"Of this partner."`
		Month      string            `json:"month" pattern:"^20[0-9]{2}-(0[1-9]|1[0-2])$" patternDescription:"a month such as 2026-02" doc:"A month that is over, in the business zone (Asia/Shanghai)."`
	}
}

type listStatementsInput struct {
	web.Listing
	ProviderID events.ProviderID `query:"provider_id" doc:"Only those of this provider."`
	PartnerID  events.PartnerID  `query:"partner_id" doc:"Only those of this partner."`
	Bearer     string            `query:"bearer" enum:"provider,partner" doc:"Only those of providers, or of partners."`
	Month      string            `query:"month" pattern:"^20[0-9]{2}-(0[1-9]|1[0-2])$" doc:"Only those of this month, such as 2026-02."`
	State      string            `query:"state" enum:"draft,issued,confirmed,invoiced,settled,discarded" doc:"Only those in this state."`
}

type statementInput struct {
	ID events.StatementID `path:"id"`
}

type changeStatementInput struct {
	web.Precondition
	ID events.StatementID `path:"id"`
}

type discardStatementInput struct {
	web.Precondition
	ID   events.StatementID `path:"id"`
	Body DecisionBody
}

type fapiaoInput struct {
	web.Precondition
	ID   events.StatementID `path:"id"`
	Body struct {
		FapiaoNumber string `json:"fapiao_number" minLength:"1" maxLength:"40" doc:"20 digits; of an older invoice code and number together, 18 or 20."`
		TaxPct       int    `json:"tax_pct" doc:"The rate it bears: 0, 1, 3, 5, 6, 9 or 13. It is noted; the amount is with tax, and the tax is not booked apart."`
	}
}

type settleInput struct {
	web.Precondition
	ID   events.StatementID `path:"id"`
	Body struct {
		How       SettledHow `json:"how" enum:"paid,set_off" doc:"paid: fees and charges were each paid in money; set_off: a provider's charges were kept back from its fees, and the difference was paid. A partner pays."`
		Reference string     `json:"reference" minLength:"1" maxLength:"200" doc:"The bank's reference, or what it was set off against."`
	}
}

type listStatementLinesInput struct {
	web.Listing
	ID    events.StatementID `path:"id"`
	Kind  string             `query:"kind" enum:"service,charge,credit" doc:"Only lines of this kind."`
	State string             `query:"state" enum:"listed,disputed,upheld,overturned,withdrawn" doc:"Only lines in this state."`
}

type decideStatementLineInput struct {
	web.Precondition
	ID   events.StatementID `path:"id"`
	Line int                `path:"line" minimum:"1"`
	Body DecisionBody
}

func statementOp(id, method, path, summary, about string) huma.Operation {
	op := operation(id, method, "/v1/statements"+path, summary, about)
	op.Tags = []string{"Statements"}
	return op
}

func (s *Service) registerStatements(api huma.API) {
	money, both := web.Only(events.RoleFinance), web.Only(events.RoleFinance, events.RoleProvider)
	readers, theirs := web.Only(statementReaders...), web.Only(counterparties...)
	web.Register(api, statementOp("draftStatement", http.MethodPost, "", "Draw up a provider's or partner's statement of a month",
		"Of a provider: its services, how late they were, and what it is charged back. Of a partner: the rescues of its customers, how late they were, what the owners are paid for that and what share of it the partner bears, by which policy version. Each line stands on one statement. A month has one, so that asking twice is a conflict."),
		money, func(ctx context.Context, in *draftStatementInput) (*statementOutput, error) {
			by, _ := web.ActorFrom(ctx)
			month, err := monthNamed(in.Body.Month)
			if err != nil {
				return nil, err
			}
			of, err := counterparty(in.Body.ProviderID, in.Body.PartnerID)
			if err != nil {
				return nil, err
			}
			st, err := s.DraftStatement(ctx, by, of, month.Year(), month.Month())
			return statementAnswer(ctx, st, err)
		})
	web.Register(api, statementOp("listStatements", http.MethodGet, "", "List statements by month", "A provider or partner sees its own, once they are issued."),
		readers, s.listStatements)
	web.Register(api, statementOp("readStatement", http.MethodGet, "/{id}", "One statement", "What its lines come to and how far it is. What is invoiced is stated with tax: the tax is not booked apart."),
		readers, func(ctx context.Context, in *statementInput) (*statementOutput, error) {
			by, _ := web.ActorFrom(ctx)
			st, err := s.Statement(ctx, by, in.ID)
			return statementAnswer(ctx, st, err)
		})
	web.Register(api, statementOp("listStatementLines", http.MethodGet, "/{id}/lines", "The lines of a statement", "Services, charges and credits, by when they were asked for."),
		readers, s.listStatementLines)
	simple := func(name, summary, about string, may web.Audience, do func(context.Context, events.Actor, events.StatementID, int64) (Statement, error)) {
		web.Register(api, statementOp(name+"Statement", http.MethodPost, "/{id}/"+name, summary, about), may,
			func(ctx context.Context, in *changeStatementInput) (*statementOutput, error) {
				return s.change(ctx, in.Precondition, func(by events.Actor, seen int64) (Statement, error) { return do(ctx, by, in.ID, seen) })
			})
	}
	simple("issue", "Show a draft to whom it is of", "The window for disputes opens.", money, s.IssueStatement)
	simple("confirm", "Agree to a statement", "Its provider or partner does, once no line is in dispute. What nobody disputes is confirmed when the window closes.", theirs, s.ConfirmStatement)
	web.Register(api, statementOp("discardStatement", http.MethodPost, "/{id}/discard", "Give a draft up", "Its lines wait for another."), money,
		func(ctx context.Context, in *discardStatementInput) (*statementOutput, error) {
			return s.change(ctx, in.Precondition, func(by events.Actor, seen int64) (Statement, error) {
				return s.DiscardStatement(ctx, by, in.ID, seen, in.Body.Reason)
			})
		})
	web.Register(api, statementOp("recordFapiao", http.MethodPost, "/{id}/fapiao", "Record the invoice of a confirmed statement", "A provider's invoice is for its fees, which are booked with it, tax included; finance records it, or the provider. The invoice to a partner is ours, for its share, and finance records it. An invoice belongs to one statement."), both,
		func(ctx context.Context, in *fapiaoInput) (*statementOutput, error) {
			return s.change(ctx, in.Precondition, func(by events.Actor, seen int64) (Statement, error) {
				return s.RecordFapiao(ctx, by, in.ID, seen, Fapiao{in.Body.FapiaoNumber, in.Body.TaxPct})
			})
		})
	web.Register(api, statementOp("settleStatement", http.MethodPost, "/{id}/settle", "Settle a statement", "What was payable and receivable is gone from the books, once: each paid in money, or set off with only the difference paid. A partner's share is booked as received; no fees are owed to it, so it is never set off. Where there is nothing to invoice, no fees of a provider and no share of a partner, no invoice is asked for."), money,
		func(ctx context.Context, in *settleInput) (*statementOutput, error) {
			return s.change(ctx, in.Precondition, func(by events.Actor, seen int64) (Statement, error) {
				return s.SettleStatement(ctx, by, in.ID, seen, Settlement{in.Body.How, in.Body.Reference})
			})
		})
	for _, d := range []struct {
		name, summary, about string
		may                  web.Audience
		do                   func(context.Context, events.Actor, events.StatementID, int, int64, string) (Statement, error)
	}{
		{"dispute", "Dispute a charge", "Its provider or partner does, while the window is open.", theirs, s.DisputeLine},
		{"uphold", "Decide a dispute for the charge", "It stands.", money, s.UpholdLine},
		{"overturn", "Decide a dispute for whoever raised it", "The charge is reversed, in the ledger by a linked reversal.", money, s.OverturnLine},
	} {
		web.Register(api, statementOp(d.name+"StatementLine", http.MethodPost, "/{id}/lines/{line}/"+d.name, d.summary, d.about), d.may,
			func(ctx context.Context, in *decideStatementLineInput) (*statementOutput, error) {
				return s.change(ctx, in.Precondition, func(by events.Actor, seen int64) (Statement, error) {
					return d.do(ctx, by, in.ID, in.Line, seen, in.Body.Reason)
				})
			})
	}
}

// change runs a command for what the caller saw.
func (s *Service) change(ctx context.Context, p web.Precondition, do func(events.Actor, int64) (Statement, error)) (*statementOutput, error) {
	by, _ := web.ActorFrom(ctx)
	seen, err := p.Version()
	if err != nil {
		return nil, err
	}
	st, err := do(by, seen)
	return statementAnswer(ctx, st, err)
}

// monthNamed reads a month such as 2026-02; no text is the zero time.
func monthNamed(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	month, err := time.Parse("2006-01", text)
	if err != nil {
		return time.Time{}, fault.InvalidFields([]fault.Field{{Field: "month", Code: "month", Detail: "is no month; write it as 2026-02"}})
	}
	return month, nil
}

func (s *Service) listStatements(ctx context.Context, in *listStatementsInput) (*web.List[StatementBody], error) {
	by, _ := web.ActorFrom(ctx)
	month, err := monthNamed(in.Month)
	if err != nil {
		return nil, err
	}
	of, err := counterparty(in.ProviderID, in.PartnerID)
	if err != nil {
		return nil, err
	}
	if in.Bearer != "" && of.Bearer != "" && of.Bearer != Bearer(in.Bearer) {
		return nil, errTwoBearers
	}
	of.Bearer = cmp.Or(of.Bearer, Bearer(in.Bearer))
	return listed(ctx, "statements", in.Listing, func(_ events.Actor, after StatementPlace, limit int) ([]Statement, error) {
		return s.Statements(ctx, by, StatementFilter{Of: of, Month: month, State: StatementState(in.State)}, after, limit)
	}, func(st Statement) StatementBody { return statementBody(by, st) }, func(st Statement) StatementPlace { return StatementPlace{st.Month, st.ID} })
}

func (s *Service) listStatementLines(ctx context.Context, in *listStatementLinesInput) (*web.List[StatementLineBody], error) {
	type place struct {
		Line int `json:"line"`
	}
	return listed(ctx, "statement_lines", in.Listing, func(by events.Actor, after place, limit int) ([]StatementLine, error) {
		return s.StatementLines(ctx, by, in.ID, ItemFilter{ItemKind(in.Kind), ItemState(in.State)}, after.Line, limit)
	}, statementLineBody, func(l StatementLine) place { return place{l.No} })
}
