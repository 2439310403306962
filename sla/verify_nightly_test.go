package sla

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheNextNight(t *testing.T) {
	t.Parallel()
	for now, want := range map[string]string{
		"2026-03-02T02:59:59+08:00": "2026-03-02T03:00:00+08:00",
		"2026-03-02T03:00:00+08:00": "2026-03-03T03:00:00+08:00",
		"2026-03-02T23:00:00+08:00": "2026-03-03T03:00:00+08:00",
		"2026-02-28T19:00:00Z":      "2026-03-02T03:00:00+08:00",
	} {
		at, err := time.Parse(time.RFC3339, now)
		require.NoError(t, err)
		require.Equal(t, want, nextNight(at).Format(time.RFC3339), now)
	}
}
