package sla_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

// TestTwoBatchesNeverTakeOneCompensation fills and adds to four drafts at
// once, while others dispute and void what is being taken.
func TestTwoBatchesNeverTakeOneCompensation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	list := r.approved(24)
	drafts := make([]sla.Batch, 4)
	for i := range drafts {
		drafts[i] = r.draft()
	}
	var group errgroup.Group
	for i, d := range drafts {
		group.Go(func() error {
			for _, c := range list[i*3 : i*3+12] {
				_, err := r.AddLine(ctx, finance, d.ID, c.ID)
				if err != nil && fault.KindOf(err) != fault.Conflict {
					return err
				}
			}
			_, _, err := r.Fill(ctx, finance, d.ID, sla.FillFilter{}, 5)
			return err
		})
	}
	group.Go(func() error {
		for _, c := range list {
			if _, err := r.Void(ctx, finance2, c.ID, c.Version, "given up"); err != nil && fault.KindOf(err) != fault.Stale {
				return err
			}
		}
		return nil
	})
	require.NoError(t, group.Wait())
	seen := map[events.CompensationID]bool{}
	for _, d := range drafts {
		for _, l := range r.lines(d.ID) {
			require.False(t, seen[l.CompensationID])
			seen[l.CompensationID] = true
		}
	}
	for _, c := range list {
		now, err := r.Compensation(ctx, finance, c.ID)
		require.NoError(t, err)
		require.Equal(t, seen[c.ID], now.State == sla.Batched, "%s is %s", c.ID, now.State)
	}
	r.clean()
}

// TestOneOfManyApprovesABatch has six people approve, reject and submit at
// one moment: one decision stands.
func TestOneOfManyApprovesABatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.approved(2)
	b := r.sealed()
	var done atomic.Int32
	var group errgroup.Group
	for n := range 6 {
		group.Go(func() error {
			by := events.Actor{Role: events.RoleFinance, Subject: fmt.Sprintf("f%d", n)}
			decide := r.ApproveBatch
			if n%3 == 2 {
				decide = r.RejectBatch
			}
			switch _, err := decide(context.Background(), by, b.ID, b.Version, "looked at it"); {
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
	r.clean()
}

// TestManyReplicasPayOnce has four replicas post, send and record the same
// batch at once, each result file in four hands.
func TestManyReplicasPayOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	r.approved(9)
	b := r.sealed()
	b, err := r.ApproveBatch(ctx, finance2, b.ID, b.Version, "checked")
	require.NoError(t, err)
	var submitted atomic.Int32
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			if _, err := r.Submit(ctx, finance, b.ID, b.Version, ""); err == nil {
				submitted.Add(1)
			} else if !errors.Is(err, sla.ErrStale) {
				return err
			}
			_, err := r.PayOut(ctx)
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, submitted.Load())
	_, err = r.PayOut(ctx) // should each have looked before the submission
	require.NoError(t, err)
	booked(t, r, 0, b.Total, 0)

	in := r.told(b.ID, func(i int) bool { return i == 2 })
	var fresh atomic.Int32
	for range 4 {
		group.Go(func() error {
			_, hit, err := r.Record(ctx, finance, b.ID, in)
			if err == nil && !hit {
				fresh.Add(1)
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, fresh.Load())
	b, err = r.Batch(ctx, finance, b.ID)
	require.NoError(t, err)
	booked(t, r, b.Bounced.Fen, 0, b.Paid.Fen)
	for reference, n := range r.bank.paid {
		require.Equal(t, 1, n, reference)
	}
}
