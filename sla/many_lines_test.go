package sla_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/events"
	"rescued/internal/web"
	"rescued/sla"
)

// gate is a reader who takes nothing until it is opened.
type gate struct {
	bytes.Buffer
	once          sync.Once
	reached, open chan struct{}
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	g.once.Do(func() { close(g.reached); <-g.open })
	return g.Buffer.Write(p)
}

// busy counts the other sessions of the test's database that a condition is
// true of.
func busy(t *testing.T, pool *pgxpool.Pool, where string) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(context.Background(), `
		SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND (`+where+`)`).Scan(&n))
	return n
}

// narrow makes connections that hold little on their way.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return c, err
}

// TestManyLines is of what shows only where there are more lines than buffers
// and portions hold.
func TestManyLines(t *testing.T) {
	t.Parallel()
	const lines = 6000
	r := newRig(t)
	manyApproved(t, r, lines)
	all := sla.ExportOrder{What: sla.ExportCompensations, Format: sla.CSV}

	t.Run("a slow reader holds no snapshot", func(t *testing.T) {
		slow := newGate()
		done := make(chan error, 1)
		go func() {
			_, err := r.Export(t.Context(), finance, all, slow)
			done <- err
		}()
		<-slow.reached
		require.Eventually(t, func() bool { return busy(t, r.pool, `backend_xmin IS NOT NULL OR state <> 'idle'`) == 0 },
			time.Minute, 20*time.Millisecond, "he has taken nothing, and all has been read")
		close(slow.open)
		require.NoError(t, <-done)
		rows, says := readCSV(t, slow.Bytes())
		require.Len(t, rows, lines)
		require.Equal(t, "6000", says["lines"])
	})

	t.Run("whoever hangs up ends the export", func(t *testing.T) {
		d := newDoor(t, r)
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			d.ServeHTTP(w, req.WithContext(web.WithActor(req.Context(), finance)))
		}))
		srv.Listener = narrow{srv.Listener} // what is under way is less than the file
		srv.Start()
		defer srv.Close()
		res, err := srv.Client().Get(srv.URL + "/v1/exports/compensations")
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, res.Body, 1000)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		id, err := events.ParseID[events.ExportID](res.Header.Get("Export-Id"))
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			x, err := r.ExportRecord(context.Background(), finance, id)
			return err == nil && x.Failed != "" && x.Digest == ""
		}, time.Minute, 20*time.Millisecond)
		require.Eventually(t, func() bool { return busy(t, r.pool, `state <> 'idle'`) == 0 }, time.Minute, 20*time.Millisecond)
	})

	t.Run("an export outlasts the limit on statements and shows one moment", func(t *testing.T) {
		ctx := t.Context()
		cfg := r.pool.Config().Copy()
		cfg.ConnConfig.RuntimeParams["statement_timeout"] = "1s"
		short, err := pgxpool.NewWithConfig(ctx, cfg)
		require.NoError(t, err)
		defer short.Close()
		s := sla.New(short, sla.Config{Now: r.now})
		var x sla.Export
		var out bytes.Buffer
		done := make(chan error, 1)
		tx, err := r.pool.Begin(ctx)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback(context.Background()) }()
		_, err = tx.Exec(ctx, `LOCK TABLE sla.guarantees IN ACCESS EXCLUSIVE MODE`)
		require.NoError(t, err)
		go func() {
			var err error
			x, err = s.Export(ctx, finance, all, &out)
			done <- err
		}()
		require.Eventually(t, func() bool { return busy(t, r.pool, `wait_event_type = 'Lock'`) == 1 }, time.Minute, 10*time.Millisecond)
		_, err = r.pool.Exec(ctx, `UPDATE sla.compensations SET state = 'void', voided_by = 'finance:lin', voided_why = 'meanwhile' WHERE accrued_at = (SELECT max(accrued_at) FROM sla.compensations)`)
		require.NoError(t, err)
		time.Sleep(1200 * time.Millisecond) // longer than any statement may last
		require.NoError(t, tx.Rollback(ctx))
		require.NoError(t, <-done)
		require.EqualValues(t, lines, x.Lines)
		require.NotContains(t, out.String(), "meanwhile")
	})

	t.Run("a call that has taken long begins no further portion", func(t *testing.T) {
		batch, _, err := r.OpenBatch(t.Context(), finance, "many", "many")
		require.NoError(t, err)
		batch, added, more, err := r.FillWithin(t.Context(), finance, batch.ID, sla.FillFilter{}, 0, time.Nanosecond)
		require.NoError(t, err)
		require.Equal(t, 5000, added)
		require.True(t, more)
		batch, added, more, err = r.FillWithin(t.Context(), finance, batch.ID, sla.FillFilter{}, 0, time.Nanosecond)
		require.NoError(t, err)
		require.Equal(t, lines-1-5000, added, "the void one is not paid")
		require.False(t, more)
		require.EqualValues(t, lines-1, batch.Lines)
		_, err = r.Seal(t.Context(), finance, batch.ID, batch.Version)
		require.NoError(t, err)
	})
}

// Reasons are read from what is stored as they would be built from it,
// whoever has written it.
func TestReasonsAreReadAsTheyWouldBeBuilt(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	word := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "late 11 min", "超时 11 分钟", `a "quoted" word`, "a\\b", "tab\t", "<b>", "]},{"}))
	rapid.Check(t, func(t *rapid.T) {
		list := make([]events.Reason, rapid.IntRange(0, 4).Draw(t, "reasons"))
		for i := range list {
			list[i] = events.Reason{Code: word.Draw(t, "code"), ZH: word.Draw(t, "zh"), EN: word.Draw(t, "en"), Fen: rapid.Int64().Draw(t, "fen")}
			if rapid.Bool().Draw(t, "timed") {
				at := time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "at")).UTC()
				list[i].At = &at
			}
		}
		stored, err := json.Marshal(list)
		require.NoError(t, err)
		wantZH, wantEN := sla.ReasonLines(mustRead(t, stored), zone)
		zh, en, err := sla.ReadReasons(stored, zone)
		require.NoError(t, err)
		require.Equal(t, wantZH, zh)
		require.Equal(t, wantEN, en)
		spaced, err := json.MarshalIndent(list, "", " ")
		require.NoError(t, err)
		zh, en, err = sla.ReadReasons(spaced, zone)
		require.NoError(t, err)
		require.Equal(t, wantZH+wantEN, zh+en)
	})
	_, _, err = sla.ReadReasons([]byte(`[{"code":"a"`), zone)
	require.Error(t, err)
	zh, en, err := sla.ReadReasons([]byte(`[{"code":"late","zh":"迟到","en":"late"}]`), zone)
	require.NoError(t, err)
	require.Equal(t, "迟到 late", strings.Join([]string{zh, en}, " "))
}

func mustRead(t *rapid.T, stored []byte) (list []events.Reason) {
	require.NoError(t, json.Unmarshal(stored, &list))
	return list
}
