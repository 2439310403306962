package pages

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"rescued/events"
	"rescued/geo"
	"rescued/sla"
)

// navItem is a link to a part of finance.
type navItem struct {
	Href, Word string
	Here       bool
}

// Nav lists the parts that the reader may see.
func (f finance) Nav() (list []navItem) {
	add := func(href, word string, may []events.Role) {
		if f.By.Is(may...) {
			list = append(list, navItem{href, f.word(word), f.Base == href || href != "/finance" && strings.HasPrefix(f.Base, href+"/")})
		}
	}
	add("/finance", "title_overview", moneyReaders)
	add("/finance/promises", "title_promises", promiseReaders)
	add("/finance/compensations", "title_compensations", moneyReaders)
	add("/finance/batches", "title_batches", moneyReaders)
	add("/finance/days", "title_days", moneyReaders)
	add("/finance/ledger", "title_ledger", moneyReaders)
	add("/finance/statements", "title_statements", statementReaders)
	add("/finance/exports", "title_exports", moneyReaders)
	return list
}

// OtherHref is this very page in the other language.
func (f finance) OtherHref() string { return f.With("lang", f.Other) }

// With is the address of this page with one more choice.
func (f finance) With(pairs ...string) string {
	q := url.Values{}
	for name, values := range f.Query {
		if name != "done" && name != "n" && name != "lang" {
			q[name] = values
		}
	}
	another := len(pairs) == 2 && pairs[0] == "cursor" && pairs[1] == ""
	for i := 0; i+1 < len(pairs); i += 2 {
		if q.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			q.Del(pairs[i])
		}
		if pairs[i] != "lang" && !slices.Contains(pagerNames, pairs[i]) {
			another = true
		}
		if pairs[i] == "month" { // another month is another period
			q.Del("from")
			q.Del("to")
		}
	}
	if another { // it begins at the first page
		for _, name := range pagerNames {
			q.Del(name)
		}
	}
	return f.Base + "?" + q.Encode()
}

// Say is a word or sentence of these pages; one that does not exist is an
// error of the template that asks for it.
func (f finance) Say(key string, pairs ...string) (string, error) {
	if financeWords[key] == (words{}) {
		return "", fmt.Errorf("no words for %q", key)
	}
	return fill(f.word(key), pairs...), nil
}

func (f finance) word(key string) string {
	return f.T.either(financeWords[key].zh, financeWords[key].en)
}

// wordOr is a word, or the text itself when there is none: a code that came
// into use after these pages is still shown.
func (f finance) wordOr(key, text string) string {
	if w := f.word(key); w != "" {
		return w
	}
	return text
}

// State, Kind and the others are words for what the ledger calls by codes.
func (f finance) State(code any) string { return f.wordOr("state_"+fmt.Sprint(code), fmt.Sprint(code)) }

// Kind is a word for a kind of posting or line.
func (f finance) Kind(code any) string { return f.wordOr("kind_"+fmt.Sprint(code), fmt.Sprint(code)) }

// Account is the name of an account.
func (f finance) Account(code any) string {
	return f.wordOr("account_"+fmt.Sprint(code), fmt.Sprint(code))
}

// Role is a word for a role.
func (f finance) Role(code string) string { return f.wordOr("role_"+code, code) }

// Now is the business time.
func (f finance) Now() time.Time { return f.p.Now() }

// What is a word for a kind of export.
func (f finance) What(kind sla.ExportKind) string {
	return f.wordOr("title_"+string(kind), string(kind))
}

// Count writes a number of things, 1,234.
func (f finance) Count(n int64) string { return count(n) }

// AccountHref leads to the postings of an account: in the period that is shown,
// where it is the ledger that shows it.
func (f finance) AccountHref(account sla.Account) string {
	if f.Base == "/finance/ledger" {
		return f.With("account", string(account))
	}
	return "/finance/ledger?account=" + url.QueryEscape(string(account))
}

// YuanOf writes an amount of an event, which has it as a number of fen.
func (f finance) YuanOf(fen int64) string { return yuan(fen) }

// Minus is what a credit is called on its side.
func (f finance) Minus(fen sla.Fen) sla.Fen { return -fen }

// LateBy is how late help came; nothing while it is not known to be late.
func (f finance) LateBy(g sla.Guarantee) string {
	if g.Verdict.Late <= 0 {
		return ""
	}
	return left(g.Verdict.Late)
}

// Yuan writes an amount, ¥1,234.50.
func (f finance) Yuan(fen sla.Fen) string { return yuan(int64(fen)) }

// When is a moment, to the second; — when there is none.
func (f finance) When(at time.Time) string {
	if at.IsZero() {
		return "—"
	}
	return at.In(f.p.Zone).Format("2006-01-02 15:04:05")
}

// Day is a business date; — when there is none.
func (f finance) Day(day time.Time) string {
	if day.IsZero() {
		return "—"
	}
	return day.Format(time.DateOnly)
}

// Either picks what is said in both languages.
func (f finance) Either(zh, en string) string { return f.T.either(zh, en) }

// Area is the name of an area, or its identifier where it has none.
func (f finance) Area(id string) string {
	if id == "" {
		return "—"
	}
	if area, ok := f.areas[id]; ok {
		return area.Name
	}
	return id
}

// areaOf reads an area as a person writes it: by name or by identifier.
func (f finance) areaOf(text string) string {
	text = strings.TrimSpace(text)
	for id, a := range f.areas {
		if a.Name == text {
			return id
		}
	}
	return text
}

// Areas are offered while somebody writes the name of one.
func (f finance) Areas() []geo.Area {
	return slices.SortedFunc(maps.Values(f.areas), func(a, b geo.Area) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

// MayAct reports whether the reader is of finance: who gives commands there.
func (f finance) MayAct() bool { return f.By.Is(events.RoleFinance) }

// ReadsPromises reports whether the reader may look at any rescue's promise.
func (f finance) ReadsPromises() bool { return f.By.Is(promiseReaders...) }

// is reports whether an actor, as the books have it, is the reader.
func (f finance) is(actor string) bool { return actor == f.By.String() }

// Held is what a refused form held in a field.
func (f finance) Held(name string) string { return f.In.Get(name) }
