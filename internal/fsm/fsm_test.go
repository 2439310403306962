package fsm_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/internal/fault"
	"rescued/internal/fsm"
)

type (
	state string
	event string
)

var door = fsm.Table[state, event]{
	"open":   {"close": "closed"},
	"closed": {"open": "open", "weld": "welded"},
}

func TestNextFollowsTheTable(t *testing.T) {
	t.Parallel()
	to, err := door.Next("open", "close")
	require.NoError(t, err)
	require.Equal(t, state("closed"), to)
}

func TestNextRefusesAndSaysWhatIsPossible(t *testing.T) {
	t.Parallel()
	to, err := door.Next("closed", "close")
	require.Equal(t, state("closed"), to, "a refused event leaves the state")
	require.Equal(t, fault.Conflict, fault.KindOf(err))
	require.ErrorContains(t, err, "possible: open, weld")
	var refused fsm.Refused[state, event]
	require.True(t, errors.As(err, &refused))
	require.Equal(t, event("close"), refused.Ev)

	_, err = door.Next("welded", "open")
	require.ErrorContains(t, err, "it is final")
}

func TestFinalAndStates(t *testing.T) {
	t.Parallel()
	require.True(t, door.Final("welded"))
	require.False(t, door.Final("open"))
	require.Equal(t, []state{"closed", "open", "welded"}, door.States())
}
