package sla

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// listMisstated says which statements are not what their lines come to, are
// not in the books as they were settled, on the account of whom they are of
// and at the bank, or leave a charge that was taken back standing, and which
// lines list another amount than was charged, at most limit.
func listMisstated(ctx context.Context, db events.Querier, limit int) ([]string, error) {
	rows, err := db.Query(ctx, `
		WITH stated AS (
			SELECT l.statement_id AS id, l.kind, l.fen, coalesce(c.fen, 0) AS paid, l.kind = 'service' AND l.outcome = 'late' AS late,
				CASE WHEN l.kind = 'credit' THEN -1 WHEN l.kind = 'charge' AND l.state IN ('listed', 'disputed', 'upheld') THEN 1 ELSE 0 END AS sign
			FROM sla.statement_lines l LEFT JOIN sla.compensations c ON c.id = l.compensation_id),
		lines AS (
			SELECT id, count(*) FILTER (WHERE kind = 'service') AS services, count(*) FILTER (WHERE late) AS late,
				coalesce(sum(fen) FILTER (WHERE kind = 'service'), 0) AS fees, sum(sign * fen) AS charges, sum(sign * paid) AS compensation
			FROM stated GROUP BY id),
		booked AS (
			SELECT t.key, -coalesce(sum(e.fen) FILTER (WHERE e.account = 'provider_receivable'), 0) AS of_provider,
				-coalesce(sum(e.fen) FILTER (WHERE e.account = 'partner_share'), 0) AS of_partner,
				coalesce(sum(e.fen) FILTER (WHERE e.account = 'cash'), 0) AS cash
			FROM sla.ledger_transactions t JOIN sla.ledger_entries e ON e.transaction_id = t.id
			WHERE t.kind IN ('settlement_paid', 'settlement_set_off') GROUP BY t.key),
		fees AS (
			SELECT split_part(t.key, ':', 2) AS id, -coalesce(sum(e.fen) FILTER (WHERE t.kind = 'service_fees'), 0) AS owed,
				coalesce(sum(e.fen) FILTER (WHERE t.kind <> 'service_fees'), 0) AS settled
			FROM sla.ledger_transactions t JOIN sla.ledger_entries e ON e.transaction_id = t.id
			WHERE t.kind IN ('service_fees', 'settlement_paid', 'settlement_set_off') AND e.account = 'provider_payable' GROUP BY 1)
		SELECT format('statement stm_%s says %s services, %s late, %s, %s and %s fen, and its lines %s, %s, %s, %s and %s', s.id, s.services, s.late,
			s.fees_fen, s.charges_fen, s.compensation_fen, coalesce(l.services, 0), coalesce(l.late, 0), coalesce(l.fees, 0), coalesce(l.charges, 0), coalesce(l.compensation, 0))
		FROM sla.statements s LEFT JOIN lines l ON l.id = s.id
		WHERE (s.services, s.late, s.fees_fen, s.charges_fen, s.compensation_fen) IS DISTINCT FROM
			(coalesce(l.services, 0), coalesce(l.late, 0), coalesce(l.fees, 0), coalesce(l.charges, 0), coalesce(l.compensation, 0))
		UNION ALL
		SELECT format('statement stm_%s of a %s is %s over %s fen, and the books settled %s with providers and %s with partners',
			s.id, s.bearer, s.state, s.charges_fen, coalesce(b.of_provider, 0), coalesce(b.of_partner, 0))
		FROM sla.statements s LEFT JOIN booked b ON b.key = 'statement:stm_' || s.id || ':settlement'
		WHERE coalesce(b.of_provider, 0) <> CASE WHEN s.state = 'settled' AND s.bearer = 'provider' THEN s.charges_fen ELSE 0 END
			OR coalesce(b.of_partner, 0) <> CASE WHEN s.state = 'settled' AND s.bearer = 'partner' THEN s.charges_fen ELSE 0 END
		UNION ALL
		SELECT format('statement stm_%s is %s with %s fen to be received in all, and the bank has %s', s.id, s.state, s.charges_fen - s.fees_fen, coalesce(b.cash, 0))
		FROM sla.statements s LEFT JOIN booked b ON b.key = 'statement:stm_' || s.id || ':settlement'
		WHERE coalesce(b.cash, 0) <> CASE WHEN s.state = 'settled' THEN s.charges_fen - s.fees_fen ELSE 0 END
		UNION ALL
		SELECT format('statement stm_%s is %s with fees of %s fen, and the books owe its provider %s and settled %s', s.id, s.state, s.fees_fen, coalesce(f.owed, 0), coalesce(f.settled, 0))
		FROM sla.statements s LEFT JOIN fees f ON f.id = 'stm_' || s.id
		WHERE coalesce(f.owed, 0) <> CASE WHEN s.state IN ('invoiced', 'settled') THEN s.fees_fen ELSE 0 END
			OR coalesce(f.settled, 0) <> CASE WHEN s.state = 'settled' THEN s.fees_fen ELSE 0 END
		UNION ALL
		SELECT format('line %s of statement stm_%s is %s, and its charge is reversed', l.line, l.statement_id, l.state)
		FROM sla.statement_lines l JOIN sla.statements s ON s.id = l.statement_id AND s.state IN ('draft', 'issued')
		JOIN sla.chargebacks c ON c.compensation_id = l.compensation_id AND c.bearer = l.bearer AND c.bearer_id = l.bearer_id
		WHERE l.kind = 'charge' AND l.state IN ('listed', 'disputed', 'upheld') AND c.state = 'reversed'
		UNION ALL
		SELECT format('line %s of statement stm_%s lists %s fen of a %s, and it was charged %s', l.line, l.statement_id, l.fen, l.bearer, coalesce(c.fen, 0))
		FROM sla.statement_lines l LEFT JOIN sla.chargebacks c ON c.compensation_id = l.compensation_id AND c.bearer = l.bearer AND c.bearer_id = l.bearer_id
		WHERE l.kind <> 'service' AND l.fen IS DISTINCT FROM c.fen
		UNION ALL
		SELECT format('line %s of statement stm_%s is of another than the statement', l.line, l.statement_id)
		FROM sla.statement_lines l JOIN sla.statements s ON s.id = l.statement_id
		WHERE (l.bearer, l.bearer_id) <> (s.bearer, s.bearer_id)
		ORDER BY 1 LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
