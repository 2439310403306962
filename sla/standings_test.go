package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
)

func TestStandingsOfMany(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	late, armed, unknown := r.late(11*time.Minute), events.NewID[events.RequestID](), events.NewID[events.RequestID]()
	r.must(r.open(armed, "urban"))
	got, err := r.Standings(t.Context(), []events.RequestID{late, armed, unknown})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, "late", got[late].State)
	require.EqualValues(t, 5000, got[late].OwedFen)
	require.Equal(t, "armed", got[armed].State)
	require.Zero(t, got[armed].OwedFen)
}
