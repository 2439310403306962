package sla_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/sla"
)

// TestASettlementIsPaidOrSetOff settles the same month both ways: paid, fees and
// charges are each money; set off, only the difference is.
func TestASettlementIsPaidOrSetOff(t *testing.T) {
	t.Parallel()
	for how, cash := range map[sla.SettledHow][]sla.Fen{
		sla.SettledPaid:   {-4800, 2250},
		sla.SettledSetOff: {2250 - 4800},
	} {
		r := newRig(t)
		r.shared()
		ctx := t.Context()
		r.charged(15 * time.Minute) // ¥22.50, and two fees of ¥24.00
		r.inTime()
		r.at(afterMarch)
		st := r.issued(time.March)
		st, err := r.ConfirmStatement(ctx, providerA, st.ID, st.Version)
		require.NoError(t, err)
		st, err = r.RecordFapiao(ctx, finance, st.ID, st.Version, sla.Fapiao{Number: "25322000000123456789", TaxPct: 6})
		require.NoError(t, err)
		_, err = r.SettleStatement(ctx, finance, st.ID, st.Version, sla.Settlement{How: how, Ref: "bank 1"})
		require.NoError(t, err)
		list, err := r.Transactions(ctx, finance, sla.TransactionFilter{Account: sla.Cash}, sla.TransactionPlace{}, 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "statement:"+st.ID.String()+":settlement", list[0].Key)
		var moved []sla.Fen
		for _, l := range list[0].Lines {
			if l.Account == sla.Cash {
				moved = append(moved, l.Fen)
			}
		}
		require.Equal(t, cash, moved, how)
		balances := r.balances()
		require.Equal(t, []sla.Fen{0, 0, 4800, 2250 - 4800},
			[]sla.Fen{balances[sla.ProviderPayable], balances[sla.ProviderReceivable], balances[sla.ServiceCost], balances[sla.Cash]})
		r.seal()
		r.clean()
		r.tamper(`UPDATE sla.ledger_entries SET account = 'cash' WHERE account = 'provider_payable' AND fen > 0`)
		check, err := r.CheckLedger(ctx)
		require.NoError(t, err)
		require.Contains(t, strings.Join(check.Findings, "\n"), "is settled with fees of 4800 fen, and the books owe its provider 4800 and settled 0")
	}
}
