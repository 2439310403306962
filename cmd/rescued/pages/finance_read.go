package pages

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"rescued/internal/fault"
)

// whole reads a whole number; what is none is -1, which no command takes.
func whole(text string) int64 {
	n, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(text), ",", ""), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// amountText is an amount as a person types it, in the form that is read:
// 1,234.5 or ¥1234 become 1234.50 and 1234.00.
func amountText(text string) string {
	text = strings.NewReplacer(",", "", "，", "", "¥", "", "￥", "", " ", "").Replace(strings.TrimSpace(text))
	if text == "" {
		return ""
	}
	whole, part, _ := strings.Cut(text, ".")
	if len(part) < 2 {
		part += strings.Repeat("0", 2-len(part))
	}
	return whole + "." + part
}

// pathID reads the identifier in the path of a page; what is none names nothing.
func pathID[T any](r *http.Request, read func(string) (T, error), none error) (T, error) {
	id, err := read(chi.URLParam(r, "id"))
	if err != nil {
		return id, none
	}
	return id, nil
}

// month is a business month as pages choose it.
type month struct {
	Value, Prev, Next string // 2006-01; Value is all when there is no limit, Next empty when it is still to come
	from, to          time.Time
	first             time.Time // the first day as a date; zero when there is no limit
}

// daysOf reads the days from and to of a form, both included; what is left out
// is no limit. The end is that of its last day.
func daysOf(in url.Values, zone *time.Location) (from, to time.Time, wrong []fault.Field) {
	day := func(name string, after int) (at time.Time) {
		text := strings.TrimSpace(in.Get(name))
		if text == "" {
			return at
		}
		at, err := time.ParseInLocation(time.DateOnly, text, zone)
		if err != nil {
			wrong = append(wrong, fault.Field{Field: name, Code: "date", Detail: "must be a date such as 2026-03-02"})
			return at
		}
		return at.AddDate(0, 0, after).UTC()
	}
	from, to = day("from", 0), day("to", 1)
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		wrong = append(wrong, fault.Field{Field: "to", Code: "range", Detail: "must not be before from"})
	}
	return from, to, wrong
}

// exactMonth is the month that a period is; one without a name when it is
// none, and all when it has no limits.
func (p *pages) exactMonth(from, to time.Time) month {
	if from.IsZero() && to.IsZero() {
		return month{Value: "all"}
	}
	if m, err := p.monthOf(from.In(p.Zone).Format("2006-01"), 0); err == nil && m.from.Equal(from) && m.to.Equal(to) {
		return m
	}
	return month{}
}

// monthOf reads the month a page is asked for: when none is named, that many
// months after the present one; no limit for "all".
func (p *pages) monthOf(text string, ahead int) (month, error) {
	if text == "all" {
		return month{Value: "all"}, nil
	}
	now := p.Now().In(p.Zone)
	first := time.Date(now.Year(), now.Month()+time.Month(ahead), 1, 0, 0, 0, 0, p.Zone)
	if text != "" {
		at, err := time.ParseInLocation("2006-01", strings.TrimSpace(text), p.Zone)
		if err != nil {
			return month{}, fault.InvalidFields([]fault.Field{{Field: "month", Code: "month", Detail: "is no month; write it as 2026-02"}})
		}
		first = at
	}
	name := func(t time.Time) string { return t.Format("2006-01") }
	next := first.AddDate(0, 1, 0)
	m := month{
		Value: name(first), Prev: name(first.AddDate(0, -1, 0)), from: first.UTC(), to: next.UTC(),
		first: time.Date(first.Year(), first.Month(), 1, 0, 0, 0, 0, time.UTC),
	}
	if !next.After(now) {
		m.Next = name(next)
	}
	return m, nil
}
