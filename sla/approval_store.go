package sla

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// leftWhy says in SQL why a compensation c, which rests on guarantee g, is not
// approved with others by the actor given; empty when it may be.
const leftWhy = `CASE
	WHEN c.approvers > 1 THEN 'four_eyes'
	WHEN sla.person(c.prepared_by) = sla.person(@by) THEN 'preparer'
	WHEN g.review <> '' THEN 'review'
	WHEN g.owed_fen <> c.fen OR EXISTS (SELECT FROM sla.payment_differences d WHERE d.compensation_id = c.id AND d.closed_at IS NULL) THEN 'verdict_differs'
	ELSE '' END`

// eachWaiting reads the accrued compensations that a filter selects, the
// oldest first, a row at a time. It is planned for the filter at hand each
// time: the plan for any filter whatever looks up each verdict by itself.
func eachWaiting(ctx context.Context, db events.Querier, f CompensationFilter, by events.Actor, each func(candidate)) error {
	f.State = Accrued
	rows, err := db.Query(ctx, `
		SELECT c.id, c.version, c.fen, `+strings.ReplaceAll(leftWhy, "@by", "$9")+`
		FROM sla.compensations c JOIN sla.guarantees g ON g.id = c.guarantee_id
		WHERE `+f.sql("c")+` ORDER BY c.accrued_at, c.id`, append([]any{pgx.QueryExecModeCacheDescribe}, append(f.args(), by.String())...)...)
	if err != nil {
		return err
	}
	var c candidate
	_, err = pgx.ForEachRow(rows, []any{&c.id, &c.version, &c.fen, &c.left}, func() error { each(c); return nil })
	return err
}

// lockWaiting takes those of some candidates that nobody else holds, as they are
// now, and says of each why it must be left, if it must. It asks for nothing but
// their identifiers, as updateStates does and for the same reason.
func lockWaiting(ctx context.Context, tx pgx.Tx, chunk []candidate, by events.Actor) (list []Compensation, left map[events.CompensationID]LeftReason, err error) {
	ids := make([]events.CompensationID, len(chunk))
	for i, c := range chunk {
		ids[i] = c.id
	}
	rows, err := tx.Query(ctx, `
		SELECT `+compensationColumns+` FROM sla.compensations
		WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED`, ids)
	if err != nil {
		return nil, nil, err
	}
	if list, err = pgx.CollectRows(rows, scanCompensation); err != nil {
		return nil, nil, err
	}
	// A statement of its own: it sees every verdict there was when the locks
	// were had. A later one finds the compensation approved, and voids it.
	if rows, err = tx.Query(ctx, `
		SELECT c.id, `+strings.ReplaceAll(leftWhy, "@by", "$2")+`
		FROM sla.compensations c JOIN sla.guarantees g ON g.id = c.guarantee_id WHERE c.id = ANY($1)`, ids, by.String()); err != nil {
		return nil, nil, err
	}
	left = make(map[events.CompensationID]LeftReason, len(list))
	var id events.CompensationID
	var why LeftReason
	_, err = pgx.ForEachRow(rows, []any{&id, &why}, func() error { left[id] = why; return nil })
	return list, left, err
}
