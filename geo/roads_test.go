package geo

import (
	"compress/gzip"
	"container/heap"
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// roadNetwork is the streets of a part of Futian, Shenzhen, for cars.
type roadNetwork struct {
	places []Point
	out    [][]roadEdge
}

type roadEdge struct {
	to      int
	seconds float64 // in free traffic, the light at its end included
	class   RoadClass
}

// roadSpeeds are door-to-door speeds in km/h by OpenStreetMap's highway tag,
// where no maxspeed is tagged; what is not listed is not for cars.
var roadSpeeds = map[string]float64{
	"motorway": 80, "motorway_link": 45, "trunk": 65, "trunk_link": 40, "primary": 48, "primary_link": 35,
	"secondary": 40, "secondary_link": 30, "tertiary": 33, "tertiary_link": 28,
	"unclassified": 28, "residential": 22, "living_street": 12, "service": 14,
}

const lightSeconds = 18 // the mean wait at a signal

func futianRoads(t *testing.T) roadNetwork {
	var n roadNetwork
	index, light := map[string]int{}, map[string]bool{}
	for _, row := range readCSV(t, "testdata/shenzhen_futian_nodes.csv.gz") {
		p, err := NewPoint(number(t, row["lat"]), number(t, row["lng"]))
		require.NoError(t, err)
		index[row["node"]] = len(n.places)
		light[row["node"]] = row["highway"] == "traffic_signals"
		n.places = append(n.places, p)
	}
	n.out = make([][]roadEdge, len(n.places))
	for _, row := range readCSV(t, "testdata/shenzhen_futian_edges.csv.gz") {
		// A merged edge lists its tags: ['primary', 'trunk'].
		kind, _, _ := strings.Cut(strings.Trim(row["highway"], "[]'"), "'")
		kmh, ok := roadSpeeds[kind]
		if !ok || strings.Contains(row["highway"], "footway") || strings.Contains(row["highway"], "steps") {
			continue
		}
		if row["maxspeed"] != "" {
			kmh = 0.8 * number(t, row["maxspeed"])
		}
		edge := roadEdge{to: index[row["to"]], seconds: number(t, row["length_m"]) / (kmh / 3.6), class: UrbanRoad}
		if light[row["to"]] {
			edge.seconds += lightSeconds
		}
		if strings.HasPrefix(kind, "motorway") || strings.HasPrefix(kind, "trunk") {
			edge.class = Motorway
		}
		from := index[row["from"]]
		n.out[from] = append(n.out[from], edge)
	}
	return n
}

// classes gives each place the class of the fastest road into it.
func (n roadNetwork) classes() []RoadClass {
	classes := make([]RoadClass, len(n.places))
	for i := range classes {
		classes[i] = UrbanRoad
	}
	for _, edges := range n.out {
		for _, e := range edges {
			if e.class == Motorway {
				classes[e.to] = Motorway
			}
		}
	}
	return classes
}

// secondsFrom is Dijkstra's algorithm: the shortest time from a place to each,
// infinite where there is no way.
func (n roadNetwork) secondsFrom(start int) []float64 {
	best := make([]float64, len(n.places))
	for i := range best {
		best[i] = math.Inf(1)
	}
	best[start] = 0
	q := &roadQueue{{start, 0}}
	for q.Len() > 0 {
		here := heap.Pop(q).(roadStop)
		if here.seconds > best[here.at] {
			continue
		}
		for _, e := range n.out[here.at] {
			if s := here.seconds + e.seconds; s < best[e.to] {
				best[e.to] = s
				heap.Push(q, roadStop{e.to, s})
			}
		}
	}
	return best
}

type roadStop struct {
	at      int
	seconds float64
}

type roadQueue []roadStop

func (q roadQueue) Len() int           { return len(q) }
func (q roadQueue) Less(i, j int) bool { return q[i].seconds < q[j].seconds }
func (q roadQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *roadQueue) Push(x any)        { *q = append(*q, x.(roadStop)) }
func (q *roadQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func readCSV(t *testing.T, path string) []map[string]string {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	rows, err := csv.NewReader(z).ReadAll()
	require.NoError(t, err)
	var out []map[string]string
	for _, row := range rows[1:] {
		named := map[string]string{}
		for k, name := range rows[0] {
			named[name] = row[k]
		}
		out = append(out, named)
	}
	return out
}

func number(t *testing.T, s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return v
}
