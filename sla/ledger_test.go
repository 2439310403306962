package sla_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/internal/pg"
	"rescued/sla"
)

func TestPostingsAreNeverChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.late(time.Minute)
	for _, sql := range []string{
		`UPDATE sla.ledger_entries SET fen = fen * 2`,
		`UPDATE sla.ledger_transactions SET total_fen = 1`,
		`DELETE FROM sla.ledger_entries`,
		`DELETE FROM sla.ledger_transactions`,
		`TRUNCATE sla.ledger_entries`,
		`TRUNCATE sla.ledger_transactions CASCADE`,
		`UPDATE sla.ledger_chain SET hash = prev_hash`,
		`DELETE FROM sla.ledger_chain`,
		`SET session_replication_role = replica; DELETE FROM sla.ledger_entries`,
	} {
		_, err := r.pool.Exec(t.Context(), sql)
		require.True(t, pg.Violates(err, "never_changed"), "%s: %v", sql, err)
	}
	requireBalance(t, r, 2000)
}

func TestTheDatabaseRefusesWhatDoesNotBalance(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.live(r.late(time.Minute))
	type line struct {
		account string
		fen     int64
	}
	post := func(lines, total int64, entries ...line) error {
		return pg.InTx(t.Context(), r.pool, func(tx pgx.Tx) error {
			id := uuid.New()
			_, err := tx.Exec(t.Context(), `
				INSERT INTO sla.ledger_transactions (id, key, kind, compensation_id, lines, total_fen, actor, posted_at)
				VALUES ($1, $2, 'test', $3, $4, $5, 'system:test', $6)`, id, id.String(), c.ID, lines, total, opened)
			for n, e := range entries {
				if err == nil {
					_, err = tx.Exec(t.Context(), `INSERT INTO sla.ledger_entries (transaction_id, line, account, fen) VALUES ($1, $2, $3, $4)`, id, n+1, e.account, e.fen)
				}
			}
			return err
		})
	}
	payable, expense := string(sla.OwnerPayable), string(sla.CompensationExpense)
	require.NoError(t, post(2, 5, line{payable, -5}, line{expense, 5}))
	for name, err := range map[string]error{
		"one side":       post(2, 5, line{expense, 5}),
		"no lines":       post(2, 5),
		"unequal":        post(2, 5, line{payable, -4}, line{expense, 5}),
		"another total":  post(2, 6, line{payable, -5}, line{expense, 5}),
		"too many lines": post(2, 5, line{payable, -5}, line{expense, 5}, line{payable, -1}, line{expense, 1}),
	} {
		require.True(t, pg.Violates(err, "ledger_balances"), "%s: %v", name, err)
	}
	require.Error(t, post(2, 5, line{"petty_cash", -5}, line{expense, 5}), "an unknown account")

	// Nor can anybody add to a posting that stands, not even a balanced pair.
	err := pg.InTx(t.Context(), r.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `
			INSERT INTO sla.ledger_entries (transaction_id, line, account, fen)
			SELECT t.id, l.line, l.account, l.fen FROM sla.ledger_transactions t,
				(VALUES (3, 'owner_payable', -7), (4, 'compensation_expense', 7)) AS l (line, account, fen)
			WHERE t.kind = 'accrual'`)
		return err
	})
	require.True(t, pg.Violates(err, "ledger_balances"), "%v", err)
}

// What a posting names must be there, and stays there. That holds of a session
// that switches ordinary triggers off as well.
func TestAPostingNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.live(r.late(time.Minute))
	const head = `INSERT INTO sla.ledger_transactions (id, key, kind, compensation_id, batch_id, lines, total_fen, actor, posted_at) VALUES `
	const lines = `; INSERT INTO sla.ledger_entries (transaction_id, line, account, fen) VALUES `
	const nobody = `'00000000-0000-7000-8000-00000000000f'`
	const id = `'00000000-0000-7000-8000-000000000001'`
	of := `'` + c.ID.UUID().String() + `'`
	balanced := `(` + id + `, 1, 'cash', 5), (` + id + `, 2, 'owner_payable', -5)`
	posts := func(about, batch, then string) string {
		return head + `(` + id + `, 'a', 'test', ` + about + `, ` + batch + `, 2, 5, 'system:test', '2026-03-02')` + then
	}
	for sql, constraint := range map[string]string{
		posts(nobody, `NULL`, lines+balanced): "ledger_transactions_compensation_id_fkey",
		posts(of, nobody, lines+balanced):     "ledger_transactions_batch_id_fkey",
		posts(of, `NULL`, lines+`(`+id+`, 1, 'petty_cash', 5), (`+id+`, 2, 'owner_payable', -5)`):       "ledger_entries_account_fkey",
		posts(of, `NULL`, lines+balanced+`, (`+nobody+`, 1, 'cash', 5)`):                                "ledger_entries_transaction_id_fkey",
		posts(of, `NULL`, lines+balanced+`, (`+id+`, 3, 'cash', 5)`):                                    "ledger_balances",
		posts(of, `NULL`, lines+`(`+id+`, 1, 'cash', 5), (`+id+`, 2, 'owner_payable', -4)`):             "ledger_balances",
		posts(of, `NULL`, `; DELETE FROM sla.ledger_pending`):                                           "ledger_balances",
		posts(of, `NULL`, `; UPDATE sla.ledger_pending SET transaction_ids = '{}'`):                     "ledger_balances",
		`INSERT INTO sla.ledger_chain VALUES (9, ` + nobody + `, sha256(''), sha256(''), '2026-03-02')`: "ledger_chain_transaction_id_fkey",
		`INSERT INTO sla.ledger_unsealed VALUES (` + nobody + `)`:                                       "ledger_unsealed_transaction_id_fkey",
		`DELETE FROM sla.compensations`:                                                                 "never_changed",
		`TRUNCATE sla.compensations CASCADE`:                                                            "never_changed",
		`DELETE FROM sla.ledger_accounts WHERE code = 'cash'`:                                           "never_changed",
		`UPDATE sla.ledger_accounts SET code = 'petty_cash' WHERE code = 'cash'`:                        "never_changed",
	} {
		for _, session := range []string{``, `SET LOCAL session_replication_role = replica; `} {
			_, err := r.pool.Exec(t.Context(), `BEGIN; `+session+sql+`; COMMIT`)
			require.True(t, pg.Violates(err, constraint), "%s%s: %v", session, sql, err)
		}
	}
	// One that does not balance is found among many that do, and one that
	// balances in each of two currencies is taken.
	many := func(first string) error {
		_, err := r.pool.Exec(t.Context(), `BEGIN;
			INSERT INTO sla.ledger_transactions (id, key, kind, compensation_id, lines, total_fen, actor, posted_at)
				SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'many:' || n, 'test', `+of+`, 4, 12, 'system:test', '2026-03-02' FROM generate_series(1, 50) n;
			INSERT INTO sla.ledger_entries (transaction_id, line, account, currency, fen)
				SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, l.line, l.account, l.currency, l.fen FROM generate_series(1, 50) n,
					(VALUES (1, 'cash', 'CNY', 5), (2, 'owner_payable', 'CNY', -5), (3, 'cash', 'HKD', 7), (4, 'owner_payable', 'HKD', -7)) AS l (line, account, currency, fen)
				WHERE NOT (n = 33 AND `+first+`);
			COMMIT`)
		return err
	}
	require.True(t, pg.Violates(many(`l.line = 4`), "ledger_balances"))
	require.NoError(t, many(`false`))
	var left int
	require.NoError(t, r.pool.QueryRow(t.Context(), `SELECT count(*) FROM sla.ledger_pending`).Scan(&left))
	require.Zero(t, left)
}
