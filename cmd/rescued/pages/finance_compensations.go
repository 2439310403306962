package pages

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

type compensationsPage struct {
	finance
	Month        month
	City, Policy string
	Chosen       string // state; empty is all
	States       []choice
	Rows         []sla.Compensation
	Sum          sla.Sum
	Files        []file
	All          *approveAll // nil: not offered
}

// compensations lists what late arrivals owe, with what the whole filter comes
// to, whatever the page.
func (p *pages) compensations(w http.ResponseWriter, r *http.Request, f finance) error {
	if to := f.numbered(f.Query.Get("number")); to != "" {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	page, filter, err := p.compensationsPage(f)
	if err != nil {
		return err
	}
	var after sla.CompensationPlace
	if err := f.from("compensations", &after); err != nil {
		return err
	}
	list, err := p.Money.Compensations(r.Context(), f.By, filter, after, pageSize+1)
	if err != nil {
		return err
	}
	page.Rows, page.Pager = cut(f, list, pageSize, "compensations", func(c sla.Compensation) any { return sla.CompensationPlace{At: c.AccruedAt, ID: c.ID} })
	if page.Sum, err = p.Money.TotalCompensations(r.Context(), f.By, filter); err != nil {
		return err
	}
	if page.All, err = p.offerAll(r, f, filter, page.Sum); err != nil {
		return err
	}
	return f.show(w, r, "compensations", page)
}

// compensationsPage reads the filter, which the list, its total and the files
// share.
func (p *pages) compensationsPage(f finance) (page compensationsPage, filter sla.CompensationFilter, err error) {
	q := f.Query
	page = compensationsPage{finance: f, City: q.Get("area"), Policy: strings.TrimSpace(q.Get("policy")), Chosen: q.Get("state")}
	if page.Month, err = p.monthOf(q.Get("month"), 0); err != nil {
		return page, filter, err
	}
	page.States = []choice{{"", f.word("all")}}
	known := page.Chosen == ""
	for _, s := range sla.CompensationStates() {
		page.States = append(page.States, choice{string(s), f.State(s)})
		known = known || page.Chosen == string(s)
	}
	if !known {
		return page, filter, fault.InvalidFields([]fault.Field{{Field: "state", Code: "enum", Detail: "is no state of a compensation"}})
	}
	filter = sla.CompensationFilter{
		State: sla.CompensationState(page.Chosen), Area: f.areaOf(page.City), Policy: page.Policy, From: page.Month.from, To: page.Month.to,
	}
	files := period(filter.From, filter.To)
	for name, value := range map[string]string{"state": page.Chosen, "area": filter.Area, "policy": filter.Policy} {
		files.Set(name, value)
	}
	page.Files = filesOf("compensations", files)
	return page, filter, nil
}

// numbered leads to what a number names: a compensation, a rescue or a batch.
func (f finance) numbered(number string) string {
	number = strings.TrimSpace(number)
	for prefix, to := range map[string]string{"cmp_": "/finance/compensations/", "req_": "/finance/requests/", "bat_": "/finance/batches/"} {
		if strings.HasPrefix(number, prefix) {
			return to + url.PathEscape(number)
		}
	}
	return ""
}

// button is a command the page offers. One that is not for this reader, or not
// now, is shown with the reason instead of being left out.
type button struct {
	Do, Word string
	Why      string // why it cannot be pressed; empty when it can
	Main     bool
	Note     string // what pressing it means, where the word does not say
}

type compensationPage struct {
	finance
	C         *sla.Compensation // nil: nothing is owed
	G         sla.Guarantee
	Others    []sla.Compensation
	Odd       []sla.Difference
	Payments  []sla.Payment
	Postings  []sla.Transaction
	Charges   []sla.Chargeback
	Fault     sla.Attribution
	History   []stepTaken
	Job       *job // nil: it was not dispatched here
	Releases  []stepTaken
	Causes    []choice
	Recorded  []recorded
	Buttons   []button
	ShowsBook bool
}

// compensation shows one with the verdict it rests on, who decided what, and
// what the books and the batches have of it.
func (p *pages) compensation(w http.ResponseWriter, r *http.Request, f finance) error {
	id, err := pathID(r, events.ParseID[events.CompensationID], sla.ErrNoCompensation)
	if err != nil {
		return err
	}
	c, err := p.Money.Compensation(r.Context(), f.By, id)
	if err != nil {
		return err
	}
	return p.showCompensation(w, r, f, c.RequestID, &c)
}

// rescue shows what became of the promise of one rescue. Who reads amounts is
// led to the compensation that counts.
func (p *pages) rescue(w http.ResponseWriter, r *http.Request, f finance) error {
	id, err := pathID(r, events.ParseID[events.RequestID], sla.ErrNoGuarantee)
	if err != nil {
		return err
	}
	st, err := p.Money.Standing(r.Context(), f.By, id)
	if err != nil {
		return err
	}
	c, owed := st.Live()
	if owed && f.By.Is(moneyReaders...) && f.status == http.StatusOK {
		http.Redirect(w, r, strings.TrimSuffix("/finance/compensations/"+c.ID.String()+"?"+r.URL.RawQuery, "?"), http.StatusSeeOther)
		return nil
	}
	if !owed {
		return p.showCompensation(w, r, f, id, nil)
	}
	return p.showCompensation(w, r, f, id, &c)
}

func (p *pages) showCompensation(w http.ResponseWriter, r *http.Request, f finance, id events.RequestID, c *sla.Compensation) error {
	ctx := r.Context()
	st, err := p.Money.Standing(ctx, f.By, id)
	if err != nil {
		return err
	}
	page := compensationPage{finance: f, C: c, G: st.Guarantee, Odd: st.Differences, ShowsBook: f.By.Is(moneyReaders...)}
	for _, o := range st.Compensations {
		if c == nil || o.ID != c.ID {
			page.Others = append(page.Others, o)
		}
	}
	if page.Fault, err = p.Money.Attribution(ctx, f.By, id); err != nil {
		return err
	}
	if page.Job, err = p.jobOf(r, f, id); err != nil {
		return err
	}
	if page.Recorded, err = p.recordings(r, f, st.Guarantee); err != nil {
		return err
	}
	entries, err := p.timeline(r, f, id)
	if err != nil {
		return err
	}
	if err := f.learn(r, organisations(entries, page.Recorded)...); err != nil {
		return err
	}
	page.Causes = f.releaseCauses()
	if page.Releases, err = f.releases(entries); err != nil {
		return err
	}
	if c != nil {
		page.Buttons = f.compensationButtons(*c)
		if page.History, err = f.history(entries, c.ID); err != nil {
			return err
		}
	}
	if c != nil && page.ShowsBook {
		if page.Payments, err = p.Money.Payments(ctx, f.By, c.ID); err != nil {
			return err
		}
		if page.Postings, err = p.Money.Transactions(ctx, f.By, sla.TransactionFilter{CompensationID: c.ID}, sla.TransactionPlace{}, pageSize); err != nil {
			return err
		}
		if page.Charges, err = p.Money.Chargebacks(ctx, f.By, sla.ChargebackFilter{CompensationID: c.ID}, sla.ChargebackPlace{}, pageSize); err != nil {
			return err
		}
		for _, b := range page.Charges {
			if err := f.learn(r, b.BearerID()); err != nil {
				return err
			}
		}
	}
	return f.show(w, r, "compensation", page)
}

// Reasons are the verdict's: of the compensation, as it accrued, else of the
// promise as it stands.
func (page compensationPage) Reasons() []events.Reason {
	if page.C != nil {
		return page.C.Reasons
	}
	return page.G.Verdict.Reasons
}

// At is when what a reason tells happened.
func (page compensationPage) At(reason events.Reason) string {
	if reason.At == nil {
		return ""
	}
	return page.When(*reason.At)
}

// compensationButtons are the commands that its state allows to the reader's
// role, each with the reason why not where somebody else must give it.
func (f finance) compensationButtons(c sla.Compensation) (list []button) {
	add := func(do, why string, main bool) {
		word := "do_" + do
		if (do == "approve" || do == "uphold") && c.Approvers > 1 {
			word += map[bool]string{true: "_first", false: "_second"}[c.FirstApprovedBy == ""]
		}
		list = append(list, button{Do: do, Word: f.word(word), Why: why, Main: main})
	}
	endorse := ""
	switch {
	case f.is(c.PreparedBy):
		endorse = f.word("not_preparer")
	case f.is(c.FirstApprovedBy):
		endorse = f.word("not_first_approver")
	}
	decide := ""
	if f.is(c.DisputedBy) {
		decide = f.word("not_disputer")
	}
	fin := f.MayAct()
	if !fin && !f.By.Is(events.RoleOperator) {
		return nil
	}
	switch c.State {
	case sla.Accrued:
		if fin {
			add("approve", endorse, true)
		}
		add("dispute", "", false)
	case sla.Disputed:
		if !fin {
			return nil
		}
		if decide != "" {
			endorse = decide
		}
		add("uphold", endorse, true)
		add("overturn", decide, false)
		return list
	case sla.Approved:
		add("dispute", "", false)
	default:
		return nil
	}
	if fin {
		add("void", "", false)
	}
	return list
}

var errNoSuchStep = fault.New(fault.Invalid, "no_such_step", "The form asks for a step that does not exist here; use the buttons of the page.")

// decideCompensation runs one of the five decisions and leads back.
func (p *pages) decideCompensation(w http.ResponseWriter, r *http.Request, f finance) error {
	id, err := pathID(r, events.ParseID[events.CompensationID], sla.ErrNoCompensation)
	if err != nil {
		return err
	}
	if _, err = p.decide(r, f, id); err != nil {
		if f.refused(err, r.PostForm) {
			return p.compensation(w, r, f)
		}
		return err
	}
	return f.done(w, r, f.Base, r.PostForm.Get("do"), -1)
}

// decide gives a command about a compensation. What was seen is the version in
// the form, as If-Match is to the API.
func (p *pages) decide(r *http.Request, f finance, id events.CompensationID) (sla.Compensation, error) {
	in := r.PostForm
	do := map[string]func(context.Context, events.Actor, events.CompensationID, int64, string) (sla.Compensation, error){
		"approve": p.Money.Approve, "dispute": p.Money.Dispute, "uphold": p.Money.Uphold, "overturn": p.Money.Overturn, "void": p.Money.Void,
	}[in.Get("do")]
	if do == nil {
		return sla.Compensation{}, errNoSuchStep
	}
	return do(r.Context(), f.By, id, whole(in.Get("version")), in.Get("reason"))
}

type promisesPage struct {
	finance
	Chosen, City string
	States       []choice
	Rows         []sla.Guarantee
}

// promises lists promises and how they ended: what operators see of all this.
func (p *pages) promises(w http.ResponseWriter, r *http.Request, f finance) error {
	number := f.Query.Get("number")
	if to := f.numbered(number); to != "" && (strings.HasPrefix(strings.TrimSpace(number), "req_") || f.By.Is(moneyReaders...)) {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	page := promisesPage{finance: f, Chosen: f.Query.Get("state"), City: f.Query.Get("area")}
	if page.Chosen == "" {
		page.Chosen = "late"
	}
	filter := sla.GuaranteeFilter{Area: f.areaOf(page.City)}
	switch page.Chosen {
	case "review":
		filter.Review = true
	case "imported":
		filter.Imported = true
	default:
		filter.State = sla.GuaranteeState(page.Chosen)
	}
	for _, s := range []string{"late", "review", "breached", "armed", "met", "void", "waived", "imported"} {
		page.States = append(page.States, choice{s, f.word("promise_" + s)})
	}
	if f.word("promise_"+page.Chosen) == "" {
		return fault.InvalidFields([]fault.Field{{Field: "state", Code: "enum", Detail: "is no state of a promise"}})
	}
	var after sla.GuaranteePlace
	if err := f.from("guarantees", &after); err != nil {
		return err
	}
	list, err := p.Money.Guarantees(r.Context(), f.By, filter, after, pageSize+1)
	if err != nil {
		return err
	}
	page.Rows, page.Pager = cut(f, list, pageSize, "guarantees", func(g sla.Guarantee) any { return sla.GuaranteePlace{At: g.Verdict.DueAt, ID: g.ID} })
	return f.show(w, r, "promises", page)
}
