package dispatch

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
)

const (
	// nominalService is how long a crew is taken to work at a car, and
	// overdueFree in how long one is taken to be free that should be already.
	nominalService = 30 * time.Minute
	overdueFree    = 10 * time.Minute
)

// MoveAdvice is advice to let an idle crew stand elsewhere. Nothing follows
// from it by itself.
type MoveAdvice struct {
	Crew        QueueCrew         `json:"crew"`
	ProviderID  events.ProviderID `json:"provider_id"`
	Area        string            `json:"area"`
	AreaName    string            `json:"area_name"`
	From        events.LatLng     `json:"from" doc:"Where the crew stands. WGS-84."`
	To          events.LatLng     `json:"to" doc:"The middle of the cell; any place in it will do. WGS-84."`
	Cell        geo.Cell          `json:"cell" doc:"H3 cell to go towards."`
	TravelS     int               `json:"travel_s" doc:"Driving time in seconds, by the straight-line model."`
	GainPerHour float64           `json:"gain_per_hour" doc:"Promises kept an hour that would be broken without the move."`
	Reaches     ReachedView       `json:"reaches" doc:"Calls it is in time for there and not where it stands."`
	Leaves      ReachedView       `json:"leaves" doc:"Calls it is in time for where it stands and not there."`
	Why         string            `json:"why"`
}

// ReachedView is a part of the calls to be expected, on the wire.
type ReachedView struct {
	CallsPerHour float64 `json:"calls_per_hour"`
	OtherCrews   float64 `json:"other_crews" doc:"Other crews in time for such a call, on average."`
}

// AdviseMoves says which idle crews should stand elsewhere, area by area, by
// what calls are to be expected and where crews are now, as this replica knows
// them. A provider is told of its own crews; of how many others there are, it
// learns the figures alone.
func (s *Service) AdviseMoves(ctx context.Context, by events.Actor) (now time.Time, moves []MoveAdvice, err error) {
	defer fault.Wrap(&err, "advise moves")
	now = s.now()
	if !by.Is(andStaff(events.RoleProvider)...) {
		return now, nil, ErrForbidden
	}
	idle := s.idleCrews(now)
	known, err := s.heard.expected(ctx, s, slices.Sorted(maps.Keys(idle.of)), now)
	if err != nil {
		return now, nil, err
	}
	busy, err := s.busyCrews(ctx, now)
	if err != nil {
		return now, nil, err
	}
	for _, e := range known {
		moves = append(moves, s.adviseArea(e, idle, busy, now)...)
	}
	if moves, err = s.named(ctx, by, moves); err != nil {
		return now, nil, err
	}
	slices.SortStableFunc(moves, func(a, b MoveAdvice) int { return -cmp.Compare(a.GainPerHour, b.GainPerHour) })
	return now, moves, nil
}

// idleFleet is the crews that could take a call now.
type idleFleet struct {
	all []idleUnit
	of  map[geo.AreaID][]int // indices of all
}

type idleUnit struct {
	id   events.CrewID
	area geo.Area
	IdleCrew
}

// idleCrews lists them in the order of their identifiers.
func (s *Service) idleCrews(now time.Time) idleFleet {
	f := idleFleet{of: map[geo.AreaID][]int{}}
	since := now.Add(-s.cfg.FreshFor)
	s.fleet.each(func(id events.CrewID, u *unit) {
		if u.ruledOut(0, since) == "" {
			f.all = append(f.all, idleUnit{id: id, IdleCrew: IdleCrew{At: u.fix.Point, Can: u.can, MovedAt: u.rolled}})
		}
	})
	slices.SortFunc(f.all, func(a, b idleUnit) int { return a.id.Compare(b.id) })
	cover := s.Areas()
	for i := range f.all {
		if place, err := cover.Locate(f.all[i].At); err == nil {
			f.all[i].area = place.Area
			f.of[place.Area.ID] = append(f.of[place.Area.ID], i)
		}
	}
	return f
}

// busyCrews lists those at work that stay on duty after it, and when each is
// taken to be free.
func (s *Service) busyCrews(ctx context.Context, now time.Time) ([]BusyCrew, error) {
	jobs, err := listJobsInHand(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	var busy []BusyCrew
	for _, j := range jobs {
		u, known := s.fleet.lookup(j.crew)
		if !known || u.state != CrewEngaged {
			continue
		}
		free := now.Add(overdueFree)
		if there := j.there; there.Add(nominalService).After(free) {
			free = there.Add(nominalService)
		}
		busy = append(busy, BusyCrew{At: j.at, Can: u.can, FreeAt: free})
	}
	return busy, nil
}

// adviseArea asks for one area: its own crews may move, and those of others
// near it count.
func (s *Service) adviseArea(e areaCalls, idle idleFleet, busy []BusyCrew, now time.Time) []MoveAdvice {
	r := Ready{
		Now: now, Promise: e.promise, Turnout: s.cfg.Turnout, Service: nominalService,
		Pace:  geo.DefaultStraightLine().Pace(geo.UrbanRoad, now.In(s.cfg.Zone).Hour()),
		Calls: e.calls,
	}
	near := r.vicinity()
	var index []int
	for i, c := range idle.all {
		if own := c.area.ID == e.area; own || near(c.At) {
			c.Stays = !own
			r.Idle = append(r.Idle, c.IdleCrew)
			index = append(index, i)
		}
	}
	for _, c := range busy {
		if near(c.At) {
			r.Busy = append(r.Busy, c)
		}
	}
	return mapped(r.Advise(), func(m Move) MoveAdvice {
		unit := idle.all[index[m.Crew]]
		return MoveAdvice{
			Crew: QueueCrew{ID: unit.id}, Area: string(e.area), AreaName: unit.area.Name,
			From: latLng(unit.At), To: latLng(m.At), Cell: m.To, TravelS: int(m.Travel.Seconds()),
			GainPerHour: thousandths(m.Gain), Reaches: m.Reaches.view(), Leaves: m.Leaves.view(), Why: m.Why(),
		}
	})
}

// vicinity tells whether a place is within a promise's drive of the calls: of
// the ball around them, which is enough to leave out other cities.
func (r Ready) vicinity() func(geo.Point) bool {
	if len(r.Calls) == 0 {
		return func(geo.Point) bool { return false }
	}
	middle, radius := r.Calls[0].At, 0.0
	for _, c := range r.Calls {
		radius = max(radius, geo.Distance(middle, c.At))
	}
	radius += max(0, (r.Promise-r.Turnout).Seconds()) * r.Pace
	return func(p geo.Point) bool { return geo.Distance(middle, p) <= radius }
}

// named completes advice with who the crews are, and leaves out those the
// caller may not see.
func (s *Service) named(ctx context.Context, by events.Actor, moves []MoveAdvice) ([]MoveAdvice, error) {
	crews, err := listCrewsByID(ctx, s.pool, mapped(moves, func(m MoveAdvice) events.CrewID { return m.Crew.ID }))
	if err != nil {
		return nil, err
	}
	who := map[events.CrewID]*Crew{}
	for i := range crews {
		who[crews[i].ID] = &crews[i]
	}
	shown := []MoveAdvice{}
	for _, m := range moves {
		c := who[m.Crew.ID]
		if c == nil || mayCrew(by, c, andStaff(events.RoleProvider)...) != nil {
			continue
		}
		m.Crew.Name, m.ProviderID = c.Name, c.Provider
		shown = append(shown, m)
	}
	return shown, nil
}

func (r Reached) view() ReachedView {
	return ReachedView{CallsPerHour: thousandths(r.PerHour), OtherCrews: thousandths(r.Others)}
}

// thousandths is as fine as advice is worth writing.
func thousandths(x float64) float64 { return math.Round(x*1000) / 1000 }
