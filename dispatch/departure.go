package dispatch

import (
	"errors"
	"time"

	"rescued/events"
	"rescued/geo"
)

const (
	// departFixAge is how old the position may be that a crew set off from.
	// Devices that stand report every few minutes, those that drive far oftener:
	// an older last fix is of a crew that stood there since.
	departFixAge = 5 * time.Minute
	// stoodTooLong is how long a crew may have been seen standing before its
	// drive tells of a pause and not of the road.
	stoodTooLong = 10 * time.Minute
	// oddRatio is how many times slower or faster than the model a drive may be
	// before it tells of another errand or a forgotten report.
	oddRatio = 5
)

// Why a finished drive taught nothing.
const (
	PassedNoPosition  = "no_position" // nobody knows where the crew set off
	PassedUnmeasured  = "unmeasured"  // the arrival rests on somebody's word alone
	PassedPause       = "pause"       // the crew stood on its way
	PassedTooShort    = "too_short"   // starting and parking outweigh the road
	PassedImplausible = "implausible" // no time, days, or faster than any truck
	PassedOutlier     = "outlier"     // far from anything the model knows
)

// departure is a crew setting off, with what was predicted then.
type departure struct {
	request        events.RequestID
	crew           events.CrewID
	from           *geo.Point // nil when no fresh position was known
	model, learned time.Duration
}

// departureOf notes where a crew sets off to its request now. The fix is the
// last one known of it, if any.
func departureOf(r *Request, fix Fix, known bool, speeds *geo.Speeds, now time.Time, zone *time.Location) departure {
	d := departure{request: r.ID, crew: r.Crew}
	if !known || !fix.usable() || now.Sub(fix.At).Abs() > departFixAge {
		return d
	}
	hour := now.In(zone).Hour()
	d.from = &fix.Point
	d.model = speeds.Model(fix.Point, r.Place.Point, r.Road, hour)
	d.learned = speeds.Time(fix.Point, r.Place.Point, r.Road, hour)
	return d
}

// finishedDrive is a departure whose job was finished by the same crew.
type finishedDrive struct {
	departure
	stood      time.Duration
	to         geo.Point
	road       geo.RoadClass
	departedAt time.Time
	arrivedAt  time.Time
	source     ArrivalSource
}

// lesson is what the drive teaches, or why it teaches nothing. A drive is
// learned only if both its ends were measured: an owner's word and an
// operator's decision prove that help came, not to the minute when. A crew
// that was swapped on its way has no arrival and never comes here.
func (f finishedDrive) lesson(base geo.StraightLine, zone *time.Location) (d geo.Drive, passed string) {
	switch {
	case f.from == nil:
		return d, PassedNoPosition
	case f.source != ByGPS && f.source != ByCode && f.source != ByTap:
		return d, PassedUnmeasured
	case f.stood >= stoodTooLong:
		return d, PassedPause
	}
	took, hour := f.arrivedAt.Sub(f.departedAt), f.departedAt.In(zone).Hour()
	d, err := geo.NewDrive(*f.from, f.to, f.road, hour, took)
	var bad *geo.DriveError
	switch {
	case errors.As(err, &bad) && bad.Field == "to":
		return geo.Drive{}, PassedTooShort
	case err != nil:
		return geo.Drive{}, PassedImplausible
	}
	model := base.Time(*f.from, f.to, f.road, hour)
	if took > oddRatio*model || took < model/oddRatio {
		return geo.Drive{}, PassedOutlier
	}
	return d.Said(f.model, f.learned), ""
}
