package events

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// schemaSet gathers JSON Schemas (draft 7) of Go types, each named struct once.
type schemaSet struct {
	defs                object
	typeDocs, fieldDocs map[string]string
}

var (
	textType = reflect.TypeFor[encoding.TextMarshaler]()
	jsonType = reflect.TypeFor[json.Marshaler]()
)

// of is the schema of a type as encoding/json writes it.
func (s *schemaSet) of(t reflect.Type) object {
	if t == reflect.TypeFor[time.Time]() {
		return object{"type": "string", "format": "date-time"}
	}
	if schema := identifier(t); schema != nil {
		return schema
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case t.Implements(jsonType):
		return object{}
	case t.Implements(textType):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		// A nil slice is written as null.
		return object{"type": []string{"array", "null"}, "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.structure(t)
	}
	return object{}
}

// identifier is the schema of an ID, with its prefix.
func identifier(t reflect.Type) object {
	if t.Kind() != reflect.Struct || !t.Implements(reflect.TypeFor[interface{ IDPrefix() string }]()) {
		return nil
	}
	prefix := reflect.Zero(t).Interface().(interface{ IDPrefix() string }).IDPrefix()
	return object{"type": "string", "pattern": "^" + prefix + "_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
}

func (s *schemaSet) structure(t reflect.Type) object {
	if t.Name() == "" {
		return s.members(t)
	}
	if _, done := s.defs[t.Name()]; !done {
		s.defs[t.Name()] = object{} // holds the place should the type contain itself
		s.defs[t.Name()] = s.members(t)
	}
	return ref("#/components/schemas/" + t.Name())
}

func (s *schemaSet) members(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" || len(f.Index) > 1 && name == "" || f.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		property := s.of(f.Type)
		if doc := s.fieldDocs[t.Name()+"."+f.Name]; doc != "" {
			property = described(property, doc)
		}
		properties[name] = property
		if !slices.ContainsFunc(strings.Split(options, ","), func(o string) bool { return o == "omitempty" || o == "omitzero" }) {
			required = append(required, name)
		}
	}
	schema := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	if doc := s.typeDocs[t.Name()]; doc != "" {
		schema["description"] = doc
	}
	return schema
}

// described adds a description; beside a $ref, draft 7 would ignore it.
func described(property object, doc string) object {
	if _, isRef := property["$ref"]; isRef {
		return object{"allOf": []any{property}, "description": doc}
	}
	property["description"] = doc
	return property
}
