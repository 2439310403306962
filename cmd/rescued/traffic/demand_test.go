package traffic

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/geo"
)

func TestDemandRowsAreCallsOrNamedAsBad(t *testing.T) {
	t.Parallel()
	calls, bad, err := parseDemand(strings.NewReader(strings.Join([]string{
		"call_time,feed_time,lat,lng,kind",
		"2016-02-24T08:00:00,x,40.2,-75.4,DISABLED_VEHICLE",
		"yesterday,x,40.2,-75.4,DISABLED_VEHICLE",
		"2016-02-24T07:00:00,x,40.1,-75.3,VEHICLE_ACCIDENT",
		"2016-02-24T09:00:00,x,140.1,-75.3,VEHICLE_ACCIDENT",
		"2016-02-24T09:00:00,x,north,-75.3,VEHICLE_ACCIDENT",
		"2016-02-24T09:00:00",
	}, "\n")), Selection{})
	require.NoError(t, err)
	require.Len(t, calls, 2)
	require.Equal(t, "VEHICLE_ACCIDENT", calls[0].Kind, "calls come in time order")
	require.Equal(t, 4, calls[0].Line)
	require.Len(t, bad, 4)
	require.Equal(t, 3, bad[0].Line)
	require.Contains(t, bad[0].Why, "call_time")
	require.Contains(t, bad[1].Why, "lat")
}

func TestDemandSelection(t *testing.T) {
	t.Parallel()
	day := time.Date(2016, 2, 24, 0, 0, 0, 0, time.UTC)
	calls, _, err := parseDemand(strings.NewReader("kind,lng,lat,call_time\nA,1,2,2016-02-23T23:59:59\nA,1,2,2016-02-24T00:00:00\nB,1,2,2016-02-24T01:00:00\nA,1,2,2016-02-25T00:00:00\n"),
		Selection{From: day, To: day.Add(24 * time.Hour), Kind: "A"})
	require.NoError(t, err)
	require.Len(t, calls, 1)
	require.Equal(t, geo.Point{Lat: 2, Lng: 1}, calls[0].At)

	_, _, err = parseDemand(strings.NewReader("time,lat,lng,kind\n"), Selection{})
	require.ErrorContains(t, err, "call_time")
}

func TestMovedKeepsSpacing(t *testing.T) {
	t.Parallel()
	calls := []Call{{At: geo.Point{Lat: 40.0, Lng: -75.0}}, {At: geo.Point{Lat: 40.3, Lng: -75.4}}, {At: geo.Point{Lat: 40.1, Lng: -75.2}}}
	moved := Moved(calls, geo.Point{Lat: 30.66, Lng: 104.06})
	for i := range calls {
		for j := range calls {
			was, is := geo.Distance(calls[i].At, calls[j].At), geo.Distance(moved[i].At, moved[j].At)
			require.InDelta(t, was, is, 0.003*was+1, "%d-%d", i, j)
		}
	}
}

func TestRoundTheClockStartsAtTheHour(t *testing.T) {
	t.Parallel()
	day := time.Date(2016, 2, 24, 0, 0, 0, 0, time.UTC)
	turned := RoundTheClock([]Call{{Line: 1, CalledAt: day.Add(time.Hour)}, {Line: 2, CalledAt: day.Add(15 * time.Hour)}}, 14*time.Hour)
	require.Equal(t, []int{2, 1}, []int{turned[0].Line, turned[1].Line})
	require.Equal(t, day.Add(25*time.Hour), turned[1].CalledAt)
}
