package sla_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

// A compensation tells each attempt to pay it: what bounced, and what is under
// way or has arrived, but not the batches that were given up with it.
func TestTheAttemptsToPayACompensation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.Equal(t, []string{"bank"}, r.PayoutWays())
	c := r.approved(1)[0]
	attempts := func() (list []any) {
		got, err := r.Payments(t.Context(), admin, c.ID)
		require.NoError(t, err)
		for _, p := range got {
			require.Equal(t, c.ID, p.CompensationID)
			list = append(list, p.BatchID, p.Attempt, p.State)
		}
		return list
	}
	require.Empty(t, attempts())
	given := r.sealed()
	require.Equal(t, []any{given.ID, 1, sla.LineOpen}, attempts())
	_, err := r.RejectBatch(t.Context(), finance2, given.ID, given.Version, "another title")
	require.NoError(t, err)
	require.Empty(t, attempts(), "nothing was tried")

	first := r.submitted()
	r.results(first, func(int) bool { return true })
	require.Equal(t, []any{first.ID, 1, sla.LineBounced}, attempts())
	second := r.submitted()
	require.Equal(t, []any{first.ID, 1, sla.LineBounced, second.ID, 2, sla.LineOpen}, attempts())
	r.results(second, nil)
	require.Equal(t, []any{first.ID, 1, sla.LineBounced, second.ID, 2, sla.LinePaid}, attempts())

	_, err = r.Payments(t.Context(), operator, c.ID)
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	_, err = r.Payments(t.Context(), finance, events.NewID[events.CompensationID]())
	require.ErrorIs(t, err, sla.ErrNoCompensation)
}
