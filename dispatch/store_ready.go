package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
)

// heardCall is what is remembered of a request that was opened.
type heardCall struct {
	area     geo.AreaID
	at       time.Time
	where    geo.Point
	need     geo.Capabilities
	promised int // minutes
}

// listFirstCalls is when each area's first request of a time was opened.
func listFirstCalls(ctx context.Context, db events.Querier, from, to time.Time) (map[geo.AreaID]time.Time, error) {
	rows, err := db.Query(ctx, `SELECT area, min(opened_at) FROM dispatch.requests
		WHERE opened_at >= $1 AND opened_at < $2 GROUP BY area`, from, to)
	if err != nil {
		return nil, fmt.Errorf("read the first calls: %w", err)
	}
	firsts := map[geo.AreaID]time.Time{}
	var area geo.AreaID
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&area, &at}, func() error {
		firsts[area] = at.UTC()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the first calls: %w", err)
	}
	return firsts, nil
}

// eachCall visits every request opened in a time, in no order.
func eachCall(ctx context.Context, db events.Querier, from, to time.Time, visit func(heardCall)) error {
	rows, err := db.Query(ctx, `SELECT area, opened_at, lat, lng, need, promise_minutes FROM dispatch.requests
		WHERE opened_at >= $1 AND opened_at < $2`, from, to)
	if err != nil {
		return fmt.Errorf("read the calls: %w", err)
	}
	var c heardCall
	_, err = pgx.ForEachRow(rows, []any{&c.area, &c.at, &c.where.Lat, &c.where.Lng, &c.need, &c.promised}, func() error {
		visit(c)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the calls: %w", err)
	}
	return nil
}

// jobInHand is a crew's request.
type jobInHand struct {
	crew  events.CrewID
	at    geo.Point
	there time.Time // when the crew arrived, or is expected to
}

// listJobsInHand reads the requests that have a crew, and when it is there.
func listJobsInHand(ctx context.Context, db events.Querier) ([]jobInHand, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (j jobInHand, err error) {
		err = row.Scan(&j.crew, &j.at.Lat, &j.at.Lng, &j.there)
		utc(&j.there)
		return j, err
	}, `SELECT crew_id, lat, lng, coalesce(arrived_at, expected_at, assigned_at) FROM dispatch.requests
		WHERE state IN ('assigned', 'en_route', 'on_scene') ORDER BY crew_id`)
}
