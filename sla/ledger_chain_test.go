package sla_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/sla"
)

// clean checks the whole ledger and wants nothing found.
func (r *rig) clean(kept ...sla.ChainHead) sla.LedgerCheck {
	r.t.Helper()
	check, err := r.CheckLedger(context.Background(), kept...)
	require.NoError(r.t, err)
	require.Empty(r.t, check.Findings)
	return check
}

func (r *rig) seal() int {
	r.t.Helper()
	n, err := r.SealLedger(context.Background(), 1_000_000)
	require.NoError(r.t, err)
	return n
}

func TestTheChainRunsThroughEveryPosting(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.live(r.late(time.Minute))
	r.late(11 * time.Minute)
	check := r.clean()
	require.EqualValues(t, 2, check.Postings)
	require.EqualValues(t, 0, check.Chained, "not chained yet, and not long enough ago to be a finding")
	require.Equal(t, 2, r.seal())
	head, err := r.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, head.Seq)

	_, err = r.Void(t.Context(), finance, c.ID, c.Version, "given up")
	require.NoError(t, err)
	require.Equal(t, 1, r.seal())
	require.Zero(t, r.seal())
	check = r.clean(head)
	require.EqualValues(t, 3, check.Chained)

	check, err = r.CheckLedger(t.Context(), sla.ChainHead{Seq: 2, Hash: check.Head.Hash}, sla.ChainHead{Seq: 9, Hash: head.Hash})
	require.NoError(t, err)
	require.Len(t, check.Findings, 2, "another head than the one kept, and one that is gone")
}

// TestTheChainFindsWhatWasChanged plays an owner of the database who takes
// the guards away, which no role of the service can.
func TestTheChainFindsWhatWasChanged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ table, sql, finding string }{
		"an amount":   {"ledger_entries", `UPDATE sla.ledger_entries SET fen = sign(fen) * 1`, "is not what link 1 was made from"},
		"an actor":    {"ledger_transactions", `UPDATE sla.ledger_transactions SET actor = 'finance:eve'`, "is not what link 1 was made from"},
		"a date":      {"ledger_transactions", `UPDATE sla.ledger_transactions SET posted_at = posted_at - interval '1 day'`, "is not what link 1 was made from"},
		"a link":      {"ledger_chain", `DELETE FROM sla.ledger_chain WHERE seq = 2`, "link 2 is missing"},
		"the last":    {"ledger_chain", `DELETE FROM sla.ledger_chain WHERE seq = 3`, "1 postings are neither chained nor waiting"},
		"a link hash": {"ledger_chain", `UPDATE sla.ledger_chain SET hash = sha256('x') WHERE seq = 1`, "link 2 does not follow link 1"},
		"one side":    {"ledger_entries", `DELETE FROM sla.ledger_entries WHERE line = 2`, "does not balance"},
		"the books":   {"ledger_entries", `DELETE FROM sla.ledger_entries WHERE line = 2`, "the accounts together are"},
		"a state":     {"ledger_chain", `UPDATE sla.compensations SET state = 'void', voided_by = 'x:x', voided_why = 'x'`, "and the books owe 2000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			for range 3 {
				r.late(time.Minute)
			}
			r.seal()
			r.clean()
			_, err := r.pool.Exec(t.Context(), `ALTER TABLE sla.`+c.table+` DISABLE TRIGGER USER; `+c.sql+`; ALTER TABLE sla.`+c.table+` ENABLE ALWAYS TRIGGER never_changed`)
			require.NoError(t, err)
			check, err := r.CheckLedger(t.Context())
			require.NoError(t, err)
			require.Contains(t, joined(check.Findings), c.finding)
		})
	}
}

func TestPostingsThatWaitTooLongAreAFinding(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.late(time.Minute)
	r.at(opened.Add(6 * time.Minute))
	check, err := r.CheckLedger(t.Context())
	require.NoError(t, err)
	require.Contains(t, joined(check.Findings), "1 postings have waited")
}

// TestSealersAndPostersAtOnce lets replicas chain while others post.
func TestSealersAndPostersAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	opening := r.open(events.NewID[events.RequestID](), "urban")
	var group errgroup.Group
	done := make(chan struct{})
	var posters errgroup.Group
	for range 3 {
		posters.Go(func() error {
			for range 20 {
				mine := opening
				mine.RequestID = events.NewID[events.RequestID]()
				for _, ev := range []events.Event{mine, arrivedEvent(mine.RequestID, crewA, due.Add(time.Minute))} {
					if err := r.tell(ev); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	for range 3 {
		group.Go(func() error {
			for {
				if _, err := r.SealLedger(context.Background(), 7); err != nil {
					return err
				}
				select {
				case <-done:
					return nil
				default:
				}
			}
		})
	}
	require.NoError(t, posters.Wait())
	close(done)
	require.NoError(t, group.Wait())
	r.seal()
	check := r.clean()
	require.EqualValues(t, 60, check.Chained)
	requireBalance(t, r, 60*2000)
}

func TestTheDatabaseRefusesAFalseReversal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.live(r.late(time.Minute))
	reverse := func(fen int64) error {
		return pg.InTx(t.Context(), r.pool, func(tx pgx.Tx) error {
			id := uuid.New()
			_, err := tx.Exec(t.Context(), `
				INSERT INTO sla.ledger_transactions (id, key, kind, compensation_id, reverses_id, lines, total_fen, actor, posted_at)
				SELECT $1, $2, 'void', $3, id, 2, $4, 'system:test', $5 FROM sla.ledger_transactions WHERE kind = 'accrual'`,
				id, id.String(), c.ID, fen, opened)
			if err != nil {
				return err
			}
			_, err = tx.Exec(t.Context(), `
				INSERT INTO sla.ledger_entries (transaction_id, line, account, fen)
				VALUES ($1, 1, 'compensation_expense', -$2::bigint), ($1, 2, 'owner_payable', $2)`, id, fen)
			return err
		})
	}
	require.True(t, pg.Violates(reverse(1999), "reversal_mirrors"))
	require.NoError(t, reverse(2000))
	require.True(t, pg.Violates(reverse(2000), "ledger_transactions_reverses_id_key"), "once only")
}

func TestEachCurrencyBalancesByItself(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.live(r.late(time.Minute))
	err := pg.InTx(t.Context(), r.pool, func(tx pgx.Tx) error {
		id := uuid.New()
		_, err := tx.Exec(t.Context(), `
			INSERT INTO sla.ledger_transactions (id, key, kind, compensation_id, lines, total_fen, actor, posted_at)
			VALUES ($1, 'mixed', 'test', $2, 2, 5, 'system:test', $3)`, id, c.ID, opened)
		if err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), `
			INSERT INTO sla.ledger_entries (transaction_id, line, account, currency, fen)
			VALUES ($1, 1, 'compensation_expense', 'CNY', 5), ($1, 2, 'owner_payable', 'HKD', -5)`, id)
		return err
	})
	require.True(t, pg.Violates(err, "ledger_balances"), "%v", err)
}

func TestTheLedgerOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDoor(t, r)
	c := r.live(r.late(time.Minute))
	r.late(11 * time.Minute)
	r.at(opened.Add(time.Hour))
	_, err := r.Void(t.Context(), finance, c.ID, c.Version, "given up")
	require.NoError(t, err)
	r.seal()

	balance := func(query, account string) float64 {
		got, _ := d.ask(finance, "GET", "/v1/ledger/accounts"+query, "", 200)
		for _, item := range got["items"].([]any) {
			if a := item.(map[string]any); a["account"] == account {
				return a["fen"].(float64)
			}
		}
		return -1
	}
	require.EqualValues(t, -5000, balance("", "owner_payable"))
	require.EqualValues(t, -7000, balance("?at="+opened.Format(time.RFC3339), "owner_payable"))
	require.EqualValues(t, 0, balance("?at="+opened.Add(-time.Second).Format(time.RFC3339), "owner_payable"))
	require.EqualValues(t, 0, balance("", "cash"))

	got, _ := d.ask(finance, "GET", "/v1/ledger/transactions?compensation_id="+c.ID.String(), "", 200)
	items := got["items"].([]any)
	require.Len(t, items, 2)
	accrual, void := items[0].(map[string]any), items[1].(map[string]any)
	require.Equal(t, "void", void["kind"])
	require.Equal(t, accrual["id"], void["reverses_id"])
	require.Equal(t, "finance:lin", void["by"])
	require.EqualValues(t, 3, void["seq"])
	for query, want := range map[string]int{"kind=accrual": 2, "account=cash": 0, "account=owner_payable": 3, "from=" + opened.Add(time.Minute).Format(time.RFC3339): 1, "to=" + opened.Format(time.RFC3339): 0} {
		got, _ := d.ask(finance, "GET", "/v1/ledger/transactions?"+query, "", 200)
		require.Len(t, got["items"], want, query)
	}
	seen, cursor := 0, ""
	for {
		got, _ := d.ask(finance, "GET", "/v1/ledger/transactions?limit=1&cursor="+cursor, "", 200)
		seen += len(got["items"].([]any))
		next, more := got["next_cursor"].(string)
		if !more {
			break
		}
		cursor = next
	}
	require.Equal(t, 3, seen)
	var newest []any
	cursor = ""
	for range 3 {
		got, _ := d.ask(finance, "GET", "/v1/ledger/transactions?order=newest&limit=1&cursor="+cursor, "", 200)
		newest = append(newest, got["items"].([]any)...)
		cursor, _ = got["next_cursor"].(string)
	}
	require.Empty(t, cursor, "that was the last")
	oldest, _ := d.ask(finance, "GET", "/v1/ledger/transactions", "", 200)
	slices.Reverse(newest)
	require.Equal(t, oldest["items"], newest, "the same, the other way round")
	require.Equal(t, void["id"], newest[0].(map[string]any)["reversed_by_id"])
	require.NotContains(t, void, "reversed_by_id")
	got, _ = d.ask(finance, "GET", "/v1/ledger/transactions?limit=1", "", 200)
	d.ask(finance, "GET", "/v1/ledger/transactions?order=newest&cursor="+got["next_cursor"].(string), "", 400)
	d.ask(finance, "GET", "/v1/ledger/transactions?order=middle", "", 400)
	_, err = r.LatestTransactions(t.Context(), operator, sla.TransactionFilter{}, sla.TransactionPlace{}, 1)
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	d.ask(finance, "GET", "/v1/ledger/transactions?account=petty_cash", "", 400)
	d.ask(operator, "GET", "/v1/ledger/transactions", "", 403)
	d.ask(operator, "GET", "/v1/ledger/accounts", "", 403)
	_, err = r.Transactions(t.Context(), operator, sla.TransactionFilter{}, sla.TransactionPlace{}, 1)
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
}

// TestRunChainsWhatIsPosted lets the service's own loop do it.
func TestRunChainsWhatIsPosted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := sla.New(r.pool, sla.Config{Now: r.now, SweepEvery: 5 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r.late(time.Minute)
	require.Eventually(t, func() bool {
		head, err := r.Head(context.Background())
		return err == nil && head.Seq == 1
	}, time.Minute, 10*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
}
