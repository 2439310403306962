package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

type statementsPage struct {
	finance
	Month   month
	Chosen  string
	States  []choice
	Bearer  string
	Bearers []choice // of whom: all, or providers or partners alone
	Whose   []choice // who had rescues in the month: a statement can be drawn up for
	Rows    []sla.Statement
}

// statements lists the statements of providers and partners, of the last month
// unless another is chosen, and offers to draw one up.
func (p *pages) statements(w http.ResponseWriter, r *http.Request, f finance) error {
	page := statementsPage{finance: f, Chosen: f.Query.Get("state"), States: []choice{{"", f.word("all")}}}
	var err error
	if page.Month, err = p.monthOf(f.Query.Get("month"), -1); err != nil {
		return err
	}
	known := page.Chosen == ""
	for _, s := range sla.StatementStates() {
		page.States = append(page.States, choice{string(s), f.statementState(s)})
		known = known || page.Chosen == string(s)
	}
	if !known {
		return fault.InvalidFields([]fault.Field{{Field: "state", Code: "enum", Detail: "is no state of a statement"}})
	}
	if !f.By.Is(events.RoleProvider, events.RolePartner) {
		page.Bearer, page.Bearers = f.Query.Get("bearer"), []choice{{"", f.word("all")}}
		for _, b := range sla.BearerKinds() {
			page.Bearers = append(page.Bearers, choice{string(b), f.word("statements_of_" + string(b))})
		}
		if page.Bearer != "" && !slices.Contains(sla.BearerKinds(), sla.Bearer(page.Bearer)) {
			return fault.InvalidFields([]fault.Field{{Field: "bearer", Code: "enum", Detail: "is not provider or partner"}})
		}
	}
	filter := sla.StatementFilter{Of: sla.Counterparty{Bearer: sla.Bearer(page.Bearer)}, State: sla.StatementState(page.Chosen), Month: page.Month.first}
	var after sla.StatementPlace
	if err := f.from("statements", &after); err != nil {
		return err
	}
	list, err := p.Money.Statements(r.Context(), f.By, filter, after, pageSize+1)
	if err != nil {
		return err
	}
	page.Rows, page.Pager = cut(f, list, pageSize, "statements", func(s sla.Statement) any { return sla.StatementPlace{At: s.Month, ID: s.ID} })
	if err := f.learn(r, whoseOf(page.Rows)...); err != nil {
		return err
	}
	if f.MayAct() && !page.Month.first.IsZero() {
		drawn, err := p.Money.Statements(r.Context(), f.By, sla.StatementFilter{Month: page.Month.first}, sla.StatementPlace{}, drawnAtMost)
		if err != nil {
			return err
		}
		has := map[string]bool{}
		for _, s := range drawn {
			has[s.Of.BearerID()] = s.State != sla.StatementDiscarded || has[s.Of.BearerID()]
		}
		for _, b := range sla.BearerKinds() {
			report, err := p.Money.Report(r.Context(), f.By, sla.ReportBy(b), sla.ReportFilter{From: page.Month.from, To: page.Month.to})
			if err != nil {
				return err
			}
			if err := f.learn(r, keysOf(report)...); err != nil {
				return err
			}
			for _, row := range report.Rows {
				if row.Key != "" && !has[row.Key] {
					page.Whose = append(page.Whose, choice{row.Key, fill(f.word("rescues_of_"+string(b)), "whose", f.Name(row.Key), "n", strconv.FormatInt(row.Rescues, 10))})
				}
			}
		}
	}
	return f.show(w, r, "statements", page)
}

// drawnAtMost bounds how many statements of a month are looked at.
const drawnAtMost = 5000

// MonthOpen reports whether the month shown is not over yet, so that no
// statement can be drawn up of it.
func (page statementsPage) MonthOpen() bool { return page.Month.to.After(page.Now()) }

// draftStatement draws a statement up and leads to it.
func (p *pages) draftStatement(w http.ResponseWriter, r *http.Request, f finance) error {
	in := r.PostForm
	f.Query = url.Values{"month": {in.Get("month")}}
	whose, err := whoseStatement(strings.TrimSpace(in.Get("whose")))
	var chosen month
	if err == nil {
		chosen, err = p.monthOf(in.Get("month"), -1)
	}
	var st sla.Statement
	if err == nil {
		st, err = p.Money.DraftStatement(r.Context(), f.By, whose, chosen.first.Year(), chosen.first.Month())
	}
	switch {
	case err == nil:
		return f.done(w, r, "/finance/statements/"+st.ID.String(), "draft", -1)
	case f.refused(err, in):
		return p.statements(w, r, f)
	}
	return err
}

// whoseStatement reads the number of a provider or a partner.
func whoseStatement(id string) (sla.Counterparty, error) {
	if provider, err := events.ParseID[events.ProviderID](id); err == nil {
		return sla.ProviderOf(provider), nil
	}
	partner, err := events.ParseID[events.PartnerID](id)
	if err != nil {
		return sla.Counterparty{}, fault.InvalidFields([]fault.Field{{Field: "whose", Code: "form", Detail: "is not the number of a provider or a partner; it begins with prv_ or ptn_"}})
	}
	return sla.PartnerOf(partner), nil
}

// Their is a word of a statement: some differ between a provider's, who is
// charged back, and a partner's, who bears a share.
func (f finance) Their(of sla.Counterparty, key string) string {
	return f.wordOr(key+"_"+string(of.Bearer), f.word(key))
}

// statementState is a word for a state: of statements some differ from those
// of batches.
func (f finance) statementState(s sla.StatementState) string {
	return f.wordOr("statement_"+string(s), string(s))
}

// StatementState is the same for templates.
func (f finance) StatementState(s sla.StatementState) string { return f.statementState(s) }

type statementPage struct {
	finance
	S        sla.Statement
	Chosen   string // kind of the lines shown
	Kinds    []choice
	Lines    []sla.StatementLine
	Files    []file
	Steps    []stepTaken
	Plain    []button
	Buttons  []button
	TaxRates []choice
	Ways     []choice
}

// statement shows one: what its lines come to, how far it is, and what may be
// done with it now.
func (p *pages) statement(w http.ResponseWriter, r *http.Request, f finance) error {
	id, err := pathID(r, events.ParseID[events.StatementID], sla.ErrNoStatement)
	if err != nil {
		return err
	}
	page := statementPage{finance: f, Chosen: f.Query.Get("kind"), Kinds: []choice{{"", f.word("all")}}}
	if page.S, err = p.Money.Statement(r.Context(), f.By, id); err != nil {
		return err
	}
	if err := f.learn(r, page.S.Of.BearerID()); err != nil {
		return err
	}
	filter := sla.ItemFilter{Kind: sla.ItemKind(page.Chosen)}
	for _, k := range []string{string(sla.ItemService), string(sla.ItemCharge), string(sla.ItemCredit), string(sla.ItemDisputed)} {
		page.Kinds = append(page.Kinds, choice{k, f.Their(page.S.Of, "kind_item_"+k)})
	}
	if page.Chosen == string(sla.ItemDisputed) {
		filter = sla.ItemFilter{State: sla.ItemDisputed}
	}
	var after struct {
		Line int `json:"line"`
	}
	if err := f.from("statement_lines", &after); err != nil {
		return err
	}
	list, err := p.Money.StatementLines(r.Context(), f.By, id, filter, after.Line, pageSize+1)
	if err != nil {
		return err
	}
	page.Lines, page.Pager = cut(f, list, pageSize, "statement_lines", func(l sla.StatementLine) any { return map[string]int{"line": l.No} })
	page.Files = filesOf("statements/"+id.String(), nil)
	for _, pct := range sla.TaxRates() {
		page.TaxRates = append(page.TaxRates, choice{strconv.Itoa(pct), strconv.Itoa(pct) + " %"})
	}
	page.Ways = []choice{{string(sla.SettledPaid), f.Their(page.S.Of, "settled_paid")}}
	if page.OfProvider() {
		page.Ways = append(page.Ways, choice{string(sla.SettledSetOff), f.word("settled_set_off")})
	}
	page.steps()
	page.buttons()
	return f.show(w, r, "statement", page)
}

// theirs reports whether the reader is whom the statement is of.
func (page statementPage) theirs() bool { return page.By.Is(events.RoleProvider, events.RolePartner) }

// steps tells how far it is. Whom it is of is told when, not by whom of finance.
func (page *statementPage) steps() {
	s := page.S
	add := func(word, who, why string, at time.Time) {
		if at.IsZero() {
			return
		}
		if page.theirs() && !strings.HasPrefix(who, string(page.By.Role)+":") {
			who = ""
		}
		page.Steps = append(page.Steps, stepTaken{page.word("statement_step_" + word), page.Who(who), why, at})
	}
	add("draft", s.DraftedBy, "", s.DraftedAt)
	add("issue", s.IssuedBy, "", s.IssuedAt)
	add("confirm", s.ConfirmedBy, "", s.ConfirmedAt)
	add("invoice", s.InvoicedBy, s.Fapiao.Number, s.InvoicedAt)
	how := ""
	if s.Settlement.How != "" {
		how = joined(page.Their(s.Of, "settled_"+string(s.Settlement.How)), s.Settlement.Ref)
	}
	add("settle", s.SettledBy, how, s.SettledAt)
}

func (page *statementPage) buttons() {
	switch s := page.S; {
	case s.State == sla.StatementDraft && page.MayAct():
		page.Plain = []button{{Do: "issue", Word: page.Their(s.Of, "do_issue"), Main: true, Note: page.word("note_issue")}}
		page.Buttons = []button{{Do: "discard", Word: page.word("do_discard_statement")}}
	case s.State == sla.StatementIssued && page.theirs():
		why := ""
		if s.Disputed > 0 {
			why = page.word("lines_disputed")
		}
		page.Plain = []button{{Do: "confirm", Word: page.word("do_confirm"), Why: why, Main: true}}
	}
}

// OfProvider reports whether it is a provider's, with fees and faults.
func (page statementPage) OfProvider() bool { return page.S.Of.Bearer == sla.BearerProvider }

// Total is what the statement comes to: what a provider is paid in the end, or
// what a partner pays.
func (page statementPage) Total() sla.Fen {
	if page.OfProvider() {
		return page.S.Net()
	}
	return page.S.Charges
}

// MayInvoice and the others say which form the reader is offered.
func (page statementPage) MayInvoice() bool {
	return page.S.State == sla.StatementConfirmed && page.S.ToInvoice() != 0 && page.By.Is(events.RoleFinance, events.RoleProvider)
}

// MaySettle reports whether the settlement may be noted.
func (page statementPage) MaySettle() bool {
	ready := page.S.State == sla.StatementInvoiced || page.S.State == sla.StatementConfirmed && page.S.ToInvoice() == 0
	return ready && page.MayAct()
}

// MayDispute reports whether whom it is of may still doubt a line.
func (page statementPage) MayDispute(l sla.StatementLine) bool {
	return page.theirs() && page.S.State == sla.StatementIssued && l.Kind == sla.ItemCharge &&
		l.State == sla.ItemListed && !page.Now().After(page.S.DisputesUntil)
}

// MayDecide reports whether finance is to decide about a line.
func (page statementPage) MayDecide(l sla.StatementLine) bool {
	return page.MayAct() && l.State == sla.ItemDisputed && page.S.State == sla.StatementIssued
}

// Late is how late a service was.
func (page statementPage) Late(l sla.StatementLine) string {
	if l.Late <= 0 {
		return ""
	}
	return left(l.Late)
}

// changeStatement runs a step of a statement or of a line, and leads back.
func (p *pages) changeStatement(w http.ResponseWriter, r *http.Request, f finance) error {
	id, err := pathID(r, events.ParseID[events.StatementID], sla.ErrNoStatement)
	if err != nil {
		return err
	}
	do := r.PostForm.Get("do")
	err = p.stepStatement(r, f, id, do)
	switch {
	case err == nil:
		if slices.Contains([]string{"dispute", "uphold", "overturn", "discard", "settle"}, do) {
			do = "statement_" + do // the word is another than a batch's or a compensation's
		}
		return f.done(w, r, f.Base, do, -1)
	case f.refused(err, r.PostForm):
		return p.statement(w, r, f)
	}
	return err
}

func (p *pages) stepStatement(r *http.Request, f finance, id events.StatementID, do string) (err error) {
	in, ctx, svc := r.PostForm, r.Context(), p.Money
	seen, why, line := whole(in.Get("version")), in.Get("reason"), int(whole(in.Get("line")))
	switch do {
	case "issue":
		_, err = svc.IssueStatement(ctx, f.By, id, seen)
	case "discard":
		_, err = svc.DiscardStatement(ctx, f.By, id, seen, why)
	case "confirm":
		_, err = svc.ConfirmStatement(ctx, f.By, id, seen)
	case "fapiao":
		_, err = svc.RecordFapiao(ctx, f.By, id, seen, sla.Fapiao{Number: in.Get("fapiao_number"), TaxPct: int(whole(in.Get("tax_pct")))})
	case "settle":
		_, err = svc.SettleStatement(ctx, f.By, id, seen, sla.Settlement{How: sla.SettledHow(in.Get("how")), Ref: in.Get("reference")})
	case "dispute":
		_, err = svc.DisputeLine(ctx, f.By, id, line, seen, why)
	case "uphold":
		_, err = svc.UpholdLine(ctx, f.By, id, line, seen, why)
	case "overturn":
		_, err = svc.OverturnLine(ctx, f.By, id, line, seen, why)
	default:
		err = errNoSuchStep
	}
	return err
}
