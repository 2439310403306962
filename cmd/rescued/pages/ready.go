package pages

import (
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"rescued/dispatch"
	"rescued/events"
	"rescued/geo"
	"rescued/internal/web"
)

// readyRow is one advised move, in words.
type readyRow struct {
	Crew, Area, To, Drive, Gain, Why string
}

// ready is the advice where idle crews should stand, and when it was worked
// out.
type ready struct {
	Hint string
	Rows []readyRow
}

// ready asks for advice; nil for one who is not to have it. The queue is worth
// showing without it: an error is only logged.
func (p *pages) ready(r *http.Request, t text) *ready {
	by, _ := web.ActorFrom(r.Context())
	if !by.Is(events.RoleOperator, events.RoleAdmin) {
		return nil
	}
	now, moves, err := p.Service.AdviseMoves(r.Context(), by)
	if err != nil {
		slog.WarnContext(r.Context(), "the queue is shown without advice where to stand", "err", err)
		return nil
	}
	out := &ready{Hint: fill(t.ReadyHint, "clock", p.clock(&now))}
	for _, m := range moves {
		out.Rows = append(out.Rows, readyWords(t, m))
	}
	return out
}

func readyWords(t text, m dispatch.MoveAdvice) readyRow {
	from, to := geo.Point{Lat: m.From.Lat, Lng: m.From.Lng}, geo.Point{Lat: m.To.Lat, Lng: m.To.Lng}
	octant := int(math.Round(geo.Bearing(from, to)/45)) % len(t.Compass)
	number := func(x float64, digits int) string { return strconv.FormatFloat(x, 'f', digits, 64) }
	why := fill(t.ReadyWhy, "calls", number(m.Reaches.CallsPerHour, 2), "others", number(m.Reaches.OtherCrews, 1))
	if m.Leaves.CallsPerHour > 0 {
		why += fill(t.ReadyLeaves, "calls", number(m.Leaves.CallsPerHour, 2), "others", number(m.Leaves.OtherCrews, 1))
	}
	return readyRow{
		Crew: m.Crew.Name, Area: m.AreaName, Why: why,
		To: fill(t.ReadyTo, "direction", t.Compass[octant], "km", number(geo.Distance(from, to)/1000, 0),
			"lat", number(to.Lat, 4), "lng", number(to.Lng, 4)),
		Drive: fill(t.ReadyDrive, "minutes", strconv.Itoa((m.TravelS+59)/60)),
		Gain:  fill(t.ReadyGain, "gain", number(m.GainPerHour, 2)),
	}
}
