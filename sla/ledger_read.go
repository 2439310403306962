package sla

import (
	"context"
	"time"

	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
)

// Transaction is one posting as it stands in the ledger.
type Transaction struct {
	ID             uuid.UUID             `json:"id"`
	Key            string                `json:"key" doc:"What it is for; the same is never posted twice."`
	Kind           string                `json:"kind" example:"accrual"`
	CompensationID events.CompensationID `json:"compensation_id,omitzero"`
	BatchID        events.BatchID        `json:"batch_id,omitzero"`
	ReversesID     *uuid.UUID            `json:"reverses_id,omitempty" doc:"The transaction it takes back."`
	ReversedByID   *uuid.UUID            `json:"reversed_by_id,omitempty" doc:"The transaction that takes it back."`
	Total          Fen                   `json:"total_fen" doc:"Sum of the debits, in fen."`
	By             string                `json:"by" doc:"Who, as role:subject."`
	PostedAt       time.Time             `json:"posted_at"`
	BookedOn       string                `json:"booked_on,omitempty" doc:"Business day it belongs to: that of the payment where one is told, and never a closed one." example:"2026-03-02"`
	Lines          []Line                `json:"lines" nullable:"false"`
	Seq            int64                 `json:"seq,omitempty" doc:"Place in the chain; absent until it is chained, moments after posting."`
	prev, hash     []byte
}

// Line is one line of a transaction.
type Line struct {
	Account  Account `json:"account"`
	Currency string  `json:"currency" example:"CNY"`
	Fen      Fen     `json:"fen" doc:"Debits positive, credits negative."`
}

// AccountInfo describes an account.
type AccountInfo struct {
	Account Account `json:"account"`
	Side    string  `json:"side" enum:"debit,credit" doc:"On which side it grows."`
	Name    Words   `json:"name"`
}

// AccountBalance is an account and what it held at a moment.
type AccountBalance struct {
	AccountInfo
	Fen Fen `json:"fen" doc:"Debits positive, credits negative; all accounts together are zero."`
}

// TransactionFilter narrows a list of transactions; zero values do not.
type TransactionFilter struct {
	Account        Account // with a line on this account
	Kind           string
	CompensationID events.CompensationID
	BatchID        events.BatchID
	From, To       time.Time // posted at or after From and before To
}

// TransactionPlace is where a page of transactions ended.
type TransactionPlace = place[uuid.UUID]

// Balances gives every account's balance in fen, debits positive. They sum to
// zero.
func (s *Service) Balances(ctx context.Context) (_ map[Account]Fen, err error) {
	defer fault.Wrap(&err, "ledger balances")
	return sumAccounts(ctx, s.pool, nil)
}

// BalancesAt gives every account's balance of what had been posted by a
// moment, that moment included; the zero time is now. Finance and
// administrators may. A posting bears the time of the decision it books, so
// the balance at a moment long enough ago, a few seconds, never changes again.
func (s *Service) BalancesAt(ctx context.Context, by events.Actor, at time.Time) (_ []AccountBalance, err error) {
	defer fault.Wrap(&err, "ledger balances")
	if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	infos, err := listAccounts(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	sums, err := sumAccounts(ctx, s.pool, nullable(at))
	if err != nil {
		return nil, err
	}
	return mapped(infos, func(a AccountInfo) AccountBalance { return AccountBalance{a, sums[a.Account]} }), nil
}

// Transactions lists postings in the order of their time, at most limit of
// those after the place where the page before ended. Finance and administrators
// may.
func (s *Service) Transactions(ctx context.Context, by events.Actor, f TransactionFilter, after TransactionPlace, limit int) (_ []Transaction, err error) {
	defer fault.Wrap(&err, "ledger transactions")
	if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	return listTransactions(ctx, s.pool, f, after, limit)
}

// LatestTransactions lists postings from the latest on, at most limit of those
// before the place where the page before ended. Finance and administrators may.
func (s *Service) LatestTransactions(ctx context.Context, by events.Actor, f TransactionFilter, before TransactionPlace, limit int) (_ []Transaction, err error) {
	defer fault.Wrap(&err, "latest ledger transactions")
	if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	return listTransactionsBack(ctx, s.pool, f, before, limit)
}
