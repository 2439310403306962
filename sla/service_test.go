package sla_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/internal/pgtest"
	"rescued/sla"
)

func TestAPromiseIsArmedAsItWasShown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id, partner := events.NewID[events.RequestID](), events.NewID[events.PartnerID]()
	ev := r.open(id, "county")
	ev.PartnerID = &partner
	// Shown under other words than the policy would use now: what was shown is kept.
	ev.Promise.Minutes, ev.Promise.DueAt = 50, opened.Add(50*time.Minute)
	r.must(ev, ev)

	g := r.standing(id).Guarantee
	require.Equal(t, sla.Armed, g.State)
	require.Equal(t, ev.Promise, g.Promise)
	require.Equal(t, ev.Promise.DueAt, g.Verdict.DueAt)
	require.Equal(t, partner, g.PartnerID)
	require.Equal(t, 1, r.count(id, events.GuaranteeArmed{}), "heard twice, armed once")
}

func TestPromiseWithoutPolicySaysSo(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, events.Migrations, sla.Migrations)
	s := sla.New(pool, sla.Config{Now: func() time.Time { return opened }})
	err := pg.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := s.Promise(t.Context(), tx, events.PromiseFacts{At: opened})
		return err
	})
	require.ErrorIs(t, err, sla.ErrNotInstalled)
}

func TestAnOpeningUnderAnUnknownPolicyIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ev := r.open(events.NewID[events.RequestID](), "urban")
	ev.Promise.PolicyVersion = 99
	err := r.tell(ev)
	require.ErrorIs(t, err, sla.ErrNoPolicy)
	require.False(t, pg.Transient(err), "it goes to the dead letters")
}

func TestPoliciesAreNeverEdited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	_, err := r.AddPolicy(ctx, admin, example(t))
	require.NoError(t, err, "the same again changes nothing")
	_, err = r.AddPolicy(ctx, admin, edit(t, func(doc map[string]any) { doc["grace_s"] = 60 }))
	require.ErrorIs(t, err, sla.ErrPolicyChanged)
	_, err = r.AddPolicy(ctx, operator, example(t))
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	for _, sql := range []string{
		`UPDATE sla.policies SET document = '{}'`, `DELETE FROM sla.policies`, `TRUNCATE sla.policies CASCADE`,
	} {
		_, err = r.pool.Exec(ctx, sql)
		require.True(t, pg.Violates(err, "never_changed"), "%s: %v", sql, err)
	}

	// A new version from a moment on: promises before it stay with the old one.
	r.inForce(edit(t, func(doc map[string]any) {
		doc["version"], doc["effective_from"] = 2, opened.Add(time.Hour).Format(time.RFC3339)
		doc["promises"] = doc["promises"].([]any)[1:]
	}))
	for at, want := range map[time.Time]int{opened: 1, opened.Add(time.Hour): 2} {
		require.NoError(t, pg.InTx(ctx, r.pool, func(tx pgx.Tx) error {
			p, err := r.Promise(ctx, tx, events.PromiseFacts{At: at, Tier: "county"})
			require.Equal(t, want, p.PolicyVersion)
			return err
		}))
	}
	list, err := r.Policies(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)
}

func TestALateArrivalAccruesAndIsBooked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.late(11*time.Minute + 11*time.Second)
	st := r.standing(id)
	require.Equal(t, sla.Late, st.Guarantee.State)
	require.Len(t, st.Compensations, 1)
	c := st.Compensations[0]
	require.Equal(t, sla.Accrued, c.State)
	require.Equal(t, sla.Fen(5000), c.Fen)
	require.Equal(t, st.Guarantee.Verdict.Reasons, c.Reasons)
	require.Equal(t, 1, r.count(id, events.CompensationAccrued{}))
	requireBalance(t, r, 5000)

	r.must(arrivedEvent(id, crewA, due.Add(11*time.Minute+11*time.Second)))
	require.Equal(t, st, r.standing(id), "the same fact in another event changes nothing")
}

func TestLateNewsRevisesTheVerdict(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.late(11 * time.Minute)
	r.must(arrivedEvent(id, crewA, due.Add(9*time.Minute))) // an earlier proof
	c := r.live(id)
	require.Equal(t, sla.Fen(2000), c.Fen)
	requireBalance(t, r, 2000)

	_, err := r.Approve(t.Context(), finance, c.ID, c.Version, "looked at the trail")
	require.NoError(t, err)
	r.must(releasedEvent(id, crewA, due.Add(12*time.Minute))) // the crew left: nobody has helped yet
	st := r.standing(id)
	require.Equal(t, sla.Armed, st.Guarantee.State)
	require.Zero(t, st.Guarantee.Verdict.Fen)
	require.Equal(t, sla.Compensation{}, r.live(id))
	requireBalance(t, r, 0)

	require.Equal(t, 1, r.sweep(due.Add(13*time.Minute)))
	require.Equal(t, sla.Breached, r.standing(id).Guarantee.State)
	r.must(arrivedEvent(id, crewB, due.Add(31*time.Minute)))
	require.Equal(t, sla.Fen(10000), r.live(id).Fen)
	requireBalance(t, r, 10000)

	r.must(arrivedEvent(id, crewC, due)) // somebody was there after all
	require.Equal(t, sla.Met, r.standing(id).Guarantee.State)
	require.Equal(t, sla.Compensation{}, r.live(id))
	requireBalance(t, r, 0)
	require.Len(t, r.standing(id).Compensations, 3, "every step stays readable")
}

func TestWhatFinanceVoidedStaysVoidForTheSameAmount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.late(9 * time.Minute)
	c := r.live(id)
	_, err := r.Void(t.Context(), finance, c.ID, c.Version, "settled by the partner")
	require.NoError(t, err)
	r.must(arrivedEvent(id, crewA, due.Add(8*time.Minute))) // earlier, in the same tier
	require.Equal(t, 8*time.Minute, r.standing(id).Guarantee.Verdict.Late)
	require.Equal(t, sla.Compensation{}, r.live(id))
	requireBalance(t, r, 0)
	r.must(releasedEvent(id, crewA, due.Add(9*time.Minute)), arrivedEvent(id, crewB, due.Add(12*time.Minute)))
	require.Equal(t, sla.Fen(5000), r.live(id).Fen, "another amount is another decision")
}

func TestMoneyThatLeftIsNeverTakenBackSilently(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.late(11 * time.Minute)
	c := r.live(id)
	_, err := r.Approve(t.Context(), finance, c.ID, c.Version, "ok")
	require.NoError(t, err)
	r.results(r.submitted(), nil)

	r.must(arrivedEvent(id, crewA, due.Add(time.Minute)))
	st := r.standing(id)
	require.Equal(t, sla.Fen(2000), st.Guarantee.Verdict.Fen)
	require.Equal(t, sla.Paid, r.live(id).State)
	require.Equal(t, sla.Fen(5000), r.live(id).Fen)
	require.Len(t, st.Differences, 1)
	require.Equal(t, sla.Fen(5000), st.Differences[0].PaidFen)
	require.Equal(t, sla.Fen(2000), st.Differences[0].OwedFen)

	r.must(arrivedEvent(id, crewA, due.Add(-time.Minute)))
	require.Len(t, r.standing(id).Differences, 1, "one open note, renewed")
	require.Zero(t, r.standing(id).Differences[0].OwedFen)

	r.must(releasedEvent(id, crewA, due.Add(20*time.Minute)), arrivedEvent(id, crewB, due.Add(25*time.Minute)))
	require.Empty(t, r.standing(id).Differences, "the verdicts agree again")
	require.Len(t, r.standing(id).Compensations, 1)
}

func TestNewsBeforeTheOpeningWaitsForIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := events.NewID[events.RequestID]()
	opening := r.open(id, "urban")
	r.must(arrivedEvent(id, crewA, due.Add(time.Minute)))
	_, err := r.Standing(t.Context(), operator, id)
	require.ErrorIs(t, err, sla.ErrNoGuarantee)
	r.must(opening)
	require.Equal(t, sla.Fen(2000), r.live(id).Fen)
}

func TestFinishingIsNoProofOfArrival(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"), asEvent(id, finished(crewA, due.Add(-5*time.Minute))))
	g := r.standing(id).Guarantee
	require.Equal(t, sla.Armed, g.State)
	require.Equal(t, sla.ReviewFinishedUnproven, g.Verdict.Review)
	list, err := r.Guarantees(t.Context(), operator, sla.GuaranteeFilter{Review: true}, sla.GuaranteePlace{}, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)

	decided := events.CrewArrived{RequestID: id, CrewID: crewA, ArrivedAt: due.Add(-30 * time.Minute), Source: "operator"}
	r.must(decided)
	g = r.standing(id).Guarantee
	require.Equal(t, sla.Met, g.State)
	require.Empty(t, g.Verdict.Review)
}

func TestAWaiverStands(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"))
	seen := r.standing(id).Guarantee.Version
	_, err := r.Waive(t.Context(), admin, id, seen, "a test")
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	_, err = r.Waive(t.Context(), operator, id, seen, " ")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	_, err = r.Waive(t.Context(), operator, id, seen+1, "a test")
	require.ErrorIs(t, err, sla.ErrStale)
	_, err = r.Waive(t.Context(), operator, id, seen, "a test")
	require.NoError(t, err)
	r.must(arrivedEvent(id, crewA, due.Add(time.Hour)))
	g := r.standing(id).Guarantee
	require.Equal(t, sla.Waived, g.State)
	require.Zero(t, r.sweep(due.Add(2*time.Hour)))
	require.Empty(t, r.standing(id).Compensations)
	_, err = r.Waive(t.Context(), operator, id, g.Version, "again")
	require.Equal(t, fault.Conflict, fault.KindOf(err))
}

func TestMoneyNeedsFinanceAReasonAndSometimesTwo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	c := r.live(r.late(time.Minute))
	for _, by := range []events.Actor{operator, admin, {Role: events.RoleOwner, Subject: "own"}} {
		_, err := r.Approve(ctx, by, c.ID, c.Version, "because")
		require.Equal(t, fault.Forbidden, fault.KindOf(err))
	}
	_, err := r.Approve(ctx, finance, c.ID, c.Version, "  ")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	_, err = r.Approve(ctx, finance, events.NewID[events.CompensationID](), 1, "because")
	require.ErrorIs(t, err, sla.ErrNoCompensation)
	_, err = r.Uphold(ctx, finance, c.ID, c.Version, "because")
	require.Equal(t, fault.Conflict, fault.KindOf(err))

	c, err = r.Approve(ctx, finance, c.ID, c.Version, "looked at it")
	require.NoError(t, err)
	c, err = r.Dispute(ctx, finance, c.ID, c.Version, "the plate does not match")
	require.NoError(t, err)
	require.Empty(t, c.ApprovedBy)
	_, err = r.Uphold(ctx, finance, c.ID, c.Version, "never mind")
	require.ErrorIs(t, err, sla.ErrFourEyes)
	_, err = r.Overturn(ctx, finance, c.ID, c.Version, "as I said")
	require.ErrorIs(t, err, sla.ErrFourEyes)
	upheld, err := r.Uphold(ctx, finance2, c.ID, c.Version, "it is the right car")
	require.NoError(t, err)
	require.Equal(t, sla.Approved, upheld.State)
	requireBalance(t, r, 2000)

	void, err := r.Void(ctx, finance2, c.ID, upheld.Version, "the owner gave it up")
	require.NoError(t, err)
	require.Equal(t, sla.Voided, void.State)
	requireBalance(t, r, 0)
	_, err = r.Void(ctx, finance2, c.ID, void.Version, "again")
	require.Equal(t, fault.Conflict, fault.KindOf(err))
}

func TestWhoSeesAPromise(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.late(time.Minute)
	_, err := r.Standing(t.Context(), events.Actor{Role: events.RoleOwner, Subject: "own"}, id)
	require.NoError(t, err)
	_, err = r.Standing(t.Context(), events.Actor{Role: events.RoleCrew, Subject: "crw"}, id)
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	_, err = r.Guarantees(t.Context(), events.Actor{Role: events.RolePartner, Subject: "ptn"}, sla.GuaranteeFilter{}, sla.GuaranteePlace{}, 10)
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	_, err = r.Compensations(t.Context(), operator, sla.CompensationFilter{}, sla.CompensationPlace{}, 10)
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	verdict, err := r.RequestVerdict(t.Context(), events.NewID[events.RequestID]())
	require.NoError(t, err)
	require.Nil(t, verdict)
}

func TestRunSweeps(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"))
	r.at(due.Add(time.Second))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	require.Eventually(t, func() bool { return r.standing(id).Guarantee.State == sla.Breached }, time.Minute, 20*time.Millisecond)
	stop()
	require.NoError(t, <-done)
}

// requireBalance checks that the ledger owes owners that much, has paid
// nothing, sums to zero, and passes its own check.
func requireBalance(t testing.TB, r *rig, owed sla.Fen) {
	t.Helper()
	balances, err := r.Balances(context.Background())
	require.NoError(t, err)
	require.Equal(t, map[sla.Account]sla.Fen{
		sla.OwnerPayable: -owed, sla.CompensationExpense: owed,
		sla.ProviderReceivable: 0, sla.PartnerShare: 0, sla.ServiceCost: 0, sla.ProviderPayable: 0, sla.PayoutClearing: 0, sla.Cash: 0,
	}, balances)
}

// TestAWarningRaisesTheAlarmOnce: what dispatch sees coming is an alarm long
// before the sweep has a reason for one, and the sweep does not repeat it.
