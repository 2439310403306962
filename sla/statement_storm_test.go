package sla_test

import (
	"errors"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

// TestStatementsHoldWhateverIsDone lets three clients at a time do whatever
// they may do with compensations, charges and statements over four months, by
// chance. Each command is done or refused, never half done; the check of the
// ledger finds nothing; and in the end what provider and partner owe is exactly
// what their open statements say.
func TestStatementsHoldWhateverIsDone(t *testing.T) {
	t.Parallel()
	for seed := range int64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.shared()
			for i := range 10 {
				c := r.live(r.lateBy(time.Duration(5+3*i) * time.Minute))
				if i%2 == 0 {
					_, err := r.Approve(t.Context(), finance, c.ID, c.Version, "seen")
					require.NoError(t, err)
				}
			}
			for month := time.April; month <= time.July; month++ {
				r.at(time.Date(2026, month, 2, 2, 0, 0, 0, time.UTC))
				var group errgroup.Group
				for client := range int64(3) {
					chance := rand.New(rand.NewSource(seed<<16 | int64(month)<<8 | client))
					group.Go(func() error {
						for range 30 {
							if err := r.anything(chance, month-1); err != nil && fault.KindOf(err) == fault.Internal {
								return err
							}
						}
						return nil
					})
				}
				require.NoError(t, group.Wait())
				r.seal()
				r.clean()
			}
			// The next month lists what is left over: then every charge that
			// stands is on a statement, and every credit as well.
			r.at(time.Date(2026, time.September, 1, 2, 0, 0, 0, time.UTC))
			for of, account := range map[sla.Counterparty]sla.Account{sla.ProviderOf(provA): sla.ProviderReceivable, sla.PartnerOf(partner): sla.PartnerShare} {
				if _, err := r.DraftStatement(t.Context(), finance, of, 2026, time.August); !errors.Is(err, sla.ErrNothingToState) {
					require.NoError(t, err)
				}
				var live, stated, open sla.Fen
				for _, b := range r.chargebacks(finance, sla.ChargebackFilter{Bearer: of.Bearer, State: sla.Charged}) {
					live += b.Fen
				}
				list, err := r.Statements(t.Context(), finance, sla.StatementFilter{Of: of}, sla.StatementPlace{}, 100)
				require.NoError(t, err)
				for _, st := range list {
					if st.State != sla.StatementDiscarded {
						stated += st.Charges
					}
					if st.State != sla.StatementDiscarded && st.State != sla.StatementSettled {
						open += st.Charges
					}
				}
				t.Logf("%s: %d statements, charges that stand %s, not settled %s", of.Bearer, len(list), live, open)
				require.Equal(t, live, stated, "what stands was stated once")
				require.Equal(t, r.balances()[account], open, "what is owed is what is not settled")
			}
			r.seal()
			r.clean()
		})
	}
}

// anything does one thing by chance; most things are refused, being stale or
// out of turn.
func (r *rig) anything(chance *rand.Rand, month time.Month) error {
	ctx := r.t.Context()
	list, err := r.Compensations(ctx, finance, sla.CompensationFilter{}, sla.CompensationPlace{}, 100)
	if err != nil {
		return err
	}
	c := list[chance.Intn(len(list))]
	statements, err := r.Statements(ctx, finance, sla.StatementFilter{}, sla.StatementPlace{}, 100)
	if err != nil {
		return err
	}
	who := []events.Actor{finance, finance2}[chance.Intn(2)]
	what := chance.Intn(16)
	if what < 6 || len(statements) == 0 {
		switch what {
		case 0:
			_, err = r.Approve(ctx, who, c.ID, c.Version, "by chance")
		case 1:
			_, err = r.Dispute(ctx, who, c.ID, c.Version, "by chance")
		case 2:
			_, err = r.Uphold(ctx, who, c.ID, c.Version, "by chance")
		case 3:
			_, err = r.Overturn(ctx, who, c.ID, c.Version, "by chance")
		case 4:
			if chance.Intn(3) == 0 {
				_, err = r.Void(ctx, who, c.ID, c.Version, "by chance")
			}
		default:
			_, err = r.DraftStatement(ctx, who, []sla.Counterparty{sla.ProviderOf(provA), sla.PartnerOf(partner)}[chance.Intn(2)], 2026, month)
		}
		return err
	}
	st := statements[chance.Intn(len(statements))]
	they, line := providerA, 1+chance.Intn(25)
	if st.Of.Bearer == sla.BearerPartner {
		they = partnerA
	}
	if charges, err := r.StatementLines(ctx, finance, st.ID, sla.ItemFilter{Kind: sla.ItemCharge}, 0, 100); err == nil && len(charges) > 0 {
		line = charges[chance.Intn(len(charges))].No
	}
	switch what {
	case 6, 7:
		_, err = r.IssueStatement(ctx, who, st.ID, st.Version)
	case 8:
		_, err = r.DiscardStatement(ctx, who, st.ID, st.Version, "by chance")
	case 9, 10:
		_, err = r.DisputeLine(ctx, they, st.ID, line, st.Version, "by chance")
	case 11:
		_, err = r.UpholdLine(ctx, who, st.ID, line, st.Version, "by chance")
	case 12:
		_, err = r.OverturnLine(ctx, who, st.ID, line, st.Version, "by chance")
	case 13:
		_, err = r.ConfirmStatement(ctx, they, st.ID, st.Version)
	case 14:
		_, err = r.RecordFapiao(ctx, who, st.ID, st.Version, sla.Fapiao{Number: fmt.Sprintf("%020d", chance.Int63()), TaxPct: 6})
	case 15:
		_, err = r.SettleStatement(ctx, who, st.ID, st.Version, sla.Settlement{How: sla.SettledPaid, Ref: "by chance"})
	}
	return err
}
