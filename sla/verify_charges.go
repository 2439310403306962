package sla

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// verifyCharges attributes anew every compensation that others may bear a part
// of, and holds what they were charged, and its postings, against that.
//
// A verdict is of all that is known now. A charge is of what was known at the
// approval, and stays when the provider's part turns out another afterwards
// without the amount changing; so the events that had told it by then are kept
// with it, and it is they that are replayed.
func (s *Service) verifyCharges(ctx context.Context, r *Report) error {
	return r.snapshot(ctx, func(tx pgx.Tx) error {
		shared := func(c Compensation) (bool, error) {
			p, err := s.policy(ctx, tx, c.Policy, c.PolicyVersion)
			return p.shared(), err
		}
		for after := (events.CompensationID{}); ; {
			list, last, err := readCharged(ctx, tx, shared, after, verifyChunk)
			if err != nil || last == after {
				return err
			}
			for _, c := range list {
				if err := s.verifyCharged(ctx, tx, r, c); err != nil {
					return err
				}
			}
			after = last
		}
	})
}

// charged is all that is stored of what others bear of one compensation, and
// all that the journal has of its request.
type charged struct {
	compensation Compensation
	basis        *basis // nil when it was not attributed
	charges      []Chargeback
	overturned   map[Counterparty]bool // he won his dispute of it
	postings     map[string]posting    // of charges and of what took them back
	heard        []events.Heard
}

// bearing is what the journal says of the charges of a compensation.
type bearing struct {
	approved  *events.Heard // its first approval; nil before
	facts     []Fact        // known by then
	strangers []uuid.UUID   // events it is said to rest on that had not told anything by then
	charged   map[string]*events.Heard
	reversed  map[string]*events.Heard
	last      map[string]events.ChargebackChanged // by bearer, as he is written
}

// bearingOf reads what a request's stream says of the charges of c.
func (c *charged) bearingOf() (b bearing, err error) {
	b.charged, b.reversed, b.last = map[string]*events.Heard{}, map[string]*events.Heard{}, map[string]events.ChargebackChanged{}
	var told []uuid.UUID
	if c.basis != nil {
		told = slices.Clone(c.basis.told)
	}
	for i := range c.heard {
		h := &c.heard[i]
		switch h.Type {
		case events.CompensationChanged{}.EventType():
			ev, err := events.Decode[events.CompensationChanged](h.Envelope)
			if err != nil {
				return b, err
			}
			if b.approved == nil && ev.CompensationID == c.compensation.ID && ev.State == string(Approved) {
				b.approved = h
			}
			continue
		case events.ChargebackChanged{}.EventType():
			ev, err := events.Decode[events.ChargebackChanged](h.Envelope)
			if err != nil {
				return b, err
			}
			if ev.CompensationID == c.compensation.ID {
				b.last[ev.BearerID] = ev
				if ev.State == string(Charged) {
					b.charged[ev.BearerID] = h
				} else {
					b.reversed[ev.BearerID] = h
				}
			}
			continue
		}
		at := slices.Index(told, h.ID.UUID())
		// What was told by then stands before the approval in the journal; all
		// that does is taken where nothing says on what it rests.
		if b.approved != nil || c.basis != nil && at < 0 || c.basis == nil && h.SetAside {
			continue
		}
		facts, tells, err := factsOf(h.Envelope)
		if err != nil {
			return b, err
		}
		if b.facts = append(b.facts, facts...); tells && at >= 0 {
			told = slices.Delete(told, at, at+1)
		}
	}
	b.strangers = told
	return b, nil
}

// factsOf are the facts an event tells, whoever's it is.
func factsOf(env events.Envelope) (facts []Fact, tells bool, err error) {
	switch env.Type {
	case events.HistoryImported{}.EventType():
		ev, err := events.Decode[events.HistoryImported](env)
		return pastFacts(ev), true, err
	case events.FactRecorded{}.EventType():
		ev, err := events.Decode[events.FactRecorded](env)
		if err != nil {
			return nil, true, err
		}
		f, err := recordedFact(ev)
		return []Fact{f}, true, err
	}
	_, facts, tells, err = factsTold(env)
	return facts, tells, err
}

// verifyCharged compares what one compensation charges others with its replay.
func (s *Service) verifyCharged(ctx context.Context, tx pgx.Tx, r *Report, c *charged) error {
	comp := c.compensation
	subject := comp.RequestID.String()
	b, err := c.bearingOf()
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	p, err := replay(c.heard)
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	policy, err := s.policy(ctx, tx, comp.Policy, comp.PolicyVersion)
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	if p.opening == nil {
		return nil // the check of promises names it
	}
	differ := func(field, stored, wanted string) {
		if stored != wanted {
			r.differ(subject, field, stored, wanted)
		}
	}
	c.compareBasis(policy, b, differ)
	var a Attribution
	var wanted []Charge
	if b.approved != nil {
		a = policy.attributed(p.opening.timeline(b.facts))
		wanted = policy.Charges(comp.Fen, p.opening.PartnerID, a)
	}
	for _, w := range wanted {
		at := slices.IndexFunc(c.charges, func(k Chargeback) bool { return k.Bearer == w.Bearer && k.ID == w.ID })
		if at < 0 {
			differ("chargeback of "+comp.ID.String()+" to "+w.BearerID(), "", owedWords(w.Fen))
			continue
		}
		c.compareCharge(c.charges[at], w, a, b, differ)
	}
	for _, k := range c.charges {
		if !slices.ContainsFunc(wanted, func(w Charge) bool { return k.Bearer == w.Bearer && k.ID == w.ID }) {
			differ("chargeback of "+comp.ID.String()+" to "+k.BearerID(), owedWords(k.Fen), "")
		}
		c.comparePostings(k, differ)
	}
	for key, p := range c.postings { // of no chargeback that is stored
		differ("posting "+key, entriesLine(p), "")
	}
	r.did(len(c.charges), 0)
	return nil
}

// compareBasis holds on what an attribution is said to rest against the
// journal.
func (c *charged) compareBasis(policy Policy, b bearing, differ func(field, stored, wanted string)) {
	field := "attribution of " + c.compensation.ID.String()
	stored, wanted := "", ""
	if c.basis != nil {
		stored = "made " + moment(c.basis.at)
	}
	if b.approved != nil && policy.shared() {
		wanted = "made " + moment(b.approved.At)
	}
	differ(field, stored, wanted)
	for _, id := range b.strangers {
		differ(field+" rests on", events.IDFromUUID[events.EventID](id).String(), "")
	}
}

// compareCharge compares a charge with what it must be.
func (c *charged) compareCharge(k Chargeback, w Charge, a Attribution, b bearing, differ func(field, stored, wanted string)) {
	comp, whose := c.compensation, w.BearerID()
	of := func(field, stored, wanted string) {
		differ(field+" of the chargeback of "+comp.ID.String()+" to "+whose, stored, wanted)
	}
	of("fen", number(int64(k.Fen)), number(int64(w.Fen)))
	of("fault_pct", strconv.Itoa(k.FaultPct), strconv.Itoa(w.FaultPct))
	of("request_id", k.RequestID.String(), comp.RequestID.String())
	of("area", k.Area, comp.Area)
	of("policy", fmt.Sprintf("%s/%d", k.Policy, k.PolicyVersion), fmt.Sprintf("%s/%d", comp.Policy, comp.PolicyVersion))
	of("charged_at", moment(k.ChargedAt), moment(b.approved.At))
	compareLines(k.Attribution.lines(), a.lines(), func(n int, stored, wanted string) {
		of("attribution, line "+strconv.Itoa(n+1), stored, wanted)
	})
	state, version, changed, who, why := Charged, int64(1), b.approved.At, "", ""
	if comp.State == Voided || c.overturned[k.Counterparty] {
		state, version = Reversed, 2
	}
	if h := b.reversed[whose]; h != nil {
		changed, who, why = h.At, h.Actor.String(), b.last[whose].Reason
	}
	of("state", string(k.State), string(state))
	of("version", number(k.Version), number(version))
	of("changed_at", moment(k.ChangedAt), moment(changed))
	of("reversed_by", k.ReversedBy, who)
	of("reversed_why", k.ReversedWhy, why)
	told, wanted := "", fmt.Sprintf("%s, %d fen, %d%%", k.State, k.Fen, k.FaultPct)
	if ev, found := b.last[whose]; found && b.charged[whose] != nil {
		told = fmt.Sprintf("%s, %d fen, %d%%", ev.State, ev.Fen, ev.FaultPct)
	}
	of("telling", told, wanted)
}

// comparePostings holds a charge's postings against it: one that charges, and
// one that takes that back once it is reversed. It takes them off the list.
func (c *charged) comparePostings(k Chargeback, differ func(field, stored, wanted string)) {
	take := func(key string) (p posting, line string) {
		p, found := c.postings[key]
		if found {
			line = entriesLine(p)
		}
		delete(c.postings, key)
		return p, line
	}
	books := posting{kind: "chargeback", entries: k.entries()}
	charge, stored := take(k.key())
	differ("posting "+k.key(), stored, entriesLine(books))
	key, wanted := k.key()+":reversal", ""
	if k.State == Reversed {
		wanted = entriesLine(books.reversal(key, "chargeback_reversal", events.Actor{}, k.ChangedAt))
	}
	back, stored := take(key)
	differ("posting "+key, stored, wanted)
	if stored != "" {
		reverses := ""
		if back.reverses != nil {
			reverses = back.reverses.String()
		}
		differ("posting that "+key+" takes back", reverses, charge.id.String())
	}
}

// lines are an attribution's figures and words, one after the other, for
// whoever compares two.
func (a Attribution) lines() (lines []string) {
	for _, ph := range a.Phases {
		lines = append(lines, fmt.Sprintf("%s from %s to %s, crew %s, provider %s: %d s of %d, %d lost",
			ph.Kind, moment(ph.From), moment(ph.To), ph.CrewID, ph.ProviderID, ph.TookS, ph.AllowedS, ph.LostS))
	}
	for _, f := range a.Faults {
		lines = append(lines, fmt.Sprintf("fault of the %s %s: %d%%, %d s", f.Party, f.ProviderID, f.Pct, f.LostS))
	}
	return append(lines, mapped(a.Reasons, reasonLine)...)
}

// compareLines compares two texts line by line.
func compareLines(stored, wanted []string, differ func(n int, stored, wanted string)) {
	for n := range max(len(stored), len(wanted)) {
		s, w := "", ""
		if n < len(stored) {
			s = stored[n]
		}
		if n < len(wanted) {
			w = wanted[n]
		}
		differ(n, s, w)
	}
}

// entriesLine is what a posting books, as one line.
func entriesLine(p posting) string {
	parts := make([]string, len(p.entries))
	for i, e := range p.entries {
		parts[i] = fmt.Sprintf("%s %d fen", e.account, e.fen)
	}
	return p.kind + ": " + strings.Join(parts, ", ")
}
