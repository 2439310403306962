package dispatch

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"rescued/geo"
	"rescued/internal/fault"
)

// NewRequest is what a caller says to open a request. It is the body of
// POST /v1/requests and the payload of the intake topic alike; text is as it
// came in, and Check finds everything that is wrong with it at once.
type NewRequest struct {
	Contact     Contact         `json:"contact,omitzero"`
	Vehicle     Vehicle         `json:"vehicle,omitzero"`
	Problem     Problem         `json:"problem,omitempty"`
	Location    NewLocation     `json:"location,omitzero"`
	Safety      Safety          `json:"safety,omitzero"`
	Destination *NewDestination `json:"destination,omitempty"`
	PartnerRef  string          `json:"partner_ref,omitempty"`
	Product     string          `json:"product,omitempty"` // what the owner has bought, such as a plan; a promise may depend on it

	// Key is the Idempotency-Key, or the CloudEvents id of an intake event.
	Key string `json:"-"`

	intake *intakeSource // of one that came over the intake topic
}

// intakeSource is the CloudEvents id and source of an intake event, by which
// its sender knows the answer.
type intakeSource struct{ id, source string }

// NewLocation is where the car stands. Datum is required: the same numbers
// mean places some hundred metres apart in different datums.
type NewLocation struct {
	Lat       *float64      `json:"lat,omitempty"`
	Lng       *float64      `json:"lng,omitempty"`
	Datum     geo.Datum     `json:"datum,omitempty"`
	AccuracyM float64       `json:"accuracy_m,omitempty"` // metres; 0 unknown
	Address   string        `json:"address,omitempty"`
	RoadClass geo.RoadClass `json:"road_class,omitempty"` // urban when absent
	Direction string        `json:"direction,omitempty"`
	Note      string        `json:"note,omitempty"`
}

// NewDestination is where a tow goes.
type NewDestination struct {
	Lat     *float64  `json:"lat,omitempty"`
	Lng     *float64  `json:"lng,omitempty"`
	Datum   geo.Datum `json:"datum,omitempty"`
	Address string    `json:"address,omitempty"`
}

// maxKey is the longest idempotency key, in bytes: what web.Idempotent lets in.
const maxKey = 255

var (
	phoneForm = regexp.MustCompile(`^\+?[0-9][0-9 ()-]{3,22}[0-9]$`)
	vinForm   = regexp.MustCompile(`^[A-HJ-NPR-Z0-9]{17}$`)
	// productForm is how policies name products too.
	productForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
)

// Check reads the input into a request that is not opened yet: classified,
// with its place in WGS-84. Its error names every wrong field.
func (in NewRequest) Check() (Request, error) {
	var c checker
	r := Request{
		Contact: Contact{
			Name:  c.text("contact.name", in.Contact.Name, 1, 80),
			Phone: strings.TrimSpace(narrow(in.Contact.Phone)),
		},
		Vehicle: Vehicle{
			Plate:       normalPlate(in.Vehicle.Plate),
			VIN:         strings.ToUpper(strings.TrimSpace(narrow(in.Vehicle.VIN))),
			Make:        c.text("vehicle.make", in.Vehicle.Make, 0, 60),
			Model:       c.text("vehicle.model", in.Vehicle.Model, 0, 60),
			Energy:      oneOf(&c, "vehicle.energy", in.Vehicle.Energy, Energies()),
			WeightClass: oneOf(&c, "vehicle.weight_class", orElse(in.Vehicle.WeightClass, WeightLight), WeightClasses()),
		},
		Problem:    oneOf(&c, "problem", in.Problem, Problems()),
		Safety:     in.Safety,
		PartnerRef: c.text("partner_ref", in.PartnerRef, 0, 120),
		Place:      c.place("location", in.Location.Lat, in.Location.Lng, in.Location.Datum, in.Location.Address),
		AccuracyM:  in.Location.AccuracyM,
		Road: oneOf(&c, "location.road_class", orElse(in.Location.RoadClass, geo.UrbanRoad),
			[]geo.RoadClass{geo.UrbanRoad, geo.RuralRoad, geo.Motorway}),
		Direction: c.text("location.direction", in.Location.Direction, 0, 120),
		Note:      c.text("location.note", in.Location.Note, 0, 1000),
	}
	if !phoneForm.MatchString(r.Contact.Phone) {
		c.wrong("contact.phone", in.Contact.Phone, "must be a telephone number, such as +86 138 0000 0000")
	}
	if !plateForm(r.Vehicle.Plate) {
		c.wrong("vehicle.plate", in.Vehicle.Plate, "must be 2 to 12 letters and digits")
	}
	if r.Product = strings.TrimSpace(in.Product); r.Product != "" && !productForm.MatchString(r.Product) {
		c.wrong("product", in.Product, "must be at most 63 letters, digits, dots, - and _, beginning with a letter or digit, or be left out")
	}
	if r.Vehicle.VIN != "" && !vinForm.MatchString(r.Vehicle.VIN) {
		c.wrong("vehicle.vin", in.Vehicle.VIN, "must be 17 letters and digits without I, O and Q, or be left out")
	}
	if a := r.AccuracyM; math.IsNaN(a) || a < 0 || a > 100_000 {
		c.add("location.accuracy_m", "range", "must be metres between 0 and 100000")
	}
	if d := in.Destination; d != nil {
		to := c.place("destination", d.Lat, d.Lng, d.Datum, d.Address)
		r.Destination = &to
	}
	c.key(in.Key)
	r.Need = Need(r.Problem, r.Vehicle.Energy, r.Vehicle.WeightClass)
	r.Priority = PriorityOf(r.Safety, r.Road)
	r.key = keyOf(in.Key, in)
	return r, c.err()
}

// keyOf pairs an idempotency key with the hash of the input it came with.
func keyOf(key string, in any) idempotency {
	if key == "" {
		return idempotency{}
	}
	b, err := json.Marshal(in)
	if err != nil { // NaN or infinity; Check refuses both by name
		b = fmt.Append(nil, in)
	}
	sum := sha256.Sum256(b)
	return idempotency{key: key, hash: sum[:]}
}

// normalPlate writes a plate the one way, however it was typed: a car must
// not have two open requests because of a dot, a space or a wide letter.
func normalPlate(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("·•.-‧", r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, narrow(s))
}

// narrow writes the wide forms of ASCII, as Chinese keyboards type them, in
// ASCII.
func narrow(s string) string {
	const first, last = '！', '～' // U+FF01 to U+FF5E
	return strings.Map(func(r rune) rune {
		if r >= first && r <= last {
			return r - first + '!'
		}
		return r
	}, s)
}

func plateForm(s string) bool {
	n := utf8.RuneCountInString(s)
	return n >= 2 && n <= 12 && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func orElse[T ~string](v, otherwise T) T {
	if v == "" {
		return otherwise
	}
	return v
}

// checker gathers wrong fields.
type checker struct{ fields []fault.Field }

func (c *checker) add(field, code, format string, args ...any) {
	c.fields = append(c.fields, fault.Field{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// wrong refuses a value: as missing when there is none, else by its form.
func (c *checker) wrong(field, value, mend string) {
	if strings.TrimSpace(value) == "" {
		c.add(field, "required", "is missing; it %s", mend)
		return
	}
	c.add(field, "format", "%s", mend)
}

// key bounds an idempotency key.
func (c *checker) key(s string) {
	if len(s) > maxKey || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		c.add("idempotency_key", "format", "must be at most %d bytes of plain text", maxKey)
	}
}

func (c *checker) err() error { return fault.InvalidFields(c.fields) }

// text trims and bounds a free text; control characters are refused, line
// breaks and tabs apart.
func (c *checker) text(field, s string, least, most int) string {
	s = strings.TrimSpace(s)
	n := utf8.RuneCountInString(s)
	switch {
	case n < least:
		c.add(field, "required", "is missing")
	case n > most:
		c.add(field, "too_long", "must be at most %d characters", most)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }):
		c.add(field, "format", "must be plain text")
	}
	return s
}

func oneOf[T ~string](c *checker, field string, v T, known []T) T {
	if slices.Contains(known, v) {
		return v
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	if v == "" {
		c.add(field, "required", "is missing; name one of %s", strings.Join(names, ", "))
	} else {
		c.add(field, "unknown", "%.40q is unknown; name one of %s", string(v), strings.Join(names, ", "))
	}
	return v
}

func (c *checker) place(field string, lat, lng *float64, datum geo.Datum, address string) Place {
	p := Place{Datum: datum, Address: c.text(field+".address", address, 0, 200)}
	before := len(c.fields)
	if lat == nil {
		c.add(field+".lat", "required", "is missing; give degrees north")
	} else if p.Lat = *lat; !(p.Lat >= -90 && p.Lat <= 90) {
		c.add(field+".lat", "range", "must be between -90 and 90 degrees")
	}
	if lng == nil {
		c.add(field+".lng", "required", "is missing; give degrees east")
	} else if p.Lng = *lng; !(p.Lng >= -180 && p.Lng <= 180) {
		c.add(field+".lng", "range", "must be between -180 and 180 degrees")
	}
	oneOf(c, field+".datum", datum, geo.Datums)
	if len(c.fields) > before {
		return p
	}
	point, err := geo.ToWGS84(datum, p.Lat, p.Lng)
	if err != nil {
		var bad *geo.CoordinateError
		if errors.As(err, &bad) {
			c.add(field+"."+bad.Field, "range", "%s", bad.Detail)
		} else {
			c.add(field, "range", "%s", err.Error())
		}
	}
	p.Point = point
	return p
}
