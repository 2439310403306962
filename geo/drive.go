package geo

import (
	"fmt"
	"time"
)

// SpeedResolution is the H3 resolution of the places speeds are learned for:
// about 5 km² each, a few quarters of a city.
const SpeedResolution = 7

const (
	shortestLearned = 300.0         // metres; below, starting and parking outweigh the road
	longestLearned  = 6 * time.Hour // beyond, the crew did something else
	fastestLearned  = 180.0         // km/h along the great circle; beyond, a clock or a position is wrong
)

// Drive is one finished drive to a job: how far, from where, when, and how long
// it took from setting off to arriving.
type Drive struct {
	start  Cell // of SpeedResolution
	metres float64
	class  RoadClass
	hour   int // local, of the day
	took   time.Duration
	said   *said // nil when nobody was asked
}

// said is what was predicted as a drive began.
type said struct{ model, learned time.Duration }

// Said is the drive with what the bare model and the learned one predicted as
// it began: the book then counts how far off these were, whatever it knows by
// the time it learns of the drive. So its errors do not depend on the order of
// learning.
func (d Drive) Said(model, learned time.Duration) Drive {
	d.said = &said{model: model, learned: learned}
	return d
}

// DriveError says why nothing can be learned from a drive.
type DriveError struct{ Field, Detail string }

func (e *DriveError) Error() string { return e.Field + ": " + e.Detail }

// NewDrive makes a drive between two places for a road class and the local hour
// at which it began. A bad place is a *CoordinateError, an unknown class a
// *RoadClassError, and a drive that is too short, too long or too fast to tell
// of traffic a *DriveError.
func NewDrive(from, to Point, class RoadClass, hour int, took time.Duration) (Drive, error) {
	if _, err := NewPoint(to.Lat, to.Lng); err != nil {
		return Drive{}, err
	}
	start, err := CellAt(from, SpeedResolution)
	if err != nil {
		return Drive{}, err
	}
	if _, err := ParseRoadClass(string(class)); err != nil {
		return Drive{}, err
	}
	metres := Distance(from, to)
	switch {
	case metres < shortestLearned:
		return Drive{}, &DriveError{"to", fmt.Sprintf("%.0f m away, under %.0f m", metres, shortestLearned)}
	case took <= 0 || took > longestLearned:
		return Drive{}, &DriveError{"took", fmt.Sprintf("%s is outside 0..%s", took, longestLearned)}
	case metres/took.Seconds()*3.6 > fastestLearned:
		return Drive{}, &DriveError{"took",
			fmt.Sprintf("%.0f m in %s is faster than %.0f km/h", metres, took, fastestLearned)}
	}
	return Drive{start: start, metres: metres, class: class, hour: hourOfDay(hour), took: took}, nil
}
