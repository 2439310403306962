package dispatch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
)

func TestUncontended(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	to := func(crew, minutes int) dispatch.Reach {
		return dispatch.Reach{Crew: crew, Travel: time.Duration(minutes) * time.Minute}
	}
	due := func(minutes int, reach ...dispatch.Reach) dispatch.Waiting {
		return dispatch.Waiting{Opened: now, Due: at(minutes), Reach: reach}
	}
	for _, c := range []struct {
		name    string
		waiting []dispatch.Waiting
		crews   []dispatch.Candidate
		rate    float64 // calls an hour to be expected
		want    []int   // crew by request; nil: they compete
	}{
		{"the soonest crew", []dispatch.Waiting{due(45, to(0, 20), to(1, 8))}, []dispatch.Candidate{{}, {}}, 0, []int{1}},
		{"each its own", []dispatch.Waiting{due(45, to(0, 5), to(1, 8)), due(45, to(0, 9), to(1, 3))}, []dispatch.Candidate{{}, {}}, 0, []int{0, 1}},
		{"both want one", []dispatch.Waiting{due(45, to(0, 5), to(1, 8)), due(45, to(0, 3), to(1, 9))}, []dispatch.Candidate{{}, {}}, 0, nil},
		{"too late", []dispatch.Waiting{due(8, to(0, 8))}, []dispatch.Candidate{{}}, 0, nil},
		{"just in time", []dispatch.Waiting{due(9, to(0, 8))}, []dispatch.Candidate{{}}, 0, []int{0}},
		{"a crew that is soon free is sooner", []dispatch.Waiting{due(45, to(0, 20), to(1, 8))}, []dispatch.Candidate{{}, {FreeAt: at(5)}}, 0, nil},
		{"and is not", []dispatch.Waiting{due(45, to(0, 20), to(1, 8))}, []dispatch.Candidate{{}, {FreeAt: at(15)}}, 0, []int{0}},
		{"its shift is over", []dispatch.Waiting{due(45, to(0, 5), to(1, 8))}, []dispatch.Candidate{{Until: at(-1)}, {}}, 0, []int{1}},
		{"enough crews for one more within the half hour", []dispatch.Waiting{due(45, to(0, 20), to(1, 8))}, []dispatch.Candidate{{}, {}}, 2, []int{1}},
		{"not for one more than that", []dispatch.Waiting{due(45, to(0, 20), to(1, 8))}, []dispatch.Candidate{{}, {}}, 2.1, nil},
		{"a crew that is soon free is not free", []dispatch.Waiting{due(45, to(0, 20), to(1, 8))}, []dispatch.Candidate{{}, {}, {FreeAt: at(30)}}, 2.1, nil},
		{"nobody", []dispatch.Waiting{due(45)}, nil, 0, nil},
	} {
		got, ok := dispatch.Uncontended(c.waiting, c.crews, now, dispatch.Terms{
			Turnout: time.Minute, Service: time.Hour, Prospect: dispatch.Prospect{Rate: c.rate}})
		require.Equal(t, c.want != nil, ok, c.name)
		for i, p := range got {
			require.Equal(t, i, p.Request, c.name)
			require.Equal(t, c.want[i], p.To.Crew, c.name)
		}
	}
}
