package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/events"
	"rescued/sla"
)

var (
	partner   = events.NewID[events.PartnerID]()
	providerA = events.Actor{Role: events.RoleProvider, Subject: provA.String()}
	providerB = events.Actor{Role: events.RoleProvider, Subject: provB.String()}
)

// shared puts a policy in force under which providers bear 60% of what is
// their fault, up to their fee of ¥24.00, and partners 10%.
func (r *rig) shared() {
	r.t.Helper()
	r.inForce(edit(r.t, func(doc map[string]any) {
		doc["version"] = 2
		doc["bearers"] = map[string]any{"platform_pct": 30, "provider_pct": 60, "partner_pct": 10, "service_fee_fen": 2400, "cap_by_service_fee": true}
	}))
}

// lateBy opens a partner's request that provider A serves, late by that much
// after the deadline; of the lost time a quarter is the platform's.
func (r *rig) lateBy(by time.Duration) events.RequestID {
	r.t.Helper()
	id := events.NewID[events.RequestID]()
	open := r.open(id, "urban")
	open.PartnerID = &partner
	r.must(open,
		events.RequestAssigned{RequestID: id, Area: "cn-3301", CrewID: crewA, ProviderID: provA, AssignedAt: minute(13), ExpectedAt: minute(40)},
		events.CrewDeparted{RequestID: id, Area: "cn-3301", CrewID: crewA, DepartedAt: minute(48)},
		arrivedEvent(id, crewA, due.Add(by)))
	return id
}

func (r *rig) chargebacks(by events.Actor, f sla.ChargebackFilter) []sla.Chargeback {
	r.t.Helper()
	list, err := r.Chargebacks(r.t.Context(), by, f, sla.ChargebackPlace{}, 100)
	require.NoError(r.t, err)
	return list
}

func (r *rig) balances() map[sla.Account]sla.Fen {
	r.t.Helper()
	b, err := r.Balances(r.t.Context())
	require.NoError(r.t, err)
	return b
}

func TestWhoIsAtFaultIsCharged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	c := r.live(r.lateBy(15 * time.Minute)) // ¥50.00
	require.Equal(t, sla.Fen(5000), c.Fen)
	require.Empty(t, r.chargebacks(finance, sla.ChargebackFilter{}), "nothing is charged before it is approved")
	c, err := r.Approve(t.Context(), finance, c.ID, c.Version, "seen")
	require.NoError(t, err)

	list := r.chargebacks(finance, sla.ChargebackFilter{})
	require.Len(t, list, 2)
	for _, b := range list {
		require.Equal(t, c.ID, b.CompensationID)
		require.Equal(t, sla.Charged, b.State)
		switch b.Bearer {
		case sla.BearerProvider:
			require.Equal(t, provA.UUID(), b.ID)
			require.Equal(t, 75, b.FaultPct)
			require.Equal(t, sla.Fen(2250), b.Fen, "75% of 60% of ¥50.00")
			require.NotEmpty(t, b.Attribution.Phases, "with the figures")
		case sla.BearerPartner:
			require.Equal(t, partner.UUID(), b.ID)
			require.Equal(t, sla.Fen(500), b.Fen)
		}
	}
	want := map[sla.Account]sla.Fen{sla.OwnerPayable: -5000, sla.CompensationExpense: 2250, sla.ProviderReceivable: 2250, sla.PartnerShare: 500, sla.ServiceCost: 0, sla.ProviderPayable: 0, sla.PayoutClearing: 0, sla.Cash: 0}
	require.Equal(t, want, r.balances())
	r.seal()
	r.clean()
	require.Equal(t, 2, r.count(c.RequestID, events.ChargebackChanged{}))

	// A dispute that is decided for the owner charges nobody a second time.
	c, err = r.Dispute(t.Context(), operator, c.ID, c.Version, "was it late?")
	require.NoError(t, err)
	c, err = r.Uphold(t.Context(), finance, c.ID, c.Version, "it was")
	require.NoError(t, err)
	require.Equal(t, want, r.balances())

	// What is void is taken back from everybody.
	_, err = r.Void(t.Context(), finance, c.ID, c.Version, "the owner waived it")
	require.NoError(t, err)
	for _, b := range r.chargebacks(finance, sla.ChargebackFilter{}) {
		require.Equal(t, sla.Reversed, b.State)
		require.Equal(t, "the owner waived it", b.ReversedWhy)
	}
	for account, fen := range r.balances() {
		require.Zero(t, fen, account)
	}
	r.seal()
	r.clean()
	_, err = r.pool.Exec(t.Context(), `UPDATE sla.chargebacks SET fen = 1`)
	require.Error(t, err, "what was charged never changes")
	_, err = r.pool.Exec(t.Context(), `UPDATE sla.chargebacks SET state = 'charged', reversed_by = '', reversed_why = ''`)
	require.Error(t, err, "what was taken back is not charged again")
}

func TestAnotherVerdictChargesAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	id := r.lateBy(35 * time.Minute) // ¥100.00
	c := r.live(id)
	_, err := r.Approve(t.Context(), finance, c.ID, c.Version, "seen")
	require.NoError(t, err)
	require.Equal(t, sla.Fen(2400), r.balances()[sla.ProviderReceivable], "capped by its fee")
	r.must(arrivedEvent(id, crewA, due.Add(5*time.Minute))) // earlier proof: ¥20.00
	require.Zero(t, r.balances()[sla.ProviderReceivable])
	c = r.live(id)
	_, err = r.Approve(t.Context(), finance, c.ID, c.Version, "seen again")
	require.NoError(t, err)
	require.Equal(t, sla.Fen(900), r.balances()[sla.ProviderReceivable])
	require.Len(t, r.chargebacks(finance, sla.ChargebackFilter{Bearer: sla.BearerProvider}), 2)
	r.seal()
	r.clean()
}

func TestEachSeesItsOwnChargebacks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shared()
	d := newDoor(t, r)
	id := r.lateBy(15 * time.Minute)
	c := r.live(id)
	_, err := r.Approve(t.Context(), finance, c.ID, c.Version, "seen")
	require.NoError(t, err)

	all, _ := d.ask(finance, "GET", "/v1/chargebacks?total=true", "", 200)
	require.Len(t, all["items"], 2)
	require.EqualValues(t, 2750, all["total"].(map[string]any)["fen"])
	own, _ := d.ask(providerA, "GET", "/v1/chargebacks?total=true", "", 200)
	require.Len(t, own["items"], 1)
	require.EqualValues(t, 2250, own["total"].(map[string]any)["fen"])
	require.Equal(t, provA.String(), own["items"].([]any)[0].(map[string]any)["bearer_id"])
	other, _ := d.ask(providerB, "GET", "/v1/chargebacks", "", 200)
	require.Empty(t, other["items"])
	d.ask(providerB, "GET", "/v1/chargebacks?provider_id="+provA.String(), "", 404)
	byPartner, _ := d.ask(events.Actor{Role: events.RolePartner, Subject: partner.String()}, "GET", "/v1/chargebacks", "", 200)
	require.Len(t, byPartner["items"], 1)
	d.ask(operator, "GET", "/v1/chargebacks", "", 403)
	d.ask(finance, "GET", "/v1/chargebacks?provider_id="+provA.String()+"&partner_id="+partner.String(), "", 400)

	why, _ := d.ask(operator, "GET", "/v1/requests/"+id.String()+"/attribution", "", 200)
	require.Len(t, why["phases"], 3)
	require.Len(t, why["faults"], 2)
	d.ask(providerA, "GET", "/v1/requests/"+id.String()+"/attribution", "", 403)
}

func TestChargesNeverExceedWhatIsOwed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		provider := rapid.IntRange(0, 100).Draw(t, "provider")
		p := sla.Policy{Bearers: sla.Bearers{
			ProviderPct: provider, PartnerPct: rapid.IntRange(0, 100-provider).Draw(t, "partner"),
			ServiceFeeFen: sla.Fen(rapid.Int64Range(1, 100_000).Draw(t, "fee")), CapByServiceFee: rapid.Bool().Draw(t, "cap"),
		}}
		p.Bearers.PlatformPct = 100 - p.Bearers.ProviderPct - p.Bearers.PartnerPct
		first := rapid.IntRange(0, 100).Draw(t, "first")
		a := sla.Attribution{Faults: []sla.Fault{
			{Party: sla.PartyProvider, ProviderID: provA, Pct: first}, {Party: sla.PartyProvider, ProviderID: provB, Pct: rapid.IntRange(0, 100-first).Draw(t, "second")},
			{Party: sla.PartyWeather, Pct: 0},
		}}
		fen := sla.Fen(rapid.Int64Range(1, 1_000_000).Draw(t, "fen"))
		var sum sla.Fen
		for _, c := range p.Charges(fen, partner, a) {
			require.Positive(t, c.Fen)
			if c.Bearer == sla.BearerProvider && p.Bearers.CapByServiceFee {
				require.LessOrEqual(t, c.Fen, p.Bearers.ServiceFeeFen)
			}
			sum += c.Fen
		}
		require.LessOrEqual(t, sum, fen)
		for _, c := range p.Charges(fen, events.PartnerID{}, a) {
			require.Equal(t, sla.BearerProvider, c.Bearer, "without a partner none bears")
		}
	})
}
