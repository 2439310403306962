package sla

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

type approveManyInput struct {
	Body struct {
		DecisionBody
		ImportID events.ImportID `json:"import_id,omitzero" doc:"Only what came with this import."`
		Area     string          `json:"area,omitempty" maxLength:"100" doc:"Only those of this area."`
		Policy   string          `json:"policy,omitempty" maxLength:"63" doc:"Only those under this policy."`
		From     time.Time       `json:"from,omitzero" doc:"Accrued at or after this moment."`
		To       time.Time       `json:"to,omitzero" doc:"Accrued before this moment."`
		UpToFen  Fen             `json:"up_to_fen,omitempty" minimum:"0" doc:"At most this much each, in fen; 0 is no limit."`
		Expect   *Tally          `json:"expect,omitempty" doc:"What you saw waiting: the total of GET /v1/compensations?state=accrued&total=true under the same filter. When something else waits, nothing is approved."`
		Limit    int             `json:"limit,omitempty" minimum:"1" maximum:"50000" default:"50000" doc:"How many at most in this call."`
		DryRun   bool            `json:"dry_run,omitempty" doc:"Say what would be approved, and approve nothing."`
	}
}

// LeftBody is what stays in the queue for one reason, as JSON.
type LeftBody struct {
	Reason LeftReason `json:"reason" enum:"four_eyes,preparer,review,verdict_differs,limit,held,interrupted"`
	ZH     string     `json:"zh"`
	EN     string     `json:"en"`
	Tally
}

// ApprovalsBody is what came of approving many, as JSON.
type ApprovalsBody struct {
	Waiting  Tally      `json:"waiting" doc:"Accrued and selected when it began: the approved and all that is left."`
	Approved Tally      `json:"approved" doc:"In a dry run, what would be."`
	Left     []LeftBody `json:"left" nullable:"false" doc:"What stays in the queue, by reason."`
	DryRun   bool       `json:"dry_run,omitempty"`
}

type approvalsOutput struct{ Body ApprovalsBody }

func (s *Service) registerApprovals(api huma.API) {
	web.Register(api, operation("approveCompensations", http.MethodPost, "/v1/compensations/approve",
		"Approve many compensations", "Accrued ones that the filter selects, the oldest first, each as it would be by itself, and only as it is now. What needs two approvers, what you have prepared, and what its verdict does not bear out stays in the queue and is counted. After ten seconds no more are begun, and the rest counts as left for the limit: call again to go on. When the database fails it midway, what was approved by then is told, and the rest is left as interrupted; when nothing was approved, the call fails."),
		web.Only(events.RoleFinance), s.approveCompensations)
}

func (s *Service) approveCompensations(ctx context.Context, in *approveManyInput) (*approvalsOutput, error) {
	by, _ := web.ActorFrom(ctx)
	b := in.Body
	got, err := s.ApproveMany(ctx, by, ApproveOrder{
		CompensationFilter: CompensationFilter{Area: b.Area, Policy: b.Policy, From: b.From, To: b.To, ImportID: b.ImportID, UpTo: b.UpToFen},
		Why:                b.Reason, Expect: b.Expect, Limit: b.Limit, DryRun: b.DryRun, Within: ApproveWithin,
	})
	if err != nil {
		return nil, err
	}
	out := ApprovalsBody{Waiting: got.Waiting, Approved: got.Approved, Left: []LeftBody{}, DryRun: b.DryRun}
	for _, l := range got.Left {
		out.Left = append(out.Left, LeftBody(l))
	}
	return &approvalsOutput{out}, nil
}
