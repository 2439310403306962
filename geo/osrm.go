package geo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// OSRM asks an OSRM server for a duration table, by GET /table/v1
// (https://project-osrm.org/docs/v5.24.0/api/#table-service).
//
// A pair it cannot join, and a place it would move further than MaxSnap, is
// NoRoute. Its errors are *EngineError. Set the fields before the first call;
// from then on it is safe for concurrent use.
type OSRM struct {
	// Profile is the one the server's data was prepared with: "driving" unless set.
	Profile string
	// MaxSnap is in metres; DefaultMaxSnap unless set.
	MaxSnap float64
	// MaxPlaces is how many sources, and how many destinations, go in one call:
	// 50 unless set, which fits OSRM's own limit of 100 places.
	MaxPlaces int

	remote remote
}

// NewOSRM connects to the server at an address such as http://osrm:5000. A nil
// client uses a default one. A bad address is an *EngineURLError.
func NewOSRM(address string, client *http.Client) (*OSRM, error) {
	r, err := newRemote("osrm", address, client)
	if err != nil {
		return nil, err
	}
	return &OSRM{Profile: "driving", MaxSnap: DefaultMaxSnap, MaxPlaces: 50, remote: r}, nil
}

// Name implements RoutingEngine.
func (o *OSRM) Name() string { return o.remote.engine }

// Matrix implements TravelTimes.
func (o *OSRM) Matrix(ctx context.Context, from, to []Point) ([][]time.Duration, error) {
	if err := checkPlaces(o.remote.engine, from, to); err != nil {
		return nil, err
	}
	most := max(o.MaxPlaces, 1)
	return inBlocks(ctx, from, to, most, most, o.ask)
}

type osrmAnswer struct {
	Code         string       `json:"code"`
	Message      string       `json:"message"`
	Durations    [][]*float64 `json:"durations"` // seconds, null for no route
	Sources      []osrmPlace  `json:"sources"`
	Destinations []osrmPlace  `json:"destinations"`
}

type osrmPlace struct {
	Distance float64 `json:"distance"` // metres from the place asked about to the road
}

func (o *OSRM) ask(ctx context.Context, from, to []Point) ([][]time.Duration, error) {
	places := make([]string, 0, len(from)+len(to))
	for _, p := range from {
		places = append(places, lngLat(p.Lat, p.Lng))
	}
	for _, p := range to {
		places = append(places, lngLat(p.Lat, p.Lng))
	}
	status, text, err := o.remote.call(ctx, "table/v1/"+o.Profile+"/"+strings.Join(places, ";"), url.Values{
		"sources":      {countedFrom(0, len(from))},
		"destinations": {countedFrom(len(from), len(to))},
		"annotations":  {"duration"},
	}, nil)
	if err != nil {
		return nil, err
	}
	var answer osrmAnswer
	if status != http.StatusOK {
		// The reason is in the body, if the body is OSRM's and not a proxy's.
		_ = json.Unmarshal(text, &answer)
		return nil, o.remote.refused(status, answer.Code+" "+answer.Message)
	}
	if err := o.remote.decode(text, &answer); err != nil {
		return nil, err
	}
	if answer.Code != "Ok" {
		return nil, o.remote.fail(FailRefused, fmt.Sprintf("%s %s", answer.Code, answer.Message), nil)
	}
	return o.read(answer, len(from), len(to))
}

func (o *OSRM) read(answer osrmAnswer, from, to int) ([][]time.Duration, error) {
	if len(answer.Durations) != from {
		return nil, o.remote.malformed("%d rows for %d sources", len(answer.Durations), from)
	}
	rows := make([][]time.Duration, from)
	for i, seconds := range answer.Durations {
		if len(seconds) != to {
			return nil, o.remote.malformed("%d columns for %d destinations", len(seconds), to)
		}
		rows[i] = make([]time.Duration, to)
		for j, s := range seconds {
			if s == nil || o.moved(answer.Sources, i) || o.moved(answer.Destinations, j) {
				rows[i][j] = NoRoute
				continue
			}
			drive, err := driveOf(*s)
			if err != nil {
				return nil, o.remote.fail(FailMalformed, "", err)
			}
			rows[i][j] = drive
		}
	}
	return rows, nil
}

// moved reports whether the engine took another place for the one asked about.
// A server told to skip waypoints does not say.
func (o *OSRM) moved(places []osrmPlace, i int) bool {
	return i < len(places) && !(places[i].Distance <= o.MaxSnap)
}

// lngLat writes a coordinate as OSRM and AMap want it: longitude first, six
// decimals.
func lngLat(lat, lng float64) string {
	return strconv.FormatFloat(lng, 'f', 6, 64) + "," + strconv.FormatFloat(lat, 'f', 6, 64)
}

// countedFrom writes n numbers from first on: "3;4;5".
func countedFrom(first, n int) string {
	numbers := make([]string, n)
	for i := range numbers {
		numbers[i] = strconv.Itoa(first + i)
	}
	return strings.Join(numbers, ";")
}
