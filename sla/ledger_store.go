package sla

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"rescued/events"
	"rescued/internal/pg"
)

// insertPostings posts any number of transactions in two statements. A key
// that is in the ledger already is ErrAlreadyPosted.
func insertPostings(ctx context.Context, tx pgx.Tx, ps ...posting) error {
	if len(ps) == 0 {
		return nil
	}
	n := len(ps)
	ids, compensations, batches, reverses := make(uuidArray, n), make(uuidArray, n), make(uuidArray, n), make(uuidArray, n)
	keys, kinds, actors := make([]string, n), make([]string, n), make([]string, n)
	counts, totals, times, days := make([]int32, n), make([]int64, n), make([]time.Time, n), make(pgtype.FlatArray[pgtype.Date], n)
	of := make(uuidArray, 0, 2*n)
	lines, accounts, amounts := make([]int32, 0, 2*n), make([]string, 0, 2*n), make([]int64, 0, 2*n)
	for i, p := range ps {
		ids[i], keys[i], kinds[i], actors[i] = uuidOf(p.id), p.key, p.kind, p.by.String()
		compensations[i], batches[i] = uuidOf(p.compensation.UUID()), uuidOf(p.batch.UUID())
		if p.reverses != nil {
			reverses[i] = uuidOf(*p.reverses)
		}
		counts[i], totals[i], times[i] = int32(len(p.entries)), int64(p.total), p.at
		days[i] = pgtype.Date{Time: p.bookedOn, Valid: !p.bookedOn.IsZero()}
		for line, e := range p.entries {
			of, lines = append(of, ids[i]), append(lines, int32(line+1))
			accounts, amounts = append(accounts, string(e.account)), append(amounts, int64(e.fen))
		}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO sla.ledger_transactions (id, key, kind, compensation_id, batch_id, reverses_id, lines, total_fen, actor, posted_at, booked_on)
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::int[], $8::bigint[], $9::text[], $10::timestamptz[], $11::date[])`,
		ids, keys, kinds, compensations, batches, reverses, counts, totals, actors, times, days)
	if pg.Violates(err, "ledger_transactions_key_key") || pg.Violates(err, "ledger_transactions_reverses_id_key") {
		return ErrAlreadyPosted.Because(err)
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO sla.ledger_entries (transaction_id, line, account, fen)
		SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bigint[])`, of, lines, accounts, amounts)
	return err
}

// uuidArray is an array parameter that is encoded without reflection, which
// for a portion of thousands takes as long as the statement.
type uuidArray = pgtype.FlatArray[pgtype.UUID]

// uuidOf is one of them; the zero UUID is NULL.
func uuidOf(u uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: u, Valid: u != uuid.Nil} }

// uuidsOf writes identifiers as an array.
func uuidsOf[T interface{ UUID() uuid.UUID }](ids []T) uuidArray {
	list := make(uuidArray, len(ids))
	for i, id := range ids {
		list[i] = uuidOf(id.UUID())
	}
	return list
}

// findPosting gives a posted transaction by its key.
func findPosting(ctx context.Context, tx pgx.Tx, key string) (posting, error) {
	list, err := listPostings(ctx, tx, []string{key})
	if err != nil {
		return posting{}, err
	}
	if len(list) == 0 {
		return posting{}, pgx.ErrNoRows
	}
	return list[key], nil
}

// listPostings gives posted transactions by their keys, as they can be reversed.
func listPostings(ctx context.Context, tx pgx.Tx, keys []string) (map[string]posting, error) {
	rows, err := tx.Query(ctx, `
		SELECT t.id, t.key, t.compensation_id, t.batch_id, t.total_fen, e.account, e.fen
		FROM sla.ledger_transactions t JOIN sla.ledger_entries e ON e.transaction_id = t.id
		WHERE t.key = ANY($1) ORDER BY t.id, e.line`, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[string]posting, len(keys))
	var p posting
	var e entry
	_, err = pgx.ForEachRow(rows, []any{&p.id, &p.key, &p.compensation, &p.batch, &p.total, &e.account, &e.fen}, func() error {
		p.entries = append(found[p.key].entries, e)
		found[p.key] = p
		return nil
	})
	return found, err
}

// sumAccounts gives each account's balance of what was posted up to at,
// debits positive.
func sumAccounts(ctx context.Context, db events.Querier, at *time.Time) (map[Account]Fen, error) {
	rows, err := db.Query(ctx, `
		SELECT a.code, coalesce(s.fen, 0)::bigint FROM sla.ledger_accounts a LEFT JOIN (
			SELECT e.account, sum(e.fen) AS fen FROM sla.ledger_entries e
			WHERE $1::timestamptz IS NULL OR EXISTS (
				SELECT FROM sla.ledger_transactions t WHERE t.id = e.transaction_id AND t.posted_at <= $1)
			GROUP BY e.account) s ON s.account = a.code`, at)
	if err != nil {
		return nil, err
	}
	balances := map[Account]Fen{}
	var account Account
	var fen Fen
	_, err = pgx.ForEachRow(rows, []any{&account, &fen}, func() error {
		balances[account] = fen
		return nil
	})
	return balances, err
}

// listAccounts gives the chart of accounts.
func listAccounts(ctx context.Context, db events.Querier) ([]AccountInfo, error) {
	rows, err := db.Query(ctx, `SELECT code, side, name_zh, name_en FROM sla.ledger_accounts ORDER BY code`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (AccountInfo, error) {
		var a AccountInfo
		err := row.Scan(&a.Account, &a.Side, &a.Name.ZH, &a.Name.EN)
		return a, err
	})
}

// transactionColumns reads a transaction t and its lines in one row, and its
// place in the chain k when it has one.
const transactionColumns = `t.id, t.key, t.kind, t.compensation_id, t.batch_id, t.reverses_id, t.total_fen, t.actor, t.posted_at, coalesce(t.booked_on::text, ''),
	(SELECT json_agg(json_build_object('account', e.account, 'currency', e.currency, 'fen', e.fen) ORDER BY e.line)
	 FROM sla.ledger_entries e WHERE e.transaction_id = t.id), k.seq, k.prev_hash, k.hash`

func scanTransaction(row pgx.CollectableRow) (Transaction, error) {
	var t Transaction
	var seq *int64
	err := row.Scan(&t.ID, &t.Key, &t.Kind, &t.CompensationID, &t.BatchID, &t.ReversesID, &t.Total, &t.By, &t.PostedAt, &t.BookedOn,
		&t.Lines, &seq, &t.prev, &t.hash)
	t.PostedAt = t.PostedAt.UTC()
	if seq != nil {
		t.Seq = *seq
	}
	return t, err
}

// transactionWhere is the condition of a TransactionFilter on transactions t;
// its arguments are the first of the statement.
const transactionWhere = `($1 = '' OR t.kind = $1) AND ($2::uuid IS NULL OR t.compensation_id = $2) AND ($3::uuid IS NULL OR t.batch_id = $3)
	AND ($4 = '' OR EXISTS (SELECT FROM sla.ledger_entries e WHERE e.transaction_id = t.id AND e.account = $4))
	AND t.posted_at >= coalesce($5, '-infinity'::timestamptz) AND t.posted_at < coalesce($6, 'infinity'::timestamptz)`

func (f TransactionFilter) args() []any {
	return []any{f.Kind, f.CompensationID, f.BatchID, string(f.Account), nullable(f.From), nullable(f.To)}
}

// listTransactions reads a page by posting, after the row (postedAt, id).
func listTransactions(ctx context.Context, db events.Querier, f TransactionFilter, after TransactionPlace, limit int) ([]Transaction, error) {
	rows, err := db.Query(ctx, `
		SELECT `+transactionColumns+`
		FROM sla.ledger_transactions t LEFT JOIN sla.ledger_chain k ON k.transaction_id = t.id
		WHERE `+transactionWhere+`
			AND (t.posted_at, t.id) > (coalesce($7, '-infinity'::timestamptz), $8::uuid)
		ORDER BY t.posted_at, t.id LIMIT $9`,
		append(f.args(), nullable(after.At), after.ID, limit)...)
	if err != nil {
		return nil, err
	}
	return reversalsOf(ctx, db, rows)
}

// listTransactionsBack is listTransactions from the latest on, before the row
// (postedAt, id).
func listTransactionsBack(ctx context.Context, db events.Querier, f TransactionFilter, before TransactionPlace, limit int) ([]Transaction, error) {
	rows, err := db.Query(ctx, `
		SELECT `+transactionColumns+`
		FROM sla.ledger_transactions t LEFT JOIN sla.ledger_chain k ON k.transaction_id = t.id
		WHERE `+transactionWhere+`
			AND (t.posted_at, t.id) < (coalesce($7, 'infinity'::timestamptz), $8::uuid)
		ORDER BY t.posted_at DESC, t.id DESC LIMIT $9`,
		append(f.args(), nullable(before.At), before.ID, limit)...)
	if err != nil {
		return nil, err
	}
	return reversalsOf(ctx, db, rows)
}

// reversalsOf reads transactions and says of each by which it was taken back.
// It asks for a page at once: what walks the whole ledger has no use for it.
func reversalsOf(ctx context.Context, db events.Querier, rows pgx.Rows) ([]Transaction, error) {
	list, err := pgx.CollectRows(rows, scanTransaction)
	if err != nil || len(list) == 0 {
		return list, err
	}
	at, ids := make(map[uuid.UUID]*Transaction, len(list)), make(uuidArray, len(list))
	for i := range list {
		at[list[i].ID], ids[i] = &list[i], uuidOf(list[i].ID)
	}
	rows, err = db.Query(ctx, `SELECT reverses_id, id FROM sla.ledger_transactions WHERE reverses_id = ANY($1::uuid[])`, ids)
	if err != nil {
		return nil, err
	}
	var taken, by uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&taken, &by}, func() error {
		id := by
		at[taken].ReversedByID = &id
		return nil
	})
	return list, err
}
