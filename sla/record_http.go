package sla

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// PauseBody opens a pause.
type PauseBody struct {
	Reason PauseReason `json:"reason" enum:"owner_unreachable,location_changed,owner_deciding,authority_release,road_closed,access_refused" doc:"Why the clock stands still; the request's policy says which reasons count and what must bear them out."`
	At     *time.Time  `json:"at,omitempty" doc:"When it began; now if left out. Recorded afterwards it may need a second person's approval."`
	Until  *time.Time  `json:"until,omitempty" doc:"When it ended; left out while it lasts."`
	Note   string      `json:"note,omitempty" maxLength:"500" doc:"For people; kept, and not told to other systems."`
}

// FactBody records a fact.
type FactBody struct {
	Kind   FactKind     `json:"kind" enum:"evidence,located,scheduled,handed_over,mislocated,no_coverage,priced" doc:"evidence: source says of what kind. located: the place was confirmed. scheduled: help was agreed for until. handed_over: a motorway's own service brought the car to where we may help. mislocated: the car stood metres away from where the owner had said. no_coverage: nobody can come. priced: the rescue costs fen."`
	Source EvidenceKind `json:"source,omitempty" enum:"call_unanswered,owner_confirmed,photo,document,official_notice,crew_position,shown_to_owner" doc:"Of evidence: its kind. Each attempt to reach the owner is one call_unanswered."`
	At     *time.Time   `json:"at,omitempty" doc:"When it was so; now if left out."`
	Until  *time.Time   `json:"until,omitempty" doc:"Of scheduled: the agreed time."`
	About  string       `json:"about,omitempty" doc:"Of evidence: the pause (fct_…) or condition (cnd_…) it bears out; left out it is for whatever needs it."`
	Metres int64        `json:"metres,omitempty" minimum:"0" doc:"Of mislocated."`
	Fen    Fen          `json:"fen,omitempty" minimum:"0" doc:"Of priced, in fen."`
	Note   string       `json:"note,omitempty" maxLength:"500" doc:"For people; kept, and not told to other systems."`
}

// RecordingBody is what was recorded, as JSON.
type RecordingBody struct {
	ID         events.RecordID  `json:"id"`
	RequestID  events.RequestID `json:"request_id"`
	Kind       FactKind         `json:"kind"`
	Source     string           `json:"source,omitempty" doc:"Of a pause its reason, of evidence its kind."`
	At         time.Time        `json:"at"`
	Until      *time.Time       `json:"until,omitempty"`
	RefersTo   events.RecordID  `json:"refers_to,omitzero" doc:"The recording it ends, bears out, approves or withdraws."`
	Metres     int64            `json:"metres,omitempty"`
	Fen        Fen              `json:"fen,omitempty"`
	Note       string           `json:"note,omitempty" doc:"For staff."`
	By         string           `json:"by" doc:"Who, as role:subject; the role alone for those who are not staff."`
	RecordedAt time.Time        `json:"recorded_at"`
	Counts     bool             `json:"counts" doc:"It was not withdrawn; of a pause: the clock stood still for it, as things are now."`
	Against    *Words           `json:"against,omitempty" doc:"Why it does not count."`
}

// recordingBody leaves out what concerns staff alone, unless staff reads it.
func recordingBody(r Recorded, staff bool) RecordingBody {
	b := RecordingBody{
		ID: r.ID, RequestID: r.RequestID, Kind: r.Fact.Kind, Source: r.Fact.Source, At: r.Fact.At, Until: nullable(r.Fact.Until),
		Metres: r.Fact.Metres, Fen: r.Fact.Fen, Note: r.Note, By: r.By, RecordedAt: r.RecordedAt, Counts: r.Counts,
	}
	if r.Fact.Ref != r.ID.UUID() && r.Fact.Ref != uuid.Nil {
		b.RefersTo = events.IDFromUUID[events.RecordID](r.Fact.Ref)
	}
	if r.Against != (Words{}) {
		b.Against = &r.Against
	}
	if !staff {
		b.Note = ""
		b.By, _, _ = strings.Cut(r.By, ":")
	}
	return b
}

// RecordedBody is what was recorded and how the promise stands with it.
type RecordedBody struct {
	Recording RecordingBody `json:"recording"`
	Guarantee StandingBody  `json:"guarantee" doc:"Its version, in the ETag, goes into If-Match."`
}

type recordedOutput struct {
	web.Replay
	web.Versioned
	Body RecordedBody
}

type pauseInput struct {
	web.Idempotent
	ID   events.RequestID `path:"id"`
	Body PauseBody
}

type factInput struct {
	web.Idempotent
	ID   events.RequestID `path:"id"`
	Body FactBody
}

type closeInput struct {
	web.Precondition
	ID    events.RequestID `path:"id"`
	Pause events.RecordID  `path:"recording"`
	Body  struct {
		At   *time.Time `json:"at,omitempty" doc:"When it ended; now if left out."`
		Note string     `json:"note,omitempty" maxLength:"500"`
	}
}

type decideRecordingInput struct {
	web.Precondition
	ID        events.RequestID `path:"id"`
	Recording events.RecordID  `path:"recording"`
	Body      DecisionBody
}

type recordingsOutput struct {
	web.Versioned
	Body struct {
		Items []RecordingBody `json:"items" nullable:"false"`
	}
}

func (s *Service) registerRecordings(api huma.API) {
	op := func(id, method, path, summary, about string) huma.Operation {
		o := operation(id, method, path, summary, about)
		o.Tags = []string{"Facts"}
		return o
	}
	web.Register(api, op("openPause", http.MethodPost, "/v1/requests/{id}/pauses", "Let the promise clock stand still",
		"For a reason the request's policy knows, from now on or as it was. It closes by itself at the longest the policy allows, and counts only with the evidence the policy asks for."),
		web.Only(), func(ctx context.Context, in *pauseInput) (*recordedOutput, error) {
			b := in.Body
			return s.record(ctx, in.ID, NewRecording{Kind: FactPaused, Source: string(b.Reason), At: utc(b.At), Until: utc(b.Until), Note: b.Note, Key: in.Key})
		})
	web.Register(api, op("recordFact", http.MethodPost, "/v1/requests/{id}/facts", "Record a fact of a request",
		"What bears on its promise and no crew reports: an attempt to reach the owner, a confirmed place, an agreed time, a price. The clock is reckoned anew at once."),
		web.Only(), func(ctx context.Context, in *factInput) (*recordedOutput, error) {
			b := in.Body
			about, err := aboutWhat(b.About)
			if err != nil {
				return nil, err
			}
			return s.record(ctx, in.ID, NewRecording{
				Kind: b.Kind, Source: string(b.Source), At: utc(b.At), Until: utc(b.Until), About: about, Metres: b.Metres, Fen: b.Fen, Note: b.Note, Key: in.Key,
			})
		})
	web.Register(api, op("closePause", http.MethodPost, "/v1/requests/{id}/recordings/{recording}/close", "Let the promise clock run on", "Ends a pause."),
		web.Only(), func(ctx context.Context, in *closeInput) (*recordedOutput, error) {
			return s.recordedAbout(ctx, in.ID, in.Precondition, func(by events.Actor, seen int64) (Recording, error) {
				return s.ClosePause(ctx, by, in.ID, in.Pause, seen, utc(in.Body.At), in.Body.Note)
			})
		})
	web.Register(api, op("approveRecording", http.MethodPost, "/v1/requests/{id}/recordings/{recording}/approve", "Approve a pause recorded afterwards",
		"By a second person, never by whoever recorded it; until then it does not count where the policy asks for approval."),
		web.Only(promiseReaders...), func(ctx context.Context, in *decideRecordingInput) (*recordedOutput, error) {
			return s.recordedAbout(ctx, in.ID, in.Precondition, func(by events.Actor, seen int64) (Recording, error) {
				return s.ApproveRecording(ctx, by, in.ID, in.Recording, seen, in.Body.Reason)
			})
		})
	web.Register(api, op("withdrawRecording", http.MethodPost, "/v1/requests/{id}/recordings/{recording}/withdraw", "Withdraw what was recorded by mistake",
		"It never counted: a piece of evidence by itself, anything else with the evidence about it. Nothing is erased."),
		web.Only(), func(ctx context.Context, in *decideRecordingInput) (*recordedOutput, error) {
			return s.recordedAbout(ctx, in.ID, in.Precondition, func(by events.Actor, seen int64) (Recording, error) {
				return s.WithdrawRecording(ctx, by, in.ID, in.Recording, seen, in.Body.Reason)
			})
		})
	web.Register(api, op("listRecordings", http.MethodGet, "/v1/requests/{id}/recordings", "What was recorded of a request",
		"Pauses, evidence and the rest, oldest first, and of each pause whether it counts and why not."),
		web.Only(), s.listRecordings)
}

// aboutWhat reads what evidence is about.
func aboutWhat(text string) (uuid.UUID, error) {
	if text == "" {
		return uuid.Nil, nil
	}
	if id, err := events.ParseID[events.ConditionID](text); err == nil {
		return id.UUID(), nil
	}
	id, err := events.ParseID[events.RecordID](text)
	if err != nil {
		return uuid.Nil, fault.InvalidFields([]fault.Field{{Field: "about", Code: "id", Detail: "must be a pause (fct_…) or a condition (cnd_…)"}})
	}
	return id.UUID(), nil
}

func (s *Service) record(ctx context.Context, id events.RequestID, in NewRecording) (*recordedOutput, error) {
	by, _ := web.ActorFrom(ctx)
	rec, err := s.RecordFact(ctx, by, id, in)
	if err != nil {
		return nil, err
	}
	return s.recordedAnswer(ctx, by, rec)
}

func (s *Service) recordedAbout(ctx context.Context, id events.RequestID, seen web.Precondition, do func(by events.Actor, seen int64) (Recording, error)) (*recordedOutput, error) {
	by, _ := web.ActorFrom(ctx)
	version, err := seen.Version()
	if err != nil {
		return nil, err
	}
	rec, err := do(by, version)
	if err != nil {
		return nil, err
	}
	return s.recordedAnswer(ctx, by, rec)
}

func (s *Service) recordedAnswer(ctx context.Context, by events.Actor, rec Recording) (*recordedOutput, error) {
	st, err := s.standing(ctx, rec.RequestID)
	if err != nil {
		return nil, err
	}
	all, err := s.Recordings(ctx, by, rec.RequestID)
	if err != nil {
		return nil, err
	}
	staff := by.Is(promiseReaders...)
	out := &recordedOutput{web.Replayed(rec.Replayed), web.Version(st.Guarantee.Version), RecordedBody{Guarantee: standingBody(st, staff).forReader(by)}}
	for _, r := range all {
		if r.ID == rec.ID {
			out.Body.Recording = recordingBody(r, staff)
		}
	}
	return out, nil
}

func (s *Service) listRecordings(ctx context.Context, in *requestInput) (*recordingsOutput, error) {
	by, _ := web.ActorFrom(ctx)
	list, err := s.Recordings(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	st, err := s.standing(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &recordingsOutput{Versioned: web.Version(st.Guarantee.Version)}
	out.Body.Items = mapped(list, func(r Recorded) RecordingBody { return recordingBody(r, by.Is(promiseReaders...)) })
	return out, nil
}
