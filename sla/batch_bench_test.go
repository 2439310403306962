package sla_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/sla"
)

// manyApproved makes n approved compensations, none of which is in the ledger.
func manyApproved(b testing.TB, r *rig, n int) {
	manyCompensations(b, r, n)
	// What each adds to the caps is counted in one row; a million times in one
	// transaction is not how compensations come.
	for _, sql := range []string{
		`ALTER TABLE sla.compensations DISABLE TRIGGER count_spent`,
		`UPDATE sla.compensations SET state = 'approved', approved_by = 'finance:lin', approved_why = 'looked at it'`,
		`ALTER TABLE sla.compensations ENABLE TRIGGER count_spent`,
		`INSERT INTO sla.spent SELECT policy, '', '-infinity', sum(fen) FROM sla.compensations GROUP BY policy`,
		`VACUUM ANALYZE sla.compensations`,
	} {
		conn, err := r.pool.Acquire(context.Background())
		require.NoError(b, err)
		_, err = conn.Exec(context.Background(), `SET statement_timeout = 0`)
		require.NoError(b, err)
		_, err = conn.Exec(context.Background(), sql)
		conn.Release()
		require.NoError(b, err, sql)
	}
}

// BenchmarkBatch takes a million compensations (ten thousand with -short) by
// one batch from approved to the payout's files: filled, sealed, approved,
// submitted, each payment posted, and written as CSV and XLSX. It tells the
// seconds of each, postings per second, and how much memory the process held.
func BenchmarkBatch(b *testing.B) {
	lines := 1_000_000
	if testing.Short() {
		lines = 10_000
	}
	way, err := sla.NewPayoutFile(b.TempDir())
	require.NoError(b, err)
	r := newRig(b)
	nobody := &stillPayer{}
	r.Service = sla.New(r.pool, sla.Config{Now: r.now, Payouts: []sla.Payout{nobody, way}})
	manyApproved(b, r, lines)
	b.ResetTimer()
	for b.Loop() {
		ctx := b.Context()
		timed := func(name string, do func()) {
			start := time.Now()
			mb := peak(do)
			b.ReportMetric(time.Since(start).Seconds(), name+"-s")
			b.ReportMetric(mb, name+"-MB")
		}
		batch, _, err := r.OpenBatch(ctx, finance, "a million", "bench")
		require.NoError(b, err)
		timed("fill", func() {
			for added, n := 0, sla.MostFilled; n == sla.MostFilled; added += n {
				batch, n, err = r.Fill(ctx, finance, batch.ID, sla.FillFilter{}, 0)
				require.NoError(b, err)
			}
		})
		require.EqualValues(b, lines, batch.Lines)
		timed("seal", func() { batch, err = r.Seal(ctx, finance, batch.ID, batch.Version) })
		require.NoError(b, err)
		timed("approve", func() { batch, err = r.ApproveBatch(ctx, finance2, batch.ID, batch.Version, "checked") })
		require.NoError(b, err)
		batch, err = r.Submit(ctx, finance2, batch.ID, batch.Version, "still")
		require.NoError(b, err)
		start := time.Now()
		timed("post", func() { _, err = r.PayOut(ctx) })
		require.NoError(b, err)
		b.ReportMetric(float64(lines)/time.Since(start).Seconds(), "postings/s")
		timed("export", func() { _, err = way.Send(ctx, nobody.order, sla.PayoutLines(ctx, r.Service, batch)) })
		require.NoError(b, err)
	}
}

// stillPayer keeps an order and sends nothing.
type stillPayer struct{ order sla.PayoutOrder }

func (*stillPayer) Name() string { return "still" }

func (p *stillPayer) Send(_ context.Context, order sla.PayoutOrder, _ iter.Seq2[sla.PayoutLine, error]) (string, error) {
	p.order = order
	return "kept", nil
}
