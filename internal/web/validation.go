package web

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"rescued/internal/fault"
)

func init() {
	huma.ValidateStrictCasing = true
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		r, w := humachi.Unwrap(ctx)
		p := problemOf(r.Context(), r.URL.Path, languageOf(r.Header.Get("Accept-Language")), humaError(status, message, errs))
		for name, values := range p.headers {
			w.Header()[name] = values
		}
		w.Header().Set("Cache-Control", "no-store")
		return p
	}
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		f := fault.New(fault.Internal, "internal", message)
		if status < http.StatusInternalServerError {
			f = fault.New(fault.Invalid, "invalid", message)
		}
		return &ProblemBody{Type: "/problems/" + f.Code, Title: title("en", f), Status: status, Code: f.Code, Detail: message, Fields: fieldsOf(errs)}
	}
}

// humaError gives huma's own refusals our words. A handler's error arrives
// as the single error of a 500 and stays what it is.
func humaError(status int, message string, errs []error) error {
	switch {
	case status >= http.StatusInternalServerError:
		if len(errs) == 0 {
			errs = []error{errors.New(message)}
		}
		return errors.Join(errs...)
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		if fields := fieldsOf(errs); len(fields) > 0 {
			return fault.InvalidFields(fields)
		}
		return fault.New(fault.Invalid, "invalid", sentence(message))
	default:
		return transport{fault.New(fault.Invalid, strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_"), sentence(message)), status}
	}
}

// fieldsOf translates huma's details, and faults returned by resolvers, into
// fields in a stable order, so that the same mistake always reads the same. One
// that two checks have found is named once.
func fieldsOf(errs []error) []fault.Field {
	var fields []fault.Field
	for _, err := range errs {
		var f *fault.Error
		var d huma.ErrorDetailer
		switch {
		case err == nil:
		case errors.As(err, &f) && len(f.Fields) > 0:
			fields = append(fields, f.Fields...)
		case errors.As(err, &f):
			fields = append(fields, fault.Field{Code: f.Code, Detail: f.Detail})
		case errors.As(err, &d):
			fields = append(fields, fieldOf(d.ErrorDetail()))
		default:
			fields = append(fields, fault.Field{Code: "invalid", Detail: sentence(err.Error())})
		}
	}
	slices.SortStableFunc(fields, func(a, b fault.Field) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(a.Code, b.Code))
	})
	return slices.CompactFunc(fields, func(a, b fault.Field) bool { return a.Field == b.Field && a.Code == b.Code })
}

// fieldOf translates one detail: where (location.lat, limit, If-Match), a
// stable code, and what to do.
func fieldOf(d *huma.ErrorDetail) fault.Field {
	place := d.Location
	for _, part := range []string{"body", "query", "path", "header", "cookie"} {
		if place == part {
			place = ""
		} else if rest, ok := strings.CutPrefix(place, part+"."); ok {
			place = rest
			break
		}
	}
	message := d.Message
	if rest, ok := strings.CutPrefix(message, "at "); ok && place == "" {
		if at, why, ok := strings.Cut(rest, ": "); ok {
			return fault.Field{Field: at, Code: "range", Detail: sentence(why)}
		}
	}
	if name, ok := strings.CutPrefix(message, "expected required property "); ok {
		name = strings.TrimSuffix(name, " to be present")
		return fault.Field{Field: strings.TrimPrefix(place+"."+name, "."), Code: "required", Detail: "It is missing; give it."}
	}
	if strings.HasPrefix(message, "required ") && strings.HasSuffix(message, " parameter is missing") {
		detail := "It is missing; give it."
		if place == "Idempotency-Key" {
			detail = "It is missing; send a fresh random value such as a UUID, and the same again when you repeat the request."
		}
		return fault.Field{Field: place, Code: "required", Detail: detail}
	}
	if m := unparsable.FindString(message); m != "" {
		return fault.Field{Field: place, Code: "format", Detail: sentence(message[len(m):])}
	}
	switch message {
	case "unexpected property":
		return fault.Field{Field: place, Code: "unknown", Detail: "No such field; remove it or correct its name."}
	case "unknown query parameter":
		return fault.Field{Field: place, Code: "unknown", Detail: "No such parameter; remove it or correct its name."}
	}
	if n, ok := d.Value.(outsize); ok && (strings.HasPrefix(message, "expected number") || strings.HasPrefix(message, "expected integer")) {
		return fault.Field{Field: place, Code: "range", Detail: "The number " + string(n) + " is beyond all measure; give another."}
	}
	for _, m := range messageCodes {
		if strings.HasPrefix(message, m.prefix) {
			if m.code == "type" {
				message += ", not " + jsonType(d.Value)
			}
			return fault.Field{Field: place, Code: m.code, Detail: sentence(message)}
		}
	}
	return fault.Field{Field: place, Code: "invalid", Detail: sentence(message)}
}

// unparsable begins the message of a parameter whose type could not read it,
// followed by the kind and code of our own types' errors.
var unparsable = regexp.MustCompile(`^invalid value: ([a-z_]+/[a-z_]+: )?`)

// messageCodes gives huma's messages stable codes, by how they begin; the
// first that fits counts.
var messageCodes = []struct{ prefix, code string }{
	{"expected number to be a multiple", "multiple"},
	{"expected number >", "range"},
	{"expected number <", "range"},
	{"expected length", "length"},
	{"expected array length", "length"},
	{"expected array items to be unique", "unique"},
	{"expected object with", "length"},
	{"expected value to be one of", "enum"},
	{"expected value to match", "shape"},
	{"expected value to not match", "shape"},
	{"expected string to", "format"},
	{"expected duration", "format"},
	{"expected property", "required"},
	{"expected boolean", "type"},
	{"expected number", "type"},
	{"expected integer", "type"},
	{"expected string", "type"},
	{"expected array", "type"},
	{"expected object", "type"},
	{"invalid integer", "type"},
	{"invalid float", "type"},
	{"invalid boolean", "type"},
	{"invalid date/time", "format"},
}

func jsonType(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	default:
		return "that number"
	}
}

// sentence writes a message with a capital and a full stop.
func sentence(message string) string {
	if message == "" {
		return ""
	}
	return strings.ToUpper(message[:1]) + strings.TrimSuffix(message[1:], ".") + "."
}
