package sla

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
)

// past is a rescue that was judged and is ready to be kept.
type past struct {
	row       int
	rescue    PastRescue
	digest    [32]byte
	facts     []Fact
	policy    Policy
	guarantee Guarantee
}

// judge checks a past rescue and comes to its verdict, by the promise the
// policy would have made then. Every wrong field is named at once.
func (s *Service) judge(ctx context.Context, db events.Querier, spec ImportSpec, row int, r PastRescue, now time.Time) (past, []fault.Field, error) {
	wrong := r.wrong(now)
	name, version := cmp.Or(r.Policy, spec.Policy), r.PolicyVersion
	if r.Policy == "" {
		version = spec.PolicyVersion
	}
	policy, err := s.policy(ctx, db, name, version)
	if fault.KindOf(err) == fault.NotFound {
		wrong = append(wrong, fault.Field{Field: "policy", Code: "unknown", Detail: "there is no policy " + name + " of that version; add it first, or name another"})
	} else if err != nil {
		return past{}, nil, err
	}
	if len(wrong) > 0 {
		return past{}, wrong, nil
	}
	opened := micro(r.CalledAt)
	asked := Facts{
		Area: r.Area, Tier: r.Tier, RoadClass: r.RoadClass, Problem: r.Problem, Priority: r.Priority,
		PartnerID: r.PartnerID, Product: r.Product,
	}
	g := Guarantee{
		ID: events.NewID[events.GuaranteeID](), RequestID: pastRequest(spec.Source, r), Area: r.Area, Tier: r.Tier,
		Priority: r.Priority, PartnerID: r.PartnerID, RoadClass: r.RoadClass, Problem: r.Problem, Product: r.Product,
		Version: 1, OpenedAt: opened, Promise: policy.Promise(opened, asked), ChangedAt: now,
	}
	p := past{row: row, rescue: r, digest: r.digest(), facts: r.facts(spec.Source), policy: policy}
	g.Verdict, g.ProviderID = policy.Owed(g.timeline(p.facts)), r.ProviderID
	g.State = g.Verdict.state()
	p.guarantee = g
	return p, nil, nil
}

// state is the state of a guarantee whose clock has come to v.
func (v Verdict) state() GuaranteeState {
	switch v.Outcome {
	case OutcomeMet:
		return Met
	case OutcomeLate:
		return Late
	case OutcomeVoid:
		return Void
	}
	return Armed
}

// facts tells a past rescue as a timeline.
func (r PastRescue) facts(source string) []Fact {
	crew := pastCrew(source, r.Crew)
	var facts []Fact
	add := func(f Fact) {
		if !f.At.IsZero() {
			f.At = micro(f.At)
			facts = append(facts, f)
		}
	}
	add(Fact{Kind: FactAssigned, At: r.AssignedAt, Until: microOrZero(r.ExpectedAt), Crew: crew, Provider: r.ProviderID})
	add(Fact{Kind: FactDeparted, At: r.DepartedAt, Crew: crew})
	add(Fact{Kind: FactArrived, At: r.ArrivedAt, Crew: crew, Source: r.ArrivalSource})
	add(Fact{Kind: FactCancelled, At: r.CancelledAt})
	add(Fact{Kind: FactFinished, At: r.FreedAt, Crew: crew, Source: "imported"})
	if r.PriceFen > 0 {
		add(Fact{Kind: FactPriced, At: r.CalledAt, Fen: r.PriceFen})
	}
	return facts
}

// wrong names what cannot be meant.
func (r PastRescue) wrong(now time.Time) (wrong []fault.Field) {
	add := func(field, code, detail string) {
		wrong = append(wrong, fault.Field{Field: field, Code: code, Detail: detail})
	}
	switch n := utf8.RuneCountInString(r.Reference); {
	case n == 0:
		add("reference", "required", "is missing; give what the source calls this rescue")
	case n > 200 || !plainText(r.Reference):
		add("reference", "text", "must be plain text of at most 200 characters")
	}
	if r.Area == "" {
		add("area", "required", "is missing; give an area, or a position with its datum")
	}
	for _, of := range []struct {
		field, value string
		words        []string
	}{{"tier", r.Tier, tierWords}, {"road_class", r.RoadClass, roadWords}, {"problem", r.Problem, problemWords}} {
		if !slices.Contains(of.words, of.value) {
			add(of.field, "unknown", "is "+quoted(of.value)+"; use "+strings.Join(of.words, ", "))
		}
	}
	for _, word := range []struct{ field, value string }{{"kind", r.Kind}, {"crew", r.Crew}, {"provider", r.Provider}} {
		if utf8.RuneCountInString(word.value) > 200 || !plainText(word.value) {
			add(word.field, "text", "must be plain text of at most 200 characters")
		}
	}
	if utf8.RuneCountInString(r.Product) > 63 || !plainText(r.Product) {
		add("product", "text", "must be plain text of at most 63 characters")
	}
	if r.PriceFen < 0 || r.PriceFen > maxFen {
		add("price_fen", "range", "must be 0 (not known) to "+strconv.FormatInt(int64(maxFen), 10)+" fen")
	}
	if r.Priority < 0 || r.Priority > 2 {
		add("priority", "range", "must be 0 (danger to life), 1 (exposed) or 2 (normal)")
	}
	if !r.ArrivedAt.IsZero() && !slices.Contains(arrivalSources, r.ArrivalSource) {
		add("arrival_source", "unknown", "is "+quoted(r.ArrivalSource)+"; say what proves the arrival: "+strings.Join(arrivalSources, ", "))
	}
	return append(wrong, r.wrongTimes(now)...)
}

// wrongTimes holds the times against each other and against now.
func (r PastRescue) wrongTimes(now time.Time) (wrong []fault.Field) {
	add := func(field, code, detail string) {
		wrong = append(wrong, fault.Field{Field: field, Code: code, Detail: detail})
	}
	if r.CalledAt.IsZero() {
		add("called_at", "required", "is missing; nothing can be promised from an unknown moment")
		return wrong
	}
	if r.CalledAt.Before(time.Unix(0, 0)) || r.CalledAt.After(now) {
		add("called_at", "range", "must lie in the past, after 1970")
		return wrong
	}
	switch {
	case r.ExpectedAt.IsZero():
	case r.AssignedAt.IsZero():
		add("expected_at", "unused", "belongs to a crew that took the job; give assigned_at as well, or leave it out")
	case r.ExpectedAt.Before(r.AssignedAt):
		add("expected_at", "order", "is before assigned_at")
	}
	before, named := r.CalledAt, "called_at"
	for _, t := range []struct {
		field string
		at    time.Time
		aside bool // it may come at any time after the call
	}{
		{"assigned_at", r.AssignedAt, false}, {"departed_at", r.DepartedAt, false},
		{"arrived_at", r.ArrivedAt, false}, {"freed_at", r.FreedAt, false}, {"cancelled_at", r.CancelledAt, true},
	} {
		switch {
		case t.at.IsZero():
			continue
		case t.at.After(now):
			add(t.field, "range", "lies in the future; only what is over is history")
		case t.aside && t.at.Before(r.CalledAt):
			add(t.field, "order", "is before called_at")
		case !t.aside && t.at.Before(before):
			add(t.field, "order", "is before "+named)
		case !t.aside:
			before, named = t.at, t.field
		}
	}
	return wrong
}

func plainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func quoted(s string) string {
	if s == "" {
		return "missing"
	}
	runes := []rune(s)
	if len(runes) > 40 {
		s = string(runes[:40]) + "…"
	}
	return "“" + s + "”"
}

// digest names a rescue by what its source said of it.
func (r PastRescue) digest() [32]byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic("sla: " + err.Error()) // plain values always marshal
	}
	return sha256.Sum256(text)
}

// pastSpace is the name space of identifiers derived for what other systems
// know under names of their own.
var pastSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:rescued:history"))

// pastRequest derives the identifier of a past request from its source and
// reference, in the shape of the others: UUIDv7 with the time of the call, so
// that history lies in the order of its time.
func pastRequest(source string, r PastRescue) events.RequestID {
	id := uuid.NewSHA1(pastSpace, []byte("request\x00"+source+"\x00"+r.Reference))
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(r.CalledAt.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70 // version 7
	return events.IDFromUUID[events.RequestID](id)
}

// pastCrew derives the identifier of a crew another system names.
func pastCrew(source, crew string) events.CrewID {
	if crew == "" {
		return events.CrewID{}
	}
	return events.IDFromUUID[events.CrewID](uuid.NewSHA1(pastSpace, []byte("crew\x00"+source+"\x00"+crew)))
}

// importedAs is the promise as a past rescue tells it.
func importedAs(ev events.HistoryImported) Guarantee {
	g := Guarantee{
		RequestID: ev.RequestID, Area: ev.Area, Tier: ev.Tier, Priority: ev.Priority, RoadClass: ev.RoadClass, Problem: ev.Problem,
		Product: ev.Product, Weather: ev.Promise.Weather, OpenedAt: micro(ev.OpenedAt), Promise: ev.Promise, ImportID: ev.ImportID,
	}
	g.Promise.DueAt = micro(g.Promise.DueAt)
	if ev.PartnerID != nil {
		g.PartnerID = *ev.PartnerID
	}
	if ev.ProviderID != nil {
		g.ProviderID = *ev.ProviderID
	}
	return g
}

// pastFacts are the facts a past rescue tells.
func pastFacts(ev events.HistoryImported) []Fact {
	facts := make([]Fact, len(ev.Facts))
	for i, told := range ev.Facts {
		f := Fact{Kind: FactKind(told.Kind), At: micro(told.At), Until: utc(told.Until), Source: told.Source, Fen: Fen(told.Fen)}
		if told.CrewID != nil {
			f.Crew = *told.CrewID
		}
		if told.ProviderID != nil {
			f.Provider = *told.ProviderID
		}
		facts[i] = f
	}
	return facts
}
