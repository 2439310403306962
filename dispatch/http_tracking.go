package dispatch

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

// linkPath carries a tracking link's token: whoever holds it acts as the
// owner of that one request, without signing in.
type linkPath struct {
	Token string `path:"token" maxLength:"64" doc:"The last part of tracking_url."`
}

type cancelTrackedInput struct {
	Token string `path:"token" maxLength:"64"`
	Body  reasonBody
}

// trackingRoutes let an owner without a token follow his request, call it
// off and confirm that help is there.
func (a *API) trackingRoutes(api huma.API) {
	const tag = "tracking"
	const path = "/v1/tracking/{token}"
	web.Register(api, operation(http.MethodGet, path, "readTracked", "The request behind a tracking link", tag),
		web.Anyone(), func(ctx context.Context, in *linkPath) (*requestOutput, error) {
			return a.tracked(ctx, in.Token, a.svc.Request)
		})
	web.Register(api, operation(http.MethodGet, path+"/timeline", "readTrackedTimeline", "What happened to the request behind a tracking link", tag),
		web.Anyone(), func(ctx context.Context, in *linkPath) (*struct{ Body timelineBody }, error) {
			by, id, err := a.svc.ByLink(ctx, in.Token)
			if err != nil {
				return nil, err
			}
			entries, err := a.Timeline(ctx, by, id)
			if err != nil {
				return nil, err
			}
			return &struct{ Body timelineBody }{timelineBody{entries}}, nil
		})
	web.RegisterStream(api, operation(http.MethodGet, path+"/stream", "followTracked", "The request behind a tracking link, live", tag),
		web.Anyone(), func(ctx context.Context, in *linkPath) (func(*web.Stream) error, error) {
			by, id, err := a.svc.ByLink(ctx, in.Token)
			if err != nil {
				return nil, err
			}
			return a.followRequest(ctx, by, id)
		})
	web.Register(api, operation(http.MethodPost, path+"/cancel", "cancelTracked", "Call off the request behind a tracking link", tag),
		web.Anyone(), func(ctx context.Context, in *cancelTrackedInput) (*requestOutput, error) {
			return a.tracked(ctx, in.Token, func(ctx context.Context, by events.Actor, id events.RequestID) (Request, error) {
				return a.svc.Cancel(ctx, by, id, in.Body.Reason, 0)
			})
		})
	web.Register(api, operation(http.MethodPost, path+"/confirm-arrival", "confirmTracked", "Confirm that help is there", tag),
		web.Anyone(), func(ctx context.Context, in *linkPath) (*requestOutput, error) {
			return a.tracked(ctx, in.Token, a.confirmNow)
		})
}

// confirmNow is the owner's word at this moment.
func (a *API) confirmNow(ctx context.Context, by events.Actor, id events.RequestID) (Request, error) {
	return a.confirm(ctx, by, id, confirmBody{})
}

// tracked does something as the owner a tracking link speaks for.
func (a *API) tracked(ctx context.Context, token string, do func(context.Context, events.Actor, events.RequestID) (Request, error)) (*requestOutput, error) {
	by, id, err := a.svc.ByLink(ctx, token)
	if err != nil {
		return nil, err
	}
	r, err := do(ctx, by, id)
	return a.answer(web.WithActor(ctx, by), r, err)
}
