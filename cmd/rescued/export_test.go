package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pgtest"
)

func TestExportCommand(t *testing.T) {
	t.Parallel()
	env := []string{"RESCUED_DATABASE_URL=" + pgtest.URL(t, migrations()...)}
	export := func(args ...string) (code int, said string) {
		var out, errs bytes.Buffer
		code = run(t.Context(), append([]string{"export"}, args...), env, &out, &errs)
		return code, out.String() + errs.String()
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "ledger.csv")
	code, said := export("ledger", "--out", file, "--from", "2026-02-01", "--to", "2026-03-01")
	require.Zero(t, code, said)
	require.Regexp(t, `^exp_\S+: 0 lines, ¥0\.00, sha256 [0-9a-f]{64}\n$`, said)
	body, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(body), "\uFEFFtransaction_id,line,key")
	require.Contains(t, string(body), "2026-02-01T00:00:00+08:00", "a day begins in the zone")

	code, said = export("compensations", "--no-bom", "--no-summary")
	require.Zero(t, code, said)
	require.Contains(t, said, "compensation_id,request_id,", "on standard output, with the account of it on the other")

	for want, args := range map[string][]string{
		"neither a day (2026-02-01) nor a moment":     {"ledger", "--from", "February"},
		"no time zone we know":                        {"ledger", "--from", "2026-02-01", "--zone", "Mars"},
		"state: does not narrow an export of ledger":  {"ledger", "--state", "paid"},
		"is not an identifier of the form cmp_":       {"ledger", "--compensation", "exp_1"},
		"to: must be later than from":                 {"ledger", "--from", "2026-02-02", "--to", "2026-02-01"},
		"There is no such statement":                  {"statement", "--statement", events.NewID[events.StatementID]().String()},
		`must be one of "compensations","guarantees"`: {"phones"},
	} {
		code, said := export(append(args, "--out", filepath.Join(dir, "refused.csv"))...)
		require.NotZero(t, code)
		require.Contains(t, said, want)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "what was refused leaves no file behind")
}
