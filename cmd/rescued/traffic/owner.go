package traffic

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"rescued/geo"
)

// requestBody is what an owner's app sends; the shape of POST /v1/requests.
type requestBody struct {
	Contact struct {
		Name  string `json:"name"`
		Phone string `json:"phone"`
	} `json:"contact"`
	Vehicle struct {
		Plate       string `json:"plate"`
		Make        string `json:"make"`
		Model       string `json:"model"`
		Energy      string `json:"energy"`
		WeightClass string `json:"weight_class"`
	} `json:"vehicle"`
	Problem  string `json:"problem"`
	Location struct {
		Lat       float64 `json:"lat"`
		Lng       float64 `json:"lng"`
		Datum     string  `json:"datum"`
		AccuracyM float64 `json:"accuracy_m"`
		Address   string  `json:"address,omitempty"`
		RoadClass string  `json:"road_class"`
		Note      string  `json:"note,omitempty"`
	} `json:"location"`
	Safety struct {
		LiveLane     bool `json:"live_lane"`
		Children     bool `json:"children"`
		AloneAtNight bool `json:"alone_at_night"`
		Injury       bool `json:"injury"`
	} `json:"safety"`
	Destination *destinationBody `json:"destination,omitempty"`
	PartnerRef  string           `json:"partner_ref"`
}

type destinationBody struct {
	Lat     float64 `json:"lat"`
	Lng     float64 `json:"lng"`
	Datum   string  `json:"datum"`
	Address string  `json:"address,omitempty"`
}

type weighted struct {
	name   string
	weight int
}

// problems says what a kind of call in a demand file turns out to be on the
// road. The shares of DISABLED_VEHICLE follow the mixes that motoring clubs
// publish: batteries first, then tows and tyres.
var problems = map[string][]weighted{
	"DISABLED_VEHICLE": {
		{"battery_jump", 30}, {"battery_replace", 8}, {"tyre", 18}, {"tow_flatbed", 14},
		{"tow_wheel_lift", 8}, {"lockout", 8}, {"energy_out", 9}, {"garage_extraction", 2}, {"other", 3},
	},
	"VEHICLE_ACCIDENT": {{"accident", 1}},
	"VEHICLE_FIRE":     {{"tow_flatbed", 1}},
	"ROAD_OBSTRUCTION": {{"winch", 1}},
	"HAZARDOUS_ROAD":   {{"winch", 2}, {"tyre", 1}},
	"DEBRIS":           {{"tyre", 1}},
	"LEAKING_FUEL":     {{"tow_flatbed", 1}},
}

var (
	energies = []weighted{{"ice", 55}, {"bev", 30}, {"phev", 10}, {"erev", 5}}
	roads    = []weighted{{"urban", 70}, {"rural", 22}, {"motorway", 8}}
	makes    = []weighted{{"Example E5", 3}, {"Sample S7", 2}, {"Model One", 2}}
)

// bodyOf makes the request of a call. It is a pure function of the call, so
// the same call asked again is the same car with the same problem: a repeat of
// a place within the life of its first request is refused as a duplicate, as
// it would be when two people report one car. The round keeps a demonstration
// that goes on past its file from meeting its own cars again.
func bodyOf(c Call, platePrefix string, round int) requestBody {
	h := fnv.New64a()
	fmt.Fprintf(h, "%.6f,%.6f,%s,%d", c.At.Lat, c.At.Lng, c.Kind, round)
	seed := h.Sum64()
	r := rand.New(rand.NewPCG(seed, 45))

	var b requestBody
	b.Contact.Name = fmt.Sprintf("车主 %04d", seed%10_000)
	b.Contact.Phone = fmt.Sprintf("+86199%08d", seed%100_000_000)
	b.Vehicle.Energy = pick(r, energies)
	b.Vehicle.Plate = plateOf(platePrefix, b.Vehicle.Energy, seed)
	b.Vehicle.Make, b.Vehicle.Model = "Example", pick(r, makes)
	b.Vehicle.WeightClass = pick(r, []weighted{{"light", 92}, {"medium", 6}, {"heavy", 2}})
	b.Problem = problemOf(r, c.Kind, b.Vehicle.Energy)
	b.Location.Lat, b.Location.Lng, b.Location.Datum = c.At.Lat, c.At.Lng, string(geo.WGS84)
	b.Location.AccuracyM = 5 + 25*r.Float64()
	b.Location.RoadClass = pick(r, roads)
	b.Safety.LiveLane = r.IntN(100) < 4
	b.Safety.Children = r.IntN(100) < 8
	b.Safety.Injury = c.Kind == "VEHICLE_ACCIDENT" && r.IntN(100) < 8
	if b.Problem == "tow_flatbed" || b.Problem == "tow_wheel_lift" {
		to := geo.Offset(c.At, 4000*(r.Float64()-0.5), 4000*(r.Float64()-0.5))
		b.Destination = &destinationBody{Lat: to.Lat, Lng: to.Lng, Datum: string(geo.WGS84), Address: "最近的合作门店"}
	}
	b.PartnerRef = fmt.Sprintf("line-%d", c.Line)
	return b
}

func problemOf(r *rand.Rand, kind, energy string) string {
	choices, known := problems[kind]
	if !known {
		return "other"
	}
	p := pick(r, choices)
	switch {
	case p == "energy_out" && energy == "bev":
		return "ev_charge"
	case p == "energy_out":
		return "fuel"
	}
	return p
}

// plateOf gives eight characters for plug-in cars and seven for others, as
// Chinese plates have them.
func plateOf(prefix, energy string, seed uint64) string {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
	n := 5
	if energy != "ice" {
		n = 6
	}
	tail := make([]byte, n)
	for i := range tail {
		tail[i] = alphabet[seed%uint64(len(alphabet))]
		seed /= uint64(len(alphabet))
	}
	return prefix + string(tail)
}

func pick(r *rand.Rand, of []weighted) string {
	total := 0
	for _, w := range of {
		total += w.weight
	}
	n := r.IntN(total)
	for _, w := range of {
		if n -= w.weight; n < 0 {
			return w.name
		}
	}
	panic("pick: weights do not add up")
}
