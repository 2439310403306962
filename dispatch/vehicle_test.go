package dispatch_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
)

// TestACarIsKnownByAKeyAndNotByItsPlate reads what the opening tells of the
// car: the same for the same car however its plate was typed, and no plate.
func TestACarIsKnownByAKeyAndNotByItsPlate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := func(plate string) string {
		r := w.open(func(in *dispatch.NewRequest) { in.Vehicle.Plate = plate })
		told, err := events.ReadStream(w.ctx, w.pool, r.ID.String(), 1)
		require.NoError(t, err)
		var opened events.RequestOpened
		require.NoError(t, json.Unmarshal(told[0].Data, &opened))
		require.NotContains(t, string(told[0].Data), "A12345")
		_, err = w.Cancel(w.ctx, desk, r.ID, "another test", r.Version)
		require.NoError(t, err)
		return opened.VehicleKey
	}
	one := key("沪A12345")
	require.Len(t, one, 32)
	require.Equal(t, one, key("沪a·12345"))
	require.NotEqual(t, one, key("沪A12346"))
}
