package sla

import (
	"context"
	"errors"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// The roles that see every promise and those that see what it costs.
var (
	promiseReaders = []events.Role{events.RoleOperator, events.RoleFinance, events.RoleAdmin}
	moneyReaders   = []events.Role{events.RoleFinance, events.RoleAdmin}
)

// Standing is how the promise of a request stands and what came of it.
type Standing struct {
	Guarantee     Guarantee
	Compensations []Compensation // void ones too, oldest first
	Differences   []Difference   // payments the present verdict does not bear out
}

// Live is the compensation that counts: the one that is not void.
func (s Standing) Live() (Compensation, bool) {
	for _, c := range s.Compensations {
		if c.State != Voided {
			return c, true
		}
	}
	return Compensation{}, false
}

// Standing tells how the promise of a request stands. Operators, finance and
// administrators see each; the others those of the requests they may see. A
// request without a guarantee, or of somebody else, is ErrNoGuarantee.
func (s *Service) Standing(ctx context.Context, by events.Actor, id events.RequestID) (_ Standing, err error) {
	defer fault.Wrap(&err, "guarantee of %s", id)
	if !by.Is(promiseReaders...) {
		if s.cfg.Visible == nil {
			return Standing{}, ErrNoGuarantee
		}
		if err := s.cfg.Visible(ctx, by, id); err != nil {
			return Standing{}, err
		}
	}
	return s.standing(ctx, id)
}

func (s *Service) standing(ctx context.Context, id events.RequestID) (st Standing, err error) {
	if st.Guarantee, err = findGuarantee(ctx, s.pool, id); err != nil {
		if pg.NotFound(err) {
			err = ErrNoGuarantee
		}
		return Standing{}, err
	}
	if st.Compensations, err = listOfRequest(ctx, s.pool, id); err != nil {
		return Standing{}, err
	}
	st.Differences, err = listDifferences(ctx, s.pool, id)
	return st, err
}

// RequestVerdict is what the page of a request shows of its promise, ready
// for JSON: a StandingBody, or nil while there is no guarantee. The caller has
// made sure that the reader may see the request.
func (s *Service) RequestVerdict(ctx context.Context, id events.RequestID) (_ any, err error) {
	defer fault.Wrap(&err, "verdict of %s", id)
	st, err := s.standing(ctx, id)
	if errors.Is(err, ErrNoGuarantee) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return standingBody(st, false), nil
}

// Guarantees lists guarantees by deadline, at most limit of those after the
// place where the page before ended.
func (s *Service) Guarantees(ctx context.Context, by events.Actor, f GuaranteeFilter, after GuaranteePlace, limit int) (_ []Guarantee, err error) {
	defer fault.Wrap(&err, "guarantees")
	if !by.Is(promiseReaders...) {
		return nil, forbidden(by)
	}
	return listGuarantees(ctx, s.pool, f, after, limit)
}

// Compensations lists compensations by accrual, at most limit of those after
// the place where the page before ended.
func (s *Service) Compensations(ctx context.Context, by events.Actor, f CompensationFilter, after CompensationPlace, limit int) (_ []Compensation, err error) {
	defer fault.Wrap(&err, "compensations")
	if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	return listCompensations(ctx, s.pool, f, after, limit)
}

// Compensation gives one compensation.
func (s *Service) Compensation(ctx context.Context, by events.Actor, id events.CompensationID) (_ Compensation, err error) {
	defer fault.Wrap(&err, "compensation %s", id)
	if !by.Is(moneyReaders...) {
		return Compensation{}, forbidden(by)
	}
	c, err := findCompensation(ctx, s.pool, id)
	if pg.NotFound(err) {
		err = ErrNoCompensation
	}
	return c, err
}
