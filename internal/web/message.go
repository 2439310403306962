package web

import (
	"bytes"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"rescued/internal/fault"
)

// Message reads JSON objects that do not come over HTTP, such as the events of
// other backends, as strictly as an operation reads its body and with the same
// words for what is wrong. It is safe for concurrent use.
type Message[T any] struct {
	schemas huma.Registry
	schema  *huma.Schema
}

// NewMessage makes a reader of T, a struct.
func NewMessage[T any]() *Message[T] {
	schemas := newSchemas()
	return &Message[T]{schemas, schemas.Schema(reflect.TypeFor[T](), true, "")}
}

// Read decodes data. fields are the members that are unknown or of the wrong
// type; the others are then in the result. The error is fault.Invalid, with
// code broken_json or not_an_object: there is nothing of T in data.
func (m *Message[T]) Read(data []byte) (in T, fields []fault.Field, err error) {
	if err := checkJSON(data); err != nil {
		if wrong := fieldsOf([]error{err}); fault.KindOf(err) == fault.Invalid && len(wrong) > 0 && wrong[0].Field != "" {
			return in, wrong, nil // NUL characters
		}
		return in, nil, err
	}
	if trimmed := bytes.TrimSpace(data); trimmed[0] != '{' {
		return in, nil, fault.New(fault.Invalid, "not_an_object", "The text is JSON, but no object.")
	}
	var tree any
	if err := decode(data, &tree); err != nil {
		return in, nil, err
	}
	found := &huma.ValidateResult{}
	huma.Validate(m.schemas, m.schema, huma.NewPathBuffer(make([]byte, 0, 64), 0), huma.ModeWriteToServer, tree, found)
	errs := found.Errors
	if err := decode(data, &in); err != nil && len(errs) == 0 {
		errs = append(errs, &huma.ErrorDetail{Message: err.Error()}) // a number too large for its member
	}
	return in, fieldsOf(errs), nil
}
