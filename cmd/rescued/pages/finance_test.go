package pages_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"rescued/events"
	"rescued/sla"
)

// csvTotal adds up a column of amounts, and reads what the file says of itself.
func csvTotal(t *testing.T, file []byte, column string) (lines int64, sum sla.Fen, says map[string]string) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(file, []byte("\uFEFF")))).ReadAll()
	require.NoError(t, err)
	says = map[string]string{}
	for _, row := range rows[1:] {
		if name, ok := strings.CutPrefix(row[0], "# "); ok {
			says[name] = row[1]
			continue
		}
		for i, name := range rows[0] {
			if name == column {
				fen, err := sla.ParseFen(row[i])
				require.NoError(t, err)
				lines, sum = lines+1, sum+fen
			}
		}
	}
	return lines, sum, says
}

// xlsxTotal does the same of a workbook.
func xlsxTotal(t *testing.T, file []byte, column string) (lines int64, sum sla.Fen, says map[string]string) {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	require.NoError(t, err)
	defer book.Close()
	says = map[string]string{}
	for _, sheet := range book.GetSheetList() {
		rows, err := book.GetRows(sheet, excelize.Options{RawCellValue: true})
		require.NoError(t, err)
		if sheet == "summary" {
			for _, row := range rows {
				says[row[0]] = row[len(row)-1]
			}
			continue
		}
		for _, row := range rows[1:] {
			for i, name := range rows[0] {
				if name == column {
					fen, err := sla.ParseFen(amountForm(row[i]))
					require.NoError(t, err)
					lines, sum = lines+1, sum+fen
				}
			}
		}
	}
	return lines, sum, says
}

// amountForm writes a number of a cell with two decimals: 50 is 50.00.
func amountForm(cell string) string {
	whole, part, _ := strings.Cut(cell, ".")
	return whole + "." + (part + "00")[:2]
}

// The total on the page, in its CSV and in its XLSX are one, for the list and
// for the report, under a filter that leaves something out.
func TestThePageAndItsFilesSayTheSameTotal(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var owed sla.Fen
	for i := range 7 {
		owed += d.late(time.Duration(i+1) * 4 * time.Minute).Fen
	}
	void := d.late(time.Minute)
	_, err := d.Void(t.Context(), lin, void.ID, void.Version, "a test")
	require.NoError(t, err)

	list := d.open(lin, "/finance/compensations?state=accrued&month=2026-03&area=成都市")
	require.Equal(t, http.StatusOK, list.Status)
	require.EqualValues(t, 7, list.data("lines"))
	require.EqualValues(t, owed, list.data("total"))
	report := d.open(lin, "/finance?month=2026-03&by=day")
	require.EqualValues(t, owed, report.data("total"), "a void one is owed no more")
	require.EqualValues(t, 1, report.data("lines"))
	for _, c := range []struct {
		page   leaf
		column string
	}{{list, "yuan"}, {report, "compensation_yuan"}} {
		file := d.open(lin, c.page.href("CSV"))
		require.Equal(t, http.StatusOK, file.Status, string(file.Raw))
		lines, sum, says := csvTotal(t, file.Raw, c.column)
		require.Equal(t, c.page.data("lines"), lines)
		require.EqualValues(t, c.page.data("total"), sum)
		require.Equal(t, fmt.Sprint(lines), says["lines"])
		require.Len(t, says["digest_sha256"], 64)
		book := d.open(lin, c.page.href("XLSX"))
		require.Equal(t, http.StatusOK, book.Status)
		lines, sum, same := xlsxTotal(t, book.Raw, c.column)
		require.Equal(t, c.page.data("lines"), lines)
		require.EqualValues(t, c.page.data("total"), sum)
		require.Equal(t, says["digest_sha256"], same["digest_sha256"], "the very same lines")
		require.Contains(t, d.open(lin, "/finance/exports").says(), says["digest_sha256"])
	}
	none := d.open(lin, "/finance/compensations?month=2026-02")
	require.Zero(t, none.data("lines"))
	require.Contains(t, none.says(), "No compensation fits")
}

// Two persons take a batch from draft to settled by the buttons of the pages,
// one payment bounces, and what they may not do alone they cannot press.
func TestTwoPersonsTakeABatchThroughByTheirButtons(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var owed sla.Fen
	for i := range 3 {
		c := d.late(time.Duration(i+1) * 4 * time.Minute)
		owed += c.Fen
		page := d.open(lin, "/finance/compensations/"+c.ID.String()).press("approve", "reason", "checked the trail")
		require.Contains(t, page.says(), "The approval is recorded")
		require.Contains(t, page.says(), "lin (finance): checked the trail")
	}

	opening := d.ask(lin, "en", http.MethodPost, "/finance/batches", "application/x-www-form-urlencoded", []byte("title=March&key=k"))
	require.Contains(t, opening.Path, "/finance/batches/bat_")
	again := d.ask(lin, "en", http.MethodPost, "/finance/batches", "application/x-www-form-urlencoded", []byte("title=March&key=k"))
	require.Equal(t, opening.Path, again.Path, "a second press opens no second")
	require.True(t, has(again.button("seal"), "disabled"), "nothing is in it")

	batch := opening.press("fill", "up_to", "1,000")
	require.Contains(t, batch.says(), "3 were added")
	require.EqualValues(t, 3, batch.data("lines"))
	require.EqualValues(t, owed, batch.data("total"))
	one := attr(all(batch.button("remove").Parent, "input", nil)[0], "value")
	batch = batch.press("remove")
	require.EqualValues(t, 2, batch.data("lines"))
	batch = batch.press("add", "compensation", one)
	require.EqualValues(t, 3, batch.data("lines"))
	wrong := batch.press("add", "compensation", one)
	require.Equal(t, http.StatusConflict, wrong.Status)
	require.Contains(t, wrong.says(), "in a batch already")

	wrong = batch.press("add", "compensation", "cmp_12")
	require.Equal(t, http.StatusNotFound, wrong.Status)
	require.Contains(t, wrong.says(), "it begins with cmp_")
	require.NotNil(t, wrong.button("seal"), "the page is there to mend it on")

	stale := batch
	batch = batch.press("seal")
	require.Contains(t, batch.says(), "sealed and waits for a second person")
	id, err := events.ParseID[events.BatchID](strings.TrimPrefix(batch.Path, "/finance/batches/"))
	require.NoError(t, err)
	sealed, err := d.Batch(t.Context(), lin, id)
	require.NoError(t, err)
	require.Contains(t, batch.says(), sealed.Digest)
	require.True(t, has(batch.button("approve"), "disabled"))
	require.Contains(t, batch.says(), "a second person must approve it")
	refused := stale.press("seal")
	require.Equal(t, http.StatusPreconditionFailed, refused.Status)
	require.Contains(t, refused.says(), "It has changed since you read it")

	hers := d.open(zhou, batch.Path)
	blank := hers.press("approve", "reason", "  ")
	require.Equal(t, http.StatusUnprocessableEntity, blank.Status)
	require.Contains(t, blank.says(), "reason is missing; say why")
	hers = hers.press("approve", "reason", "agrees with the list")
	require.Contains(t, hers.says(), "zhou (finance) agrees with the list")
	hers = hers.press("submit")
	require.Contains(t, hers.says(), "Submitted; it is handed over shortly")
	_, err = d.PayOut(t.Context())
	require.NoError(t, err)

	batch = d.open(lin, batch.Path)
	require.Contains(t, batch.says(), "till · handed over")
	require.True(t, has(batch.button("settle"), "disabled"))
	file, paid := results(t, d, id)
	off := batch.press("results", "file", file, "lines", "3", "total", fen(owed), "paid_lines", "2", "paid_total", fen(paid+1))
	require.Equal(t, http.StatusUnprocessableEntity, off.Status)
	require.Contains(t, off.says(), "Some things need correcting; nothing was done")
	require.Contains(t, off.says(), "paid says 2 lines")
	require.EqualValues(t, 0, d.balance(sla.Cash), "nothing was booked")
	chinese := d.open(lin, batch.Path)
	chinese.lang = "zh"
	other := strings.Replace(file, fen(sla.Fen(2000))+",2026", "20.01,2026", 1)
	off = chinese.press("results", "file", other, "lines", "3", "total", fen(owed+1), "paid_lines", "2", "paid_total", fen(paid+1))
	require.Contains(t, off.says(), "什么都没有执行")
	require.Contains(t, off.says(), "行 金额：文件为 ¥20.01，该笔付款为 ¥20.00")
	off = chinese.press("results", "file", file, "lines", "3", "total", fen(owed), "paid_lines", "2", "paid_total", fen(paid+1))
	require.Contains(t, off.says(), "成功部分：您填写 2 笔、"+(paid+1).String()+"，文件中是 2 笔、"+paid.String())
	off.lang = "en"
	batch = off.press("results", "file", file, "paid_total", fen(paid))
	known := off.press("results", "file", file, "paid_total", fen(paid))
	require.Contains(t, known.says(), "This very file was taken in before")
	require.Contains(t, batch.says(), "3 results are recorded")
	require.Equal(t, -paid, d.balance(sla.Cash))
	bounced := d.open(lin, batch.Path+"?lines=bounced")
	require.Contains(t, bounced.says(), "account closed")
	batch = batch.press("settle")
	require.Contains(t, batch.says(), "The batch is settled")

	books := d.open(lin, batch.href("Postings"))
	require.EqualValues(t, 6, books.data("lines"), "three payments sent, two paid, one bounced")
	require.EqualValues(t, 2*owed, books.data("total"), "each of them in and out of what is on its way")

	c := d.open(lin, bounced.href(bouncedID(bounced)))
	require.Contains(t, c.says(), "Bounced 1: account closed")
	for _, posting := range []string{"accrual", "payout", "bounce reversal"} {
		require.Contains(t, c.says(), posting)
	}
	require.Contains(t, c.href(id.String()), batch.Path, "which batch it was in")
}

func fen(f sla.Fen) string { return strings.TrimPrefix(f.String(), "¥") }

// bouncedID is the first compensation that the page links to.
func bouncedID(l leaf) string {
	for _, a := range all(l.root, "a", nil) {
		if strings.HasPrefix(textOf(a), "cmp_") {
			return textOf(a)
		}
	}
	return ""
}

func (d *desk) balance(account sla.Account) sla.Fen {
	all, err := d.Balances(d.Context())
	require.NoError(d, err)
	return all[account]
}

// results is the bank's file: the last payment of the batch bounces.
func results(t *testing.T, d *desk, id events.BatchID) (file string, paid sla.Fen) {
	lines, err := d.BatchLines(t.Context(), lin, id, "", events.CompensationID{}, 100)
	require.NoError(t, err)
	file = "reference,outcome,amount,paid_on,reason\r\n"
	for i, l := range lines {
		if i == len(lines)-1 {
			file += l.Reference + ",bounced," + fen(l.Fen) + ",,account closed\r\n"
			continue
		}
		paid += l.Fen
		file += l.Reference + ",paid," + fen(l.Fen) + ",2026-03-02,\r\n"
	}
	return file, paid
}

// A compensation explains itself in the reader's language, and tells why he
// cannot press what somebody else must.
func TestACompensationInBothLanguages(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	c := d.late(11*time.Minute + 11*time.Second)
	path := "/finance/compensations/" + c.ID.String()
	page := d.open(lin, path).press("dispute", "reason", "the trail has a gap")
	require.Contains(t, page.says(), "nothing is paid until somebody decides it")
	for lang, want := range map[string][]string{
		"zh": {"¥50.00", "争议中", "成都市", "超时 11 分 11 秒", "第 2 档", "2026-03-02 15:12:00", "您提出了争议，须由他人裁定", "lin（财务）: the trail has a gap", "应付车主赔付款", "账务分录"},
		"en": {"¥50.00", "disputed", "成都市", "Late by 11 min 11 s", "Tier 2", "2026-03-02 15:12:00", "You raised the dispute; somebody else must decide it", "lin (finance): the trail has a gap", "Owed to owners", "Postings"},
	} {
		page := d.ask(lin, lang, http.MethodGet, path, "", nil)
		for _, words := range want {
			require.Contains(t, page.says(), words, lang)
		}
		require.True(t, has(page.button("uphold"), "disabled"))
		require.Nil(t, page.button("void"), "not in this state")
	}
	other := d.ask(zhou, "zh", http.MethodGet, path, "", nil)
	stale := other.press("uphold", "reason", "轨迹完整", "version", "1")
	require.Equal(t, http.StatusPreconditionFailed, stale.Status)
	require.Contains(t, stale.says(), "在您查看之后，内容已被他人更改")
	require.Contains(t, textOf(all(stale.root, "textarea", nil)[0]), "轨迹完整", "what he wrote is kept")
	require.Contains(t, stale.press("uphold", "reason", "轨迹完整").says(), "裁定已记录：维持赔付")
}

// Each role sees and gets what is its own; the others are told so on a page.
func TestRolesAtTheDesk(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	c := d.late(11 * time.Minute)
	compensation, rescue := "/finance/compensations/"+c.ID.String(), "/finance/requests/"+c.RequestID.String()

	for _, path := range []string{"/finance", compensation, "/finance/compensations", "/finance/batches", "/finance/exports", rescue} {
		page := d.open(stranger, path)
		require.Equal(t, http.StatusForbidden, page.Status, path)
		require.Contains(t, page.says(), "signed in as owner", path)
		page = d.ask(events.Actor{}, "zh", http.MethodGet, path, "", nil)
		require.Equal(t, http.StatusForbidden, page.Status, path)
		require.Contains(t, page.says(), "请使用您的登录链接", path)
		require.Equal(t, http.StatusOK, d.open(root, path).Status, path)
	}
	require.Nil(t, d.open(root, compensation).button("approve"), "an administrator reads")
	post := d.ask(root, "en", http.MethodPost, compensation, "application/x-www-form-urlencoded", []byte("do=approve&version=1&reason=x"))
	require.Equal(t, http.StatusForbidden, post.Status)
	require.Contains(t, post.says(), "Your role may not do this")

	require.Equal(t, http.StatusForbidden, d.open(wei, compensation).Status)
	home := d.open(wei, "/finance")
	require.Equal(t, "/finance/promises", home.Path)
	page := d.open(wei, home.href(c.RequestID.String()))
	require.Equal(t, rescue, page.Path)
	require.Contains(t, page.says(), "Late by 11 min")
	require.Nil(t, page.button("approve"))
	require.NotContains(t, page.says(), "Postings")
	page = page.press("dispute", "reason", "the crew was there")
	require.Equal(t, rescue, page.Path)
	require.Contains(t, page.says(), "wei (operator): the crew was there")
	forged := d.ask(wei, "en", http.MethodPost, rescue, "application/x-www-form-urlencoded",
		[]byte("do=overturn&version=2&reason=x&compensation="+c.ID.String()))
	require.Equal(t, http.StatusForbidden, forged.Status)

	for path, status := range map[string]int{
		"/finance/compensations/cmp_1": 404, "/finance/batches/bat_x": 404, "/finance/requests/" + events.NewID[events.RequestID]().String(): 404,
		"/finance?month=March": 422, "/finance/compensations?state=lost": 422, "/finance/batches?cursor=x": 422, "/finance?at=yesterday": 422,
	} {
		page := d.open(lin, path)
		require.Equal(t, status, page.Status, path)
		require.Contains(t, page.says(), "Back to the start of finance")
	}
}
