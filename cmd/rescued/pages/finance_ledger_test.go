package pages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"rescued/sla"
)

// posted lists the keys of the postings on a page, from top to bottom.
func (l leaf) posted() (keys []string) {
	for _, n := range all(l.root, "div", func(n *html.Node) bool { return attr(n, "class") == "code-line key" }) {
		keys = append(keys, strings.ReplaceAll(textOf(n), " ", ""))
	}
	return keys
}

// row is the figures of the row that begins with these words.
func (l leaf) row(words string) string {
	l.Helper()
	for _, tr := range all(l.root, "tr", nil) {
		if said := textOf(tr); strings.HasPrefix(said, words+" ") {
			return strings.TrimPrefix(said, words+" ")
		}
	}
	require.Fail(l, "no row", "%q on %s", words, l.Path)
	return ""
}

// The ledger is read from the latest posting back, by account and period; each
// posting says what it is for and about, what took it back, and where in the
// chain it stands; the balances are those of the period's end or of a moment.
func TestTheLedgerIsBrowsed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := d.late(5 * time.Minute) // ¥20.00
	d.at(opened.Add(time.Hour))
	second := d.late(11 * time.Minute) // ¥50.00
	d.at(opened.Add(2 * time.Hour))
	_, err := d.Void(t.Context(), lin, first.ID, first.Version, "given up")
	require.NoError(t, err)
	_, err = d.SealLedger(t.Context(), 100)
	require.NoError(t, err)
	d.at(opened.AddDate(0, 1, 0))
	third := d.late(5 * time.Minute) // ¥20.00, in April; in no chain yet
	key := func(c sla.Compensation, what string) string { return "compensation:" + c.ID.String() + ":" + what }

	march := d.open(lin, "/finance/ledger?month=2026-03")
	require.Equal(t, http.StatusOK, march.Status)
	require.Equal(t, []string{key(first, "void"), key(second, "accrual"), key(first, "accrual")}, march.posted(), "the latest first")
	require.EqualValues(t, 3, march.data("lines"))
	require.EqualValues(t, 2000+5000+2000, march.data("total"))
	require.Equal(t, "¥50.00", march.row("Owed to owners"), "at the end of March")
	require.Contains(t, march.says(), "as at 2026-03-31 23:59:59")
	require.Equal(t, "¥50.00 ¥50.00", march.row("Total"))
	april := d.open(lin, march.href("2026-04 →"))
	require.Equal(t, []string{key(third, "accrual")}, april.posted())
	require.Equal(t, "¥70.00", april.row("Owed to owners"))
	require.NotContains(t, april.says(), "2026-05", "a month that is still to come")
	require.Equal(t, "¥70.00", d.open(lin, "/finance/ledger?month=2026-03&at=2026-03-02T16:30").row("Owed to owners"), "before the void")

	owed := d.open(lin, march.href("Owed to owners"))
	require.Len(t, owed.posted(), 3)
	require.Equal(t, "¥0.00", owed.row("Opening"))
	require.Equal(t, "¥20.00 ¥70.00", owed.row("Moved"))
	require.Equal(t, "¥50.00", owed.row("Closing"))
	day := d.open(lin, "/finance/ledger?account=owner_payable&from=2026-04-01&to=2026-04-30")
	require.Equal(t, "¥50.00", day.row("Opening"))
	require.Equal(t, "¥70.00", day.row("Closing"))
	require.Contains(t, day.href("← 2026-03"), "account=owner_payable", "these days are a month; another begins without them")
	require.NotContains(t, day.href("← 2026-03"), "from=")
	require.Empty(t, d.open(lin, "/finance/ledger?month=all&account=cash").posted())
	require.Equal(t, []string{key(first, "void")}, d.open(lin, "/finance/ledger?month=all&kind=void").posted())
	mine := d.open(lin, "/finance/ledger?month=all&of="+first.ID.String())
	require.Equal(t, []string{key(first, "void"), key(first, "accrual")}, mine.posted())

	file := d.open(lin, march.href("CSV"))
	_, _, says := csvTotal(t, file.Raw, "debit_yuan")
	require.Equal(t, "90.00", says["total_yuan"], "the page's total is the file's")

	void := d.open(lin, mine.href("void reversal"))
	require.Contains(t, void.says(), key(first, "void"))
	require.Contains(t, void.says(), "number 3")
	require.Contains(t, void.says(), "lin (finance)")
	require.Equal(t, "/finance/compensations/"+first.ID.String(), void.href(first.ID.String()))
	accrual := d.open(lin, mine.href("takes back"))
	require.Equal(t, void.href(strings.TrimPrefix(accrual.Path, "/finance/ledger/")), accrual.Path, "linked both ways")
	require.Equal(t, void.Path, accrual.href(strings.TrimPrefix(void.Path, "/finance/ledger/")))
	require.Contains(t, accrual.says(), "number 1")
	view, err := d.Transaction(t.Context(), lin, uuid.MustParse(strings.TrimPrefix(accrual.Path, "/finance/ledger/")))
	require.NoError(t, err)
	require.Contains(t, accrual.says(), view.Hash)
	require.Equal(t, accrual.Path, d.open(lin, "/finance/ledger?of="+view.ID.String()).Path, "its number leads to it")
	require.Contains(t, d.open(lin, april.href("accrual")).says(), "not chained yet")
	require.Equal(t, void.Path, d.open(lin, "/finance/compensations/"+first.ID.String()).href("taken back by"), "and so from the compensation")
	require.Contains(t, d.open(lin, "/finance?month=2026-03").href("Owed to owners"), "/finance/ledger?account=owner_payable")

	chinese := d.ask(lin, "zh", http.MethodGet, void.Path, "", nil)
	for _, words := range []string{"作废", "冲销的分录", "第 3 笔", "应付车主赔付款", "2026-03-02 17:12:00"} {
		require.Contains(t, chinese.says(), words)
	}
	for path, status := range map[string]int{
		"?account=petty_cash": 422, "?of=cmp_1": 422, "?from=2026-03-02&to=2026-03-01": 422, "?at=noon": 422, "?cursor=x": 422, "?month=March": 422,
		"/" + uuid.NewString(): 404, "/seven": 404,
	} {
		require.Equal(t, status, d.open(lin, "/finance/ledger"+path).Status, path)
	}
	for _, path := range []string{"/finance/ledger", void.Path} {
		require.Equal(t, http.StatusForbidden, d.open(wei, path).Status)
		require.Equal(t, http.StatusOK, d.open(root, path).Status)
	}
}

// A long list is turned forward and back, in the ledger and elsewhere, and says
// where in it one is.
func TestALongListIsTurnedBothWays(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range 203 {
		d.at(opened.Add(time.Duration(i) * time.Second))
		d.late(5 * time.Minute)
	}
	for _, path := range []string{"/finance/ledger?month=2026-03", "/finance/compensations?month=2026-03", "/finance/promises?area=成都市"} {
		first := d.open(lin, path)
		require.Contains(t, first.says(), "Page 1, rows 1 to 100", path)
		require.NotContains(t, first.says(), "Previous page")
		second := d.open(lin, first.href("Next page →"))
		require.Contains(t, second.says(), "Page 2, rows 101 to 200")
		third := d.open(lin, second.href("Next page →"))
		require.Contains(t, third.says(), "Page 3, rows 201 to 203")
		require.NotContains(t, third.says(), "Next page")
		require.Equal(t, second.links(), d.open(lin, third.href("← Previous page")).links(), "the same rows as before")
		require.Equal(t, first.links(), d.open(lin, second.href("← Previous page")).links())
		require.Equal(t, first.links(), d.open(lin, third.href("« First page")).links())
		require.Contains(t, d.ask(lin, "zh", http.MethodGet, second.href("Next page →"), "", nil).says(), "第 3 页，第 201–203 条")
	}
}

// links are where the rows of the page's list lead.
func (l leaf) links() (list []string) {
	for _, td := range all(l.root, "td", nil) {
		for _, a := range all(td, "a", nil) {
			list = append(list, attr(a, "href"))
		}
	}
	return list
}
