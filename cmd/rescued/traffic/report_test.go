package traffic

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryRowIsAccountedForOnce(t *testing.T) {
	t.Parallel()
	rows := []Row{
		{Line: 2, Outcome: InTime, Request: "req_1"},
		{Line: 3, Outcome: Late, Request: "req_2", Late: 11 * time.Minute},
		{Line: 4, Outcome: Duplicate, Of: "req_1", Why: "the car already has an open request"},
		{Line: 5, Outcome: Invalid, Why: "lat 140 is out of range"},
		{Line: 6, Outcome: StillWaits, Request: "req_3"},
		{Line: 7, Outcome: Unsent},
	}
	r := ReportOf(rows)
	sum := 0
	for _, n := range r.Counts {
		sum += n
	}
	require.Equal(t, r.Rows, sum)

	var b strings.Builder
	r.WriteText(&b)
	require.Contains(t, b.String(), "6 rows accounted for: 3 accepted, 3 not.")
	require.Contains(t, b.String(), "line 4      of req_1")
	require.Contains(t, b.String(), "lat 140 is out of range")
	require.Contains(t, b.String(), "promises kept: 50.0% of 2 arrivals; latest arrival 11m0s past its promise")

	b.Reset()
	require.NoError(t, r.WriteCSV(&b))
	require.Len(t, strings.Split(strings.TrimSpace(b.String()), "\n"), 7)
}

func TestRefusalsBecomeOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want Outcome
	}{
		{&Refusal{Status: http.StatusConflict, Code: "plate_has_open_request", RequestID: "req_9"}, Duplicate},
		{&Refusal{Status: http.StatusUnprocessableEntity, Code: "outside_covered_area"}, Invalid},
		{&Refusal{Status: http.StatusBadRequest, Code: "invalid"}, Invalid},
		{&Refusal{Status: http.StatusServiceUnavailable, Code: "busy"}, Failed},
		{&Refusal{Status: http.StatusTooManyRequests, Code: "rate_limited"}, Failed},
		{errors.New("connection refused"), Failed},
	} {
		row := refusedRow(Call{Line: 7}, c.err)
		require.Equal(t, c.want, row.Outcome, "%v", c.err)
		require.NotEmpty(t, row.Why)
	}
	require.Equal(t, "req_9", refusedRow(Call{}, &Refusal{Status: 409, Code: "plate_has_open_request", RequestID: "req_9"}).Of)
}

func TestOutcomeOfARequest(t *testing.T) {
	t.Parallel()
	due := start.Add(45 * time.Minute)
	at := func(d time.Duration) *time.Time { t := due.Add(d); return &t }
	for _, c := range []struct {
		view requestView
		want Outcome
		late time.Duration
	}{
		{requestView{State: "on_scene", DueAt: due, ArrivedAt: at(0)}, InTime, 0},
		{requestView{State: "done", DueAt: due, ArrivedAt: at(time.Minute)}, Late, time.Minute},
		{requestView{State: "cancelled", DueAt: due}, Cancelled, 0},
		{requestView{State: "en_route", DueAt: due}, Assigned, 0},
		{requestView{State: "stranded", DueAt: due}, StillWaits, 0},
	} {
		got, late := outcomeOf(c.view)
		require.Equal(t, c.want, got, "%+v", c.view)
		require.Equal(t, c.late, late)
	}
}

func TestTheSameCallIsTheSameCar(t *testing.T) {
	t.Parallel()
	calls, err := StormDay()
	require.NoError(t, err)
	require.Len(t, calls, 311)
	plates := map[string]int{}
	for _, c := range calls {
		a, b := bodyOf(c, "川A", 1), bodyOf(c, "川A", 1)
		require.Equal(t, a, b)
		require.NotEqual(t, a.Vehicle.Plate, bodyOf(c, "川A", 2).Vehicle.Plate, "another day has other cars")
		require.NotEqual(t, "energy_out", a.Problem)
		plates[a.Vehicle.Plate]++
	}
	require.Less(t, len(plates), len(calls), "the day has repeats, which must meet the duplicate check")
}
