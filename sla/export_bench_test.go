package sla_test

import (
	"context"
	"io"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/sla"
)

// manyCompensations copies one late rescue n times, each with its guarantee.
func manyCompensations(b testing.TB, r *rig, n int) {
	first := r.late(11 * time.Minute)
	_, err := r.pool.Exec(context.Background(), `SET synchronous_commit = off`)
	require.NoError(b, err)
	for done := 0; done < n-1; {
		step := min(n-1-done, 50_000)
		_, err := r.pool.Exec(context.Background(), `
			WITH ids AS MATERIALIZED (
				SELECT gen_random_uuid() AS gid, gen_random_uuid() AS cid, gen_random_uuid() AS rid, $1::int + i AS i FROM generate_series(1, $2::int) AS i),
			g AS (INSERT INTO sla.guarantees SELECT copy.* FROM sla.guarantees one, ids,
				LATERAL jsonb_populate_record(one, jsonb_build_object('id', gid, 'request_id', rid)) AS copy WHERE one.request_id = $3)
			INSERT INTO sla.compensations SELECT copy.* FROM sla.compensations one, ids,
				LATERAL jsonb_populate_record(one, jsonb_build_object('id', cid, 'guarantee_id', gid, 'request_id', rid,
					'accrued_at', one.accrued_at + i * interval '1 ms')) AS copy WHERE one.request_id = $3`, done, step, first)
		require.NoError(b, err)
		done += step
	}
	_, err = r.pool.Exec(context.Background(), `VACUUM ANALYZE sla.compensations, sla.guarantees`)
	require.NoError(b, err)
}

// peak watches how much memory the process holds while do runs, in MB.
func peak(do func()) (mb float64) {
	stop, done := make(chan struct{}), make(chan struct{})
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	go func() {
		defer close(done)
		for {
			metrics.Read(sample)
			mb = max(mb, float64(sample[0].Value.Uint64()+sample[1].Value.Uint64())/1e6)
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	do()
	close(stop)
	<-done
	return mb
}

// BenchmarkExport writes a million compensations (ten thousand with -short),
// beside the floor: the same rows read and scanned, and nothing done with
// them.
func BenchmarkExport(b *testing.B) {
	r := newRig(b)
	lines := 1_000_000
	if testing.Short() {
		lines = 10_000
	}
	manyCompensations(b, r, lines)
	run := func(name string, do func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(peak(func() { do(b) }), "MB-peak")
			}
			b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
	run("floor", func(b *testing.B) {
		n, err := sla.ScanOnly(b.Context(), r.Service, sla.ExportCompensations)
		require.NoError(b, err)
		require.Equal(b, lines, n)
	})
	for _, format := range []sla.ExportFormat{sla.CSV, sla.XLSX} {
		run(string(format), func(b *testing.B) {
			x, err := r.Export(b.Context(), finance, sla.ExportOrder{What: sla.ExportCompensations, Format: format}, io.Discard)
			require.NoError(b, err)
			require.EqualValues(b, lines, x.Lines)
		})
	}
}
