package sla_test

import (
	"context"
	"log/slog"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/sla"
)

// happens journals what dispatch tells and lets the slice hear it, noted in
// the inbox, as the runner does.
func (r *rig) happens(evs ...events.Event) {
	r.t.Helper()
	ctx := context.Background()
	for _, env := range r.journaled(evs...) {
		require.NoError(r.t, pg.InTx(ctx, r.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO events.inbox (consumer_group, event_id) VALUES ('sla', $1)`, env.ID); err != nil {
				return err
			}
			return r.Handlers()[0].Handle(ctx, tx, env)
		}))
	}
}

// journaled appends to the journal what nobody has heard yet.
func (r *rig) journaled(evs ...events.Event) (envs []events.Envelope) {
	r.t.Helper()
	ctx := context.Background()
	for _, ev := range evs {
		var ids []events.EventID
		require.NoError(r.t, pg.InTx(ctx, r.pool, func(tx pgx.Tx) (err error) {
			ids, err = events.AppendEach(ctx, tx, events.System("dispatch"), r.now(), 1, []events.Event{ev})
			return err
		}))
		stream, err := events.ReadStream(ctx, r.pool, ev.Subject(), 1000)
		require.NoError(r.t, err)
		for _, env := range stream {
			if env.ID == ids[0] {
				envs = append(envs, env)
			}
		}
	}
	return envs
}

// differences verifies everything and gives what was found, line by line.
func (r *rig) differences() (lines []string, done []sla.Verified) {
	r.t.Helper()
	_, err := r.SealLedger(context.Background(), 10_000)
	require.NoError(r.t, err)
	done, err = r.Verify(context.Background(), sla.Verify{Found: func(d sla.Discrepancy) { lines = append(lines, d.String()) }})
	require.NoError(r.t, err)
	return lines, done
}

// rescued lets one rescue happen, late by so much.
func (r *rig) rescued(late time.Duration) events.RequestID {
	r.t.Helper()
	id := events.NewID[events.RequestID]()
	r.happens(r.open(id, "urban"), asEvent(id, sla.Fact{Kind: sla.FactAssigned, At: opened.Add(time.Minute), Until: due, Crew: crewA}),
		arrivedEvent(id, crewA, due.Add(late)))
	return id
}

func TestAReplayFindsNoDifference(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), context.Background()
	random := rand.New(rand.NewSource(4))
	for range 40 { // stories of every kind, heard in order or not, some twice
		id := events.NewID[events.RequestID]()
		told := []events.Event{r.open(id, "urban")}
		for _, f := range drawn(random) {
			told = append(told, asEvent(id, f))
		}
		random.Shuffle(len(told), func(i, j int) { told[i], told[j] = told[j], told[i] })
		r.happens(told...)
	}
	r.sweep(due.Add(time.Hour)) // alarms change no verdict
	waived := events.NewID[events.RequestID]()
	r.happens(r.open(waived, "urban"))
	_, err := r.Waive(ctx, operator, waived, r.standing(waived).Guarantee.Version, "a test call")
	require.NoError(t, err)
	r.happens(arrivedEvent(waived, crewA, due.Add(time.Hour)))

	for _, decide := range []func(context.Context, events.Actor, events.CompensationID, int64, string) (sla.Compensation, error){r.Void, r.Approve, r.Dispute} {
		c := r.live(r.rescued(11 * time.Minute))
		_, err := decide(ctx, finance, c.ID, c.Version, "looked at")
		require.NoError(t, err)
	}
	// Paid, and then an earlier proof comes to light: the difference is noted.
	paid := r.rescued(11 * time.Minute)
	_, err = r.Approve(ctx, finance, r.live(paid).ID, r.live(paid).Version, "ok")
	require.NoError(t, err)
	r.results(r.submitted(), nil)
	r.happens(arrivedEvent(paid, crewA, due.Add(2*time.Minute)))

	unpaid := pastSpec(true)
	unpaid.Digest = strings.Repeat("ab", 32)
	r.bringIn(unpaid, pastRescue("waits for finance", 60))
	payable := pastSpec(true)
	imp := r.bringIn(payable, pastRescue("late", 60), pastRescue("in time", 30), pastRescue("nobody", 0))
	_, err = r.ApproveImport(ctx, finance, imp.ID, imp.Version, "ok")
	require.NoError(t, err)
	_, err = r.AccrueImports(ctx, 100)
	require.NoError(t, err)

	// Told and not heard yet: neither here nor there.
	late := events.NewID[events.RequestID]()
	r.journaled(r.open(late, "urban"))
	r.journaled(arrivedEvent(paid, crewB, due))

	lines, done := r.differences()
	require.Empty(t, lines)
	require.Equal(t, 40+1+3+1+4, done[1].Checked)
	require.Equal(t, 1, done[0].Waiting)
	require.Equal(t, 1, done[1].Waiting)
	require.Equal(t, "ledger", done[3].Name)
	require.Positive(t, done[3].Checked)
}

func TestWhatWasTamperedWithIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string // $1 is the request
		want []string
	}{
		"a verdict": {`UPDATE sla.guarantees SET owed_fen = 2000 WHERE request_id = $1`,
			[]string{"owed_fen: stored 2000, must be 5000", "compensation cmp_", "verdict told to others: stored late, 5000 fen, must be late, 2000 fen"}},
		"a lateness":     {`UPDATE sla.guarantees SET late_us = late_us - 1 WHERE request_id = $1`, []string{"late: stored 10m59.999999s, must be 11m0s"}},
		"a deadline":     {`UPDATE sla.guarantees SET promise_due_at = promise_due_at + interval '1 minute', due_at = due_at + interval '1 minute', late_us = late_us - 60000000 WHERE request_id = $1`, []string{"promise.due_at", "due_at", "late"}},
		"a policy":       {`UPDATE sla.guarantees SET promise_minutes = 50, promise_rule = 'county' WHERE request_id = $1`, []string{"promise.minutes: stored 50, must be 45", "promise.rule: stored county, must be urban"}},
		"a reason":       {`UPDATE sla.guarantees SET reasons = (replace(reasons::text, 'Late by', 'Early by'))::json WHERE request_id = $1`, []string{"reasons, line 4: stored \"Early by"}},
		"a provider":     {`UPDATE sla.guarantees SET provider_id = gen_random_uuid() WHERE request_id = $1`, []string{"provider_id: stored prv_"}},
		"a tier":         {`UPDATE sla.guarantees SET tier = 'county' WHERE request_id = $1`, []string{"tier: stored county, must be urban"}},
		"a fact":         {`UPDATE sla.facts SET happened_at = happened_at - interval '20 minutes' WHERE request_id = $1 AND kind = 'arrived'`, []string{"fact: stored arrived at", "fact: stored nothing, must be arrived at"}},
		"a fact too few": {`DELETE FROM sla.facts WHERE request_id = $1 AND kind = 'assigned'`, []string{"fact: stored nothing, must be assigned at"}},
		"a fact too many": {`INSERT INTO sla.facts (request_id, kind, happened_at, event_id, heard_at) VALUES ($1, 'cancelled', '2026-03-02 07:13Z', gen_random_uuid(), '2026-03-02 07:13Z')`,
			[]string{"fact: stored cancelled at 2026-03-02T07:13:00Z, must be nothing"}},
		"no promise":      {`DELETE FROM sla.compensations WHERE request_id = $1; DELETE FROM sla.guarantees WHERE request_id = $1`, []string{"openings: ", "promise: stored nothing, must be a promise"}},
		"no compensation": {`DELETE FROM sla.compensations WHERE request_id = $1`, []string{"compensation: stored nothing, must be 5000 fen"}},
		"an amount":       {`UPDATE sla.compensations SET fen = 9000 WHERE request_id = $1`, []string{"stored 9000 fen, must be 5000 fen", "stored 5000 fen, must be 9000 fen"}},
		"a posting": {`UPDATE sla.ledger_entries SET fen = fen * 2 WHERE transaction_id IN (SELECT t.id FROM sla.ledger_transactions t JOIN sla.compensations c ON c.id = t.compensation_id WHERE c.request_id = $1)`,
			[]string{"accrual of cmp_", "ledger: chain: posting compensation:"}},
		"one side of a posting": {`UPDATE sla.ledger_entries SET fen = fen + 1 WHERE account = 'cash' OR account = 'compensation_expense'`, []string{"ledger: posting", "the accounts together are 1 fen"}},
		"no posting":            {`DELETE FROM sla.ledger_chain; DELETE FROM sla.ledger_entries; DELETE FROM sla.ledger_transactions`, []string{"accrual of cmp_"}},
		"the journal":           {`DELETE FROM events.outbox; DELETE FROM events.journal WHERE subject = 'req_' || $1::text AND type LIKE '%opened%'`, []string{"opening: stored a promise, must be no promise"}},
		"an event":              {`UPDATE events.journal SET data = replace(data::text, '08:08', '07:40')::json WHERE subject = 'req_' || $1::text AND type LIKE '%arrived%'`, []string{"outcome: stored late, must be met"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.rescued(11 * time.Minute)
			lines, _ := r.differences()
			require.Empty(t, lines)
			r.tamper(strings.ReplaceAll(c.sql, "$1", "'"+id.UUID().String()+"'"))
			lines, _ = r.differences()
			for _, want := range c.want {
				require.Contains(t, strings.Join(lines, "\n"), want)
			}
		})
	}
}

func TestABatchIsHeldAgainstItsLines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Service = sla.New(r.pool, sla.Config{Now: r.now, Visible: onlyOwners, Payouts: []sla.Payout{newBank()}})
	r.approved(3)
	b := r.results(r.submitted(), func(i int) bool { return i == 1 })
	found := func() (lines []string) {
		all, _ := r.differences()
		for _, line := range all {
			require.NotContains(t, line, "ledger: batch", "a batch is named once")
			if strings.HasPrefix(line, "batches: ") { // what dispatch told was not journaled here
				lines = append(lines, strings.ReplaceAll(line, b.ID.String(), "bat"))
			}
		}
		return lines
	}
	require.Empty(t, found())
	r.tamper(`UPDATE sla.batch_lines SET fen = fen + 1 WHERE state = 'paid'`)
	lines := strings.Join(found(), "\n")
	require.Contains(t, lines, "batches: bat: total_fen: stored")
	require.Contains(t, lines, "batches: bat: digest of the sealed lines: stored "+b.Digest)
	require.Contains(t, lines, "batches: bat: paid fen: stored")
	require.Contains(t, lines, "batches: bat: line of cmp_")
	r.tamper(`UPDATE sla.batch_lines SET fen = fen - 1 WHERE state = 'paid'`)
	require.Empty(t, found())
	r.tamper(`UPDATE sla.compensations SET state = 'approved' WHERE state = 'paid'`)
	require.Contains(t, strings.Join(found(), "\n"), "stored paid, must be a line its compensation, which is approved over")
}

func TestTheNightlyRunTellsItsFindings(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), context.Background()
	registry := prometheus.NewRegistry()
	service := sla.New(r.pool, sla.Config{Now: r.now, Meters: registry, Log: slog.New(slog.DiscardHandler)})
	id := r.rescued(11 * time.Minute)
	figure := func() float64 {
		t.Helper()
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == "rescued_verify_differences" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return -1
	}
	require.EqualValues(t, -1, figure(), "nothing is said before the first night")
	require.NoError(t, service.VerifyOnce(ctx))
	require.Zero(t, figure())
	r.tamper(`UPDATE sla.guarantees SET late_us = late_us + 1 WHERE request_id = '` + id.UUID().String() + `'`)
	require.NoError(t, service.VerifyOnce(ctx))
	require.EqualValues(t, 1, figure())
}

// tamper changes what nothing may change, as only a superuser can who
// switches every guard off.
func (r *rig) tamper(sql string) {
	r.t.Helper()
	ctx := context.Background()
	guarded := []string{"sla.ledger_transactions", "sla.ledger_entries", "sla.ledger_chain", "sla.ledger_unsealed", "sla.compensations", "sla.guarantees", "sla.facts", "sla.batch_lines",
		"sla.chargebacks", "sla.attributions", "sla.statement_lines", "sla.conditions", "events.journal", "events.outbox"}
	for _, table := range guarded {
		_, err := r.pool.Exec(ctx, `ALTER TABLE `+table+` DISABLE TRIGGER ALL`)
		require.NoError(r.t, err)
	}
	for _, statement := range strings.Split(sql, ";") {
		tag, err := r.pool.Exec(ctx, statement)
		require.NoError(r.t, err)
		require.Positive(r.t, tag.RowsAffected(), statement)
	}
	for _, table := range guarded {
		_, err := r.pool.Exec(ctx, `ALTER TABLE `+table+` ENABLE TRIGGER ALL`)
		require.NoError(r.t, err)
	}
}
