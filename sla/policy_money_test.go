package sla_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/events"
	"rescued/sla"
)

// What others are charged is never more than is owed, and no provider more than
// the fee that caps it; rounding and the cap fall to the platform.
func TestChargesLeaveTheRestToThePlatform(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		provider := rapid.IntRange(0, 100).Draw(t, "provider")
		partner := rapid.IntRange(0, 100-provider).Draw(t, "partner")
		p := sla.Policy{Bearers: sla.Bearers{
			PlatformPct: 100 - provider - partner, ProviderPct: provider, PartnerPct: partner,
			ServiceFeeFen: sla.Fen(rapid.Int64Range(1, 100_000).Draw(t, "fee")), CapByServiceFee: rapid.Bool().Draw(t, "capped"),
		}}
		total := sla.Fen(rapid.Int64Range(1, 1<<62).Draw(t, "total"))
		if rapid.Bool().Draw(t, "usual") {
			total %= 1_000_000
		}
		first := rapid.IntRange(0, 100).Draw(t, "first")
		fault := sla.Attribution{Faults: []sla.Fault{
			{Party: sla.PartyProvider, ProviderID: provA, Pct: first}, {Party: sla.PartyProvider, ProviderID: provB, Pct: 100 - first},
		}}
		var sum sla.Fen
		for _, c := range p.Charges(total, events.NewID[events.PartnerID](), fault) {
			require.Positive(t, c.Fen)
			if c.Bearer == sla.BearerProvider && p.Bearers.CapByServiceFee {
				require.LessOrEqual(t, c.Fen, p.Bearers.ServiceFeeFen)
			}
			sum += c.Fen
		}
		borne := total/100*sla.Fen(provider+partner) + total%100*sla.Fen(provider+partner)/100
		require.LessOrEqual(t, sum, borne)
		if !p.Bearers.CapByServiceFee {
			require.GreaterOrEqual(t, sum, borne-4, "but for what rounding down leaves")
		}
	})
}

func TestApprovalLimits(t *testing.T) {
	t.Parallel()
	require.False(t, sla.Approval{}.Auto(1))
	require.False(t, sla.Approval{}.FourEyes(1<<40))
	a := sla.Approval{AutoUpToFen: 2000, FourEyesOverFen: 5000}
	require.True(t, a.Auto(2000))
	require.False(t, a.Auto(2001))
	require.False(t, a.FourEyes(5000))
	require.True(t, a.FourEyes(5001))
}

func TestMoneyOfAPolicyIsChecked(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	for name, c := range map[string]struct {
		field string
		value any
		want  []string
	}{
		"auto above four eyes": {"approval", m{"auto_up_to_fen": 2, "four_eyes_over_fen": 1}, []string{"approval.auto_up_to_fen range"}},
		"negative":             {"approval", m{"auto_up_to_fen": -1, "four_eyes_over_fen": -1}, []string{"approval.auto_up_to_fen range", "approval.four_eyes_over_fen range"}},
		"not a hundred":        {"bearers", m{"platform_pct": 50, "provider_pct": 40, "partner_pct": 0}, []string{"bearers sum"}},
		"more than all":        {"bearers", m{"platform_pct": 150, "provider_pct": -50, "partner_pct": 0}, []string{"bearers.platform_pct range", "bearers.provider_pct range"}},
		"capped by nothing":    {"bearers", m{"platform_pct": 50, "provider_pct": 50, "partner_pct": 0, "cap_by_service_fee": true}, []string{"bearers.service_fee_fen required"}},
		"case above month":     {"caps", m{"per_case_fen": 2, "per_vehicle_month_fen": 1}, []string{"caps.per_case_fen range"}},
		"budget":               {"caps", m{"budget_fen": int64(1) << 50}, []string{"caps.budget_fen range"}},
		"an unknown bearer":    {"bearers", m{"platform_pct": 100, "provider_pct": 0, "partner_pct": 0, "driver_pct": 0}, []string{"bearers.driver_pct unknown"}},
	} {
		_, err := sla.ParsePolicy(edit(t, func(doc m) { doc[c.field] = c.value }))
		require.Equal(t, c.want, codes(err), name)
	}
}
