package sla_test

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/sla"
)

type policySchema struct {
	huma.Registry
	root *huma.Schema
}

var schemaOfPolicies = sync.OnceValue(func() policySchema {
	defs := huma.NewMapRegistry("#/$defs/", huma.DefaultSchemaNamer)
	return policySchema{defs, defs.Schema(reflect.TypeFor[sla.Policy](), true, "")}
})

func TestTheSchemaIsPublishedWhole(t *testing.T) {
	t.Parallel()
	var published struct {
		Dialect string                     `json:"$schema"`
		Ref     string                     `json:"$ref"`
		Defs    map[string]json.RawMessage `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(sla.PolicySchema(), &published))
	require.Equal(t, "https://json-schema.org/draft/2020-12/schema", published.Dialect)
	require.Equal(t, schemaOfPolicies().root.Ref, published.Ref)
	require.Len(t, published.Defs, len(schemaOfPolicies().Map()))
	require.Contains(t, published.Defs, strings.TrimPrefix(published.Ref, "#/$defs/"))
}

// schemaErrors validates a document by the schema that is published.
func schemaErrors(t require.TestingT, document []byte) []string {
	s := schemaOfPolicies()
	var value any
	require.NoError(t, json.Unmarshal(document, &value))
	res := &huma.ValidateResult{}
	huma.Validate(s.Registry, s.root, huma.NewPathBuffer([]byte{}, 0), huma.ModeWriteToServer, value, res)
	var list []string
	for _, err := range res.Errors {
		list = append(list, err.Error())
	}
	return list
}

func TestTheSchemaAcceptsWhatIsShipped(t *testing.T) {
	t.Parallel()
	for file, document := range shippedPolicies(t) {
		require.Empty(t, schemaErrors(t, document), file)
	}
}

// TestTheSchemaIsNoStricterThanTheReader damages documents: what the reader
// accepts, the schema does.
func TestTheSchemaIsNoStricterThanTheReader(t *testing.T) {
	t.Parallel()
	documents := shippedPolicies(t)
	rapid.Check(t, func(t *rapid.T) {
		var doc any
		require.NoError(t, json.Unmarshal(documents["policies/example-per-minute.json"], &doc))
		document, err := json.Marshal(damaged(t, doc))
		require.NoError(t, err)
		if _, err := sla.ParsePolicy(document); err == nil {
			require.Empty(t, schemaErrors(t, document), string(document))
		}
	})
}

// TestTheSchemaRefusesWhatItCanSee: unknown fields, wrong types and words.
func TestTheSchemaRefusesWhatItCanSee(t *testing.T) {
	t.Parallel()
	wrong, err := os.ReadFile("testdata/policy-wrong-everywhere.json")
	require.NoError(t, err)
	said := strings.Join(schemaErrors(t, wrong), "\n")
	for _, place := range []string{
		"version", "title.fr", "while_start_missing.then", "promises[1].when.weather[0]", "promises[2].when.hours[0].from",
		"pauses[0].reason", "pauses[0].opened_by[0]", "pauses[0].evidence[0].kind", "arrival.evidence[2]", "compensation.base",
		"exclusions[1].levels[0]", "exclusions[1].owes_pct", "exclusions[3].because", "caps.per_case_fen", "caps.accounts",
	} {
		require.Contains(t, said, "("+place+":", place)
	}
}
