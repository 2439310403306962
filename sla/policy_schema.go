package sla

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// PolicySchema is the JSON Schema (2020-12) of a policy document, made from
// the types themselves. What depends on more than one field, such as tiers
// that join, only ParsePolicy can say.
func PolicySchema() []byte {
	defs := huma.NewMapRegistry("#/$defs/", huma.DefaultSchemaNamer)
	root := defs.Schema(reflect.TypeFor[Policy](), true, "")
	document, err := json.MarshalIndent(struct {
		Dialect string                  `json:"$schema"`
		ID      string                  `json:"$id"`
		Title   string                  `json:"title"`
		Ref     string                  `json:"$ref"`
		Defs    map[string]*huma.Schema `json:"$defs"`
	}{
		"https://json-schema.org/draft/2020-12/schema", "urn:rescued:policy",
		"A promise policy: what is promised and what a broken promise pays", root.Ref, defs.Map(),
	}, "", "  ")
	if err != nil {
		panic("sla: the schema of a policy cannot be written: " + err.Error())
	}
	return append(document, '\n')
}
