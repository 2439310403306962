package dispatch

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/web"
)

type positionsInput struct {
	Body struct {
		Positions []NewPosition `json:"positions" minItems:"1" maxItems:"1000" nullable:"false"`
	}
}

type positionsOutput struct {
	Body struct {
		Accepted int               `json:"accepted"`
		Rejected []RefusedPosition `json:"rejected" nullable:"false"`
	}
}

func (a *API) positionRoutes(api huma.API) {
	op := operation(http.MethodPost, "/v1/positions", "reportPositions", "Where crews are; up to 1000 fixes at once", "crews")
	op.Description = "Each fix is taken or refused by itself, and the answer names those refused; when none can be taken the answer is a problem. " +
		"503 means that nothing is kept: send the batch again after Retry-After."
	web.Register(api, op, web.Only(crewSideRoles...), a.positions)
}

func (a *API) positions(ctx context.Context, in *positionsInput) (*positionsOutput, error) {
	by := caller(ctx)
	own, mine, err := a.ownCrews(ctx, by, in.Body.Positions)
	if err != nil {
		return nil, err
	}
	got := sortPositions(in.Body.Positions, own, mine, a.svc.now())
	if err := got.problem(); err != nil {
		return nil, err
	}
	// First the topic, then the local index: a batch that is refused as a
	// whole must leave no trace, for the device sends it again.
	if err := a.cfg.Publish(ctx, got.taken...); err != nil {
		return nil, err
	}
	for _, p := range got.taken {
		a.svc.Sight(p.CrewID, Fix{At: p.FixedAt, Point: geo.Point(p.Location), Accuracy: p.AccuracyM})
	}
	out := &positionsOutput{}
	out.Body.Accepted, out.Body.Rejected = len(got.taken), got.refused
	if out.Body.Rejected == nil {
		out.Body.Rejected = []RefusedPosition{}
	}
	return out, nil
}

// ownCrews says whose fixes a caller may bring: a crew its own, a provider
// those of its crews, staff those of any crew there is.
func (a *API) ownCrews(ctx context.Context, by events.Actor, in []NewPosition) (own events.CrewID, mine func(events.CrewID) bool, err error) {
	if by.Is(events.RoleCrew) {
		own, err = events.ParseID[events.CrewID](by.Subject)
		return own, func(id events.CrewID) bool { return id == own }, err
	}
	of, err := listProviderOf(ctx, a.svc.pool, mapped(in, func(p NewPosition) events.CrewID { return p.CrewID }))
	return own, func(id events.CrewID) bool {
		provider, known := of[id]
		return known && (!by.Is(events.RoleProvider) || provider.String() == by.Subject)
	}, err
}
