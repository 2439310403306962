package sla_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"rescued/events"
	"rescued/sla"
)

// paidBy is a rig whose batches go out in the given way.
func paidBy(t *testing.T, way sla.Payout) *rig {
	r := newRig(t)
	r.Service = sla.New(r.pool, sla.Config{Now: r.now, Visible: onlyOwners, Payouts: []sla.Payout{way}})
	return r
}

// TestAPayoutAsFiles reads the files back: they hold the batch, to the fen,
// and their lines digest to what was sealed.
func TestAPayoutAsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	way, err := sla.NewPayoutFile(dir)
	require.NoError(t, err)
	r := paidBy(t, way)
	r.approved(5)
	b := r.submitted()
	p, err := r.PayoutOf(t.Context(), finance, b.ID)
	require.NoError(t, err)
	base := filepath.Join(dir, p.Key)

	text, err := os.ReadFile(base + ".csv")
	require.NoError(t, err)
	rest, marked := strings.CutPrefix(string(text), "\xef\xbb\xbfreference,payee,fen,amount,currency,compensation_id\r\n")
	require.True(t, marked)
	sum := sha256.Sum256([]byte(rest))
	require.Equal(t, b.Digest, hex.EncodeToString(sum[:]), "anybody can make it again")
	rows, err := csv.NewReader(strings.NewReader(rest)).ReadAll()
	require.NoError(t, err)
	book, err := excelize.OpenFile(base + ".xlsx")
	require.NoError(t, err)
	defer book.Close()
	cells, err := book.GetRows("payments", excelize.Options{RawCellValue: true})
	require.NoError(t, err)
	lines := r.lines(b.ID)
	require.Len(t, rows, len(lines))
	require.Len(t, cells, len(lines)+1)
	for i, l := range lines {
		fen := strconv.FormatInt(int64(l.Fen), 10)
		require.Equal(t, []string{l.Reference, l.Payee.String(), fen, fen[:len(fen)-2] + "." + fen[len(fen)-2:], "CNY", l.CompensationID.String()}, rows[i])
		require.Equal(t, []string{l.Reference, l.Payee.String(), fen, fen[:len(fen)-2], "CNY", l.CompensationID.String()}, cells[i+1])
		kind, err := book.GetCellType("payments", fmt.Sprintf("D%d", i+2))
		require.NoError(t, err)
		require.Contains(t, []excelize.CellType{excelize.CellTypeNumber, excelize.CellTypeUnset}, kind, "an amount is a number")
	}
	var m sla.PayoutManifest
	manifest, err := os.ReadFile(base + ".json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(manifest, &m))
	require.Equal(t, b.Digest, m.Digest)
	require.Equal(t, b.Total, m.TotalFen)
	require.Equal(t, "240.00", m.Total)
	for name, digest := range m.Files {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		sum := sha256.Sum256(text)
		require.Equal(t, digest, hex.EncodeToString(sum[:]), name)
	}
	require.Contains(t, p.Receipt, m.Files[p.Key+".csv"])

	// Sent again, as after a crash: nothing is written, even if somebody has
	// fetched the files.
	require.NoError(t, os.Remove(base+".csv"))
	order := sla.PayoutOrder{Key: p.Key, BatchID: b.ID, Title: b.Title, Lines: b.Lines, Total: b.Total, Digest: b.Digest}
	receipt, err := way.Send(t.Context(), order, nil)
	require.NoError(t, err)
	require.Equal(t, p.Receipt, receipt)
	require.NoFileExists(t, base+".csv")
	order.Digest = strings.Repeat("0", 64)
	_, err = way.Send(t.Context(), order, nil)
	require.ErrorIs(t, err, sla.ErrPayoutRefused, "another order under the same key")
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 2, "nothing half made is left")
}

func someLines(n int, then error) iter.Seq2[sla.PayoutLine, error] {
	return func(yield func(sla.PayoutLine, error) bool) {
		for i := range n {
			id := events.NewID[events.CompensationID]()
			if !yield(sla.PayoutLine{Reference: fmt.Sprintf("%032d", i), Payee: events.NewID[events.RequestID](), Fen: 2000, CompensationID: id}, nil) {
				return
			}
		}
		if then != nil {
			yield(sla.PayoutLine{}, then)
		}
	}
}

// TestAPayoutFileIsWholeOrNotThere: lines that break off, and lines that are
// not the order's, leave nothing.
func TestAPayoutFileIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	way, err := sla.NewPayoutFile(dir)
	require.NoError(t, err)
	gone := errors.New("the database is away")
	order := sla.PayoutOrder{Key: "payout-1", Lines: 3, Total: 6000, Digest: strings.Repeat("0", 64)}
	_, err = way.Send(t.Context(), order, someLines(2, gone))
	require.ErrorIs(t, err, gone)
	_, err = way.Send(t.Context(), order, someLines(3, nil))
	require.ErrorIs(t, err, sla.ErrBatchChanged)
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, names)
	_, err = sla.NewPayoutFile(filepath.Join(dir, "nowhere"))
	require.ErrorContains(t, err, "cannot be written to")
}

// payer is another system that takes orders over HTTP.
type payer struct {
	t      *testing.T
	secret []byte
	mu     sync.Mutex
	calls  int
	parts  map[string]sla.WebhookOrder
	answer func(call int) int // status; 0: take it
}

func (p *payer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	stamp := r.Header.Get("Rescued-Timestamp")
	at, err := strconv.ParseInt(stamp, 10, 64)
	mac := hmac.New(sha256.New, p.secret)
	fmt.Fprintf(mac, "%s.%s", stamp, body)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute || r.Header.Get("Rescued-Signature") != "v1="+hex.EncodeToString(mac.Sum(nil)) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "the signature is not ours")
		return
	}
	if p.answer != nil {
		if status := p.answer(p.calls); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	var part sla.WebhookOrder
	if err := json.Unmarshal(body, &part); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.parts[r.Header.Get("Idempotency-Key")] = part
}

func newPayer(t *testing.T) (*payer, string) {
	p := &payer{t: t, secret: []byte("a secret of thirty-two bytes ...."), parts: map[string]sla.WebhookOrder{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p, server.URL
}

// TestAPayoutByWebhook takes a batch over HTTP: signed, under its key, tried
// again while the other side is away, and with the results coming back by
// their route.
func TestAPayoutByWebhook(t *testing.T) {
	t.Parallel()
	other, url := newPayer(t)
	way, err := sla.NewPayoutWebhook(sla.WebhookConfig{URL: url, Secret: other.secret, Pause: time.Millisecond})
	require.NoError(t, err)
	r := paidBy(t, way)
	r.approved(4)
	other.answer = func(call int) int { return map[int]int{1: 503, 2: 429}[call] }
	b := r.submitted()
	p, err := r.PayoutOf(t.Context(), finance, b.ID)
	require.NoError(t, err)
	require.Equal(t, sla.PayoutSent, p.State)
	require.Equal(t, 3, other.calls)
	part := other.parts[p.Key+".1"]
	require.Equal(t, b.Digest, part.Digest)
	require.Equal(t, b.Total, part.OrderFen)
	require.Len(t, part.Lines, 4)

	results := map[string]any{"total": map[string]any{"lines": 4, "fen": b.Total}, "paid": map[string]any{"lines": 4, "fen": b.Total}}
	var lines []map[string]any
	for _, l := range part.Lines {
		lines = append(lines, map[string]any{"reference": l.Reference, "outcome": "paid", "fen": l.Fen})
	}
	results["lines"] = lines
	body, err := json.Marshal(results)
	require.NoError(t, err)
	got, _ := newDoor(t, r).ask(events.Actor{Role: events.RoleFinance, Subject: "payer"}, "POST", "/v1/batches/"+part.BatchID+"/results", string(body), 200)
	require.EqualValues(t, 0, got["open"].(map[string]any)["lines"])
	booked(t, r, 0, 0, b.Total)
}

func TestAWebhookIsTriedABoundedNumberOfTimes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status, calls int
		refused       bool
	}{
		"away":       {http.StatusBadGateway, 4, false},
		"refused":    {http.StatusUnprocessableEntity, 1, true},
		"redirected": {http.StatusTemporaryRedirect, 1, true},
	} {
		other, url := newPayer(t)
		other.answer = func(int) int { return c.status }
		way, err := sla.NewPayoutWebhook(sla.WebhookConfig{URL: url, Secret: other.secret, Pause: time.Millisecond})
		require.NoError(t, err)
		_, err = way.Send(context.Background(), sla.PayoutOrder{Key: "k", Lines: 2}, someLines(2, nil))
		require.Error(t, err, name)
		require.Equal(t, c.refused, errors.Is(err, sla.ErrPayoutRefused), "%s: %v", name, err)
		require.Equal(t, c.calls, other.calls, name)
	}
	other, url := newPayer(t)
	way, err := sla.NewPayoutWebhook(sla.WebhookConfig{URL: url, Secret: []byte("another secret, of other bytes"), Pause: time.Millisecond})
	require.NoError(t, err)
	_, err = way.Send(t.Context(), sla.PayoutOrder{Key: "k", Lines: 2}, someLines(2, nil))
	require.ErrorContains(t, err, "the signature is not ours")

	// A large order goes in parts, each under a key of its own.
	way, err = sla.NewPayoutWebhook(sla.WebhookConfig{URL: url, Secret: other.secret, Pause: time.Millisecond})
	require.NoError(t, err)
	receipt, err := way.Send(t.Context(), sla.PayoutOrder{Key: "k", Lines: 2500}, someLines(2500, nil))
	require.NoError(t, err)
	require.Contains(t, receipt, "3 parts")
	require.Len(t, other.parts["k.3"].Lines, 500)
	for _, bad := range []sla.WebhookConfig{
		{URL: "http://payer.example.cn/orders", Secret: other.secret}, {URL: "https://u:p@payer.example.cn", Secret: other.secret},
		{URL: "payer", Secret: other.secret}, {URL: url, Secret: []byte("short")},
	} {
		_, err := sla.NewPayoutWebhook(bad)
		require.Error(t, err, bad.URL)
	}
}
