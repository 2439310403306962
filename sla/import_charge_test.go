package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/sla"
)

// TestHistoryChargesWhoeverWasExpectedSooner: of an imported rescue the drive
// is measured by when the crew was expected, and by nothing where that is not
// told.
func TestHistoryChargesWhoeverWasExpectedSooner(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), t.Context()
	r.shared()
	told, untold := pastRescue("told", 60), pastRescue("not told", 60)
	told.ProviderID, untold.ProviderID = provA, provA
	told.ExpectedAt = told.AssignedAt.Add(30 * time.Minute) // and it took 59
	spec := pastSpec(true)
	spec.PolicyVersion = 2
	imp := r.bringIn(spec, told, untold)
	_, err := r.ApproveImport(ctx, finance, imp.ID, imp.Version, "ok")
	require.NoError(t, err)
	_, err = r.AccrueImports(ctx, 100)
	require.NoError(t, err)
	require.EqualValues(t, 2, r.approveMany(finance2, sla.ApproveOrder{Why: "seen"}).Approved.Lines)

	list := r.chargebacks(finance, sla.ChargebackFilter{})
	require.Len(t, list, 1, "nobody is charged for a drive that nothing measures")
	require.Equal(t, provA.UUID(), list[0].ID)
	require.Equal(t, 100, list[0].FaultPct)
	require.Equal(t, sla.Fen(2400), list[0].Fen, "60% of ¥50.00, and no more than its fee")
	require.Equal(t, list[0].Fen, r.balances()[sla.ProviderReceivable])
	lines, _ := r.differences()
	require.Empty(t, lines)
}
