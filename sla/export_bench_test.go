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
// Identifiers grow with time, as those of version 7 do.
func manyCompensations(b testing.TB, r *rig, n int) {
	r.late(11 * time.Minute)
	ctx := context.Background()
	conn, err := r.pool.Acquire(ctx)
	require.NoError(b, err)
	defer conn.Release()
	run := func(sql string, args ...any) {
		_, err := conn.Exec(ctx, sql, args...)
		require.NoError(b, err)
	}
	run(`SET statement_timeout = 0`)
	run(`CREATE TEMP TABLE one_g AS SELECT * FROM sla.guarantees LIMIT 1`)
	run(`CREATE TEMP TABLE one_c AS SELECT * FROM sla.compensations LIMIT 1`)
	run(`CREATE TEMP TABLE g (LIKE sla.guarantees)`)
	run(`CREATE TEMP TABLE c (LIKE sla.compensations)`)
	run(`CREATE TEMP SEQUENCE nth`)
	const id = `('01990000-0000-7' || $1 || '-8000-' || lpad(to_hex(nextval('nth')), 12, '0'))::uuid`
	for done := 0; done < n-1; {
		step := min(n-1-done, 50_000)
		run(`TRUNCATE g, c`)
		for table, kind := range map[string]string{"g": "001", "c": "002"} {
			run(`INSERT INTO `+table+` SELECT one.* FROM one_`+table+` one, generate_series(1, $1)`, step)
			run(`SELECT setval('nth', $1)`, done+1)
			run(`UPDATE `+table+` SET id = `+id, kind)
		}
		run(`SELECT setval('nth', $1)`, done+1)
		run(`UPDATE g SET request_id = `+id, "003")
		run(`UPDATE c SET guarantee_id = replace(id::text, '-7002-', '-7001-')::uuid, request_id = replace(id::text, '-7002-', '-7003-')::uuid,
			accrued_at = accrued_at + ('x' || right(id::text, 12))::bit(48)::bigint * interval '1 ms'`)
		run(`INSERT INTO sla.guarantees SELECT * FROM g ORDER BY id`)
		run(`INSERT INTO sla.compensations SELECT * FROM c ORDER BY id`)
		done += step
	}
	run(`VACUUM ANALYZE sla.compensations, sla.guarantees`)
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
