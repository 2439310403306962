package dispatch

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
)

func insertDeparture(ctx context.Context, tx pgx.Tx, d departure) error {
	var lat, lng *float64
	if d.from != nil {
		lat, lng = &d.from.Lat, &d.from.Lng
	}
	_, err := tx.Exec(ctx, `INSERT INTO dispatch.departures (request_id, crew_id, lat, lng, model_ms, learned_ms)
		VALUES ($1, $2, $3, $4, $5, $6)`, d.request, d.crew, lat, lng, d.model.Milliseconds(), d.learned.Milliseconds())
	return err
}

// endDeparture marks the departure of a finished job as one to learn from.
func endDeparture(ctx context.Context, tx pgx.Tx, r *Request) error {
	_, err := tx.Exec(ctx, `UPDATE dispatch.departures SET ended_in = pg_current_xact_id()
		WHERE request_id = $1 AND crew_id = $2`, r.ID, r.Crew)
	return err
}

// listFinishedDrives reads what jobs teach that were finished in transaction
// since or a later one, and closed after a moment; the newest if there are too
// many.
func listFinishedDrives(ctx context.Context, db events.Querier, since string, closed time.Time, most int) ([]finishedDrive, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (f finishedDrive, err error) {
		var lat, lng *float64
		var modelMs, learnedMs int64
		var stood float64
		err = row.Scan(&f.request, &f.crew, &lat, &lng, &modelMs, &learnedMs, &stood,
			&f.to.Lat, &f.to.Lng, &f.road, &f.departedAt, &f.arrivedAt, &f.source)
		if lat != nil && lng != nil {
			f.from = &geo.Point{Lat: *lat, Lng: *lng}
		}
		f.model, f.learned = time.Duration(modelMs)*time.Millisecond, time.Duration(learnedMs)*time.Millisecond
		f.stood = time.Duration(stood * float64(time.Second))
		return f, err
	}, `SELECT d.request_id, d.crew_id, d.lat, d.lng, d.model_ms, d.learned_ms, d.stood_s,
			r.lat, r.lng, r.road_class, r.departed_at, r.arrived_at, r.arrival_source
		FROM dispatch.departures d JOIN dispatch.requests r ON r.id = d.request_id AND r.crew_id = d.crew_id
		WHERE d.ended_in >= $1::text::xid8 AND r.state = 'done' AND r.departed_at IS NOT NULL AND r.closed_at >= $2
		ORDER BY r.closed_at DESC, r.id LIMIT $3`, since, closed, most)
}

// stop is a crew on its way that was seen standing between two samples.
type stop struct {
	request events.RequestID
	crew    events.CrewID
	seconds float64
}

// listStops compares new positions with those sampled before: a crew on its way
// that is within some 50 m of where it was a minute or two ago has stood. In a
// traffic jam crews creep further than that.
func listStops(ctx context.Context, tx pgx.Tx, last map[events.CrewID]Fix) ([]stop, error) {
	ids, ats, lats, lngs, _ := fixColumns(last)
	return many(ctx, tx, func(row pgx.CollectableRow) (s stop, err error) {
		err = row.Scan(&s.request, &s.crew, &s.seconds)
		return s, err
	}, `SELECT r.id, c.id, extract(epoch FROM h.at - c.fixed_at)::float8
		FROM unnest($1::uuid[], $2::timestamptz[], $3::float8[], $4::float8[]) AS h (id, at, lat, lng)
		JOIN dispatch.crews c ON c.id = h.id
		JOIN dispatch.requests r ON r.crew_id = c.id AND r.state = 'en_route'
		WHERE c.fixed_at >= r.departed_at AND h.at - c.fixed_at BETWEEN interval '30 seconds' AND interval '3 minutes'
		  AND abs(h.lat - c.fix_lat) < 0.0005 AND abs(h.lng - c.fix_lng) * cos(radians(h.lat)) < 0.0005
		ORDER BY c.id`, ids, ats, lats, lngs)
}

// addStops adds to how long crews have stood on their way. The crews' rows are
// locked by then, so that it never waits for a job that is being finished.
func addStops(ctx context.Context, tx pgx.Tx, stops []stop) error {
	for _, s := range stops {
		_, err := tx.Exec(ctx, `UPDATE dispatch.departures SET stood_s = stood_s + $3 WHERE request_id = $1 AND crew_id = $2`,
			s.request, s.crew, s.seconds)
		if err != nil {
			return err
		}
	}
	return nil
}
