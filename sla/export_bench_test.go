package sla_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/sla"
)

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
		n, err := sla.ScanOnly(b.Context(), r.Service, sla.ExportCompensations, sla.ExportFilter{})
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
