package pages

import (
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

type daysPage struct {
	finance
	Rows []sla.Day
}

// Apart is what our books and the statements are apart on a day.
func (page daysPage) Apart(d sla.Day) sla.Fen { return d.Figures.Ours() - d.Figures.Theirs() }

// daysAtOnce is how many days a page lists; each is compared anew.
const daysAtOnce = 31

// days lists business days on which something was paid or told, the latest
// first, and takes in a bank's statement of one.
func (p *pages) days(w http.ResponseWriter, r *http.Request, f finance) error {
	page := daysPage{finance: f}
	var before time.Time
	if err := f.from("days", &before); err != nil {
		return err
	}
	list, err := p.Money.Days(r.Context(), f.By, before, daysAtOnce+1)
	if err != nil {
		return err
	}
	page.Rows, page.Pager = cut(f, list, daysAtOnce, "days", func(d sla.Day) any { return d.Day })
	return f.show(w, r, "days", page)
}

// errNoDay means that the address names no date.
var errNoDay = fault.New(fault.NotFound, "no_such_day", "There is no such day; write it as 2026-03-02.")

// dayOf reads a business date; no text is the zero time.
func dayOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, strings.TrimSpace(text))
	if err != nil || day.Year() < 2000 || day.Year() > 9000 {
		return time.Time{}, fault.InvalidFields([]fault.Field{{Field: "day", Code: "date", Detail: "must be a date such as 2026-03-02"}})
	}
	return day, nil
}

// takeTold takes in a bank's or payment house's statement of a day.
func (p *pages) takeTold(w http.ResponseWriter, r *http.Request, f finance) error {
	in := r.PostForm
	day, err := dayOf(in.Get("day"))
	if err == nil && day.IsZero() {
		_, err = dayOf("none")
	}
	var told sla.Told
	if err == nil {
		var file sla.ForeignFile
		if file, err = uploaded(r); err == nil {
			told, err = file.Told(in.Get("source"), day)
		}
	}
	known := false
	if err == nil {
		_, known, err = p.Money.Reconcile(r.Context(), f.By, told)
	}
	switch {
	case err == nil && known:
		return f.done(w, r, "/finance/days/"+f.Day(day), "known", -1)
	case err == nil:
		return f.done(w, r, "/finance/days/"+f.Day(day), "told", len(told.Lines))
	case f.refused(err, in):
		return p.days(w, r, f)
	}
	return err
}

// figure is one of the four lists in sum.
type figure struct {
	List         sla.MatchList
	Word         string
	Lines        int64
	Ours, Theirs sla.Fen
	Shown        bool
}

type dayPage struct {
	finance
	D       sla.Day
	Figures []figure
	Chosen  string
	Lines   []sla.ComparedLine
	Told    []sla.Reconciliation
	Buttons []button
}

// day shows a business day: our payments beside what banks say of it, in four
// lists, and who signed or closed it.
func (p *pages) day(w http.ResponseWriter, r *http.Request, f finance) error {
	day, err := dayOf(chi.URLParam(r, "id"))
	if err != nil || day.IsZero() {
		return errNoDay
	}
	ctx := r.Context()
	page := dayPage{finance: f, Chosen: f.Query.Get("list")}
	if page.D, err = p.Money.DayAt(ctx, f.By, day); err != nil {
		return err
	}
	page.figures()
	var after string
	if err := f.from("compared", &after); err != nil {
		return err
	}
	lines, err := p.Money.Compared(ctx, f.By, day, events.ReconciliationID{}, sla.MatchList(page.Chosen), after, pageSize+1)
	if err != nil {
		return err
	}
	page.Lines, page.Pager = cut(f, lines, pageSize, "compared", func(l sla.ComparedLine) any { return l.Reference })
	if page.Told, err = p.Money.Reconciliations(ctx, f.By, day, sla.ReconciliationPlace{}, pageSize); err != nil {
		return err
	}
	page.buttons()
	return f.show(w, r, "day", page)
}

func (page *dayPage) figures() {
	g := page.D.Figures
	for _, x := range []figure{
		{List: sla.ListMatched, Lines: g.Matched.Lines, Ours: g.Matched.Fen, Theirs: g.Matched.Fen},
		{List: sla.ListOursOnly, Lines: g.OursOnly.Lines, Ours: g.OursOnly.Fen},
		{List: sla.ListTheirsOnly, Lines: g.TheirsOnly.Lines, Theirs: g.TheirsOnly.Fen},
		{List: sla.ListDiffer, Lines: g.Differ.Lines, Ours: g.Differ.Fen, Theirs: g.DifferFen},
	} {
		x.Word, x.Shown = page.word("list_"+string(x.List)), page.Chosen == string(x.List)
		page.Figures = append(page.Figures, x)
	}
}

// Difference is what our books and the statements are apart.
func (page dayPage) Difference() sla.Fen { return page.D.Figures.Ours() - page.D.Figures.Theirs() }

// Outdated reports whether somebody signed for figures that have changed since.
func (page dayPage) Outdated() bool {
	return page.D.State == sla.DaySigned && page.D.Signed != page.D.Figures
}

func (page *dayPage) buttons() {
	d := page.D
	if !page.MayAct() || d.State == sla.DayClosed {
		return
	}
	sign, end := "", ""
	switch over := d.Day.Before(today(page.p)); {
	case !over:
		sign, end = page.word("day_not_over"), page.word("day_not_over")
	case !d.Figures.Differs():
		sign = page.word("day_agrees")
	case d.State != sla.DaySigned:
		end = page.word("day_unsigned")
	case page.Outdated():
		end = page.word("day_outdated")
	case page.is(d.SignedBy):
		end = page.word("not_signer")
	}
	page.Buttons = []button{
		{Do: "close", Word: page.word("do_close"), Why: end, Main: true},
		{Do: "sign", Word: page.word("do_sign"), Why: sign},
	}
}

// today is the present business date, as midnight UTC of that date.
func today(p *pages) time.Time {
	now := p.Now().In(p.Zone)
	return time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
}

// changeDay signs for a day or closes it.
func (p *pages) changeDay(w http.ResponseWriter, r *http.Request, f finance) error {
	day, err := dayOf(chi.URLParam(r, "id"))
	if err != nil || day.IsZero() {
		return errNoDay
	}
	in, do := r.PostForm, r.PostForm.Get("do")
	seen := whole(in.Get("version"))
	switch do {
	case "sign":
		_, err = p.Money.SignDay(r.Context(), f.By, day, seen, in.Get("reason"))
	case "close":
		_, err = p.Money.CloseDay(r.Context(), f.By, day, seen, in.Get("reason"))
	default:
		err = errNoSuchStep
	}
	switch {
	case err == nil:
		return f.done(w, r, f.Base, do, -1)
	case f.refused(err, in):
		return p.day(w, r, f)
	}
	return err
}
