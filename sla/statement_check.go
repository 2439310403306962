package sla

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// listMisstated says which statements are not what their lines come to, are
// not in the books as they were settled, or leave a charge that was taken back
// standing, at most limit.
func listMisstated(ctx context.Context, db events.Querier, limit int) ([]string, error) {
	rows, err := db.Query(ctx, `
		WITH lines AS (
			SELECT statement_id AS id, count(*) FILTER (WHERE kind = 'service') AS services, coalesce(sum(fen) FILTER (WHERE kind = 'service'), 0) AS fees,
				coalesce(sum(fen) FILTER (WHERE kind = 'charge' AND state IN ('listed', 'disputed', 'upheld')), 0)
					- coalesce(sum(fen) FILTER (WHERE kind = 'credit'), 0) AS charges
			FROM sla.statement_lines GROUP BY statement_id),
		booked AS (
			SELECT t.key, -sum(e.fen) AS fen FROM sla.ledger_transactions t JOIN sla.ledger_entries e ON e.transaction_id = t.id
			WHERE t.kind IN ('settlement_paid', 'settlement_set_off') AND e.account = 'provider_receivable' GROUP BY t.key),
		fees AS (
			SELECT split_part(t.key, ':', 2) AS id, -coalesce(sum(e.fen) FILTER (WHERE t.kind = 'service_fees'), 0) AS owed,
				coalesce(sum(e.fen) FILTER (WHERE t.kind <> 'service_fees'), 0) AS settled
			FROM sla.ledger_transactions t JOIN sla.ledger_entries e ON e.transaction_id = t.id
			WHERE t.kind IN ('service_fees', 'settlement_paid', 'settlement_set_off') AND e.account = 'provider_payable' GROUP BY 1)
		SELECT format('statement stm_%s says %s services, %s and %s fen, and its lines %s, %s and %s', s.id, s.services, s.fees_fen, s.charges_fen,
			coalesce(l.services, 0), coalesce(l.fees, 0), coalesce(l.charges, 0))
		FROM sla.statements s LEFT JOIN lines l ON l.id = s.id
		WHERE (s.services, s.fees_fen, s.charges_fen) IS DISTINCT FROM (coalesce(l.services, 0), coalesce(l.fees, 0), coalesce(l.charges, 0))
		UNION ALL
		SELECT format('statement stm_%s is %s over %s fen, and the books settled %s', s.id, s.state, s.charges_fen, coalesce(b.fen, 0))
		FROM sla.statements s LEFT JOIN booked b ON b.key = 'statement:stm_' || s.id || ':settlement'
		WHERE coalesce(b.fen, 0) <> CASE WHEN s.state = 'settled' THEN s.charges_fen ELSE 0 END
		UNION ALL
		SELECT format('statement stm_%s is %s with fees of %s fen, and the books owe its provider %s and settled %s', s.id, s.state, s.fees_fen, coalesce(f.owed, 0), coalesce(f.settled, 0))
		FROM sla.statements s LEFT JOIN fees f ON f.id = 'stm_' || s.id
		WHERE coalesce(f.owed, 0) <> CASE WHEN s.state IN ('invoiced', 'settled') THEN s.fees_fen ELSE 0 END
			OR coalesce(f.settled, 0) <> CASE WHEN s.state = 'settled' THEN s.fees_fen ELSE 0 END
		UNION ALL
		SELECT format('line %s of statement stm_%s is %s, and its charge is reversed', l.line, l.statement_id, l.state)
		FROM sla.statement_lines l JOIN sla.statements s ON s.id = l.statement_id AND s.state IN ('draft', 'issued')
		JOIN sla.chargebacks c ON c.compensation_id = l.compensation_id AND c.bearer = 'provider' AND c.bearer_id = l.provider_id
		WHERE l.kind = 'charge' AND l.state IN ('listed', 'disputed', 'upheld') AND c.state = 'reversed'
		ORDER BY 1 LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
