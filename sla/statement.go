package sla

import (
	"regexp"
	"slices"
	"time"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/fsm"
)

// StatementState is where a monthly statement stands.
type StatementState string

// The states of a statement.
const (
	StatementDraft     StatementState = "draft"     // finance looks at it; whom it is of does not see it
	StatementIssued    StatementState = "issued"    // whom it is of may dispute its charges, line by line
	StatementConfirmed StatementState = "confirmed" // agreed, by word or because the window closed
	StatementInvoiced  StatementState = "invoiced"  // its fapiao is recorded
	StatementSettled   StatementState = "settled"   // paid or set off
	StatementDiscarded StatementState = "discarded" // given up; its lines wait for another
)

// StatementEvent moves a statement on.
type StatementEvent string

// The events of a statement.
const (
	evIssue     StatementEvent = "issue"
	evDiscardIt StatementEvent = "discard"
	evDecide    StatementEvent = "decide" // a line was disputed, decided or withdrawn
	evConfirm   StatementEvent = "confirm"
	evLapse     StatementEvent = "lapse" // the window closed and nothing is in dispute
	evInvoice   StatementEvent = "invoice"
	evSettle    StatementEvent = "settle"
)

// statementTable is the lifecycle of a statement.
var statementTable = fsm.Table[StatementState, StatementEvent]{
	StatementDraft:     {evIssue: StatementIssued, evDiscardIt: StatementDiscarded, evDecide: StatementDraft},
	StatementIssued:    {evDecide: StatementIssued, evConfirm: StatementConfirmed, evLapse: StatementConfirmed},
	StatementConfirmed: {evInvoice: StatementInvoiced, evSettle: StatementSettled}, // settled as it is when there is nothing to invoice
	StatementInvoiced:  {evSettle: StatementSettled},
}

// StatementStates lists every state, for filters and documents.
func StatementStates() []StatementState {
	return []StatementState{StatementDraft, StatementIssued, StatementConfirmed, StatementInvoiced, StatementSettled, StatementDiscarded}
}

// ItemKind is what a line of a statement stands for.
type ItemKind string

// The kinds of lines.
const (
	ItemService ItemKind = "service" // a rescue; Fen is the fee it earned its provider
	ItemCharge  ItemKind = "charge"  // what a provider is charged back, or a partner's share
	ItemCredit  ItemKind = "credit"  // a charge of an earlier statement, taken back since
)

// ItemState is where a line stands.
type ItemState string

// The states of a line.
const (
	ItemListed     ItemState = "listed"
	ItemDisputed   ItemState = "disputed"
	ItemUpheld     ItemState = "upheld"     // the charge stands
	ItemOverturned ItemState = "overturned" // whoever disputed it was right; the charge is reversed
	ItemWithdrawn  ItemState = "withdrawn"  // the charge was taken back with its compensation
)

// ItemEvent moves a line on.
type ItemEvent string

// The events of a line.
const (
	evItemDispute  ItemEvent = "dispute"
	evItemUphold   ItemEvent = "uphold"
	evItemOverturn ItemEvent = "overturn"
	evItemWithdraw ItemEvent = "withdraw"
)

// itemTable is the lifecycle of a charge's line.
var itemTable = fsm.Table[ItemState, ItemEvent]{
	ItemListed:   {evItemDispute: ItemDisputed, evItemWithdraw: ItemWithdrawn},
	ItemDisputed: {evItemUphold: ItemUpheld, evItemOverturn: ItemOverturned, evItemWithdraw: ItemWithdrawn},
	ItemUpheld:   {evItemWithdraw: ItemWithdrawn},
}

// Statement is a counterparty's month. A provider's is of what it did, earned
// and is charged back; it invoices its fees. A partner's is of how its
// customers were served and of its share in what they were paid for lateness;
// it is invoiced for that, and earns nothing.
type Statement struct {
	ID       events.StatementID
	Of       Counterparty
	Month    time.Time // its first day, as a date
	From, To time.Time // the month in the business zone
	State    StatementState
	Version  int64

	Services, Late int64 // lines of services, and how many of them were late
	Fees           Fen   // earned by the services; payable once the fapiao is recorded
	Charges        Fen   // charged and standing, less credits; negative when more is credited
	Compensation   Fen   // what the owners are paid for that
	Disputed       int64 // lines in dispute

	DraftedBy     string
	DraftedAt     time.Time
	IssuedBy      string
	IssuedAt      time.Time
	DisputesUntil time.Time // included
	ConfirmedBy   string
	ConfirmedAt   time.Time
	Fapiao        Fapiao
	InvoicedBy    string
	InvoicedAt    time.Time
	Settlement    Settlement
	SettledBy     string
	SettledAt     time.Time
	ChangedAt     time.Time
}

// StatementLine is one line of a statement.
type StatementLine struct {
	StatementID    events.StatementID
	No             int
	Kind           ItemKind
	State          ItemState
	Of             Counterparty
	RequestID      events.RequestID
	CompensationID events.CompensationID // zero for a service
	Area           string
	OpenedAt       time.Time
	StoppedAt      time.Time
	Outcome        Outcome
	Late           time.Duration
	Fen            Fen
	FaultPct       int // of a provider; a partner bears by agreement

	// Of the compensation that it is about; empty for a service.
	Compensation      Fen
	CompensationState CompensationState // as it stands at the time of reading
	Policy            string            // by which the charge was reckoned
	PolicyVersion     int

	DisputedBy, DisputedWhy string
	DisputedAt              time.Time
	DecidedBy, DecidedWhy   string
	DecidedAt               time.Time
}

// Fapiao is the invoice a statement is matched with: a provider's for its
// fees, ours for a partner's share. What it is for is stated with tax.
type Fapiao struct {
	Number string // 20 digits, or 18 of the older form: code and number together
	TaxPct int    // noted; no tax is reckoned or booked apart by it
}

var fapiaoForm = regexp.MustCompile(`^(\d{18}|\d{20})$`)

// taxRates are the rates an invoice can bear, in percent.
var taxRates = []int{0, 1, 3, 5, 6, 9, 13}

// TaxRates lists the rates an invoice can bear, in percent, for forms.
func TaxRates() []int { return slices.Clone(taxRates) }

// wrong names what cannot be meant.
func (f Fapiao) wrong() (fields []fault.Field) {
	if !fapiaoForm.MatchString(f.Number) {
		fields = append(fields, fault.Field{Field: "fapiao_number", Code: "form", Detail: "is not the number of an invoice; give the 20 digits of an electronic one, or code and number of an older one together, 18 or 20 digits"})
	}
	if !slices.Contains(taxRates, f.TaxPct) {
		fields = append(fields, fault.Field{Field: "tax_pct", Code: "rate", Detail: "is no tax rate; use 0, 1, 3, 5, 6, 9 or 13"})
	}
	return fields
}

// Settlement is how a statement was settled.
type Settlement struct {
	How SettledHow
	Ref string // the bank's reference, or what it was set off against
}

// SettledHow says how.
type SettledHow string

const (
	SettledPaid   SettledHow = "paid"    // fees and charges were each paid in money
	SettledSetOff SettledHow = "set_off" // a provider's charges were kept back from its fees, and the difference paid
)

// Errors of statements.
var (
	ErrNoStatement     = fault.New(fault.NotFound, "statement_not_found", "There is no such statement.")
	ErrStatementExists = fault.New(fault.Conflict, "statement_exists", "There is a statement of this month already; discard its draft first, or wait for the next month.")
	ErrMonthOpen       = fault.New(fault.Conflict, "month_not_over", "The month is not over; draft its statement when it is.")
	ErrNothingToState  = fault.New(fault.Conflict, "nothing_to_state", "There is nothing to state: no service and no charge by the end of that month; check whose statement you ask for.")
	ErrNoStatementLine = fault.New(fault.NotFound, "statement_line_not_found", "The statement has no such line.")
	ErrNotCharged      = fault.New(fault.Conflict, "line_is_no_charge", "Only a charge can be disputed.")
	ErrWindowClosed    = fault.New(fault.Conflict, "dispute_window_closed", "The window for disputes has closed.")
	ErrInDispute       = fault.New(fault.Conflict, "lines_in_dispute", "Lines are still in dispute; decide them first.")
	ErrNotInvoiced     = fault.New(fault.Conflict, "not_invoiced", "The invoice of this statement is not recorded yet; record it first.")
	ErrFapiaoUsed      = fault.New(fault.Conflict, "fapiao_used", "This invoice is recorded with another statement.")
)

// monthWindow is a month, given by its first day, in the business zone.
func monthWindow(year int, month time.Month) (first, from, to time.Time) {
	first = time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return first, time.Date(year, month, 1, 0, 0, 0, 0, businessZone).UTC(), time.Date(year, month+1, 1, 0, 0, 0, 0, businessZone).UTC()
}

// Net is what is paid out in the end; negative, so much is received.
func (s Statement) Net() Fen { return s.Fees - s.Charges }

// ToInvoice is what its invoice is for: a provider's fees, or a partner's share.
// Of nothing there is no invoice.
func (s Statement) ToInvoice() Fen {
	if s.Of.Bearer == BearerPartner {
		return s.Charges
	}
	return s.Fees
}

// statementNotes say in words what the figures of a statement mean.
var statementNotes = map[Bearer]Words{
	BearerProvider: {"服务费由服务商向平台开具发票，由平台支付；追偿款由服务商向平台支付。", "The provider invoices the platform for its fees and is paid them; what it is charged back it owes the platform."},
	BearerPartner:  {"分担款由平台向合作方开具发票，由合作方支付；平台不欠合作方服务费。", "The platform invoices the partner for its share and is paid it; no service fees are owed to a partner."},
}

// Notes say in words what the figures mean: who invoices and pays whom, and
// that amounts are with tax.
func (s Statement) Notes() []events.Reason {
	who := statementNotes[s.Of.Bearer]
	return []events.Reason{
		{Code: "who_invoices", ZH: who.ZH, EN: who.EN},
		{Code: "tax_included", ZH: "发票金额为含税金额（价税合计）；税率按发票登记，税额不单独记账。",
			EN: "What is invoiced is stated and booked with tax; the rate is noted as the invoice has it, and the tax is not booked apart."},
	}
}

// told is the event that says where the statement stands.
func (s Statement) told(now time.Time, why string) events.Event {
	return events.StatementChanged{
		StatementID: s.ID, Bearer: string(s.Of.Bearer), BearerID: s.Of.BearerID(), ProviderID: s.Of.provider(), Month: s.Month.Format("2006-01"),
		State: string(s.State), Services: s.Services, FeesFen: int64(s.Fees), ChargesFen: int64(s.Charges), CompensationFen: int64(s.Compensation), ChangedAt: now, Reason: why,
	}
}

// told is the event that says where a line stands.
func (l StatementLine) told(now time.Time, why string) events.Event {
	return events.StatementLineChanged{
		StatementID: l.StatementID, Bearer: string(l.Of.Bearer), BearerID: l.Of.BearerID(), ProviderID: l.Of.provider(), Line: l.No, RequestID: l.RequestID, CompensationID: l.CompensationID,
		State: string(l.State), Fen: int64(l.Fen), ChangedAt: now, Reason: why,
	}
}
