package pages

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/web"
)

// step is one line of what happened, in the reader's language.
type step struct {
	At    time.Time `json:"at"`
	Text  string    `json:"text"`
	Clock string    `json:"-"`
}

type ownerPage struct {
	common
	Base, API             string // addresses of this page and of its request, without a slash
	Promise, Left, State  string
	Crew, Expected, Due   string
	Car, Code, Owed       string
	Reasons               []string
	Story                 []step
	MayConfirm, MayCancel bool
	Ended                 bool                 // nothing is counted down any more
	Request               dispatch.RequestView // for the script
}

// holder reads the tracking link: whose it is and for which request.
func (p *pages) holder(r *http.Request) (events.Actor, events.RequestID, error) {
	return p.Service.ByLink(r.Context(), chi.URLParam(r, "token"))
}

// owner shows a request to the holder of its tracking link.
func (p *pages) owner(w http.ResponseWriter, r *http.Request) {
	t := language(w, r)
	by, id, err := p.holder(r)
	if err != nil {
		p.fail(w, r, t, err)
		return
	}
	view, err := p.API.Read(r.Context(), by, id)
	if err != nil {
		p.fail(w, r, t, err)
		return
	}
	story, err := p.story(r, t, by, id)
	if err != nil {
		p.fail(w, r, t, err)
		return
	}
	page := ownerPage{
		common: p.common(t, t.OwnerTitle), Base: "/r/" + chi.URLParam(r, "token"), API: "/v1/tracking/" + chi.URLParam(r, "token"),
		Promise: t.Promised(view.Promise.Minutes), State: t.States[view.State], Crew: "—",
		Expected: p.expected(t, view.ExpectedAt, view.Now), Due: p.clock(&view.DueAt),
		Car: joined(view.Vehicle.Plate, t.Problems[view.Problem], view.Location.Address), Code: view.ArrivalCode,
		Left: left(view.DueAt.Sub(view.Now)), Story: story, Request: view,
		MayConfirm: view.State == string(dispatch.RequestAssigned) || view.State == string(dispatch.RequestEnRoute),
		MayCancel:  view.ClosedAt == nil,
	}
	if view.Crew != nil {
		page.Crew = joined(view.Crew.Name, view.Crew.PlateMasked)
	}
	if view.ArrivedAt != nil || view.ClosedAt != nil {
		page.Ended, page.Expected = true, p.clock(nil)
	}
	if view.ArrivedAt != nil {
		page.Left, page.Code = fill(t.Live["arrived_at"], "time", p.clock(view.ArrivedAt)), ""
	} else if view.ClosedAt != nil {
		page.Left = t.States[view.State]
	}
	page.Owed, page.Reasons = verdictWords(t, view.Verdict)
	p.show(w, r, http.StatusOK, "owner", page)
}

// verdictWords reads what the promise has come to from its JSON form, the one
// that the script reads too.
func verdictWords(t text, verdict any) (owed string, reasons []string) {
	raw, err := json.Marshal(verdict)
	if err != nil {
		return "", nil
	}
	var v struct {
		Compensation *struct {
			Fen int64 `json:"fen"`
		} `json:"compensation"`
		Reasons []events.Reason `json:"reasons"`
	}
	if json.Unmarshal(raw, &v) != nil {
		return "", nil
	}
	if v.Compensation != nil && v.Compensation.Fen > 0 {
		owed = fill(t.Live["owed"], "amount", yuan(v.Compensation.Fen))
	}
	for _, reason := range v.Reasons {
		reasons = append(reasons, t.either(reason.ZH, reason.EN))
	}
	return owed, reasons
}

// ownerStory is what happened, for the page's script.
func (p *pages) ownerStory(w http.ResponseWriter, r *http.Request) {
	t := language(w, r)
	by, id, err := p.holder(r)
	if err != nil {
		web.Problem(w, r, err)
		return
	}
	story, err := p.story(r, t, by, id)
	if err != nil {
		web.Problem(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(story)
}

// eventWords says which sentence tells an event to the owner. Events that
// tell him nothing are left out.
var eventWords = map[string]string{
	events.RequestOpened{}.EventType():       "opened",
	events.OfferMade{}.EventType():           "offered",
	events.OfferLapsed{}.EventType():         "lapsed",
	events.RequestAssigned{}.EventType():     "assigned",
	events.RequestStranded{}.EventType():     "stranded",
	events.CrewDeparted{}.EventType():        "departed",
	events.ArrivalUnproven{}.EventType():     "unproven",
	events.CrewArrived{}.EventType():         "arrived",
	events.RequestReleased{}.EventType():     "released",
	events.RequestCancelled{}.EventType():    "cancelled",
	events.RequestFinished{}.EventType():     "finished",
	events.RequestWarned{}.EventType():       "warned",
	events.GuaranteeAtRisk{}.EventType():     "at_risk",
	events.GuaranteeBreached{}.EventType():   "breached",
	events.DeadlineMoved{}.EventType():       "moved",
	events.GuaranteeSettled{}.EventType():    "settled",
	events.CompensationAccrued{}.EventType(): "accrued",
	events.CompensationChanged{}.EventType(): "changed",
}

// movers are the reasons of a verdict that move a deadline.
var movers = []string{"paused", "clock_started"}

func (p *pages) story(r *http.Request, t text, by events.Actor, id events.RequestID) ([]step, error) {
	entries, err := p.API.Timeline(r.Context(), by, id)
	if err != nil {
		return nil, err
	}
	story := make([]step, 0, len(entries))
	for _, e := range entries {
		if said := p.sentence(t, e); said != "" {
			story = append(story, step{At: e.At, Text: said, Clock: p.clock(&e.At)})
		}
	}
	return story, nil
}

// sentence tells one event. Payloads share the names of their fields, so one
// shape reads them all.
func (p *pages) sentence(t text, e dispatch.TimelineEntry) string {
	word := eventWords[e.Type]
	if word == "" {
		return ""
	}
	var d struct {
		ExpectedAt *time.Time `json:"expected_at"`
		ArrivedAt  *time.Time `json:"arrived_at"`
		DueAt      *time.Time `json:"due_at"`
		WasDueAt   *time.Time `json:"was_due_at"`
		Promise    struct {
			DueAt *time.Time `json:"due_at"`
		} `json:"promise"`
		Outcome string          `json:"outcome"`
		State   string          `json:"state"`
		Reasons []events.Reason `json:"reasons"`
		Fen     int64           `json:"fen"`
		OwedFen int64           `json:"owed_fen"`
	}
	if json.Unmarshal(e.Data, &d) != nil {
		return ""
	}
	var reasons []string
	for _, reason := range d.Reasons {
		if word == "moved" && !slices.Contains(movers, reason.Code) {
			continue // the whole verdict is told; what moved the deadline is a part of it
		}
		reasons = append(reasons, t.either(reason.ZH, reason.EN))
	}
	switch word {
	case "warned":
		if len(reasons) == 0 && d.ExpectedAt != nil {
			word = "calm"
		} else if len(reasons) == 0 {
			word = "calm_waiting"
		}
	case "settled":
		word = d.Outcome
	case "changed":
		word = d.State
	}
	due := d.Promise.DueAt
	if word == "moved" {
		due = d.DueAt
	}
	return strings.TrimSpace(fill(t.Events[word], "was", p.clock(d.WasDueAt), "due", p.clock(due), "expected", p.clock(d.ExpectedAt),
		"arrived", p.clock(d.ArrivedAt), "owed", yuan(max(d.Fen, d.OwedFen)), "reasons", joined(reasons...)))
}

// ownerConfirms takes the owner's word that help is there.
func (p *pages) ownerConfirms(w http.ResponseWriter, r *http.Request) {
	p.ownerActs(w, r, func(by events.Actor, id events.RequestID) error {
		_, err := p.Service.ConfirmArrival(r.Context(), by, id, p.Now())
		return err
	})
}

// ownerCancels calls the request off.
func (p *pages) ownerCancels(w http.ResponseWriter, r *http.Request) {
	p.ownerActs(w, r, func(by events.Actor, id events.RequestID) error {
		_, err := p.Service.Cancel(r.Context(), by, id, "cancelled by the owner", 0)
		return err
	})
}

// ownerActs runs a command of the owner's page and leads back to it. The page
// then shows the present state, so a second press needs no answer of its own.
func (p *pages) ownerActs(w http.ResponseWriter, r *http.Request, act func(events.Actor, events.RequestID) error) {
	t := language(w, r)
	by, id, err := p.holder(r)
	if err == nil {
		err = act(by, id)
	}
	if err != nil && !refusedByState(err) {
		p.fail(w, r, t, err)
		return
	}
	http.Redirect(w, r, "/r/"+chi.URLParam(r, "token"), http.StatusSeeOther)
}
