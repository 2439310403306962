package sla

import (
	"time"
	_ "time/tzdata" // a container without a zone database still knows when a day ends in Shanghai

	"rescued/internal/fault"
)

// DefaultZone is where a business day begins and ends unless somebody says
// otherwise.
const DefaultZone = "Asia/Shanghai"

// zone reads the name of a time zone; the empty name is DefaultZone.
func zone(name string) (*time.Location, error) {
	if name == "" {
		name = DefaultZone
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fault.InvalidFields([]fault.Field{{Field: "zone", Code: "zone",
			Detail: "is no time zone we know; give a name of the IANA database, such as Asia/Shanghai or UTC"}})
	}
	return loc, nil
}

// inZone writes a moment in a zone, with its offset; the zero time is empty.
func inZone(t time.Time, loc *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(loc).Format("2006-01-02T15:04:05.999999Z07:00")
}
