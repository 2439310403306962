package sim

import (
	"cmp"
	"slices"
	"time"

	"rescued/dispatch"
	"rescued/geo"
)

const (
	// announcedAhead is how long before the promised moment a breach must be
	// announced to count.
	announcedAhead = 10 * time.Minute
	// trailLength is how many fixes of a crew are kept, one a minute.
	trailLength = 10
)

// Lookout asks the service's own early warning (dispatch.Foresee) at every
// simulated minute what it would announce, and remembers it. It watches one
// run: give Minute to its Watch, and Report the rows of its result.
//
// Crews are heard of once a minute, where they are. The warning is told what
// the live service knows, no more: it works out by its own Belief when a crew
// on its way arrives and when one at work will be free.
type Lookout struct {
	pace   dispatch.Pace
	trails [][]dispatch.Fix // by crew
	seen   []sighting       // by request
	hands  []dispatch.Hand
	of     []int // request of each awaited
	ask    []dispatch.Awaited
	// hopeless are the requests nobody can ever serve, up to their promised
	// moment. The run has no more to do with them; the warning has.
	hopeless []int
}

// sighting is what was announced of one request.
type sighting struct {
	called, due time.Time
	waits       time.Time // since when nobody drives to it
	driven      bool      // somebody did when it was last looked at
	any, late   spell
	remedied    int
	saved       bool // a remedy in time was named
}

// spell is how long something has been announced.
type spell struct {
	since time.Time // zero when it is not now
	ever  bool      // before the promised moment
	ahead bool      // it was at the last look at least announcedAhead before that
}

func (s *spell) look(on bool, now, due time.Time) {
	switch {
	case !on:
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = now
	}
	s.ever = s.ever || on
	if !now.After(due.Add(-announcedAhead)) {
		s.ahead = on
	}
}

// Belief is what the warning takes for true of the world. It may be wrong, as
// it is in life: crews drive faster or slower, and jobs take as long as they do.
type Belief struct {
	Service time.Duration // at the car
	Model   geo.StraightLine
}

// Believes is the truth.
func (w World) Believes() Belief { return Belief{w.Service, w.Model} }

// NewLookout watches one run over a world by what it believes.
func NewLookout(w World, b Belief) *Lookout {
	return &Lookout{
		pace: dispatch.Pace{
			Turnout: w.Turnout, Service: b.Service,
			Travel: func(from, to geo.Point, _ geo.RoadClass) time.Duration {
				return b.Model.Time(from, to, geo.UrbanRoad, 0)
			},
		},
		trails: make([][]dispatch.Fix, len(w.Fleet)), hands: make([]dispatch.Hand, len(w.Fleet)),
	}
}

// Minute looks at a run at one moment.
func (l *Lookout) Minute(v *View) {
	l.meet(v)
	l.ask, l.of = l.ask[:0], l.of[:0]
	for i := range v.Crews {
		c := &v.Crews[i]
		l.hear(v, i)
		l.hands[i] = dispatch.Hand{Can: c.Can, At: v.Place(i)}
		hand := i
		switch {
		case !c.OnShift:
			l.hands[i].Can, hand = 0, nobody
			if c.State != Driving {
				continue
			}
		case c.State == OnScene:
			// A job that takes longer than jobs do is soon over, for all one knows.
			l.hands[i].Ready = c.ArrivesAt.Add(l.pace.Service)
			if !l.hands[i].Ready.After(v.Now) {
				l.hands[i].Ready = v.Now.Add(l.pace.Service / 6)
			}
		}
		if c.State == Driving {
			l.await(v, c.Request, &dispatch.Way{Hand: hand, AcceptedAt: c.CommittedAt, ExpectedAt: c.ArrivesAt, Trail: l.trails[i]})
		}
	}
	for _, r := range v.Waiting {
		l.await(v, r, nil)
	}
	l.hopeless = slices.DeleteFunc(l.hopeless, func(r int) bool { return v.Now.After(v.Requests[r].Due) })
	for _, r := range l.hopeless {
		l.await(v, r, nil)
	}
	for k, o := range dispatch.Foresee(l.ask, l.hands, v.Now, l.pace) {
		s := &l.seen[l.of[k]]
		if v.Now.After(s.due) {
			continue
		}
		s.any.look(len(o.Dangers) > 0, v.Now, s.due)
		s.late.look(slices.Contains(o.Dangers, dispatch.ExpectedLate), v.Now, s.due)
		s.remedied = nobody
		if o.Remedy != nil {
			s.remedied, s.saved = o.Remedy.Hand, s.saved || o.Remedy.Saves
		}
	}
}

// meet takes in the calls made since the last look.
func (l *Lookout) meet(v *View) {
	for i := len(l.seen); i < len(v.Requests); i++ {
		r := &v.Requests[i]
		l.seen = append(l.seen, sighting{called: r.CalledAt, due: r.Due, waits: r.CalledAt, remedied: nobody})
		if r.Hopeless {
			l.hopeless = append(l.hopeless, i)
		}
	}
}

// hear adds a crew's place to its trail.
func (l *Lookout) hear(v *View, crew int) {
	t := l.trails[crew]
	if len(t) == trailLength {
		t = append(t[:0], t[1:]...)
	}
	l.trails[crew] = append(t, dispatch.Fix{At: v.Now, Point: v.Place(crew)})
}

func (l *Lookout) await(v *View, request int, way *dispatch.Way) {
	r, s := &v.Requests[request], &l.seen[request]
	if s.driven && way == nil {
		s.waits = v.Now // its crew was sent elsewhere
	}
	s.driven = way != nil
	l.of = append(l.of, request)
	l.ask = append(l.ask, dispatch.Awaited{
		Due: r.Due, Waits: s.waits, Priority: dispatch.PriorityNormal - dispatch.Priority(r.Priority), Place: r.At,
		Road: geo.UrbanRoad, Need: r.Need, Way: way, OfferedTo: nobody,
		WasLate: !s.late.since.IsZero(), Remedied: s.remedied,
	})
}

// Heralds is how well breaches were announced by one kind of warning.
type Heralds struct {
	// Announced counts the breaches that stood announced 10 minutes before the
	// promised moment.
	Announced      int     `json:"announced"`
	AnnouncedShare float64 `json:"announced_share"`
	// FalseAlarms counts the promises kept although a breach stood announced 10
	// minutes before; Rang those of which one was announced at any time.
	FalseAlarms int `json:"false_alarms"`
	Rang        int `json:"rang"`
	// LeadP50S is the median time from the beginning of the last unbroken
	// announcement to the promised moment, over the breaches announced by then.
	LeadP50S float64 `json:"lead_p50_s"`
	Missed   int     `json:"missed"` // breaches not announced even at the promised moment
}

// Warnings is a run's early warning in figures.
type Warnings struct {
	Requests int     `json:"requests"`
	Breaches int     `json:"breaches"`
	Any      Heralds `json:"any"`      // whatever the danger
	Expected Heralds `json:"expected"` // help was expected late
	// Savable counts the breaches for which at some minute a crew was named
	// that would still have made it.
	Savable int `json:"savable"`
}

// Report counts what was announced of the requests that keep says yes to (all
// for nil), from what became of them.
func (l *Lookout) Report(rows []Row, keep func(Row) bool) Warnings {
	var out Warnings
	var anyLeads, lateLeads []time.Duration
	for i, s := range l.seen {
		if keep != nil && !keep(rows[i]) {
			continue
		}
		out.Requests++
		broken := rows[i].Late > 0 || !rows[i].Served()
		if broken {
			out.Breaches++
			out.Savable += btoi(s.saved)
		}
		anyLeads = out.Any.add(s.any, s.due, broken, anyLeads)
		lateLeads = out.Expected.add(s.late, s.due, broken, lateLeads)
	}
	for _, of := range []struct {
		h     *Heralds
		leads []time.Duration
	}{{&out.Any, anyLeads}, {&out.Expected, lateLeads}} {
		slices.SortFunc(of.leads, func(a, b time.Duration) int { return cmp.Compare(a, b) })
		of.h.LeadP50S = percentile(of.leads, 50)
		of.h.AnnouncedShare = share(of.h.Announced, out.Breaches)
	}
	return out
}

func (h *Heralds) add(s spell, due time.Time, broken bool, leads []time.Duration) []time.Duration {
	if !broken {
		h.FalseAlarms += btoi(s.ahead)
		h.Rang += btoi(s.ever)
		return leads
	}
	h.Announced += btoi(s.ahead)
	if s.since.IsZero() {
		h.Missed++
		return leads
	}
	return append(leads, due.Sub(s.since))
}
