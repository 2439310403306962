package dispatch

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"rescued/internal/fault"
	"rescued/internal/web"
)

// An operation's input is looked at twice: the decoding finds members that are
// unknown or of the wrong type, the slice's own check wrong values. A caller
// hears of both at once: the resolvers of the inputs add the second to the
// first.

// alsoWrong is what a check has found of the body of an operation, beside what
// its decoding complains of.
func alsoWrong(ctx huma.Context, err error) []error {
	fields := wrongBeside(web.RawBody(ctx.Context()), err)
	if len(fields) == 0 {
		return nil
	}
	return []error{fault.InvalidFields(fields)}
}

// checked is the error of a check.
func checked[T any](check func() (T, error)) error {
	_, err := check()
	return err
}

// wrongBeside is what a check has found beside what the decoding of raw
// complains of: a value of the wrong type is not called missing as well.
func wrongBeside(raw []byte, err error) []fault.Field {
	var f *fault.Error
	if !errors.As(err, &f) {
		return nil
	}
	var sent any
	_ = json.Unmarshal(raw, &sent) // a number out of range leaves the rest
	var fields []fault.Field
	for _, field := range f.Fields {
		if field.Code != "required" || !mistyped(sent, field.Field) {
			fields = append(fields, field)
		}
	}
	return fields
}

// mistyped reports whether a field that reads as missing was sent after all,
// as something that is neither null nor empty, or lies inside such a thing.
func mistyped(sent any, path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		members, ok := sent.(map[string]any)
		if !ok {
			return sent != nil
		}
		sent = members[name]
	}
	switch v := sent.(type) {
	case nil:
		return false
	case string: // right for text, and then it is blank; wrong for a number
		return strings.TrimSpace(v) != ""
	case []any: // right for a list, and then it is empty
		return len(v) > 0
	}
	return true
}
