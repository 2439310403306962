package geo

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// amapOrigins is how many origins one call may name.
const amapOrigins = 100

// AMap asks a server of AMap's shape for the driving times of many origins to
// one destination, by GET /v3/distance with type=1, which counts the traffic of
// the moment (https://lbs.amap.com/api/webservice/guide/api/direction). Places
// go out in GCJ-02.
//
// The service sells calls: Governor keeps to what was bought, and a call that
// would exceed it is an *EngineError of FailQuota or FailThrottled without
// being sent. A pair it cannot join is NoRoute. Every error is an *EngineError;
// none holds the key. It is safe for concurrent use.
type AMap struct {
	key      string
	governor *Governor
	remote   remote
}

// NewAMap connects to the server at an address with an account's key. There is
// no default address. A nil client uses a default one, a nil governor lets every
// call pass. A bad address or an empty key is an *EngineURLError.
func NewAMap(address, key string, governor *Governor, client *http.Client) (*AMap, error) {
	r, err := newRemote("amap", address, client)
	if err != nil {
		return nil, err
	}
	if key == "" {
		return nil, &EngineURLError{Engine: "amap", Detail: "has no key beside it; set the account's key"}
	}
	return &AMap{key: key, governor: governor, remote: r}, nil
}

// Name implements RoutingEngine.
func (a *AMap) Name() string { return a.remote.engine }

// Metered says that each call is paid for.
func (a *AMap) Metered() bool { return true }

// Matrix implements TravelTimes. It takes one call for each destination and
// each 100 origins.
func (a *AMap) Matrix(ctx context.Context, from, to []Point) ([][]time.Duration, error) {
	if err := checkPlaces(a.remote.engine, from, to); err != nil {
		return nil, err
	}
	return inBlocks(ctx, from, to, amapOrigins, 1, a.ask)
}

type amapAnswer struct {
	Status   string       `json:"status"`   // "1" when answered
	Info     string       `json:"info"`     // in words
	InfoCode string       `json:"infocode"` // "10000" when answered
	Results  []amapResult `json:"results"`
}

type amapResult struct {
	Origin   amapNumber `json:"origin_id"` // counted from 1
	Duration amapNumber `json:"duration"`  // seconds
	Code     amapNumber `json:"code"`      // set when this origin has no route
}

// amapNumber reads a number that comes quoted or bare. AMap writes [] for what
// is empty: that, "" and null read as "".
type amapNumber string

func (n *amapNumber) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case '"':
		var s string
		err := json.Unmarshal(text, &s)
		*n = amapNumber(s)
		return err
	case '[', 'n':
		*n = ""
		return nil
	}
	var bare json.Number
	err := json.Unmarshal(text, &bare)
	*n = amapNumber(bare)
	return err
}

func (a *AMap) ask(ctx context.Context, from, to []Point) ([][]time.Duration, error) {
	origins := make([]string, len(from))
	for i, p := range from {
		place, err := a.place(p)
		if err != nil {
			return nil, err
		}
		origins[i] = place
	}
	destination, err := a.place(to[0])
	if err != nil {
		return nil, err
	}
	if err := a.governor.Take(ctx); err != nil {
		return nil, a.remote.fail(failureOfTake(err), "", err)
	}
	status, text, err := a.remote.call(ctx, "v3/distance", url.Values{
		"origins":     {strings.Join(origins, "|")},
		"destination": {destination},
		"type":        {"1"},
		"output":      {"json"},
		"key":         {a.key},
	}, nil)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		// The body is a proxy's page, not AMap's: it may repeat the URL.
		return nil, a.remote.refused(status, "")
	}
	var answer amapAnswer
	if err := a.remote.decode(text, &answer); err != nil {
		return nil, err
	}
	if answer.Status != "1" {
		return nil, a.notAnswered(answer)
	}
	return a.read(answer.Results, len(from))
}

func (a *AMap) place(p Point) (string, error) {
	lat, lng, err := FromWGS84(GCJ02, p)
	if err != nil {
		return "", a.remote.fail(FailRefused, "", err)
	}
	return lngLat(lat, lng), nil
}

// read puts the results, which name their origin, in order. An origin without
// one has no route.
func (a *AMap) read(results []amapResult, origins int) ([][]time.Duration, error) {
	rows := make([][]time.Duration, origins)
	for i := range rows {
		rows[i] = []time.Duration{NoRoute}
	}
	for _, r := range results {
		id, err := strconv.Atoi(string(r.Origin))
		if err != nil || id < 1 || id > origins {
			return nil, a.remote.malformed("origin_id %q of %d origins", r.Origin, origins)
		}
		if r.Duration == "" || r.Code != "" && r.Code != "0" {
			continue
		}
		seconds, err := strconv.ParseFloat(string(r.Duration), 64)
		if err != nil {
			return nil, a.remote.malformed("duration %q is no number", r.Duration)
		}
		if rows[id-1][0], err = driveOf(seconds); err != nil {
			return nil, a.remote.fail(FailMalformed, "", err)
		}
	}
	return rows, nil
}

// AMap's codes (https://lbs.amap.com/api/webservice/guide/tools/info).
var (
	amapQuota     = []string{"10003", "10044", "10045", "40000", "40002"}
	amapThrottled = []string{"10004", "10010", "10014", "10015", "10019", "10020", "10021", "10029"}
)

// notAnswered sorts AMap's codes. Told that the day's calls are gone, the
// governor lets no more pass until midnight: others may use the same account.
func (a *AMap) notAnswered(answer amapAnswer) error {
	detail := "infocode " + answer.InfoCode + " " + strings.ReplaceAll(answer.Info, a.key, "…")
	why := FailUnavailable
	switch {
	case slices.Contains(amapQuota, answer.InfoCode):
		a.governor.Exhaust()
		why = FailQuota
	case slices.Contains(amapThrottled, answer.InfoCode):
		why = FailThrottled
	case answer.InfoCode == "10016" || answer.InfoCode == "10017": // busy, or gone for a moment
	case strings.HasPrefix(answer.InfoCode, "10"):
		why = FailDenied
	case strings.HasPrefix(answer.InfoCode, "2"):
		why = FailRefused
	}
	return a.remote.fail(why, detail, nil)
}
