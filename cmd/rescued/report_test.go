package main

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/internal/pgtest"
	"rescued/sla"
)

func TestReportCommand(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t, migrations()...)
	pool, err := pg.Open(t.Context(), url+joint(url)+"pool_max_conns=2")
	require.NoError(t, err)
	defer pool.Close()
	opened := time.Date(2026, 3, 2, 7, 12, 0, 0, time.UTC)
	s := sla.New(pool, sla.Config{Now: func() time.Time { return opened.Add(time.Hour) }})
	require.NoError(t, s.Install(t.Context()))
	tell := func(ev events.Event) {
		data, err := json.Marshal(ev)
		require.NoError(t, err)
		topic, key := ev.Stream()
		env := events.Envelope{ID: events.NewID[events.EventID](), Type: ev.EventType(), Topic: topic, Key: key, Data: data}
		require.NoError(t, pg.InTx(context.Background(), pool, func(tx pgx.Tx) error { return s.Handlers()[0].Handle(t.Context(), tx, env) }))
	}
	for _, after := range []time.Duration{20 * time.Minute, 56*time.Minute + 11*time.Second} { // in time, and 11 min 11 s late
		id := events.NewID[events.RequestID]()
		promise := sla.Example45().Promise(opened, sla.Facts{Tier: "urban"})
		tell(events.RequestOpened{RequestID: id, Area: "cn-3301", Tier: "urban", OpenedAt: opened, Priority: 2, Problem: "tyre", Promise: promise})
		tell(events.CrewArrived{RequestID: id, Area: "cn-3301", CrewID: events.NewID[events.CrewID](), ArrivedAt: opened.Add(after), Source: "gps"})
	}
	report := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"report"}, args...), []string{"RESCUED_DATABASE_URL=" + url}, &out, &errs)
		return code, out.String() + errs.String()
	}
	code, said := report("--by", "city", "--from", "2026-03-01", "--to", "2026-04-01")
	require.Zero(t, code, said)
	require.Regexp(t, `cn-3301\s+2\s+1\s+50\.00\s+0\s+50\.00\s+¥50\.00\s+¥25\.00\s+¥0\.00\s+¥50\.00\s+2026-03-02`, said)
	require.Regexp(t, `total\s+2\s+1\s+50\.00`, said)
	code, said = report("--by", "month", "--format", "csv")
	require.Zero(t, code, said)
	require.Contains(t, said, "2026-03,2,1,1,0,50.00,50.00,50.00,25.00,0.00,50.00,1,2026-03-02T16:12:00+08:00")
	code, said = report("--from", "2026-04-01", "--to", "2026-03-01")
	require.NotZero(t, code)
	require.Contains(t, said, "must be later than from")
	code, said = report("--provider", "ptn_1")
	require.NotZero(t, code)
	require.Contains(t, said, "is not an identifier of the form prv_")
}
