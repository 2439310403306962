package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"rescued/internal/fault"
)

// readBody reads a body whole, up to limit bytes, and refuses what cannot be
// JSON before huma looks at its fields, so that each such mistake has a code
// and a place of its own. What it has read stands in r.Body again.
func readBody(w http.ResponseWriter, r *http.Request, op *huma.Operation, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		if !strings.EqualFold(r.Header.Get("Expect"), "100-continue") { // else it waits for our word, and need not send
			drain(r.Body)
		}
		return nil, bodyTooLarge(limit)
	}
	if err := checkMediaType(r.Header.Get("Content-Type"), op); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			drain(r.Body)
			return nil, err
		}
		return nil, transport{fault.New(fault.Invalid, "body_unreadable", "The body did not arrive whole; send it again.").Because(err), http.StatusBadRequest}
	}
	if len(body) == 0 && op.RequestBody.Required {
		return nil, fault.New(fault.Invalid, "body_required", "").Detailf("Send a body: %s.", strings.Join(mediaTypes(op), " or "))
	}
	if _, isJSON := op.RequestBody.Content["application/json"]; isJSON && len(body) > 0 {
		if err := checkJSON(body); err != nil {
			return nil, err
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// drainLimit is how much of a body that is too large is read and dropped, in
// bytes. A client that is still sending when the connection closes reports a
// broken pipe and never reads the answer.
const drainLimit = 16 << 20

// drain drops what is left of a body, within reason; whatever fails, the
// answer is the same.
func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, drainLimit) }

// mediaTypes is what an operation takes, in one order.
func mediaTypes(op *huma.Operation) []string { return slices.Sorted(maps.Keys(op.RequestBody.Content)) }

// checkMediaType takes what the operation takes; no header means the same.
func checkMediaType(header string, op *huma.Operation) error {
	if header == "" {
		return nil
	}
	got, params, err := mime.ParseMediaType(header)
	charset := strings.ToLower(params["charset"])
	if _, known := op.RequestBody.Content[got]; err != nil || !known || (charset != "" && charset != "utf-8") {
		return transport{fault.New(fault.Invalid, "unsupported_media_type", "").
			Detailf("Content-Type %.60q is not taken here; send %s in UTF-8.", header, strings.Join(mediaTypes(op), " or ")),
			http.StatusUnsupportedMediaType}
	}
	return nil
}

// checkJSON finds what makes the whole text unusable: broken syntax, other
// text encodings, and NUL characters, which Postgres cannot store.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return brokenJSON(body, firstInvalidUTF8(body), "it is not UTF-8 there")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return brokenJSON(body, syntax.Offset, syntax.Error())
		}
		return brokenJSON(body, 0, err.Error())
	}
	if !bytes.Contains(body, []byte(`\u0000`)) {
		return nil
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return nil // a number out of range: the fields' own check names it
	}
	return fault.InvalidFields(findNUL(nil, "", value))
}

// brokenJSON names the place by byte offset, and by line and column, both
// counted from 1 and in characters, as an editor does.
func brokenJSON(body []byte, offset int64, why string) error {
	before := body[:min(max(offset-1, 0), int64(len(body)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fault.New(fault.Invalid, "broken_json", "").
		Detailf("The body is not JSON: line %d, column %d: %s.", line, column, why).
		With("line", line).With("column", column).With("offset", offset)
}

func firstInvalidUTF8(body []byte) int64 {
	for i := 0; i < len(body); {
		r, size := utf8.DecodeRune(body[i:])
		if r == utf8.RuneError && size == 1 {
			return int64(i + 1)
		}
		i += size
	}
	return 0
}

func findNUL(found []fault.Field, at string, value any) []fault.Field {
	switch v := value.(type) {
	case string:
		if strings.ContainsRune(v, 0) {
			found = append(found, fault.Field{Field: at, Code: "nul", Detail: "Remove the NUL character."})
		}
	case []any:
		for i, item := range v {
			found = findNUL(found, fmt.Sprintf("%s[%d]", at, i), item)
		}
	case map[string]any:
		for name, item := range v {
			place := strings.TrimPrefix(at+"."+strings.ReplaceAll(name, "\x00", ""), ".")
			if strings.ContainsRune(name, 0) {
				found = append(found, fault.Field{Field: place, Code: "nul", Detail: "Remove the NUL character from the field's name."})
			}
			found = findNUL(found, place, item)
		}
	}
	return found
}
