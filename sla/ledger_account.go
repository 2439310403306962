package sla

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
)

// AccountMoves is what moved on an account between two moments.
type AccountMoves struct {
	AccountInfo
	From    *time.Time `json:"from,omitempty" doc:"Posted at or after it; absent: from the beginning."`
	To      *time.Time `json:"to,omitempty" doc:"And before it; absent: to now."`
	Opening Fen        `json:"opening_fen" doc:"Balance at the beginning, debits positive."`
	Debits  Fen        `json:"debits_fen"`
	Credits Fen        `json:"credits_fen" doc:"As a positive amount."`
	Closing Fen        `json:"closing_fen" doc:"Opening and debits less credits."`
	Lines   int64      `json:"lines"`
}

// Errors of reads of the ledger.
var (
	ErrNoAccount     = fault.New(fault.NotFound, "account_not_found", "There is no such account; GET /v1/ledger/accounts lists them.")
	ErrNoTransaction = fault.New(fault.NotFound, "transaction_not_found", "There is no such ledger transaction.")
)

// Moves gives what moved on an account from one moment to another; zero times
// leave that end open. Finance and administrators may.
func (s *Service) Moves(ctx context.Context, by events.Actor, account Account, from, to time.Time) (m AccountMoves, err error) {
	defer fault.Wrap(&err, "moves of account %s", account)
	if !by.Is(moneyReaders...) {
		return m, forbidden(by)
	}
	if err := checkPeriod(from, to); err != nil {
		return m, err
	}
	infos, err := listAccounts(ctx, s.pool)
	if err != nil {
		return m, err
	}
	i := slices.IndexFunc(infos, func(a AccountInfo) bool { return a.Account == account })
	if i < 0 {
		return m, ErrNoAccount
	}
	m = AccountMoves{AccountInfo: infos[i], From: nullable(from), To: nullable(to)}
	err = s.pool.QueryRow(ctx, `
		SELECT coalesce(sum(e.fen) FILTER (WHERE t.posted_at < coalesce($2, '-infinity'::timestamptz)), 0)::bigint,
			coalesce(sum(e.fen) FILTER (WHERE e.fen > 0 AND t.posted_at >= coalesce($2, '-infinity'::timestamptz)), 0)::bigint,
			coalesce(-sum(e.fen) FILTER (WHERE e.fen < 0 AND t.posted_at >= coalesce($2, '-infinity'::timestamptz)), 0)::bigint,
			count(*) FILTER (WHERE t.posted_at >= coalesce($2, '-infinity'::timestamptz))
		FROM sla.ledger_entries e JOIN sla.ledger_transactions t ON t.id = e.transaction_id
		WHERE e.account = $1 AND t.posted_at < coalesce($3, 'infinity'::timestamptz)`,
		string(account), m.From, m.To).Scan(&m.Opening, &m.Debits, &m.Credits, &m.Lines)
	m.Closing = m.Opening + m.Debits - m.Credits
	return m, err
}

// TransactionView is one transaction with its links in the chain.
type TransactionView struct {
	Transaction
	Hash     string `json:"hash,omitempty" doc:"Its link in the chain, in hexadecimal; absent until it is chained."`
	PrevHash string `json:"prev_hash,omitempty" doc:"The link before it."`
}

// Transaction gives one transaction. Finance and administrators may.
func (s *Service) Transaction(ctx context.Context, by events.Actor, id uuid.UUID) (v TransactionView, err error) {
	defer fault.Wrap(&err, "ledger transaction %s", id)
	if !by.Is(moneyReaders...) {
		return v, forbidden(by)
	}
	rows, err := s.pool.Query(ctx, `
		SELECT `+transactionColumns+`
		FROM sla.ledger_transactions t LEFT JOIN sla.ledger_chain k ON k.transaction_id = t.id
		WHERE t.id = $1`, id)
	if err != nil {
		return v, err
	}
	list, err := reversalsOf(ctx, s.pool, rows)
	if err != nil {
		return v, err
	}
	if len(list) == 0 {
		return v, ErrNoTransaction
	}
	v.Transaction = list[0]
	v.Hash, v.PrevHash = hex.EncodeToString(list[0].hash), hex.EncodeToString(list[0].prev)
	return v, nil
}
