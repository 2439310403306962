package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"

	"rescued/internal/fault"
)

// cursorVersion changes when the wrapping of cursors does; old ones are then
// refused with the mend, as damaged ones are.
const cursorVersion = 1

// Listing goes into the input of an operation that lists. Limit is between
// 1 and 200, 50 when the caller does not say.
type Listing struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
	Cursor string `query:"cursor" maxLength:"2000" doc:"next_cursor of the page before; leave it out for the first page."`
}

// ListBody is one page of a list.
type ListBody[T any] struct {
	Items      []T    `json:"items" nullable:"false"`
	NextCursor string `json:"next_cursor,omitempty" doc:"Give it as cursor to get the next page; absent on the last."`
}

// List is the output of an operation that lists.
type List[T any] struct {
	Link string `header:"Link" doc:"The next page, rel=next."`
	Body ListBody[T]
}

// Listed makes one page. next is the cursor made by EncodeCursor from the
// last item, or empty on the last page.
func Listed[T any](ctx context.Context, items []T, next string) *List[T] {
	if items == nil {
		items = []T{}
	}
	out := &List[T]{Body: ListBody[T]{Items: items, NextCursor: next}}
	if next != "" {
		out.Link = nextLink(ctx, next)
	}
	return out
}

// nextLink repeats the query that was asked with the next cursor in it.
func nextLink(ctx context.Context, cursor string) string {
	query := url.Values{}
	if asked := exchangeOf(ctx); asked != nil {
		query = asked.url.Query()
	}
	query.Set("cursor", cursor)
	return "<?" + query.Encode() + `>; rel="next"`
}

// ErrCursor is the answer to a cursor that this service has not made.
var ErrCursor = badCursor("This is no cursor of ours; take next_cursor as it stands, or leave it out.")

type cursor struct {
	Version int             `json:"v"`
	Kind    string          `json:"k"`
	Key     json.RawMessage `json:"p"`
}

// EncodeCursor makes an opaque cursor out of the sort key of the last item
// of a page. kind names the list, so that a cursor of another is refused. It
// panics on a key that JSON cannot write.
func EncodeCursor(kind string, key any) string {
	raw, err := json.Marshal(key)
	if err == nil {
		raw, err = json.Marshal(cursor{cursorVersion, kind, raw})
	}
	if err != nil {
		panic("web.EncodeCursor: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// DecodeCursor reads a cursor of the named list into key, and says whether
// there was one: empty text is the first page. A damaged cursor or one of
// another list is fault.Invalid and names the field cursor. The key is the
// caller's to doubt: it may have been forged.
func DecodeCursor(kind, text string, key any) (bool, error) {
	if text == "" {
		return false, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	var c cursor
	if err != nil || strictJSON(raw, &c) != nil || c.Version != cursorVersion || bytes.Equal(c.Key, []byte("null")) || strictJSON(c.Key, key) != nil {
		return false, ErrCursor
	}
	if c.Kind != kind {
		return false, badCursor("This is the cursor of another list (" + strconv.Quote(c.Kind) + "); leave it out to start.")
	}
	return true, nil
}

func strictJSON(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func badCursor(detail string) error {
	return fault.InvalidFields([]fault.Field{{Field: "cursor", Code: "cursor", Detail: detail}})
}
