package web

import (
	"fmt"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
)

// idSchema stands for identifier T in the schemas, so that a wrong one is
// found together with all other wrong fields and is named by its path.
type idSchema[T interface {
	IsZero() bool
	MarshalText() ([]byte, error)
}] struct{}

// Schema implements huma.SchemaProvider.
func (idSchema[T]) Schema(huma.Registry) *huma.Schema {
	prefix := idPrefixes[reflect.TypeFor[T]()]
	return &huma.Schema{
		Type:               huma.TypeString,
		Pattern:            "^" + prefix + "_[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
		PatternDescription: "an identifier of the form " + prefix + "_ followed by a UUID",
		Examples:           []any{prefix + "_01920e5c-7d5f-7a3b-8c1d-2e3f4a5b6c7d"},
	}
}

var (
	idPrefixes = map[reflect.Type]string{}
	idAliases  = map[reflect.Type]reflect.Type{}
)

func init() {
	identify(events.NewID[events.RequestID]())
	identify(events.NewID[events.CrewID]())
	identify(events.NewID[events.OfferID]())
	identify(events.NewID[events.GuaranteeID]())
	identify(events.NewID[events.CompensationID]())
	identify(events.NewID[events.BatchID]())
	identify(events.NewID[events.EventID]())
	identify(events.NewID[events.OwnerID]())
	identify(events.NewID[events.ProviderID]())
	identify(events.NewID[events.PartnerID]())
	identify(events.NewID[events.TokenID]())
	identify(events.NewID[events.ReconciliationID]())
	identify(events.NewID[events.ImportID]())
	identify(events.NewID[events.RecordID]())
	identify(events.NewID[events.ConditionID]())
	identify(events.NewID[events.ExportID]())
	identify(events.NewID[events.StatementID]())
}

// identify learns the prefix of a kind of identifier from a fresh one.
func identify[T interface {
	fmt.Stringer
	IsZero() bool
	MarshalText() ([]byte, error)
}](id T) {
	prefix, _, _ := strings.Cut(id.String(), "_")
	idPrefixes[reflect.TypeFor[T]()] = prefix
	idAliases[reflect.TypeFor[T]()] = reflect.TypeFor[idSchema[T]]()
}

func registerIDs(registry huma.Registry) {
	for id, alias := range idAliases {
		registry.RegisterTypeAlias(id, alias)
	}
}

// packageWord is the last part of t's package path with a capital.
func packageWord(t reflect.Type) string {
	word := path.Base(t.PkgPath())
	if word == "." || word == "/" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
