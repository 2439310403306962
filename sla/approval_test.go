package sla_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/sla"
)

// under puts another version of the policy in force.
func (r *rig) under(change func(doc map[string]any)) {
	r.t.Helper()
	r.inForce(edit(r.t, func(doc map[string]any) {
		doc["version"], doc["effective_from"] = 2, opened.Add(-time.Hour).Format(time.RFC3339)
		change(doc)
	}))
}

func queuedFor(c sla.Compensation) (codes []string) {
	for _, why := range c.Queued {
		codes = append(codes, why.Code)
	}
	return codes
}

func TestThePolicyApprovesWithinItsLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.under(func(doc map[string]any) {
		doc["approval"] = map[string]any{"auto_up_to_fen": 2000, "four_eyes_over_fen": 5000}
	})
	id := r.late(time.Minute)
	c := r.live(id)
	require.Equal(t, sla.Approved, c.State)
	require.Equal(t, "system:policy", c.ApprovedBy)
	require.Contains(t, c.ApprovedWhy, "Approved by policy example-45 version 2: ¥20.00 is within its limit of ¥20.00")
	require.Contains(t, c.ApprovedWhy, "政策 example-45 第 2 版自动批准")
	require.Empty(t, c.Queued)
	require.Equal(t, 1, r.count(id, events.CompensationChanged{}))

	c = r.live(r.late(11 * time.Minute))
	require.Equal(t, sla.Accrued, c.State)
	require.Equal(t, []string{"over_auto_limit"}, queuedFor(c))
	require.Equal(t, 1, c.Approvers)

	c = r.live(r.late(50 * time.Minute))
	require.Equal(t, []string{"four_eyes"}, queuedFor(c))
	require.Equal(t, 2, c.Approvers)
	for _, why := range c.Queued {
		require.NotEmpty(t, why.ZH)
		require.NotEmpty(t, why.EN)
	}

	// Another verdict takes the approved one back, and the new one is weighed anew.
	r.must(arrivedEvent(id, crewA, due.Add(30*time.Second)))
	c = r.live(id)
	require.Equal(t, sla.Approved, c.State, "the same tier, so the same compensation")
	r.must(releasedEvent(id, crewA, due.Add(2*time.Minute)), arrivedEvent(id, crewB, due.Add(20*time.Minute)))
	require.Equal(t, sla.Accrued, r.live(id).State)
}

func TestWithoutALimitFinanceLooksAtEach(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.live(r.late(time.Minute))
	require.Equal(t, sla.Accrued, c.State)
	require.Equal(t, []string{"no_auto_limit"}, queuedFor(c))
	require.Equal(t, "system:sla", c.PreparedBy)
	require.Equal(t, "2026-03", c.Month.Format("2006-01"))
}

func TestAboveTheFourEyesLimitTwoApprove(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	finance3 := events.Actor{Role: events.RoleFinance, Subject: "wu"}
	r.under(func(doc map[string]any) { doc["approval"] = map[string]any{"four_eyes_over_fen": 1999} })
	c := r.live(r.late(time.Minute))

	first, err := r.Approve(ctx, finance, c.ID, c.Version, "the trail is clear")
	require.NoError(t, err)
	require.Equal(t, sla.Accrued, first.State, "recorded, not complete")
	require.Equal(t, "finance:lin", first.FirstApprovedBy)
	_, err = r.Approve(ctx, finance2, c.ID, c.Version, "so I think")
	require.ErrorIs(t, err, sla.ErrStale, "the second decides on what the first left")
	_, err = r.Approve(ctx, finance, c.ID, first.Version, "once more")
	require.ErrorIs(t, err, sla.ErrSecondApprover)
	both, err := r.Approve(ctx, finance2, c.ID, first.Version, "so I think")
	require.NoError(t, err)
	require.Equal(t, sla.Approved, both.State)
	require.Equal(t, "finance:zhou", both.ApprovedBy)

	// A dispute undoes both, and whoever raised it is neither of the next two.
	disputed, err := r.Dispute(ctx, finance3, c.ID, both.Version, "another car")
	require.NoError(t, err)
	require.Empty(t, disputed.FirstApprovedBy)
	_, err = r.Uphold(ctx, finance3, c.ID, disputed.Version, "no matter")
	require.ErrorIs(t, err, sla.ErrFourEyes)
	half, err := r.Uphold(ctx, finance, c.ID, disputed.Version, "the right car")
	require.NoError(t, err)
	require.Equal(t, sla.Disputed, half.State)
	_, err = r.Uphold(ctx, finance, c.ID, half.Version, "the right car")
	require.ErrorIs(t, err, sla.ErrSecondApprover)
	whole, err := r.Uphold(ctx, finance2, c.ID, half.Version, "the right car")
	require.NoError(t, err)
	require.Equal(t, sla.Approved, whole.State)
	requireBalance(t, r, 2000)
}

// TestTheDatabaseKnowsWhoMayNotApprove goes past the service: the rules about
// persons are the database's.
func TestTheDatabaseKnowsWhoMayNotApprove(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.under(func(doc map[string]any) { doc["approval"] = map[string]any{"four_eyes_over_fen": 4999} })
	small, large := r.live(r.late(time.Minute)), r.live(r.late(11*time.Minute))
	approve := func(id events.CompensationID, set string) error {
		_, err := r.pool.Exec(t.Context(), `UPDATE sla.compensations SET state = 'approved', approved_why = 'x', `+set+` WHERE id = $1`, id)
		return err
	}
	for set, constraint := range map[string]string{
		`approved_by = ''`:          "approved_by_somebody",
		`approved_by = prepared_by`: "approver_is_not_preparer",
		`approved_by = 'finance:x'`: "two_approvers",
		`approved_by = 'finance:x', first_approved_by = 'finance:x', first_approved_why = 'x'`:  "two_approvers",
		`approved_by = 'finance:x', first_approved_by = 'system:sla', first_approved_why = 'x'`: "approver_is_not_preparer",
		`approved_by = 'finance:x', first_approved_by = 'finance:y'`:                            "first_approval_says_why",
		`approved_by = 'finance:x', approvers = 1`:                                              "amount_never_changes",
		`approved_by = 'finance:x', fen = 1`:                                                    "amount_never_changes",
	} {
		err := approve(large.ID, set)
		require.True(t, pg.Violates(err, constraint), "%s: %v", set, err)
	}
	require.NoError(t, approve(small.ID, `approved_by = 'finance:x'`))
	require.NoError(t, approve(large.ID, `approved_by = 'finance:x', first_approved_by = 'finance:y', first_approved_why = 'x'`))
}

// TestTheBudgetIsSpentToTheFen lets many rescues come late at once under a
// budget that bears half of them. Half are approved, half wait with the
// reason, whichever hand was first; none is lost.
func TestTheBudgetIsSpentToTheFen(t *testing.T) {
	t.Parallel()
	const requests, hands = 24, 4
	r := newRig(t)
	r.under(func(doc map[string]any) {
		doc["approval"] = map[string]any{"auto_up_to_fen": 5000}
		doc["caps"] = map[string]any{"budget_fen": requests / 2 * 2000}
	})
	opening := r.open(events.NewID[events.RequestID](), "urban")
	ids := make([]events.RequestID, requests)
	var group errgroup.Group
	group.SetLimit(hands)
	for i := range ids {
		ids[i] = events.NewID[events.RequestID]()
		group.Go(func() error {
			mine := opening
			mine.RequestID = ids[i]
			return errors.Join(r.tell(mine), r.tell(arrivedEvent(ids[i], crewA, due.Add(time.Minute))))
		})
	}
	require.NoError(t, group.Wait())
	approved := 0
	var waiting sla.Compensation
	for _, id := range ids {
		switch c := r.live(id); c.State {
		case sla.Approved:
			approved++
		case sla.Accrued:
			require.Equal(t, []string{"budget_spent"}, queuedFor(c))
			waiting = c
		}
	}
	require.Equal(t, requests/2, approved)
	requireBalance(t, r, requests*2000)
	require.EqualValues(t, requests/2*2000, r.spent("example-45", ""))

	// Finance may go beyond; a void one gives its part back.
	done, err := r.Approve(t.Context(), finance, waiting.ID, waiting.Version, "from the reserve")
	require.NoError(t, err)
	require.EqualValues(t, (requests/2+1)*2000, r.spent("example-45", ""))
	_, err = r.Void(t.Context(), finance, done.ID, done.Version, "given up")
	require.NoError(t, err)
	require.EqualValues(t, requests/2*2000, r.spent("example-45", ""))
}

// spent is what the books of the caps say of a policy and a car.
func (r *rig) spent(policy, vehicle string) (fen int64) {
	r.t.Helper()
	require.NoError(r.t, r.pool.QueryRow(context.Background(),
		`SELECT coalesce(sum(fen), 0) FROM sla.spent WHERE policy = $1 AND vehicle = $2`, policy, vehicle).Scan(&fen))
	return fen
}

func TestOneCarHasAMonth(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.under(func(doc map[string]any) {
		doc["approval"] = map[string]any{"auto_up_to_fen": 5000}
		doc["caps"] = map[string]any{"per_vehicle_month_fen": 5000}
	})
	rescue := func(vehicle string, month time.Month) sla.Compensation {
		id := events.NewID[events.RequestID]()
		ev := r.open(id, "urban")
		ev.VehicleKey = vehicle
		ev.OpenedAt = time.Date(2026, month, 2, 7, 12, 0, 0, time.UTC)
		ev.Promise.DueAt = ev.OpenedAt.Add(45 * time.Minute)
		r.must(ev, arrivedEvent(id, crewA, ev.Promise.DueAt.Add(time.Minute)))
		return r.live(id)
	}
	require.Equal(t, sla.Approved, rescue("car-a", time.March).State)
	require.Equal(t, sla.Approved, rescue("car-a", time.March).State)
	third := rescue("car-a", time.March)
	require.Equal(t, sla.Fen(1000), third.Fen, "what its month has left")
	require.Equal(t, sla.Approved, third.State)
	require.Equal(t, "capped_per_vehicle_month", third.Reasons[len(third.Reasons)-1].Code)
	require.EqualValues(t, -1000, third.Reasons[len(third.Reasons)-1].Fen)
	require.Zero(t, rescue("car-a", time.March).Fen, "its month is used up")
	require.Equal(t, sla.Approved, rescue("car-b", time.March).State, "another car")
	require.Equal(t, sla.Approved, rescue("car-a", time.April).State, "another month")
	require.Equal(t, sla.Approved, rescue("", time.March).State, "a car nobody told of")
}

// TestTwoApproversAtOnce has many people give the first approval at one
// moment: one counts, and the second comes from another who saw it.
func TestTwoApproversAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.under(func(doc map[string]any) { doc["approval"] = map[string]any{"four_eyes_over_fen": 1000} })
	c := r.live(r.late(time.Minute))
	for round := range 2 {
		var done atomic.Int32
		seen := c.Version
		var group errgroup.Group
		for n := range 6 {
			group.Go(func() error {
				by := events.Actor{Role: events.RoleFinance, Subject: fmt.Sprintf("f%d-%d", round, n)}
				switch _, err := r.Approve(context.Background(), by, c.ID, seen, "looked at it"); {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, sla.ErrStale):
					return err
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		require.EqualValues(t, 1, done.Load())
		c = r.live(c.RequestID)
	}
	require.Equal(t, sla.Approved, c.State)
	require.NotEqual(t, c.FirstApprovedBy, c.ApprovedBy)
}

// TestNoPolicyApprovesWhatWasImported: however small it is, finance looks at
// it, and whoever brought it in is not who approves it.
func TestNoPolicyApprovesWhatWasImported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.under(func(doc map[string]any) {
		doc["approval"] = map[string]any{"auto_up_to_fen": 5000}
		delete(doc, "effective_from")
	})
	spec := pastSpec(true)
	spec.PolicyVersion = 2
	imp := r.bringIn(spec, pastRescue("late", 50))
	_, err := r.ApproveImport(ctx, finance, imp.ID, imp.Version, "the run of February")
	require.NoError(t, err)
	_, err = r.AccrueImports(ctx, 10)
	require.NoError(t, err)
	list, err := r.Compensations(ctx, finance, sla.CompensationFilter{}, sla.CompensationPlace{}, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	c := list[0]
	require.Equal(t, imp.ID, c.ImportID)
	require.Equal(t, sla.Accrued, c.State)
	require.Equal(t, []string{"imported"}, queuedFor(c))
	require.Equal(t, imp.PreparedBy, c.PreparedBy)
	preparer, err := events.ParseActor(c.PreparedBy)
	require.NoError(t, err)
	preparer.Role = events.RoleFinance
	_, err = r.Approve(ctx, preparer, c.ID, c.Version, "my own")
	require.ErrorIs(t, err, sla.ErrPreparer)
	_, err = r.Approve(ctx, finance, c.ID, c.Version, "seen")
	require.NoError(t, err)
}
