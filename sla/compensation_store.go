package sla

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
)

const compensationColumns = `id, guarantee_id, request_id, area, state, version, fen, policy, policy_version, reasons,
	import_id, prepared_by, approvers, queued, vehicle, month, bounces, bounced_why, bounced_at,
	accrued_at, approved_by, approved_why, first_approved_by, first_approved_why,
	disputed_by, disputed_why, voided_by, voided_why, changed_at`

func scanCompensation(row pgx.CollectableRow) (Compensation, error) {
	var c Compensation
	var bounced *time.Time
	err := row.Scan(&c.ID, &c.GuaranteeID, &c.RequestID, &c.Area, &c.State, &c.Version, &c.Fen, &c.Policy, &c.PolicyVersion, &c.Reasons,
		&c.ImportID, &c.PreparedBy, &c.Approvers, &c.Queued, &c.Vehicle, &c.Month, &c.Bounces, &c.BouncedWhy, &bounced,
		&c.AccruedAt, &c.ApprovedBy, &c.ApprovedWhy, &c.FirstApprovedBy, &c.FirstApprovedWhy, &c.DisputedBy, &c.DisputedWhy, &c.VoidedBy, &c.VoidedWhy, &c.ChangedAt)
	c.AccruedAt, c.ChangedAt, c.BouncedAt = c.AccruedAt.UTC(), c.ChangedAt.UTC(), utc(bounced)
	return c, err
}

var compensationColumnNames = strings.Fields(strings.ReplaceAll(compensationColumns, ",", " "))

// insertCompensations writes new compensations.
func insertCompensations(ctx context.Context, tx pgx.Tx, list []Compensation) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"sla", "compensations"}, compensationColumnNames,
		pgx.CopyFromSlice(len(list), func(i int) ([]any, error) {
			c := list[i]
			if c.Queued == nil {
				c.Queued = []events.Reason{}
			}
			return []any{c.ID, c.GuaranteeID, c.RequestID, c.Area, string(c.State), c.Version, int64(c.Fen), c.Policy, c.PolicyVersion, c.Reasons,
				c.ImportID, c.PreparedBy, c.Approvers, c.Queued, c.Vehicle, c.Month, c.Bounces, c.BouncedWhy, nullable(c.BouncedAt),
				c.AccruedAt, c.ApprovedBy, c.ApprovedWhy, c.FirstApprovedBy, c.FirstApprovedWhy, c.DisputedBy, c.DisputedWhy, c.VoidedBy, c.VoidedWhy, c.ChangedAt}, nil
		}))
	return err
}

// updateCompensations writes what a decision may change of each, whose Version
// is the new one, over the version before it.
func updateCompensations(ctx context.Context, tx pgx.Tx, list []Compensation) error {
	n := len(list)
	ids, versions, states := make([]events.CompensationID, n), make([]int64, n), make([]string, n)
	changed := make([]time.Time, n)
	var texts [8][]string
	for i, c := range list {
		ids[i], versions[i], states[i], changed[i] = c.ID, c.Version, string(c.State), c.ChangedAt
		for t, text := range []string{c.ApprovedBy, c.ApprovedWhy, c.DisputedBy, c.DisputedWhy, c.VoidedBy, c.VoidedWhy, c.FirstApprovedBy, c.FirstApprovedWhy} {
			texts[t] = append(texts[t], text)
		}
	}
	tag, err := tx.Exec(ctx, `
		UPDATE sla.compensations c SET state = u.state, version = u.version, changed_at = u.changed_at,
			approved_by = u.approved_by, approved_why = u.approved_why, disputed_by = u.disputed_by, disputed_why = u.disputed_why,
			voided_by = u.voided_by, voided_why = u.voided_why, first_approved_by = u.first_by, first_approved_why = u.first_why
		FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[],
			$5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
			AS u (id, version, state, changed_at, approved_by, approved_why, disputed_by, disputed_why, voided_by, voided_why, first_by, first_why)
		WHERE c.id = u.id AND c.version = u.version - 1`,
		ids, versions, states, changed, texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], texts[6], texts[7])
	if err == nil && tag.RowsAffected() != int64(n) {
		return ErrStale
	}
	return err
}

// lockLive gives the compensation of a guarantee that is not void, locked.
func lockLive(ctx context.Context, tx pgx.Tx, id events.GuaranteeID) (Compensation, error) {
	rows, err := tx.Query(ctx, `SELECT `+compensationColumns+` FROM sla.compensations
		WHERE guarantee_id = $1 AND state <> 'void' FOR UPDATE`, id)
	if err != nil {
		return Compensation{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanCompensation)
}

func lockCompensation(ctx context.Context, tx pgx.Tx, id events.CompensationID) (Compensation, error) {
	rows, err := tx.Query(ctx, `SELECT `+compensationColumns+` FROM sla.compensations WHERE id = $1 FOR UPDATE`, id)
	if err != nil {
		return Compensation{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanCompensation)
}

func findCompensation(ctx context.Context, db events.Querier, id events.CompensationID) (Compensation, error) {
	rows, err := db.Query(ctx, `SELECT `+compensationColumns+` FROM sla.compensations WHERE id = $1`, id)
	if err != nil {
		return Compensation{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanCompensation)
}

// listOfRequest gives every compensation of a request, void ones too, oldest first.
func listOfRequest(ctx context.Context, db events.Querier, id events.RequestID) ([]Compensation, error) {
	rows, err := db.Query(ctx, `SELECT `+compensationColumns+` FROM sla.compensations
		WHERE request_id = $1 ORDER BY accrued_at, id`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanCompensation)
}

// CompensationFilter narrows a list of compensations; zero values do not.
type CompensationFilter struct {
	State     CompensationState
	Area      string
	Policy    string
	RequestID events.RequestID
	From, To  time.Time // accrued at or after From and before To
	ImportID  events.ImportID
	UpTo      Fen // at most this much each
}

// sql is the filter's condition on the table or alias; its arguments, args,
// are the first of the statement. The list, its total and its export share it,
// so that they speak of the same rows.
func (f CompensationFilter) sql(of string) string {
	return strings.ReplaceAll(`($1 = '' OR @.state = $1) AND ($2 = '' OR @.area = $2) AND ($3 = '' OR @.policy = $3)
		AND ($4::uuid IS NULL OR @.request_id = $4)
		AND @.accrued_at >= coalesce($5, '-infinity'::timestamptz) AND @.accrued_at < coalesce($6, 'infinity'::timestamptz)
		AND ($7::uuid IS NULL OR @.import_id = $7) AND ($8 = 0 OR @.fen <= $8)`, "@", of)
}

func (f CompensationFilter) args() []any {
	return []any{string(f.State), f.Area, f.Policy, f.RequestID, nullable(f.From), nullable(f.To), f.ImportID, f.UpTo}
}

// listCompensations reads a page by accrual, after the row (accruedAt, id).
func listCompensations(ctx context.Context, db events.Querier, f CompensationFilter, after CompensationPlace, limit int) ([]Compensation, error) {
	rows, err := db.Query(ctx, `
		SELECT `+compensationColumns+` FROM sla.compensations
		WHERE `+f.sql("compensations")+`
			AND (accrued_at, id) > (coalesce($9, '-infinity'::timestamptz), coalesce($10, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY accrued_at, id LIMIT $11`,
		append(f.args(), nullable(after.At), after.ID, limit)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanCompensation)
}

// upsertDifference notes that what was paid is not what is owed now, or
// renews an open note with the present figure.
func upsertDifference(ctx context.Context, tx pgx.Tx, c Compensation, owed Fen, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO sla.payment_differences (id, compensation_id, guarantee_id, request_id, paid_fen, owed_fen, noted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (compensation_id) WHERE closed_at IS NULL DO UPDATE SET owed_fen = excluded.owed_fen`,
		uuid.Must(uuid.NewV7()), c.ID, c.GuaranteeID, c.RequestID, c.Fen, owed, now)
	return err
}

// closeDifference closes an open note, if there is one.
func closeDifference(ctx context.Context, tx pgx.Tx, id events.CompensationID, why string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE sla.payment_differences SET closed_at = $2, closed_why = $3
		WHERE compensation_id = $1 AND closed_at IS NULL`, id, now, why)
	return err
}

// Difference is a payment that a later verdict does not bear out.
type Difference struct {
	CompensationID events.CompensationID
	PaidFen        Fen
	OwedFen        Fen // by the present verdict
	NotedAt        time.Time
}

// listDifferences gives the open notes of a request.
func listDifferences(ctx context.Context, db events.Querier, id events.RequestID) ([]Difference, error) {
	rows, err := db.Query(ctx, `SELECT compensation_id, paid_fen, owed_fen, noted_at FROM sla.payment_differences
		WHERE request_id = $1 AND closed_at IS NULL ORDER BY noted_at, id`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Difference])
}
