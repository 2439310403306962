package sla

import (
	"slices"
	"time"

	"rescued/events"
)

// Policy says what is promised and what a broken promise pays. It is plain
// data: a versioned JSON document, stored once, pinned by every guarantee
// that was given under it, and never edited. Make one with ParsePolicy, which
// refuses what cannot be meant; the methods of a Policy trust that check.
type Policy struct {
	Name          string           `json:"name" doc:"Stable name, such as example-45." example:"example-45"`
	Version       int              `json:"version" doc:"Counts up from 1; a change is a new version." example:"1"`
	Title         Words            `json:"title" doc:"What it promises, in a line."`
	EffectiveFrom *time.Time       `json:"effective_from,omitempty" doc:"Requests accepted from this moment on may use it; missing means always."`
	ClockStart    ClockStart       `json:"clock_start" enum:"request_accepted" doc:"What starts the promise clock."`
	Promises      []PromiseRule    `json:"promises" doc:"The first rule that matches gives the promise; the last must match everything."`
	Pauses        []PauseRule      `json:"pauses" doc:"What may stop the clock for a while, and for how long at most."`
	GraceS        int64            `json:"grace_s" doc:"An arrival late by no more than this, in seconds, is on time. Beyond it, lateness counts from the deadline."`
	Compensation  CompensationRule `json:"compensation" doc:"What lateness pays."`
	// LateCancellation is what an owner gets who gives up after the deadline.
	// Cancelling before the deadline always pays nothing.
	LateCancellation CancellationRule `json:"late_cancellation" enum:"tier_reached,nothing" doc:"What cancelling after the deadline pays; before it, nothing is owed."`
	Approval         Approval         `json:"approval,omitzero" doc:"Which compensations finance must look at; missing means each one, and one approver is enough."`
	Bearers          Bearers          `json:"bearers,omitzero" doc:"Who bears a compensation; missing means the platform."`
	Caps             Caps             `json:"caps,omitzero" doc:"Most that is paid; missing means no limit."`
}

// Words is a sentence in both languages of the pages.
type Words struct {
	ZH string `json:"zh" doc:"Chinese."`
	EN string `json:"en" doc:"English."`
}

// ClockStart is what starts the promise clock.
type ClockStart string

// StartAccepted starts the clock when the request is accepted.
const StartAccepted ClockStart = "request_accepted"

// PromiseRule promises an arrival within Minutes to the requests it matches.
type PromiseRule struct {
	Rule    string `json:"rule" doc:"Name of the rule, unique in the policy." example:"urban"`
	When    Match  `json:"when" doc:"Whom it is for; an empty match is everybody."`
	Minutes int    `json:"minutes" doc:"Promised response in minutes." example:"45"`
	Reason  Words  `json:"reason" doc:"The rule in words, as the owner reads it."`
}

// Match narrows a rule. A list that is missing or empty matches anything; all
// lists given must match.
type Match struct {
	Tiers       []string           `json:"tiers,omitempty" doc:"urban, county"`
	RoadClasses []string           `json:"road_classes,omitempty" doc:"urban, rural, motorway"`
	Problems    []string           `json:"problems,omitempty" doc:"As in a request."`
	Priorities  []int              `json:"priorities,omitempty" doc:"0 danger to life, 1 exposed, 2 normal"`
	Areas       []string           `json:"areas,omitempty" doc:"Area identifiers."`
	Partners    []events.PartnerID `json:"partners,omitempty" doc:"Partners whose requests these are."`
}

// PauseRule lets the clock stand still for one reason. A pause longer than
// LongestS seconds ends by itself; a reason without a rule never counts.
type PauseRule struct {
	Reason   string `json:"reason" doc:"Stable code, such as owner_unreachable."`
	Words    Words  `json:"words" doc:"The reason in words."`
	LongestS int64  `json:"longest_s" doc:"Longest pause in seconds."`
}

// CompensationKind names a way to work out an amount.
type CompensationKind string

// KindTiers pays a fixed amount per band of lateness.
const KindTiers CompensationKind = "tiers"

// CompensationRule is how lateness becomes money.
type CompensationRule struct {
	Kind  CompensationKind `json:"kind" enum:"tiers" doc:"How the amount is worked out."`
	Tiers []Tier           `json:"tiers" doc:"Bands of lateness, joined without gap or overlap; the last has no end."`
}

// Tier pays Fen for a lateness of more than OverS and at most UpToS seconds:
// exactly ten minutes late is still the tier that goes up to ten minutes.
type Tier struct {
	OverS int64  `json:"over_s" doc:"Later than this, in seconds."`
	UpToS *int64 `json:"up_to_s,omitempty" doc:"And at most this late, in seconds; missing in the last tier."`
	Fen   Fen    `json:"fen" doc:"Owed, in fen."`
}

// CancellationRule is what a cancellation after the deadline pays.
type CancellationRule string

const (
	PayTierReached CancellationRule = "tier_reached" // as an arrival at that moment would
	PayNothing     CancellationRule = "nothing"
)

// Facts is what a promise may depend on, besides the moment.
type Facts struct {
	Area      string
	Tier      string
	RoadClass string
	Problem   string
	Priority  int
	PartnerID events.PartnerID // zero when the owner asked by himself
	Product   string           // what the owner has bought, such as a plan; empty when not told
	Weather   string           // the gravest declared weather mode, of WeatherModes; empty is normal
}

// The weather modes besides the levels of an alert.
const (
	WeatherNormal = "normal"
	WeatherStorm  = "storm" // storm mode was declared
)

// WeatherModes lists the weather modes, the lightest first: normal, the level
// of the gravest weather alert in force, or storm.
func WeatherModes() []string {
	return append(append([]string{WeatherNormal}, AlertLevels()...), WeatherStorm)
}

// Promise is what the owner of a request accepted at that moment is shown:
// the first rule that matches, its minutes, and the deadline they make.
func (p Policy) Promise(at time.Time, facts Facts) events.Promise {
	rule := p.Promises[len(p.Promises)-1] // matches everything
	for _, r := range p.Promises {
		if r.When.holds(facts) {
			rule = r
			break
		}
	}
	return events.Promise{
		Minutes:       rule.Minutes,
		DueAt:         micro(at).Add(time.Duration(rule.Minutes) * time.Minute),
		Policy:        p.Name,
		PolicyVersion: p.Version,
		Rule:          rule.Rule,
		Reason:        rule.Reason.EN,
		Weather:       facts.Weather,
	}
}

func (m Match) holds(f Facts) bool {
	return among(m.Tiers, f.Tier) && among(m.RoadClasses, f.RoadClass) && among(m.Problems, f.Problem) &&
		among(m.Priorities, f.Priority) && among(m.Areas, f.Area) && among(m.Partners, f.PartnerID)
}

func (m Match) everything() bool {
	return len(m.Tiers)+len(m.RoadClasses)+len(m.Problems)+len(m.Priorities)+len(m.Areas)+len(m.Partners) == 0
}

func among[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// pay is the amount for a lateness beyond the grace, and the number of its
// tier, from 1.
func (c CompensationRule) pay(late time.Duration) (Fen, int) {
	for i, t := range c.Tiers {
		if t.UpToS == nil || late <= seconds(*t.UpToS) {
			return t.Fen, i + 1
		}
	}
	return 0, 0
}

// rule finds a promise rule by its name; nil when the policy has none such.
func (p Policy) rule(name string) *PromiseRule {
	for i := range p.Promises {
		if p.Promises[i].Rule == name {
			return &p.Promises[i]
		}
	}
	return nil
}

func (p Policy) grace() time.Duration { return seconds(p.GraceS) }

func (p Policy) pause(reason string) *PauseRule {
	for i := range p.Pauses {
		if p.Pauses[i].Reason == reason {
			return &p.Pauses[i]
		}
	}
	return nil
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// micro is a time as it is stored and compared: UTC, whole microseconds.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
