package geo

import (
	"context"
	"net/http"
	"time"
)

// DefaultMaxSnap is how far, in metres, an engine may move a place to reach a
// road. Beyond it the answer is about another place: an engine without a map of
// the region moves every place to its border.
const DefaultMaxSnap = 1000

// Valhalla asks a Valhalla server for a time-distance matrix, by
// POST /sources_to_targets
// (https://valhalla.github.io/valhalla/api/matrix/api-reference/).
//
// A pair it cannot join, and a place it would move further than MaxSnap, is
// NoRoute. Its errors are *EngineError. Set the fields before the first call;
// from then on it is safe for concurrent use.
type Valhalla struct {
	// Costing is the kind of vehicle: "auto" unless set, or "truck".
	Costing string
	// MaxSnap is in metres; DefaultMaxSnap unless set.
	MaxSnap float64
	// MaxPlaces is how many sources, and how many targets, go in one call: 50
	// unless set, which fits Valhalla's own limit of 2,500 pairs.
	MaxPlaces int

	remote remote
}

// NewValhalla connects to the server at an address such as
// http://valhalla:8002. A nil client uses a default one. A bad address is an
// *EngineURLError.
func NewValhalla(address string, client *http.Client) (*Valhalla, error) {
	r, err := newRemote("valhalla", address, client)
	if err != nil {
		return nil, err
	}
	return &Valhalla{Costing: "auto", MaxSnap: DefaultMaxSnap, MaxPlaces: 50, remote: r}, nil
}

// Name implements RoutingEngine.
func (v *Valhalla) Name() string { return v.remote.engine }

// Matrix implements TravelTimes.
func (v *Valhalla) Matrix(ctx context.Context, from, to []Point) ([][]time.Duration, error) {
	if err := checkPlaces(v.remote.engine, from, to); err != nil {
		return nil, err
	}
	most := max(v.MaxPlaces, 1)
	return inBlocks(ctx, from, to, most, most, v.ask)
}

type valhallaPlace struct {
	Lat float64 `json:"lat"`
	Lon float64 `json:"lon"`
}

type valhallaQuestion struct {
	Sources []valhallaPlace `json:"sources"`
	Targets []valhallaPlace `json:"targets"`
	Costing string          `json:"costing"`
	Verbose bool            `json:"verbose"` // one object per pair, with the places it was moved to
}

type valhallaAnswer struct {
	Cells [][]valhallaCell `json:"sources_to_targets"`
}

// valhallaCell is one pair. Versions before 3.5 do not tell the places.
type valhallaCell struct {
	Time     *float64 `json:"time"` // seconds, null for no route
	BeginLat *float64 `json:"begin_lat"`
	BeginLon *float64 `json:"begin_lon"`
	EndLat   *float64 `json:"end_lat"`
	EndLon   *float64 `json:"end_lon"`
}

func (v *Valhalla) ask(ctx context.Context, from, to []Point) ([][]time.Duration, error) {
	status, text, err := v.remote.call(ctx, "sources_to_targets", nil, valhallaQuestion{
		Sources: valhallaPlaces(from), Targets: valhallaPlaces(to), Costing: v.Costing, Verbose: true,
	})
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, v.remote.refused(status, string(text))
	}
	var answer valhallaAnswer
	if err := v.remote.decode(text, &answer); err != nil {
		return nil, err
	}
	if len(answer.Cells) != len(from) {
		return nil, v.remote.malformed("%d rows for %d sources", len(answer.Cells), len(from))
	}
	rows := make([][]time.Duration, len(from))
	for i, cells := range answer.Cells {
		if len(cells) != len(to) {
			return nil, v.remote.malformed("%d columns for %d targets", len(cells), len(to))
		}
		rows[i] = make([]time.Duration, len(to))
		for j, cell := range cells {
			if cell.Time == nil || v.moved(from[i], cell.BeginLat, cell.BeginLon) ||
				v.moved(to[j], cell.EndLat, cell.EndLon) {
				rows[i][j] = NoRoute
				continue
			}
			if rows[i][j], err = driveOf(*cell.Time); err != nil {
				return nil, v.remote.fail(FailMalformed, "", err)
			}
		}
	}
	return rows, nil
}

// moved reports whether the engine took another place for the one asked about.
func (v *Valhalla) moved(asked Point, lat, lon *float64) bool {
	return lat != nil && lon != nil && !(Distance(asked, Point{Lat: *lat, Lng: *lon}) <= v.MaxSnap)
}

func valhallaPlaces(points []Point) []valhallaPlace {
	places := make([]valhallaPlace, len(points))
	for i, p := range points {
		places[i] = valhallaPlace{Lat: p.Lat, Lon: p.Lng}
	}
	return places
}
