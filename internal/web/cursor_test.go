package web_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
)

type queueKey struct {
	Slack time.Duration    `json:"s"`
	ID    events.RequestID `json:"i"`
}

func TestCursorRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := queueKey{time.Duration(rapid.Int64().Draw(t, "slack")), events.NewID[events.RequestID]()}
		var got queueKey
		found, err := web.DecodeCursor("queue", web.EncodeCursor("queue", want), &got)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, want, got)
	})
}

// Whatever a caller sends, the answer is a key or a fault that names cursor.
func TestDamagedCursorsAreRefused(t *testing.T) {
	t.Parallel()
	good := web.EncodeCursor("queue", queueKey{1, events.NewID[events.RequestID]()})
	refused := func(t require.TestingT, text string) {
		var key queueKey
		_, err := web.DecodeCursor("queue", text, &key)
		var f *fault.Error
		require.ErrorAs(t, err, &f, "%q", text)
		require.Equal(t, fault.Invalid, f.Kind)
		require.Equal(t, "cursor", f.Fields[0].Field)
	}
	rapid.Check(t, func(rt *rapid.T) {
		cut := rapid.IntRange(1, len(good)-1).Draw(rt, "cut")
		refused(rt, good[:cut])
	})
	for _, text := range []string{
		"?", "====", web.EncodeCursor("crews", 1), web.EncodeCursor("queue", 1), web.EncodeCursor("queue", map[string]int{"x": 1}),
		base64.RawURLEncoding.EncodeToString([]byte(`{"v":2,"k":"queue","p":{}}`)),
		base64.RawURLEncoding.EncodeToString([]byte(`null`)),
	} {
		refused(t, text)
	}
	var key queueKey
	found, err := web.DecodeCursor("queue", "", &key)
	require.NoError(t, err)
	require.False(t, found)
}

func TestInputHash(t *testing.T) {
	t.Parallel()
	a := web.InputHash(map[string]int{"x": 1, "y": 2})
	require.Equal(t, a, web.InputHash(map[string]int{"y": 2, "x": 1}))
	require.NotEqual(t, a, web.InputHash(map[string]int{"x": 1, "y": 3}))
	require.Panics(t, func() { web.InputHash(func() {}) })
}
