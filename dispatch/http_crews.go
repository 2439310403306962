package dispatch

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

type crewOutput struct {
	web.Versioned
	Body CrewView
}

type newCrewInput struct {
	web.Idempotent
	Body NewCrew
}

// Resolve implements huma.Resolver. A provider need not name itself.
func (in *newCrewInput) Resolve(ctx huma.Context) []error {
	crew := in.Body
	if by := caller(ctx.Context()); by.Is(events.RoleProvider) {
		crew.Provider, _ = events.ParseID[events.ProviderID](by.Subject) // what is wrong with it is not the input
	}
	return alsoWrong(ctx, checked(crew.Check))
}

type newCrewOutput struct {
	web.Replay
	web.Versioned
	Location string `header:"Location"`
	Body     CrewView
}

type changeCrewInput struct {
	ID      events.CrewID `path:"id"`
	IfMatch string        `header:"If-Match" doc:"The ETag you saw; leave it out to change any version."`
	Body    CrewChange
}

// Resolve implements huma.Resolver.
func (in *changeCrewInput) Resolve(ctx huma.Context) []error {
	return alsoWrong(ctx, in.Body.apply(&Crew{}))
}

type listCrewsInput struct {
	web.Listing
	State    []string          `query:"state" enum:"off_duty,available,held,engaged,finishing" doc:"One or several, separated by commas."`
	Provider events.ProviderID `query:"provider"`
}

func (a *API) crewRoutes(api huma.API) {
	const tag = "crews"
	web.Register(api, creating("/v1/crews", "registerCrew", "Register a crew; it starts off duty", tag),
		web.Only(events.RoleProvider, events.RoleOperator, events.RoleAdmin), a.registerCrew)
	web.Register(api, operation(http.MethodGet, "/v1/crews", "listCrews", "Crews the caller may see", tag),
		web.Only(events.RoleProvider, events.RoleOperator, events.RoleAdmin), a.listCrews)
	web.Register(api, operation(http.MethodGet, "/v1/crews/{id}", "readCrew", "One crew", tag),
		web.Only(crewSideRoles...), func(ctx context.Context, in *crewPath) (*crewOutput, error) {
			c, err := a.svc.Crew(ctx, caller(ctx), in.ID)
			return a.answerCrew(c, err)
		})
	web.Register(api, operation(http.MethodPatch, "/v1/crews/{id}", "changeCrew", "Change what a crew is or can do", tag),
		web.Only(crewSideRoles...), a.changeCrew)
	web.Register(api, operation(http.MethodPost, "/v1/crews/{id}/start-shift", "startShift", "Come on duty", tag),
		web.Only(crewSideRoles...), func(ctx context.Context, in *crewPath) (*crewOutput, error) {
			c, err := a.svc.StartShift(ctx, caller(ctx), in.ID)
			return a.answerCrew(c, err)
		})
	web.Register(api, operation(http.MethodPost, "/v1/crews/{id}/end-shift", "endShift", "Go off duty, after the job in hand", tag),
		web.Only(crewSideRoles...), func(ctx context.Context, in *crewPath) (*crewOutput, error) {
			c, err := a.svc.EndShift(ctx, caller(ctx), in.ID)
			return a.answerCrew(c, err)
		})
}

func (a *API) answerCrew(c Crew, err error) (*crewOutput, error) {
	if err != nil {
		return nil, err
	}
	return &crewOutput{web.Version(c.Version), a.viewCrew(c)}, nil
}

func (a *API) registerCrew(ctx context.Context, in *newCrewInput) (*newCrewOutput, error) {
	in.Body.Key = in.Key
	c, err := a.svc.RegisterCrew(ctx, caller(ctx), in.Body)
	if err != nil {
		return nil, err
	}
	return &newCrewOutput{web.Replayed(c.Replayed), web.Version(c.Version), "/v1/crews/" + c.ID.String(), a.viewCrew(c)}, nil
}

func (a *API) changeCrew(ctx context.Context, in *changeCrewInput) (*crewOutput, error) {
	version := int64(0)
	if in.IfMatch != "" {
		var err error
		if version, err = web.IfMatch(in.IfMatch); err != nil {
			return nil, err
		}
	}
	c, err := a.svc.UpdateCrew(ctx, caller(ctx), in.ID, in.Body, version)
	return a.answerCrew(c, err)
}

func (a *API) listCrews(ctx context.Context, in *listCrewsInput) (*web.List[CrewView], error) {
	f := CrewFilter{Provider: in.Provider, Limit: in.Limit + 1}
	for _, s := range in.State {
		f.States = append(f.States, CrewState(s))
	}
	if _, err := web.DecodeCursor("crews", in.Cursor, &f.After); err != nil {
		return nil, err
	}
	found, err := a.svc.Crews(ctx, caller(ctx), f)
	if err != nil {
		return nil, err
	}
	found, next := page("crews", found, in.Limit, func(c Crew) events.CrewID { return c.ID })
	return web.Listed(ctx, mapped(found, a.viewCrew), next), nil
}
