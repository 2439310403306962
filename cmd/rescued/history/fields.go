package history

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/sla"
)

// columns are those of the general file.
var columns = []string{
	"reference", "called_at", "lat", "lng", "datum", "area", "tier", "problem", "kind", "road_class", "priority", "product",
	"price_fen", "partner", "provider", "crew", "assigned_at", "expected_at", "departed_at", "arrived_at", "freed_at", "cancelled_at",
	"arrival_source", "policy", "plate", "vehicle",
}

// fields reads the fields of one row and gathers what is wrong with them.
type fields struct {
	*sheet
	cfg Config
	row *Row
}

func (f fields) wrong(field, code, format string, args ...any) {
	f.row.Wrong = append(f.row.Wrong, fault.Field{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// text is a field that outlives its row.
func (f fields) text(column string) string { return strings.Clone(f.field(column)) }

func (f fields) or(column, otherwise string) string {
	if v := f.text(column); v != "" {
		return v
	}
	return otherwise
}

// general reads a row of the general file.
func (f fields) general() {
	r := &f.row.Rescue
	*r = sla.PastRescue{
		Reference: f.text("reference"), Kind: f.text("kind"), Problem: f.or("problem", "other"),
		RoadClass: f.or("road_class", "urban"), Product: f.text("product"), Crew: f.text("crew"), Provider: f.text("provider"),
		CalledAt: f.moment("called_at"), AssignedAt: f.moment("assigned_at"), ExpectedAt: f.moment("expected_at"), DepartedAt: f.moment("departed_at"),
		ArrivedAt: f.moment("arrived_at"), FreedAt: f.moment("freed_at"), CancelledAt: f.moment("cancelled_at"),
		ArrivalSource: f.or("arrival_source", f.cfg.ArrivalSource), Priority: int(f.whole("priority", 2)), PriceFen: sla.Fen(f.whole("price_fen", 0)),
	}
	if plate := f.or("plate", f.text("vehicle")); plate != "" && f.cfg.Vehicle != nil {
		if r.VehicleKey = f.cfg.Vehicle(plate); r.VehicleKey == "" {
			f.wrong("plate", "form", "is no plate; write 2 to 12 letters and digits, or leave it empty")
		}
	}
	f.partners(r)
	f.policy(r)
	f.place(r)
}

func (f fields) partners(r *sla.PastRescue) {
	if text := f.field("partner"); text != "" {
		id, err := events.ParseID[events.PartnerID](text)
		if err != nil {
			f.wrong("partner", "id", "%q is no partner; write ptn_… as this service lists them, or leave it empty", text)
		}
		r.PartnerID = id
	}
	if strings.HasPrefix(r.Provider, "prv_") {
		id, err := events.ParseID[events.ProviderID](r.Provider)
		if err != nil {
			f.wrong("provider", "id", "%q is no provider; write prv_… as this service lists them, or the other system's word", r.Provider)
		}
		r.ProviderID = id
	}
	f.crew(r)
}

// crew finds whose a crew is, where the row does not say it.
func (f fields) crew(r *sla.PastRescue) {
	if f.cfg.Crews == nil || r.Crew == "" || r.Provider != "" {
		return
	}
	id, listed := f.cfg.Crews[r.Crew]
	switch {
	case !listed:
		f.wrong("crew", "unlisted", "%q stands not in the list of crews; add it there, with an empty provider if it is nobody's that this service knows", r.Crew)
	case !id.IsZero():
		r.Provider, r.ProviderID = id.String(), id
	}
}

func (f fields) policy(r *sla.PastRescue) {
	text := f.field("policy")
	if text == "" {
		return
	}
	var err error
	if r.Policy, r.PolicyVersion, err = ParsePolicy(strings.Clone(text)); err != nil {
		f.wrong("policy", "form", "%v", err)
	}
}

// ParsePolicy reads name/version.
func ParsePolicy(text string) (name string, version int, err error) {
	name, number, ok := strings.Cut(text, "/")
	version, bad := strconv.Atoi(number)
	if !ok || name == "" || bad != nil || version < 1 {
		return "", 0, fmt.Errorf("%q is not name/version, such as example-45/1", text)
	}
	return name, version, nil
}

// run reads a row of a run of the simulator. It says itself what it would
// have paid, which is not what the import's policy says if that is another.
func (f fields) run() {
	r := &f.row.Rescue
	number := f.text("request")
	*r = sla.PastRescue{
		Reference: f.cfg.Digest[:12] + "/" + number, Problem: "other", RoadClass: "urban", Priority: 2, Crew: f.text("crew_id"),
		CalledAt: f.moment("called_at"), AssignedAt: f.moment("assigned_at"), ExpectedAt: f.moment("expected_at"), ArrivedAt: f.moment("arrived_at"), FreedAt: f.moment("freed_at"),
		ArrivalSource: "gps", // the simulator prices arrivals as if shown by position
	}
	f.crew(r)
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		f.wrong("request", "number", "%q is not the number of a request; write it as the simulator does", number)
	}
	if text := f.field("compensation_fen"); text != "" {
		fen := sla.Fen(f.whole("compensation_fen", 0))
		f.row.SaysFen = &fen
	}
	if f.cfg.Demand != nil && err == nil && n >= 0 {
		f.called(r, n)
		return
	}
	f.area(r, nil)
}

// called finds the call of a request in the demand file.
func (f fields) called(r *sla.PastRescue, n int) {
	if n >= len(f.cfg.Demand) {
		f.wrong("request", "demand", "the demand file has %d calls and none numbered %d; name the file (and --kind) this run was made from", len(f.cfg.Demand), n)
		return
	}
	call := f.cfg.Demand[n]
	if !r.CalledAt.IsZero() && !call.CalledAt.Equal(r.CalledAt) {
		f.wrong("called_at", "demand", "call %d of the demand file came at %s; name the file (and --kind) this run was made from", n, call.CalledAt.Format(time.RFC3339))
		return
	}
	r.Kind = call.Kind
	r.Location = &events.LatLng{Lat: call.At.Lat, Lng: call.At.Lng}
	f.area(r, &call.At)
}

// place reads where a rescue was.
func (f fields) place(r *sla.PastRescue) {
	lat, lng := f.field("lat"), f.field("lng")
	if lat == "" && lng == "" {
		f.area(r, nil)
		return
	}
	named := f.or("datum", f.cfg.Datum)
	datum, err := geo.ParseDatum(named)
	switch {
	case named == "":
		f.wrong("datum", "required", "is missing; say wgs84, gcj02 or bd09 in the column datum, or for the whole file with --datum")
		return
	case err != nil:
		f.wrong("datum", "unknown", "%v", err)
		return
	}
	y, badLat := strconv.ParseFloat(lat, 64)
	x, badLng := strconv.ParseFloat(lng, 64)
	if badLat != nil {
		f.wrong("lat", "number", "%q is not a number; write degrees such as 30.2741", lat)
	}
	if badLng != nil {
		f.wrong("lng", "number", "%q is not a number; write degrees such as 120.1551", lng)
	}
	if badLat != nil || badLng != nil {
		return
	}
	p, err := geo.ToWGS84(datum, y, x)
	var bad *geo.CoordinateError
	if errors.As(err, &bad) {
		f.wrong(bad.Field, "range", "%s", bad.Detail)
		return
	} else if err != nil {
		f.wrong("lat", "range", "%v", err)
		return
	}
	r.Location = &events.LatLng{Lat: p.Lat, Lng: p.Lng}
	f.area(r, &p)
}

// area says in which area and tier a rescue was: as the row names it, as the
// whole file is said to be, or as the place lies.
func (f fields) area(r *sla.PastRescue, at *geo.Point) {
	r.Area, r.Tier = f.or("area", f.cfg.Area), f.or("tier", f.cfg.Tier)
	if own := f.field("area"); own != "" && !f.cfg.Known(geo.AreaID(own)) {
		f.wrong("area", "unknown", "%q is no covered area; import its areas first (rescued areas import), or correct it", own)
		return
	}
	if r.Area == "" && at == nil {
		f.wrong("area", "required", "is missing; give an area, or a position with its datum, or one area for the whole file with --area")
		return
	}
	if at != nil && (r.Area == "" || r.Tier == "") {
		place, err := f.cfg.Locate(*at)
		if err != nil && r.Area == "" {
			f.wrong("lat", "outside", "%v; import its areas first (rescued areas import), or name an area", err)
			return
		}
		if err == nil && r.Area == "" {
			r.Area = string(place.Area.ID)
		}
		if err == nil && r.Tier == "" && r.Area == string(place.Area.ID) {
			r.Tier = string(place.Tier)
		}
	}
	if r.Tier == "" {
		r.Tier = string(geo.Urban)
	}
}

var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04",
	"2006/1/2 15:04:05", "2006/1/2 15:04",
}

// moment reads a time, zero for none; one without a zone is of the file's.
func (f fields) moment(column string) time.Time {
	text := f.field(column)
	if text == "" {
		return time.Time{}
	}
	for _, layout := range layouts {
		if at, err := time.ParseInLocation(layout, text, f.cfg.Zone); err == nil {
			return at.UTC().Truncate(time.Microsecond)
		}
	}
	f.wrong(column, "time", "%q is not a time; write it as 2016-02-24T08:15:00+08:00", text)
	return time.Time{}
}

func (f fields) whole(column string, otherwise int64) int64 {
	text := f.field(column)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f.wrong(column, "number", "%q is not a whole number", text)
		return otherwise
	}
	return n
}
