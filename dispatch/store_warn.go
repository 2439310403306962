package dispatch

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
)

// awaitedJob is what the early warning reads of a request under way.
type awaitedJob struct {
	id         events.RequestID
	version    int64
	state      RequestState
	priority   Priority
	need       geo.Capabilities
	place      geo.Point
	road       geo.RoadClass
	openedAt   time.Time
	dueAt      time.Time
	releasedAt *time.Time
	crew       events.CrewID // bound, or asked
	assignedAt *time.Time
	expectedAt *time.Time // of crew
	arrivedAt  *time.Time
	warning    *Warning
	// offerTravel and offerMetres are the drive as it was timed when crew was
	// asked; 0 without.
	offerTravel time.Duration
	offerMetres float64
}

// listJobsUnderWay reads every request that is not over: those that wait for
// help, and those at which a crew is at work.
func listJobsUnderWay(ctx context.Context, db events.Querier) ([]awaitedJob, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (j awaitedJob, err error) {
		var travelS int
		err = row.Scan(&j.id, &j.version, &j.state, &j.priority, capabilityBits{&j.need}, &j.place.Lat, &j.place.Lng, &j.road,
			&j.openedAt, &j.dueAt, &j.releasedAt, &j.crew, &j.assignedAt, &j.expectedAt, &j.arrivedAt, &j.warning, &travelS, &j.offerMetres)
		j.offerTravel = time.Duration(travelS) * time.Second
		utc(&j.openedAt, &j.dueAt, j.releasedAt, j.assignedAt, j.expectedAt, j.arrivedAt)
		return j, err
	}, `SELECT r.id, r.version, r.state, r.priority, r.need, r.lat, r.lng, r.road_class,
			r.opened_at, r.due_at, r.released_at, coalesce(r.crew_id, o.crew_id), r.assigned_at, r.expected_at, r.arrived_at, r.warning,
			coalesce(o.travel_s, 0), coalesce(o.metres, 0)
		FROM dispatch.requests r
		LEFT JOIN dispatch.offers o ON o.request_id = r.id
			AND (o.state = 'pending' OR o.state = 'accepted' AND o.crew_id = r.crew_id)
		WHERE r.state NOT IN ('done', 'cancelled') ORDER BY r.id`)
}
