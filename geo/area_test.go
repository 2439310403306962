package geo

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChinaAreas(t *testing.T) {
	t.Parallel()
	areas := ChinaAreas()
	require.Equal(t, 370, areas.Len())
	require.Len(t, areas.All(), 370)
	table := make(map[AreaID]map[string]string)
	for _, row := range readTable(t, "data/china_prefectures.csv.gz") {
		table[AreaID(row["adcode"])] = row
	}
	for _, a := range areas.All() {
		row := table[a.ID]
		require.Equal(t, row["name"], a.Name)
		require.GreaterOrEqual(t, a.UrbanKm, 5.0, a.Name)
		require.LessOrEqual(t, a.CoveredKm, 500.0, a.Name)
		require.Less(t, a.UrbanKm, a.CoveredKm, a.Name)

		place, err := areas.Locate(a.Centre)
		require.NoError(t, err, a.Name)
		require.Equal(t, a, place.Area)
		require.Equal(t, Urban, place.Tier)
		require.Zero(t, place.Metres)

		again, ok := areas.Lookup(a.ID)
		require.True(t, ok)
		require.Equal(t, a, again)

		if estimate := pointInTable(t, row); !strings.HasPrefix(string(a.ID), "71") && a.ID != "810000" && a.ID != "820000" {
			require.Less(t, Distance(estimate, a.Centre), 1.0, a.Name)
		} else {
			require.Greater(t, Distance(estimate, a.Centre), 100.0, "the estimate undid a shift that was not there")
		}
	}
	_, ok := areas.Lookup("000000")
	require.False(t, ok)
}

func pointInTable(t *testing.T, row map[string]string) Point {
	t.Helper()
	return pointIn(t, map[string]string{
		"lat": row["center_lat_wgs84_est"], "lng": row["center_lng_wgs84_est"],
	}, "")
}

func TestLocateInChina(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		at   Point
		area string
		tier Tier
	}{
		"the Bund":             {Point{31.2400, 121.4900}, "上海市", Urban},
		"Chongming island":     {Point{31.6200, 121.4000}, "上海市", County},
		"Beijing airport":      {Point{40.0799, 116.6031}, "北京市", County},
		"Yanqing":              {Point{40.4570, 115.9750}, "北京市", County},
		"Futian":               {Point{22.5410, 114.0590}, "深圳市", Urban},
		"Kowloon":              {Point{22.3193, 114.1694}, "香港特别行政区", Urban},
		"Taipei":               {Point{25.0330, 121.5654}, "台湾省", Urban},
		"Golmud":               {Point{36.4020, 94.9030}, "海西蒙古族藏族自治州", County},
		"Ruoqiang":             {Point{39.0180, 88.1680}, "巴音郭楞蒙古自治州", County},
		"Beiji, far north":     {Point{53.4800, 122.3600}, "大兴安岭地区", County},
		"Woody island, Sansha": {Point{16.8340, 112.3400}, "三沙市", Urban},
	} {
		place, err := ChinaAreas().Locate(want.at)
		require.NoError(t, err, name)
		require.Equal(t, want.area, place.Area.Name, name)
		require.Equal(t, want.tier, place.Tier, name)
		require.InDelta(t, Distance(want.at, place.Area.Centre), place.Metres, 0.001, name)
	}
}

func TestOutsideNamesTheNearest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		at      Point
		nearest string
		km      float64
	}{
		"Pyongyang":        {Point{39.0392, 125.7625}, "丹东市", 168},
		"Norristown":       {Point{40.1215, -75.3399}, "大兴安岭地区", 9_400},
		"South China Sea":  {Point{14.5000, 114.0000}, "三沙市", 314},
		"beyond Sansha":    {Point{17.3000, 112.3000}, "三沙市", 52},
		"Vladivostok":      {Point{43.1155, 131.8855}, "延边朝鲜族自治州", 193},
		"Ulaanbaatar, far": {Point{47.8864, 106.9057}, "巴彦淖尔市", 795},
	} {
		_, err := ChinaAreas().Locate(want.at)
		var outside *OutsideError
		require.ErrorAs(t, err, &outside, name)
		require.Equal(t, want.nearest, outside.Nearest.Name, name)
		require.InEpsilon(t, want.km, outside.Km, 0.05, name)
		require.Contains(t, err.Error(), want.nearest)
	}
	_, err := ChinaAreas().Locate(Point{91, 0})
	var coordinate *CoordinateError
	require.ErrorAs(t, err, &coordinate)
}

func TestUrbanRadius(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 17.7, UrbanRadiusKm(1961.24), 0.05) // Beijing
	require.InDelta(t, 12.7, UrbanRadiusKm(1016.38), 0.05) // Shijiazhuang
	require.Equal(t, 5.0, UrbanRadiusKm(67.57))
	require.Equal(t, 5.0, UrbanRadiusKm(0))
}

func TestParseCentres(t *testing.T) {
	t.Parallel()
	areas, err := ParseAreas(strings.NewReader("\ufeffid,name,lat,lng,population_10k,urban_radius_km,covered_radius_km,datum\n" +
		"42091,Montgomery County,40.21,-75.37,,15,60,\n" +
		"\"42101\", \"Philadelphia, PA\",39.9526,-75.1652,160,,,wgs84\n" +
		"440300,深圳市,22.543847,114.0625,,,,GCJ02\n"))
	require.NoError(t, err)
	require.Equal(t, 3, areas.Len())

	place, err := areas.Locate(Point{40.1215, -75.3399})
	require.NoError(t, err)
	require.Equal(t, AreaID("42091"), place.Area.ID)
	require.Equal(t, Urban, place.Tier)

	place, err = areas.Locate(Point{40.3500, -75.9000}) // nearer Montgomery than its reach ends
	require.NoError(t, err)
	require.Equal(t, County, place.Tier)

	place, err = areas.Locate(Point{39.1000, -75.2000}) // beyond Montgomery's 60 km
	require.NoError(t, err)
	require.Equal(t, "Philadelphia, PA", place.Area.Name)
	require.Equal(t, UrbanRadiusKm(160), place.Area.UrbanKm)
	require.Equal(t, DefaultCoveredKm, place.Area.CoveredKm)

	shenzhen, _ := areas.Lookup("440300")
	require.InDelta(t, 560, Distance(Point{22.543847, 114.0625}, shenzhen.Centre), 60, "the datum is converted")

	_, err = areas.Locate(Point{0, 0})
	var outside *OutsideError
	require.ErrorAs(t, err, &outside)
}

func TestParseCentresNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := ParseCentres(strings.NewReader("id,name,lat,lng,population_10k,urban_radius_km,covered_radius_km,datum\n" +
		"1,,91,abc,,,,\n" +
		"2,B,40,-75,10,3,,\n" +
		"2,C,40,-75,,90,20,mars\n" +
		"3,D,40\n" +
		"4,E,NaN,200,-1,,0,\n" +
		",F,,1,,,,\n"))
	var wrong *ImportError
	require.ErrorAs(t, err, &wrong)
	var got []string
	for _, p := range wrong.Problems {
		require.NotEmpty(t, p.Detail)
		got = append(got, p.Where+" "+p.Field)
	}
	require.Equal(t, []string{
		"line 2 name", "line 2 lng", "line 2 lat",
		"line 3 urban_radius_km",
		"line 4 datum", "line 4 covered_radius_km", "line 4 id",
		"line 5 ",
		"line 6 lat", "line 6 lng", "line 6 population_10k", "line 6 covered_radius_km",
		"line 7 id", "line 7 lat",
	}, got)
	require.Contains(t, err.Error(), "line 5: has 3 fields where the first line names 8")
	require.Contains(t, err.Error(), `line 2: lng: "abc" is not a number; write it like 39.9042`)
}

func TestParseCentresRefusesWhatIsNoTable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "the file is empty",
		"id,name,lat,lng\n":             "no places follow",
		"id,name,lat\n1,A,2\n":          "line 1: lng: is missing",
		"id,name,lat,lng,colour\n":      "line 1: colour: is not a known column",
		"id,name,lat,lng,id\n":          "named twice",
		"id,name,lat,lng\n1,a\"b,1,2\n": "line 2: is not CSV",
	} {
		_, err := ParseAreas(strings.NewReader(text))
		var wrong *ImportError
		require.ErrorAs(t, err, &wrong, text)
		require.Contains(t, err.Error(), want, text)
	}
	_, err := ParseCentres(brokenReader{})
	require.ErrorIs(t, err, errBroken)
	_, err = ParseAreas(brokenReader{})
	require.ErrorIs(t, err, errBroken)
}

var errBroken = errors.New("the disk is gone")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func TestManyProblemsAreCutShortInTheText(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("id,name,lat,lng\n")
	for i := range 80 {
		fmt.Fprintf(&b, "%d,X,100,0\n", i)
	}
	_, err := ParseCentres(strings.NewReader(b.String()))
	var wrong *ImportError
	require.ErrorAs(t, err, &wrong)
	require.Len(t, wrong.Problems, 80)
	require.Contains(t, err.Error(), "and 30 more")
}

const drawn = `{"type":"FeatureCollection","features":[
 {"type":"Feature","properties":{"id":"A","name":"Alpha","tier":"county","province":"North"},
  "geometry":{"type":"Polygon","coordinates":[[[0,0],[4,0],[4,4],[0,4],[0,0]],[[3,3],[3.5,3],[3.5,3.5],[3,3.5],[3,3]]]}},
 {"type":"Feature","id":7,"properties":{"name":"Beta"},
  "geometry":{"type":"MultiPolygon","coordinates":[[[[6,0],[7,0],[7,1],[6,1],[6,0]]],[[[3.1,3.1],[3.2,3.1],[3.2,3.2],[3.1,3.2],[3.1,3.1]]]]}},
 {"type":"Feature","properties":{"id":"A","name":"Alpha","tier":"urban"},
  "geometry":{"type":"Polygon","coordinates":[[[1,1],[2,1],[2,2],[1,2],[1,1]]]}}
]}`

func TestParseGeoJSON(t *testing.T) {
	t.Parallel()
	areas, err := ParseAreas(strings.NewReader("\n  " + drawn))
	require.NoError(t, err)
	require.Equal(t, 2, areas.Len())
	for name, want := range map[string]struct {
		at   Point
		area AreaID
		tier Tier
	}{
		"the city":             {Point{1.5, 1.5}, "A", Urban},
		"around the city":      {Point{0.5, 0.5}, "A", County},
		"the other's enclave":  {Point{3.15, 3.15}, "7", County},
		"the other's own part": {Point{0.5, 6.5}, "7", County},
	} {
		place, err := areas.Locate(want.at)
		require.NoError(t, err, name)
		require.Equal(t, want.area, place.Area.ID, name)
		require.Equal(t, want.tier, place.Tier, name)
	}
	alpha, _ := areas.Lookup("A")
	require.InDelta(t, 0, Distance(alpha.Centre, Point{1.5, 1.5}), 1, "the centre is the city's")

	for name, want := range map[string]struct {
		at Point
		id AreaID
		km float64
	}{
		"in the hole":    {Point{3.4, 3.4}, "A", 11.1},
		"east of it all": {Point{0.5, 8}, "7", 111.2},
	} {
		_, err := areas.Locate(want.at)
		var outside *OutsideError
		require.ErrorAs(t, err, &outside, name)
		require.Equal(t, want.id, outside.Nearest.ID, name)
		require.InDelta(t, want.km, outside.Km, 0.2, name)
	}
}

func TestParseGeoJSONNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := ParseGeoJSON(strings.NewReader(`{"type":"FeatureCollection","features":[
 {"type":"Feature","properties":{"tier":"metro"},"geometry":{"type":"Point","coordinates":[1,2]}},
 {"type":"Feature","properties":{"id":"B","name":"B"},"geometry":null},
 {"type":"Feature","properties":{"id":"C","name":"C"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0]]]}},
 {"type":"Feature","properties":{"id":"D","name":"D"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}},
 {"type":"Feature","properties":{"id":"E","name":"E"},"geometry":{"type":"Polygon","coordinates":[[[30,120],[31,120],[31,121],[30,120]]]}},
 {"type":"Feature","properties":{"id":"F","name":"F"},"geometry":{"type":"Polygon","coordinates":[[[179,0],[-179,0],[-179,1],[179,0]]]}},
 {"type":"Feature","properties":{"id":"F","name":"G"},"geometry":{"type":"Polygon","coordinates":"x"}}
]}`))
	var wrong *ImportError
	require.ErrorAs(t, err, &wrong)
	var got []string
	for _, p := range wrong.Problems {
		got = append(got, p.Where+" "+p.Field)
	}
	require.Equal(t, []string{
		"feature 1 id", "feature 1 name", "feature 1 tier", "feature 1 geometry",
		"feature 2 geometry", "feature 3 coordinates", "feature 4 coordinates",
		"feature 5 coordinates", "feature 6 coordinates", "feature 7 coordinates", "feature 7 name",
	}, got)
	require.Contains(t, err.Error(), "longitude comes before latitude")
	require.Contains(t, err.Error(), "180th meridian")

	for text, want := range map[string]string{
		`{"type":"Feature"}`:                             "must be one FeatureCollection",
		`{"type":"FeatureCollection","features":[]}`:     "nothing to cover",
		"{\"type\":\"FeatureCollection\",\n\"features\"": "line 2: is not GeoJSON",
	} {
		_, err := ParseAreas(strings.NewReader(text))
		require.ErrorAs(t, err, &wrong, text)
		require.Contains(t, err.Error(), want)
	}
}

// Three thousand polygons: the grid finds what a look at every one finds.
func TestManyPolygons(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 3))
	var areas []Area
	var shapes []shape
	for i := range 3000 {
		lng, lat, w := rnd.Float64()*340-170, rnd.Float64()*150-75, 0.1+rnd.Float64()*2
		if i%500 == 0 {
			w = 40 // too wide for the grid
		}
		r := ring{{lng, lat}, {min(lng+w, 180), lat}, {lng + w/3, min(lat+w, 90)}}
		areas = append(areas, Area{ID: AreaID(fmt.Sprint(i)), Name: fmt.Sprint("N", i)})
		shapes = append(shapes, shape{polygon: polygon{outer: r, box: r.bounds()}, area: i, tier: County})
	}
	set := newShapes(areas, shapes)
	found := 0
	for range 3000 {
		p := Point{rnd.Float64()*180 - 90, rnd.Float64()*360 - 180}
		want := AreaID("")
		for i := range set.shapes {
			if set.shapes[i].contains(p) {
				want = areas[set.shapes[i].area].ID
				break
			}
		}
		place, err := set.Locate(p)
		require.Equal(t, want != "", err == nil)
		require.Equal(t, want, place.Area.ID)
		if err == nil {
			found++
		}
	}
	require.Greater(t, found, 100)
}
