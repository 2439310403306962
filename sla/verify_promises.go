package sla

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

const verifyChunk = 500 // promises read at once

// openings are the events that begin a promise.
var openings = []string{events.RequestOpened{}.EventType(), events.HistoryImported{}.EventType()}

// verifyOpenings holds every opening of the journal against the promises:
// none may be missing.
func (s *Service) verifyOpenings(ctx context.Context, r *Report) error {
	return r.snapshot(ctx, func(tx pgx.Tx) error {
		for after := int64(0); ; {
			told, err := events.ReadTold(ctx, tx, "sla", openings, after, 10*verifyChunk)
			if err != nil || len(told) == 0 {
				return err
			}
			var ids []events.RequestID
			for _, t := range told {
				after = t.Seq
				if !t.Applied && t.Type != (events.HistoryImported{}).EventType() {
					r.waiting++
					if t.SetAside {
						r.differ(t.Subject, "its opening lies among the dead letters, so nothing is promised", "", "")
					}
					continue
				}
				id, err := events.ParseID[events.RequestID](t.Subject)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			missing, err := listUnpromised(ctx, tx, ids)
			if err != nil {
				return err
			}
			for _, id := range missing {
				r.differ(id.String(), "promise", "", "a promise, for the journal has its opening")
			}
			r.did(len(told), 0)
		}
	})
}

// verifyPromises replays every promise.
func (s *Service) verifyPromises(ctx context.Context, r *Report) error {
	return r.snapshot(ctx, func(tx pgx.Tx) error {
		total, err := countGuarantees(ctx, tx)
		if err != nil {
			return err
		}
		for after := (events.RequestID{}); ; {
			kept, err := readKept(ctx, tx, after, verifyChunk)
			if err != nil || len(kept) == 0 {
				return err
			}
			weighed, err := s.replayMonths(ctx, tx, kept)
			if err != nil {
				return err
			}
			for _, k := range kept {
				k.weighed = weighed[k.guarantee.RequestID]
				if err := s.verifyPromise(ctx, tx, r, k); err != nil {
					return err
				}
			}
			after = kept[len(kept)-1].guarantee.RequestID
			r.did(len(kept), total)
		}
	})
}

// kept is all that is stored of one promise, and all that the journal has.
type kept struct {
	guarantee     Guarantee
	vehicle       string // empty when it was not told
	weighed       Fen    // used up of its car's month when its verdict was told, by the journal
	facts         []Fact
	compensations []Compensation
	notes         []Difference
	postings      map[string]posting
	due           bool // an import's: what it owes must have accrued
	heard         []events.Heard
}

// replayed is what the journal says of a request.
type replayed struct {
	opening *Guarantee // as it must have been armed
	vehicle string
	facts   []Fact
	waived  bool
	settled *events.GuaranteeSettled // the last verdict told
	pending bool                     // the clock was told to run again since
	waiting int
}

// replay reads a request's stream.
func replay(heard []events.Heard) (p replayed, err error) {
	for _, h := range heard {
		switch h.Type {
		case events.RequestOpened{}.EventType():
			ev, err := events.Decode[events.RequestOpened](h.Envelope)
			if err != nil {
				return p, err
			}
			if p.opening == nil {
				g := openedAs(ev)
				p.opening, p.vehicle = &g, ev.VehicleKey
			}
			continue
		case events.HistoryImported{}.EventType():
			ev, err := events.Decode[events.HistoryImported](h.Envelope)
			if err != nil {
				return p, err
			}
			g := importedAs(ev)
			p.opening, p.vehicle, p.facts = &g, ev.VehicleKey, append(p.facts, pastFacts(ev)...)
			continue
		case events.FactRecorded{}.EventType(): // with the fact in one transaction, so no inbox says it
			ev, err := events.Decode[events.FactRecorded](h.Envelope)
			if err != nil {
				return p, err
			}
			f, err := recordedFact(ev)
			if err != nil {
				return p, err
			}
			p.facts = append(p.facts, f)
			continue
		case events.GuaranteeArmed{}.EventType():
			p.pending = true
			continue
		case events.GuaranteeSettled{}.EventType():
			ev, err := events.Decode[events.GuaranteeSettled](h.Envelope)
			if err != nil {
				return p, err
			}
			p.settled, p.pending, p.waived = &ev, false, ev.Outcome == string(Waived)
			continue
		}
		_, facts, tells, err := factsTold(h.Envelope)
		switch {
		case err != nil && !h.SetAside:
			return p, err
		case !tells || h.SetAside:
		case !h.Applied:
			p.waiting++
		default:
			p.facts = append(p.facts, facts...)
		}
	}
	return p, nil
}

// verifyPromise compares one promise with its replay.
func (s *Service) verifyPromise(ctx context.Context, tx pgx.Tx, r *Report, k kept) error {
	g := k.guarantee
	subject := g.RequestID.String()
	p, err := replay(k.heard)
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	r.waiting += p.waiting
	if p.opening == nil {
		r.differ(subject, "opening", "a promise", "no promise, for the journal has no opening")
		return nil
	}
	differ := func(field, stored, wanted string) {
		if stored != wanted {
			r.differ(subject, field, stored, wanted)
		}
	}
	comparePromise(*p.opening, g, differ)
	differ("vehicle", k.vehicle, p.vehicle)
	surplus, missing := apart(k.facts, p.facts)
	for _, f := range surplus {
		differ("fact", f.String(), "")
	}
	for _, f := range missing {
		differ("fact", "", f.String())
	}
	compareMoney(k, differ)
	if p.waived || g.State == Waived {
		differ("state", string(g.State), string(Waived))
		differ("owed_fen", number(int64(g.Verdict.Fen)), "0")
		return nil // a person's decision stands, whatever is heard after it
	}
	policy, err := s.policy(ctx, tx, p.opening.Promise.Policy, p.opening.Promise.PolicyVersion)
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	p.opening.SpentVehicleFen = k.weighed
	timeline := p.opening.timeline(p.facts)
	verdict := policy.Owed(timeline)
	if verdict.Outcome == OutcomePending {
		p.opening.SpentVehicleFen = 0
	}
	differ("used up of the vehicle's month", owedWords(g.SpentVehicleFen), owedWords(p.opening.SpentVehicleFen))
	compareVerdict(verdict, g, differ)
	if g.ImportID.IsZero() {
		p.opening.ProviderID = timeline.Provider(verdict)
	}
	differ("provider_id", g.ProviderID.String(), p.opening.ProviderID.String())
	compareTold(p, g, differ)
	return nil
}

// comparePromise compares the promise as it was shown, and what it was chosen by.
func comparePromise(wanted, stored Guarantee, differ func(field, stored, wanted string)) {
	w, g := wanted.Promise, stored.Promise
	differ("promise.minutes", strconv.Itoa(g.Minutes), strconv.Itoa(w.Minutes))
	differ("promise.due_at", moment(g.DueAt), moment(w.DueAt))
	differ("promise.policy", fmt.Sprintf("%s/%d", g.Policy, g.PolicyVersion), fmt.Sprintf("%s/%d", w.Policy, w.PolicyVersion))
	differ("promise.rule", g.Rule, w.Rule)
	differ("promise.reason", g.Reason, w.Reason)
	differ("opened_at", moment(stored.OpenedAt), moment(wanted.OpenedAt))
	s, t := stored.asked(), wanted.asked()
	for _, f := range []struct{ name, stored, wanted string }{
		{"area", s.Area, t.Area}, {"tier", s.Tier, t.Tier}, {"road_class", s.RoadClass, t.RoadClass}, {"problem", s.Problem, t.Problem},
		{"priority", strconv.Itoa(s.Priority), strconv.Itoa(t.Priority)}, {"partner_id", s.PartnerID.String(), t.PartnerID.String()},
		{"product", s.Product, t.Product}, {"weather", s.Weather, t.Weather},
		{"import_id", stored.ImportID.String(), wanted.ImportID.String()},
	} {
		differ(f.name, f.stored, f.wanted)
	}
}

// compareVerdict compares what the policy makes of the replayed timeline.
func compareVerdict(v Verdict, g Guarantee, differ func(field, stored, wanted string)) {
	s := g.Verdict
	differ("outcome", string(s.Outcome), string(v.Outcome))
	differ("cancelled", strconv.FormatBool(s.Cancelled), strconv.FormatBool(v.Cancelled))
	differ("due_at", moment(s.DueAt), moment(v.DueAt))
	differ("started_at", moment(s.StartedAt), moment(v.StartedAt))
	differ("stopped_at", moment(s.StoppedAt), moment(v.StoppedAt))
	differ("late", s.Late.String(), v.Late.String())
	differ("owed_fen", number(int64(s.Fen)), number(int64(v.Fen)))
	differ("raw_fen", number(int64(s.RawFen)), number(int64(v.RawFen)))
	differ("uncapped_fen", number(int64(s.UncappedFen)), number(int64(v.UncappedFen)))
	differ("excluded", s.Excluded, v.Excluded)
	differ("review", s.Review, v.Review)
	if state := v.state(); state != Armed || g.State != Breached { // a breach is an alarm, not a verdict
		differ("state", string(g.State), string(state))
	}
	if len(s.Reasons) != len(v.Reasons) {
		differ("reasons", strconv.Itoa(len(s.Reasons))+" lines", strconv.Itoa(len(v.Reasons))+" lines")
		return
	}
	for i := range v.Reasons {
		if !sameReason(s.Reasons[i], v.Reasons[i]) {
			differ("reasons, line "+strconv.Itoa(i+1), reasonLine(s.Reasons[i]), reasonLine(v.Reasons[i]))
		}
	}
}

// compareTold compares the last verdict that others were told.
func compareTold(p replayed, g Guarantee, differ func(field, stored, wanted string)) {
	if !g.ImportID.IsZero() {
		return // history is told once, as it is brought in
	}
	running := g.State == Armed || g.State == Breached
	switch {
	case running && p.settled != nil && !p.pending:
		differ("verdict told to others", p.settled.Outcome, string(g.State))
	case !running && (p.settled == nil || p.pending):
		differ("verdict told to others", "", string(g.State))
	case !running:
		differ("verdict told to others", fmt.Sprintf("%s, %d fen", p.settled.Outcome, p.settled.OwedFen), fmt.Sprintf("%s, %d fen", g.State, g.Verdict.Fen))
	}
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func reasonLine(r events.Reason) string {
	at := ""
	if r.At != nil {
		at = moment(*r.At) + " "
	}
	return fmt.Sprintf("%q (%s%s, %d fen)", r.EN+" / "+r.ZH, at, r.Code, r.Fen)
}
