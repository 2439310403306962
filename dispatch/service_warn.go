package dispatch

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// watcher is who raises and ends warnings.
var watcher = events.System("watch")

const (
	// overrunShare is what a job that takes longer than jobs do is taken to
	// need yet, as a part of a whole one.
	overrunShare = 6
	// roadsLeast and roadsMost bound how far the roads of one drive may differ
	// from the model.
	roadsLeast, roadsMost = 0.5, 3.0
	// warnRest is how many times as long as a look ahead took the next one
	// waits at least, so that a large storm does not take the processor.
	warnRest = 4
)

// Warn looks ahead over all that wait for help (see Foresee) and tells what has
// changed: a danger that is new or over, a remedy, an arrival that is expected
// at another time than was told. It says how many requests it told something
// of. Any number of replicas may call it; each change is told once.
func (s *Service) Warn(ctx context.Context) (told int, err error) {
	defer fault.Wrap(&err, "look ahead")
	now := s.now()
	look, err := s.lookAhead(ctx, now)
	if err != nil || len(look.jobs) == 0 {
		return 0, err
	}
	outlooks := Foresee(look.ask, look.hands, now, Pace{Turnout: s.cfg.Turnout, Service: s.cfg.Service, Travel: s.estimate(ctx, now)})
	for i, o := range outlooks {
		changed, err := s.tellOutlook(ctx, &look, i, o)
		if err != nil {
			return told, err
		}
		if changed {
			told++
		}
	}
	if told > 0 {
		s.cfg.Wake()
	}
	return told, nil
}

// lookout is what is known of all jobs at one moment.
type lookout struct {
	now   time.Time
	jobs  []awaitedJob
	ask   []Awaited // of the same order
	hands []Hand
	crews []events.CrewID // of hands
}

// lookAhead gathers what Foresee asks for.
func (s *Service) lookAhead(ctx context.Context, now time.Time) (lookout, error) {
	look := lookout{now: now}
	jobs, err := listJobsUnderWay(ctx, s.pool)
	if err != nil || len(jobs) == 0 {
		return look, err
	}
	place, trails := look.muster(s, now)
	var waiting []events.RequestID
	for _, j := range jobs {
		if j.state == RequestOnScene {
			if h, ok := place[j.crew]; ok {
				ready := j.arrivedAt.Add(s.cfg.Service)
				look.hands[h].At, look.hands[h].Ready = j.place, later(ready, now.Add(s.cfg.Service/overrunShare))
			}
			continue
		}
		if j.assignedAt == nil {
			waiting = append(waiting, j.id)
		}
		look.jobs = append(look.jobs, j)
		look.ask = append(look.ask, j.awaited(place, trails, s.estimate(ctx, now)))
	}
	had, err := listAsked(ctx, s.pool, waiting)
	if err != nil {
		return look, err
	}
	asked := map[events.RequestID]map[int]bool{}
	for _, a := range had {
		if h, ok := place[a.crew]; ok {
			if asked[a.request] == nil {
				asked[a.request] = map[int]bool{}
			}
			asked[a.request][h] = true
		}
	}
	for i := range look.ask {
		look.ask[i].Asked = asked[look.jobs[i].id]
	}
	return look, nil
}

// muster lists the crews on duty that may get another job, with their places
// in the list, and the trails of all that have one.
func (look *lookout) muster(s *Service, now time.Time) (place map[events.CrewID]int, trails map[events.CrewID][]Fix) {
	place, trails = map[events.CrewID]int{}, map[events.CrewID][]Fix{}
	since := now.Add(-s.cfg.FreshFor)
	s.fleet.each(func(id events.CrewID, u *unit) {
		if !u.fixed || u.version == 0 {
			return
		}
		if u.state.Busy() {
			trails[id] = append([]Fix(nil), u.trail...)
		}
		switch {
		case u.state == CrewOffDuty, u.state == CrewFinishing:
			return
		case u.state != CrewEngaged && u.fix.At.Before(since):
			return // as in matching: it would not be asked
		}
		place[id] = len(look.hands)
		look.hands = append(look.hands, Hand{Can: u.can, At: u.fix.Point})
		look.crews = append(look.crews, id)
	})
	return place, trails
}

// awaited is a job as Foresee takes it.
func (j *awaitedJob) awaited(place map[events.CrewID]int, trails map[events.CrewID][]Fix, travel travelEstimate) Awaited {
	a := Awaited{
		Due: j.dueAt, Waits: j.openedAt, Priority: j.priority, Place: j.place, Road: j.road, Need: j.need,
		OfferedTo: -1, Remedied: -1, WasLate: j.warning.has(ExpectedLate),
	}
	if j.releasedAt != nil {
		a.Waits = *j.releasedAt
	}
	if j.warning != nil && j.warning.Remedy != nil {
		if h, ok := place[j.warning.Remedy.CrewID]; ok {
			a.Remedied = h
		}
	}
	hand, ok := place[j.crew]
	if !ok {
		hand = -1
	}
	switch {
	case j.assignedAt != nil:
		a.Way = &Way{Hand: hand, AcceptedAt: *j.assignedAt, ExpectedAt: *j.expectedAt, Trail: trails[j.crew], Roads: j.roads(travel)}
	case j.state == RequestOffered:
		a.OfferedTo, a.OfferedFor = hand, *j.expectedAt
	}
	return a
}

// roads compares the drive as it was timed when the crew was chosen with what
// the model makes of the same distance.
func (j *awaitedJob) roads(travel travelEstimate) float64 {
	model := travel(geo.Offset(j.place, j.offerMetres, 0), j.place, j.road)
	if j.offerMetres < atCarMetres || model <= 0 {
		return 1
	}
	return min(max(j.offerTravel.Seconds()/model.Seconds(), roadsLeast), roadsMost)
}

// travelEstimate is the drive between two places, without asking an engine.
type travelEstimate = func(from, to geo.Point, road geo.RoadClass) time.Duration

// estimate is the model's travel times at a moment. No routing engine is asked:
// every crew's way is looked at every second, which no quota would bear.
func (s *Service) estimate(ctx context.Context, at time.Time) travelEstimate {
	hour := at.In(s.cfg.Zone).Hour()
	plain := geo.DefaultStraightLine()
	return func(from, to geo.Point, road geo.RoadClass) time.Duration {
		if s.cfg.Travel.Engine() == "" {
			times, err := s.cfg.Travel.At(road, hour).Matrix(ctx, []geo.Point{from}, []geo.Point{to})
			if err == nil {
				return times[0][0]
			}
		}
		return plain.Time(from, to, road, hour)
	}
}

// tellOutlook keeps and tells what an outlook changes about a request; false
// when that is nothing, or when somebody has changed the request meanwhile: the
// next look sees it as it is then.
func (s *Service) tellOutlook(ctx context.Context, look *lookout, i int, o Outlook) (changed bool, err error) {
	j := &look.jobs[i]
	o.ExpectedAt = o.ExpectedAt.Truncate(time.Microsecond) // as the database keeps it
	next := look.warning(i, &o)
	step := queueStep
	if j.assignedAt != nil {
		step = forecastStep
	}
	warns := next.differs(j.warning, step)
	forecast := j.assignedAt != nil && moved(&o.ExpectedAt, j.expectedAt, forecastStep)
	if !warns && !forecast {
		return false, nil
	}
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		changed = false
		r, err := lockRequest(ctx, tx, j.id)
		if err != nil || r.Version != j.version {
			return err
		}
		var evs []events.Event
		if j.assignedAt != nil {
			r.ExpectedAt = &o.ExpectedAt
		}
		if forecast {
			evs = append(evs, events.ArrivalForecast{
				RequestID: r.ID, Area: string(r.Area), CrewID: r.Crew, ExpectedAt: o.ExpectedAt, DueAt: r.Promise.DueAt, ForecastAt: look.now,
			})
		}
		if warns {
			if next != nil && next.Remedy != nil {
				cards, err := listCrewCards(ctx, tx, []events.CrewID{next.Remedy.CrewID})
				if err != nil {
					return err
				}
				next.Remedy.CrewName = cards[next.Remedy.CrewID].Name
			}
			r.Warning = next
			evs = append(evs, next.told(&r, look.now))
		}
		changed = true
		return amend(ctx, tx, moment{watcher, look.now}, &r, evs...)
	})
	return changed, err
}

// warning is an outlook as it is kept and told; nil when all is well.
func (look *lookout) warning(i int, o *Outlook) *Warning {
	j := &look.jobs[i]
	if len(o.Dangers) == 0 {
		return nil
	}
	w := &Warning{Reasons: o.reasons(j.dueAt), RaisedAt: look.now}
	if j.warning != nil {
		w.RaisedAt = j.warning.RaisedAt
	}
	if !o.ExpectedAt.IsZero() {
		w.ExpectedAt = &o.ExpectedAt
	}
	if r := o.Remedy; r != nil {
		w.Remedy = &Remedy{
			CrewID: look.crews[r.Hand], ReadyAt: r.ReadyAt.Truncate(time.Microsecond), ExpectedAt: r.ExpectedAt.Truncate(time.Microsecond),
			Saves: r.Saves, Metres: int(geo.Distance(r.From, j.place)),
		}
		w.Remedy.ZH, w.Remedy.EN = r.words(look.now, j.dueAt)
	}
	return w
}

// warnLoop looks ahead until ctx ends. One replica does so at a time: two that
// have not heard the same fixes would take back each other's warnings.
func (s *Service) warnLoop(ctx context.Context) error {
	for ctx.Err() == nil {
		lock, ok, err := pg.TryLock(ctx, s.pool, "dispatch.warn")
		s.grumble(ctx, "look ahead", err)
		if ok {
			s.warnWhile(lock.Context())
			lock.Release()
		}
		pause(ctx, s.cfg.RetryEvery)
	}
	return nil
}

func (s *Service) warnWhile(ctx context.Context) {
	for ctx.Err() == nil {
		begun := time.Now()
		_, err := s.Warn(ctx)
		s.grumble(ctx, "look ahead", err)
		pause(ctx, max(s.cfg.WarnEvery, warnRest*time.Since(begun)))
	}
}

// pause waits for a wall time, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
