package dispatch

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

type adviceInput struct {
	Area string `query:"area" maxLength:"60" doc:"Only the crews that stand in this area."`
}

type adviceBody struct {
	Now   time.Time    `json:"now" doc:"Business time."`
	Items []MoveAdvice `json:"items" nullable:"false"`
}

func (a *API) adviceRoutes(api huma.API) {
	op := operation(http.MethodGet, "/v1/advice/moves", "adviseMoves", "Where idle crews should stand, most gain first", "crews")
	op.Description = "Moves of idle crews to where calls are to be expected that nobody would reach in time, by hour-of-week history and " +
		"the crews as they are. A handful for each area; a crew that has been under way in the last 40 minutes is left alone. " +
		"It is advice: nothing is ordered. A provider sees its own crews."
	web.Register(api, op, web.Only(events.RoleProvider, events.RoleOperator, events.RoleAdmin), a.adviseMoves)
}

func (a *API) adviseMoves(ctx context.Context, in *adviceInput) (*struct{ Body adviceBody }, error) {
	now, moves, err := a.svc.AdviseMoves(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	moves = slices.DeleteFunc(moves, func(m MoveAdvice) bool { return in.Area != "" && m.Area != in.Area })
	return &struct{ Body adviceBody }{adviceBody{now, moves}}, nil
}
