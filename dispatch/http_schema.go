package dispatch

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"rescued/geo"
)

// The words of the API's vocabularies, for the OpenAPI document. They are said
// in the description and not as an enum: one check, Check, judges the input of
// HTTP and of Kafka alike, and names a wrong word with the same code.

// Schema implements huma.SchemaProvider.
func (Problem) Schema(huma.Registry) *huma.Schema { return vocabulary(Problems()) }

// Schema implements huma.SchemaProvider.
func (Energy) Schema(huma.Registry) *huma.Schema { return vocabulary(Energies()) }

// Schema implements huma.SchemaProvider.
func (WeightClass) Schema(huma.Registry) *huma.Schema { return vocabulary(WeightClasses()) }

// Schema implements huma.SchemaProvider.
func (Outcome) Schema(huma.Registry) *huma.Schema { return vocabulary(Outcomes()) }

// Schema implements huma.SchemaProvider.
func (ReleaseCause) Schema(huma.Registry) *huma.Schema { return vocabulary(ReleaseCauses()) }

func vocabulary[T ~string](of []T) *huma.Schema {
	known := mapped(of, func(word T) string { return string(word) })
	return &huma.Schema{Type: huma.TypeString, Description: "One of " + strings.Join(known, ", ") + ".", Examples: []any{known[0]}}
}

// describe adds the words to schemas whose types belong to other packages.
func describe(api huma.API) {
	for _, name := range []string{"NewLocation", "NewDestination", "NewPosition"} {
		schema, ok := api.OpenAPI().Components.Schemas.Map()[name]
		if !ok {
			continue
		}
		for field, said := range map[string]*huma.Schema{
			"datum":      vocabulary(geo.Datums),
			"road_class": vocabulary([]geo.RoadClass{geo.UrbanRoad, geo.RuralRoad, geo.Motorway}),
		} {
			if property, ok := schema.Properties[field]; ok && property.Description == "" {
				property.Description, property.Examples = said.Description, said.Examples
			}
		}
	}
}
