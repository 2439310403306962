package dispatch

import (
	"cmp"
	"math"
	"slices"
	"time"

	"rescued/events"
	"rescued/geo"
)

// consideredLimit is how many crews one round lists by name for a request.
const consideredLimit = 24

// Why a crew was not chosen for a request.
const (
	WhyOffDuty    = "off_duty"
	WhyBusy       = "busy"        // has a request
	WhyHeld       = "held"        // has another offer to answer
	WhyUnfit      = "incapable"   // lacks a capability
	WhyStale      = "stale"       // not heard of lately
	WhyAsked      = "asked"       // had an offer for this request
	WhyTooFar     = "too_far"     // beyond what makes sense
	WhyFarther    = "farther"     // free and able; others are there sooner
	WhyOther      = "other_first" // free and able; sent to another request in the same round
	WhyTaken      = "taken"       // was gone when its row was locked
	WhyNoPosition = "no_position" // never heard of
	WhySoon       = "soon_free"   // able, and weighed with what is left of its job
	WhyKept       = "kept"        // free, able and sooner; kept where calls are likely
	// WhyChosen marks the crew that was asked.
	WhyChosen = "chosen"
	// WhyByHand marks the crew that an operator chose; nobody else was weighed.
	WhyByHand = "by_hand"
)

// Round is one weighing of crews for a request: what led to an offer, or to
// the finding that nobody can take it.
type Round struct {
	Version int64            `json:"version"` // of the request, after it
	At      time.Time        `json:"at"`
	Crews   []ConsideredCrew `json:"crews"`  // the nearest, by distance
	Counts  map[string]int   `json:"counts"` // of all crews, by reason
}

// ConsideredCrew is one crew as a round saw it.
type ConsideredCrew struct {
	Crew    events.CrewID `json:"crew_id"`
	Why     string        `json:"why"` // chosen, or why not
	Metres  int           `json:"metres"`
	TravelS int           `json:"travel_s,omitempty"`  // for those on the shortlist
	Source  string        `json:"source,omitempty"`    // of travel_s: an engine, or the model and why
	FreeInS int           `json:"free_in_s,omitempty"` // for soon_free: what is left of its job; travel_s is from there
	// SentTo is the request the crew is sent to instead, for other_first.
	SentTo *events.RequestID `json:"sent_to,omitempty"`
	// Only says that no other crew could keep that request's promise.
	Only bool `json:"only,omitempty"`
}

// round says who was weighed for a waiting request and why not. Crews beyond
// any sensible drive are counted only if there are no others, and those
// without a position are counted only.
func (s *Service) round(b *board, i int, r *Request) Round {
	seat := b.seats[i]
	out := Round{At: b.m.at, Counts: map[string]int{}}
	travel := map[events.CrewID]time.Duration{}
	soon := map[events.CrewID]time.Duration{} // until they are free
	for _, to := range seat.free {
		travel[b.crews[to.Crew].Key] = to.Travel
	}
	for _, to := range seat.soon {
		job := &b.jobs[to.Crew]
		travel[job.crew], soon[job.crew] = to.Travel, job.freeAt.Sub(b.m.at)
	}
	elsewhere := map[events.CrewID]int{} // seat
	chosen := time.Duration(math.MaxInt64)
	for j, other := range b.seats {
		switch {
		case other.sent == nil:
		case j == i:
			travel[other.sent.crew], chosen = other.sent.travel, other.sent.travel
		default:
			elsewhere[other.sent.crew] = j
		}
	}
	beyond := 0
	s.fleet.each(func(id events.CrewID, u *unit) {
		why := u.ruledOut(r.Need, b.since)
		if !u.fixed {
			if why == WhyNoPosition {
				out.Counts[why]++
			}
			return
		}
		metres := geo.Distance(u.fix.Point, r.Place.Point)
		if metres > s.maxMetres() {
			beyond++
			return
		}
		there, sent := elsewhere[id]
		left, busy := soon[id]
		_, listed := travel[id]
		switch {
		case seat.sent != nil && seat.sent.crew == id && !b.lost[id]:
			why = WhyChosen
		case b.asked[r.ID][id]:
			why = WhyAsked
		case sent && u.can.Has(r.Need) && !b.lost[id]:
			why = WhyOther
		case busy:
			why = WhySoon
		case why != "":
		case b.lost[id]:
			why = WhyTaken
		case !listed && len(seat.free) < b.most:
			why = WhyTooFar
		case listed && travel[id] < chosen:
			why = WhyKept
		default:
			why = WhyFarther
		}
		if why != WhyChosen {
			out.Counts[why]++
		}
		c := ConsideredCrew{
			Crew: id, Why: why, Metres: int(metres), TravelS: int(travel[id].Seconds()), Source: b.sourceOf(seat, id),
		}
		switch why {
		case WhyOther:
			to := b.seats[there].r.ID
			c.SentTo, c.Only = &to, b.onlyItKeeps(there)
		case WhySoon:
			c.FreeInS = int(left.Seconds())
		}
		out.Crews = append(out.Crews, c)
	})
	// A country's worth of far crews says nothing beside near ones, but where
	// there are no near ones it is the answer.
	if len(out.Counts) == 0 && len(out.Crews) == 0 && beyond > 0 {
		out.Counts[WhyTooFar] = beyond
	}
	slices.SortFunc(out.Crews, func(a, c ConsideredCrew) int {
		return cmp.Or(cmp.Compare(rank(a), rank(c)), cmp.Compare(a.Metres, c.Metres), a.Crew.Compare(c.Crew))
	})
	out.Crews = slices.Clip(out.Crews[:min(len(out.Crews), consideredLimit)])
	return out
}

// rank puts the chosen crew first, so that it is never cut off.
func rank(c ConsideredCrew) int {
	if c.Why == WhyChosen {
		return 0
	}
	return 1
}
