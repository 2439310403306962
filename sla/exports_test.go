package sla_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
	"rescued/sla"
)

// fetch calls over a real connection, so that trailers arrive as a client
// sees them.
func fetch(t *testing.T, d door, by events.Actor, path string) (body []byte, head, trailer http.Header) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.ServeHTTP(w, r.WithContext(web.WithActor(r.Context(), by)))
	}))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL + path)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, "%s: %s", path, body)
	return body, res.Header, res.Trailer
}

// readCSV gives the lines of a file by column, and what its last rows say of it.
func readCSV(t *testing.T, body []byte) (lines []map[string]string, says map[string]string) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\uFEFF")))).ReadAll()
	require.NoError(t, err, "each row is as wide as the header")
	says = map[string]string{}
	for _, row := range rows[1:] {
		if name, ok := strings.CutPrefix(row[0], "# "); ok {
			says[name] = row[1]
			continue
		}
		line := map[string]string{}
		for i, value := range row {
			line[rows[0][i]] = value
		}
		lines = append(lines, line)
	}
	return lines, says
}

func fenOf(t *testing.T, yuan string) sla.Fen {
	t.Helper()
	fen, err := sla.ParseFen(yuan)
	require.NoError(t, err)
	return fen
}

// lateRescues makes rescues late by 1 to n times four minutes and gives what
// they owe together.
func lateRescues(r *rig, n int) (owed sla.Fen) {
	for i := range n {
		r.at(opened.Add(time.Duration(i) * time.Minute))
		owed += r.live(r.late(time.Duration(i+1) * 4 * time.Minute)).Fen
	}
	return owed
}

func TestScreenCSVAndXLSXSayTheSameTotal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	owed := lateRescues(r, 9)
	void := r.live(r.late(time.Minute))
	_, err := r.Void(t.Context(), finance, void.ID, void.Version, "=a test")
	require.NoError(t, err)
	r.seal()
	const filter = "state=accrued"

	screen, _ := d.ask(finance, "GET", "/v1/compensations?limit=2&total=true&"+filter, "", 200)
	total := screen["total"].(map[string]any)
	require.EqualValues(t, 9, total["lines"])
	require.EqualValues(t, owed, total["fen"])
	screen, _ = d.ask(finance, "GET", "/v1/compensations", "", 200)
	require.NotContains(t, screen, "total", "nobody asked")

	body, head, trailer := fetch(t, d, finance, "/v1/exports/compensations?"+filter)
	require.Equal(t, "text/csv; charset=utf-8", head.Get("Content-Type"))
	require.Contains(t, head.Get("Content-Disposition"), `filename=compensations-20260302T`)
	require.True(t, bytes.HasPrefix(body, []byte("\uFEFF")))
	require.Equal(t, bytes.Count(body, []byte("\n")), bytes.Count(body, []byte("\r\n")))
	lines, says := readCSV(t, body)
	require.Len(t, lines, 9)
	var sum sla.Fen
	for _, line := range lines {
		sum += fenOf(t, line["yuan"])
		require.Equal(t, "accrued", line["state"])
		require.Contains(t, line["verdict_zh"], "超时")
		require.Contains(t, line["verdict_en"], "15:12:00 Request accepted", "in the zone asked for")
	}
	require.Equal(t, owed, sum)
	require.Equal(t, "9", says["lines"])
	require.Equal(t, owed, fenOf(t, says["total_yuan"]))
	require.Equal(t, `{"state":"accrued"}`, says["filter"])
	require.Equal(t, "9", trailer.Get("Export-Lines"))
	require.Equal(t, fmt.Sprint(int64(owed)), trailer.Get("Export-Total-Fen"))
	require.Equal(t, says["digest_sha256"], trailer.Get("Export-Digest-Sha256"))

	// The digest is what sha256sum says of the file for programs.
	plain, _, _ := fetch(t, d, finance, "/v1/exports/compensations?bom=0&summary=0&"+filter)
	digest := sha256.Sum256(plain)
	require.Equal(t, says["digest_sha256"], hex.EncodeToString(digest[:]))

	book, head, trailer := fetch(t, d, finance, "/v1/exports/compensations?format=xlsx&"+filter)
	require.Equal(t, sla.XLSX.MediaType(), head.Get("Content-Type"))
	require.Equal(t, says["digest_sha256"], trailer.Get("Export-Digest-Sha256"))
	file, err := excelize.OpenReader(bytes.NewReader(book))
	require.NoError(t, err)
	defer file.Close()
	require.Equal(t, []string{"summary", "compensations"}, file.GetSheetList())
	rows, err := file.GetRows("compensations", excelize.Options{RawCellValue: true})
	require.NoError(t, err)
	require.Len(t, rows, 10)
	sum = 0
	for n, row := range rows[1:] {
		sum += fenOf(t, fmt.Sprintf("%s.00", row[7])) // whole yuan in this policy
		require.Equal(t, lines[n]["compensation_id"], row[0])
		kind, err := file.GetCellType("compensations", fmt.Sprintf("A%d", n+2))
		require.NoError(t, err)
		require.Equal(t, excelize.CellTypeInlineString, kind)
		kind, err = file.GetCellType("compensations", fmt.Sprintf("H%d", n+2))
		require.NoError(t, err)
		require.Contains(t, []excelize.CellType{excelize.CellTypeUnset, excelize.CellTypeNumber}, kind, "money is a number")
	}
	require.Equal(t, owed, sum)
	summary, err := file.GetRows("summary", excelize.Options{RawCellValue: true})
	require.NoError(t, err)
	said := map[string]string{}
	for _, row := range summary {
		said[row[0]] = row[1]
	}
	require.Equal(t, "9", said["lines"])
	require.Equal(t, owed, fenOf(t, said["total_yuan"]+".00"))
	require.Equal(t, says["digest_sha256"], said["digest_sha256"])
	require.Equal(t, says["ledger_head"], said["ledger_head"])
	require.NotEqual(t, "0 ", said["ledger_head"][:2])

	// Each left its record, and an event.
	list, _ := d.ask(admin, "GET", "/v1/exports?limit=2", "", 200)
	require.Len(t, list["items"], 2)
	require.NotEmpty(t, list["next_cursor"])
	record, _ := d.ask(admin, "GET", "/v1/exports/"+head.Get("Export-Id"), "", 200)
	require.Equal(t, "finance:lin", record["made_by"])
	require.Equal(t, says["digest_sha256"], record["digest"])
	require.EqualValues(t, owed, record["total_fen"])
	told, err := events.ReadStream(t.Context(), r.pool, head.Get("Export-Id"), 10)
	require.NoError(t, err)
	require.Len(t, told, 1)
	made, err := events.Decode[events.ExportMade](told[0])
	require.NoError(t, err)
	require.EqualValues(t, 9, made.Lines)
	require.EqualValues(t, owed, made.TotalFen)

	d.ask(operator, "GET", "/v1/exports/compensations", "", 403)
	d.ask(operator, "GET", "/v1/exports", "", 403)
	d.ask(finance, "GET", "/v1/exports/"+events.NewID[events.ExportID]().String(), "", 404)
	d.ask(finance, "GET", "/v1/exports/compensations?format=pdf", "", 400)
	d.ask(finance, "GET", "/v1/exports/compensations?zone=Mars", "", 400)
	d.ask(finance, "GET", "/v1/exports/compensations?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "", 400)
}

func TestTheLedgerAndTheVerdictsAreExported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	owed := lateRescues(r, 3)
	c := r.live(r.late(time.Minute))
	_, err := r.Void(t.Context(), finance, c.ID, c.Version, "given up")
	require.NoError(t, err)
	r.seal()

	body, _, _ := fetch(t, d, finance, "/v1/exports/ledger")
	lines, says := readCSV(t, body)
	require.Len(t, lines, 10, "three accruals, one more, and its reversal")
	var debit, credit sla.Fen
	for _, line := range lines {
		debit += fenOf(t, line["debit_yuan"])
		credit += fenOf(t, line["credit_yuan"])
		require.NotEmpty(t, line["chain_hash"])
	}
	require.Equal(t, debit, credit)
	require.Equal(t, owed+2*c.Fen, debit)
	require.Equal(t, debit, fenOf(t, says["total_yuan"]))
	screen, _ := d.ask(finance, "GET", "/v1/ledger/transactions?total=true", "", 200)
	require.EqualValues(t, debit, screen["total"].(map[string]any)["fen"])
	require.EqualValues(t, 5, screen["total"].(map[string]any)["lines"])

	body, _, _ = fetch(t, d, finance, "/v1/exports/ledger?kind=void")
	lines, says = readCSV(t, body)
	require.Len(t, lines, 2)
	require.Equal(t, c.Fen, fenOf(t, says["total_yuan"]))

	body, _, _ = fetch(t, d, finance, "/v1/exports/guarantees?state=late")
	lines, says = readCSV(t, body)
	require.Len(t, lines, 4)
	require.Equal(t, owed+c.Fen, fenOf(t, says["total_yuan"]))
	require.Equal(t, "240", lines[0]["late_s"])
	require.Equal(t, "2026-03-02T15:12:00+08:00", lines[0]["opened_at"])
}

func TestAnExportRefusesAFilterItHasNoUseFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.PrepareExport(t.Context(), finance, sla.ExportOrder{What: sla.ExportLedger, Format: sla.CSV,
		Filter: sla.ExportFilter{State: "paid", Area: "cn-3301", Kind: "void"}})
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Len(t, f.Fields, 2)
	require.Equal(t, "area", f.Fields[0].Field)
	require.Equal(t, "state", f.Fields[1].Field)
	_, err = r.PrepareExport(t.Context(), finance, sla.ExportOrder{What: "phones", Format: sla.CSV})
	require.Equal(t, fault.Invalid, fault.KindOf(err))
}

func TestFormulasAreDisarmedAndNumbersAreNot(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "",
		"沪A12345":                  "沪A12345",
		"=HYPERLINK(\"http://x\")": "'=HYPERLINK(\"http://x\")",
		"+1+cmd|' /C calc'!A0":     "'+1+cmd|' /C calc'!A0",
		"-2+3":                     "'-2+3",
		"@SUM(A1)":                 "'@SUM(A1)",
		"\tx":                      "'\tx",
		"\rx":                      "'\rx",
		"\n=x":                     "'\n=x",
		"+8613800001111":           "+8613800001111",
		"+86-138-0000-1111":        "'+86-138-0000-1111",
		"-5.00":                    "-5.00",
		"-5.00+1":                  "'-5.00+1",
		"a=b":                      "a=b",
	} {
		require.Equal(t, want, sla.Guarded(text), "%q", text)
	}
}

func TestMoreRowsThanASheetHoldsGoOnTheNext(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owed := lateRescues(r, 7)
	var out bytes.Buffer
	x, err := sla.Workbook(t.Context(), r.Service, finance, sla.ExportOrder{What: sla.ExportCompensations, Format: sla.XLSX}, &out, 4)
	require.NoError(t, err)
	require.EqualValues(t, 7, x.Lines)
	require.Equal(t, owed, x.TotalFen)
	file, err := excelize.OpenReader(&out)
	require.NoError(t, err)
	defer file.Close()
	require.Equal(t, []string{"summary", "compensations", "compensations (2)", "compensations (3)"}, file.GetSheetList())
	for name, n := range map[string]int{"compensations": 4, "compensations (2)": 4, "compensations (3)": 2} {
		rows, err := file.GetRows(name)
		require.NoError(t, err)
		require.Len(t, rows, n, name)
		require.Equal(t, "compensation_id", rows[0][0], "each sheet has its header")
	}
}

// leaver is a client that leaves after some bytes.
type leaver struct{ left int }

var errLeft = errors.New("the client left")

func (l *leaver) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errLeft
	}
	return len(p), nil
}

func TestAnExportThatBreaksOffIsRecordedAsThat(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	lateRescues(r, 3)
	x, err := r.Export(t.Context(), finance, sla.ExportOrder{What: sla.ExportCompensations, Format: sla.CSV}, &leaver{10})
	require.ErrorIs(t, err, errLeft)
	kept, err := r.ExportRecord(t.Context(), finance, x.ID)
	require.NoError(t, err)
	require.Contains(t, kept.Failed, "the client left")
	require.Empty(t, kept.Digest)
	require.NotNil(t, kept.FinishedAt)

	_, err = r.pool.Exec(context.Background(), `UPDATE sla.exports SET lines = 99`)
	require.Error(t, err, "a closed record stands")
	_, err = r.pool.Exec(context.Background(), `DELETE FROM sla.exports`)
	require.Error(t, err)

	// Over HTTP the answer is cut, so that nobody takes half of it for the whole.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.Export(ctx, finance, sla.ExportOrder{What: sla.ExportCompensations, Format: sla.CSV}, io.Discard)
	require.ErrorIs(t, err, context.Canceled)
}
