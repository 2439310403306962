package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/internal/pg"
)

func TestVerifyNamesEveryDifference(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	code, _, errs := d.does("import", "history", d.file("old.csv", pastFile...), "--zone", "Asia/Shanghai")
	require.Zero(t, code, errs)
	code, out, errs := d.does("verify")
	require.Zero(t, code, errs)
	require.Contains(t, out, "promises    4 promises, 0 differences\n")
	require.True(t, strings.HasSuffix(out, "\n0 differences\n"), out)

	pool, err := pg.Open(context.Background(), d.url)
	require.NoError(t, err)
	_, err = pool.Exec(context.Background(), `UPDATE sla.guarantees SET late_us = late_us + 1 WHERE state = 'late'`)
	require.NoError(t, err)
	pool.Close()
	code, out, errs = d.does("verify")
	require.Equal(t, 1, code)
	require.Contains(t, out, "late: stored 11m11.000001s, must be 11m11s\n")
	require.Contains(t, out, "promises    4 promises, 2 differences\n")
	require.Contains(t, errs, "2 differences")

	code, _, errs = d.does("verify", "--kept", "7:abc")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "--kept 7:abc is not SEQ:HASH")
	code, out, _ = d.does("verify", "--kept", "7:"+strings.Repeat("ab", 32))
	require.Equal(t, 1, code)
	require.Contains(t, out, "link 7 was kept and is not there")
}
