package sla

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"rescued/events"
)

// Match narrows a rule. A list that is missing or empty matches anything; all
// lists given must match.
type Match struct {
	Tiers       []string           `json:"tiers,omitempty" enum:"urban,county" doc:"Tiers of the city."`
	RoadClasses []string           `json:"road_classes,omitempty" enum:"urban,rural,motorway" doc:"Classes of the road."`
	Problems    []string           `json:"problems,omitempty" doc:"As in a request."`
	Priorities  []int              `json:"priorities,omitempty" doc:"0 danger to life, 1 exposed, 2 normal"`
	Areas       []string           `json:"areas,omitempty" doc:"Area identifiers."`
	Partners    []events.PartnerID `json:"partners,omitempty" doc:"Partners whose requests these are."`
	Products    []string           `json:"products,omitempty" doc:"What the owner has bought, as the request says."`
	Hours       []Hours            `json:"hours,omitempty" doc:"Times of day at which the request was accepted, in the policy's time zone."`
	Weather     []string           `json:"weather,omitempty" enum:"normal,blue,yellow,orange,red,storm" doc:"Declared weather modes: the level of the gravest alert in force, storm when storm mode is, or normal."`
}

// Hours is a stretch of the day from From up to and without To, in 24-hour
// clock: 22:00 to 06:00 goes over midnight.
type Hours struct {
	From string `json:"from" doc:"First minute." example:"22:00" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$"`
	To   string `json:"to" doc:"First minute that is not in it; 24:00 is the end of the day." example:"06:00" pattern:"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"`
}

// The weather modes besides the levels of an alert.
const (
	WeatherNormal = "normal"
	WeatherStorm  = "storm" // storm mode was declared
)

// WeatherModes lists the weather modes, the lightest first: normal, the level
// of the gravest weather alert in force, or storm.
func WeatherModes() []string {
	return slices.Concat([]string{WeatherNormal}, AlertLevels(), []string{WeatherStorm})
}

// holds reports whether a request accepted at that moment is matched.
func (m Match) holds(at time.Time, f Facts, zone *time.Location) bool {
	return among(m.Tiers, f.Tier) && among(m.RoadClasses, f.RoadClass) && among(m.Problems, f.Problem) &&
		among(m.Priorities, f.Priority) && among(m.Areas, f.Area) && among(m.Partners, f.PartnerID) &&
		among(m.Products, f.Product) && among(m.Weather, weatherOr(f.Weather)) && m.inHours(at, zone)
}

// weatherOr is a weather mode, normal where none is declared.
func weatherOr(mode string) string {
	if mode == "" {
		return WeatherNormal
	}
	return mode
}

func (m Match) inHours(at time.Time, zone *time.Location) bool {
	if len(m.Hours) == 0 {
		return true
	}
	local := at.In(zone)
	minute := local.Hour()*60 + local.Minute()
	return slices.ContainsFunc(m.Hours, func(h Hours) bool {
		from, to := minuteOf(h.From), minuteOf(h.To)
		if from < to {
			return from <= minute && minute < to
		}
		return minute >= from || minute < to // over midnight
	})
}

func (m Match) everything() bool {
	return len(m.Tiers)+len(m.RoadClasses)+len(m.Problems)+len(m.Priorities)+len(m.Areas)+len(m.Partners)+
		len(m.Products)+len(m.Hours)+len(m.Weather) == 0
}

func among[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

var hourForm = regexp.MustCompile(`^(([01]\d|2[0-3]):[0-5]\d|24:00)$`)

// minuteOf is the minute of the day that a checked HH:MM names.
func minuteOf(s string) int {
	n := func(i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }
	return n(0)*60 + n(3)
}

var zones sync.Map // name -> *time.Location; loading one reads a file

// zone is the policy's time zone; UTC when it names none.
func (p Policy) zone() *time.Location {
	zone, err := zoneNamed(p.TimeZone)
	if err != nil {
		return time.UTC // refused when the policy was read
	}
	return zone
}

func zoneNamed(name string) (*time.Location, error) {
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		zones.Store(name, zone)
	}
	return zone, err
}

// The words a match may use, as requests carry them. A misspelt one would
// never match, silently.
var (
	tierWords    = []string{"urban", "county"}
	roadWords    = []string{"urban", "rural", "motorway"}
	problemWords = []string{
		"battery_jump", "battery_replace", "tyre", "fuel", "ev_charge", "ev_fault", "lockout",
		"tow_flatbed", "tow_wheel_lift", "winch", "accident", "garage_extraction", "heavy", "other",
	}
)

// productForm is how a product is written in requests and policies.
var productForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (m Match) wrong(c *complaints, at, timeZone string) {
	for _, list := range []struct {
		name         string
		given, known []string
	}{
		{"tiers", m.Tiers, tierWords},
		{"road_classes", m.RoadClasses, roadWords},
		{"problems", m.Problems, problemWords},
		{"weather", m.Weather, WeatherModes()},
	} {
		for i, word := range list.given {
			c.oneOf(fmt.Sprintf("%s.%s[%d]", at, list.name, i), word, list.known)
		}
	}
	for i, n := range m.Priorities {
		c.check(n >= 0 && n <= 2, fmt.Sprintf("%s.priorities[%d]", at, i), "range", "must be 0, 1 or 2")
	}
	for i, id := range m.Partners {
		c.check(!id.IsZero(), fmt.Sprintf("%s.partners[%d]", at, i), "required", "is empty; name a partner as ptn_…")
	}
	for i, area := range m.Areas {
		c.check(area != "", fmt.Sprintf("%s.areas[%d]", at, i), "required", "is empty; name an area")
	}
	for i, product := range m.Products {
		c.check(productForm.MatchString(product), fmt.Sprintf("%s.products[%d]", at, i), "form",
			"must be letters, digits, dot, - and _, beginning with a letter or digit, at most 63")
	}
	for i, h := range m.Hours {
		at := fmt.Sprintf("%s.hours[%d]", at, i)
		c.check(hourForm.MatchString(h.From) && h.From != "24:00", at+".from", "form", "must be a time of day as 22:00")
		c.check(hourForm.MatchString(h.To), at+".to", "form", "must be a time of day as 06:00, or 24:00")
		c.check(h.From != h.To, at+".to", "range", "is the same as from; leave hours out to match the whole day")
		c.check(timeZone != "", at, "time_zone", "needs the policy's time_zone, such as Asia/Shanghai")
	}
}

// oneOf complains about a word that is not in the list.
func (c *complaints) oneOf(field, word string, known []string) {
	c.check(slices.Contains(known, word), field, "value", "%q is unknown; it must be one of %s", word, strings.Join(known, ", "))
}

// wordsOf is a list of words of a type of their own.
func wordsOf[S ~string](list []S) []string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return words
}
