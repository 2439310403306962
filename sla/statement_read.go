package sla

import (
	"context"
	"slices"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// statementReaders see statements: a provider or partner its own.
var statementReaders = append(slices.Clone(moneyReaders), counterparties...)

// Statements lists statements by month, at most limit of those after the
// place where the page before ended. Finance and administrators see all, a
// provider or partner its own once they are issued.
func (s *Service) Statements(ctx context.Context, by events.Actor, f StatementFilter, after StatementPlace, limit int) (_ []Statement, err error) {
	defer fault.Wrap(&err, "statements")
	own, err := ownBearer(by)
	if err != nil {
		return nil, err
	}
	if own.Bearer != "" {
		if !own.within(f.Of.Bearer, f.Of.ID) {
			return nil, ErrNoStatement
		}
		f.Of, f.shown = own, true
	}
	return listStatements(ctx, s.pool, f, after, limit)
}

// Statement gives one statement.
func (s *Service) Statement(ctx context.Context, by events.Actor, id events.StatementID) (_ Statement, err error) {
	defer fault.Wrap(&err, "statement %s", id)
	if !by.Is(statementReaders...) {
		return Statement{}, forbidden(by)
	}
	st, err := findStatement(ctx, s.pool, id)
	if pg.NotFound(err) {
		err = ErrNoStatement
	}
	if err == nil {
		err = st.visible(by)
	}
	if err != nil {
		return Statement{}, err
	}
	return st, nil
}

// StatementLines lists the lines of a statement in their order, at most limit
// of those after line number after.
func (s *Service) StatementLines(ctx context.Context, by events.Actor, id events.StatementID, f ItemFilter, after, limit int) (_ []StatementLine, err error) {
	defer fault.Wrap(&err, "lines of statement %s", id)
	if _, err := s.Statement(ctx, by, id); err != nil {
		return nil, err
	}
	return listStatementLines(ctx, s.pool, id, f, after, limit)
}
