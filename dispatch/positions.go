package dispatch

import (
	"fmt"
	"strings"
	"time"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
)

const (
	// futureFix is how far ahead of the business clock a device's clock may
	// run before its fix is refused.
	futureFix = time.Minute
	// maxAccuracy bounds the accuracy a device may name, in metres.
	maxAccuracy = 100_000
)

// NewPosition is one fix of a crew's device, as it comes in.
type NewPosition struct {
	CrewID    events.CrewID `json:"crew_id,omitzero" doc:"A crew's own token implies it."`
	FixedAt   time.Time     `json:"fixed_at,omitzero" doc:"By the device's clock."`
	Lat       *float64      `json:"lat,omitempty" doc:"Degrees north, in datum."`
	Lng       *float64      `json:"lng,omitempty" doc:"Degrees east, in datum."`
	Datum     geo.Datum     `json:"datum,omitempty" doc:"wgs84, gcj02 or bd09; required."`
	AccuracyM float64       `json:"accuracy_m,omitempty" doc:"Metres; 0 when unknown."`
}

// RefusedPosition is a fix that was not taken, with everything wrong with it.
type RefusedPosition struct {
	Index  int           `json:"index" doc:"Place in the call, from 0."`
	Fields []fault.Field `json:"fields"`
}

// sorted is a call's fixes, told apart.
type sorted struct {
	taken   []events.CrewPositioned
	refused []RefusedPosition
	foreign int // refused because the crew is not the caller's
}

// sortPositions checks each fix by itself: one bad fix of a device must not
// keep the good ones from counting. mine says whose fixes the caller may bring.
func sortPositions(in []NewPosition, own events.CrewID, mine func(events.CrewID) bool, now time.Time) sorted {
	var out sorted
	for i, p := range in {
		if p.CrewID.IsZero() {
			p.CrewID = own
		}
		var c checker
		switch {
		case p.CrewID.IsZero():
			c.add("crew_id", "required", "is missing; only a crew's own token implies it")
		case !mine(p.CrewID):
			c.add("crew_id", "unknown_crew", "is no crew of yours")
			out.foreign++
		}
		switch {
		case p.FixedAt.IsZero():
			c.add("fixed_at", "required", "is missing; give the device's time of the fix")
		case p.FixedAt.After(now.Add(futureFix)):
			c.add("fixed_at", "future", "is ahead of the business clock (%s); set the device's clock", now.Format(time.RFC3339))
		}
		if !(p.AccuracyM >= 0 && p.AccuracyM <= maxAccuracy) {
			c.add("accuracy_m", "range", "must be metres between 0 and %d", maxAccuracy)
		}
		place := c.bare(p)
		if len(c.fields) > 0 {
			out.refused = append(out.refused, RefusedPosition{Index: i, Fields: c.fields})
			continue
		}
		out.taken = append(out.taken, events.CrewPositioned{
			CrewID: p.CrewID, FixedAt: p.FixedAt.UTC().Truncate(time.Microsecond), Location: latLng(place),
			AccuracyM: p.AccuracyM, HeardAt: now,
		})
	}
	return out
}

// bare checks the coordinates of a position, whose fields stand by themselves.
func (c *checker) bare(p NewPosition) geo.Point {
	var at checker
	place := at.place("at", p.Lat, p.Lng, p.Datum, "")
	for _, f := range at.fields {
		f.Field = strings.TrimPrefix(f.Field, "at.")
		c.fields = append(c.fields, f)
	}
	return place.Point
}

// problem is the error of a call of which nothing could be taken; nil otherwise.
func (s sorted) problem() error {
	if len(s.taken) > 0 || len(s.refused) == 0 {
		return nil
	}
	if s.foreign == len(s.refused) {
		return ErrForbidden.Detailf("None of these crews is yours.")
	}
	var fields []fault.Field
	for _, r := range s.refused {
		for _, f := range r.Fields {
			f.Field = fmt.Sprintf("positions[%d].%s", r.Index, f.Field)
			fields = append(fields, f)
		}
		if len(fields) >= 200 {
			break
		}
	}
	return fault.InvalidFields(fields)
}
