package sla_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/sla"
)

// TestACrashBetweenSendingAndRecording loses the answer of the other side,
// twice, and pays nobody twice.
func TestACrashBetweenSendingAndRecording(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.approved(3)
	r.bank.fail = func(n int) error {
		if n < 3 {
			return errors.New("connection reset")
		}
		return nil
	}
	b := r.sealed()
	b, err := r.ApproveBatch(ctx, finance2, b.ID, b.Version, "checked")
	require.NoError(t, err)
	b, err = r.Submit(ctx, finance, b.ID, b.Version, "")
	require.NoError(t, err)
	for n, wait := range []time.Duration{0, 30 * time.Second, time.Minute} {
		r.at(r.now().Add(wait - time.Microsecond))
		if wait > 0 {
			handed, err := r.PayOut(ctx)
			require.NoError(t, err)
			require.Zero(t, handed, "not before its time")
		}
		r.at(r.now().Add(time.Microsecond))
		handed, err := r.PayOut(ctx)
		if n < 2 {
			require.ErrorContains(t, err, "connection reset")
			require.Zero(t, handed)
		} else {
			require.NoError(t, err)
			require.Equal(t, 1, handed)
		}
	}
	require.Equal(t, 3, r.bank.sent)
	require.Len(t, r.bank.orders, 1, "one key")
	for reference, n := range r.bank.paid {
		require.Equal(t, 1, n, reference)
	}
	booked(t, r, 0, 17000, 0)
	p, err := r.PayoutOf(ctx, finance, b.ID)
	require.NoError(t, err)
	require.Equal(t, 3, p.Attempts)
	require.Empty(t, p.Failure)
}

// TestAPayoutThatFailsWaitsForAPerson gives up after a bounded number of
// tries, and at once when told that trying is of no use.
func TestAPayoutThatFailsWaitsForAPerson(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failure error
		tries   int
	}{
		"away":    {errors.New("no route to host"), 8},
		"refused": {sla.ErrPayoutRefused.Detailf("Unknown key."), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			ctx := t.Context()
			r.approved(1)
			r.bank.fail = func(int) error { return c.failure }
			b := r.sealed()
			b, err := r.ApproveBatch(ctx, finance2, b.ID, b.Version, "checked")
			require.NoError(t, err)
			b, err = r.Submit(ctx, finance, b.ID, b.Version, "")
			require.NoError(t, err)
			for range 20 {
				r.at(r.now().Add(time.Hour))
				_, _ = r.PayOut(ctx)
			}
			require.Equal(t, c.tries, r.bank.sent)
			p, err := r.PayoutOf(ctx, finance, b.ID)
			require.NoError(t, err)
			require.Equal(t, sla.PayoutFailed, p.State)
			require.NotEmpty(t, p.Failure)

			r.bank.fail = nil
			b, err = r.Batch(ctx, finance, b.ID)
			require.NoError(t, err)
			b, err = r.Resend(ctx, finance, b.ID, b.Version, "the line is mended")
			require.NoError(t, err)
			_, err = r.Resend(ctx, finance, b.ID, b.Version, "and again")
			require.ErrorIs(t, err, sla.ErrNotFailed)
			handed, err := r.PayOut(ctx)
			require.NoError(t, err)
			require.Equal(t, 1, handed)
			require.Len(t, r.bank.orders, 1)
			r.results(b, nil)
			booked(t, r, 0, 0, 2000)
		})
	}
}
