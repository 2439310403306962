package sla

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rescued/events"
)

// Party is who is answerable for lost time. It is never a person: a crew's
// fault is its provider's, who knows what the crew was up against.
type Party string

// The parties.
const (
	PartyPlatform  Party = "platform"
	PartyProvider  Party = "provider"
	PartyOwner     Party = "owner"
	PartyAuthority Party = "authority"
	PartyWeather   Party = "weather"
)

// Parties lists every party.
func Parties() []Party {
	return []Party{PartyPlatform, PartyProvider, PartyOwner, PartyAuthority, PartyWeather}
}

// PhaseKind names a stretch of the wait.
type PhaseKind string

// The phases of a wait.
const (
	PhaseAssignment PhaseKind = "assignment" // until a crew was bound
	PhaseReassign   PhaseKind = "reassign"   // with a crew that did not come, and until the next could be bound
	PhaseTurnout    PhaseKind = "turnout"    // until the crew that came set out
	PhaseTravel     PhaseKind = "travel"     // its drive
)

// Phase is a stretch of the wait and what of it was too long.
type Phase struct {
	Kind       PhaseKind         `json:"kind" enum:"assignment,reassign,turnout,travel"`
	From       time.Time         `json:"from"`
	To         time.Time         `json:"to"`
	CrewID     events.CrewID     `json:"crew_id,omitzero"`
	ProviderID events.ProviderID `json:"provider_id,omitzero"`
	TookS      int64             `json:"took_s" doc:"Seconds in which the clock ran: pauses are taken out."`
	AllowedS   int64             `json:"allowed_s" doc:"Of them allowed; -1 when nothing is known to measure it by."`
	LostS      int64             `json:"lost_s" doc:"What was beyond."`

	allowed time.Duration // negative: nothing known
	party   Party         // whose loss it is, unless something outranks it
}

// Fault is a party's part in a lateness.
type Fault struct {
	Party      Party             `json:"party" enum:"platform,provider,owner,authority,weather"`
	ProviderID events.ProviderID `json:"provider_id,omitzero" doc:"Which provider."`
	Pct        int               `json:"pct" doc:"Its part, in percent; all parts together are 100."`
	LostS      int64             `json:"lost_s" doc:"Seconds it lost."`

	lost time.Duration
}

// Attribution says by whom a late arrival was late: the phases of the wait
// with what each was allowed, and each party's part in percent. The zero
// value is that of a promise that was not broken.
type Attribution struct {
	Phases  []Phase         `json:"phases" nullable:"false"`
	Faults  []Fault         `json:"faults" nullable:"false" doc:"The greatest part first; together 100 percent."`
	Reasons []events.Reason `json:"reasons" nullable:"false" doc:"The same in words, line by line."`
}

// Pct is a provider's part in percent.
func (a Attribution) Pct(id events.ProviderID) int {
	for _, f := range a.Faults {
		if f.Party == PartyProvider && f.ProviderID == id {
			return f.Pct
		}
	}
	return 0
}

// Attribute works out who lost the time of a broken promise: a function of
// the timeline, its verdict and the policy alone.
//
// The wait is cut into phases, and each phase is allowed some time. What it
// took beyond is lost, to the platform while nobody was bound and to the
// crew's provider while one was; a crew that did not come loses all the time
// it had the request: to its provider if it gave it back or could not go on, to
// the owner if he asked for another, and to the platform if the platform took it
// away by its own choice. Time in which the clock stood still is
// nobody's. Something outside outranks whoever had the request: what is lost
// while the owner or an authority held things up beyond the longest pause,
// while a road was closed, under a grave weather alert or in storm mode, or on
// a drive to a place the owner had told wrongly. Percentages are the parts of
// the lost time; where no phase was too long the plan was, and that is the
// platform's.
func (p Policy) Attribute(t Timeline, v Verdict) Attribution {
	if v.Outcome != OutcomeLate {
		return Attribution{Phases: []Phase{}, Faults: []Fault{}, Reasons: []events.Reason{}}
	}
	facts, rule := setOf(t.Facts), p.attribution()
	ran := p.clock(t, facts, v.StoppedAt)
	pauses := ran.pauses
	above := outranking(facts, rule, pauses, v.StoppedAt)
	phases := phasesOf(facts, rule, ran.started, v.StoppedAt)
	lost := map[Fault]time.Duration{}
	for i := range phases {
		ph := &phases[i]
		took, tail := ph.spans(pauses)
		ph.TookS, ph.AllowedS = int64(took/time.Second), int64(ph.allowed/time.Second)
		if ph.allowed < 0 {
			ph.AllowedS = -1
		}
		var sum time.Duration
		for _, s := range tail {
			sum += s.to.Sub(s.from)
			for who, d := range s.split(ph, above, rule, facts) {
				lost[who] += d
			}
		}
		ph.LostS = int64(sum / time.Second)
	}
	a := Attribution{Phases: phases, Faults: parts(lost)}
	a.Reasons = a.explain()
	return a
}

// parts turns lost time into percentages that sum to 100: what rounding down
// leaves over goes to the largest remainders, equal ones by party. Whoever comes
// to nothing is not named.
func parts(lost map[Fault]time.Duration) []Fault {
	var total time.Duration
	var list []Fault
	for who, d := range lost {
		if d > 0 {
			who.lost, who.LostS = d, int64(d/time.Second)
			list = append(list, who)
			total += d
		}
	}
	if total == 0 {
		return []Fault{{Party: PartyPlatform, Pct: 100}}
	}
	slices.SortFunc(list, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(b.lost, a.lost), cmp.Compare(slices.Index(Parties(), a.Party), slices.Index(Parties(), b.Party)), a.ProviderID.Compare(b.ProviderID))
	})
	left, order := 100, make([]int, len(list))
	remainder := func(f Fault) time.Duration { return f.lost * 100 % total }
	for i := range list {
		order[i] = i
		list[i].Pct = int(list[i].lost * 100 / total)
		left -= list[i].Pct
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainder(list[b]), remainder(list[a])) })
	for _, i := range order[:left] {
		list[i].Pct++
	}
	return slices.DeleteFunc(list, func(f Fault) bool { return f.Pct == 0 })
}

var (
	partyWords = map[Party]Words{
		PartyPlatform: {"平台", "platform"}, PartyProvider: {"服务商", "provider"}, PartyOwner: {"车主", "owner"},
		PartyAuthority: {"管理部门", "authority"}, PartyWeather: {"天气", "weather"},
	}
	phaseWords = map[PhaseKind]Words{
		PhaseAssignment: {"派单", "Assignment"}, PhaseReassign: {"改派", "Reassignment"},
		PhaseTurnout: {"出车", "Turnout"}, PhaseTravel: {"路途", "Travel"},
	}
)

// reassignWords say on whose account a crew that had the request did not come.
var reassignWords = map[Party]Words{
	PartyProvider: {"救援人员退出", "the crew gave it back or could not go on"},
	PartyOwner:    {"车主要求换人", "the owner asked for another crew"},
	PartyPlatform: {"平台改派", "the platform sent another"},
}

// explain tells the figures in words.
func (a Attribution) explain() []events.Reason {
	var lines []events.Reason
	for _, ph := range a.Phases {
		w, took, allowed, lost := phaseWords[ph.Kind], seconds(ph.TookS), seconds(ph.AllowedS), seconds(ph.LostS)
		zh := fmt.Sprintf("%s用时 %s，允许 %s", w.ZH, spanZH(took), spanZH(allowed))
		en := fmt.Sprintf("%s took %s, %s allowed", w.EN, spanEN(took), spanEN(allowed))
		if ph.AllowedS < 0 {
			zh, en = fmt.Sprintf("%s用时 %s，无预计时间可比", w.ZH, spanZH(took)), fmt.Sprintf("%s took %s, nothing known to measure it by", w.EN, spanEN(took))
		}
		if why, told := reassignWords[ph.party]; told && ph.Kind == PhaseReassign {
			zh, en = zh+"（"+why.ZH+"）", en+" ("+why.EN+")"
		}
		if ph.LostS > 0 {
			zh, en = zh+"，超出 "+spanZH(lost), en+", over by "+spanEN(lost)
		}
		lines = append(lines, line(ph.From, "phase_"+string(ph.Kind), zh, en))
	}
	for _, f := range a.Faults {
		w := partyWords[f.Party]
		zh, en := fmt.Sprintf("%s责任 %d%%（%s）", w.ZH, f.Pct, spanZH(seconds(f.LostS))), fmt.Sprintf("Fault of the %s: %d%% (%s)", w.EN, f.Pct, spanEN(seconds(f.LostS)))
		if f.LostS == 0 && f.Pct == 100 {
			zh, en = "各阶段均未超出允许时间，所派救援本已来不及：平台责任 100%", "No phase was too long, the crew sent could not have been in time: fault of the platform: 100%"
		}
		lines = append(lines, events.Reason{Code: "fault_" + string(f.Party), ZH: zh, EN: en})
	}
	return lines
}
