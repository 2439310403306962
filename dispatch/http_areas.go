package dispatch

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/web"
)

type areasBody struct {
	Sets       []AreaSet  `json:"sets" nullable:"false" doc:"The imported files that make up the cover; none for the built-in one."`
	Items      []AreaView `json:"items" nullable:"false"`
	NextCursor string     `json:"next_cursor,omitempty"`
}

type importAreasInput struct {
	Name string   `query:"name" maxLength:"120" doc:"What the set is called, such as the file's name."`
	Mode AreaMode `query:"mode" enum:"replace,add" default:"replace" doc:"Whether it becomes the cover or extends it."`
	// A CSV of centres or GeoJSON polygons, as it stands.
	RawBody []byte `contentType:"text/csv"`
}

func (a *API) areaRoutes(api huma.API) {
	const tag = "areas"
	web.Register(api, operation(http.MethodGet, "/v1/areas", "listAreas", "Covered places", tag), web.Anyone(), a.areas)
	op := creating("/v1/areas", "importAreas", "Import covered places: a CSV of centres or GeoJSON polygons", tag)
	op.MaxBodyBytes = areaFileLimit
	op.SkipValidateBody = true // not JSON with a schema: geo reads it
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"text/csv":             {Schema: &huma.Schema{Type: huma.TypeString}},
		"application/geo+json": {Schema: &huma.Schema{Type: huma.TypeObject}},
	}}
	web.Register(api, op, web.Only(events.RoleAdmin), a.importAreas)
}

func (a *API) areas(ctx context.Context, in *web.Listing) (*struct{ Body areasBody }, error) {
	sets, err := a.svc.CurrentAreas(ctx)
	if err != nil {
		return nil, err
	}
	if sets == nil {
		sets = []AreaSet{}
	}
	var skip int
	if _, err := web.DecodeCursor("areas", in.Cursor, &skip); err != nil {
		return nil, err
	}
	all := a.svc.Areas().All()
	found := all[min(max(skip, 0), len(all)):]
	found, next := page("areas", found, in.Limit, func(geo.Area) int { return skip + in.Limit })
	return &struct{ Body areasBody }{areasBody{sets, mapped(found, viewArea), next}}, nil
}

func (a *API) importAreas(ctx context.Context, in *importAreasInput) (*struct{ Body AreaSet }, error) {
	set, err := a.svc.ImportAreas(ctx, caller(ctx), AreaFile{Name: in.Name, Mode: in.Mode, File: in.RawBody})
	if err != nil {
		return nil, err
	}
	return &struct{ Body AreaSet }{set}, nil
}
