package dispatch

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"rescued/internal/web"
)

func (a *API) speedRoute(api huma.API) {
	type output struct{ Body SpeedReport }
	op := operation(http.MethodGet, "/v1/speeds", "readSpeeds", "What the travel model has learned from finished jobs, and how far off it was", "system")
	web.Register(api, op, web.Only(staffRoles...), func(ctx context.Context, _ *struct{}) (*output, error) {
		report, err := a.svc.Speeds(ctx, caller(ctx))
		if err != nil {
			return nil, err
		}
		return &output{report}, nil
	})
}
