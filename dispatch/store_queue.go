package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// The statements of the live queue and of what is shown beside a request.

const queueColumns = `
	SELECT r.id, r.state, r.priority, r.problem, r.plate, r.area, r.area_name, r.address, r.lat, r.lng,
	       r.opened_at, r.due_at, r.expected_at, r.warning, r.stranded_at, r.stranded_why, r.held, r.unproven_at IS NOT NULL, r.version,
	       c.id, coalesce(c.name, ''), o.crew_id, o.expires_at, o.round
	FROM dispatch.requests r
	LEFT JOIN dispatch.crews c ON c.id = r.crew_id
	LEFT JOIN dispatch.offers o ON o.request_id = r.id AND o.state = 'pending'
	WHERE r.state IN ('open', 'stranded', 'offered', 'assigned', 'en_route')`

// selectQueue reads every request that waits for help to arrive.
func selectQueue(ctx context.Context, db events.Querier) ([]QueueRow, error) {
	rows, err := db.Query(ctx, queueColumns)
	if err != nil {
		return nil, fmt.Errorf("read the queue: %w", err)
	}
	queue, err := pgx.CollectRows(rows, scanQueueRow)
	if err != nil {
		return nil, fmt.Errorf("read the queue: %w", err)
	}
	return queue, nil
}

// selectQueueRow reads one request's row; false when it is not in the queue.
func selectQueueRow(ctx context.Context, db events.Querier, id events.RequestID) (QueueRow, bool, error) {
	rows, err := db.Query(ctx, queueColumns+` AND r.id = $1`, id)
	if err != nil {
		return QueueRow{}, false, fmt.Errorf("read the queue's row of %s: %w", id, err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, scanQueueRow)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return QueueRow{}, false, nil
	case err != nil:
		return QueueRow{}, false, fmt.Errorf("read the queue's row of %s: %w", id, err)
	}
	return row, true, nil
}

func scanQueueRow(row pgx.CollectableRow) (QueueRow, error) {
	var (
		q         QueueRow
		plate     string
		crew      QueueCrew
		offer     QueueOffer
		expires   *time.Time
		round     *int
		whyCounts map[string]int
	)
	err := row.Scan(&q.ID, &q.State, &q.Priority, &q.Problem, &plate, &q.Area, &q.AreaName, &q.Address,
		&q.Location.Lat, &q.Location.Lng, &q.OpenedAt, &q.DueAt, &q.ExpectedAt, &q.AtRisk, &q.StrandedAt, &whyCounts, &q.Held,
		&q.Unproven, &q.Version, &crew.ID, &crew.Name, &offer.CrewID, &expires, &round)
	if err != nil {
		return QueueRow{}, err
	}
	q.PlateMasked, q.StrandedWhy = MaskPlate(plate), whyText(whyCounts)
	if !crew.ID.IsZero() {
		q.Crew = &crew
	}
	if round != nil {
		offer.ExpiresAt, offer.Round = *expires, *round
		q.Offer = &offer
	}
	if q.ExpectedAt == nil {
		q.ReachS = int(nominalReach.Seconds())
	}
	return q, nil
}

// selectLinkHolder reads what a tracking link is checked against; zero when
// there is no such request.
func selectLinkHolder(ctx context.Context, db events.Querier, id events.RequestID) (linkHolder, error) {
	var h linkHolder
	err := db.QueryRow(ctx, `SELECT owner_id, tracking_epoch, closed_at FROM dispatch.requests WHERE id = $1`, id).
		Scan(&h.owner, &h.epoch, &h.closedAt)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return linkHolder{}, fmt.Errorf("read the holder of a link: %w", err)
	}
	return h, nil
}
