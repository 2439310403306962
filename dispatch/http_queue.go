package dispatch

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/web"
)

type queueInput struct {
	web.Listing
	Show     string `query:"show" enum:"all,unassigned,stranded,unproven,at_risk,breached,risk10,risk20,ok" default:"all" doc:"Which rows: one of the counters."`
	Area     string `query:"area" maxLength:"60"`
	Priority int    `query:"priority" minimum:"-1" maximum:"2" default:"-1" doc:"0, 1 or 2; -1 is any."`
}

type queueBody struct {
	Now        time.Time   `json:"now" doc:"Business time."`
	Speed      float64     `json:"speed"`
	OrderedAt  time.Time   `json:"ordered_at" doc:"The moment the order is of: that of the first page."`
	Counts     QueueCounts `json:"counts"`
	Items      []QueueRow  `json:"items" nullable:"false"`
	NextCursor string      `json:"next_cursor,omitempty"`
}

type queueOutput struct {
	Link string `header:"Link" doc:"The next page, rel=next."`
	Body queueBody
}

func (a *API) queueRoutes(api huma.API) {
	const tag = "queue"
	web.Register(api, operation(http.MethodGet, "/v1/queue", "readQueue", "Requests that wait for help to arrive, least time to spare first", tag),
		web.Only(staffRoles...), a.readQueue)
	op := operation(http.MethodGet, "/v1/queue/stream", "followQueue", "The queue, live", tag)
	op.Description = "Events: snapshot (the whole queue), change (one row, or gone), reset (the gap was too old; a snapshot follows), beat (the clock). " +
		"Send Last-Event-ID to go on where a stream broke off."
	web.RegisterStream(api, op, web.Only(staffRoles...), a.followQueue)
}

// Queue is the live queue at this moment, for pages that show it beside the API.
func (a *API) Queue(ctx context.Context) (QueueSnapshot, error) {
	snap, err := a.queue.snapshot(ctx)
	snap.Speed = a.cfg.Speed
	return snap, err
}

// queueCursor is a place in the order of the queue as it was at a moment.
// Slack changes as time goes by: all pages share the first one's moment, so
// that no row is met twice or skipped for that.
type queueCursor struct {
	At    time.Time        `json:"at"`
	Slack time.Duration    `json:"slack"`
	ID    events.RequestID `json:"id"`
}

func (c queueCursor) before(r QueueRow) bool {
	slack := r.slack(c.At)
	return c.Slack < slack || c.Slack == slack && c.ID.Compare(r.ID) < 0
}

func (a *API) readQueue(ctx context.Context, in *queueInput) (*queueOutput, error) {
	var from queueCursor
	resumed, err := web.DecodeCursor("queue", in.Cursor, &from)
	if err == nil && resumed && (from.At.IsZero() || from.ID.IsZero()) {
		err = web.ErrCursor
	}
	if err != nil {
		return nil, err
	}
	snap, err := a.Queue(ctx)
	if err != nil {
		return nil, err
	}
	if !resumed {
		from.At = snap.Now
	}
	rows := slices.DeleteFunc(snap.Rows, func(r QueueRow) bool {
		return in.Area != "" && r.Area != in.Area || in.Priority >= 0 && r.Priority != in.Priority
	})
	body := queueBody{Now: snap.Now, Speed: a.cfg.Speed, OrderedAt: from.At, Counts: count(rows, snap.Now)}
	rows = slices.DeleteFunc(rows, func(r QueueRow) bool {
		return !r.shownUnder(in.Show, snap.Now) || resumed && !from.before(r)
	})
	bySlack(rows, from.At)
	body.Items, body.NextCursor = page("queue", rows, in.Limit, func(r QueueRow) queueCursor {
		return queueCursor{from.At, r.slack(from.At), r.ID}
	})
	if body.Items == nil {
		body.Items = []QueueRow{}
	}
	return &queueOutput{web.Listed(ctx, body.Items, body.NextCursor).Link, body}, nil
}

// shownUnder reports whether a counter of the queue counts the row.
func (r QueueRow) shownUnder(counter string, now time.Time) bool {
	switch counter {
	case "unassigned":
		return r.Crew == nil
	case "stranded":
		return r.StrandedAt != nil
	case "unproven":
		return r.Unproven
	case "at_risk":
		return r.atRisk(now)
	case "all":
		return true
	}
	return r.Tier == Tier(counter)
}
