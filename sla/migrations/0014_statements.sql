-- +goose Up

-- A provider's monthly statement: what it did, how late it was, and what it is
-- charged. One per provider and month, unless it was discarded.
CREATE TABLE sla.statements (
    id             uuid        PRIMARY KEY,
    provider_id    uuid        NOT NULL,
    month          date        NOT NULL CHECK (month = date_trunc('month', month)::date),
    from_at        timestamptz NOT NULL, -- the month in the business zone
    to_at          timestamptz NOT NULL,
    state          text        NOT NULL CHECK (state IN ('draft', 'issued', 'confirmed', 'invoiced', 'settled', 'discarded')),
    version        bigint      NOT NULL CHECK (version >= 1),
    -- What its lines come to.
    services       bigint      NOT NULL DEFAULT 0,
    late           bigint      NOT NULL DEFAULT 0, -- of the services
    fees_fen       bigint      NOT NULL DEFAULT 0, -- earned by the services
    charges_fen    bigint      NOT NULL DEFAULT 0, -- charged back and standing, less credits
    disputed       bigint      NOT NULL DEFAULT 0, -- lines in dispute
    drafted_by     text        NOT NULL,
    drafted_at     timestamptz NOT NULL,
    issued_by      text        NOT NULL DEFAULT '',
    issued_at      timestamptz,
    disputes_until timestamptz, -- end of the window, included
    confirmed_by   text        NOT NULL DEFAULT '',
    confirmed_at   timestamptz,
    fapiao_number  text        NOT NULL DEFAULT '' CHECK (fapiao_number = '' OR fapiao_number ~ '^([0-9]{18}|[0-9]{20})$'),
    tax_pct        integer     NOT NULL DEFAULT 0 CHECK (tax_pct BETWEEN 0 AND 100),
    invoiced_by    text        NOT NULL DEFAULT '',
    invoiced_at    timestamptz,
    settled_by     text        NOT NULL DEFAULT '',
    settled_at     timestamptz,
    settled_how    text        NOT NULL DEFAULT '' CHECK (settled_how IN ('', 'paid', 'set_off')),
    settled_ref    text        NOT NULL DEFAULT '',
    changed_at     timestamptz NOT NULL,
    CONSTRAINT issued_with_window CHECK (state IN ('draft', 'discarded') OR (issued_at IS NOT NULL AND disputes_until > issued_at)),
    CONSTRAINT confirmed_undisputed CHECK (state IN ('draft', 'issued', 'discarded') OR (confirmed_at IS NOT NULL AND disputed = 0)),
    CONSTRAINT invoiced_by_number CHECK (state NOT IN ('invoiced', 'settled') OR fapiao_number <> ''),
    CONSTRAINT settled_somehow CHECK (state <> 'settled' OR (settled_how <> '' AND settled_ref <> ''))
);
CREATE UNIQUE INDEX one_statement_a_month ON sla.statements (provider_id, month) WHERE state <> 'discarded';
CREATE UNIQUE INDEX one_statement_a_fapiao ON sla.statements (fapiao_number) WHERE fapiao_number <> '';
CREATE INDEX statements_list ON sla.statements (month, id);
CREATE INDEX statements_window ON sla.statements (disputes_until) WHERE state = 'issued';

-- A line stands for one service, one charge, or one credit: a charge of an
-- earlier statement that was taken back since.
CREATE TABLE sla.statement_lines (
    statement_id    uuid        NOT NULL REFERENCES sla.statements,
    line            integer     NOT NULL CHECK (line >= 1),
    kind            text        NOT NULL CHECK (kind IN ('service', 'charge', 'credit')),
    state           text        NOT NULL CHECK (state IN ('listed', 'disputed', 'upheld', 'overturned', 'withdrawn')),
    provider_id     uuid        NOT NULL,
    request_id      uuid        NOT NULL,
    compensation_id uuid        REFERENCES sla.compensations,
    area            text        NOT NULL,
    opened_at       timestamptz NOT NULL,
    stopped_at      timestamptz,
    outcome         text        NOT NULL,
    late_us         bigint      NOT NULL,
    fen             bigint      NOT NULL CHECK (fen >= 0), -- earned, charged or credited
    fault_pct       integer     NOT NULL DEFAULT 0,
    disputed_by     text        NOT NULL DEFAULT '',
    disputed_why    text        NOT NULL DEFAULT '',
    disputed_at     timestamptz,
    decided_by      text        NOT NULL DEFAULT '',
    decided_why     text        NOT NULL DEFAULT '',
    decided_at      timestamptz,
    discarded       boolean     NOT NULL DEFAULT false, -- with its statement
    PRIMARY KEY (statement_id, line),
    CONSTRAINT money_is_of_a_compensation CHECK ((kind = 'service') = (compensation_id IS NULL)),
    CONSTRAINT services_stand CHECK (kind <> 'service' OR state = 'listed'),
    CONSTRAINT dispute_says_why CHECK (state NOT IN ('disputed', 'upheld', 'overturned') OR (disputed_by <> '' AND disputed_why <> '')),
    CONSTRAINT decision_says_why CHECK (state NOT IN ('upheld', 'overturned') OR (decided_by <> '' AND decided_why <> '' AND decided_by <> disputed_by))
);
-- Nothing is listed twice.
CREATE UNIQUE INDEX service_listed_once ON sla.statement_lines (provider_id, request_id) WHERE kind = 'service' AND NOT discarded;
CREATE UNIQUE INDEX money_listed_once ON sla.statement_lines (provider_id, compensation_id, kind) WHERE kind <> 'service' AND NOT discarded;
