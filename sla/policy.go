package sla

import (
	"time"

	"rescued/events"
)

// Policy says what is promised and what a broken promise pays. It is plain
// data: a versioned JSON document, stored once, pinned by every guarantee
// that was given under it, and never edited. Make one with ParsePolicy, which
// refuses what cannot be meant; the methods of a Policy trust that check.
type Policy struct {
	Name          string     `json:"name" doc:"Stable name, such as example-45." example:"example-45" pattern:"^[a-z][a-z0-9_-]{0,62}$"`
	Version       int        `json:"version" doc:"Counts up from 1; a change is a new version." example:"1" minimum:"1"`
	Title         Words      `json:"title" doc:"What it promises, in a line."`
	EffectiveFrom *time.Time `json:"effective_from,omitempty" doc:"Requests accepted from this moment on may use it; missing means always."`
	EffectiveTo   *time.Time `json:"effective_to,omitempty" doc:"Requests accepted from this moment on may not use it; missing means until another version takes over."`
	AppliesTo     Match      `json:"applies_to,omitzero" doc:"Whom this policy is for, when another one is the service's own; missing means whoever no other policy names."`
	TimeZone      string     `json:"time_zone,omitempty" doc:"Time zone of hours, as the IANA database names it." example:"Asia/Shanghai"`

	ClockStart ClockStart    `json:"clock_start" enum:"request_accepted,location_confirmed,scheduled_time,motorway_handed_over" doc:"What starts the promise clock."`
	Waiting    StartMissing  `json:"while_start_missing,omitzero" doc:"What holds while the fact that starts the clock is not known; required unless the clock starts with acceptance."`
	Promises   []PromiseRule `json:"promises" doc:"The first rule that matches gives the promise; the last must match everything."`
	Pauses     []PauseRule   `json:"pauses" doc:"What may stop the clock for a while, and for how long at most."`
	ArrivalBy  ArrivalProof  `json:"arrival,omitzero" doc:"What proves an arrival; missing means that the earliest proof of any kind does."`
	GraceS     int64         `json:"grace_s" doc:"An arrival late by no more than this, in seconds, is on time. Beyond it, lateness counts from the deadline."`

	Compensation CompensationRule `json:"compensation" doc:"What lateness pays."`
	// LateCancellation is what an owner gets who gives up after the deadline.
	LateCancellation    PayKind         `json:"late_cancellation" enum:"tier_reached,nothing,fixed" doc:"What cancelling after the deadline pays: as an arrival at that moment would, nothing, or late_cancellation_fen."`
	LateCancellationFen Fen             `json:"late_cancellation_fen,omitempty" doc:"What it pays when fixed, in fen."`
	EarlyCancellation   PayRule         `json:"early_cancellation,omitzero" doc:"What cancelling before the deadline pays: nothing, also when missing, or a fixed amount."`
	GoneOnArrival       PayRule         `json:"gone_on_arrival,omitzero" doc:"What a late arrival at a place where the car is gone pays; missing means what any late arrival does."`
	NoCoverage          PayRule         `json:"no_coverage,omitzero" doc:"What is paid when it is called off because nobody can come; missing means what any cancellation pays."`
	Exclusions          []ExclusionRule `json:"exclusions,omitempty" doc:"What excuses a lateness; of those that hold, the first counts."`

	Approval    Approval         `json:"approval,omitzero" doc:"Which compensations finance must look at; missing means each one, and one approver is enough."`
	Bearers     Bearers          `json:"bearers,omitzero" doc:"Who bears a compensation; missing means the platform."`
	Caps        Caps             `json:"caps,omitzero" doc:"Most that is paid; missing means no limit."`
	Attribution *AttributionRule `json:"attribution,omitempty" doc:"From when on time counts as lost, and by whom; missing means 3 min to assign, 5 min to set out, 5 min beyond the expected arrival, 500 m, orange alert."`
}

// Words is a sentence in both languages of the pages.
type Words struct {
	ZH string `json:"zh" doc:"Chinese." minLength:"1"`
	EN string `json:"en" doc:"English." minLength:"1"`
}

// ClockStart is what starts the promise clock.
type ClockStart string

// What can start a clock. All but the first are facts that may come later, and
// a clock never starts before acceptance.
const (
	StartAccepted   ClockStart = "request_accepted"
	StartLocated    ClockStart = "location_confirmed"
	StartScheduled  ClockStart = "scheduled_time"       // the time help was agreed for
	StartHandedOver ClockStart = "motorway_handed_over" // a motorway's own service has brought the car to us
)

// ClockStarts lists what can start a clock.
func ClockStarts() []ClockStart {
	return []ClockStart{StartAccepted, StartLocated, StartScheduled, StartHandedOver}
}

// fact is the kind of fact that starts the clock; empty for acceptance.
func (s ClockStart) fact() FactKind {
	switch s {
	case StartLocated:
		return FactLocated
	case StartScheduled:
		return FactScheduled
	case StartHandedOver:
		return FactHandedOver
	}
	return ""
}

// StartMissing says what holds while the fact that starts the clock is not
// known.
type StartMissing struct {
	Then     MissingThen `json:"then" enum:"run,wait" doc:"run: the clock runs from acceptance, and anew from the fact if that comes before the deadline; wait: the clock does not run."`
	LongestS int64       `json:"longest_s,omitempty" doc:"With wait: the clock starts by itself so many seconds after acceptance; missing means that it waits without end."`
}

// MissingThen is what the clock does while its start is not known.
type MissingThen string

// What a clock does whose start is not known.
const (
	MissingRun  MissingThen = "run"
	MissingWait MissingThen = "wait"
)

// PromiseRule promises an arrival within Minutes to the requests it matches.
type PromiseRule struct {
	Rule       string       `json:"rule" doc:"Name of the rule, unique in the policy." example:"urban" pattern:"^[a-z][a-z0-9_-]{0,62}$"`
	When       Match        `json:"when" doc:"Whom it is for; an empty match is everybody."`
	Minutes    int          `json:"minutes" doc:"Promised response in minutes." example:"45" minimum:"1"`
	Reason     Words        `json:"reason" doc:"The rule in words, as the owner reads it."`
	ClockStart ClockStart   `json:"clock_start,omitempty" enum:"request_accepted,location_confirmed,scheduled_time,motorway_handed_over" doc:"What starts the clock of these requests; missing means what the policy says."`
	Waiting    StartMissing `json:"while_start_missing,omitzero" doc:"As in the policy; needed with a clock_start of its own, unless that is acceptance."`
}

// ArrivalProof says what proves an arrival.
type ArrivalProof struct {
	Evidence      []string `json:"evidence" enum:"gps,code,tap,owner,operator" doc:"Kinds of proof that stop the clock, the best first. Of a crew's arrival the best kind there is decides the time. A kind not listed does not stop the clock."`
	DisagreementS int64    `json:"disagreement_s,omitempty" doc:"Proofs of one arrival that lie further apart than this, in seconds, are for a person to look at; missing means never."`
}

// PayKind names what an ending other than an arrival pays.
type PayKind string

// What can be paid.
const (
	PayTierReached PayKind = "tier_reached" // as an arrival at that moment would
	PayNothing     PayKind = "nothing"
	PayFixed       PayKind = "fixed"
)

// PayRule is what one way of ending pays; the zero rule is no rule.
type PayRule struct {
	Pays PayKind `json:"pays" enum:"tier_reached,nothing,fixed" doc:"tier_reached: as an arrival at that moment would."`
	Fen  Fen     `json:"fen,omitempty" doc:"The fixed amount, in fen."`
}

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

// Promise is what the owner of a request accepted at that moment is shown:
// the first rule that matches, its minutes, and the deadline they make. When
// the clock starts with something that has not happened yet, that is the
// earliest the deadline can be.
func (p Policy) Promise(at time.Time, facts Facts) events.Promise {
	rule := p.Promises[len(p.Promises)-1] // matches everything
	for _, r := range p.Promises {
		if r.When.holds(micro(at), facts, p.zone()) {
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

// rule finds a promise rule by its name, and its number from 1; nil when the
// policy has none such.
func (p Policy) rule(name string) (*PromiseRule, int) {
	for i := range p.Promises {
		if p.Promises[i].Rule == name {
			return &p.Promises[i], i + 1
		}
	}
	return nil, 0
}

// starting is what starts the clock of a promise by that rule, and what holds
// until it is known.
func (p Policy) starting(rule string) (ClockStart, StartMissing) {
	if r, _ := p.rule(rule); r != nil && r.ClockStart != "" {
		return r.ClockStart, r.Waiting
	}
	return p.ClockStart, p.Waiting
}

func (p Policy) grace() time.Duration { return seconds(p.GraceS) }

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// micro is a time as it is stored and compared: UTC, whole microseconds.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
