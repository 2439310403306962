package sla_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/sla"
)

// shares lets a rescue of a partner's by provider A happen, late by that much,
// and approves what it owes. Of the lost time a quarter is the platform's.
func (r *rig) shares(late time.Duration) sla.Compensation {
	r.t.Helper()
	id := events.NewID[events.RequestID]()
	open := r.open(id, "urban")
	open.PartnerID = &partner
	r.happens(open,
		events.RequestAssigned{RequestID: id, Area: "cn-3301", CrewID: crewA, ProviderID: provA, AssignedAt: minute(13), ExpectedAt: minute(40)},
		events.CrewDeparted{RequestID: id, Area: "cn-3301", CrewID: crewA, DepartedAt: minute(48)},
		arrivedEvent(id, crewA, due.Add(late)))
	c := r.live(id)
	c, err := r.Approve(r.t.Context(), finance, c.ID, c.Version, "seen")
	require.NoError(r.t, err)
	return c
}

func TestWhatOthersBearIsAttributedAnew(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), t.Context()
	r.shared()
	stays, capped, disputed, void := r.shares(15*time.Minute), r.shares(35*time.Minute), r.shares(15*time.Minute), r.shares(15*time.Minute)
	_, err := r.Void(ctx, finance2, void.ID, void.Version, "the owner waived it")
	require.NoError(t, err)

	// It comes to light that another provider's crew had it first and gave it
	// back: that is charged to nobody any more, not even by a second approval.
	r.happens(
		events.RequestAssigned{RequestID: stays.RequestID, Area: "cn-3301", CrewID: crewB, ProviderID: provB, AssignedAt: minute(1), ExpectedAt: minute(20)},
		events.RequestReleased{RequestID: stays.RequestID, Area: "cn-3301", CrewID: crewB, ReleasedAt: minute(12), FromState: "assigned", Cause: "crew"})
	a, err := r.Attribution(ctx, finance, stays.RequestID)
	require.NoError(t, err)
	require.NotZero(t, a.Pct(provB), "as it is known now")
	c, err := r.Dispute(ctx, operator, stays.ID, stays.Version, "who was it?")
	require.NoError(t, err)
	_, err = r.Uphold(ctx, finance, c.ID, c.Version, "somebody")
	require.NoError(t, err)
	require.Len(t, r.chargebacks(finance, sla.ChargebackFilter{CompensationID: stays.ID}), 2, "provider A and the partner, as at the first approval")

	// News that changes the amount charges anew, with all that is known.
	again := r.shares(35 * time.Minute)
	r.happens(arrivedEvent(again.RequestID, crewA, due.Add(15*time.Minute)))
	fresh := r.live(again.RequestID)
	_, err = r.Approve(ctx, finance, fresh.ID, fresh.Version, "seen again")
	require.NoError(t, err)

	// A provider wins the dispute of one charge on its statement.
	r.at(afterMarch)
	st := r.issued(time.March)
	for _, l := range r.items(st.ID, sla.ItemFilter{Kind: sla.ItemCharge}) {
		if l.CompensationID == disputed.ID {
			st, err = r.DisputeLine(ctx, providerA, st.ID, l.No, st.Version, "the road was closed")
			require.NoError(t, err)
			_, err = r.OverturnLine(ctx, finance, st.ID, l.No, st.Version, "it was")
			require.NoError(t, err)
		}
	}
	lines, done := r.differences()
	require.Empty(t, lines)
	at := len(done) - 2
	require.Equal(t, "chargebacks", done[at].Name)
	require.Equal(t, 2*6, done[at].Checked)

	r.tamper(`UPDATE sla.chargebacks SET fen = 4500 WHERE compensation_id = '` + capped.ID.UUID().String() + `' AND bearer = 'provider'`)
	lines, _ = r.differences()
	require.Contains(t, strings.Join(lines, "\n"), "fen of the chargeback of "+capped.ID.String()+" to "+provA.String()+": stored 4500, must be 2400", "no more than its fee")
}

func TestWhatWasTamperedWithOfAChargeIsNamed(t *testing.T) {
	t.Parallel()
	const provider, partners = ` WHERE bearer = 'provider'`, ` WHERE bearer = 'partner'`
	const reversed = `UPDATE sla.chargebacks SET state = 'reversed', version = 2, reversed_by = 'finance:lin', reversed_why = 'so there'` + provider
	for name, c := range map[string]struct {
		void bool // what it is for
		sql  string
		want []string // cmp, prv and ptn stand for their identifiers
	}{
		"an amount":         {false, `UPDATE sla.chargebacks SET fen = fen + 1` + provider, []string{"fen of the chargeback of cmp to prv: stored 2251, must be 2250", "posting chargeback:cmp:prv: stored chargeback: provider_receivable 2250 fen, compensation_expense -2250 fen, must be chargeback: provider_receivable 2251 fen"}},
		"a partner's":       {false, `UPDATE sla.chargebacks SET fen = 400` + partners, []string{"fen of the chargeback of cmp to ptn: stored 400, must be 500"}},
		"whose":             {false, `UPDATE sla.chargebacks SET bearer_id = '` + provB.UUID().String() + `'` + provider, []string{"chargeback of cmp to prv: stored nothing, must be 2250 fen", "chargeback of cmp to " + provB.String() + ": stored 2250 fen, must be nothing", "posting chargeback:cmp:prv: stored chargeback: provider_receivable 2250 fen, compensation_expense -2250 fen, must be nothing"}},
		"a fault":           {false, `UPDATE sla.chargebacks SET fault_pct = 80` + provider, []string{"fault_pct of the chargeback of cmp to prv: stored 80, must be 75"}},
		"a phase":           {false, `UPDATE sla.chargebacks SET attribution = regexp_replace(attribution::text, '"took_s":\d+', '"took_s":7')::json` + provider, []string{"attribution, line 1 of the chargeback of cmp to prv: stored assignment from", ": 7 s of 180"}},
		"who lost it":       {false, `UPDATE sla.chargebacks SET attribution = replace(attribution::text, '"party":"platform"', '"party":"owner"')::json` + provider, []string{"attribution, line 5 of the chargeback of cmp to prv: stored fault of the owner : 25%"}},
		"a reason":          {false, `UPDATE sla.chargebacks SET attribution = replace(attribution::text, 'Turnout took', 'Turnout spent')::json` + provider, []string{"attribution, line 7 of the chargeback of cmp to prv: stored \"Turnout spent"}},
		"a reason too few":  {false, `UPDATE sla.chargebacks SET attribution = (attribution::jsonb #- '{reasons,-1}')::json` + provider, []string{"attribution, line 10 of the chargeback of cmp to prv: stored nothing, must be \"Fault of the platform"}},
		"a policy":          {false, `UPDATE sla.chargebacks SET policy_version = 1` + provider, []string{"policy of the chargeback of cmp to prv: stored example-45/1, must be example-45/2"}},
		"an area":           {false, `UPDATE sla.chargebacks SET area = 'cn-1101'` + provider, []string{"area of the chargeback of cmp to prv: stored cn-1101, must be cn-3301"}},
		"a request":         {false, `UPDATE sla.chargebacks SET request_id = gen_random_uuid()` + provider, []string{"request_id of the chargeback of cmp to prv: stored req_"}},
		"a time":            {false, `UPDATE sla.chargebacks SET charged_at = charged_at - interval '1 day', changed_at = changed_at - interval '1 day'` + provider, []string{"charged_at of the chargeback of cmp to prv", "changed_at of the chargeback of cmp to prv"}},
		"a version":         {false, `UPDATE sla.chargebacks SET version = 3` + provider, []string{"version of the chargeback of cmp to prv: stored 3, must be 1"}},
		"a reversal":        {false, reversed, []string{"state of the chargeback of cmp to prv: stored reversed, must be charged", "version of", "reversed_by of the chargeback of cmp to prv: stored finance:lin, must be nothing", "reversed_why of", "telling of the chargeback of cmp to prv: stored charged, 2250 fen, 75%, must be reversed", "posting chargeback:cmp:prv:reversal: stored nothing, must be chargeback_reversal: provider_receivable -2250 fen"}},
		"none of it":        {false, `DELETE FROM sla.chargebacks` + partners, []string{"chargeback of cmp to ptn: stored nothing, must be 500 fen", "posting chargeback:cmp:ptn: stored chargeback: partner_share 500 fen, compensation_expense -500 fen, must be nothing"}},
		"no trace of it":    {false, `DELETE FROM sla.ledger_chain; DELETE FROM sla.ledger_entries; DELETE FROM sla.ledger_transactions; DELETE FROM sla.chargebacks; DELETE FROM sla.attributions`, []string{"attribution of cmp: stored nothing, must be made", "chargeback of cmp to prv: stored nothing", "chargeback of cmp to ptn: stored nothing"}},
		"one too many":      {false, `INSERT INTO sla.chargebacks (compensation_id, bearer, bearer_id, request_id, area, state, version, fen, fault_pct, attribution, policy, policy_version, charged_at, changed_at) SELECT compensation_id, bearer, '` + provB.UUID().String() + `', request_id, area, state, version, fen, fault_pct, attribution, policy, policy_version, charged_at, changed_at FROM sla.chargebacks` + provider, []string{"chargeback of cmp to " + provB.String() + ": stored 2250 fen, must be nothing"}},
		"no basis":          {false, `DELETE FROM sla.attributions`, []string{"attribution of cmp: stored nothing, must be made"}},
		"when it was":       {false, `UPDATE sla.attributions SET attributed_at = attributed_at + interval '1 second'`, []string{"attribution of cmp: stored made"}},
		"less was known":    {false, `UPDATE sla.attributions SET told = told[2:]`, []string{"chargeback of cmp to prv: stored 2250 fen, must be nothing"}},
		"more was known":    {false, `UPDATE sla.attributions SET told = told || gen_random_uuid()`, []string{"attribution of cmp rests on: stored evt_"}},
		"a posting":         {false, `UPDATE sla.ledger_entries SET account = 'cash' WHERE account = 'provider_receivable'`, []string{"posting chargeback:cmp:prv: stored chargeback: cash 2250 fen, compensation_expense -2250 fen, must be chargeback: provider_receivable 2250 fen"}},
		"no posting":        {false, `UPDATE sla.ledger_transactions SET key = 'other' WHERE kind = 'chargeback' AND key LIKE '%prv%'`, []string{"posting chargeback:cmp:prv: stored nothing", "posting other: stored chargeback"}},
		"what was told":     {false, `UPDATE events.journal SET data = replace(data::text, '"fen":2250', '"fen":2200')::json WHERE type LIKE '%chargeback%' AND data::text LIKE '%2250%'`, []string{"telling of the chargeback of cmp to prv: stored charged, 2200 fen, 75%, must be charged, 2250 fen, 75%"}},
		"the journal":       {false, `UPDATE events.journal SET data = replace(data::text, '08:00', '07:40')::json WHERE type LIKE '%departed%'`, []string{"fault_pct of the chargeback of cmp to prv"}},
		"not taken back":    {true, `UPDATE sla.chargebacks SET state = 'charged', version = 1, reversed_by = '', reversed_why = ''` + provider, []string{"state of the chargeback of cmp to prv: stored charged, must be reversed", "posting chargeback:cmp:prv:reversal: stored chargeback_reversal", "must be nothing"}},
		"who took it back":  {true, `UPDATE sla.chargebacks SET reversed_by = 'finance:nobody'` + provider, []string{"reversed_by of the chargeback of cmp to prv: stored finance:nobody, must be finance:zhou"}},
		"why":               {true, `UPDATE sla.chargebacks SET reversed_why = 'because'` + provider, []string{"reversed_why of the chargeback of cmp to prv: stored because, must be the owner waived it"}},
		"when":              {true, `UPDATE sla.chargebacks SET changed_at = changed_at + interval '1 day'` + provider, []string{"changed_at of the chargeback of cmp to prv"}},
		"what a posting is": {true, `UPDATE sla.ledger_transactions SET reverses_id = NULL WHERE key LIKE '%prv%:reversal'`, []string{"posting that chargeback:cmp:prv:reversal takes back: stored nothing"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.shared()
			comp := r.shares(15 * time.Minute)
			if c.void {
				_, err := r.Void(t.Context(), finance2, comp.ID, comp.Version, "the owner waived it")
				require.NoError(t, err)
			}
			lines, _ := r.differences()
			require.Empty(t, lines)
			r.tamper(c.sql)
			lines, _ = r.differences()
			found := strings.NewReplacer(comp.ID.String(), "cmp", provA.String(), "prv", partner.String(), "ptn").Replace(strings.Join(lines, "\n"))
			for _, want := range c.want {
				require.Contains(t, found, want)
			}
			require.Contains(t, found, "chargebacks: "+comp.RequestID.String()+": ")
		})
	}
}

// TestAChargeRestsOnWhatItsApprovalSaw approves while news comes in that moves
// the fault from one provider to another and leaves the amount alone. Whatever
// an approval saw of it, it saw whole, and it can be worked out again.
func TestAChargeRestsOnWhatItsApprovalSaw(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), t.Context()
	r.shared()
	var rescues []events.RequestID
	var waiting []sla.Compensation
	news := map[events.RequestID][]events.Envelope{}
	for range 24 {
		id := events.NewID[events.RequestID]()
		r.happens(r.open(id, "urban"),
			events.RequestAssigned{RequestID: id, Area: "cn-3301", CrewID: crewA, ProviderID: provA, AssignedAt: minute(13), ExpectedAt: minute(40)},
			arrivedEvent(id, crewA, due.Add(15*time.Minute)))
		rescues, waiting = append(rescues, id), append(waiting, r.live(id))
		news[id] = r.journaled(
			events.RequestAssigned{RequestID: id, Area: "cn-3301", CrewID: crewB, ProviderID: provB, AssignedAt: minute(1), ExpectedAt: minute(20)},
			events.RequestReleased{RequestID: id, Area: "cn-3301", CrewID: crewB, ReleasedAt: minute(12), FromState: "assigned", Cause: "crew"})
	}
	var both errgroup.Group
	both.Go(func() error {
		for _, id := range rescues {
			for _, env := range news[id] {
				if err := pg.InTx(ctx, r.pool, func(tx pgx.Tx) error {
					if _, err := tx.Exec(ctx, `INSERT INTO events.inbox (consumer_group, event_id) VALUES ('sla', $1)`, env.ID); err != nil {
						return err
					}
					return r.Handlers()[0].Handle(ctx, tx, env)
				}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	both.Go(func() error {
		for _, c := range waiting {
			if _, err := r.Approve(ctx, finance, c.ID, c.Version, "seen"); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, both.Wait())
	lines, done := r.differences()
	require.Empty(t, lines)
	require.GreaterOrEqual(t, done[len(done)-2].Checked, len(rescues), "each is charged to somebody")
}
