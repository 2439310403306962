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
