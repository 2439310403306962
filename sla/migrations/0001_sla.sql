-- +goose Up

-- Policies: a version is written once and pinned by the guarantees given
-- under it. A change is a new version.
CREATE TABLE sla.policies (
    name           text        NOT NULL CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
    version        integer     NOT NULL CHECK (version >= 1),
    document       text        NOT NULL, -- as it was given, byte for byte
    effective_from timestamptz NOT NULL, -- '-infinity': always
    added_at       timestamptz NOT NULL,
    added_by       text        NOT NULL,
    PRIMARY KEY (name, version)
);

-- What happened to requests, as a set: whatever the order or repetition of
-- the telling, a request has one and the same set of facts. There is no
-- reference to a guarantee, because news may come before it.
CREATE TABLE sla.facts (
    request_id  uuid        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN
        ('offered', 'lapsed', 'assigned', 'arrived', 'released', 'cancelled', 'finished', 'paused')),
    happened_at timestamptz NOT NULL,
    until_at    timestamptz NOT NULL DEFAULT '-infinity', -- expected arrival, or end of a pause; -infinity: none
    crew_id     uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    source      text        NOT NULL DEFAULT '',
    event_id    uuid        NOT NULL, -- the first event that told it
    heard_at    timestamptz NOT NULL,
    PRIMARY KEY (request_id, kind, happened_at, until_at, crew_id, source)
);

CREATE TABLE sla.guarantees (
    id              uuid        PRIMARY KEY,
    request_id      uuid        NOT NULL UNIQUE, -- one guarantee per request
    area            text        NOT NULL,
    tier            text        NOT NULL,
    priority        integer     NOT NULL,
    partner_id      uuid,
    state           text        NOT NULL CHECK (state IN ('armed', 'breached', 'met', 'late', 'void', 'waived')),
    version         bigint      NOT NULL CHECK (version >= 1),
    opened_at       timestamptz NOT NULL,
    -- The promise as the owner was shown it.
    promise_minutes integer     NOT NULL CHECK (promise_minutes > 0),
    promise_due_at  timestamptz NOT NULL,
    promise_rule    text        NOT NULL,
    promise_reason  text        NOT NULL,
    policy          text        NOT NULL,
    policy_version  integer     NOT NULL,
    -- What is known by now.
    expected_at     timestamptz,
    at_risk_at      timestamptz,
    breached_at     timestamptz,
    waived_at       timestamptz,
    waived_why      text        NOT NULL DEFAULT '',
    -- The verdict; pending until something stops the clock.
    outcome         text        NOT NULL CHECK (outcome IN ('pending', 'met', 'late', 'void')),
    cancelled       boolean     NOT NULL,
    due_at          timestamptz NOT NULL, -- the promised moment, moved by pauses
    stopped_at      timestamptz,
    late_us         bigint      NOT NULL CHECK (late_us >= 0), -- lateness, microseconds
    owed_fen        bigint      NOT NULL CHECK (owed_fen >= 0),
    review          text        NOT NULL DEFAULT '',
    reasons         json        NOT NULL,
    changed_at      timestamptz NOT NULL,
    FOREIGN KEY (policy, policy_version) REFERENCES sla.policies (name, version),
    CONSTRAINT due_after_opening CHECK (promise_due_at > opened_at AND due_at >= promise_due_at),
    CONSTRAINT state_is_verdict CHECK (
        CASE WHEN state IN ('armed', 'breached') THEN outcome = 'pending'
             WHEN state = 'waived' THEN outcome = 'pending' AND waived_at IS NOT NULL AND waived_why <> ''
             ELSE outcome = state END),
    CONSTRAINT stopped_unless_pending CHECK ((outcome = 'pending') = (stopped_at IS NULL)),
    CONSTRAINT late_is_after_due CHECK ((outcome = 'late') <= (late_us > 0 AND stopped_at > due_at)),
    CONSTRAINT only_late_pays CHECK (owed_fen = 0 OR outcome = 'late'),
    CONSTRAINT breach_was_noticed CHECK (state <> 'breached' OR breached_at IS NOT NULL)
);
CREATE INDEX guarantees_armed ON sla.guarantees (due_at) WHERE state = 'armed';
CREATE INDEX guarantees_expected_late ON sla.guarantees (due_at)
    WHERE state = 'armed' AND at_risk_at IS NULL AND expected_at > due_at;
CREATE INDEX guarantees_list ON sla.guarantees (due_at, id);
CREATE INDEX guarantees_list_state ON sla.guarantees (state, due_at, id);
CREATE INDEX guarantees_review ON sla.guarantees (due_at, id) WHERE review <> '';

CREATE TABLE sla.compensations (
    id             uuid        PRIMARY KEY,
    guarantee_id   uuid        NOT NULL REFERENCES sla.guarantees,
    request_id     uuid        NOT NULL,
    area           text        NOT NULL,
    state          text        NOT NULL CHECK (state IN ('accrued', 'disputed', 'approved', 'batched', 'paid', 'void')),
    version        bigint      NOT NULL CHECK (version >= 1),
    fen            bigint      NOT NULL CHECK (fen > 0),
    policy         text        NOT NULL,
    policy_version integer     NOT NULL,
    reasons        json        NOT NULL,
    accrued_at     timestamptz NOT NULL,
    approved_by    text        NOT NULL DEFAULT '',
    approved_why   text        NOT NULL DEFAULT '',
    disputed_by    text        NOT NULL DEFAULT '',
    disputed_why   text        NOT NULL DEFAULT '',
    voided_by      text        NOT NULL DEFAULT '',
    voided_why     text        NOT NULL DEFAULT '',
    changed_at     timestamptz NOT NULL,
    FOREIGN KEY (policy, policy_version) REFERENCES sla.policies (name, version),
    CONSTRAINT void_says_why CHECK ((state = 'void') = (voided_by <> '' AND voided_why <> '')),
    CONSTRAINT dispute_says_why CHECK (state <> 'disputed' OR (disputed_by <> '' AND disputed_why <> '')),
    CONSTRAINT approved_by_somebody CHECK (state NOT IN ('approved', 'batched', 'paid') OR (approved_by <> '' AND approved_why <> '')),
    -- Who raised the latest dispute decides neither way. A step that raises a
    -- new dispute clears the approval before it.
    CONSTRAINT four_eyes CHECK (disputed_by = '' OR (disputed_by <> approved_by AND disputed_by <> voided_by))
);
CREATE UNIQUE INDEX one_live_compensation ON sla.compensations (guarantee_id) WHERE state <> 'void';
CREATE INDEX compensations_list ON sla.compensations (accrued_at, id);
CREATE INDEX compensations_list_state ON sla.compensations (state, accrued_at, id);
CREATE INDEX compensations_of_request ON sla.compensations (request_id, accrued_at);

-- A verdict that changed after the money left: the payment stands, and the
-- difference waits here for a person. One open item per compensation.
CREATE TABLE sla.payment_differences (
    id              uuid        PRIMARY KEY,
    compensation_id uuid        NOT NULL REFERENCES sla.compensations,
    guarantee_id    uuid        NOT NULL REFERENCES sla.guarantees,
    request_id      uuid        NOT NULL,
    paid_fen        bigint      NOT NULL CHECK (paid_fen > 0),
    owed_fen        bigint      NOT NULL CHECK (owed_fen >= 0), -- by the present verdict
    noted_at        timestamptz NOT NULL,
    closed_at       timestamptz,
    closed_why      text        NOT NULL DEFAULT '',
    CONSTRAINT differs_while_open CHECK (closed_at IS NOT NULL OR paid_fen <> owed_fen),
    CONSTRAINT closing_says_why CHECK ((closed_at IS NOT NULL) = (closed_why <> ''))
);
CREATE UNIQUE INDEX one_open_difference ON sla.payment_differences (compensation_id) WHERE closed_at IS NULL;

-- Double entry. Debits are positive, credits negative, in fen; the lines of a
-- transaction sum to zero, and nothing posted is ever changed.
CREATE TABLE sla.ledger_accounts (
    code text PRIMARY KEY,
    side text NOT NULL CHECK (side IN ('debit', 'credit')), -- on which side it grows
    name_zh text NOT NULL,
    name_en text NOT NULL
);
INSERT INTO sla.ledger_accounts (code, side, name_zh, name_en) VALUES
    ('owner_payable', 'credit', '应付车主赔付款', 'Owed to owners'),
    ('compensation_expense', 'debit', '迟到赔付支出', 'Compensation expense');

CREATE TABLE sla.ledger_transactions (
    id              uuid        PRIMARY KEY,
    key             text        NOT NULL UNIQUE, -- what it is for, so that it is posted once
    kind            text        NOT NULL,
    compensation_id uuid        NOT NULL REFERENCES sla.compensations,
    reverses_id     uuid        UNIQUE REFERENCES sla.ledger_transactions,
    lines           integer     NOT NULL CHECK (lines >= 2),
    total_fen       bigint      NOT NULL CHECK (total_fen > 0), -- sum of its debits
    actor           text        NOT NULL,
    posted_at       timestamptz NOT NULL
);
CREATE INDEX ledger_transactions_of ON sla.ledger_transactions (compensation_id);

CREATE TABLE sla.ledger_entries (
    transaction_id uuid    NOT NULL REFERENCES sla.ledger_transactions,
    line           integer NOT NULL CHECK (line >= 1),
    account        text    NOT NULL REFERENCES sla.ledger_accounts,
    fen            bigint  NOT NULL CHECK (fen <> 0),
    PRIMARY KEY (transaction_id, line)
);
CREATE INDEX ledger_entries_of ON sla.ledger_entries (account, transaction_id);

-- Checked when the posting commits: it has the lines its head announces, no
-- more and no fewer, and they balance. So nobody can add to an old posting
-- either, not even a balanced pair.
-- +goose StatementBegin
CREATE FUNCTION sla.check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head  sla.ledger_transactions;
    of_id uuid;
    n     bigint;
    total numeric;
    debit numeric;
BEGIN
    IF TG_TABLE_NAME = 'ledger_entries' THEN of_id := NEW.transaction_id; ELSE of_id := NEW.id; END IF;
    SELECT * INTO head FROM sla.ledger_transactions WHERE id = of_id;
    SELECT count(*), coalesce(sum(fen), 0), coalesce(sum(fen) FILTER (WHERE fen > 0), 0)
        INTO n, total, debit FROM sla.ledger_entries WHERE transaction_id = of_id;
    IF n <> head.lines OR total <> 0 OR debit <> head.total_fen THEN
        RAISE EXCEPTION 'ledger transaction % does not balance: % of % lines, sum % fen, debits % of % fen',
            head.key, n, head.lines, total, debit, head.total_fen
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_balances';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION sla.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of %.% are never changed; write a new one', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = 'never_changed';
END $$;
-- +goose StatementEnd

CREATE CONSTRAINT TRIGGER balances AFTER INSERT ON sla.ledger_transactions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sla.check_balance();
CREATE CONSTRAINT TRIGGER balances AFTER INSERT ON sla.ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sla.check_balance();

CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.ledger_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.policies
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();
