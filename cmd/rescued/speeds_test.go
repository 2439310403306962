package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/geo"
)

func TestTellSpeeds(t *testing.T) {
	t.Parallel()
	report := dispatch.SpeedReport{
		Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Jobs: 40, NotLearned: map[string]int64{"pause": 2, "no_position": 3},
		Errors: geo.ErrorTable{{Class: geo.AllRoads, Jobs: 40,
			Before: geo.ErrorFigures{MeanAbs: 700, MedianAbs: 650, Bias: -600, Within10: 0.45},
			After:  geo.ErrorFigures{MeanAbs: 200, MedianAbs: 150, Bias: -20, Within10: 0.975},
		}},
	}
	var out strings.Builder
	require.NoError(t, tellSpeeds(&out, report))
	for _, said := range []string{
		"40 drives finished since 2026-01-01", "passed over: no_position 3, pause 2", "within 10 min", "45.0%", "97.5%", "-600 s", "150 s",
	} {
		require.Contains(t, out.String(), said)
	}
}
