package geo

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the table of cities
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
)

// The table's sources and licence stand in data/NOTICE.md.
//
//go:embed data/china_prefectures.csv.gz
var chinaCities []byte

// ChinaAreas returns the built-in set: 370 cities of China, each with its
// administrative code, its centre and its population in the census of 2010.
//
// A point belongs to the nearest centre that covers it. Urban is what lies
// within UrbanRadiusKm of the population; where the table has none, within 5 km,
// or 10 km in Hong Kong, Macao and Taiwan. County reaches out to twice the
// distance of the third nearest other centre, at least 100 and at most 500 km:
// where cities stand far apart, as in the west, their counties are far flung.
// The third is taken because some cities stand as close pairs. Sansha is a city
// of islands that no road joins: it covers 30 km. Places outside China are not
// covered, however near a border city is.
var ChinaAreas = sync.OnceValue(func() *Areas {
	areas, err := readChina(chinaCities)
	if err != nil {
		panic("geo: the built-in table of cities cannot be read: " + err.Error())
	}
	// BD-09 is in use in just the places that the table is about.
	return newCentres(areas, inBaiduChina)
})

const (
	unknownUrbanKm   = 5.0  // a county town, as a rule
	unknownSARKm     = 10.0 // Hong Kong, Macao and Taiwan are not in the census table
	sansha           = "460300"
	sanshaCoveredKm  = 30.0
	leastCoveredKm   = 100.0
	mostCoveredKm    = 500.0
	coveredNeighbour = 3
)

// UrbanRadiusKm is the radius in kilometres that a city's built-up area is taken
// to have, from the population of its whole prefecture in units of 10,000.
//
// The reasoning: half of a prefecture's people lived in towns in 2010 (49.95 %,
// sixth census), and a Chinese city is planned at about 100 square metres of
// built-up land a head (GB 50137-2011 allows 65 to 115), that is one square
// kilometre for 10,000. So the built-up area is population/2 square kilometres,
// and the radius that of a disc of this area. It gives Beijing 17.7 km, which
// lies between its fifth and sixth ring roads. The result is never below 5 km,
// about the size of a county town with its approaches.
func UrbanRadiusKm(population10k float64) float64 {
	return max(unknownUrbanKm, math.Sqrt(population10k/2/math.Pi))
}

func readChina(gz []byte) ([]Area, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(gz))
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(unzipped).ReadAll()
	if err != nil {
		return nil, err
	}
	column := make(map[string]int)
	for i, name := range rows[0] {
		column[name] = i
	}
	var areas []Area
	for _, row := range rows[1:] {
		lat, err := strconv.ParseFloat(row[column["center_lat_gcj02"]], 64)
		if err != nil {
			return nil, err
		}
		lng, err := strconv.ParseFloat(row[column["center_lng_gcj02"]], 64)
		if err != nil {
			return nil, err
		}
		// Not the table's own WGS-84 estimate: it undoes a shift in Hong Kong,
		// Macao and Taiwan too, where none was made.
		centre, err := ToWGS84(GCJ02, lat, lng)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row[column["name"]], err)
		}
		a := Area{
			ID:       AreaID(row[column["adcode"]]),
			Name:     row[column["name"]],
			Province: row[column["province"]],
			Centre:   centre,
			UrbanKm:  unknownUrbanKm,
		}
		switch population := row[column["pop_2010_census_10k"]]; {
		case population != "":
			n, err := strconv.ParseFloat(population, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", a.Name, err)
			}
			a.UrbanKm = UrbanRadiusKm(n)
		case row[column["kind"]] == "municipality_or_sar":
			a.UrbanKm = unknownSARKm
		}
		areas = append(areas, a)
	}
	for i := range areas {
		areas[i].CoveredKm = coveredKm(areas, i)
	}
	return areas, nil
}

func coveredKm(areas []Area, i int) float64 {
	if areas[i].ID == sansha {
		return sanshaCoveredKm
	}
	var others []float64
	for j := range areas {
		if j != i {
			others = append(others, Distance(areas[i].Centre, areas[j].Centre)/1000)
		}
	}
	slices.Sort(others)
	return min(mostCoveredKm, max(leastCoveredKm, 2*others[coveredNeighbour-1]))
}
