package pages

import (
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

// job is a rescue as those who sent the crew see it, with what may be done.
type job struct {
	dispatch.RequestView
	MayRelease bool
}

// jobOf reads it; nil for a rescue that was not dispatched here.
func (p *pages) jobOf(r *http.Request, f finance, id events.RequestID) (*job, error) {
	view, err := p.API.Read(r.Context(), f.By, id)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	has := dispatch.RequestState(view.State).Active()
	return &job{view, has && f.By.Is(releasers...)}, nil
}

// releasers may say what a crew is taken off for.
var releasers = []events.Role{events.RoleOperator, events.RoleAdmin}

// releaseCauses are the causes as the API has them, in words.
func (f finance) releaseCauses() (list []choice) {
	for _, c := range dispatch.ReleaseCauses() {
		list = append(list, choice{string(c), f.cause(string(c))})
	}
	return list
}

func (f finance) cause(code string) string { return f.wordOr("cause_"+orElse(code, "none"), code) }

// timeline is what the journal has of a rescue; nothing of an imported one.
func (p *pages) timeline(r *http.Request, f finance, id events.RequestID) ([]dispatch.TimelineEntry, error) {
	entries, err := p.API.Timeline(r.Context(), f.By, id)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return entries, err
}

// releases tells when a crew was taken off, by whom, and what for.
func (f finance) releases(entries []dispatch.TimelineEntry) (list []stepTaken, err error) {
	for _, e := range entries {
		if e.Type != (events.RequestReleased{}).EventType() {
			continue
		}
		var told events.RequestReleased
		if err := json.Unmarshal(e.Data, &told); err != nil {
			return nil, err
		}
		word := f.cause(told.Cause)
		if told.Cause == "" && (e.By == events.RoleCrew || e.By == events.RoleProvider) {
			word = f.word("cause_own") // nobody else says it of them
		}
		list = append(list, stepTaken{word, f.Who(events.Actor{Role: e.By, Subject: e.Who}.String()), told.Reason, told.ReleasedAt})
	}
	return list, nil
}

// recorded is a fact that somebody recorded, with what may be done about it.
type recorded struct {
	sla.Recorded
	Word, Source            string
	MayWithdraw, MayApprove bool
}

// recordings lists what was recorded of a rescue, and whether it counts.
func (p *pages) recordings(r *http.Request, f finance, g sla.Guarantee) (list []recorded, err error) {
	all, err := p.Money.Recordings(r.Context(), f.By, g.RequestID)
	if err != nil {
		return nil, err
	}
	open := g.ImportID.IsZero() && g.State != sla.Waived
	withdrawn, approved := map[uuid.UUID]bool{}, map[events.RecordID]bool{}
	for _, rec := range all {
		switch rec.Fact.Kind {
		case sla.FactWithdrawn:
			withdrawn[rec.Fact.Ref] = true
		case sla.FactApproved:
			approved[rec.Approves] = true
		}
	}
	for _, rec := range all {
		// What speaks of another recording, its end or its approval, stands with it.
		may := open && (rec.Fact.Ref == rec.ID.UUID() || rec.Fact.Record == rec.ID.UUID()) && !withdrawn[rec.ID.UUID()]
		mine := f.is(rec.By)
		r := recorded{Recorded: rec, Word: f.wordOr("fact_"+string(rec.Fact.Kind), string(rec.Fact.Kind))}
		if rec.Fact.Source != "" {
			r.Source = f.wordOr("source_"+rec.Fact.Source, rec.Fact.Source)
		}
		r.MayWithdraw = may && (mine || f.By.Is(releasers...))
		r.MayApprove = may && !mine && rec.Fact.Kind == sla.FactPaused && !rec.Counts && !approved[rec.ID]
		list = append(list, r)
	}
	return list, nil
}

// changeRescue gives a command about a rescue and leads back to it: to take
// its crew off, to withdraw or approve what was recorded, or one about its
// compensation, from where operators are.
func (p *pages) changeRescue(w http.ResponseWriter, r *http.Request, f finance) error {
	id, err := pathID(r, events.ParseID[events.RequestID], sla.ErrNoGuarantee)
	if err != nil {
		return err
	}
	do := r.PostForm.Get("do")
	err = p.stepRescue(r, f, id, do)
	switch {
	case err == nil:
		return f.done(w, r, f.Base, do, -1)
	case f.refused(err, r.PostForm):
		return p.rescue(w, r, f)
	}
	return err
}

func (p *pages) stepRescue(r *http.Request, f finance, id events.RequestID, do string) error {
	in := r.PostForm
	seen, why := whole(in.Get("version")), in.Get("reason")
	switch do {
	case "release":
		_, err := p.Service.ReleaseFor(r.Context(), f.By, id, dispatch.ReleaseCause(in.Get("cause")), why, seen)
		return err
	case "withdraw", "approve_recording":
		of, err := events.ParseID[events.RecordID](in.Get("recording"))
		if err != nil {
			return sla.ErrNoRecording
		}
		if do == "withdraw" {
			_, err = p.Money.WithdrawRecording(r.Context(), f.By, id, of, seen, why)
		} else {
			_, err = p.Money.ApproveRecording(r.Context(), f.By, id, of, seen, why)
		}
		return err
	}
	c, err := events.ParseID[events.CompensationID](in.Get("compensation"))
	if err != nil {
		return errNoSuchStep
	}
	_, err = p.decide(r, f, c)
	return err
}

// ask is a form about one recording.
type ask struct {
	P    compensationPage
	R    recorded
	Do   string
	Open bool // it was sent and refused
}

// Ask makes one.
func (page compensationPage) Ask(rec recorded, do string) ask {
	return ask{page, rec, do, page.Refused(do) && page.Held("recording") == rec.ID.String()}
}

// Refused reports whether this command was given and refused: what its form
// held is shown in that form, and in no other.
func (f finance) Refused(do string) bool { return f.Problem != "" && f.Held("do") == do }

// Decided reports whether what was refused was about the compensation.
func (page compensationPage) Decided() bool {
	return page.Held("recording") == "" && !page.Refused("release")
}
