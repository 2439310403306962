package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

// balance is an account in the trial balance: on one side or the other.
type balance struct {
	Account       sla.Account
	Name          string
	Debit, Credit sla.Fen
}

// trial is what every account held at a moment. Both sides are one sum.
type trial struct {
	At            time.Time // zero: now
	Balances      []balance
	Debit, Credit sla.Fen
}

// trialAt reads the accounts, as they are or as they were.
func (f finance) trialAt(r *http.Request, at time.Time) (trial, error) {
	accounts, err := f.p.Money.BalancesAt(r.Context(), f.By, at)
	t := trial{At: at}
	for _, a := range accounts {
		b := balance{Account: a.Account, Name: f.Either(a.Name.ZH, a.Name.EN), Debit: max(0, a.Fen), Credit: max(0, -a.Fen)}
		t.Balances = append(t.Balances, b)
		t.Debit, t.Credit = t.Debit+b.Debit, t.Credit+b.Credit
	}
	return t, err
}

// postingKinds are the kinds of postings that a list can be narrowed to.
var postingKinds = []string{
	"accrual", "void", "payout", "paid", "bounce", "chargeback", "chargeback_reversal", "service_fees", "settlement_paid", "settlement_set_off",
}

type ledgerPage struct {
	finance
	Month         month
	From, To      string // days of the period, as the form has them
	Account, Kind string
	Of            string // number of what the postings are about
	At            string // moment of the balances, as the form has it
	Kinds         []choice
	Rows          []sla.Transaction
	Sum           sla.Sum
	Files         []file
	Trial         trial
	Moves         *sla.AccountMoves // of the account chosen
}

// ledger lists postings, the latest first, with the balances at the end of the
// period or at another moment beside them.
func (p *pages) ledger(w http.ResponseWriter, r *http.Request, f finance) error {
	q := f.Query
	if id, err := uuid.Parse(strings.TrimSpace(q.Get("of"))); err == nil {
		http.Redirect(w, r, "/finance/ledger/"+id.String(), http.StatusSeeOther)
		return nil
	}
	page := ledgerPage{finance: f, Account: q.Get("account"), Kind: strings.TrimSpace(q.Get("kind")), Of: strings.TrimSpace(q.Get("of")), At: q.Get("at")}
	filter, err := page.filter()
	if err != nil {
		return err
	}
	var before sla.TransactionPlace
	if err := f.from("ledger", &before); err != nil {
		return err
	}
	ctx := r.Context()
	list, err := p.Money.LatestTransactions(ctx, f.By, filter, before, pageSize+1)
	if err != nil {
		return err
	}
	page.Rows, page.Pager = cut(f, list, pageSize, "ledger", func(t sla.Transaction) any { return sla.TransactionPlace{At: t.PostedAt, ID: t.ID} })
	if err := f.learn(r, bearers(page.Rows)...); err != nil {
		return err
	}
	if page.Sum, err = p.Money.TotalTransactions(ctx, f.By, filter); err != nil {
		return err
	}
	at, err := page.moment(filter)
	if err != nil {
		return err
	}
	if page.Trial, err = f.trialAt(r, at); err != nil {
		return err
	}
	if filter.Account != "" {
		moves, err := p.Money.Moves(ctx, f.By, filter.Account, filter.From, filter.To)
		if err != nil {
			return err
		}
		page.Moves = &moves
	}
	return f.show(w, r, "ledger", page)
}

// filter reads what the list is narrowed to. Its days are whole ones; a month
// is meant unless days are named.
func (page *ledgerPage) filter() (filter sla.TransactionFilter, err error) {
	q, zone := page.Query, page.p.Zone
	var wrong []fault.Field
	if q.Has("from") || q.Has("to") {
		filter.From, filter.To, wrong = daysOf(q, zone)
		page.Month = page.p.exactMonth(filter.From, filter.To)
	} else {
		if page.Month, err = page.p.monthOf(q.Get("month"), 0); err != nil {
			return filter, err
		}
		filter.From, filter.To = page.Month.from, page.Month.to
	}
	if !filter.From.IsZero() {
		page.From = filter.From.In(zone).Format(time.DateOnly)
	}
	if !filter.To.IsZero() {
		page.To = filter.To.In(zone).AddDate(0, 0, -1).Format(time.DateOnly)
	}
	if filter.Account = sla.Account(page.Account); page.Account != "" && !slices.Contains(sla.Accounts(), filter.Account) {
		wrong = append(wrong, fault.Field{Field: "account", Code: "enum", Detail: "is no account"})
	}
	filter.Kind = page.Kind
	page.Kinds = []choice{{"", page.word("all")}}
	for _, k := range postingKinds {
		page.Kinds = append(page.Kinds, choice{k, page.finance.Kind(k)})
	}
	if page.Of != "" {
		var none error
		if filter.CompensationID, none = events.ParseID[events.CompensationID](page.Of); none != nil {
			filter.BatchID, none = events.ParseID[events.BatchID](page.Of)
		}
		if none != nil {
			wrong = append(wrong, fault.Field{Field: "of", Code: "number", Detail: "is no number of a compensation (cmp_…), a batch (bat_…) or a posting"})
		}
	}
	files := period(filter.From, filter.To)
	files.Set("account", page.Account)
	files.Set("kind", page.Kind)
	if !filter.CompensationID.IsZero() {
		files.Set("compensation_id", page.Of)
	}
	if !filter.BatchID.IsZero() {
		files.Set("batch_id", page.Of)
	}
	page.Files = filesOf("ledger", files)
	return filter, fault.InvalidFields(wrong)
}

// moment is that of the balances: the one asked for, else the last of the
// period; zero, which is now, where that is still to come.
func (page ledgerPage) moment(filter sla.TransactionFilter) (time.Time, error) {
	if page.At != "" {
		return momentOf(page.At, page.p.Zone)
	}
	if filter.To.IsZero() || filter.To.After(page.Now()) {
		return time.Time{}, nil
	}
	return filter.To.Add(-time.Microsecond), nil // its end is not part of it
}

// Sides puts a balance on its side.
func (page ledgerPage) Sides(fen sla.Fen) struct{ Debit, Credit string } {
	if fen < 0 {
		return struct{ Debit, Credit string }{"", page.Yuan(-fen)}
	}
	return struct{ Debit, Credit string }{page.Yuan(fen), ""}
}

// postings are what the table of postings shows.
type postings struct {
	finance
	List []sla.Transaction
}

// Entries are postings for that table.
func (f finance) Entries(list []sla.Transaction) postings { return postings{f, list} }

// entry is one posting, and side one line of it, for the cells that tables share.
type (
	entry struct {
		F finance
		T sla.Transaction
	}
	side struct {
		F finance
		L sla.Line
	}
)

// Entry and Side make them.
func (f finance) Entry(t sla.Transaction) entry { return entry{f, t} }

// Side is a line with the pages' words.
func (f finance) Side(l sla.Line) side { return side{f, l} }

// IsHere reports whether an account is the one the page was asked for.
func (f finance) IsHere(account sla.Account) bool { return string(account) == f.Query.Get("account") }

// bearers are the providers and partners that postings are about, as their keys
// tell.
func bearers(list []sla.Transaction) (ids []string) {
	for _, t := range list {
		for part := range strings.SplitSeq(t.Key, ":") {
			if strings.HasPrefix(part, "prv_") || strings.HasPrefix(part, "ptn_") {
				ids = append(ids, part)
			}
		}
	}
	return ids
}

// link is one to another page, or words alone.
type link struct{ Word, Href, Text string }

// About links to what a posting is about. A statement is told by its key alone.
func (f finance) About(t sla.Transaction) (list []link) {
	add := func(word, path, id string) {
		list = append(list, link{f.word(word), "/finance/" + path + "/" + url.PathEscape(id), id})
	}
	if !t.CompensationID.IsZero() {
		add("title_compensation", "compensations", t.CompensationID.String())
	}
	if !t.BatchID.IsZero() {
		add("title_batch", "batches", t.BatchID.String())
	}
	for part := range strings.SplitSeq(t.Key, ":") {
		if id, err := events.ParseID[events.StatementID](part); err == nil {
			add("title_statement", "statements", id.String())
		}
		if f.Named(part) {
			list = append(list, link{f.word("bearer"), "", f.Name(part)})
		}
	}
	return list
}

// KeyParts is the key of a posting with links to what its parts name.
func (f finance) KeyParts(t sla.Transaction) (parts []link) {
	about := f.About(t)
	for part := range strings.SplitSeq(t.Key, ":") {
		p := link{Text: part}
		for _, a := range about {
			if a.Text == part {
				p.Href = a.Href
			}
		}
		parts = append(parts, p)
	}
	return parts
}

// Beside is what a posting is about that its key does not link to.
func (f finance) Beside(t sla.Transaction) []link {
	return slices.DeleteFunc(f.About(t), func(a link) bool { return strings.Contains(t.Key, a.Text) })
}

type transactionPage struct {
	finance
	X sla.TransactionView
}

// transaction shows one posting with its lines and its links: to what it is
// about, to what it takes back or is taken back by, and to the chain.
func (p *pages) transaction(w http.ResponseWriter, r *http.Request, f finance) error {
	id, err := uuid.Parse(chi.URLParam(r, "id"))
	if err != nil {
		return sla.ErrNoTransaction
	}
	page := transactionPage{finance: f}
	if page.X, err = p.Money.Transaction(r.Context(), f.By, id); err != nil {
		return err
	}
	if err := f.learn(r, bearers([]sla.Transaction{page.X.Transaction})...); err != nil {
		return err
	}
	return f.show(w, r, "transaction", page)
}
