package sla

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

// ConditionBody declares a condition.
type ConditionBody struct {
	Condition Condition      `json:"condition" enum:"weather_alert,closure,remote_area,storm_mode" doc:"storm_mode bears only on requests opened after it was announced, whose owners are promised in its light."`
	Level     string         `json:"level,omitempty" enum:"blue,yellow,orange,red" doc:"Of a weather alert."`
	Areas     []string       `json:"areas,omitempty" maxItems:"1000" doc:"Where it holds, by identifiers of areas; everywhere if left out."`
	From      *time.Time     `json:"from,omitempty" doc:"From when on; now if left out. An alert or closure may be declared afterwards, storm mode may not."`
	Until     *time.Time     `json:"until,omitempty" doc:"Until when; left out while it lasts."`
	Evidence  []EvidenceKind `json:"evidence,omitempty" enum:"call_unanswered,owner_confirmed,photo,document,official_notice,crew_position,shown_to_owner" doc:"What bears it out, such as official_notice."`
	Note      string         `json:"note" minLength:"1" maxLength:"500" doc:"What it rests on, such as the notice and who issued it."`
}

// RedeclareBody says anew what a condition is; where and from when it holds
// stays.
type RedeclareBody struct {
	Level    string         `json:"level,omitempty" enum:"blue,yellow,orange,red" doc:"Of a weather alert."`
	Until    *time.Time     `json:"until,omitempty" doc:"Until when; left out while it lasts."`
	Evidence []EvidenceKind `json:"evidence,omitempty" enum:"call_unanswered,owner_confirmed,photo,document,official_notice,crew_position,shown_to_owner"`
	Note     string         `json:"note" minLength:"1" maxLength:"500" doc:"Why."`
}

// DeclaredBody is a condition as it was last said, as JSON.
type DeclaredBody struct {
	ID         events.ConditionID `json:"id"`
	Revision   int                `json:"revision" doc:"Goes into If-Match."`
	Condition  Condition          `json:"condition"`
	Level      string             `json:"level,omitempty"`
	Areas      []string           `json:"areas" nullable:"false" doc:"Empty: everywhere."`
	From       time.Time          `json:"from"`
	Until      *time.Time         `json:"until,omitempty"`
	Evidence   []EvidenceKind     `json:"evidence" nullable:"false"`
	Note       string             `json:"note"`
	By         string             `json:"by" doc:"Who, as role:subject; the role alone for those who are not staff."`
	DeclaredAt time.Time          `json:"declared_at"`
}

func declaredBody(c DeclaredCondition) DeclaredBody {
	return DeclaredBody{
		ID: c.ID, Revision: c.Revision, Condition: c.Condition, Level: c.Level, Areas: c.Areas, From: c.From, Until: nullable(c.Until),
		Evidence: c.Evidence, Note: c.Note, By: c.By, DeclaredAt: c.DeclaredAt,
	}
}

type declareInput struct {
	web.Idempotent
	Body ConditionBody
}

type redeclareInput struct {
	web.Precondition
	ID   events.ConditionID `path:"id"`
	Body RedeclareBody
}

type endConditionInput struct {
	web.Precondition
	ID   events.ConditionID `path:"id"`
	Body struct {
		At   *time.Time `json:"at,omitempty" doc:"When it ends; now if left out."`
		Note string     `json:"note" minLength:"1" maxLength:"500" doc:"Why."`
	}
}

type listConditionsInput struct {
	At    time.Time `query:"at" doc:"Only those that hold at that moment or later; now unless all is given."`
	All   bool      `query:"all" doc:"Those that are over as well."`
	Limit int       `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

type declaredOutput struct {
	web.Replay
	web.Versioned
	Body DeclaredBody
}

type conditionsOutput struct {
	Body struct {
		Items []DeclaredBody `json:"items" nullable:"false"`
	}
}

func declaredAnswer(c DeclaredCondition, err error) (*declaredOutput, error) {
	if err != nil {
		return nil, err
	}
	return &declaredOutput{web.Replayed(c.Replayed), web.Version(int64(c.Revision)), declaredBody(c)}, nil
}

func (s *Service) registerConditions(api huma.API) {
	op := func(id, method, path, summary, about string) huma.Operation {
		o := operation(id, method, path, summary, about)
		o.Tags = []string{"Conditions"}
		return o
	}
	staff := []events.Role{events.RoleOperator, events.RoleAdmin}
	web.Register(api, op("declareCondition", http.MethodPost, "/v1/conditions", "Declare a condition",
		"A weather alert, a closure, a remote area or storm mode, for a region and a time. It becomes a fact of every request there and then, and what they owe is reckoned anew."),
		web.Only(staff...), func(ctx context.Context, in *declareInput) (*declaredOutput, error) {
			by, _ := web.ActorFrom(ctx)
			b := in.Body
			return declaredAnswer(s.Declare(ctx, by, NewCondition{
				Condition: b.Condition, Level: b.Level, Areas: b.Areas, From: utc(b.From), Until: utc(b.Until), Evidence: b.Evidence, Note: b.Note, Key: in.Key,
			}))
		})
	web.Register(api, op("redeclareCondition", http.MethodPost, "/v1/conditions/{id}/change", "Say a condition anew",
		"Until when it holds, its level and its evidence; what was said before stays on record."),
		web.Only(staff...), func(ctx context.Context, in *redeclareInput) (*declaredOutput, error) {
			by, _ := web.ActorFrom(ctx)
			seen, err := in.Precondition.Version()
			if err != nil {
				return nil, err
			}
			b := in.Body
			return declaredAnswer(s.Redeclare(ctx, by, in.ID, seen, NewCondition{Level: b.Level, Until: utc(b.Until), Evidence: b.Evidence, Note: b.Note}))
		})
	web.Register(api, op("endCondition", http.MethodPost, "/v1/conditions/{id}/end", "End a condition", "At a moment, or now."),
		web.Only(staff...), func(ctx context.Context, in *endConditionInput) (*declaredOutput, error) {
			by, _ := web.ActorFrom(ctx)
			seen, err := in.Precondition.Version()
			if err != nil {
				return nil, err
			}
			return declaredAnswer(s.EndCondition(ctx, by, in.ID, seen, utc(in.Body.At), in.Body.Note))
		})
	web.Register(api, op("listConditions", http.MethodGet, "/v1/conditions", "List conditions",
		"Those that hold now or later, each as it was last said; those that begin last come first."),
		web.Only(), func(ctx context.Context, in *listConditionsInput) (*conditionsOutput, error) {
			at := s.now()
			if !in.At.IsZero() {
				at = in.At.UTC()
			}
			if in.All {
				at = time.Time{}
			}
			list, err := s.Conditions(ctx, at, in.Limit)
			if err != nil {
				return nil, err
			}
			out := &conditionsOutput{}
			out.Body.Items = mapped(list, declaredBody)
			if by, _ := web.ActorFrom(ctx); !by.Is(promiseReaders...) {
				for i := range out.Body.Items {
					out.Body.Items[i].By, _, _ = strings.Cut(out.Body.Items[i].By, ":")
				}
			}
			return out, nil
		})
}
