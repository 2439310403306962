-- +goose Up

-- A statement is of whoever is charged: a provider, or a partner, who bears
-- its share. A partner owes and is owed nothing: it earns no fees, so there is
-- nothing to set its share off against.
ALTER TABLE sla.statements RENAME COLUMN provider_id TO bearer_id;
ALTER TABLE sla.statements
    ADD COLUMN bearer           text   NOT NULL DEFAULT 'provider' CHECK (bearer IN ('provider', 'partner')),
    ADD COLUMN compensation_fen bigint NOT NULL DEFAULT 0, -- what the owners are paid for what stands, less credits
    ADD CONSTRAINT only_providers_earn CHECK (bearer = 'provider' OR (fees_fen = 0 AND settled_how <> 'set_off'));
ALTER TABLE sla.statements ALTER COLUMN bearer DROP DEFAULT;
DROP INDEX sla.one_statement_a_month;
CREATE UNIQUE INDEX one_statement_a_month ON sla.statements (bearer, bearer_id, month) WHERE state <> 'discarded';

ALTER TABLE sla.statement_lines RENAME COLUMN provider_id TO bearer_id;
ALTER TABLE sla.statement_lines ADD COLUMN bearer text NOT NULL DEFAULT 'provider' CHECK (bearer IN ('provider', 'partner'));
ALTER TABLE sla.statement_lines ALTER COLUMN bearer DROP DEFAULT;
DROP INDEX sla.service_listed_once, sla.money_listed_once;
CREATE UNIQUE INDEX service_listed_once ON sla.statement_lines (bearer, bearer_id, request_id) WHERE kind = 'service' AND NOT discarded;
CREATE UNIQUE INDEX money_listed_once ON sla.statement_lines (bearer, bearer_id, compensation_id, kind) WHERE kind <> 'service' AND NOT discarded;

CREATE INDEX guarantees_of_partner ON sla.guarantees (partner_id, stopped_at) WHERE partner_id IS NOT NULL;

UPDATE sla.statements s SET compensation_fen = t.fen
    FROM (SELECT l.statement_id, coalesce(sum(c.fen) FILTER (WHERE l.kind = 'charge' AND l.state IN ('listed', 'disputed', 'upheld')), 0)
                - coalesce(sum(c.fen) FILTER (WHERE l.kind = 'credit'), 0) AS fen
            FROM sla.statement_lines l JOIN sla.compensations c ON c.id = l.compensation_id GROUP BY l.statement_id) t
    WHERE t.statement_id = s.id;
