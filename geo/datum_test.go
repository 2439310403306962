package geo

import (
	"compress/gzip"
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// readTable reads a gzipped CSV into one map per row.
func readTable(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	gz, err := gzip.NewReader(f)
	require.NoError(t, err)
	rows, err := csv.NewReader(gz).ReadAll()
	require.NoError(t, err)
	var out []map[string]string
	for _, row := range rows[1:] {
		m := make(map[string]string)
		for i, name := range rows[0] {
			m[name] = row[i]
		}
		out = append(out, m)
	}
	return out
}

func pointIn(t *testing.T, row map[string]string, prefix string) Point {
	t.Helper()
	lat, err := strconv.ParseFloat(row[prefix+"lat"], 64)
	require.NoError(t, err)
	lng, err := strconv.ParseFloat(row[prefix+"lng"], 64)
	require.NoError(t, err)
	return Point{Lat: lat, Lng: lng}
}

// in is the point's coordinate in another datum, as a Point for comparison.
func in(t require.TestingT, d Datum, p Point) Point {
	lat, lng, err := FromWGS84(d, p)
	require.NoError(t, err)
	return Point{lat, lng}
}

func from(t require.TestingT, d Datum, p Point) Point {
	w, err := ToWGS84(d, p.Lat, p.Lng)
	require.NoError(t, err)
	return w
}

func TestTownsInThreeDatums(t *testing.T) {
	t.Parallel()
	rows := readTable(t, "testdata/gcoord_china_cities_wgs84_gcj02_bd09.csv.gz")
	require.Len(t, rows, 664)
	sum := 0.0
	for _, row := range rows {
		wgs, gcj, bd := pointIn(t, row, "wgs_"), pointIn(t, row, "gcj_"), pointIn(t, row, "bd_")
		off := Distance(gcj, in(t, GCJ02, wgs))
		sum += off
		require.Less(t, off, 1.0, row["name"])
		require.Less(t, Distance(wgs, from(t, GCJ02, gcj)), 1.0, row["name"])
		require.Less(t, Distance(bd, in(t, BD09, wgs)), 1.0, row["name"])
		require.Less(t, Distance(wgs, from(t, BD09, bd)), 1.0, row["name"])
		require.Less(t, Distance(bd, toBD09(gcj)), 0.1, row["name"])
	}
	t.Logf("mean distance from the table: %.2f m", sum/664)
}

func TestLibraryVectors(t *testing.T) {
	t.Parallel()
	rows := readTable(t, "testdata/library_test_vectors.csv.gz")
	require.Len(t, rows, 10)
	for _, row := range rows {
		given, want := pointIn(t, row, "in_"), pointIn(t, row, "out_")
		tolerance := 0.0
		if row["tolerance"] != "identity" {
			var err error
			tolerance, err = strconv.ParseFloat(strings.TrimSuffix(strings.Fields(row["tolerance"])[0], ","), 64)
			require.NoError(t, err)
		}
		var got Point
		switch row["op"] {
		case "wgs2gcj":
			got = in(t, GCJ02, given)
		case "gcj2bd":
			got = toBD09(given)
		case "bd2gcj": // the published one-step way; the exact way is 5 cm from it
			got = bd09Estimate(given)
			require.Less(t, Distance(got, invert(got, given, toBD09)), 0.3)
		case "gcj2wgs_onestep":
			// The libraries subtract the shift taken at the GCJ-02 point.
			f := shiftGCJ02(given)
			got = Point{2*given.Lat - f.Lat, 2*given.Lng - f.Lng}
			require.Less(t, Distance(got, from(t, GCJ02, given)), 5.0, "one step is that near to the exact inverse")
		case "bd2wgs":
			// That library turns by pi where Baidu's step, the other library's vectors
			// and all 664 towns turn by 3000 pi / 180: its vectors stand 10 and 41 m
			// beside the truth. With its own constant they come out exactly, which
			// checks every other part of the way.
			require.InDelta(t, 25, Distance(want, from(t, BD09, given)), 20)
			lat, lng := given.Lat-0.006, given.Lng-0.0065
			radius := math.Hypot(lng, lat) - 0.00002*math.Sin(lat*math.Pi)
			angle := math.Atan2(lat, lng) - 0.000003*math.Cos(lng*math.Pi)
			g := Point{radius * math.Sin(angle), radius * math.Cos(angle)}
			f := shiftGCJ02(g)
			got = Point{2*g.Lat - f.Lat, 2*g.Lng - f.Lng}
		default:
			t.Fatalf("unknown operation %q", row["op"])
		}
		require.InDelta(t, want.Lat, got.Lat, tolerance, "%s %s", row["op"], row["place"])
		require.InDelta(t, want.Lng, got.Lng, tolerance, "%s %s", row["op"], row["place"])
	}
}

func TestDatumsRoundTrip(t *testing.T) {
	t.Parallel()
	cities := ChinaAreas().All()
	rapid.Check(t, func(t *rapid.T) {
		city := rapid.SampledFrom(cities).Draw(t, "city")
		p := Offset(city.Centre, rapid.Float64Range(-300, 300).Draw(t, "north"), rapid.Float64Range(-300, 300).Draw(t, "east"))
		for _, d := range Datums {
			require.Less(t, Distance(p, from(t, d, in(t, d, p))), 0.001, "%s at %s", d, city.Name)
		}
	})
	// Far from the outline, abroad as inside, the way there and back is the same.
	rapid.Check(t, func(t *rapid.T) {
		p := Point{rapid.Float64Range(-90, 10).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lng")}
		for _, d := range Datums {
			require.Equal(t, p, in(t, d, p))
			require.Equal(t, p, from(t, d, p))
		}
	})
}

func TestNoShiftOutsideTheMainland(t *testing.T) {
	t.Parallel()
	outside := map[string]Point{
		"Hong Kong Central": {22.2819, 114.1582}, "Kowloon": {22.3193, 114.1694},
		"Hong Kong airport": {22.3080, 113.9185}, "Yuen Long": {22.4445, 114.0222},
		"Sheung Shui": {22.5012, 114.1281}, "Tai Po": {22.4508, 114.1642},
		"Sai Kung": {22.3814, 114.2705}, "Ping Chau": {22.5430, 114.4370},
		"Macao Senado": {22.1936, 113.5399}, "Taipa": {22.1560, 113.5590}, "Coloane": {22.1190, 113.5650},
		"Taipei": {25.0330, 121.5654}, "Kaohsiung": {22.6273, 120.3014}, "Hualien": {23.9769, 121.6044},
		"Penghu": {23.5690, 119.5790}, "Kinmen": {24.4360, 118.3190}, "Matsu": {26.1600, 119.9500},
		"Seoul": {37.5665, 126.9780}, "Pyongyang": {39.0392, 125.7625}, "Tokyo": {35.6762, 139.6503},
		"Vladivostok": {43.1155, 131.8855}, "Khabarovsk": {48.4814, 135.0721}, "Ulaanbaatar": {47.8864, 106.9057},
		"Hanoi": {21.0278, 105.8342}, "Da Nang": {16.0544, 108.2022}, "Kathmandu": {27.7172, 85.3240},
		"Thimphu": {27.4728, 89.6390}, "Almaty": {43.2220, 76.8512}, "Denver": {39.7392, -104.9903},
		"Sydney": {-33.87, 151.21}, "the north pole": {90, 0}, "the dateline": {0, 180},
	}
	for name, p := range outside {
		require.Equal(t, p, in(t, GCJ02, p), name)
		require.Equal(t, p, from(t, GCJ02, p), name)
	}
	// Baidu's own step is in use in Hong Kong, Macao and Taiwan, and not abroad.
	require.InDelta(t, 900, Distance(outside["Taipei"], in(t, BD09, outside["Taipei"])), 300)
	require.Equal(t, outside["Seoul"], in(t, BD09, outside["Seoul"]))
	require.Equal(t, outside["Seoul"], from(t, BD09, outside["Seoul"]))
}

func TestBorderTownsAreShifted(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]Point{
		"Luohu": {22.5333, 114.1180}, "Futian port": {22.5180, 114.0690}, "Shekou": {22.4790, 113.9110},
		"Shenzhen bay park": {22.5230, 113.9900}, "Yantian": {22.5570, 114.2370}, "Dameisha": {22.5940, 114.3070},
		"Dapeng": {22.5960, 114.4790}, "Gongbei": {22.2210, 113.5480}, "Hengqin": {22.1250, 113.5330},
		"Wanzai": {22.1960, 113.5240}, "Xiamen": {24.4798, 118.0894}, "Pingtan": {25.5030, 119.7900},
		"Heihe": {50.2400, 127.4900}, "Manzhouli": {49.5800, 117.4500}, "Dandong": {40.1200, 124.3900},
		"Hunchun": {42.8600, 130.3700}, "Suifenhe": {44.4000, 131.1500}, "Fuyuan": {48.3600, 134.3000},
		"Beiji": {53.4800, 122.3600}, "Khorgos": {44.2100, 80.4100}, "Tashkurgan": {37.7700, 75.2300},
		"Yadong": {27.4900, 88.9100}, "Zhangmu": {27.9900, 85.9800}, "Ruili": {24.0100, 97.8500},
		"Mohan": {21.1900, 101.6900}, "Hekou": {22.5100, 103.9600}, "Dongxing": {21.5400, 107.9700},
		"Sanya": {18.2500, 109.5000}, "Shengsi": {30.7300, 122.4500},
	} {
		off := Distance(p, in(t, GCJ02, p))
		require.True(t, off > 50 && off < 1000, "%s is shifted by %.0f m", name, off)
		require.Less(t, Distance(p, from(t, GCJ02, in(t, GCJ02, p))), 0.001, name)
	}
}

func TestDatumMustBeNamed(t *testing.T) {
	t.Parallel()
	for _, d := range Datums {
		got, err := ParseDatum(string(d))
		require.NoError(t, err)
		require.Equal(t, d, got)
	}
	for _, bad := range []string{"", "WGS84", "utm", "gcj02 "} {
		_, err := ParseDatum(bad)
		var wrong *DatumError
		require.ErrorAs(t, err, &wrong)
		require.Contains(t, err.Error(), "name wgs84, gcj02 or bd09")
		_, err = ToWGS84(Datum(bad), 30, 120)
		require.ErrorAs(t, err, &wrong)
		_, _, err = FromWGS84(Datum(bad), Point{30, 120})
		require.ErrorAs(t, err, &wrong)
	}
	var coordinate *CoordinateError
	_, err := ToWGS84(GCJ02, 91, 120)
	require.ErrorAs(t, err, &coordinate)
	_, _, err = FromWGS84(GCJ02, Point{0, 181})
	require.ErrorAs(t, err, &coordinate)
}
