package sla

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"rescued/events"
)

// PauseRule lets the clock stand still for one reason. A pause longer than
// LongestS seconds ends by itself; a reason without a rule never counts.
type PauseRule struct {
	Reason            PauseReason    `json:"reason" enum:"owner_unreachable,location_changed,owner_deciding,authority_release,road_closed,access_refused" doc:"Why the clock stands still."`
	Words             Words          `json:"words" doc:"The reason in words."`
	LongestS          int64          `json:"longest_s" doc:"Longest pause in seconds; it closes by itself then." minimum:"1"`
	OpenedBy          []events.Role  `json:"opened_by,omitempty" enum:"owner,crew,provider,partner,operator,admin,system" doc:"Who may open it; missing means anybody who may record one."`
	Evidence          []EvidenceNeed `json:"evidence,omitempty" doc:"What must bear it out; all of it is needed."`
	Retroactive       Retroactive    `json:"retroactive,omitempty" enum:"allowed,needs_approval,refused" doc:"Whether one that is recorded afterwards counts; missing means allowed."`
	RetroactiveAfterS int64          `json:"retroactive_after_s,omitempty" doc:"Recorded more than so many seconds after it began, it is retroactive."`
	Restarts          bool           `json:"restarts,omitempty" doc:"The clock begins anew when the pause ends, as when the owner has moved the place."`
}

// Retroactive says what becomes of a pause that is recorded afterwards.
type Retroactive string

// What becomes of a retroactive pause.
const (
	RetroAllowed       Retroactive = "allowed"
	RetroNeedsApproval Retroactive = "needs_approval"
	RetroRefused       Retroactive = "refused"
)

// EvidenceNeed is evidence without which a pause or an exclusion does not
// count.
type EvidenceNeed struct {
	Kind    EvidenceKind `json:"kind" enum:"call_unanswered,owner_confirmed,photo,document,official_notice,crew_position,shown_to_owner" doc:"What kind of evidence."`
	AtLeast int          `json:"at_least,omitempty" doc:"How many pieces of it; missing means one." minimum:"0"`
	WithinS int64        `json:"within_s,omitempty" doc:"Pauses only: not older than so many seconds when the pause began; missing means since the request."`
	ApartS  int64        `json:"apart_s,omitempty" doc:"Pauses only: pieces that lie less than so many seconds apart count once; missing means those of the same moment." minimum:"0"`
	First   bool         `json:"first,omitempty" doc:"Pauses only: the clock stands still only from when this evidence is complete. Otherwise it may follow until the pause ends."`
}

func (n EvidenceNeed) count() int { return max(1, n.AtLeast) }

// apart leaves of the pieces of evidence, in the order of their times, those
// that count: each lies far enough from the one before. Two attempts at the
// very same moment are one attempt told twice, whoever recorded them.
func (n EvidenceNeed) apart(found []Fact) (count []Fact) {
	least := max(seconds(n.ApartS), time.Microsecond)
	for _, e := range found {
		if len(count) == 0 || e.At.Sub(count[len(count)-1].At) >= least {
			count = append(count, e)
		}
	}
	return count
}

// once says which pieces count as one.
func (n EvidenceNeed) once() Words {
	if n.ApartS == 0 {
		return Words{"同一时刻的只计一次", "those of the same moment count once"}
	}
	apart := seconds(n.ApartS)
	return Words{"相隔不足 " + spanZH(apart) + " 的只计一次", "those less than " + spanEN(apart) + " apart count once"}
}

// pause is one stretch in which the clock stood still, or was said to.
type pause struct {
	from, to time.Time
	until    time.Time // when it ended, as told; zero while it lasts, and later than to when that was too long
	rule     *PauseRule
	proof    []Fact // the evidence that bears it out
	against  Words  // why it does not count; empty when it does
}

// pauses are the pauses told, each cut to its longest length and to the moment
// the clock was stopped, by their beginning; and those that do not count. Told
// as open and as ended, a pause has ended; told with two ends, it ended at the
// first.
func (p Policy) pauses(opened time.Time, facts []Fact, stopped time.Time) (count, refused []pause) {
	type key struct {
		at     time.Time
		reason string
		ref    uuid.UUID
	}
	told := map[key]*Fact{} // as first said, with the earliest end
	var order []key
	for _, f := range facts {
		if f.Kind != FactPaused {
			continue
		}
		k := key{f.At, f.Source, f.Ref}
		was, ok := told[k]
		if !ok {
			told[k] = &f
			order = append(order, k)
			continue
		}
		end := sooner(was.Until, f.Until)
		if was.Until.IsZero() || f.Until.IsZero() {
			end = later(was.Until, f.Until)
		}
		// Who opened it is who said it first; of two at once, the first by name.
		if f.said().Before(was.said()) || f.said().Equal(was.said()) && f.By < was.By {
			*was = f
		}
		was.Until = end
	}
	for _, k := range order {
		f := *told[k]
		ps := pause{from: f.At, until: f.Until, rule: p.pause(PauseReason(f.Source))}
		if ps.rule == nil {
			ps.against = Words{"本方案没有此暂停理由：" + f.Source, "this policy knows no such reason: " + f.Source}
			refused = append(refused, ps)
			continue
		}
		ps.to = f.At.Add(seconds(ps.rule.LongestS))
		if !f.Until.IsZero() {
			ps.to = sooner(ps.to, f.Until)
		}
		if ps.rule.weigh(&ps, f, opened, facts); ps.against != (Words{}) {
			refused = append(refused, ps)
			continue
		}
		if !stopped.IsZero() {
			ps.to = sooner(ps.to, stopped)
		}
		count = append(count, ps)
	}
	// Evidence may have moved a beginning.
	slices.SortStableFunc(count, func(a, b pause) int { return a.from.Compare(b.from) })
	return count, refused
}

// weigh says why a pause does not count, or moves its beginning to where its
// evidence was complete.
func (r *PauseRule) weigh(ps *pause, f Fact, opened time.Time, facts []Fact) {
	if len(r.OpenedBy) > 0 && !slices.Contains(r.OpenedBy, f.By) {
		ps.against = Words{"此理由不得由其提出：" + roleWords(f.By).ZH, "it may not be opened by " + roleWords(f.By).EN}
		return
	}
	if after := f.said().Sub(f.At); r.Retroactive != "" && r.Retroactive != RetroAllowed && after > seconds(r.RetroactiveAfterS) {
		if r.Retroactive == RetroRefused {
			ps.against = Words{"事后 " + spanZH(after) + " 才补录，不予认可", "it was recorded " + spanEN(after) + " after it began, which is too late"}
			return
		}
		if !approved(facts, f.Ref) {
			ps.against = Words{"事后 " + spanZH(after) + " 补录，尚未批准", "it was recorded " + spanEN(after) + " after it began and nobody has approved it"}
			return
		}
	}
	for _, need := range r.Evidence {
		since := opened
		if need.WithinS > 0 {
			since = f.At.Add(-seconds(need.WithinS))
		}
		var found []Fact
		for _, e := range facts {
			if e.Kind == FactEvidence && e.Source == string(need.Kind) && (e.Ref == uuid.Nil || e.Ref == f.Ref) &&
				!e.At.Before(since) && !e.At.After(ps.to) {
				found = append(found, e)
			}
		}
		all := len(found)
		if found = need.apart(found); len(found) < need.count() {
			ps.against = lacking(need, len(found))
			if len(found) < all {
				w := need.once()
				ps.against = Words{ps.against.ZH + "（" + w.ZH + "）", ps.against.EN + " (" + w.EN + ")"}
			}
			return
		}
		if need.First {
			ps.from = later(ps.from, found[need.count()-1].At)
		}
		ps.proof = append(ps.proof, found...)
	}
	if !ps.from.Before(ps.to) && len(r.Evidence) > 0 && f.At.Before(ps.to) {
		ps.against = Words{"证据齐备时暂停已结束", "it was over before its evidence was complete"}
	}
}

// approved reports whether a second person approved what ref names.
func approved(facts []Fact, ref uuid.UUID) bool {
	return ref != uuid.Nil && slices.ContainsFunc(facts, func(f Fact) bool { return f.Kind == FactApproved && f.Ref == ref })
}

func (p Policy) pause(reason PauseReason) *PauseRule {
	for i := range p.Pauses {
		if p.Pauses[i].Reason == reason {
			return &p.Pauses[i]
		}
	}
	return nil
}

// pauseRoles are those whose word may open a pause.
var pauseRoles = []events.Role{
	events.RoleOwner, events.RoleCrew, events.RoleProvider, events.RolePartner, events.RoleOperator, events.RoleAdmin, events.RoleSystem,
}

func (p Policy) wrongPauses(c *complaints) {
	seen := map[PauseReason]int{}
	for i, r := range p.Pauses {
		at := fmt.Sprintf("pauses[%d]", i)
		c.oneOf(at+".reason", string(r.Reason), wordsOf(PauseReasons()))
		if first, twice := seen[r.Reason]; twice {
			c.add(at+".reason", "repeated", "%q is already the reason of pauses[%d]", r.Reason, first)
		} else {
			seen[r.Reason] = i
		}
		c.words(at+".words", r.Words)
		c.check(r.LongestS >= 1 && r.LongestS <= maxSeconds, at+".longest_s", "range", "must be between 1 and %d seconds", maxSeconds)
		for j, role := range r.OpenedBy {
			c.oneOf(fmt.Sprintf("%s.opened_by[%d]", at, j), string(role), wordsOf(pauseRoles))
		}
		if r.Retroactive != "" {
			c.oneOf(at+".retroactive", string(r.Retroactive), wordsOf([]Retroactive{RetroAllowed, RetroNeedsApproval, RetroRefused}))
		}
		c.check(r.RetroactiveAfterS >= 0 && r.RetroactiveAfterS <= maxSeconds, at+".retroactive_after_s", "range", "must be between 0 and %d seconds", maxSeconds)
		wrongEvidence(c, at+".evidence", r.Evidence)
	}
}

func wrongEvidence(c *complaints, at string, needs []EvidenceNeed) {
	for i, n := range needs {
		at := fmt.Sprintf("%s[%d]", at, i)
		c.oneOf(at+".kind", string(n.Kind), wordsOf(EvidenceKinds()))
		c.check(n.AtLeast >= 0 && n.AtLeast <= 20, at+".at_least", "range", "must be between 1 and 20, or missing for one")
		c.check(n.ApartS >= 0 && n.ApartS <= maxSeconds, at+".apart_s", "range", "must be between 0 and %d seconds", maxSeconds)
		c.check(n.WithinS >= 0 && n.WithinS <= maxSeconds, at+".within_s", "range", "must be between 0 and %d seconds", maxSeconds)
	}
}
