package geo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const secret = "k3y-nobody-may-see"

// engines makes each adapter over one address.
var engines = map[string]func(address string) (RoutingEngine, error){
	"valhalla": func(a string) (RoutingEngine, error) { return NewValhalla(a, nil) },
	"osrm":     func(a string) (RoutingEngine, error) { return NewOSRM(a, nil) },
	"amap":     func(a string) (RoutingEngine, error) { return NewAMap(a, secret, nil, nil) },
}

func serveHTTP(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func whyOf(t *testing.T, err error) Failure {
	t.Helper()
	var failed *EngineError
	require.ErrorAs(t, err, &failed)
	require.NotContains(t, err.Error(), secret)
	return failed.Why
}

var (
	futian  = Point{22.5411, 114.0594}
	nanshan = Point{22.5329, 113.9304}
	luohu   = Point{22.5484, 114.1315}
)

func TestEngineFailures(t *testing.T) {
	t.Parallel()
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	cases := map[string]struct {
		serve http.HandlerFunc
		want  Failure
	}{
		"too many calls": {status(429, ""), FailThrottled},
		"no right":       {status(403, "{}"), FailDenied},
		"bad question":   {status(400, `{"error":"No path","code":"NoTable"}`), FailRefused},
		"broken":         {status(500, "<html>"), FailUnavailable},
		"gateway":        {status(504, "slow"), FailTimeout},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, FailUnavailable},
		"not JSON":  {status(200, "<html>hello"), FailMalformed},
		"cut short": {status(200, `{"sources_to_targets":[[`), FailMalformed},
		"endless":   {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, strings.Repeat(" ", mostAnswer+2)) }, FailMalformed},
		"slower than asked": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client left
			<-r.Context().Done()
		}, FailTimeout},
		"hangs up": {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, FailUnavailable},
	}
	for name, connect := range engines {
		for title, c := range cases {
			t.Run(name+" "+title, func(t *testing.T) {
				t.Parallel()
				engine, err := connect(serveHTTP(t, c.serve))
				require.NoError(t, err)
				require.Equal(t, name, engine.Name())
				limit := 5 * time.Second
				if c.want == FailTimeout {
					limit = 100 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				begun := time.Now()
				_, err = engine.Matrix(ctx, []Point{futian}, []Point{nanshan})
				require.Equal(t, c.want, whyOf(t, err), "%v", err)
				require.Less(t, time.Since(begun), 4*time.Second)
			})
		}
		t.Run(name+" nobody there", func(t *testing.T) {
			t.Parallel()
			engine, err := connect("http://" + freeAddress(t))
			require.NoError(t, err)
			_, err = engine.Matrix(t.Context(), []Point{futian}, []Point{nanshan})
			require.Equal(t, FailUnavailable, whyOf(t, err))
			_, err = engine.Matrix(t.Context(), []Point{{91, 0}}, []Point{nanshan})
			require.Equal(t, FailRefused, whyOf(t, err))
			rows, err := engine.Matrix(t.Context(), nil, []Point{nanshan})
			require.NoError(t, err)
			require.Empty(t, rows)
		})
	}
}

func TestEngineAddresses(t *testing.T) {
	t.Parallel()
	for name, connect := range engines {
		for _, bad := range []string{"", "valhalla:8002", "ftp://a/", "http://", "http://a/?key=1", "http://a/#b", "http://%zz" + secret} {
			_, err := connect(bad)
			var refused *EngineURLError
			require.ErrorAs(t, err, &refused, "%s %s", name, bad)
			require.NotContains(t, err.Error(), secret)
		}
	}
	_, err := NewAMap("http://a", "", nil, nil)
	require.ErrorContains(t, err, "key")
}

func TestValhallaMatrix(t *testing.T) {
	t.Parallel()
	calls := 0
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		require.Equal(t, "POST /base/sources_to_targets", r.Method+" "+r.URL.Path)
		var q valhallaQuestion
		require.NoError(t, json.NewDecoder(r.Body).Decode(&q))
		require.Equal(t, "truck", q.Costing)
		require.True(t, q.Verbose)
		require.LessOrEqual(t, len(q.Sources), 2)
		var rows []string
		for _, s := range q.Sources {
			var cells []string
			for _, g := range q.Targets {
				seconds := strconv.Itoa(int(Distance(Point{s.Lat, s.Lon}, Point{g.Lat, g.Lon}) / 10))
				if s.Lat == luohu.Lat && g.Lat == nanshan.Lat {
					seconds = "null"
				}
				endLat := g.Lat
				if s.Lat == futian.Lat && g.Lat == futian.Lat {
					endLat += 0.02 // 2.2 km
				}
				cells = append(cells, fmt.Sprintf(`{"time":%s,"distance":1.5,"begin_lat":%v,"begin_lon":%v,"end_lat":%v,"end_lon":%v}`,
					seconds, s.Lat, s.Lon, endLat, g.Lon))
			}
			rows = append(rows, "["+strings.Join(cells, ",")+"]")
		}
		fmt.Fprintf(w, `{"units":"kilometers","sources_to_targets":[%s]}`, strings.Join(rows, ","))
	})
	engine, err := NewValhalla(address+"/base/", nil)
	require.NoError(t, err)
	engine.Costing, engine.MaxPlaces = "truck", 2

	from, to := []Point{futian, nanshan, luohu}, []Point{nanshan, luohu, futian}
	rows, err := engine.Matrix(t.Context(), from, to)
	require.NoError(t, err)
	require.Equal(t, 4, calls, "3 x 3 in blocks of 2 x 2")
	for i := range from {
		for j := range to {
			switch {
			case i == 2 && j == 0, i == 0 && j == 2:
				require.Equal(t, NoRoute, rows[i][j])
			default:
				require.InDelta(t, Distance(from[i], to[j])/10, rows[i][j].Seconds(), 1)
			}
		}
	}
}

func TestOSRMMatrix(t *testing.T) {
	t.Parallel()
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/table/v1/driving/114.059400,22.541100;113.930400,22.532900;114.131500,22.548400", r.URL.Path)
		require.Equal(t, "0;1", r.URL.Query().Get("sources"))
		require.Equal(t, "2", r.URL.Query().Get("destinations"))
		fmt.Fprint(w, `{"code":"Ok","durations":[[612.4],[null]],
			"sources":[{"distance":4.2,"location":[114,22]},{"distance":3,"location":[1,2]}],
			"destinations":[{"distance":12}]}`)
	})
	engine, err := NewOSRM(address, nil)
	require.NoError(t, err)
	rows, err := engine.Matrix(t.Context(), []Point{futian, nanshan}, []Point{luohu})
	require.NoError(t, err)
	require.Equal(t, [][]time.Duration{{612400 * time.Millisecond}, {NoRoute}}, rows)

	engine.MaxSnap = 4
	rows, err = engine.Matrix(t.Context(), []Point{futian, nanshan}, []Point{luohu})
	require.NoError(t, err)
	require.Equal(t, NoRoute, rows[0][0], "moved by 4.2 m, and the destination by 12 m")
}

func TestEnginesRefuseNonsense(t *testing.T) {
	t.Parallel()
	cases := map[string][]string{
		"valhalla": {
			`{}`, `{"sources_to_targets":[]}`, `{"sources_to_targets":[[]]}`,
			`{"sources_to_targets":[[{"time":-1}]]}`, `{"sources_to_targets":[[{"time":1e9}]]}`,
			`{"sources_to_targets":{"durations":[[1]]}}`,
		},
		"osrm": {
			`{"code":"Ok"}`, `{"code":"Ok","durations":[[]]}`, `{"code":"Ok","durations":[[-3]]}`,
			`{"code":"Ok","durations":[[1],[2]]}`,
		},
		"amap": {
			`{"status":"1","results":[{"origin_id":"2","duration":"5"}]}`,
			`{"status":"1","results":[{"origin_id":"0","duration":"5"}]}`,
			`{"status":"1","results":[{"origin_id":"1","duration":"soon"}]}`,
			`{"status":"1","results":[{"origin_id":"1","duration":"-7"}]}`,
			`{"status":"1","results":[{"origin_id":"1","duration":"NaN"}]}`,
			`{"status":"1","results":[{"origin_id":{},"duration":"1"}]}`,
		},
	}
	for name, bodies := range cases {
		for _, body := range bodies {
			engine, err := engines[name](serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body) }))
			require.NoError(t, err)
			_, err = engine.Matrix(t.Context(), []Point{futian}, []Point{nanshan})
			require.Equal(t, FailMalformed, whyOf(t, err), "%s %s", name, body)
		}
	}
}
