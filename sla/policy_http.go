package sla

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

// PolicyBody is a policy version as JSON.
type PolicyBody struct {
	Policy
	Digest       string     `json:"digest" doc:"SHA-256 of the document as it was given, in hexadecimal."`
	AddedAt      time.Time  `json:"added_at"`
	AddedBy      string     `json:"added_by,omitempty" doc:"Who added it; for staff."`
	ActivatedAt  *time.Time `json:"activated_at,omitempty" doc:"When a second person activated it; missing while nobody has, and then nothing is promised under it."`
	ActivatedBy  string     `json:"activated_by,omitempty" doc:"Who activated it; for staff."`
	ActivatedWhy string     `json:"activated_why,omitempty" doc:"Why; for staff."`
}

// policyBody leaves out who did what, unless staff reads it.
func policyBody(v PolicyVersion, staff bool) PolicyBody {
	b := PolicyBody{Policy: v.Policy, Digest: v.Digest, AddedAt: v.AddedAt, ActivatedAt: nullable(v.ActivatedAt)}
	if staff {
		b.AddedBy, b.ActivatedBy, b.ActivatedWhy = v.AddedBy, v.ActivatedBy, v.ActivatedWhy
	}
	return b
}

type policyInput struct {
	Name    string `path:"name" maxLength:"63"`
	Version int    `path:"version" minimum:"1"`
}

type addPolicyInput struct {
	Body json.RawMessage `doc:"A policy document; GET /v1/policies/schema is its JSON Schema."`
}

type activatePolicyInput struct {
	Name    string `path:"name" maxLength:"63"`
	Version int    `path:"version" minimum:"1"`
	Body    DecisionBody
}

type policyOutput struct{ Body PolicyBody }

// PoliciesBody lists policies.
type PoliciesBody struct {
	Items []PolicyBody `json:"items" nullable:"false"`
}

type policiesOutput struct{ Body PoliciesBody }

type schemaOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

type applicableInput struct {
	At        time.Time        `query:"at" doc:"When the request is accepted; now if left out."`
	Area      string           `query:"area" maxLength:"100"`
	Tier      string           `query:"tier" enum:"urban,county" default:"urban"`
	RoadClass string           `query:"road_class" enum:"urban,rural,motorway" default:"urban"`
	Problem   string           `query:"problem" maxLength:"63" doc:"As in a request."`
	Priority  int              `query:"priority" minimum:"0" maximum:"2" default:"2" doc:"0 danger to life, 1 exposed, 2 normal"`
	PartnerID events.PartnerID `query:"partner_id"`
	Product   string           `query:"product" maxLength:"63"`
	Weather   string           `query:"weather" enum:"normal,blue,yellow,orange,red,storm" doc:"Declared weather mode."`
}

type applicableOutput struct{ Body events.Promise }

func (s *Service) registerPolicies(api huma.API) {
	about := func(id, method, path, summary, text string) huma.Operation {
		op := operation(id, method, path, summary, text)
		op.Tags = []string{"Policies"}
		return op
	}
	web.Register(api, about("listPolicies", http.MethodGet, "/v1/policies",
		"List policies", "Every stored version; a version is never edited."),
		web.Only(), func(ctx context.Context, _ *struct{}) (*policiesOutput, error) {
			list, err := s.Policies(ctx)
			staff := staffReads(ctx)
			return &policiesOutput{PoliciesBody{mapped(list, func(v PolicyVersion) PolicyBody { return policyBody(v, staff) })}}, err
		})
	web.Register(api, about("readPolicySchema", http.MethodGet, "/v1/policies/schema",
		"JSON Schema of a policy", "What a policy document may say, as JSON Schema 2020-12."),
		web.Only(), func(context.Context, *struct{}) (*schemaOutput, error) {
			return &schemaOutput{"application/schema+json", PolicySchema()}, nil
		})
	web.Register(api, about("readApplicablePolicy", http.MethodGet, "/v1/policies/applicable",
		"Which policy applies", "The promise a request with those facts would be given, and the rule that gives it."),
		web.Only(promiseReaders...), s.readApplicable)
	web.Register(api, about("readPolicy", http.MethodGet, "/v1/policies/{name}/{version}",
		"One policy version", "What is promised under it and what a broken promise pays."),
		web.Only(), func(ctx context.Context, in *policyInput) (*policyOutput, error) {
			return policyAnswer(ctx)(s.Policy(ctx, in.Name, in.Version))
		})
	add := about("addPolicy", http.MethodPost, "/v1/policies",
		"Add a policy version", "It takes effect once a second person has activated it. Every wrong field is named at once. The same document again changes nothing.")
	add.DefaultStatus = http.StatusCreated
	web.Register(api, add, web.Only(policyWriters...), func(ctx context.Context, _ *addPolicyInput) (*policyOutput, error) {
		by, _ := web.ActorFrom(ctx)
		return policyAnswer(ctx)(s.AddPolicy(ctx, by, web.RawBody(ctx)))
	})
	web.Register(api, about("activatePolicy", http.MethodPost, "/v1/policies/{name}/{version}/activate",
		"Activate a policy version", "Requests from its effective_from on are promised under it. Never by whoever added it."),
		web.Only(policyWriters...), func(ctx context.Context, in *activatePolicyInput) (*policyOutput, error) {
			by, _ := web.ActorFrom(ctx)
			return policyAnswer(ctx)(s.ActivatePolicy(ctx, by, in.Name, in.Version, in.Body.Reason))
		})
}

func (s *Service) readApplicable(ctx context.Context, in *applicableInput) (*applicableOutput, error) {
	at := in.At
	if at.IsZero() {
		at = s.now()
	}
	promise, err := s.PromiseFor(ctx, at, Facts{
		Area: in.Area, Tier: in.Tier, RoadClass: in.RoadClass, Problem: in.Problem, Priority: in.Priority,
		PartnerID: in.PartnerID, Product: in.Product, Weather: in.Weather,
	})
	return &applicableOutput{promise}, err
}

func staffReads(ctx context.Context) bool {
	by, _ := web.ActorFrom(ctx)
	return by.Is(promiseReaders...)
}

func policyAnswer(ctx context.Context) func(PolicyVersion, error) (*policyOutput, error) {
	return func(v PolicyVersion, err error) (*policyOutput, error) {
		return &policyOutput{policyBody(v, staffReads(ctx))}, err
	}
}
