package sla

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/pg"
)

const statementColumns = `id, bearer, bearer_id, month, from_at, to_at, state, version, services, late, fees_fen, charges_fen, compensation_fen, disputed,
	drafted_by, drafted_at, issued_by, issued_at, disputes_until, confirmed_by, confirmed_at, fapiao_number, tax_pct, invoiced_by, invoiced_at,
	settled_by, settled_at, settled_how, settled_ref, changed_at`

func scanStatement(row pgx.CollectableRow) (Statement, error) {
	var s Statement
	var issued, until, confirmed, invoiced, settled *time.Time
	err := row.Scan(&s.ID, &s.Of.Bearer, &s.Of.ID, &s.Month, &s.From, &s.To, &s.State, &s.Version, &s.Services, &s.Late, &s.Fees, &s.Charges, &s.Compensation, &s.Disputed,
		&s.DraftedBy, &s.DraftedAt, &s.IssuedBy, &issued, &until, &s.ConfirmedBy, &confirmed, &s.Fapiao.Number, &s.Fapiao.TaxPct, &s.InvoicedBy, &invoiced,
		&s.SettledBy, &settled, &s.Settlement.How, &s.Settlement.Ref, &s.ChangedAt)
	s.From, s.To, s.DraftedAt, s.ChangedAt = s.From.UTC(), s.To.UTC(), s.DraftedAt.UTC(), s.ChangedAt.UTC()
	s.IssuedAt, s.DisputesUntil, s.ConfirmedAt, s.InvoicedAt, s.SettledAt = utc(issued), utc(until), utc(confirmed), utc(invoiced), utc(settled)
	return s, err
}

// insertStatement is ErrStatementExists when the month has one.
func insertStatement(ctx context.Context, tx pgx.Tx, s Statement) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO sla.statements (id, bearer, bearer_id, month, from_at, to_at, state, version, drafted_by, drafted_at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)`,
		s.ID, string(s.Of.Bearer), s.Of.ID, s.Month, s.From, s.To, s.State, s.Version, s.DraftedBy, s.DraftedAt)
	if pg.Violates(err, "one_statement_a_month") {
		return ErrStatementExists.Because(err)
	}
	return err
}

// rescuesOf is which of the rescues there were are on whose statement. A
// provider's are those that earned a fee: a call-off earns none, however late.
// A partner's are all that were promised its customers and came to a verdict.
var rescuesOf = map[Bearer]string{
	BearerProvider: `g.provider_id = $2 AND NOT g.cancelled`,
	BearerPartner:  `g.partner_id = $2`,
}

// insertStatementLines lists what belongs on a draft: the services of its
// month, with those of earlier months that were not known when their own
// statement was drafted; charges that no statement lists; and credits for
// charges of closed statements that were taken back since.
//
// The charges are locked: one that is being taken back at this moment is
// either not listed, or taken off the list by whoever takes it back.
//
// Where there is no line it is ErrNothingToState.
func insertStatementLines(ctx context.Context, tx pgx.Tx, s Statement) error {
	if _, err := tx.Exec(ctx, `SELECT FROM sla.chargebacks
		WHERE bearer = $1 AND bearer_id = $2 AND charged_at < $3 ORDER BY compensation_id FOR UPDATE`, string(s.Of.Bearer), s.Of.ID, s.To); err != nil {
		return err
	}
	listed, err := tx.Exec(ctx, `
		WITH fees AS MATERIALIZED (
			SELECT name, version, CASE WHEN $5 = 'provider' THEN coalesce((document::json #>> '{bearers,service_fee_fen}')::bigint, 0) ELSE 0 END AS fen FROM sla.policies),
		listed AS (
			SELECT 'service' AS kind, g.request_id, NULL::uuid AS compensation_id, g.area, g.opened_at, g.stopped_at, g.outcome, g.late_us, f.fen, 0 AS fault_pct
			FROM sla.guarantees g JOIN fees f ON f.name = g.policy AND f.version = g.policy_version
			WHERE `+rescuesOf[s.Of.Bearer]+` AND g.outcome IN ('met', 'late') AND g.stopped_at < $4
				AND g.stopped_at >= least($3, (SELECT min(o.from_at) FROM sla.statements o WHERE o.bearer = $5 AND o.bearer_id = $2 AND o.state <> 'discarded'))
				AND (g.import_id IS NULL OR EXISTS (SELECT FROM sla.imports i WHERE i.id = g.import_id AND i.state = 'approved'))
				AND NOT EXISTS (SELECT FROM sla.statement_lines l WHERE l.bearer = $5 AND l.bearer_id = $2 AND l.request_id = g.request_id AND l.kind = 'service' AND NOT l.discarded)
			UNION ALL
			SELECT 'charge', c.request_id, c.compensation_id, c.area, g.opened_at, g.stopped_at, g.outcome, g.late_us, c.fen, c.fault_pct
			FROM sla.chargebacks c JOIN sla.guarantees g ON g.request_id = c.request_id
			WHERE c.bearer = $5 AND c.bearer_id = $2 AND c.state = 'charged' AND c.charged_at < $4
				AND NOT EXISTS (SELECT FROM sla.statement_lines l WHERE l.bearer = $5 AND l.bearer_id = $2 AND l.compensation_id = c.compensation_id AND l.kind = 'charge' AND NOT l.discarded)
			UNION ALL
			SELECT 'credit', c.request_id, c.compensation_id, c.area, g.opened_at, g.stopped_at, g.outcome, g.late_us, c.fen, c.fault_pct
			FROM sla.chargebacks c JOIN sla.guarantees g ON g.request_id = c.request_id
			JOIN sla.statement_lines l ON l.bearer = $5 AND l.bearer_id = $2 AND l.compensation_id = c.compensation_id AND l.kind = 'charge' AND NOT l.discarded AND l.state IN ('listed', 'upheld')
			JOIN sla.statements o ON o.id = l.statement_id AND o.state IN ('confirmed', 'invoiced', 'settled')
			WHERE c.bearer = $5 AND c.bearer_id = $2 AND c.state = 'reversed' AND c.charged_at < $4
				AND NOT EXISTS (SELECT FROM sla.statement_lines k WHERE k.bearer = $5 AND k.bearer_id = $2 AND k.compensation_id = c.compensation_id AND k.kind = 'credit' AND NOT k.discarded))
		INSERT INTO sla.statement_lines (statement_id, line, kind, state, bearer, bearer_id, request_id, compensation_id, area, opened_at, stopped_at, outcome, late_us, fen, fault_pct)
		SELECT $1, row_number() OVER (ORDER BY opened_at, request_id, kind DESC, compensation_id), kind, 'listed', $5, $2, request_id, compensation_id, area,
			opened_at, stopped_at, outcome, late_us, fen, fault_pct
		FROM listed`, s.ID, s.Of.ID, s.From, s.To, string(s.Of.Bearer))
	if err == nil && listed.RowsAffected() == 0 {
		return ErrNothingToState
	}
	return err
}

// updateStatement writes what may change of s, whose Version is the new one,
// over the version before it, with what its lines come to now.
func updateStatement(ctx context.Context, tx pgx.Tx, s Statement) (Statement, error) {
	rows, err := tx.Query(ctx, `
		UPDATE sla.statements s SET state = $3, version = $2, issued_by = $4, issued_at = $5, disputes_until = $6,
			confirmed_by = $7, confirmed_at = $8, fapiao_number = $9, tax_pct = $10, invoiced_by = $11, invoiced_at = $12,
			settled_by = $13, settled_at = $14, settled_how = $15, settled_ref = $16, changed_at = $17,
			services = t.services, late = t.late, fees_fen = t.fees, charges_fen = t.charges, compensation_fen = t.compensation, disputed = t.disputed
		FROM (SELECT count(*) FILTER (WHERE kind = 'service') AS services, count(*) FILTER (WHERE kind = 'service' AND outcome = 'late') AS late,
				coalesce(sum(fen) FILTER (WHERE kind = 'service'), 0)::bigint AS fees,
				(coalesce(sum(fen) FILTER (WHERE kind = 'charge' AND state IN ('listed', 'disputed', 'upheld')), 0)
					- coalesce(sum(fen) FILTER (WHERE kind = 'credit'), 0))::bigint AS charges,
				(coalesce(sum(paid) FILTER (WHERE kind = 'charge' AND state IN ('listed', 'disputed', 'upheld')), 0)
					- coalesce(sum(paid) FILTER (WHERE kind = 'credit'), 0))::bigint AS compensation,
				count(*) FILTER (WHERE state = 'disputed') AS disputed
			FROM (SELECT kind, state, outcome, fen, (SELECT c.fen FROM sla.compensations c WHERE c.id = l.compensation_id) AS paid
				FROM sla.statement_lines l WHERE l.statement_id = $1) l) t
		WHERE s.id = $1 AND s.version = $2 - 1
		RETURNING `+prefixed("s", statementColumns),
		s.ID, s.Version, s.State, s.IssuedBy, nullable(s.IssuedAt), nullable(s.DisputesUntil), s.ConfirmedBy, nullable(s.ConfirmedAt),
		s.Fapiao.Number, s.Fapiao.TaxPct, s.InvoicedBy, nullable(s.InvoicedAt), s.SettledBy, nullable(s.SettledAt), s.Settlement.How, s.Settlement.Ref, s.ChangedAt)
	if err != nil {
		return s, err
	}
	changed, err := pgx.CollectExactlyOneRow(rows, scanStatement)
	switch {
	case pg.NotFound(err):
		return s, ErrStale
	case pg.Violates(err, "one_statement_a_fapiao"):
		return s, ErrFapiaoUsed.Because(err)
	case pg.Violates(err, "confirmed_undisputed"):
		return s, ErrInDispute.Because(err)
	}
	return changed, err
}

// discardLines lets the lines of a discarded draft be listed elsewhere.
func discardLines(ctx context.Context, tx pgx.Tx, id events.StatementID) error {
	_, err := tx.Exec(ctx, `UPDATE sla.statement_lines SET discarded = true WHERE statement_id = $1`, id)
	return err
}

func lockStatement(ctx context.Context, tx pgx.Tx, id events.StatementID) (Statement, error) {
	rows, err := tx.Query(ctx, `SELECT `+statementColumns+` FROM sla.statements WHERE id = $1 FOR UPDATE`, id)
	if err != nil {
		return Statement{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanStatement)
}

// lockLapsed gives an issued statement whose window has closed and which
// nobody disputes, leaving those somebody else holds.
func lockLapsed(ctx context.Context, tx pgx.Tx, now time.Time) (Statement, error) {
	rows, err := tx.Query(ctx, `SELECT `+statementColumns+` FROM sla.statements
		WHERE state = 'issued' AND disputes_until < $1 AND disputed = 0 ORDER BY disputes_until LIMIT 1 FOR UPDATE SKIP LOCKED`, now)
	if err != nil {
		return Statement{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanStatement)
}

func findStatement(ctx context.Context, db events.Querier, id events.StatementID) (Statement, error) {
	rows, err := db.Query(ctx, `SELECT `+statementColumns+` FROM sla.statements WHERE id = $1`, id)
	if err != nil {
		return Statement{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanStatement)
}

// StatementFilter narrows a list of statements; zero values do not.
type StatementFilter struct {
	Of    Counterparty // or all of a kind, when its ID is zero
	Month time.Time    // first day
	State StatementState
	shown bool // only what a provider or partner may see
}

// StatementPlace is where a page of statements ended.
type StatementPlace = place[events.StatementID]

// listStatements reads a page by month, after the place.
func listStatements(ctx context.Context, db events.Querier, f StatementFilter, after StatementPlace, limit int) ([]Statement, error) {
	rows, err := db.Query(ctx, `
		SELECT `+statementColumns+` FROM sla.statements
		WHERE ($8 = '' OR bearer = $8) AND ($1 = '00000000-0000-0000-0000-000000000000'::uuid OR bearer_id = $1) AND ($2::date IS NULL OR month = $2) AND ($3 = '' OR state = $3)
			AND (NOT $4 OR state NOT IN ('draft', 'discarded'))
			AND (month, id) > (coalesce($5::date, '-infinity'::date), coalesce($6, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY month, id LIMIT $7`,
		f.Of.ID, nullable(f.Month), string(f.State), f.shown, nullable(after.At), after.ID, limit, string(f.Of.Bearer))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanStatement)
}

const statementLineColumns = `l.statement_id, l.line, l.kind, l.state, l.bearer, l.bearer_id, l.request_id, l.compensation_id, l.area, l.opened_at, l.stopped_at,
	l.outcome, l.late_us, l.fen, l.fault_pct, l.disputed_by, l.disputed_why, l.disputed_at, l.decided_by, l.decided_why, l.decided_at,
	coalesce(c.fen, 0), coalesce(c.state, ''), coalesce(c.policy, ''), coalesce(c.policy_version, 0)`

// statementLinesFrom are lines with the compensations they are about, of which
// only the state ever changes. The limit has each looked up by its key.
const statementLinesFrom = `sla.statement_lines l
	LEFT JOIN LATERAL (SELECT fen, state, policy, policy_version FROM sla.compensations WHERE id = l.compensation_id LIMIT 1) c ON true`

// prefixed names the columns of a list as those of an alias.
func prefixed(alias, columns string) string {
	return alias + "." + strings.Join(strings.Fields(columns), " "+alias+".")
}

func scanStatementLine(row pgx.CollectableRow) (StatementLine, error) {
	l, _, err := scanStatementLineWith(row)
	return l, err
}

// scanStatementLineWith reads statementLineColumns, and the attribution when the row has one more.
func scanStatementLineWith(row pgx.CollectableRow) (StatementLine, *Attribution, error) {
	var l StatementLine
	var a *Attribution
	var stopped, disputed, decided *time.Time
	var lateUS int64
	into := []any{&l.StatementID, &l.No, &l.Kind, &l.State, &l.Of.Bearer, &l.Of.ID, &l.RequestID, &l.CompensationID, &l.Area, &l.OpenedAt, &stopped,
		&l.Outcome, &lateUS, &l.Fen, &l.FaultPct, &l.DisputedBy, &l.DisputedWhy, &disputed, &l.DecidedBy, &l.DecidedWhy, &decided,
		&l.Compensation, &l.CompensationState, &l.Policy, &l.PolicyVersion}
	if len(row.FieldDescriptions()) > len(into) {
		into = append(into, &a)
	}
	err := row.Scan(into...)
	l.OpenedAt, l.StoppedAt, l.DisputedAt, l.DecidedAt = l.OpenedAt.UTC(), utc(stopped), utc(disputed), utc(decided)
	l.Late = time.Duration(lateUS) * time.Microsecond
	return l, a, err
}

func findStatementLine(ctx context.Context, db events.Querier, id events.StatementID, no int) (StatementLine, error) {
	rows, err := db.Query(ctx, `SELECT `+statementLineColumns+` FROM `+statementLinesFrom+` WHERE l.statement_id = $1 AND l.line = $2`, id, no)
	if err != nil {
		return StatementLine{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanStatementLine)
}

// findChargeLine gives the line that lists a charge.
func findChargeLine(ctx context.Context, db events.Querier, of Counterparty, id events.CompensationID) (StatementLine, error) {
	rows, err := db.Query(ctx, `SELECT `+statementLineColumns+` FROM `+statementLinesFrom+`
		WHERE l.bearer = $1 AND l.bearer_id = $2 AND l.compensation_id = $3 AND l.kind = 'charge' AND NOT l.discarded`, string(of.Bearer), of.ID, id)
	if err != nil {
		return StatementLine{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanStatementLine)
}

// updateStatementLine writes what may change of a line; its statement is locked.
func updateStatementLine(ctx context.Context, tx pgx.Tx, l StatementLine) error {
	_, err := tx.Exec(ctx, `
		UPDATE sla.statement_lines SET state = $3, disputed_by = $4, disputed_why = $5, disputed_at = $6, decided_by = $7, decided_why = $8, decided_at = $9
		WHERE statement_id = $1 AND line = $2`,
		l.StatementID, l.No, l.State, l.DisputedBy, l.DisputedWhy, nullable(l.DisputedAt), l.DecidedBy, l.DecidedWhy, nullable(l.DecidedAt))
	return err
}

// ItemFilter narrows the lines of a statement; zero values do not.
type ItemFilter struct {
	Kind  ItemKind
	State ItemState
}

// listStatementLines reads a page of a statement's lines, after line number after.
func listStatementLines(ctx context.Context, db events.Querier, id events.StatementID, f ItemFilter, after, limit int) ([]StatementLine, error) {
	rows, err := db.Query(ctx, `
		SELECT `+statementLineColumns+` FROM `+statementLinesFrom+`
		WHERE l.statement_id = $1 AND ($2 = '' OR l.kind = $2) AND ($3 = '' OR l.state = $3) AND l.line > $4
		ORDER BY l.line LIMIT $5`, id, string(f.Kind), string(f.State), after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanStatementLine)
}
