package sla

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

type batchInput struct {
	ID events.BatchID `path:"id"`
}

type batchOutput struct {
	web.Versioned
	Body BatchBody
}

type openBatchInput struct {
	web.Idempotent
	Body struct {
		Title string `json:"title" minLength:"1" maxLength:"200" doc:"What is paid, such as 2026-02."`
	}
}

type openBatchOutput struct {
	web.Versioned
	web.Replay
	Body BatchBody
}

type listBatchesInput struct {
	web.Listing
	State string `query:"state" enum:"draft,sealed,approved,submitted,settled,discarded" doc:"Only those in this state."`
}

type listLinesInput struct {
	web.Listing
	ID    events.BatchID `path:"id"`
	State string         `query:"state" enum:"open,paid,bounced,released" doc:"Only lines in this state."`
}

type fillInput struct {
	ID   events.BatchID `path:"id"`
	Body struct {
		Area         string    `json:"area,omitempty" maxLength:"100" doc:"Only those of this area."`
		Policy       string    `json:"policy,omitempty" maxLength:"63" doc:"Only those under this policy."`
		From         time.Time `json:"from,omitzero" doc:"Accrued at or after this moment."`
		To           time.Time `json:"to,omitzero" doc:"Accrued before this moment."`
		UpToFen      Fen       `json:"up_to_fen,omitempty" minimum:"0" doc:"At most this much each, in fen; 0 is no limit."`
		FirstAttempt bool      `json:"first_attempt,omitempty" doc:"None that has bounced before."`
		Limit        int       `json:"limit,omitempty" minimum:"1" maximum:"50000" default:"50000" doc:"How many at most in this call."`
	}
}

// FilledBody says what a call added.
type FilledBody struct {
	Added int       `json:"added"`
	More  bool      `json:"more" doc:"There may be more of them: call again."`
	Batch BatchBody `json:"batch"`
}

type fillOutput struct {
	web.Versioned
	Body FilledBody
}

type lineInput struct {
	ID             events.BatchID        `path:"id"`
	CompensationID events.CompensationID `path:"compensation_id"`
}

type batchStepInput struct {
	web.Precondition
	ID events.BatchID `path:"id"`
}

type batchDecisionInput struct {
	web.Precondition
	ID   events.BatchID `path:"id"`
	Body DecisionBody
}

type submitInput struct {
	web.Precondition
	ID  events.BatchID `path:"id"`
	Via string         `query:"via" maxLength:"40" doc:"The way to pay: file or webhook, as configured; the first when missing."`
}

type resultsInput struct {
	ID   events.BatchID `path:"id"`
	Body ResultsBody
}

type resultsFileInput struct {
	ID       events.BatchID `path:"id"`
	Name     string         `query:"name" maxLength:"200" doc:"Of the file, for people."`
	Lines    int64          `query:"lines" required:"true" minimum:"1" doc:"How many lines the file has."`
	Total    string         `query:"total" required:"true" doc:"What they come to, such as 1234.00." example:"1234.00"`
	PaidN    int64          `query:"paid_lines" required:"true" minimum:"0" doc:"How many of them were paid."`
	PaidText string         `query:"paid_total" required:"true" doc:"What those come to." example:"1200.00"`
	RawBody  []byte         `contentType:"text/csv"`
}

type payoutOutput struct{ Body PayoutBody }

func batchOperation(id, method, path, summary, about string) huma.Operation {
	op := operation(id, method, path, summary, about)
	op.Tags = []string{"Batches"}
	return op
}

const resultsLimit = 8 << 20

func (s *Service) registerBatches(api huma.API) {
	money := web.Only(events.RoleFinance)
	web.Register(api, batchOperation("openBatch", http.MethodPost, "/v1/batches",
		"Open a batch", "An empty draft. Fill it, seal it, let a second person approve it, submit it."), money, s.openBatch)
	web.Register(api, batchOperation("listBatches", http.MethodGet, "/v1/batches",
		"List batches by their opening", "The oldest first."), web.Only(moneyReaders...), s.listBatches)
	web.Register(api, batchOperation("readBatch", http.MethodGet, "/v1/batches/{id}",
		"One batch", "With its sums, and who did what."), web.Only(moneyReaders...),
		func(ctx context.Context, in *batchInput) (*batchOutput, error) {
			by, _ := web.ActorFrom(ctx)
			return batchAnswer(s.Batch(ctx, by, in.ID))
		})
	web.Register(api, batchOperation("listBatchLines", http.MethodGet, "/v1/batches/{id}/lines",
		"List the payments of a batch", "In the order in which they are digested."), web.Only(moneyReaders...), s.listBatchLines)
	web.Register(api, batchOperation("fillBatch", http.MethodPost, "/v1/batches/{id}/fill",
		"Add many compensations to a draft", "Approved ones that no batch has, the oldest first. What is added stays added; while the answer says that there may be more, call again."), money, s.fillBatch)
	web.Register(api, batchOperation("addBatchLine", http.MethodPut, "/v1/batches/{id}/lines/{compensation_id}",
		"Add a compensation to a draft", "It must be approved, and in no other batch."), money,
		func(ctx context.Context, in *lineInput) (*batchOutput, error) {
			by, _ := web.ActorFrom(ctx)
			return batchAnswer(s.AddLine(ctx, by, in.ID, in.CompensationID))
		})
	web.Register(api, batchOperation("removeBatchLine", http.MethodDelete, "/v1/batches/{id}/lines/{compensation_id}",
		"Take a compensation out of a draft", "It is approved as before."), money,
		func(ctx context.Context, in *lineInput) (*batchOutput, error) {
			by, _ := web.ActorFrom(ctx)
			return batchAnswer(s.RemoveLine(ctx, by, in.ID, in.CompensationID))
		})
	for _, d := range []struct {
		name, summary, about string
		do                   func(context.Context, events.Actor, events.BatchID, int64, string) (Batch, error)
	}{
		{"approve", "Approve a sealed batch", "Neither who opened it nor who sealed it may.", s.ApproveBatch},
		{"reject", "Reject a sealed batch", "Its compensations wait for another.", s.RejectBatch},
		{"discard", "Give a draft up", "Its compensations wait for another batch.", s.DiscardBatch},
		{"resend", "Send a payout that failed again", "Under the key it had, so that nobody is paid twice.", s.Resend},
	} {
		web.Register(api, batchOperation(d.name+"Batch", http.MethodPost, "/v1/batches/{id}/"+d.name, d.summary, d.about), money,
			func(ctx context.Context, in *batchDecisionInput) (*batchOutput, error) {
				by, _ := web.ActorFrom(ctx)
				seen, err := in.Precondition.Version()
				if err != nil {
					return nil, err
				}
				return batchAnswer(d.do(ctx, by, in.ID, seen, in.Body.Reason))
			})
	}
	for _, d := range []struct {
		name, summary, about string
		do                   func(context.Context, events.Actor, events.BatchID, int64) (Batch, error)
	}{
		{"seal", "Seal a draft", "Its lines, total and digest are frozen.", s.Seal},
		{"settle", "Settle a batch", "Once every line has its result.", s.SettleBatch},
	} {
		web.Register(api, batchOperation(d.name+"Batch", http.MethodPost, "/v1/batches/{id}/"+d.name, d.summary, d.about), money,
			func(ctx context.Context, in *batchStepInput) (*batchOutput, error) {
				by, _ := web.ActorFrom(ctx)
				seen, err := in.Precondition.Version()
				if err != nil {
					return nil, err
				}
				return batchAnswer(d.do(ctx, by, in.ID, seen))
			})
	}
	web.Register(api, batchOperation("submitBatch", http.MethodPost, "/v1/batches/{id}/submit",
		"Submit an approved batch", "It is handed over shortly after; see its payout."), money, s.submitBatch)
	web.Register(api, batchOperation("readPayout", http.MethodGet, "/v1/batches/{id}/payout",
		"How a submitted batch gets on", "Whether it has reached whoever pays, and what became of the latest attempt."), web.Only(moneyReaders...),
		func(ctx context.Context, in *batchInput) (*payoutOutput, error) {
			by, _ := web.ActorFrom(ctx)
			p, err := s.PayoutOf(ctx, by, in.ID)
			return &payoutOutput{payoutBody(p)}, err
		})
	s.registerResults(api, money)
}

func (s *Service) registerResults(api huma.API, money web.Audience) {
	op := batchOperation("recordResults", http.MethodPost, "/v1/batches/{id}/results",
		"Record results of payments", "All of them or none: whatever is wrong is named line by line. The same results again change nothing.")
	op.MaxBodyBytes = resultsLimit
	web.Register(api, op, money, func(ctx context.Context, in *resultsInput) (*openBatchOutput, error) {
		results, err := in.Body.results()
		if err != nil {
			return nil, err
		}
		return s.recorded(ctx, in.ID, results)
	})
	op = batchOperation("recordResultsFile", http.MethodPost, "/v1/batches/{id}/results/file",
		"Record a file of results", "A CSV with the columns reference, outcome (paid or bounced), amount (20.00), paid_on (2026-03-02, for what was paid) and reason (for what bounced), in any order; others are passed over. Up to 20,000 lines.")
	op.MaxBodyBytes = resultsLimit
	op.SkipValidateBody = true
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}}}}
	web.Register(api, op, money, func(ctx context.Context, in *resultsFileInput) (*openBatchOutput, error) {
		results, err := in.results()
		if err != nil {
			return nil, err
		}
		return s.recorded(ctx, in.ID, results)
	})
}

func (s *Service) recorded(ctx context.Context, id events.BatchID, results Results) (*openBatchOutput, error) {
	by, _ := web.ActorFrom(ctx)
	b, hit, err := s.Record(ctx, by, id, results)
	if err != nil {
		return nil, err
	}
	return &openBatchOutput{web.Version(b.Version), web.Replayed(hit), batchBody(b)}, nil
}

func batchAnswer(b Batch, err error) (*batchOutput, error) {
	if err != nil {
		return nil, err
	}
	return &batchOutput{web.Version(b.Version), batchBody(b)}, nil
}

func (s *Service) openBatch(ctx context.Context, in *openBatchInput) (*openBatchOutput, error) {
	by, _ := web.ActorFrom(ctx)
	b, hit, err := s.OpenBatch(ctx, by, in.Body.Title, in.Key)
	if err != nil {
		return nil, err
	}
	return &openBatchOutput{web.Version(b.Version), web.Replayed(hit), batchBody(b)}, nil
}

func (s *Service) listBatches(ctx context.Context, in *listBatchesInput) (*web.List[BatchBody], error) {
	return listed(ctx, "batches", in.Listing, func(by events.Actor, after BatchPlace, limit int) ([]Batch, error) {
		return s.Batches(ctx, by, BatchState(in.State), after, limit)
	}, batchBody, func(b Batch) BatchPlace { return BatchPlace{b.CreatedAt, b.ID} })
}

func (s *Service) listBatchLines(ctx context.Context, in *listLinesInput) (*web.List[LineBody], error) {
	return listed(ctx, "batch lines", in.Listing, func(by events.Actor, after events.CompensationID, limit int) ([]BatchLine, error) {
		return s.BatchLines(ctx, by, in.ID, LineState(in.State), after, limit)
	}, lineBody, func(l BatchLine) events.CompensationID { return l.CompensationID })
}

func (s *Service) fillBatch(ctx context.Context, in *fillInput) (*fillOutput, error) {
	by, _ := web.ActorFrom(ctx)
	f := in.Body
	if err := checkPeriod(f.From, f.To); err != nil {
		return nil, err
	}
	b, added, more, err := s.FillWithin(ctx, by, in.ID, FillFilter{
		Area: f.Area, Policy: f.Policy, From: f.From, To: f.To, UpTo: f.UpToFen, FirstAttempt: f.FirstAttempt,
	}, f.Limit, patience)
	if err != nil {
		return nil, err
	}
	return &fillOutput{web.Version(b.Version), FilledBody{added, more, batchBody(b)}}, nil
}

func (s *Service) submitBatch(ctx context.Context, in *submitInput) (*batchOutput, error) {
	by, _ := web.ActorFrom(ctx)
	seen, err := in.Precondition.Version()
	if err != nil {
		return nil, err
	}
	return batchAnswer(s.Submit(ctx, by, in.ID, seen, in.Via))
}
