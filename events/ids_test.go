package events_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/fault"
)

func TestIDsKeepTheirKind(t *testing.T) {
	t.Parallel()
	id := events.NewID[events.RequestID]()
	require.Regexp(t, `^req_[0-9a-f-]{36}$`, id.String())

	again, err := events.ParseID[events.RequestID](id.String())
	require.NoError(t, err)
	require.Equal(t, id, again)

	for _, bad := range []string{"", "req_", "crw_" + id.UUID().String(), id.UUID().String(), id.String() + "0", "req_{" + id.UUID().String() + "}"} {
		_, err := events.ParseID[events.RequestID](bad)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%q", bad)
	}
}

func TestIDsInJSON(t *testing.T) {
	t.Parallel()
	type doc struct {
		A events.CrewID  `json:"a"`
		B *events.CrewID `json:"b,omitempty"`
	}
	in := doc{A: events.NewID[events.CrewID]()}
	b, err := json.Marshal(in)
	require.NoError(t, err)
	var out doc
	require.NoError(t, json.Unmarshal(b, &out))
	require.Equal(t, in, out)
	require.Error(t, json.Unmarshal([]byte(`{"a":"req_`+in.A.UUID().String()+`"}`), &out))
}

func TestActors(t *testing.T) {
	t.Parallel()
	a, err := events.ParseActor("operator:li.wei")
	require.NoError(t, err)
	require.Equal(t, "operator:li.wei", a.String())
	require.True(t, a.Is(events.RoleAdmin, events.RoleOperator))
	for _, bad := range []string{"", "operator", "operator:", "king:arthur"} {
		_, err := events.ParseActor(bad)
		require.Error(t, err, "%q", bad)
	}
}
