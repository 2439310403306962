package dispatch

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// reasonBody says why; people read it later.
type reasonBody struct {
	Reason string `json:"reason" doc:"Why, in words."`
}

type reasonInput struct {
	ID      events.RequestID `path:"id"`
	IfMatch string           `header:"If-Match" doc:"The ETag you saw; leave it out to act on any version."`
	Body    reasonBody
}

// Resolve implements huma.Resolver.
func (in *reasonBody) Resolve(ctx huma.Context) []error { return wrongReason(ctx, in.Reason) }

func wrongReason(ctx huma.Context, reason string) []error {
	_, err := checkReason(reason)
	return alsoWrong(ctx, err)
}

// version is the version the caller saw, 0 when he does not say.
func (in reasonInput) version() (int64, error) {
	if in.IfMatch == "" {
		return 0, nil
	}
	return web.IfMatch(in.IfMatch)
}

type releaseInput struct {
	ID      events.RequestID `path:"id"`
	IfMatch string           `header:"If-Match" doc:"The ETag you saw; leave it out to act on any version."`
	Body    struct {
		Cause  ReleaseCause `json:"cause,omitempty" doc:"What the crew is taken off for, by which lost time is put down; the desk alone says it. Left out, what the crew's side gives back is theirs, and what the desk takes away the platform's."`
		Reason string       `json:"reason" doc:"Why, in words."`
	}
}

// Resolve implements huma.Resolver.
func (in *releaseInput) Resolve(ctx huma.Context) []error {
	_, err := checkRelease(in.Body.Reason, in.Body.Cause)
	return alsoWrong(ctx, err)
}

type reassignInput struct {
	ID events.RequestID `path:"id"`
	web.Precondition
	Body struct {
		CrewID events.CrewID `json:"crew_id,omitzero" doc:"Who is to be asked; left out, matching decides."`
		Cause  ReleaseCause  `json:"cause,omitempty" doc:"What the crew that has it is taken off for; left out, it is the desk's choice."`
		Reason string        `json:"reason" doc:"Why, in words."`
	}
}

// Resolve implements huma.Resolver.
func (in *reassignInput) Resolve(ctx huma.Context) []error {
	_, err := checkRelease(in.Body.Reason, in.Body.Cause)
	return alsoWrong(ctx, err)
}

type arriveInput struct {
	ID   events.RequestID `path:"id"`
	Body struct {
		ArrivedAt time.Time `json:"arrived_at" doc:"When the crew was there, by its device's clock."`
	}
}

type confirmInput struct {
	ID   events.RequestID `path:"id"`
	Body *confirmBody
}

// confirmBody confirms that help is there: empty from the owner, with the
// owner's code from the crew.
type confirmBody struct {
	Code      string    `json:"code,omitempty" doc:"The owner's four digits; required of a crew."`
	ArrivedAt time.Time `json:"arrived_at,omitzero" doc:"When the crew was there; now when left out."`
}

type decideInput struct {
	ID   events.RequestID `path:"id"`
	Body struct {
		Accept    bool      `json:"accept" doc:"Whether the crew is taken to have arrived."`
		ArrivedAt time.Time `json:"arrived_at,omitzero" doc:"When; the crew's own word when left out."`
		Reason    string    `json:"reason" doc:"What the decision rests on."`
	}
}

// Resolve implements huma.Resolver.
func (in *decideInput) Resolve(ctx huma.Context) []error { return wrongReason(ctx, in.Body.Reason) }

type finishInput struct {
	ID   events.RequestID `path:"id"`
	Body struct {
		Outcome Outcome `json:"outcome" doc:"fixed, towed, gone_on_arrival or unsuccessful."`
	}
}

// jobRoutes are the commands on a request.
func (a *API) jobRoutes(api huma.API) {
	const tag = "requests"
	command := func(name, id, summary string) huma.Operation {
		return operation(http.MethodPost, "/v1/requests/{id}/"+name, id, summary, tag)
	}
	web.Register(api, command("cancel", "cancelRequest", "Call a request off"),
		web.Only(events.RoleOwner, events.RolePartner, events.RoleOperator, events.RoleAdmin), a.reasoned(a.svc.Cancel))
	web.Register(api, command("release", "releaseRequest", "Take the crew off; the request is open again"),
		web.Only(crewSideRoles...), a.release)
	web.Register(api, command("reassign", "reassignRequest", "Give a request to another crew; needs If-Match"),
		web.Only(staffRoles...), a.reassign)
	web.Register(api, command("depart", "departForRequest", "The crew has set out"),
		web.Only(crewSideRoles...), func(ctx context.Context, in *requestPath) (*requestOutput, error) {
			r, err := a.svc.Depart(ctx, caller(ctx), in.ID)
			return a.answer(ctx, r, err)
		})
	web.Register(api, command("arrive", "claimArrival", "The crew says it has arrived; evidence decides"),
		web.Only(events.RoleCrew, events.RoleProvider), func(ctx context.Context, in *arriveInput) (*requestOutput, error) {
			if in.Body.ArrivedAt.IsZero() { // said, and not left out: that would mean now
				return nil, badArrival("is the year 1; say when the crew was there")
			}
			r, err := a.svc.ClaimArrival(ctx, caller(ctx), in.ID, in.Body.ArrivedAt)
			return a.answer(ctx, r, err)
		})
	web.Register(api, command("confirm-arrival", "confirmArrival", "The owner confirms, or the crew gives the owner's code"),
		web.Only(events.RoleOwner, events.RolePartner, events.RoleCrew), func(ctx context.Context, in *confirmInput) (*requestOutput, error) {
			var said confirmBody
			if in.Body != nil {
				said = *in.Body
			}
			r, err := a.confirm(ctx, caller(ctx), in.ID, said)
			return a.answer(ctx, r, err)
		})
	web.Register(api, command("decide-arrival", "decideArrival", "An operator decides on an arrival that nothing bears out"),
		web.Only(staffRoles...), func(ctx context.Context, in *decideInput) (*requestOutput, error) {
			r, err := a.svc.DecideArrival(ctx, caller(ctx), in.ID, in.Body.Accept, in.Body.ArrivedAt, in.Body.Reason)
			return a.answer(ctx, r, err)
		})
	web.Register(api, command("finish", "finishRequest", "The job is over; the crew is free"),
		web.Only(crewSideRoles...), func(ctx context.Context, in *finishInput) (*requestOutput, error) {
			r, err := a.svc.Finish(ctx, caller(ctx), in.ID, in.Body.Outcome)
			return a.answer(ctx, r, err)
		})
}

// reasoned makes an operation of a command that wants a reason.
func (a *API) reasoned(command func(context.Context, events.Actor, events.RequestID, string, int64) (Request, error)) func(context.Context, *reasonInput) (*requestOutput, error) {
	return func(ctx context.Context, in *reasonInput) (*requestOutput, error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		r, err := command(ctx, caller(ctx), in.ID, in.Body.Reason, version)
		return a.answer(ctx, r, err)
	}
}

func (a *API) release(ctx context.Context, in *releaseInput) (*requestOutput, error) {
	version, err := (reasonInput{IfMatch: in.IfMatch}).version()
	if err != nil {
		return nil, err
	}
	r, err := a.svc.ReleaseFor(ctx, caller(ctx), in.ID, in.Body.Cause, in.Body.Reason, version)
	return a.answer(ctx, r, err)
}

func (a *API) reassign(ctx context.Context, in *reassignInput) (*requestOutput, error) {
	version, err := in.Version()
	if err != nil {
		return nil, err
	}
	r, err := a.svc.ReassignFor(ctx, caller(ctx), in.ID, in.Body.CrewID, in.Body.Cause, in.Body.Reason, version)
	return a.answer(ctx, r, err)
}

// confirm takes the owner's word, or the code as proof that the crew has it.
func (a *API) confirm(ctx context.Context, by events.Actor, id events.RequestID, in confirmBody) (Request, error) {
	switch {
	case in.Code != "":
		return a.svc.ConfirmByCode(ctx, by, id, in.Code, in.ArrivedAt)
	case by.Is(events.RoleCrew):
		return Request{}, fault.InvalidFields([]fault.Field{{Field: "code", Code: "required",
			Detail: "is missing; ask the owner for the four digits"}})
	}
	return a.svc.ConfirmArrival(ctx, by, id, in.ArrivedAt)
}
