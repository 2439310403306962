package pages

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"rescued/internal/fault"
	"rescued/internal/web"
)

// pageSize is how many rows a page shows.
const pageSize = 100

// cut cuts a list read with one row too many, and makes the cursor of the next
// page if that row was there.
func cut[T any](list []T, kind string, at func(T) any) ([]T, string) {
	if len(list) <= pageSize {
		return list, ""
	}
	list = list[:pageSize]
	return list, web.EncodeCursor(kind, at(list[pageSize-1]))
}

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
	Value, Prev, Next string // 2006-01; Value is all when there is no limit
	from, to          time.Time
	first             time.Time // the first day as a date; zero when there is no limit
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
	return month{
		Value: name(first), Prev: name(first.AddDate(0, -1, 0)), Next: name(next), from: first.UTC(), to: next.UTC(),
		first: time.Date(first.Year(), first.Month(), 1, 0, 0, 0, 0, time.UTC),
	}, nil
}

// from reads where the page before ended into place, if there was one.
func (f finance) from(kind string, place any) error {
	_, err := web.DecodeCursor(kind, f.Query.Get("cursor"), place)
	return err
}
