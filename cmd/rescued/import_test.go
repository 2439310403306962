package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/internal/pg"
	"rescued/internal/pgtest"
	"rescued/sla"
)

// desk runs commands on a database of its own.
type desk struct {
	*testing.T
	url, dir string
}

func newDesk(t *testing.T) desk {
	return desk{t, pgtest.URL(t, migrations()...), t.TempDir()}
}

// file writes a file of lines.
func (d desk) file(name string, lines ...string) string {
	d.Helper()
	path := filepath.Join(d.dir, name)
	text := []byte(strings.Join(lines, "\n") + "\n")
	if strings.HasSuffix(name, ".gz") {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, err := z.Write(text)
		require.NoError(d, err)
		require.NoError(d, z.Close())
		text = packed.Bytes()
	}
	require.NoError(d, os.WriteFile(path, text, 0o600))
	return path
}

// does runs a command and gives its exit code and what it printed.
func (d desk) does(args ...string) (code int, stdout, stderr string) {
	d.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, []string{"RESCUED_DATABASE_URL=" + d.url}, &out, &errs)
	return code, out.String(), errs.String()
}

func (d desk) number(sql string) (n int64) {
	d.Helper()
	pool, err := pg.Open(context.Background(), d.url)
	require.NoError(d, err)
	defer pool.Close()
	require.NoError(d, pool.QueryRow(context.Background(), sql).Scan(&n))
	return n
}

var pastFile = []string{
	"\ufeffreference,called_at,lat,lng,datum,area,problem,kind,arrived_at,arrival_source,cancelled_at,policy,plate,mood",
	`R-1,2016-02-24 08:00,30.2741,120.1551,wgs84,,tyre,flat,2016-02-24 08:44:59,gps,,,浙A12345,calm`,
	`R-2,2016-02-24T08:00:00+08:00,30.2717,120.1598,gcj02,,,,2016-02-24T08:56:11+08:00,operator,,,,`,
	`R-3,2016-02-24 08:00,,,,330100,,,,,2016-02-24 09:00,,,`,
	`R-4,2016-02-24 08:00,,,,330100,,,,,,example-45/1,,`,
}

func TestAGeneralHistoryIsImported(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	args := []string{"import", "history", d.file("old.csv.gz", pastFile...), "--zone", "Asia/Shanghai"}

	code, out, errs := d.does(append(args, "--dry-run")...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "rows     4\n  added    4, 2 of them late, ¥100.00 owed\n  known    0\n  refused  0\n  columns passed over: mood\n")
	require.Zero(t, d.number(`SELECT count(*) FROM sla.guarantees`), "a dry run writes nothing")

	code, out, errs = d.does(args...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "import of old.csv.gz from old under example-45 version 1\n")
	require.Contains(t, out, "is loaded: 4 rescues, 2 late; history, of which nothing is paid")
	require.EqualValues(t, 4, d.number(`SELECT count(*) FROM sla.guarantees WHERE area = '330100' AND tier = 'urban' AND import_id IS NOT NULL`))
	require.EqualValues(t, 1, d.number(`SELECT count(*) FROM sla.guarantees WHERE state = 'met' AND stopped_at = '2016-02-24 00:44:59+00'`), "times without a zone are of the file's")
	require.Zero(t, d.number(`SELECT count(*) FROM events.journal WHERE data::text LIKE '%12345%'`), "no plate is kept")
	require.EqualValues(t, 1, d.number(`SELECT count(*) FROM sla.vehicles WHERE vehicle ~ '^[0-9a-f]{32}$'`), "only what stands for the car")

	// Unpacked it is the same file.
	code, out, errs = d.does("import", "history", d.file("old.csv", pastFile...), "--zone", "Asia/Shanghai")
	require.Zero(t, code, errs)
	require.Contains(t, out, "added    0, 0 of them late, ¥0.00 owed\n  known    4\n           4 by imp_")
	require.Contains(t, out, "not payable, under example-45 version 1")
	require.Contains(t, out, "nothing was added\n")
	require.EqualValues(t, 1, d.number(`SELECT count(*) FROM sla.imports`))
}

func TestEveryRefusedRowIsNamed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path := d.file("bad.csv",
		"reference,called_at,lat,lng,datum,area,tier,problem,priority,partner,provider,arrived_at,arrival_source,policy",
		"ok,2016-02-24 08:00,30.2741,120.1551,wgs84,,,,,,,2016-02-24 08:10,gps,",
		"when,yesterday,30.2741,120.1551,wgs84,,,,,,,,,",
		"datum,2016-02-24 08:00,30.2741,120.1551,,,,,,,,,,",
		"odd datum,2016-02-24 08:00,30.2741,120.1551,mars,,,,,,,,,",
		"lat,2016-02-24 08:00,north,120.1551,wgs84,,,,,,,,,",
		"off the globe,2016-02-24 08:00,97,120.1551,wgs84,,,,,,,,,",
		"at sea,2016-02-24 08:00,0,0,wgs84,,,,,,,,,",
		"nowhere,2016-02-24 08:00,,,,,,,,,,,,",
		"area,2016-02-24 08:00,,,,999999,,,,,,,,",
		"words,2016-02-24 08:00,,,,330100,city,tire,high,Lin,prv_7,,,example-45",
		"ok,2016-02-24 09:00,30.2741,120.1551,wgs84,,,,,,,,,",
		"unproven,2016-02-24 08:00,,,,330100,,,,,,2016-02-24 08:10,,",
		`torn,2016-02-24 08:00,"30`,
	)
	code, out, errs := d.does("import", "history", path)
	require.Equal(t, 1, code)
	for _, want := range []string{
		`line 3: called_at: "yesterday" is not a time`, `line 4: datum: is missing`, `line 5: datum:`, `line 6: lat: "north" is not a number`,
		`line 7: lat:`, `line 8: lat: 0.000000,0.000000 is outside the covered area`, `line 9: area: is missing`, `line 10: area: "999999" is no covered area`,
		`line 11: priority: "high" is not a whole number`, `line 11: partner: "Lin" is no partner`, `line 11: provider: "prv_7" is no provider`,
		`line 11: policy: "example-45" is not name/version`, `line 12: reference: "ok" stands on line 2 already`, `line 13: arrival_source: is missing`,
		`line 14: line: is not CSV`, `12 of 13 rows were refused; mend them and give the file again`,
	} {
		require.Contains(t, errs, want)
	}
	require.Contains(t, out, "rows     13\n  added    1,")
	require.Contains(t, out, "refused  12\n")
	require.EqualValues(t, 1, d.number(`SELECT count(*) FROM sla.guarantees`))

	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{path, "--policy", "example-45"}, "--policy"},
		{[]string{path, "--policy", "example-45/9"}, "policy"},
		{[]string{path, "--area", "atlantis"}, "--area atlantis is no covered area"},
		{[]string{path, "--zone", "Mars/Base"}, "--zone"},
		{[]string{path, "--demand", "cmd/none.csv"}, "none.csv"},
		{[]string{d.file("empty.csv")}, "heading"},
		{[]string{d.file("other.csv", "a,b", "1,2")}, "the heading has no column reference"},
		{[]string{filepath.Join(d.dir, "none.csv")}, "no such file"},
		{[]string{d.file("runs.csv", "request,crew_id,called_at,assigned_at,arrived_at,freed_at,late_s,compensation_fen")}, "--demand"},
	} {
		code, _, errs := d.does(append([]string{"import", "history"}, c.args...)...)
		require.Equal(t, 1, code, c.args)
		require.Contains(t, errs, c.want, c.args)
	}
}

func TestARunOfTheSimulatorIsImported(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	demand := d.file("demand.csv", "call_time,lat,lng,kind",
		"2016-02-24T08:00:00,30.2741,120.1551,DISABLED_VEHICLE", "2016-02-24T08:05:00,30.2741,120.1551,DISABLED_VEHICLE",
		"2016-02-24T08:10:00,30.2741,120.1551,ACCIDENT")
	heading := "request,crew_id,called_at,assigned_at,arrived_at,freed_at,late_s,compensation_fen"
	runs := d.file("RUNS.csv", heading,
		"0,van,2016-02-24T08:00:00.000,2016-02-24T08:01:00.000,2016-02-24T08:45:00.000,2016-02-24T09:15:00.000,0.000,0",
		"1,van,2016-02-24T08:05:00.000,2016-02-24T08:06:00.000,2016-02-24T09:01:11.000,2016-02-24T09:31:00.000,671.000,5000",
		"2,,2016-02-24T08:10:00.000,,,,,")
	args := []string{"import", "history", runs, "--demand", demand, "--source", "simulation", "--payable", "--by", "lin"}
	code, out, errs := d.does(args...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "rows     3\n  added    3, 1 of them late, ¥50.00 owed\n")
	require.Contains(t, out, "the file itself says ¥50.00 for the added, and the policy the same for each")
	require.Contains(t, out, "is prepared by admin:lin: 3 rescues, 1 late, ¥50.00; nothing accrues until somebody else of finance approves")
	require.EqualValues(t, 3, d.number(`SELECT count(*) FROM sla.guarantees WHERE area = '330100'`))
	require.EqualValues(t, 1, d.number(`SELECT count(*) FROM sla.guarantees WHERE state = 'armed'`))
	require.Zero(t, d.number(`SELECT count(*) FROM sla.compensations`))
	code, out, _ = d.does(args...)
	require.Zero(t, code)
	require.Contains(t, out, "known    3\n           3 by imp_")

	// Another demand file is noticed, and so is a figure the policy does not bear out.
	wrong := d.file("RUNS2.csv", heading,
		"0,van,2016-02-24T08:00:01.000,2016-02-24T08:01:00.000,2016-02-24T08:45:00.000,2016-02-24T09:15:00.000,0.000,0",
		"1,van,2016-02-24T08:05:00.000,2016-02-24T08:06:00.000,2016-02-24T09:01:11.000,2016-02-24T09:31:00.000,671.000,4999",
		"7,,2016-02-24T08:10:00.000,,,,,")
	code, out, errs = d.does("import", "history", wrong, "--demand", demand)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "line 2: called_at: call 0 of the demand file came at 2016-02-24T08:00:00Z")
	require.Contains(t, errs, "line 4: request: the demand file has 3 calls and none numbered 7")
	require.Contains(t, out, "the file itself says ¥49.99 for the added; by the policy it is ¥50.00, and 1 rows differ")

	// One area for all, even one that is not covered, if its tier is said.
	code, _, errs = d.does("import", "history", runs, "--area", "us-pa-montgomery", "--tier", "county", "--source", "elsewhere")
	require.Zero(t, code, errs)
	require.EqualValues(t, 3, d.number(`SELECT count(*) FROM sla.guarantees WHERE area = 'us-pa-montgomery' AND promise_minutes = 60`))
	require.Equal(t, sla.Fen(5000), sla.Fen(d.number(`SELECT sum(owed_fen) FROM sla.imports WHERE payable`)))
}

func TestCrewsOfARunAreWhoseTheListSays(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	runs := d.file("RUNS.csv", "request,crew_id,called_at,assigned_at,expected_at,arrived_at,freed_at,late_s,compensation_fen",
		"0,van 1,2016-02-24T08:00:00.000,2016-02-24T08:01:00.000,2016-02-24T08:30:00.000,2016-02-24T08:45:00.000,2016-02-24T09:15:00.000,0.000,0",
		"1,van 2,2016-02-24T08:05:00.000,2016-02-24T08:06:00.000,,2016-02-24T09:01:11.000,2016-02-24T09:31:00.000,671.000,5000",
		"2,,2016-02-24T08:10:00.000,,,,,,")
	const whose = "prv_01985a3c-7e00-7000-8000-000000000001"
	args := []string{"import", "history", runs, "--area", "us-pa-montgomery", "--tier", "urban"}
	code, out, errs := d.does(append(args, "--crews", d.file("some.csv", "crew,provider", "van 1,"+whose), "--dry-run")...)
	require.Equal(t, 1, code)
	require.Contains(t, errs, `line 3: crew: "van 2" stands not in the list of crews`)
	require.Contains(t, out, "refused  1\n")
	for want, lines := range map[string][]string{
		"has no column provider":                  {"crew"},
		"line 3: crew is missing":                 {"crew,provider", "van 1,", "," + whose},
		`line 3: crew "van 1" stands on line 2`:   {"crew,provider", "van 1,", "van 1,"},
		`line 2: provider "prv_7" is no provider`: {"crew,provider", "van 1,prv_7"},
		`line 3: is not CSV`:                      {"crew,provider", "van 1,", `va"n 2,`},
	} {
		code, _, errs := d.does(append(args, "--crews", d.file("crews.csv", lines...))...)
		require.Equal(t, 1, code)
		require.Contains(t, errs, want)
	}
	require.Zero(t, d.number(`SELECT count(*) FROM sla.guarantees`))
	code, out, errs = d.does(append(args, "--crews", d.file("all.csv", "provider,crew", whose+",van 1", ",van 2"))...)
	require.Zero(t, code, errs)
	require.NotContains(t, out, "columns passed over")
	require.EqualValues(t, 1, d.number(`SELECT count(*) FROM sla.guarantees WHERE provider_id = '`+whose[4:]+`'`))
	require.EqualValues(t, 1, d.number(`SELECT count(*) FROM sla.facts WHERE kind = 'assigned' AND until_at = '2016-02-24 08:30Z' AND provider_id = '`+whose[4:]+`'`))
	require.EqualValues(t, 1, d.number(`SELECT count(*) FROM sla.facts WHERE kind = 'assigned' AND until_at = '-infinity'`))
}
