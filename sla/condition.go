package sla

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
)

// NewCondition declares that something holds for a region and a time.
type NewCondition struct {
	Condition Condition      `json:"condition"`
	Level     string         `json:"level"`    // of a weather alert
	Areas     []string       `json:"areas"`    // empty: everywhere
	From      time.Time      `json:"from"`     // zero: now
	Until     time.Time      `json:"until"`    // zero while it lasts
	Evidence  []EvidenceKind `json:"evidence"` // what bears it out, such as official_notice
	Note      string         `json:"note"`     // what it rests on, for people
	Key       string         `json:"-"`        // the Idempotency-Key
}

// DeclaredCondition is a condition as it was declared or said anew. Of several
// revisions the last holds.
type DeclaredCondition struct {
	ID         events.ConditionID
	Revision   int
	Condition  Condition
	Level      string
	Areas      []string
	From       time.Time
	Until      time.Time // zero while it lasts
	Evidence   []EvidenceKind
	Note       string
	By         string // role:subject
	DeclaredAt time.Time
	Replayed   bool
	key        string
	hash       [32]byte
}

// Errors of conditions.
var (
	ErrNoCondition = fault.New(fault.NotFound, "condition_not_found", "There is no such condition.")
)

// conditionRoles may declare conditions.
var conditionRoles = []events.Role{events.RoleOperator, events.RoleAdmin, events.RoleSystem}

// checked fills in what is left out and names every wrong field. anew is
// whether it was declared before.
func (in NewCondition) checked(now time.Time, anew bool) (NewCondition, error) {
	var wrong []fault.Field
	add := func(field, code, detail string) {
		wrong = append(wrong, fault.Field{Field: field, Code: code, Detail: detail})
	}
	in.From, in.Until = microOrZero(in.From), microOrZero(in.Until)
	if in.From.IsZero() {
		in.From = now
	}
	if in.Areas == nil {
		in.Areas = []string{}
	}
	if in.Evidence == nil {
		in.Evidence = []EvidenceKind{}
	}
	if !slices.Contains(Conditions(), in.Condition) {
		add("condition", "unknown", "must be one of "+strings.Join(wordsOf(Conditions()), ", "))
	}
	switch {
	case in.Condition == WeatherAlert && !slices.Contains(AlertLevels(), in.Level):
		add("level", "unknown", "must be the level of the alert: "+strings.Join(AlertLevels(), ", "))
	case in.Condition != WeatherAlert && in.Level != "":
		add("level", "unused", "belongs to weather_alert only; leave it out")
	}
	// Storm mode excuses only what the owner knew when he asked: it can never
	// be declared for requests that are open already.
	if in.Condition == StormMode && in.From.Before(now) && !anew {
		add("from", "range", "storm mode is announced before it begins; leave it out to begin at once")
	}
	if !in.Until.IsZero() && in.Until.Before(in.From) {
		add("until", "range", "is before from")
	}
	for _, area := range in.Areas {
		if area == "" || len(area) > 100 || !plainText(area) {
			add("areas", "text", "must be identifiers of areas")
			break
		}
	}
	for _, kind := range in.Evidence {
		if !slices.Contains(EvidenceKinds(), kind) {
			add("evidence", "unknown", "must be of "+strings.Join(wordsOf(EvidenceKinds()), ", "))
			break
		}
	}
	var err error
	if in.Note, err = checkReason(in.Note); err != nil {
		add("note", "required", "must say in 1 to 500 characters what it rests on")
	}
	return in, fault.InvalidFields(wrong)
}

// facts is what a revision says of a request: the condition, and what bears
// it out.
func (c DeclaredCondition) facts() []Fact {
	by, _ := events.ParseActor(c.By)
	ref := c.ID.UUID()
	list := []Fact{{
		Kind: FactCondition, At: c.From, Until: c.Until, Source: string(c.Condition), Ref: ref, By: by.Role, SaidAt: c.DeclaredAt, Level: c.Level,
	}}
	for _, kind := range c.Evidence {
		list = append(list, Fact{Kind: FactEvidence, At: c.DeclaredAt, Source: string(kind), Ref: ref, By: by.Role, SaidAt: c.DeclaredAt})
	}
	return list
}

// holds reports whether it is in force at a moment.
func (c DeclaredCondition) holds(at time.Time) bool {
	return !c.From.After(at) && (c.Until.IsZero() || c.Until.After(at))
}

// weather is the gravest weather mode that conditions make at a moment; empty
// when none does.
func weather(list []DeclaredCondition, at time.Time) (mode string) {
	gravity := func(m string) int { return slices.Index(WeatherModes(), m) }
	for _, c := range list {
		m := c.Level
		if c.Condition == StormMode {
			m = WeatherStorm
		}
		if c.holds(at) && gravity(m) > gravity(mode) {
			mode = m
		}
	}
	return mode
}

// reach is the last moment at which a request opened is concerned by any of
// the revisions of one condition; zero is no end.
func reach(revisions []DeclaredCondition) (last time.Time) {
	for _, c := range revisions {
		if c.Until.IsZero() {
			return time.Time{}
		}
		last = later(last, c.Until)
	}
	return last
}

func byCondition(list []DeclaredCondition) map[uuid.UUID][]DeclaredCondition {
	of := map[uuid.UUID][]DeclaredCondition{}
	for _, c := range list {
		of[c.ID.UUID()] = append(of[c.ID.UUID()], c)
	}
	return of
}
