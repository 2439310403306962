package sla

import (
	"slices"
	"time"

	"rescued/events"
)

// stretch is a stretch of time.
type stretch struct{ from, to time.Time }

// without cuts another stretch out of s.
func (s stretch) without(o stretch) []stretch {
	if !o.from.Before(s.to) || !s.from.Before(o.to) {
		return []stretch{s}
	}
	var left []stretch
	if s.from.Before(o.from) {
		left = append(left, stretch{s.from, o.from})
	}
	if o.to.Before(s.to) {
		left = append(left, stretch{o.to, s.to})
	}
	return left
}

// overlap is the length both have in common.
func (s stretch) overlap(o stretch) time.Duration {
	return max(0, sooner(s.to, o.to).Sub(later(s.from, o.from)))
}

// phasesOf cuts the wait from started to stopped. A crew has the request from
// its assignment until it is released, another is assigned, or the clock
// stops.
func phasesOf(facts []Fact, rule AttributionRule, started, stopped time.Time) []Phase {
	var phases []Phase
	add := func(ph Phase) {
		ph.From, ph.To = later(ph.From, started), sooner(ph.To, stopped)
		if ph.From.Before(ph.To) {
			phases = append(phases, ph)
		}
	}
	var bound []Fact
	for _, f := range facts {
		if f.Kind == FactAssigned && f.At.Before(stopped) {
			bound = append(bound, f)
		}
	}
	if len(bound) == 0 {
		add(Phase{Kind: PhaseAssignment, From: started, To: stopped, allowed: seconds(rule.AssignmentS), party: PartyPlatform})
		return phases
	}
	add(Phase{Kind: PhaseAssignment, From: started, To: bound[0].At, allowed: seconds(rule.AssignmentS), party: PartyPlatform})
	for i, b := range bound {
		next := stopped
		if i+1 < len(bound) {
			next = bound[i+1].At
		}
		end, party := next, PartyPlatform
		release := endedBy(facts, FactReleased, b)
		if release != nil && release.At.Before(next) {
			end = release.At
		}
		if end.Equal(stopped) { // the crew that came, or whom the owner waited for in the end
			for _, ph := range drive(facts, rule, b, stopped) {
				add(ph)
			}
			continue
		}
		if release != nil {
			switch release.By {
			case events.RoleCrew, events.RoleProvider:
				party = PartyProvider
			case events.RoleOwner:
				party = PartyOwner
			}
		}
		// What binding another crew may take is lost by whoever made it
		// necessary; what it takes beyond that, by the platform.
		again := sooner(end.Add(seconds(rule.AssignmentS)), next)
		add(Phase{Kind: PhaseReassign, From: b.At, To: again, CrewID: b.Crew, ProviderID: b.Provider, party: party})
		add(Phase{Kind: PhaseAssignment, From: again, To: next, party: PartyPlatform})
	}
	return phases
}

// drive is how the crew that took the job came: it set out, then it drove.
// Its drive is measured by when it was expected as it took the job; when it
// set out may not be known.
func drive(facts []Fact, rule AttributionRule, b Fact, stopped time.Time) []Phase {
	ph := Phase{CrewID: b.Crew, ProviderID: b.Provider, party: PartyProvider}
	turnout, travel := ph, ph
	turnout.Kind, turnout.From, turnout.allowed = PhaseTurnout, b.At, seconds(rule.TurnoutS)
	travel.Kind, travel.To, travel.allowed = PhaseTravel, stopped, -1
	if b.Until.After(b.At) {
		travel.allowed = b.Until.Sub(b.At) + seconds(rule.TravelSlackS)
	}
	if out := endedBy(facts, FactDeparted, b); out != nil && out.At.Before(stopped) {
		turnout.To, travel.From = out.At, out.At
		return []Phase{turnout, travel}
	}
	travel.From = b.At
	if travel.allowed >= 0 {
		travel.allowed += seconds(rule.TurnoutS)
	}
	return []Phase{travel}
}

// spans is how long a phase took while the clock ran, and the stretches of
// it that were beyond what it is allowed.
func (ph *Phase) spans(pauses []pause) (took time.Duration, tail []stretch) {
	running := []stretch{{ph.From, ph.To}}
	for _, ps := range pauses {
		var rest []stretch
		for _, s := range running {
			rest = append(rest, s.without(stretch{ps.from, ps.to})...)
		}
		running = rest
	}
	left := ph.allowed
	for _, s := range running {
		d := s.to.Sub(s.from)
		took += d
		if ph.allowed < 0 || d <= left {
			left -= d
			continue
		}
		tail = append(tail, stretch{s.from.Add(max(0, left)), s.to})
		left = 0
	}
	return took, tail
}

// above is a stretch in which something outside outranks whoever had the
// request.
type above struct {
	stretch
	party Party
}

// outranking lists what outranks, the first first. Pauses are those that moved
// the deadline, and of conditions what was said last holds.
func outranking(facts []Fact, rule AttributionRule, pauses []pause, stopped time.Time) []above {
	var list []above
	end := func(until time.Time) time.Time {
		if until.IsZero() {
			return stopped
		}
		return sooner(until, stopped)
	}
	// A pause that lasted longer than it may counts no further, and still
	// somebody held things up.
	for _, ps := range pauses {
		list = append(list, above{stretch{ps.to, end(ps.until)}, holdsUp(ps.rule.Reason)})
	}
	for _, f := range conditions(facts, Closure) {
		list = append(list, above{stretch{f.At, end(f.Until)}, PartyAuthority})
	}
	if f := earliest(facts, FactHandedOver); f != nil {
		list = append(list, above{stretch{time.Time{}, f.At}, PartyAuthority})
	}
	for _, f := range slices.Concat(conditions(facts, StormMode), conditions(facts, WeatherAlert)) {
		if Condition(f.Source) == StormMode || rule.grave(f.Level) {
			list = append(list, above{stretch{f.At, end(f.Until)}, PartyWeather})
		}
	}
	// A condition may have been corrected to never have held, and a pause may
	// have ended in time.
	return slices.DeleteFunc(list, func(a above) bool { return !a.from.Before(a.to) })
}

// holdsUp is who holds things up in a pause.
func holdsUp(reason PauseReason) Party {
	switch reason {
	case OwnerUnreachable, LocationChanged, OwnerDeciding:
		return PartyOwner
	}
	return PartyAuthority
}

// split says who lost a stretch of a phase.
func (s stretch) split(ph *Phase, list []above, rule AttributionRule, facts []Fact) map[Fault]time.Duration {
	out := map[Fault]time.Duration{}
	rest := []stretch{s}
	for _, a := range list {
		var left []stretch
		for _, r := range rest {
			if d := r.overlap(a.stretch); d > 0 {
				out[Fault{Party: a.party}] += d
			}
			left = append(left, r.without(a.stretch)...)
		}
		rest = left
	}
	who := Fault{Party: ph.party}
	switch {
	case ph.Kind == PhaseTravel && rule.MislocatedM > 0 && slices.ContainsFunc(facts, func(f Fact) bool { return f.Kind == FactMislocated && f.Metres > rule.MislocatedM }):
		who.Party = PartyOwner
	case who.Party == PartyProvider && ph.ProviderID.IsZero():
		who.Party = PartyPlatform // nobody can be charged who is not known
	case who.Party == PartyProvider:
		who.ProviderID = ph.ProviderID
	}
	for _, r := range rest {
		out[who] += r.to.Sub(r.from)
	}
	return out
}
