package geo

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAMapSpeaksGCJ02(t *testing.T) {
	t.Parallel()
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		require.Equal(t, "/v3/distance", r.URL.Path)
		require.Equal(t, secret, q.Get("key"))
		require.Equal(t, "1", q.Get("type"))
		want := []Point{futian, nanshan, luohu}
		for i, place := range append(strings.Split(q.Get("origins"), "|"), q.Get("destination")) {
			lngText, latText, _ := strings.Cut(place, ",")
			require.Len(t, lngText[strings.Index(lngText, ".")+1:], 6)
			lat, err := strconv.ParseFloat(latText, 64)
			require.NoError(t, err)
			lng, err := strconv.ParseFloat(lngText, 64)
			require.NoError(t, err)
			back, err := ToWGS84(GCJ02, lat, lng)
			require.NoError(t, err)
			require.Less(t, Distance(want[i], back), 0.2)
			require.Greater(t, Distance(want[i], Point{lat, lng}), 300.0, "GCJ-02 lies elsewhere")
		}
		// Out of order, one quoted, one bare.
		fmt.Fprint(w, `{"status":"1","info":"OK","infocode":"10000","results":[
			{"origin_id":2,"dest_id":1,"distance":21000,"duration":1980},
			{"origin_id":"1","dest_id":"1","distance":"8800","duration":"960"}]}`)
	})
	engine, err := NewAMap(address, secret, nil, nil)
	require.NoError(t, err)
	rows, err := engine.Matrix(t.Context(), []Point{futian, nanshan}, []Point{luohu})
	require.NoError(t, err)
	require.Equal(t, [][]time.Duration{{16 * time.Minute}, {33 * time.Minute}}, rows)
}

func TestAMapPartialAnswer(t *testing.T) {
	t.Parallel()
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"status":"1","infocode":"10000","results":[
			{"origin_id":"1","duration":"60"},
			{"origin_id":"2","duration":"0","code":"1","info":"no road between them"},
			{"origin_id":"3","duration":[]}]}`)
	})
	engine, err := NewAMap(address, secret, nil, nil)
	require.NoError(t, err)
	rows, err := engine.Matrix(t.Context(), []Point{futian, nanshan, luohu, futian}, []Point{luohu})
	require.NoError(t, err)
	require.Equal(t, [][]time.Duration{{time.Minute}, {NoRoute}, {NoRoute}, {NoRoute}}, rows)
}

func TestAMapTakesAHundredOriginsPerCall(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		var results []string
		for i := range strings.Split(r.URL.Query().Get("origins"), "|") {
			results = append(results, fmt.Sprintf(`{"origin_id":"%d","duration":"%d"}`, i+1, i))
		}
		require.LessOrEqual(t, len(results), 100)
		fmt.Fprintf(w, `{"status":"1","results":[%s]}`, strings.Join(results, ","))
	})
	governor, err := NewGovernor(1000, 10, 0, nil)
	require.NoError(t, err)
	engine, err := NewAMap(address, secret, governor, nil)
	require.NoError(t, err)
	from := make([]Point, 230)
	for i := range from {
		from[i] = futian
	}
	rows, err := engine.Matrix(t.Context(), from, []Point{luohu, nanshan})
	require.NoError(t, err)
	require.EqualValues(t, 6, calls.Load())
	require.Equal(t, 6, governor.UsedToday())
	require.Equal(t, []time.Duration{29 * time.Second, 29 * time.Second}, rows[229])
}

func TestAMapCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]Failure{
		"10001": FailDenied, "10009": FailDenied, "10003": FailQuota, "10044": FailQuota, "40000": FailQuota,
		"10021": FailThrottled, "10004": FailThrottled, "10016": FailUnavailable,
		"20000": FailRefused, "20803": FailRefused, "30001": FailUnavailable, "": FailUnavailable,
	} {
		var calls atomic.Int32
		address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			fmt.Fprintf(w, `{"status":"0","info":"WRONG %s","infocode":"%s"}`, secret, code)
		})
		governor, err := NewGovernor(1000, 10, 0, nil)
		require.NoError(t, err)
		engine, err := NewAMap(address, secret, governor, nil)
		require.NoError(t, err)
		for range 2 {
			_, err = engine.Matrix(t.Context(), []Point{futian}, []Point{luohu})
			require.Equal(t, want, whyOf(t, err), "infocode %s", code)
		}
		if want == FailQuota {
			require.EqualValues(t, 1, calls.Load(), "told once that the day is used up, it asks no more")
		} else {
			require.EqualValues(t, 2, calls.Load())
		}
	}
}

func TestAMapKeepsItsQuota(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		fmt.Fprint(w, `{"status":"1","results":[{"origin_id":"1","duration":"60"}]}`)
	})
	governor, err := NewGovernor(1000, 100, 3, nil)
	require.NoError(t, err)
	engine, err := NewAMap(address, secret, governor, nil)
	require.NoError(t, err)
	for k := range 5 {
		_, err := engine.Matrix(t.Context(), []Point{futian}, []Point{luohu})
		if k < 3 {
			require.NoError(t, err)
		} else {
			require.Equal(t, FailQuota, whyOf(t, err))
		}
	}
	require.EqualValues(t, 3, calls.Load())
}
