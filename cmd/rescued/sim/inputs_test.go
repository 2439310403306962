package sim_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/sim"
	"rescued/geo"
)

// What is wrong with a file is told with its place and the mend.
func TestWrongFilesAreTold(t *testing.T) {
	t.Parallel()
	good := "2016-02-01T08:00:00,40,-75,A"
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("w%d", i)
	}
	for _, tc := range []struct{ name, file, text, says string }{
		{"demand: empty", "demand", "", "is empty; it needs a heading line with call_time,lat,lng,kind"},
		{"demand: no column", "demand", "call_time,lat,lon,kind\n", "line 1: lng: the heading has no such column; it needs call_time,lat,lng,kind"},
		{"demand: a column twice", "demand", "call_time,lat,lat,lng,kind\n", "line 1: lat: stands twice in the heading"},
		{"demand: a time", "demand", rows(good, "yesterday,40,-75,A"), `line 3: call_time: "yesterday" is not a time; write it as 2016-02-24T08:15:00`},
		{"demand: no latitude", "demand", rows("2016-02-01T08:00:00,,-75,A"), `line 2: lat: "" is not a number; write WGS-84 degrees such as 40.1852`},
		{"demand: a far latitude", "demand", rows("2016-02-01T08:00:00,91,-75,A"), "line 2: lat: 91 is outside -90..90 degrees"},
		{"demand: a short row", "demand", rows(good, "2016-02-01T08:00:00,40"), `line 3: lng: "" is not a number`},
		{"demand: a stray quote", "demand", rows(good, `2016-02-01T08:00:00,4"0,-75,A`), "line 3: is not CSV: "},
		{"demand: not gzip", "demand", "\x1f\x8bnothing", "begins like a gzip file and is none"},
		{"fleet: no crews", "fleet", fleetHeading, "has no crews; add a row for each"},
		{"fleet: no name", "fleet", fleetHeading + ",40,-75,,,\n", "line 2: crew_id: is empty; name the crew"},
		{"fleet: twice", "fleet", fleetHeading + "a,40,-75,,,\na,40,-75,,,\n", `line 3: crew_id: "a" is already the crew of line 2`},
		{"fleet: a longitude", "fleet", fleetHeading + "a,40,east,,,\n", `line 2: lng: "east" is not a number`},
		{"fleet: half a shift", "fleet", fleetHeading + "a,40,-75,,08:00,\n", "line 2: shift_end: is empty while shift_start is 08:00; give both"},
		{"fleet: the other half", "fleet", fleetHeading + "a,40,-75,,,08:00\n", "line 2: shift_start: is empty while shift_end is 08:00; give both"},
		{"fleet: no time of day", "fleet", fleetHeading + "a,40,-75,,8am,16:00\n", `line 2: shift_start: "8am" is not a time of day; write it as 07:30`},
		{"fleet: past midnight", "fleet", fleetHeading + "a,40,-75,,08:00,24:01\n", `line 2: shift_end: "24:01" is not a time of day`},
		{"fleet: no length", "fleet", fleetHeading + "a,40,-75,,08:00,8:00\n", "line 2: shift_end: 8:00 is the same as shift_start; leave both empty"},
		{"fleet: too many words", "fleet", fleetHeading + "a,40,-75," + strings.Join(many, "|") + ",,\n", `line 2: capabilities: "w64" is one too many`},
		{"needs: not JSON", "needs", "A: tow", "write an object such as"},
		{"needs: a number", "needs", `{"A": 3}`, "3 is neither a list of capabilities nor one text"},
		{"needs: too many words", "needs", `{"A": "` + strings.Join(many, "|") + `"}`, `: A: "w64" is one too many`},
		{"runs: out of order", "runs", "request,crew_id,called_at,assigned_at,arrived_at,freed_at,late_s,compensation_fen\n1,,2016-02-01T08:00:00Z,,,,,\n", `line 2: request: "1" is not 0`},
		{"runs: half a row", "runs", "request,crew_id,called_at,assigned_at,arrived_at,freed_at,late_s,compensation_fen\n0,a,2016-02-01T08:00:00Z,,,,,\n", `line 2: assigned_at: "" is not a time`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := put(t, t.TempDir(), tc.file, tc.text)
			var err error
			switch tc.file {
			case "demand":
				_, err = sim.ReadDemand(path, "")
			case "fleet":
				_, err = sim.ReadFleet(path, &sim.Vocabulary{})
			case "needs":
				_, err = sim.ReadNeeds(path, &sim.Vocabulary{})
			case "runs":
				_, err = sim.ReadRuns(path)
			}
			var wrong *sim.Wrong
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, path, wrong.File)
			require.ErrorContains(t, err, tc.says)
		})
	}
	_, err := sim.ReadDemand("nowhere.csv", "")
	require.ErrorContains(t, err, "nowhere.csv: cannot be opened: no such file")
}

// Columns stand in any order among others; calls come in time order, those of
// one moment as they stand; a zone counts, and a row of another kind need not
// make sense.
func TestDemandIsReadByName(t *testing.T) {
	t.Parallel()
	text := "\ufeffkind, lng ,note,lat,call_time\n" +
		"A,-75,x,40.3,2016-02-01T09:00:00\n" +
		"B,?,?,?,?\n" +
		"A,-75,\"a, b\",40.2,2016-02-01 08:00:00\n" +
		"A,-75,x,40.1,2016-02-01T16:00:00.0001+08:00\n" +
		"A,-75,x,40.4,2016-02-01T08:00:00Z\n"
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, content := range map[string]string{"plain.csv": text, "packed.csv.gz": zipped.String()} {
		calls, err := sim.ReadDemand(put(t, t.TempDir(), name, content), "A")
		require.NoError(t, err)
		var lats []float64
		for _, c := range calls {
			lats = append(lats, c.At.Lat)
		}
		require.Equal(t, []float64{40.2, 40.4, 40.1, 40.3}, lats)
		require.Equal(t, "2016-02-01T08:00:00.001Z", calls[2].CalledAt.Format(time.RFC3339Nano))
	}
}

// The earth of the simulator is the contract's: 6,371,008.8 m.
func TestTheEarth(t *testing.T) {
	t.Parallel()
	require.Equal(t, 6_371_008.8, geo.EarthRadius)
	for _, pair := range [][2]geo.Point{
		{{Lat: 40, Lng: -75}, {Lat: 40.1, Lng: -75.2}},
		{{Lat: 40.123456, Lng: -75.654321}, {Lat: 40.123457, Lng: -75.654322}},
		{{Lat: 0, Lng: 0}, {Lat: 0, Lng: 90}},
	} {
		a, b := pair[0], pair[1]
		require.InDelta(t, metres([2]float64{a.Lat, a.Lng}, [2]float64{b.Lat, b.Lng}), geo.Distance(a, b), 1e-6)
	}
}

func TestShifts(t *testing.T) {
	t.Parallel()
	h := time.Hour
	at := func(d time.Duration) time.Time { return time.Date(2016, 2, 28, 0, 0, 0, 0, time.UTC).Add(d) }
	for _, tc := range []struct {
		name  string
		shift sim.Shift
		at    time.Duration
		on    bool
		next  time.Duration // -1 for never
	}{
		{"by day, before", sim.NewShift(8*h, 16*h), 7 * h, false, 8 * h},
		{"by day, at its start", sim.NewShift(8*h, 16*h), 8 * h, true, 16 * h},
		{"by day, at its end", sim.NewShift(8*h, 16*h), 16 * h, false, 32 * h},
		{"by night, before midnight", sim.NewShift(22*h, 6*h), 23 * h, true, 30 * h},
		{"by night, after midnight", sim.NewShift(22*h, 6*h), 25 * h, true, 30 * h},
		{"by night, at its end", sim.NewShift(22*h, 6*h), 6 * h, false, 22 * h},
		{"until midnight", sim.NewShift(16*h, 24*h), 20 * h, true, 24 * h},
		{"until midnight, then", sim.NewShift(16*h, 24*h), 24 * h, false, 40 * h},
		{"from midnight to midnight", sim.NewShift(0, 24*h), 24 * h, true, -1},
		{"always", sim.Always, 3 * h, true, -1},
	} {
		require.Equal(t, tc.on, tc.shift.On(at(tc.at)), tc.name)
		if tc.next < 0 {
			require.True(t, tc.shift.Next(at(tc.at)).IsZero(), tc.name)
		} else {
			require.Equal(t, at(tc.next), tc.shift.Next(at(tc.at)), tc.name)
		}
	}
}
