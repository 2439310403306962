package sla

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"rescued/internal/fault"
)

// readStrictly reads a JSON document into a struct and says every field that
// is unknown, missing, repeated or of a wrong type; the rest is read all the
// same. A document that is no JSON at all is one complaint of code json.
//
// encoding/json stops at the first such field, takes names in any case and
// lets the last of two win.
func readStrictly(document []byte, into any) []fault.Field {
	r := strict{dec: json.NewDecoder(bytes.NewReader(document))}
	r.dec.UseNumber()
	tree, err := r.value("", reflect.TypeOf(into).Elem())
	if err == nil {
		if _, err = r.dec.Token(); err == nil || !errors.Is(err, io.EOF) {
			return notJSON("there is something after the end of the document; remove it")
		}
		err = nil
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return notJSON(fmt.Sprintf("is not JSON at byte %d: %s", syntax.Offset, syntax))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return notJSON("ends before the document is complete")
	case err != nil:
		return notJSON(err.Error())
	}
	if tree == nil {
		return r.wrong
	}
	clean, err := json.Marshal(tree)
	if err == nil {
		err = json.Unmarshal(clean, into)
	}
	if err != nil {
		return append(r.wrong, notJSON(err.Error())...)
	}
	return r.wrong
}

func notJSON(detail string) []fault.Field {
	return []fault.Field{{Code: "json", Detail: detail}}
}

// strict reads values and keeps what fits the type; nil is what does not.
type strict struct {
	dec   *json.Decoder
	wrong complaints
}

var unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// value reads the next value, which should be a t. A nil t is read and left.
func (r *strict) value(path string, t reflect.Type) (any, error) {
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	own := t != nil && reflect.PointerTo(t).Implements(unmarshaler) // reads itself, from a string
	switch token {
	case json.Delim('{'):
		if t != nil && (own || t.Kind() != reflect.Struct) {
			r.mistyped(path, "an object", t)
			t = nil
		}
		return r.object(path, t)
	case json.Delim('['):
		if t != nil && (own || t.Kind() != reflect.Slice) {
			r.mistyped(path, "a list", t)
			t = nil
		}
		return r.list(path, t)
	}
	switch {
	case t == nil:
		return nil, nil
	case token == nil:
		r.wrong.add(path, "type", "is null; give a value or leave it out")
		return nil, nil
	}
	fits := true
	var is string
	switch v := token.(type) {
	case string:
		is = "a string"
		if v == "" && (own || t.Kind() == reflect.String) {
			r.wrong.add(path, "required", "is empty; give a value or leave it out")
			return nil, nil
		}
		if fits = t.Kind() == reflect.String; own {
			text, _ := json.Marshal(v)
			if err := json.Unmarshal(text, reflect.New(t).Interface()); err != nil {
				r.wrong.add(path, "type", "%s", readable(err))
				return nil, nil
			}
			fits = true
		}
	case bool:
		is, fits = "true or false", t.Kind() == reflect.Bool
	case json.Number:
		is = "a number"
		fits = !own && (t.Kind() == reflect.Int || t.Kind() == reflect.Int64)
		if _, err := v.Int64(); fits && err != nil {
			is, fits = "no whole number, or too large", false
		}
	}
	if !fits {
		r.mistyped(path, is, t)
		return nil, nil
	}
	return token, nil
}

func (r *strict) object(path string, t reflect.Type) (any, error) {
	kept := map[string]any{}
	seen := map[string]bool{}
	within := func(name string) string {
		if path == "" {
			return name
		}
		return path + "." + name
	}
	for r.dec.More() {
		token, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		at := within(name)
		of := fieldNamed(t, name)
		if t != nil && of == nil {
			r.wrong.add(at, "unknown", "is not a field of a policy; correct or remove it")
		}
		if t != nil && seen[name] {
			r.wrong.add(at, "repeated", "stands there twice; remove one")
		}
		seen[name] = true
		v, err := r.value(at, of)
		if err != nil {
			return nil, err
		}
		if v != nil {
			kept[name] = v
		}
	}
	_, err := r.dec.Token()
	if t == nil {
		return nil, err
	}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		r.wrong.check(seen[name] || options != "", within(name), "required", "is missing")
	}
	return kept, err
}

func (r *strict) list(path string, t reflect.Type) (any, error) {
	kept := []any{}
	var of reflect.Type
	if t != nil {
		of = t.Elem()
	}
	for i := 0; r.dec.More(); i++ {
		v, err := r.value(fmt.Sprintf("%s[%d]", path, i), of)
		if err != nil {
			return nil, err
		}
		kept = append(kept, v)
	}
	_, err := r.dec.Token()
	if t == nil {
		return nil, err
	}
	return kept, err
}

func (r *strict) mistyped(path, is string, t reflect.Type) {
	must := "a string"
	switch {
	case reflect.PointerTo(t).Implements(unmarshaler):
	case t.Kind() == reflect.Struct:
		must = "an object"
	case t.Kind() == reflect.Slice:
		must = "a list"
	case t.Kind() == reflect.Bool:
		must = "true or false"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		must = "a whole number"
	}
	r.wrong.add(path, "type", "is %s; it must be %s", is, must)
}

// fieldNamed is the type of the field with that JSON name; nil without one.
func fieldNamed(t reflect.Type, name string) reflect.Type {
	if t == nil {
		return nil
	}
	for i := range t.NumField() {
		if tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); tag == name {
			return t.Field(i).Type
		}
	}
	return nil
}

// readable is an error of a value that reads itself, without the wrappings.
func readable(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Detail
	}
	return "is not in its form: " + strings.TrimPrefix(err.Error(), "json: ")
}
