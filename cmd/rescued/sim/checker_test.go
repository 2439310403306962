package sim_test

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The checker reads the four files of a run and works everything out again
// with arithmetic of its own: it shares no line with the engine.

// contract is what a run was asked for, in seconds and plain words.
type contract struct {
	speedKmh, detour          float64
	turnout, service, promise float64
	kind                      string
	needs                     map[string][]string
	tiers                     [][2]float64 // late by more than seconds: fen
}

func usual() contract {
	return contract{
		speedKmh: 30, detour: 1.35, turnout: 120, service: 1800, promise: 2700,
		tiers: [][2]float64{{0, 2000}, {600, 5000}, {1800, 10000}},
	}
}

// tolerance is a millisecond and what is lost in writing seconds as floats.
const tolerance = 0.001 + 1e-6

type checkedCall struct {
	at   float64 // seconds
	p    [2]float64
	need []string
}

type checkedCrew struct {
	p        [2]float64
	can      []string
	from, to float64 // of day; both negative for always
}

type checkedLeg struct {
	crew, request    string
	committed, ended float64
	p                [2]float64
	arrived          bool
}

type checker struct {
	contract
	calls    []checkedCall
	crews    map[string]checkedCrew
	legs     []checkedLeg
	problems []string
}

// check returns what is wrong with the files of a run, at most twenty things.
func check(t *testing.T, c contract, demand, fleet, runs, legs string) []string {
	t.Helper()
	k := &checker{contract: c, crews: map[string]checkedCrew{}}
	k.readDemand(t, demand)
	k.readFleet(t, fleet)
	k.readLegs(t, legs)
	arrivals := k.checkLegs()
	k.checkRuns(t, runs, arrivals)
	return k.problems[:min(20, len(k.problems))]
}

func (k *checker) complain(format string, args ...any) {
	k.problems = append(k.problems, fmt.Sprintf(format, args...))
}

func readTable(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		r, err = gzip.NewReader(f)
		require.NoError(t, err)
	}
	all, err := csv.NewReader(r).ReadAll()
	require.NoError(t, err)
	var rows []map[string]string
	for _, rec := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = rec[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func clock(t *testing.T, s string) float64 {
	t.Helper()
	for _, layout := range []string{"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, s); err == nil {
			// Whole seconds of the decade, so that a float keeps the microseconds.
			return at.Sub(time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC)).Seconds()
		}
	}
	t.Fatalf("%q is not a time", s)
	return 0
}

func figure(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return v
}

func (k *checker) readDemand(t *testing.T, path string) {
	t.Helper()
	for _, row := range readTable(t, path) {
		if k.kind != "" && row["kind"] != k.kind {
			continue
		}
		k.calls = append(k.calls, checkedCall{
			at: clock(t, row["call_time"]), p: [2]float64{figure(t, row["lat"]), figure(t, row["lng"])}, need: k.needs[row["kind"]],
		})
	}
	sort.SliceStable(k.calls, func(i, j int) bool { return k.calls[i].at < k.calls[j].at })
}

func (k *checker) readFleet(t *testing.T, path string) {
	t.Helper()
	ofDay := func(s string) float64 {
		if s == "" {
			return -1
		}
		return clock(t, "2016-01-01T"+s+":00")
	}
	for _, row := range readTable(t, path) {
		k.crews[row["crew_id"]] = checkedCrew{
			p:    [2]float64{figure(t, row["lat"]), figure(t, row["lng"])},
			can:  strings.Split(row["capabilities"], "|"),
			from: ofDay(row["shift_start"]), to: ofDay(row["shift_end"]),
		}
	}
}

func (k *checker) readLegs(t *testing.T, path string) {
	t.Helper()
	for _, row := range readTable(t, path) {
		require.Contains(t, []string{"arrived", "diverted"}, row["end"])
		k.legs = append(k.legs, checkedLeg{
			crew: row["crew_id"], request: row["request"],
			committed: clock(t, row["committed_at"]), ended: clock(t, row["ended_at"]),
			p: [2]float64{figure(t, row["from_lat"]), figure(t, row["from_lng"])}, arrived: row["end"] == "arrived",
		})
	}
}

// metres is the haversine formula.
func metres(a, b [2]float64) float64 {
	rad := math.Pi / 180
	sLat, sLng := math.Sin((b[0]-a[0])*rad/2), math.Sin((b[1]-a[1])*rad/2)
	h := sLat*sLat + math.Cos(a[0]*rad)*math.Cos(b[0]*rad)*sLng*sLng
	return 2 * 6371008.8 * math.Asin(math.Min(1, math.Sqrt(h)))
}

// between is the point that lies a share of the way along the great circle.
func between(a, b [2]float64, share float64) [2]float64 {
	angle := metres(a, b) / 6371008.8
	if angle == 0 {
		return a
	}
	rad := math.Pi / 180
	u, v := math.Sin((1-share)*angle)/math.Sin(angle), math.Sin(share*angle)/math.Sin(angle)
	vec := func(p [2]float64) [3]float64 {
		return [3]float64{math.Cos(p[0]*rad) * math.Cos(p[1]*rad), math.Cos(p[0]*rad) * math.Sin(p[1]*rad), math.Sin(p[0] * rad)}
	}
	x, y := vec(a), vec(b)
	var z [3]float64
	for i := range z {
		z[i] = u*x[i] + v*y[i]
	}
	return [2]float64{math.Atan2(z[2], math.Hypot(z[0], z[1])) / rad, math.Atan2(z[1], z[0]) / rad}
}

func (k *checker) speed() float64 { return k.speedKmh / 3.6 / k.detour } // metres of great circle a second

// checkLegs follows every crew through its legs, and every request through
// those that were meant for it. It returns the arrival of each request.
func (k *checker) checkLegs() map[string]checkedLeg {
	byCrew, byRequest := map[string][]checkedLeg{}, map[string][]checkedLeg{}
	for _, l := range k.legs {
		byCrew[l.crew] = append(byCrew[l.crew], l)
		if l.request != "" {
			byRequest[l.request] = append(byRequest[l.request], l)
		}
	}
	byStart := func(a, b checkedLeg) int {
		return cmp.Or(cmp.Compare(a.committed, b.committed), cmp.Compare(a.ended, b.ended))
	}
	for id, legs := range byCrew {
		crew, known := k.crews[id]
		if !known {
			k.complain("crew %s is not in the fleet", id)
			continue
		}
		slices.SortStableFunc(legs, byStart)
		at, free := crew.p, math.Inf(-1)
		for i, l := range legs {
			at, free = k.follow(crew, l, next(legs, i), at, free)
		}
	}
	arrivals := map[string]checkedLeg{}
	for id, legs := range byRequest {
		slices.SortStableFunc(legs, byStart)
		for i, l := range legs {
			if i > 0 && l.committed < legs[i-1].ended {
				k.complain("request %s has crews %s and %s at once", id, legs[i-1].crew, l.crew)
			}
			if l.arrived != (i == len(legs)-1) {
				k.complain("request %s: leg %d of %d of crew %s, arrived is %v", id, i, len(legs), l.crew, l.arrived)
			}
		}
		arrivals[id] = legs[len(legs)-1]
	}
	return arrivals
}

func next(legs []checkedLeg, i int) *checkedLeg {
	if i+1 < len(legs) {
		return &legs[i+1]
	}
	return nil
}

// follow checks one leg of a crew that was at a place and free from a time,
// and tells where and when the leg leaves it. Only the crew's next leg tells
// where a move of an idle crew has ended.
func (k *checker) follow(crew checkedCrew, l checkedLeg, after *checkedLeg, at [2]float64, free float64) ([2]float64, float64) {
	name := fmt.Sprintf("leg of crew %s to %q at %.3f", l.crew, l.request, l.committed)
	if metres(at, l.p) > 0.02 {
		k.complain("%s begins %.3f m from where the crew is", name, metres(at, l.p))
	}
	if l.committed < free {
		k.complain("%s begins %.3f s before the crew is free", name, free-l.committed)
	}
	if !crew.onShift(l.committed) {
		k.complain("%s begins outside the crew's shift", name)
	}
	driven := l.ended - l.committed - k.turnout
	if l.request == "" {
		if after == nil {
			return at, l.ended
		}
		gone := metres(l.p, after.p)
		if l.arrived && math.Abs(driven-gone/k.speed()) > tolerance || gone > math.Max(0, driven)*k.speed()+0.02 {
			k.complain("%s goes %.3f m in %.3f s", name, gone, driven)
		}
		return after.p, l.ended
	}
	number, err := strconv.Atoi(l.request)
	if err != nil || number < 0 || number >= len(k.calls) {
		k.complain("%s: there is no such request", name)
		return at, l.ended
	}
	call := k.calls[number]
	if l.committed < call.at {
		k.complain("%s uses a call %.3f s before it was made", name, call.at-l.committed)
	}
	for _, word := range call.need {
		if !slices.Contains(crew.can, word) {
			k.complain("%s needs %s", name, word)
		}
	}
	whole := metres(l.p, call.p) / k.speed()
	if l.arrived {
		if math.Abs(driven-whole) > tolerance {
			k.complain("%s drives %.4f s, not %.4f s", name, driven, whole)
		}
		return call.p, l.ended + k.service
	}
	if driven > whole+tolerance || l.ended < l.committed {
		k.complain("%s is diverted after %.4f s of %.4f s", name, driven, whole)
	}
	if whole == 0 {
		return l.p, l.ended
	}
	return between(l.p, call.p, math.Max(0, driven)/whole), l.ended
}

func (c checkedCrew) onShift(at float64) bool {
	if c.from < 0 {
		return true
	}
	s := math.Mod(at, 86400)
	if c.from <= c.to {
		return c.from <= s && s < c.to
	}
	return s >= c.from || s < c.to
}

// checkRuns holds every row against the leg that arrived.
func (k *checker) checkRuns(t *testing.T, path string, arrivals map[string]checkedLeg) {
	t.Helper()
	rows := readTable(t, path)
	if len(rows) != len(k.calls) {
		k.complain("%d rows for %d calls", len(rows), len(k.calls))
		return
	}
	for i, row := range rows {
		call := k.calls[i]
		if row["request"] != strconv.Itoa(i) {
			k.complain("row %d is request %s", i, row["request"])
		}
		if called := clock(t, row["called_at"]); called < call.at || called-call.at > tolerance {
			k.complain("request %d was called at %.4f, not %.4f", i, call.at, called)
		}
		l, arrived := arrivals[row["request"]]
		if !arrived {
			for _, name := range []string{"crew_id", "assigned_at", "arrived_at", "freed_at", "late_s", "compensation_fen"} {
				if row[name] != "" {
					k.complain("request %d was served by nobody and has %s %q", i, name, row[name])
				}
			}
			if k.somebodyCould(call) {
				k.complain("request %d was served by nobody, and somebody could", i)
			}
			continue
		}
		if row["crew_id"] != l.crew || clock(t, row["assigned_at"]) != l.committed || clock(t, row["arrived_at"]) != l.ended {
			k.complain("request %d: the row %v does not fit its leg %+v", i, row, l)
		}
		if freed := clock(t, row["freed_at"]); math.Abs(freed-l.ended-k.service) > 1e-6 {
			k.complain("request %d: freed %.4f s after arrival", i, freed-l.ended)
		}
		late := math.Max(0, l.ended-clock(t, row["called_at"])-k.promise)
		if math.Abs(figure(t, row["late_s"])-late) > 1e-6 {
			k.complain("request %d is late by %.4f s, not %s", i, late, row["late_s"])
		}
		fen := 0.0
		for _, tier := range k.tiers {
			if late > tier[0]+1e-6 {
				fen = tier[1]
			}
		}
		if figure(t, row["compensation_fen"]) != fen {
			k.complain("request %d, late by %.4f s, pays %s and not %.0f fen", i, late, row["compensation_fen"], fen)
		}
	}
}

func (k *checker) somebodyCould(call checkedCall) bool {
	for _, crew := range k.crews {
		able := true
		for _, word := range call.need {
			able = able && slices.Contains(crew.can, word)
		}
		if able {
			return true
		}
	}
	return false
}
