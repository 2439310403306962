package dispatch

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
)

const (
	// soonMost is how many crews that are not free yet are weighed for one
	// request.
	soonMost = 48
	// overrun is how long a job that should be over is taken to go on.
	overrun = 5 * time.Minute
)

// underway is a job under way, and its crew as one that will be free.
type underway struct {
	Request
	crew   events.CrewID    // asked or bound
	can    geo.Capabilities // of the crew
	freeAt time.Time        // expected end of the job; after now
	turn   bool             // it may be swapped: place and arrives are known
	place  geo.Point        // where the crew is now
	// arrives is when the crew is expected at the car; an asked one that
	// accepts at once.
	arrives time.Time
}

// muster reads the jobs under way in the area, with the crews that will be
// free after them.
func (s *Service) muster(ctx context.Context, tx pgx.Tx, b *board, area geo.AreaID) error {
	rows, err := listUnderWay(ctx, tx, area)
	if err != nil {
		return err
	}
	for _, r := range rows {
		u, known := s.fleet.lookup(r.crew)
		if !known || u.version == 0 || u.state == CrewOffDuty || u.state == CrewFinishing {
			continue
		}
		r.can = u.can
		s.expect(&r, &u, b)
		b.jobs = append(b.jobs, r)
	}
	return nil
}

// expect works out when a job ends and whether its crew may leave it. Drives
// are timed by the straight-line model: the whole area is weighed in each
// round, which no routing engine's quota bears.
func (s *Service) expect(j *underway, u *unit, b *board) {
	now := b.m.at
	claimed := j.UnprovenAt
	if claimed == nil {
		claimed = j.Evidence.ClaimedAt
	}
	switch {
	case j.ArrivedAt != nil:
		j.arrives = *j.ArrivedAt
	case claimed != nil:
		j.arrives = *claimed
	default:
		j.arrives = s.arrival(j, u, b)
	}
	j.freeAt = j.arrives.Add(s.cfg.Service)
	if least := now.Add(overrun); j.freeAt.Before(least) {
		j.freeAt = least
	}
	if !s.cfg.Swaps || claimed != nil || j.State == RequestOnScene || !u.fixed || u.fix.At.Before(b.since) ||
		geo.Distance(u.fix.Point, j.Place.Point) <= EvidenceMetres+u.fix.Accuracy {
		return
	}
	departs := now.Add(s.cfg.Turnout)
	switch {
	case j.DepartedAt != nil:
		departs = *j.DepartedAt
	case j.AssignedAt != nil:
		departs = j.AssignedAt.Add(s.cfg.Turnout)
	}
	j.turn, j.place = MayTurn(now, departs, j.arrives, j.Swaps), u.fix.Point
}

// arrival is when a crew that has not arrived is expected to, from where it is
// now if that is known.
func (s *Service) arrival(j *underway, u *unit, b *board) time.Time {
	now := b.m.at
	at := now
	if j.ExpectedAt != nil && j.ExpectedAt.After(at) {
		at = *j.ExpectedAt
	}
	if !u.fixed || u.fix.At.Before(b.since) {
		return at
	}
	drive := s.straight(b, u.fix.Point, &j.Request)
	switch {
	case j.State == RequestEnRoute:
		return now.Add(drive)
	case j.State == RequestOffered:
		drive += s.cfg.Turnout
	}
	if from := now.Add(drive); from.After(at) {
		return from
	}
	return at
}

// straight is a drive by the straight-line model, as finished jobs correct it.
func (s *Service) straight(b *board, from geo.Point, r *Request) time.Duration {
	return b.model.Time(from, r.Place.Point, r.Road, b.m.at.In(s.cfg.Zone).Hour())
}

// soon lists the crews that could go to a request after the job they have, the
// first to be there first. Reach.Crew is an index into b.jobs.
func (s *Service) soon(b *board, r *Request) []Reach {
	var out []Reach
	for j := range b.jobs {
		job := &b.jobs[j]
		if job.ID == r.ID || !job.can.Has(r.Need) || b.asked[r.ID][job.crew] {
			continue
		}
		if travel := s.straight(b, job.Place.Point, r); travel <= s.cfg.MaxTravel {
			out = append(out, Reach{Crew: j, Travel: travel})
		}
	}
	slices.SortStableFunc(out, func(x, y Reach) int {
		return cmp.Compare(b.jobs[x.Crew].freeAt.Sub(b.m.at)+x.Travel, b.jobs[y.Crew].freeAt.Sub(b.m.at)+y.Travel)
	})
	return out[:min(len(out), soonMost)]
}

// turnable is how far the crews of jobs that may be swapped are from a request
// as they are now. Reach.Crew is an index into b.jobs.
func (s *Service) turnable(b *board, r *Request, turned map[int]bool) []Reach {
	var out []Reach
	for j := range b.jobs {
		job := &b.jobs[j]
		if !turned[j] || job.ID != r.ID && (!job.can.Has(r.Need) || b.asked[r.ID][job.crew]) {
			continue
		}
		if travel := s.straight(b, job.place, r); job.ID == r.ID || travel <= s.cfg.MaxTravel {
			out = append(out, Reach{Crew: j, Travel: travel})
		}
	}
	return out
}

// listUnderWay is the jobs of an area that have a crew, or one that is asked.
func listUnderWay(ctx context.Context, tx pgx.Tx, area geo.AreaID) ([]underway, error) {
	return many(ctx, tx, func(row pgx.CollectableRow) (j underway, err error) {
		if err = row.Scan(append(places(j.columns()), &j.crew)...); err == nil {
			j.inUTC()
		}
		return j, err
	}, `SELECT `+requestColumns+`, coalesce(crew_id, (SELECT o.crew_id FROM dispatch.offers o WHERE o.request_id = r.id AND o.state = 'pending'))
		FROM dispatch.requests r WHERE area = $1 AND state IN ('offered', 'assigned', 'en_route', 'on_scene') ORDER BY id`, area)
}
