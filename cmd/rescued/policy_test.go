package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/sla"
)

const policies = "../../sla/policies/"

func TestPolicyCheck(t *testing.T) {
	t.Parallel()
	d := desk{t, "", t.TempDir()}
	files, err := filepath.Glob(policies + "*.json")
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, file := range files {
		code, out, errs := d.does("policy", "check", file)
		require.Zero(t, code, errs)
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		require.Contains(t, out, name+" version 1 is valid: Example: ")
		document, err := os.ReadFile(file)
		require.NoError(t, err)
		code, out, errs = d.does("policy", "example", name)
		require.Zero(t, code, errs)
		require.Equal(t, string(document), out, "the binary ships it")
	}
	code, out, errs := d.does("policy", "check", "../../sla/testdata/policy-wrong-everywhere.json")
	require.Equal(t, 1, code)
	require.Empty(t, out)
	for _, line := range []string{
		"  title.fr: is not a field of a policy; correct or remove it\n",
		"  compensation.floor_fen: is above ceiling_fen (10)\n",
		"  and 4 more\n",
	} {
		require.Contains(t, errs, line)
	}
	code, _, errs = d.does("policy", "check", d.file("no.json", `{"name": `))
	require.Equal(t, 1, code)
	require.Contains(t, errs, "ends before the document is complete")
}

func TestPolicySchema(t *testing.T) {
	t.Parallel()
	code, out, errs := desk{t, "", ""}.does("policy", "schema")
	require.Zero(t, code, errs)
	require.True(t, json.Valid([]byte(out)))
	require.Equal(t, string(sla.PolicySchema()), out)
}

func TestPolicyTrial(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	code, _, errs := d.does("import", "history", d.file("old.csv", pastFile...), "--zone", "Asia/Shanghai")
	require.Zero(t, code, errs)
	period := []string{"--from", "2016-02-24", "--to", "2016-02-25"}

	code, out, errs := d.does(append([]string{"policy", "trial", policies + "example-45.json"}, period...)...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "example-45 version 1 over 4 rescues; nothing is stored\n")
	require.Contains(t, squeezed(out), "330100 4 2 2 0 0 ¥100.00 ¥100.00 ¥0.00\n")

	table, rescues := filepath.Join(d.dir, "table.csv"), filepath.Join(d.dir, "rescues.csv")
	code, out, errs = d.does(append([]string{"policy", "trial", policies + "example-per-minute.json", "--csv", table, "--rescues", rescues}, period...)...)
	require.Zero(t, code, errs)
	// The clock starts five minutes later. One is 6 min 11 s late and pays ¥9.00,
	// the other was called off ten minutes late, for a fixed ¥30.00.
	require.Contains(t, squeezed(out), "total 4 2 2 0 0 ¥100.00 ¥39.00 -¥61.00\n")
	text, err := os.ReadFile(table)
	require.NoError(t, err)
	require.Equal(t, "city,rescues,late_now,late_trial,excused_now,excused_trial,owed_now_fen,owed_trial_fen,difference_fen,over_budget\n"+
		"330100,4,2,2,0,0,10000,3900,-6100,0\ntotal,4,2,2,0,0,10000,3900,-6100,0\n", string(text))
	text, err = os.ReadFile(rescues)
	require.NoError(t, err)
	require.Equal(t, 5, strings.Count(string(text), "\n"))
	require.Contains(t, string(text), ",330100,2016-02-24T00:00:00Z,example-45,45,late,671,,5000,urban,45,late,371,,900,-4100\n")

	code, _, errs = d.does("policy", "trial", policies+"example-45.json", "--from", "2016-02-25", "--to", "2016-02-24")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "to: must be later than from")
	require.Zero(t, d.number(`SELECT count(*) FROM sla.policies WHERE name <> 'example-45'`), "a trial stores nothing")
}

// squeezed is a table with one space between its columns.
func squeezed(table string) string {
	lines := strings.Split(table, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return strings.Join(lines, "\n")
}
