package dispatch

import (
	"cmp"
	"math"
	"slices"
	"time"

	"rescued/geo"
)

// What is alarming about a request for which help has not arrived.
const (
	noAcceptanceAfter = 3 * time.Minute // nobody has accepted for longer
	noMovementAfter   = 3 * time.Minute // the crew stands still for longer, from its acceptance on
	silentAfter       = 3 * time.Minute // the crew was not heard of for longer
	// calmMargin is what a promise that looked broken must have to spare before
	// it looks kept again. Without it a forecast on the edge would ring and
	// fall silent by turns.
	calmMargin = time.Minute
	// remedyMargin is how much sooner another crew must be to take the place of
	// the remedy that was told.
	remedyMargin = 2 * time.Minute
)

// Danger is one reason why a promise may be broken. Its text is its code.
type Danger string

// The dangers, in the order in which they are told.
const (
	NoAcceptance Danger = "no_acceptance" // nobody has accepted for 3 minutes
	NoMovement   Danger = "no_movement"   // the crew has stood still for 3 minutes
	Silent       Danger = "silent"        // the crew was not heard of for 3 minutes
	MovingAway   Danger = "moving_away"   // the crew is further from the car than 3 minutes ago
	ExpectedLate Danger = "expected_late" // help is expected after the promised moment
)

// Dangers lists every danger.
func Dangers() []Danger {
	return []Danger{NoAcceptance, NoMovement, Silent, MovingAway, ExpectedLate}
}

// Awaited is a request for which help has not arrived, as Foresee sees it.
type Awaited struct {
	Due      time.Time
	Waits    time.Time // since when nobody has accepted it: its opening, or its last release
	Priority Priority
	Place    geo.Point
	Road     geo.RoadClass
	Need     geo.Capabilities
	Asked    map[int]bool // hands that had an offer for it; they are not asked again

	Way *Way // of the crew that has accepted; nil while nobody has

	// OfferedTo is the hand that is being asked, -1 for none, and OfferedFor
	// when it would arrive.
	OfferedTo  int
	OfferedFor time.Time

	// WasLate is whether ExpectedLate was told last, and Remedied the hand that
	// was told as its remedy, -1 for none: small swings do not change an answer.
	WasLate  bool
	Remedied int
}

// Way is a crew on its way to a request.
type Way struct {
	Hand       int // index of the crew, -1 when it takes no more jobs
	AcceptedAt time.Time
	ExpectedAt time.Time // as told when it accepted
	// Trail is where the crew has been lately, by time. Its last fix is the
	// last that was heard.
	Trail []Fix
	// Roads is how much longer the drive was taken to be when the crew was
	// chosen, by an engine that knows the roads, than Pace.Travel had it; 0 is
	// unknown and counts as 1.
	Roads float64
}

// Hand is a crew that help could come from.
type Hand struct {
	Can geo.Capabilities
	// At is where it stands, or where it will have finished the job it is at.
	At geo.Point
	// Ready is when it can set out on another job; the past for a free one. For
	// a crew on its way to an Awaited, Foresee works it out.
	Ready time.Time
}

// Pace is what a look ahead reckons with.
type Pace struct {
	Turnout time.Duration // from acceptance to driving off
	Service time.Duration // at the car
	Travel  func(from, to geo.Point, road geo.RoadClass) time.Duration
}

// Outlook is what is to be expected of one request.
type Outlook struct {
	// ExpectedAt is when help is expected, as it looks now; zero when nobody at
	// all could come.
	ExpectedAt time.Time
	Dangers    []Danger // in the order of Dangers; none when all is well
	Remedy     *Relief  // with dangers only; nil when nobody would be of more help
}

// Relief is the crew that could be sent instead, or at last.
type Relief struct {
	Hand       int
	From       geo.Point // where it starts
	ReadyAt    time.Time // when it can be sent: now, or once its present job is over
	ExpectedAt time.Time // its arrival, sent then
	Saves      bool      // in time
}

// Foresee tells of each awaited request when help is expected, what endangers
// its promise, and who could still save it.
//
// The arrival of a crew on its way follows from its trail. Of those that nobody
// has accepted, the most urgent (by class, then by the promised moment) is
// taken to get the hand that is there first, which is then busy until that job
// is done, and so on: an estimate of the queue, not a plan. A remedy is named
// without regard to who else would like that hand.
//
// It is a pure function of its arguments; it changes none of them.
func Foresee(awaited []Awaited, hands []Hand, now time.Time, pace Pace) []Outlook {
	out := make([]Outlook, len(awaited))
	ready := make([]Hand, len(hands))
	for i, h := range hands {
		h.Ready = later(h.Ready, now)
		ready[i] = h
	}
	var waiting []int
	for i := range awaited {
		a := &awaited[i]
		hand := a.OfferedTo
		switch {
		case a.Way != nil:
			out[i] = a.follow(now, pace)
			hand = a.Way.Hand
		case hand >= 0:
			out[i].ExpectedAt = later(a.OfferedFor, now)
		default:
			waiting = append(waiting, i)
			continue
		}
		if hand >= 0 {
			ready[hand].At, ready[hand].Ready = a.Place, later(ready[hand].Ready, out[i].ExpectedAt.Add(pace.Service))
		}
	}
	queue(awaited, waiting, slices.Clone(ready), out, pace)
	for i := range awaited {
		awaited[i].judge(&out[i], now)
		if len(out[i].Dangers) > 0 {
			out[i].Remedy = awaited[i].relief(ready, out[i].ExpectedAt, pace)
		}
	}
	return out
}

// queue lets the hands serve what waits, one after the other, and puts down
// when each is served. It uses hands up.
func queue(awaited []Awaited, waiting []int, hands []Hand, out []Outlook, pace Pace) {
	slices.SortFunc(waiting, func(i, j int) int {
		a, b := &awaited[i], &awaited[j]
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.Due.Compare(b.Due), cmp.Compare(i, j))
	})
	for _, i := range waiting {
		a := &awaited[i]
		first := -1
		for _, h := range a.soonest(hands, -1, pace) {
			if at := a.arrival(&hands[h], pace); first < 0 || at.Before(out[i].ExpectedAt) {
				first, out[i].ExpectedAt = h, at
			}
		}
		if first >= 0 {
			hands[first].At, hands[first].Ready = a.Place, out[i].ExpectedAt.Add(pace.Service)
		}
	}
}

// soonestMost is how many hands are timed for one request. The others are
// further off by a rough measure of the very same thing.
const soonestMost = 8

// soonest lists the hands that would be there first, but for one, in the order
// of their indices: by a plane's distance at the pace of a drive to this place,
// which for a large fleet is a hundredth of the work of timing them all.
func (a *Awaited) soonest(hands []Hand, but int, pace Pace) []int {
	const sample = 2000 // metres
	slow := pace.Travel(geo.Offset(a.Place, sample, 0), a.Place, a.Road).Seconds() / sample
	degree := geo.EarthRadius * math.Pi / 180
	shrink := math.Cos(a.Place.Lat * math.Pi / 180)
	type guess struct {
		hand  int
		after float64 // seconds after due; negative before
	}
	var room [soonestMost]guess
	list := room[:0]
	for h := range hands {
		if h == but || !hands[h].Can.Has(a.Need) || len(a.Asked) > 0 && a.Asked[h] {
			continue
		}
		north, east := hands[h].At.Lat-a.Place.Lat, math.Abs(hands[h].At.Lng-a.Place.Lng)
		east = min(east, 360-east) * shrink
		g := guess{h, hands[h].Ready.Sub(a.Due).Seconds() + slow*degree*math.Sqrt(north*north+east*east)}
		at := len(list)
		for at > 0 && g.after < list[at-1].after {
			at--
		}
		if at == soonestMost {
			continue
		}
		if len(list) == soonestMost {
			list = list[:soonestMost-1]
		}
		list = slices.Insert(list, at, g)
	}
	out := make([]int, len(list), soonestMost+1)
	for i, g := range list {
		out[i] = g.hand
	}
	slices.Sort(out)
	return out
}

// suits reports whether a hand may be asked for the request.
func (a *Awaited) suits(hand int, hands []Hand) bool {
	return hands[hand].Can.Has(a.Need) && !a.Asked[hand]
}

// arrival is when a hand would be there, sent as soon as it can be.
func (a *Awaited) arrival(h *Hand, pace Pace) time.Time {
	return h.Ready.Add(pace.Turnout + pace.Travel(h.At, a.Place, a.Road))
}

// judge adds the dangers that do not depend on where a crew is.
func (a *Awaited) judge(o *Outlook, now time.Time) {
	if a.Way == nil && now.Sub(a.Waits) >= noAcceptanceAfter {
		o.Dangers = append(o.Dangers, NoAcceptance)
	}
	due := a.Due
	if a.WasLate {
		due = due.Add(-calmMargin)
	}
	if o.ExpectedAt.IsZero() || o.ExpectedAt.After(due) {
		o.Dangers = append(o.Dangers, ExpectedLate)
	}
}

// relief is the hand that would be there first, other than the one that is on
// its way or asked, if that would be in time or at least sooner than expected.
func (a *Awaited) relief(hands []Hand, expected time.Time, pace Pace) *Relief {
	var best *Relief
	var bestAt time.Time
	own := a.OfferedTo
	if a.Way != nil {
		own = a.Way.Hand
	}
	list := a.soonest(hands, own, pace)
	if h := a.Remedied; h >= 0 && h != own && a.suits(h, hands) && !slices.Contains(list, h) {
		list = append(list, h)
	}
	for _, h := range list {
		at := a.arrival(&hands[h], pace)
		r := Relief{Hand: h, From: hands[h].At, ReadyAt: hands[h].Ready, ExpectedAt: at, Saves: !at.After(a.Due)}
		if !r.Saves && !expected.IsZero() && !at.Before(expected) {
			continue
		}
		ranked := at
		if h == a.Remedied {
			ranked = at.Add(-remedyMargin)
		}
		if best == nil || ranked.Before(bestAt) {
			best, bestAt = &r, ranked
		}
	}
	return best
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
