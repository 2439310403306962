package sla

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// ReconciliationBody is a statement as JSON.
type ReconciliationBody struct {
	ID         events.ReconciliationID `json:"id"`
	Source     string                  `json:"source" doc:"Whose statement it is."`
	Name       string                  `json:"name,omitempty"`
	Day        string                  `json:"day" example:"2026-03-02"`
	Digest     string                  `json:"digest" doc:"SHA-256 of its lines, hexadecimal."`
	Total      Tally                   `json:"total"`
	Figures    *DayFigures             `json:"figures,omitempty" doc:"How it compares with our books now."`
	ImportedBy string                  `json:"imported_by"`
	ImportedAt time.Time               `json:"imported_at"`
}

func reconciliationBody(r Reconciliation) ReconciliationBody {
	return ReconciliationBody{
		ID: r.ID, Source: r.Source, Name: r.Name, Day: dateText(r.Day), Digest: r.Digest, Total: r.Total,
		ImportedBy: r.ImportedBy, ImportedAt: r.ImportedAt,
	}
}

// DayBody is a business day as JSON.
type DayBody struct {
	Day       string     `json:"day" example:"2026-03-02"`
	State     DayState   `json:"state" enum:"open,signed,closed"`
	Version   int64      `json:"version" doc:"Goes into If-Match."`
	Figures   DayFigures `json:"figures" doc:"The four lists in sum, as they are now; of a closed day, as it was closed."`
	OursFen   Fen        `json:"ours_fen"`
	TheirsFen Fen        `json:"theirs_fen"`
	Differs   bool       `json:"differs" doc:"Something is left over, even if the sums agree."`
	SignedBy  string     `json:"signed_by,omitempty"`
	SignedWhy string     `json:"signed_why,omitempty"`
	SignedAt  *time.Time `json:"signed_at,omitempty"`
	ClosedBy  string     `json:"closed_by,omitempty"`
	ClosedWhy string     `json:"closed_why,omitempty"`
	ClosedAt  *time.Time `json:"closed_at,omitempty"`
}

func dayBody(d Day) DayBody {
	return DayBody{
		Day: dateText(d.Day), State: d.State, Version: d.Version, Figures: d.Figures,
		OursFen: d.Figures.Ours(), TheirsFen: d.Figures.Theirs(), Differs: d.Figures.Differs(),
		SignedBy: d.SignedBy, SignedWhy: d.SignedWhy, SignedAt: nullable(d.SignedAt),
		ClosedBy: d.ClosedBy, ClosedWhy: d.ClosedWhy, ClosedAt: nullable(d.ClosedAt),
	}
}

// ComparedBody is one line of the four lists as JSON.
type ComparedBody struct {
	List           MatchList             `json:"list" enum:"matched,ours_only,theirs_only,amounts_differ"`
	Reference      string                `json:"reference"`
	OursFen        Fen                   `json:"ours_fen,omitempty"`
	TheirsFen      Fen                   `json:"theirs_fen,omitempty"`
	BatchID        events.BatchID        `json:"batch_id,omitzero"`
	CompensationID events.CompensationID `json:"compensation_id,omitzero"`
	Source         string                `json:"source,omitempty" doc:"Whose statement has it."`
	Why            string                `json:"why,omitempty" doc:"What stands in the way: unknown (no payment of ours), no_result (sent, no result recorded), bounced, another_day."`
	OtherDay       string                `json:"other_day,omitempty" doc:"The day on which the other side has it."`
}

func comparedBody(l ComparedLine) ComparedBody {
	return ComparedBody{
		List: l.List, Reference: l.Reference, OursFen: l.OursFen, TheirsFen: l.TheirsFen, BatchID: l.BatchID,
		CompensationID: l.CompensationID, Source: l.Source, Why: l.Why, OtherDay: dateText(l.OtherDay),
	}
}

type reconcileInput struct {
	Source  string `query:"source" required:"true" minLength:"1" maxLength:"200" doc:"Whose statement it is."`
	Name    string `query:"name" maxLength:"200" doc:"Of the file, for people."`
	Day     string `query:"day" required:"true" format:"date" doc:"The business day it is of." example:"2026-03-02"`
	Lines   int64  `query:"lines" required:"true" minimum:"1" doc:"How many lines the file has."`
	Total   string `query:"total" required:"true" doc:"What they come to." example:"1234.00"`
	RawBody []byte `contentType:"text/csv"`
}

type reconciliationOutput struct {
	web.Replay
	Body ReconciliationBody
}

type listReconciliationsInput struct {
	web.Listing
	Day string `query:"day" format:"date" doc:"Only those of this business day."`
}

type reconciliationInput struct {
	ID events.ReconciliationID `path:"id"`
}

type reconciliationLinesInput struct {
	web.Listing
	ID   events.ReconciliationID `path:"id"`
	List string                  `query:"list" enum:"matched,ours_only,theirs_only,amounts_differ" doc:"Only this of the four lists."`
}

type dayInput struct {
	Day string `path:"day" format:"date" example:"2026-03-02"`
}

type dayLinesInput struct {
	web.Listing
	Day  string `path:"day" format:"date" example:"2026-03-02"`
	List string `query:"list" enum:"matched,ours_only,theirs_only,amounts_differ" doc:"Only this of the four lists."`
}

type dayStepInput struct {
	web.Precondition
	Day  string `path:"day" format:"date" example:"2026-03-02"`
	Body DecisionBody
}

type dayOutput struct {
	web.Versioned
	Body DayBody
}

func (s *Service) registerDays(api huma.API) {
	money, readers := web.Only(events.RoleFinance), web.Only(moneyReaders...)
	tagged := func(tag, id, method, path, summary, about string) huma.Operation {
		op := operation(id, method, path, summary, about)
		op.Tags = []string{tag}
		return op
	}
	const recs, days = "Reconciliations", "Days"
	op := tagged(recs, "reconcile", http.MethodPost, "/v1/reconciliations",
		"Take in a bank's or payment house's statement", "A CSV of the payments made for us on one business day, with the columns reference and amount (20.00) and, if you like, paid_on (2026-03-02), in any order; others are passed over. Up to 100,000 lines; more come in parts. It posts nothing. All of it or none: whatever is wrong is named line by line. The same statement again changes nothing.")
	op.MaxBodyBytes = resultsLimit
	op.SkipValidateBody = true
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}}}}
	web.Register(api, op, money, s.reconcile)
	web.Register(api, tagged(recs, "listReconciliations", http.MethodGet, "/v1/reconciliations",
		"List statements by when they were taken in", "The oldest first."), readers, s.listReconciliations)
	web.Register(api, tagged(recs, "readReconciliation", http.MethodGet, "/v1/reconciliations/{id}",
		"One statement", "And how it compares with our books now."), readers,
		func(ctx context.Context, in *reconciliationInput) (*reconciliationOutput, error) {
			by, _ := web.ActorFrom(ctx)
			r, f, err := s.Reconciliation(ctx, by, in.ID)
			body := reconciliationBody(r)
			body.Figures = &f
			return &reconciliationOutput{Body: body}, err
		})
	web.Register(api, tagged(recs, "listReconciliationLines", http.MethodGet, "/v1/reconciliations/{id}/lines",
		"The four lists of a statement", "Beside our payments of its day; ours_only leaves out what another statement has."), readers,
		func(ctx context.Context, in *reconciliationLinesInput) (*web.List[ComparedBody], error) {
			by, _ := web.ActorFrom(ctx)
			r, _, err := s.Reconciliation(ctx, by, in.ID)
			if err != nil {
				return nil, err
			}
			return s.comparedPage(ctx, r.Day, r.ID, in.List, in.Listing)
		})
	web.Register(api, tagged(days, "listDays", http.MethodGet, "/v1/days",
		"List business days", "Those on which something was paid, told, signed or closed, the latest first."), readers, s.listDays)
	web.Register(api, tagged(days, "readDay", http.MethodGet, "/v1/days/{day}",
		"One business day", "Its state, and the four lists in sum."), readers,
		func(ctx context.Context, in *dayInput) (*dayOutput, error) {
			by, _ := web.ActorFrom(ctx)
			day, err := date("day", in.Day)
			if err != nil {
				return nil, err
			}
			return dayAnswer(s.DayAt(ctx, by, day))
		})
	web.Register(api, tagged(days, "listDayLines", http.MethodGet, "/v1/days/{day}/lines",
		"The four lists of a day", "matched, ours_only, theirs_only and amounts_differ, in the order of references."), readers,
		func(ctx context.Context, in *dayLinesInput) (*web.List[ComparedBody], error) {
			day, err := date("day", in.Day)
			if err != nil {
				return nil, err
			}
			return s.comparedPage(ctx, day, events.ReconciliationID{}, in.List, in.Listing)
		})
	for _, d := range []struct {
		name, summary, about string
		do                   func(context.Context, events.Actor, time.Time, int64, string) (Day, error)
	}{
		{"sign", "Sign for what differs on a day", "As it is now; another person may then close the day.", s.SignDay},
		{"close", "Close a business day", "At no difference, or with a difference somebody else has signed for. Days close in their order; what is told of a closed day later is booked on the next open one.", s.CloseDay},
	} {
		web.Register(api, tagged(days, d.name+"Day", http.MethodPost, "/v1/days/{day}/"+d.name, d.summary, d.about), money,
			func(ctx context.Context, in *dayStepInput) (*dayOutput, error) {
				by, _ := web.ActorFrom(ctx)
				seen, err := in.Precondition.Version()
				if err != nil {
					return nil, err
				}
				day, err := date("day", in.Day)
				if err != nil {
					return nil, err
				}
				return dayAnswer(d.do(ctx, by, day, seen, in.Body.Reason))
			})
	}
}

func dayAnswer(d Day, err error) (*dayOutput, error) {
	if err != nil {
		return nil, err
	}
	return &dayOutput{web.Version(d.Version), dayBody(d)}, nil
}

// date reads a business date; empty text is the zero time.
func date(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 2000 || day.Year() > 9000 {
		return time.Time{}, fault.InvalidFields([]fault.Field{{Field: field, Code: "date", Detail: "must be a date such as 2026-03-02"}})
	}
	return day, nil
}

func (s *Service) comparedPage(ctx context.Context, day time.Time, of events.ReconciliationID, list string, at web.Listing) (*web.List[ComparedBody], error) {
	return listed(ctx, "compared", at, func(by events.Actor, after string, limit int) ([]ComparedLine, error) {
		return s.Compared(ctx, by, day, of, MatchList(list), after, limit)
	}, comparedBody, func(l ComparedLine) string { return l.Reference })
}

func (s *Service) listReconciliations(ctx context.Context, in *listReconciliationsInput) (*web.List[ReconciliationBody], error) {
	day, err := date("day", in.Day)
	if err != nil {
		return nil, err
	}
	return listed(ctx, "reconciliations", in.Listing, func(by events.Actor, after ReconciliationPlace, limit int) ([]Reconciliation, error) {
		return s.Reconciliations(ctx, by, day, after, limit)
	}, reconciliationBody, func(r Reconciliation) ReconciliationPlace { return ReconciliationPlace{r.ImportedAt, r.ID} })
}

func (s *Service) listDays(ctx context.Context, in *web.Listing) (*web.List[DayBody], error) {
	return listed(ctx, "days", *in, func(by events.Actor, before string, limit int) ([]Day, error) {
		from, err := date("cursor", before)
		if err != nil {
			return nil, err
		}
		return s.Days(ctx, by, from, limit)
	}, dayBody, func(d Day) string { return dateText(d.Day) })
}

func (s *Service) reconcile(ctx context.Context, in *reconcileInput) (*reconciliationOutput, error) {
	by, _ := web.ActorFrom(ctx)
	statement, err := in.statement()
	if err != nil {
		return nil, err
	}
	r, hit, err := s.Reconcile(ctx, by, statement)
	if err != nil {
		return nil, err
	}
	return &reconciliationOutput{web.Replayed(hit), reconciliationBody(r)}, nil
}

// statement reads the file of a statement.
func (in *reconcileInput) statement() (Told, error) {
	var wrong complaintList
	day, err := date("day", in.Day)
	if err != nil {
		return Told{}, err
	}
	total, err := ParseFen(in.Total)
	if err != nil {
		wrong.field("total", "amount", "must be an amount such as 1234.00, not %.40q", in.Total)
	}
	out := Told{Source: in.Source, Name: in.Name, Day: day, Total: Tally{in.Lines, total}}
	file, err := newForeignFile(in.RawBody, "reference", "amount")
	if err != nil {
		return out, err
	}
	err = file.payments(MostTold, &wrong, func(reference string, fen Fen, paidOn time.Time) {
		out.Lines = append(out.Lines, ToldLine{Reference: reference, Fen: fen, PaidOn: paidOn})
	})
	return out, err
}
