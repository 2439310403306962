package traffic

import (
	"math/rand/v2"
	"time"

	"rescued/geo"
)

// phase is where a simulated crew is in its work.
type phase int

const (
	idle      phase = iota
	deciding        // it has an offer in hand
	preparing       // it took the job and has not set out
	driving
	working // on the spot
)

// driver is one simulated crew: where it is, what it does and what it will do
// next. It is moved by business time alone and does no I/O, so that its life
// can be tested without a service.
type driver struct {
	id    string
	phase phase
	at    geo.Point // where it stands, or where it set out from while driving

	job     string // request in hand
	offer   string // offer in hand while deciding
	to      geo.Point
	departs time.Time // when it sets out
	arrives time.Time // when it reaches the car
	done    time.Time // when the work is finished
	answers time.Time // when it answers the offer
	refuses string    // the reason it will decline for, or empty

	tapsAt  time.Time // when the crew says it has arrived; zero: it forgets
	tapped  bool
	lastFix time.Time
}

// habits are how crews of a demonstration behave.
type habits struct {
	refusePercent   int           // of offers declined
	ignorePercent   int           // of offers never answered
	delayPercent    int           // of drives that run into a delay
	delayFactor     float64       // by which such a drive takes longer
	earlyTapPercent int           // of arrivals claimed from down the road
	forgetPercent   int           // of arrivals never claimed: the trail must show them
	speed           float64       // metres a second by road
	detour          float64       // road metres for a straight metre
	fixEvery        time.Duration // while driving or working
	idleFixEvery    time.Duration
}

var usual = habits{
	refusePercent: 6, ignorePercent: 3, delayPercent: 6, delayFactor: 4,
	earlyTapPercent: 2, forgetPercent: 10,
	speed: 30_000.0 / 3600, detour: 1.35,
	fixEvery: 20 * time.Second, idleFixEvery: 4 * time.Minute,
}

var refusals = []string{"vehicle_trouble", "too_far", "wrong_equipment", "off_soon"}

// consider takes an offer in hand: when it will be answered, and how.
func (d *driver) consider(offer, request string, to geo.Point, now, expires time.Time, h habits, r *rand.Rand) {
	d.phase, d.offer, d.job, d.to = deciding, offer, request, to
	think := time.Duration(2+r.IntN(12)) * time.Second
	if limit := expires.Sub(now) * 2 / 3; think > limit {
		think = max(0, limit)
	}
	d.answers, d.refuses = now.Add(think), ""
	switch n := r.IntN(100); {
	case n < h.refusePercent:
		d.refuses = refusals[r.IntN(len(refusals))]
	case n < h.refusePercent+h.ignorePercent:
		d.answers = expires.Add(time.Second) // it never answers
		d.refuses = "no_answer"
	}
}

// take starts a job: turnout, then a drive by road with its chance of delay.
func (d *driver) take(request string, to geo.Point, now time.Time, h habits, r *rand.Rand) {
	turnout := time.Duration(30+r.IntN(120)) * time.Second
	drive := geo.Distance(d.at, to) * h.detour / h.speed * (0.85 + 0.3*r.Float64())
	if r.IntN(100) < h.delayPercent {
		drive *= 1 + (h.delayFactor-1)*r.Float64()
		drive += 3000 * r.Float64() // stuck where nothing moves
	}
	d.phase, d.job, d.offer, d.to = preparing, request, "", to
	d.departs = now.Add(turnout)
	d.arrives = d.departs.Add(time.Duration(drive * float64(time.Second)))
	d.done = d.arrives.Add(time.Duration(12+r.IntN(30)) * time.Minute)
	d.tapped = false
	d.tapsAt = d.arrives.Add(time.Duration(15+r.IntN(60)) * time.Second)
	switch n := r.IntN(100); {
	case n < h.earlyTapPercent:
		d.tapsAt = d.departs.Add(d.arrives.Sub(d.departs) / 2)
	case n < h.earlyTapPercent+h.forgetPercent:
		d.tapsAt = time.Time{}
	}
}

// drop ends whatever the crew was doing; it stays where it has got to.
func (d *driver) drop(now time.Time) {
	d.at = d.where(now)
	d.phase, d.job, d.offer = idle, "", ""
}

// where is the crew's place at a moment: on the straight line to the car, as
// far along it as the drive has gone.
func (d *driver) where(now time.Time) geo.Point {
	switch {
	case d.phase == working:
		return d.to
	case d.phase != driving || !now.After(d.departs):
		return d.at
	case !now.Before(d.arrives):
		return d.to
	}
	share := float64(now.Sub(d.departs)) / float64(d.arrives.Sub(d.departs))
	return geo.Toward(d.at, d.to, share*geo.Distance(d.at, d.to))
}

// act is the next thing the crew does, and when. A crew with nothing to do but
// report where it is gives actFix.
type act int

const (
	actFix act = iota
	actAnswer
	actDepart
	actTap
	actArrive // reaches the car; nothing is sent but fixes
	actFinish
)

func (d *driver) next(h habits) (time.Time, act) {
	fix := d.lastFix.Add(h.idleFixEvery)
	if d.phase == driving || d.phase == working && d.lastFix.Before(d.arrives.Add(2*time.Minute)) {
		fix = d.lastFix.Add(h.fixEvery)
	}
	at, what := fix, actFix
	earlier := func(t time.Time, a act) {
		if !t.IsZero() && t.Before(at) {
			at, what = t, a
		}
	}
	switch d.phase {
	case deciding:
		earlier(d.answers, actAnswer)
	case preparing:
		earlier(d.departs, actDepart)
	case driving:
		earlier(d.arrives, actArrive)
	case working:
		earlier(d.done, actFinish)
	}
	if (d.phase == driving || d.phase == working) && !d.tapped {
		earlier(d.tapsAt, actTap)
	}
	return at, what
}
