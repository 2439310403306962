package dispatch

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

// openInput is the body of POST /v1/requests.
type openInput struct {
	web.Idempotent
	Body NewRequest
}

// Resolve implements huma.Resolver.
func (in *openInput) Resolve(ctx huma.Context) []error { return alsoWrong(ctx, checked(in.Body.Check)) }

// requestOutput is one request with its version.
type requestOutput struct {
	web.Versioned
	Body RequestView
}

type openOutput struct {
	web.Replay
	web.Versioned
	Location string `header:"Location"`
	Body     RequestView
}

func (a *API) requestRoutes(api huma.API) {
	const tag = "requests"
	web.Register(api, creating("/v1/requests", "openRequest", "Ask for help; the answer carries the promise", tag), web.Anyone(), a.open)
	web.Register(api, operation(http.MethodGet, "/v1/requests", "listRequests", "Requests the caller may see, newest first", tag),
		web.Only(requestRoles...), a.list)
	web.Register(api, operation(http.MethodGet, "/v1/requests/{id}", "readRequest", "One request: promise, countdown, crew, arrival", tag),
		web.Only(requestRoles...), func(ctx context.Context, in *requestPath) (*requestOutput, error) {
			r, err := a.svc.Request(ctx, caller(ctx), in.ID)
			return a.answer(ctx, r, err)
		})
	web.Register(api, operation(http.MethodGet, "/v1/requests/{id}/timeline", "readTimeline", "What happened to a request, in order", tag),
		web.Only(requestRoles...), a.timeline)
	web.Register(api, operation(http.MethodGet, "/v1/requests/{id}/considered", "readConsidered", "Which crews were weighed, and why not", tag),
		web.Only(events.RoleOperator, events.RoleAdmin), a.considered)
	web.RegisterStream(api, operation(http.MethodGet, "/v1/requests/{id}/stream", "followRequest", "One request, live", tag),
		web.Only(requestRoles...), func(ctx context.Context, in *requestPath) (func(*web.Stream) error, error) {
			return a.followRequest(ctx, caller(ctx), in.ID)
		})
}

func (a *API) open(ctx context.Context, in *openInput) (*openOutput, error) {
	by, known := web.ActorFrom(ctx)
	if !known {
		by = a.svc.anonymousOwner(in.Key)
	}
	in.Body.Key = in.Key
	r, err := a.svc.Open(ctx, by, in.Body)
	if err != nil {
		return nil, err
	}
	view, err := a.view(ctx, by, r)
	if err != nil {
		return nil, err
	}
	return &openOutput{web.Replayed(r.Replayed), web.Version(r.Version), "/v1/requests/" + r.ID.String(), view}, nil
}

// OpenAnonymously opens a request for somebody who has no token, as the form
// on the first page does. His tracking link is Service.Link of the answer.
func (a *API) OpenAnonymously(ctx context.Context, in NewRequest) (Request, error) {
	return a.svc.Open(ctx, a.svc.anonymousOwner(in.Key), in)
}

type listInput struct {
	web.Listing
	State []string      `query:"state" enum:"open,stranded,offered,assigned,en_route,on_scene,done,cancelled" doc:"One or several, separated by commas."`
	Area  string        `query:"area" maxLength:"60"`
	Crew  events.CrewID `query:"crew" doc:"The crew that has the request, or had it last."`
	Plate string        `query:"plate" maxLength:"40"`
}

func (a *API) list(ctx context.Context, in *listInput) (*web.List[RequestView], error) {
	f := RequestFilter{Area: in.Area, Crew: in.Crew, Plate: normalPlate(in.Plate), Limit: in.Limit + 1}
	for _, s := range in.State {
		f.States = append(f.States, RequestState(s))
	}
	if _, err := web.DecodeCursor("requests", in.Cursor, &f.Before); err != nil {
		return nil, err
	}
	by := caller(ctx)
	found, err := a.svc.Requests(ctx, by, f)
	if err != nil {
		return nil, err
	}
	found, next := page("requests", found, in.Limit, func(r Request) events.RequestID { return r.ID })
	views, err := a.views(ctx, by, found)
	if err != nil {
		return nil, err
	}
	return web.Listed(ctx, views, next), nil
}

// answer writes the outcome of a command or reading.
func (a *API) answer(ctx context.Context, r Request, err error) (*requestOutput, error) {
	if err != nil {
		return nil, err
	}
	view, err := a.view(ctx, caller(ctx), r)
	if err != nil {
		return nil, err
	}
	return &requestOutput{web.Version(r.Version), view}, nil
}

// TimelineEntry is one thing that happened to a request.
type TimelineEntry struct {
	ID      events.EventID  `json:"id"`
	Type    string          `json:"type" doc:"CloudEvents type."`
	At      time.Time       `json:"at" doc:"Business time."`
	By      events.Role     `json:"by" doc:"The role that did it."`
	Who     string          `json:"who,omitempty" doc:"Whose hand; shown to staff only."`
	Version int64           `json:"version"`
	Data    json.RawMessage `json:"data"`
}

type timelineBody struct {
	Items []TimelineEntry `json:"items" nullable:"false"`
}

func (a *API) timeline(ctx context.Context, in *requestPath) (*struct{ Body timelineBody }, error) {
	entries, err := a.Timeline(ctx, caller(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &struct{ Body timelineBody }{timelineBody{entries}}, nil
}

// tellMoney are the events that tell what an owner is owed or paid. A crew does
// not see them: whoever drives to a car is not to weigh what lateness pays, and
// it is charged to no technician.
var tellMoney = []string{
	events.GuaranteeSettled{}.EventType(), events.CompensationAccrued{}.EventType(), events.CompensationChanged{}.EventType(),
	events.ChargebackChanged{}.EventType(),
}

// Timeline is what happened to a request, in order, as by may see it.
func (a *API) Timeline(ctx context.Context, by events.Actor, id events.RequestID) ([]TimelineEntry, error) {
	envs, err := a.svc.History(ctx, by, id)
	if err != nil {
		return nil, err
	}
	entries := make([]TimelineEntry, 0, len(envs))
	for _, env := range envs {
		if by.Is(events.RoleCrew) && slices.Contains(tellMoney, env.Type) {
			continue
		}
		entry := TimelineEntry{ID: env.ID, Type: env.Type, At: env.At, By: env.Actor.Role, Version: env.Version, Data: env.Data}
		if by.Is(staffRoles...) || by.Is(events.RoleFinance) {
			entry.Who = env.Actor.Subject
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

type consideredBody struct {
	Items []Round `json:"items" nullable:"false"`
}

func (a *API) considered(ctx context.Context, in *requestPath) (*struct{ Body consideredBody }, error) {
	rounds, err := a.svc.Considered(ctx, caller(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	if rounds == nil {
		rounds = []Round{}
	}
	return &struct{ Body consideredBody }{consideredBody{rounds}}, nil
}
