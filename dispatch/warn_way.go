package dispatch

import (
	"time"

	"rescued/geo"
)

// How the trail of a crew on its way is read. Distances are metres.
const (
	// stillMetres is how far fixes of one place may lie apart, beyond their own
	// accuracy.
	stillMetres = 80
	// atCarMetres is how near a crew is at the car: it stands because it is
	// there, whether or not its arrival is proven yet.
	atCarMetres = 300
	// awayMetres is how much further off the car a crew must be to be called
	// moving away: roads do not lead straight to it.
	awayMetres = 500
	// measuredOver is the stretch of trail that tells the closing speed, and
	// measuredLeast the shortest that tells anything.
	measuredOver  = 8 * time.Minute
	measuredLeast = time.Minute
	// measuredShare is the weight of the measured speed when it was measured
	// over the full stretch; the model of the roads has the rest. The one knows
	// today's traffic and this driver, the other what still lies ahead.
	measuredShare = 0.5
	// measuredMost is how many times the model's drive the measured one counts
	// at most: a crew that waits at a barrier is not taken to crawl all the way.
	measuredMost = 3
)

// follow tells when the crew on its way arrives, and what is wrong with its way.
func (a *Awaited) follow(now time.Time, pace Pace) Outlook {
	w := a.Way
	late := now.Sub(w.AcceptedAt)
	if len(w.Trail) == 0 {
		o := Outlook{ExpectedAt: later(w.ExpectedAt, now)}
		if late >= silentAfter {
			o.Dangers = []Danger{Silent}
		}
		return o
	}
	last := w.Trail[len(w.Trail)-1]
	drive := pace.Travel(last.Point, a.Place, a.Road)
	if w.Roads > 0 {
		drive = time.Duration(w.Roads * float64(drive))
	}
	o := Outlook{}
	recent := w.since(last.At.Add(-noMovementAfter))
	still := recent != nil && together(recent)
	onTheWay := w.since(w.AcceptedAt)
	if onTheWay == nil {
		onTheWay = w.Trail
	}
	moved := !together(onTheWay)
	switch {
	case moved && !still:
		o.ExpectedAt = last.At.Add(w.left(a.Place, drive))
	case moved:
		o.ExpectedAt = now.Add(drive)
	default:
		o.ExpectedAt = later(now, w.AcceptedAt.Add(pace.Turnout)).Add(drive)
	}
	o.ExpectedAt = later(o.ExpectedAt, now)

	metres := geo.Distance(last.Point, a.Place)
	switch {
	case now.Sub(later(last.At, w.AcceptedAt)) >= silentAfter:
		o.Dangers = []Danger{Silent}
	case metres <= atCarMetres || last.At.Sub(w.AcceptedAt) < noMovementAfter || recent == nil:
	case still:
		o.Dangers = []Danger{NoMovement}
	case metres-geo.Distance(recent[0].Point, a.Place) > awayMetres:
		o.Dangers = []Danger{MovingAway}
	}
	return o
}

// since is the trail from the last fix at or before a moment on; nil when there
// is none so early.
func (w *Way) since(at time.Time) []Fix {
	for i := len(w.Trail) - 1; i >= 0; i-- {
		if !w.Trail[i].At.After(at) {
			return w.Trail[i:]
		}
	}
	return nil
}

// together reports whether all fixes may be of one place. No fixes are.
func together(fixes []Fix) bool {
	for _, f := range fixes {
		if !f.mayBeAt(fixes[len(fixes)-1]) {
			return false
		}
	}
	return true
}

// mayBeAt reports whether two fixes may be of one place.
func (f Fix) mayBeAt(g Fix) bool {
	return geo.Distance(f.Point, g.Point) <= stillMetres+f.Accuracy+g.Accuracy
}

// left is how long the crew still drives from its last fix: what the model
// says, and what it takes at the speed at which it has come nearer.
func (w *Way) left(place geo.Point, drive time.Duration) time.Duration {
	n := len(w.Trail)
	last := w.Trail[n-1]
	// Back to where it set off, or as far as the stretch goes.
	first := n - 1
	for first > 0 && !w.Trail[first-1].At.Before(w.AcceptedAt) && last.At.Sub(w.Trail[first-1].At) <= measuredOver {
		first--
	}
	for start := w.Trail[first]; first < n-1 && w.Trail[first+1].mayBeAt(start); {
		first++
	}
	span := last.At.Sub(w.Trail[first].At)
	metres := geo.Distance(last.Point, place)
	nearer := geo.Distance(w.Trail[first].Point, place) - metres
	if span < measuredLeast || nearer <= stillMetres {
		return drive
	}
	measured := min(metres/nearer*span.Seconds(), measuredMost*drive.Seconds())
	share := measuredShare * span.Seconds() / measuredOver.Seconds()
	seconds := (1-share)*drive.Seconds() + share*measured
	return time.Duration(seconds * float64(time.Second))
}
