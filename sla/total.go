package sla

import (
	"context"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// Sum is what a filter selects: how many, and how much they come to. A list,
// its CSV and its XLSX carry the same.
type Sum struct {
	Lines int64 `json:"lines"`
	Fen   Fen   `json:"fen" doc:"What they come to, in fen."`
}

// TotaledBody is one page of a list, with the total of the whole list when it
// was asked for: counting is no matter of course on a long list.
type TotaledBody[T any] struct {
	Items      []T    `json:"items" nullable:"false"`
	NextCursor string `json:"next_cursor,omitempty" doc:"Give it as cursor to get the next page; absent on the last."`
	Total      *Sum   `json:"total,omitempty" doc:"Of all that the filter selects, whatever the page; when total was asked for."`
}

type totaled[T any] struct {
	Link string `header:"Link" doc:"The next page, rel=next."`
	Body TotaledBody[T]
}

// Totaling goes into the input of a list that can say its total.
type Totaling struct {
	Total bool `query:"total" doc:"Say also how many there are and what they come to, whatever the page."`
}

// totaledList makes a page of a list, with its total if that was asked for.
func totaledList[T any](t Totaling, list *web.List[T], sum func() (Sum, error)) (*totaled[T], error) {
	out := &totaled[T]{Link: list.Link, Body: TotaledBody[T]{Items: list.Body.Items, NextCursor: list.Body.NextCursor}}
	if t.Total {
		total, err := sum()
		if err != nil {
			return nil, err
		}
		out.Body.Total = &total
	}
	return out, nil
}

// TotalCompensations says how many compensations a filter selects and what
// they come to. Finance and administrators may.
func (s *Service) TotalCompensations(ctx context.Context, by events.Actor, f CompensationFilter) (_ Sum, err error) {
	defer fault.Wrap(&err, "total of compensations")
	if !by.Is(moneyReaders...) {
		return Sum{}, forbidden(by)
	}
	return sumOf(ctx, s.pool, `SELECT count(*), coalesce(sum(fen), 0)::bigint FROM sla.compensations c WHERE `+f.sql("c"), f.args())
}

// TotalTransactions says how many transactions a filter selects, and what
// their debits come to. Finance and administrators may.
func (s *Service) TotalTransactions(ctx context.Context, by events.Actor, f TransactionFilter) (_ Sum, err error) {
	defer fault.Wrap(&err, "total of ledger transactions")
	if !by.Is(moneyReaders...) {
		return Sum{}, forbidden(by)
	}
	return sumOf(ctx, s.pool, `SELECT count(*), coalesce(sum(t.total_fen), 0)::bigint FROM sla.ledger_transactions t WHERE `+transactionWhere, f.args())
}

func sumOf(ctx context.Context, db events.Querier, sql string, args []any) (sum Sum, err error) {
	err = db.QueryRow(ctx, sql, args...).Scan(&sum.Lines, &sum.Fen)
	return sum, err
}
