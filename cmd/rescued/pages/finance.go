package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// Who may look at what. Each command asks again who gives it.
var (
	moneyReaders     = []events.Role{events.RoleFinance, events.RoleAdmin}
	promiseReaders   = []events.Role{events.RoleFinance, events.RoleAdmin, events.RoleOperator}
	statementReaders = []events.Role{events.RoleFinance, events.RoleAdmin, events.RoleProvider, events.RolePartner}
)

// finance is what every page of finance shows or carries. It is made anew for
// each exchange; templates call its methods.
type finance struct {
	common
	p       *pages
	By      events.Actor
	Base    string // address of the page, without its query: forms are sent there
	Query   url.Values
	In      url.Values // what a refused form held
	Done    string     // what the command before this page did, in words
	Problem string     // why the command was refused, in words
	Mends   []string   // what is wrong with it, one by one
	Pager   pager      // of its list, where it has one
	status  int
	areas   map[string]geo.Area
	names   map[string]string // of providers and partners, as far as learned
}

// financeTemplates are the pages' own; each stands in the frame of finance.html.
var financeTemplates = []string{"refused", "overview", "exports", "promises", "compensations", "compensation", "batches", "batch", "statements", "statement", "days", "day", "ledger", "transaction"}

// mountFinance adds the pages of finance.
func (p *pages) mountFinance(r chi.Router) {
	r.Route("/finance", func(r chi.Router) {
		get := func(path, title string, may []events.Role, show financePage) {
			r.Get(path, p.finance(title, may, show))
		}
		post := func(path, title string, may []events.Role, act financePage) { r.Post(path, p.finance(title, may, act)) }
		get("/", "title_overview", append(append([]events.Role{}, promiseReaders...), events.RoleProvider, events.RolePartner), p.overview)
		get("/promises", "title_promises", promiseReaders, p.promises)
		get("/requests/{id}", "title_rescue", promiseReaders, p.rescue)
		post("/requests/{id}", "title_rescue", promiseReaders, p.changeRescue)
		get("/compensations", "title_compensations", moneyReaders, p.compensations)
		post("/compensations", "title_compensations", moneyReaders, p.approveList)
		get("/compensations/{id}", "title_compensation", moneyReaders, p.compensation)
		post("/compensations/{id}", "title_compensation", moneyReaders, p.decideCompensation)
		get("/batches", "title_batches", moneyReaders, p.batches)
		post("/batches", "title_batches", moneyReaders, p.openBatch)
		get("/batches/{id}", "title_batch", moneyReaders, p.batch)
		post("/batches/{id}", "title_batch", moneyReaders, p.changeBatch)
		get("/statements", "title_statements", statementReaders, p.statements)
		post("/statements", "title_statements", statementReaders, p.draftStatement)
		get("/statements/{id}", "title_statement", statementReaders, p.statement)
		post("/statements/{id}", "title_statement", statementReaders, p.changeStatement)
		get("/days", "title_days", moneyReaders, p.days)
		post("/days", "title_days", moneyReaders, p.takeTold)
		get("/days/{id}", "title_day", moneyReaders, p.day)
		post("/days/{id}", "title_day", moneyReaders, p.changeDay)
		get("/ledger", "title_ledger", moneyReaders, p.ledger)
		get("/ledger/{id}", "title_transaction", moneyReaders, p.transaction)
		get("/exports", "title_exports", moneyReaders, p.exports)
	})
}

// financePage answers one exchange. Its error is drawn as a page of its own.
type financePage func(w http.ResponseWriter, r *http.Request, f finance) error

// uploadLimit bounds the body of a form, a file of results included.
const uploadLimit = 8<<20 + 64<<10

// finance wraps a page: who asks, in which language, and what becomes of an
// error.
func (p *pages) finance(title string, may []events.Role, page financePage) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// A form of a signed-in browser is only taken from our own pages; without
		// its address in Origin a browser on plain HTTP could not show that it is.
		w.Header().Set("Referrer-Policy", "same-origin")
		t := language(w, r)
		f := finance{p: p, Base: strings.TrimSuffix(r.URL.Path, "/"), Query: r.URL.Query(), status: http.StatusOK}
		by, known := web.ActorFrom(r.Context())
		f.By = by
		f.T = t
		f.common = p.common(t, f.word(title))
		f.areas, f.names = map[string]geo.Area{}, map[string]string{}
		for _, a := range p.Service.Areas().All() {
			f.areas[string(a.ID)] = a
		}
		_, err := web.Require(r.Context(), may...)
		if err == nil && r.Method == http.MethodPost {
			err = readForm(w, r)
		}
		if err == nil {
			if done := f.Query.Get("done"); financeWords["done_"+done] != (words{}) {
				f.Done = fill(f.word("done_"+done), "n", strconv.FormatInt(whole(f.Query.Get("n")), 10))
			}
			err = page(w, r, f)
		}
		if err != nil {
			f.fail(w, r, known, err)
		}
	}
}

func readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, uploadLimit)
	err := r.ParseMultipartForm(uploadLimit)
	if errors.Is(err, http.ErrNotMultipart) {
		err = r.ParseForm()
	}
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return err
	case err != nil:
		return fault.New(fault.Invalid, "invalid_form", "The form could not be read; send it again from the page.")
	}
	return nil
}

// financeStatus is what a refusal that a page shows is answered with.
var financeStatus = map[fault.Kind]int{
	fault.Invalid: http.StatusUnprocessableEntity, fault.Unprocessable: http.StatusUnprocessableEntity,
	fault.Unauthorized: http.StatusForbidden, fault.Forbidden: http.StatusForbidden, fault.NotFound: http.StatusNotFound,
	fault.Conflict: http.StatusConflict, fault.Stale: http.StatusPreconditionFailed,
}

// refused takes in why a command was refused, for the page to be shown again
// with it. False means that the error is none that a person can mend there.
func (f *finance) refused(err error, in url.Values) bool {
	var why *fault.Error
	if !errors.As(err, &why) || financeStatus[why.Kind] == 0 {
		return false
	}
	f.status, f.In, f.Done = financeStatus[why.Kind], in, ""
	f.Problem, f.Mends = f.T.financeRefusal(why)
	return true
}

// fail shows an error as a page: what a person can do about it, in his words.
func (f finance) fail(w http.ResponseWriter, r *http.Request, known bool, err error) {
	var why *fault.Error
	if !errors.As(err, &why) || financeStatus[why.Kind] == 0 {
		web.Problem(w, r, err)
		return
	}
	f.status, f.Done = financeStatus[why.Kind], ""
	switch {
	case !known:
		f.Title, f.Problem = f.T.LoginTitle, f.word("login_text")
	case why.Kind == fault.Forbidden && (why.Code == "forbidden" || why.Code == ""):
		f.Title, f.Problem = f.word("forbidden_title"), fill(f.word("forbidden_text"), "role", f.Role(string(f.By.Role)))
	default:
		f.Title = f.word("refused_title")
		f.Problem, f.Mends = f.T.financeRefusal(why)
	}
	f.p.show(w, r, f.status, "refused", f)
}

// show draws the page of f.
func (f finance) show(w http.ResponseWriter, r *http.Request, name string, page any) error {
	f.p.show(w, r, f.status, name, page)
	return nil
}

// done leads back to a page and says there what was done, so that to reload it
// does nothing again.
func (f finance) done(w http.ResponseWriter, r *http.Request, to, what string, n int) error {
	q := url.Values{"done": {what}}
	if n >= 0 {
		q.Set("n", strconv.Itoa(n))
	}
	http.Redirect(w, r, to+"?"+q.Encode(), http.StatusSeeOther)
	return nil
}
