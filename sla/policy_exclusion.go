package sla

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// ExclusionRule excuses a lateness: what it pays is cut to a share, and the
// lateness itself stays visible. A condition excuses only if it held at some
// moment between acceptance and the deadline: what begins later did not make
// anybody late.
type ExclusionRule struct {
	Rule     string         `json:"rule" doc:"Name of the rule, unique among the exclusions." example:"red-alert" pattern:"^[a-z][a-z0-9_-]{0,62}$"`
	Because  ExclusionCause `json:"because" enum:"weather_alert,closure,remote_area,wrong_location,storm_mode" doc:"weather_alert, closure: declared for the request's region and time. remote_area: declared so, or named by when. wrong_location: the car stood elsewhere. storm_mode: announced before the request and shown to the owner."`
	Words    Words          `json:"words" doc:"The excuse in words."`
	When     Match          `json:"when,omitzero" doc:"Which requests it is for; missing means all. For remote_area it is what makes a place remote."`
	Levels   []string       `json:"levels,omitempty" enum:"blue,yellow,orange,red" doc:"weather_alert: the levels that excuse."`
	OverM    int64          `json:"over_m,omitempty" doc:"wrong_location: excuses beyond this many metres."`
	Evidence []EvidenceNeed `json:"evidence,omitempty" doc:"What must bear it out; all of it is needed."`
	OwesPct  int            `json:"owes_pct" doc:"Percentage that is still owed; 0 is nothing." minimum:"0" maximum:"99"`
}

// ExclusionCause is what can excuse a lateness: a Condition, or WrongLocation.
type ExclusionCause string

// WrongLocation excuses when the car was not where the owner had said.
const WrongLocation ExclusionCause = "wrong_location"

// ExclusionCauses lists what can excuse.
func ExclusionCauses() []ExclusionCause {
	list := []ExclusionCause{WrongLocation}
	for _, c := range Conditions() {
		list = append(list, ExclusionCause(c))
	}
	return list
}

// excuse is the exclusion that holds, and the fact by which it does.
type excuse struct {
	rule *ExclusionRule
	fact *Fact // nil when the promise or the place itself says so
}

// excuseFor is the first exclusion that holds for a lateness, nil without one;
// and why those before it do not, each for what might have borne it out.
func (p Policy) excuseFor(t Timeline, facts []Fact, due time.Time) (*excuse, []refusal) {
	opened := micro(t.OpenedAt)
	var refused []refusal
	for i := range p.Exclusions {
		r := &p.Exclusions[i]
		here := r.When.holds(opened, t.Asked, p.zone())
		x, against := r.weigh(t, opened, facts, due, here)
		if x != nil {
			return x, refused
		}
		if !here {
			for j := range against {
				against[j].against = r.When.elsewhere(opened, t.Asked, p.zone())
			}
		}
		refused = append(refused, against...)
	}
	return nil, refused
}

// weigh is the excuse that a rule makes, nil when it makes none; and why it
// makes none, for each fact that it is about. here is whether the rule is for
// this request.
func (r *ExclusionRule) weigh(t Timeline, opened time.Time, facts []Fact, due time.Time, here bool) (*excuse, []refusal) {
	var refused []refusal
	switch {
	case r.Because == WrongLocation:
		for i, f := range facts {
			if f.Kind != FactMislocated {
				continue
			}
			against := r.unproven(facts, f.Ref, time.Time{})
			if f.Metres <= r.OverM {
				against = Words{
					fmt.Sprintf("相差 %d 米，超过 %d 米才免责", f.Metres, r.OverM),
					fmt.Sprintf("it was %d m off, and only more than %d m excuses", f.Metres, r.OverM),
				}
			}
			if here && against == (Words{}) {
				return &excuse{r, &facts[i]}, nil
			}
			refused = append(refused, refusal{r, f, against})
		}
		return nil, refused
	case r.Because == ExclusionCause(RemoteArea) && here && !r.When.everything():
		against := r.unproven(facts, uuid.Nil, time.Time{})
		if against == (Words{}) {
			return &excuse{r, nil}, nil
		}
		refused = append(refused, refusal{r, Fact{}, against})
	case r.Because == ExclusionCause(StormMode) && here && t.Promise.Weather == WeatherStorm:
		return &excuse{r, nil}, nil // it was announced, and shown with the promise
	}
	for _, f := range conditions(facts, Condition(r.Because)) {
		against := r.against(f, opened, due, facts)
		if here && against == (Words{}) {
			return &excuse{r, &f}, nil
		}
		refused = append(refused, refusal{r, f, against})
	}
	return nil, refused
}

// conditions are the declared conditions of a kind, by their beginning. What
// was said last of one, by its reference, holds: an alert may be lifted sooner
// or last longer than was said at first. It was announced when it was first
// said.
func conditions(facts []Fact, kind Condition) []Fact {
	var list []Fact
	told := map[uuid.UUID][]Fact{}
	for _, f := range facts {
		switch {
		case f.Kind != FactCondition || f.Source != string(kind):
		case f.Ref == uuid.Nil:
			list = append(list, f)
		default:
			told[f.Ref] = append(told[f.Ref], f)
		}
	}
	bySaying := func(a, b Fact) int { return cmp.Or(a.said().Compare(b.said()), compareFacts(a, b)) }
	for _, sayings := range told {
		last := slices.MaxFunc(sayings, bySaying)
		last.SaidAt = slices.MinFunc(sayings, bySaying).said()
		list = append(list, last)
	}
	slices.SortFunc(list, compareFacts)
	return list
}

func (p Policy) wrongExclusions(c *complaints) {
	seen := map[string]int{}
	for i, r := range p.Exclusions {
		at := fmt.Sprintf("exclusions[%d]", i)
		c.check(nameForm.MatchString(r.Rule), at+".rule", "form", "must be lower-case letters, digits, - and _, beginning with a letter")
		if first, twice := seen[r.Rule]; twice {
			c.add(at+".rule", "repeated", "%q is already the name of exclusions[%d]", r.Rule, first)
		} else {
			seen[r.Rule] = i
		}
		c.oneOf(at+".because", string(r.Because), wordsOf(ExclusionCauses()))
		c.words(at+".words", r.Words)
		r.When.wrong(c, at+".when", p.TimeZone)
		for j, level := range r.Levels {
			c.oneOf(fmt.Sprintf("%s.levels[%d]", at, j), level, AlertLevels())
		}
		c.check(len(r.Levels) == 0 || r.Because == ExclusionCause(WeatherAlert), at+".levels", "unused", "belongs to weather_alert only; remove it")
		if r.Because == WrongLocation {
			c.check(r.OverM >= 1 && r.OverM <= 1_000_000, at+".over_m", "range", "must be between 1 and 1000000 metres")
		} else {
			c.check(r.OverM == 0, at+".over_m", "unused", "belongs to wrong_location only; remove it")
		}
		shown := slices.ContainsFunc(r.Evidence, func(n EvidenceNeed) bool { return n.Kind == ShownToOwner })
		c.check(r.Because != ExclusionCause(StormMode) || shown, at+".evidence", "required",
			"must ask for shown_to_owner: storm mode excuses only what the owner knew when he asked")
		c.check(r.OwesPct >= 0 && r.OwesPct < 100, at+".owes_pct", "range", "must be between 0 and 99; an exclusion that owes everything is none")
		wrongEvidence(c, at+".evidence", r.Evidence)
		for j, n := range r.Evidence {
			at := fmt.Sprintf("%s.evidence[%d]", at, j)
			c.check(!n.First, at+".first", "unused", "belongs to pauses only; remove it")
			c.check(n.ApartS == 0, at+".apart_s", "unused", "belongs to pauses only; remove it")
			c.check(n.WithinS == 0, at+".within_s", "unused", "belongs to pauses only; remove it")
		}
	}
}
