package dispatch

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

// APIConfig is what the slice's HTTP side needs beside the Service.
type APIConfig struct {
	// Feed is the journal's end as this process follows it; required.
	Feed *events.FeedTail
	// Publish sends positions to their topic; required. It is
	// events.Publisher.Publish.
	Publish func(ctx context.Context, positions ...events.CrewPositioned) error
	// Verdicts tells what promises have come to; nil leaves it out.
	Verdicts Verdicts
	// Standings tells the same in one line for many; nil leaves it out.
	Standings Standings
	// PublicURL is where owners reach this service, such as
	// https://rescue.example.org; tracking links begin with it. Empty makes
	// them relative.
	PublicURL string
	// Speed is how many business seconds pass in one of the wall clock; 0 is 1.
	Speed float64
}

// API is the HTTP side of the slice: its routes, wire shapes and live streams.
type API struct {
	svc   *Service
	cfg   APIConfig
	queue *queueFeed
}

// NewAPI puts an HTTP side on a service.
func NewAPI(svc *Service, cfg APIConfig) *API {
	if cfg.Speed == 0 {
		cfg.Speed = 1
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	return &API{svc: svc, cfg: cfg, queue: newQueueFeed(svc.pool, svc.now, cfg.Standings)}
}

// Routes registers every operation of the slice.
func (a *API) Routes(api huma.API) {
	a.requestRoutes(api)
	a.jobRoutes(api)
	a.trackingRoutes(api)
	a.crewRoutes(api)
	a.offerRoutes(api)
	a.positionRoutes(api)
	a.queueRoutes(api)
	a.adviceRoutes(api)
	a.partyRoutes(api)
	a.areaRoutes(api)
	a.clockRoute(api)
	a.speedRoute(api)
	describe(api)
}

// operation is the part of an operation that is said of all.
func operation(method, path, id, summary, tag string) huma.Operation {
	return huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, Tags: []string{tag}}
}

// creating is an operation that answers 201.
func creating(path, id, summary, tag string) huma.Operation {
	op := operation(http.MethodPost, path, id, summary, tag)
	op.DefaultStatus = http.StatusCreated
	return op
}

// roles that read operations admit in whole.
var (
	staffRoles    = []events.Role{events.RoleOperator, events.RoleAdmin}
	requestRoles  = []events.Role{events.RoleOwner, events.RoleCrew, events.RoleProvider, events.RolePartner, events.RoleOperator, events.RoleFinance, events.RoleAdmin}
	crewSideRoles = []events.Role{events.RoleCrew, events.RoleProvider, events.RoleOperator, events.RoleAdmin}
)

// clockBody is the business clock.
type clockBody struct {
	Now   time.Time `json:"now" doc:"Business time; every deadline is on this clock."`
	Speed float64   `json:"speed" doc:"Business seconds in one second of the wall clock; 1 in production."`
}

func (a *API) clockRoute(api huma.API) {
	type output struct{ Body clockBody }
	op := operation(http.MethodGet, "/v1/clock", "readClock", "The business clock", "system")
	web.Register(api, op, web.Anyone(), func(context.Context, *struct{}) (*output, error) {
		return &output{clockBody{a.svc.now(), a.cfg.Speed}}, nil
	})
}

// requestPath names a request in a path.
type requestPath struct {
	ID events.RequestID `path:"id"`
}

// crewPath names a crew in a path.
type crewPath struct {
	ID events.CrewID `path:"id"`
}

// offerPath names an offer in a path.
type offerPath struct {
	ID events.OfferID `path:"id"`
}

// caller is who asks; the audience of the operation has made sure of him.
func caller(ctx context.Context) events.Actor {
	by, _ := web.ActorFrom(ctx)
	return by
}
