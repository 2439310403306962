package sla

import "slices"

// AttributionRule says from when on time counts as lost, and by whom.
type AttributionRule struct {
	AssignmentS  int64  `json:"assignment_s" doc:"A crew should be bound within so many seconds; beyond it the platform loses time."`
	TurnoutS     int64  `json:"turnout_s" doc:"A crew should set out within so many seconds; beyond it its provider loses time."`
	TravelSlackS int64  `json:"travel_slack_s" doc:"A crew may take so many seconds longer than was expected when it took the job; beyond it its provider loses time."`
	MislocatedM  int64  `json:"mislocated_m" doc:"Beyond this many metres between the car and where the owner said it stood, what the drive took too long is the owner's; 0: never."`
	WeatherLevel string `json:"weather_level" enum:"blue,yellow,orange,red" doc:"From this level of a weather alert on, what is lost while it holds is the weather's."`
}

// defaultAttribution holds for a policy that says nothing of it.
var defaultAttribution = AttributionRule{AssignmentS: 3 * 60, TurnoutS: 5 * 60, TravelSlackS: 5 * 60, MislocatedM: 500, WeatherLevel: "orange"}

func (p Policy) attribution() AttributionRule {
	if p.Attribution == nil {
		return defaultAttribution
	}
	return *p.Attribution
}

// grave reports whether a weather alert of a level answers for lost time.
func (r AttributionRule) grave(level string) bool {
	return slices.Index(AlertLevels(), level) >= slices.Index(AlertLevels(), r.WeatherLevel)
}

// wrongAttribution lists what cannot be meant of the attribution of fault.
func (p Policy) wrongAttribution(c *complaints) {
	if p.Attribution == nil {
		return
	}
	r := p.Attribution
	for _, f := range []struct {
		field string
		s     int64
	}{{"assignment_s", r.AssignmentS}, {"turnout_s", r.TurnoutS}, {"travel_slack_s", r.TravelSlackS}} {
		c.check(f.s >= 0 && f.s <= maxSeconds, "attribution."+f.field, "range", "must be between 0 and %d seconds", maxSeconds)
	}
	c.check(r.MislocatedM >= 0 && r.MislocatedM <= 1_000_000, "attribution.mislocated_m", "range", "must be between 0 and 1000000 metres")
	c.check(slices.Contains(AlertLevels(), r.WeatherLevel), "attribution.weather_level", "unknown", "is %q; use one of %v", r.WeatherLevel, AlertLevels())
}
