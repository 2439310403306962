package sla

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/web"
)

type accountsInput struct {
	At time.Time `query:"at" doc:"Balances as they stood at this moment, which is included; now when missing."`
}

// AccountsBody is the chart of accounts with balances.
type AccountsBody struct {
	At    *time.Time       `json:"at,omitempty" doc:"The moment asked for; absent when none was: the balances are the present ones."`
	Items []AccountBalance `json:"items" nullable:"false"`
	Head  ChainHead        `json:"head" doc:"The present head of the chain. Keep it elsewhere to be able to prove that nothing before it was changed."`
}

type accountsOutput struct{ Body AccountsBody }

type listTransactionsInput struct {
	web.Listing
	Totaling
	Account        string                `query:"account" enum:"owner_payable,compensation_expense,provider_receivable,partner_share,service_cost,provider_payable,payout_clearing,cash" doc:"Only those with a line on this account."`
	Kind           string                `query:"kind" maxLength:"40" doc:"Only those of this kind, such as accrual or void."`
	CompensationID events.CompensationID `query:"compensation_id" doc:"Only those about this compensation."`
	BatchID        events.BatchID        `query:"batch_id" doc:"Only those about this batch."`
	From           time.Time             `query:"from" doc:"Posted at or after this moment."`
	To             time.Time             `query:"to" doc:"Posted before this moment."`
	Order          string                `query:"order" enum:"oldest,newest" default:"oldest" doc:"Which comes first. A cursor of one order is none of the other."`
}

type movesInput struct {
	Account Account   `path:"account" enum:"owner_payable,compensation_expense,provider_receivable,partner_share,service_cost,provider_payable,payout_clearing,cash"`
	From    time.Time `query:"from" doc:"From this moment on; from the beginning when missing."`
	To      time.Time `query:"to" doc:"To this moment, which is not included; to now when missing."`
}

type movesOutput struct{ Body AccountMoves }

type transactionInput struct {
	ID uuid.UUID `path:"id" format:"uuid"`
}

type transactionOutput struct{ Body TransactionView }

func (s *Service) registerLedger(api huma.API) {
	ledger := func(id, path, summary, about string) huma.Operation {
		op := operation(id, http.MethodGet, path, summary, about)
		op.Tags = []string{"Ledger"}
		return op
	}
	web.Register(api, ledger("listAccounts", "/v1/ledger/accounts",
		"Accounts and their balances", "As they stand now or stood at any past moment. All accounts together are zero."),
		web.Only(moneyReaders...), func(ctx context.Context, in *accountsInput) (*accountsOutput, error) {
			by, _ := web.ActorFrom(ctx)
			list, err := s.BalancesAt(ctx, by, in.At)
			if err != nil {
				return nil, err
			}
			head, err := s.Head(ctx)
			return &accountsOutput{AccountsBody{nullable(in.At), list, head}}, err
		})
	web.Register(api, ledger("readAccount", "/v1/ledger/accounts/{account}",
		"What moved on an account", "Its balance at the beginning and the end of a period, and its debits and credits between."),
		web.Only(moneyReaders...), func(ctx context.Context, in *movesInput) (*movesOutput, error) {
			by, _ := web.ActorFrom(ctx)
			m, err := s.Moves(ctx, by, in.Account, in.From, in.To)
			if err != nil {
				return nil, err
			}
			return &movesOutput{m}, nil
		})
	web.Register(api, ledger("readTransaction", "/v1/ledger/transactions/{id}",
		"One ledger transaction", "With its place and links in the chain, and the transaction that takes it back, if one does."),
		web.Only(moneyReaders...), func(ctx context.Context, in *transactionInput) (*transactionOutput, error) {
			by, _ := web.ActorFrom(ctx)
			v, err := s.Transaction(ctx, by, in.ID)
			if err != nil {
				return nil, err
			}
			return &transactionOutput{v}, nil
		})
	web.Register(api, ledger("listTransactions", "/v1/ledger/transactions",
		"List ledger transactions by posting", "Each balanced and never changed; a correction is a transaction that reverses another."),
		web.Only(moneyReaders...), s.listTransactions)
}

func (s *Service) listTransactions(ctx context.Context, in *listTransactionsInput) (*totaled[Transaction], error) {
	by, _ := web.ActorFrom(ctx)
	if err := checkPeriod(in.From, in.To); err != nil {
		return nil, err
	}
	f := TransactionFilter{
		Account: Account(in.Account), Kind: in.Kind, CompensationID: in.CompensationID, BatchID: in.BatchID, From: in.From, To: in.To,
	}
	kind, read := "transactions", s.Transactions
	if in.Order == "newest" {
		kind, read = "transactions_newest", s.LatestTransactions
	}
	list, err := listed(ctx, kind, in.Listing, func(_ events.Actor, after TransactionPlace, limit int) ([]Transaction, error) {
		return read(ctx, by, f, after, limit)
	}, func(t Transaction) Transaction { return t }, func(t Transaction) TransactionPlace { return TransactionPlace{t.PostedAt, t.ID} })
	if err != nil {
		return nil, err
	}
	return totaledList(in.Totaling, list, func() (Sum, error) {
		return s.TotalTransactions(ctx, by, f)
	})
}
