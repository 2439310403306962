package pages

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

type batchesPage struct {
	finance
	Key    string // of the form that opens one: a second press opens no second
	Chosen string
	States []choice
	Rows   []sla.Batch
}

// batches lists batches of payments and offers to open one.
func (p *pages) batches(w http.ResponseWriter, r *http.Request, f finance) error {
	page := batchesPage{finance: f, Key: f.Held("key"), Chosen: f.Query.Get("state"), States: []choice{{"", f.word("all")}}}
	if page.Key == "" {
		page.Key = uuid.NewString()
	}
	known := page.Chosen == ""
	for _, s := range sla.BatchStates() {
		page.States = append(page.States, choice{string(s), f.State(s)})
		known = known || page.Chosen == string(s)
	}
	if !known {
		return fault.InvalidFields([]fault.Field{{Field: "state", Code: "enum", Detail: "is no state of a batch"}})
	}
	var after sla.BatchPlace
	if err := f.from("batches", &after); err != nil {
		return err
	}
	list, err := p.Money.Batches(r.Context(), f.By, sla.BatchState(page.Chosen), after, pageSize+1)
	if err != nil {
		return err
	}
	page.Rows, page.Pager = cut(f, list, pageSize, "batches", func(b sla.Batch) any { return sla.BatchPlace{At: b.CreatedAt, ID: b.ID} })
	return f.show(w, r, "batches", page)
}

// openBatch opens a draft and leads to it.
func (p *pages) openBatch(w http.ResponseWriter, r *http.Request, f finance) error {
	b, _, err := p.Money.OpenBatch(r.Context(), f.By, r.PostForm.Get("title"), r.PostForm.Get("key"))
	if err != nil {
		if fault.KindOf(err) == fault.Unprocessable {
			r.PostForm.Del("key") // it was used with another title
		}
		if f.refused(err, r.PostForm) {
			return p.batches(w, r, f)
		}
		return err
	}
	return f.done(w, r, "/finance/batches/"+b.ID.String(), "open", -1)
}

// stepTaken is who took a step of a batch and when.
type stepTaken struct {
	Word, Who, Why string
	At             time.Time
}

type batchPage struct {
	finance
	B       sla.Batch
	Chosen  string // state of the lines shown
	States  []choice
	Lines   []sla.BatchLine
	Files   []file
	Payout  *sla.PayoutStatus
	Ways    []string
	Steps   []stepTaken
	Buttons []button // those that ask for a reason
	Plain   []button // those that do not
}

// batch shows one batch: its sums, who did what, its lines, and what may be
// done with it now.
func (p *pages) batch(w http.ResponseWriter, r *http.Request, f finance) error {
	id, err := pathID(r, events.ParseID[events.BatchID], sla.ErrNoBatch)
	if err != nil {
		return err
	}
	ctx := r.Context()
	page := batchPage{finance: f, Chosen: f.Query.Get("lines"), Ways: p.Money.PayoutWays(), States: []choice{{"", f.word("all")}}}
	if page.B, err = p.Money.Batch(ctx, f.By, id); err != nil {
		return err
	}
	for _, s := range []sla.LineState{sla.LineOpen, sla.LinePaid, sla.LineBounced, sla.LineReleased} {
		page.States = append(page.States, choice{string(s), f.State(s)})
	}
	var after events.CompensationID
	if err := f.from("batch lines", &after); err != nil {
		return err
	}
	lines, err := p.Money.BatchLines(ctx, f.By, id, sla.LineState(page.Chosen), after, pageSize+1)
	if err != nil {
		return err
	}
	page.Lines, page.Pager = cut(f, lines, pageSize, "batch lines", func(l sla.BatchLine) any { return l.CompensationID })
	page.Files = filesOf("batches/"+id.String(), url.Values{"state": {page.Chosen}})
	switch page.B.State {
	case sla.BatchSubmitted, sla.BatchSettled:
		payout, err := p.Money.PayoutOf(ctx, f.By, id)
		if err != nil {
			return err
		}
		page.Payout = &payout
	}
	page.steps()
	page.buttons()
	return f.show(w, r, "batch", page)
}

// steps tells who did what of the batch, in the order of the steps.
func (page *batchPage) steps() {
	b := page.B
	add := func(word, who, why string, at time.Time) {
		if who != "" {
			page.Steps = append(page.Steps, stepTaken{page.word("step_" + word), page.Who(who), why, at})
		}
	}
	add("open", b.CreatedBy, "", b.CreatedAt)
	add("seal", b.SealedBy, "", b.SealedAt)
	add("approve", b.ApprovedBy, b.ApprovedWhy, b.ApprovedAt)
	add("submit", b.SubmittedBy, "", b.SubmittedAt)
	add(string(b.State), b.EndedBy, b.EndedWhy, b.EndedAt)
}

// buttons are the steps its state allows, each with the reason why not where
// another person, or something else, must come first.
func (page *batchPage) buttons() {
	if !page.MayAct() {
		return
	}
	b := page.B
	reasoned := func(do, why string, main bool) {
		page.Buttons = append(page.Buttons, button{do, page.word("do_" + do), why, main, page.word("note_" + do)})
	}
	plain := func(do, why string) {
		page.Plain = append(page.Plain, button{do, page.word("do_" + do), why, true, page.word("note_" + do)})
	}
	switch b.State {
	case sla.BatchDraft:
		empty := ""
		if b.Lines == 0 {
			empty = page.word("batch_is_empty")
		}
		plain("seal", empty)
		reasoned("discard", "", false)
	case sla.BatchSealed:
		own := ""
		if page.is(b.CreatedBy) || page.is(b.SealedBy) {
			own = page.word("not_batch_preparer")
		}
		reasoned("approve", own, true)
		reasoned("reject", "", false)
	case sla.BatchSubmitted:
		open := ""
		if b.Open().Lines > 0 {
			open = page.word("lines_open")
		}
		plain("settle", open)
		if page.Payout != nil && page.Payout.State == sla.PayoutFailed {
			reasoned("resend", "", true)
		}
	}
}

// IsDraft reports whether lines can still be added and removed by the reader.
func (page batchPage) IsDraft() bool { return page.B.State == sla.BatchDraft && page.MayAct() }

// MaySubmit reports whether the reader may hand the batch to whoever pays.
func (page batchPage) MaySubmit() bool { return page.B.State == sla.BatchApproved && page.MayAct() }

// AwaitsResults reports whether results of payments are still to come.
func (page batchPage) AwaitsResults() bool {
	return page.B.State == sla.BatchSubmitted && page.MayAct() && page.B.Open().Lines > 0
}

// changeBatch runs a step of a batch and leads back to it.
func (p *pages) changeBatch(w http.ResponseWriter, r *http.Request, f finance) error {
	id, err := pathID(r, events.ParseID[events.BatchID], sla.ErrNoBatch)
	if err != nil {
		return err
	}
	do := r.PostForm.Get("do")
	n, err := p.stepBatch(r, f, id, do)
	if err != nil {
		if f.refused(err, r.PostForm) {
			return p.batch(w, r, f)
		}
		return err
	}
	if do == "results" && n < 0 {
		do = "known"
	}
	return f.done(w, r, f.Base, do, n)
}

// stepBatch gives one command about a batch, and says how many lines it
// touched where that is worth saying; -1 where it is not.
func (p *pages) stepBatch(r *http.Request, f finance, id events.BatchID, do string) (n int, err error) {
	in, ctx, svc := r.PostForm, r.Context(), p.Money
	seen, why := whole(in.Get("version")), in.Get("reason")
	switch do {
	case "fill":
		filter, err := f.fillFilter(in)
		if err != nil {
			return 0, err
		}
		_, n, err = svc.Fill(ctx, f.By, id, filter, sla.MostFilled)
		return n, err
	case "add":
		line, err := events.ParseID[events.CompensationID](strings.TrimSpace(in.Get("compensation")))
		if err != nil {
			return 0, sla.ErrNoCompensation.Detailf("%.60q is not the number of a compensation; it begins with cmp_.", in.Get("compensation"))
		}
		_, err = svc.AddLine(ctx, f.By, id, line)
		return -1, err
	case "remove":
		line, err := events.ParseID[events.CompensationID](in.Get("compensation"))
		if err != nil {
			return 0, sla.ErrNoLine
		}
		_, err = svc.RemoveLine(ctx, f.By, id, line)
		return -1, err
	case "seal":
		_, err = svc.Seal(ctx, f.By, id, seen)
	case "approve":
		_, err = svc.ApproveBatch(ctx, f.By, id, seen, why)
	case "reject":
		_, err = svc.RejectBatch(ctx, f.By, id, seen, why)
	case "discard":
		_, err = svc.DiscardBatch(ctx, f.By, id, seen, why)
	case "submit":
		_, err = svc.Submit(ctx, f.By, id, seen, in.Get("via"))
	case "resend":
		_, err = svc.Resend(ctx, f.By, id, seen, why)
	case "settle":
		_, err = svc.SettleBatch(ctx, f.By, id, seen)
	case "results":
		return p.recordResults(r, f, id)
	default:
		err = errNoSuchStep
	}
	return -1, err
}

// fillFilter reads which approved compensations go into a draft. Its days are
// whole ones: to the end of the second.
func (f finance) fillFilter(in url.Values) (filter sla.FillFilter, err error) {
	filter = sla.FillFilter{Area: f.areaOf(in.Get("area")), Policy: strings.TrimSpace(in.Get("policy")), FirstAttempt: in.Get("first_attempt") != ""}
	var wrong []fault.Field
	filter.From, filter.To, wrong = daysOf(in, f.p.Zone)
	if text := amountText(in.Get("up_to")); text != "" {
		if filter.UpTo, err = sla.ParseFen(text); err != nil || filter.UpTo < 0 {
			wrong = append(wrong, fault.Field{Field: "up_to", Code: "amount", Detail: "must be an amount such as 20.00"})
		}
	}
	return filter, fault.InvalidFields(wrong)
}

// recordResults takes in a file of results and says of how many payments; -1
// when this very file was known.
func (p *pages) recordResults(r *http.Request, f finance, id events.BatchID) (int, error) {
	file, err := uploaded(r)
	if err != nil {
		return 0, err
	}
	results, err := file.Results(whole(r.PostForm.Get("paid_lines")), amountText(r.PostForm.Get("paid_total")))
	if err != nil {
		return 0, err
	}
	_, known, err := p.Money.Record(r.Context(), f.By, id, results)
	if known {
		return -1, err
	}
	return len(results.Lines), err
}

// uploaded reads the file of a form, with what the form says it comes to.
func uploaded(r *http.Request) (sla.ForeignFile, error) {
	missing := fault.InvalidFields([]fault.Field{{Field: "file", Code: "required", Detail: "is missing; choose a CSV file"}})
	upload, head, err := r.FormFile("file")
	if err != nil {
		return sla.ForeignFile{}, missing
	}
	defer upload.Close()
	body, err := io.ReadAll(upload)
	if err != nil || len(body) == 0 {
		return sla.ForeignFile{}, missing
	}
	return sla.ForeignFile{Name: head.Filename, CSV: body, Lines: whole(r.PostForm.Get("lines")), Total: amountText(r.PostForm.Get("total"))}, nil
}
