package sla

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"rescued/events"
)

// FactKind is what a fact of a timeline tells.
type FactKind string

// The facts that dispatch tells.
const (
	FactOffered   FactKind = "offered"   // a crew was asked; Until is its expected arrival
	FactLapsed    FactKind = "lapsed"    // the crew did not take it
	FactAssigned  FactKind = "assigned"  // the crew took it; Until is its expected arrival, Provider whose crew it is
	FactDeparted  FactKind = "departed"  // the crew set out
	FactArrived   FactKind = "arrived"   // help was there, proven; Source says by what
	FactReleased  FactKind = "released"  // the crew no longer has it; Source is the state it was in, By on whose account: who took or gave it back, or whom the desk put it down to
	FactCancelled FactKind = "cancelled" // it was called off
	FactFinished  FactKind = "finished"  // the crew reported the end of its work; Source is the outcome
)

// The facts that people and other systems record. Pauses, conditions and
// evidence carry a Ref by which later facts speak of them: nothing recorded is
// ever changed, it is approved or withdrawn by another fact.
const (
	FactPaused     FactKind = "paused"      // the clock stood still until Until, or still does; Source is the PauseReason
	FactCondition  FactKind = "condition"   // it was so from At to Until, or still is; Source is the Condition, Level an alert's
	FactEvidence   FactKind = "evidence"    // Source is the EvidenceKind; Ref what it is about, zero: whatever needs it
	FactApproved   FactKind = "approved"    // what Ref names was approved by a second person
	FactWithdrawn  FactKind = "withdrawn"   // what Ref names was a mistake and never counted
	FactLocated    FactKind = "located"     // the place was confirmed
	FactScheduled  FactKind = "scheduled"   // help was agreed for Until; At is when that was said
	FactHandedOver FactKind = "handed_over" // a motorway's own service brought the car to where we may help
	FactMislocated FactKind = "mislocated"  // the car stood Metres away from where the owner had said
	FactNoCoverage FactKind = "no_coverage" // nobody can come; if it is called off from then on, that is why
	FactPriced     FactKind = "priced"      // the rescue costs Fen; the last told counts
)

// FactKinds lists every kind.
func FactKinds() []FactKind {
	return []FactKind{
		FactOffered, FactLapsed, FactAssigned, FactDeparted, FactArrived, FactReleased, FactCancelled, FactFinished,
		FactPaused, FactCondition, FactEvidence, FactApproved, FactWithdrawn, FactLocated, FactScheduled,
		FactHandedOver, FactMislocated, FactNoCoverage, FactPriced,
	}
}

// PauseReason is why a clock stands still.
type PauseReason string

// The reasons a policy can give a rule for.
const (
	OwnerUnreachable PauseReason = "owner_unreachable" // called in vain
	LocationChanged  PauseReason = "location_changed"  // the owner moved the place
	OwnerDeciding    PauseReason = "owner_deciding"    // we wait for the owner's decision
	AuthorityRelease PauseReason = "authority_release" // police or another authority has not released the car
	RoadClosed       PauseReason = "road_closed"       // the way is shut
	AccessRefused    PauseReason = "access_refused"    // a garage or site lets nobody in
)

// PauseReasons lists every reason.
func PauseReasons() []PauseReason {
	return []PauseReason{OwnerUnreachable, LocationChanged, OwnerDeciding, AuthorityRelease, RoadClosed, AccessRefused}
}

// Condition is something declared for a region and a time, and so for the
// requests there and then.
type Condition string

// The conditions that can be declared.
const (
	WeatherAlert Condition = "weather_alert" // Level is its AlertLevel
	Closure      Condition = "closure"       // roads are shut
	RemoteArea   Condition = "remote_area"   // nobody can be there in time
	StormMode    Condition = "storm_mode"    // the network is overwhelmed, and owners are told so
)

// Conditions lists every condition.
func Conditions() []Condition { return []Condition{WeatherAlert, Closure, RemoteArea, StormMode} }

// AlertLevels lists the levels of a weather alert, the lightest first.
func AlertLevels() []string { return []string{"blue", "yellow", "orange", "red"} }

// EvidenceKind is what bears out a pause or a condition.
type EvidenceKind string

// The kinds of evidence.
const (
	CallUnanswered EvidenceKind = "call_unanswered" // a recorded attempt to reach the owner
	OwnerConfirmed EvidenceKind = "owner_confirmed" // the owner says so himself
	Photo          EvidenceKind = "photo"
	Document       EvidenceKind = "document"        // such as the release of an authority
	OfficialNotice EvidenceKind = "official_notice" // such as a published alert
	CrewPosition   EvidenceKind = "crew_position"   // where the crew was bears it out
	ShownToOwner   EvidenceKind = "shown_to_owner"  // the owner saw it before he asked
)

// EvidenceKinds lists every kind of evidence.
func EvidenceKinds() []EvidenceKind {
	return []EvidenceKind{CallUnanswered, OwnerConfirmed, Photo, Document, OfficialNotice, CrewPosition, ShownToOwner}
}

// Fact is one thing that happened to a request, with the time at which it
// happened. Facts are equal when they say the same.
type Fact struct {
	Kind   FactKind
	At     time.Time
	Until  time.Time     // offered, assigned, paused, condition, scheduled; zero otherwise, and while it lasts
	Crew   events.CrewID // whose; zero for what is no crew's
	Source string

	Ref    uuid.UUID   // which pause or condition this is, or speaks of; zero for none
	By     events.Role // in what capacity somebody said it; empty when dispatch told it by itself
	SaidAt time.Time   // when it was recorded; zero: as it happened
	Level  string      // of a weather alert
	Metres int64       // of mislocated
	Fen    Fen         // of priced

	Provider events.ProviderID // of assigned: whose crew it is; zero when not told
	Record   uuid.UUID         // of evidence: which recording it is, so that it can be withdrawn by itself; zero otherwise
}

// said is when a fact was recorded.
func (f Fact) said() time.Time {
	if f.SaidAt.IsZero() {
		return f.At
	}
	return f.SaidAt
}

// setOf sorts facts by when they happened, normalises their times, drops
// repetitions and what was withdrawn; everything after it sees one and the
// same list, however the facts were heard.
func setOf(heard []Fact) []Fact {
	facts := slices.Clone(heard)
	withdrawn := map[uuid.UUID]bool{}
	for i := range facts {
		f := &facts[i]
		f.At, f.Until, f.SaidAt = micro(f.At), microOrZero(f.Until), microOrZero(f.SaidAt)
		if f.Kind == FactWithdrawn {
			withdrawn[f.Ref] = true
		}
	}
	if len(withdrawn) > 0 {
		facts = slices.DeleteFunc(facts, func(f Fact) bool {
			return f.Ref != uuid.Nil && withdrawn[f.Ref] || f.Record != uuid.Nil && withdrawn[f.Record]
		})
	}
	slices.SortFunc(facts, compareFacts)
	return slices.Compact(facts)
}

func compareFacts(a, b Fact) int {
	if c := cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(sourceRank(a), sourceRank(b))); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(a.Source, b.Source),
		a.Crew.Compare(b.Crew),
		a.Until.Compare(b.Until),
		bytes.Compare(a.Ref[:], b.Ref[:]),
		a.SaidAt.Compare(b.SaidAt),
		cmp.Compare(a.By, b.By),
		cmp.Compare(a.Level, b.Level),
		cmp.Compare(a.Metres, b.Metres),
		cmp.Compare(a.Fen, b.Fen),
		a.Provider.Compare(b.Provider),
		bytes.Compare(a.Record[:], b.Record[:]),
	)
}

// sourceRank puts the better proof of one and the same moment first.
func sourceRank(f Fact) int {
	if f.Kind == FactArrived {
		if i := slices.Index(arrivalSources, f.Source); i >= 0 {
			return i
		}
		return len(arrivalSources)
	}
	return 0
}

var arrivalSources = []string{"gps", "code", "owner", "tap", "operator"}

func microOrZero(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return micro(t)
}
