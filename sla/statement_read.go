package sla

import (
	"context"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// Statements lists statements by month, at most limit of those after the
// place where the page before ended. Finance and administrators see all, a
// provider its own once they are issued.
func (s *Service) Statements(ctx context.Context, by events.Actor, f StatementFilter, after StatementPlace, limit int) (_ []Statement, err error) {
	defer fault.Wrap(&err, "statements")
	if by.Is(events.RoleProvider) {
		own, err := events.ParseID[events.ProviderID](by.Subject)
		if err != nil {
			return nil, err
		}
		if !f.ProviderID.IsZero() && f.ProviderID != own {
			return nil, ErrNoStatement
		}
		f.ProviderID, f.shown = own, true
	} else if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	return listStatements(ctx, s.pool, f, after, limit)
}

// Statement gives one statement.
func (s *Service) Statement(ctx context.Context, by events.Actor, id events.StatementID) (_ Statement, err error) {
	defer fault.Wrap(&err, "statement %s", id)
	if !by.Is(append([]events.Role{events.RoleProvider}, moneyReaders...)...) {
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
