package pages

import (
	"slices"
	"strconv"
	"strings"

	"rescued/internal/web"
)

// pageSize is how many rows a page shows.
const pageSize = 100

// pager says which part of a list a page shows and leads to the other parts. A
// cursor leads forward only, so the address carries those of the pages before.
type pager struct {
	Part              int64 // the page's number, from 1; 0 where the address does not say
	From, To          int64 // the rows shown, from 1
	First, Prev, Next string
}

// trailLength bounds how many pages back one can go step by step; an address
// has to stay of a length that every proxy lets pass.
const trailLength = 20

// pagerNames are what an address says of the place in a list.
var pagerNames = []string{"cursor", "back", "part"}

// Shown reports whether there is more than one page.
func (p pager) Shown() bool { return p.First != "" || p.Next != "" }

// cut cuts a list read with one row too many, which says that another page
// follows, and makes the pager. at is where a row lies in the order.
func cut[T any](f finance, list []T, size int, kind string, at func(T) any) ([]T, pager) {
	var next string
	if len(list) > size {
		list = list[:size]
		next = web.EncodeCursor(kind, at(list[size-1]))
	}
	here, trail := f.Query.Get("cursor"), strings.FieldsFunc(f.Query.Get("back"), func(r rune) bool { return r == '.' })
	p := pager{Part: 1}
	if here != "" {
		p.Part = max(whole(f.Query.Get("part")), 0)
		p.First = f.With("cursor", "")
	}
	if len(list) > 0 && p.Part > 0 && p.Part < 1<<40 {
		p.From = (p.Part-1)*int64(size) + 1
		p.To = p.From + int64(len(list)) - 1
	}
	page := func(cursor string, back []string, part int64) string {
		return f.With("cursor", cursor, "back", strings.Join(back, "."), "part", strconv.FormatInt(part, 10))
	}
	switch {
	case here == "":
	case len(trail) > 0:
		last := len(trail) - 1
		p.Prev = page(trail[last], trail[:last], p.Part-1)
	case p.Part == 2:
		p.Prev = p.First
	}
	if next != "" {
		if here != "" {
			trail = append(slices.Clone(trail), here)
		}
		p.Next = page(next, trail[max(0, len(trail)-trailLength):], p.Part+1)
	}
	return list, p
}

// from reads where the page before ended into place, if there was one.
func (f finance) from(kind string, place any) error {
	_, err := web.DecodeCursor(kind, f.Query.Get("cursor"), place)
	return err
}
