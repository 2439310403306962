-- +goose Up

-- A business day ends at midnight in China, which keeps one time.
-- +goose StatementBegin
CREATE FUNCTION sla.business_day(at timestamptz) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (at AT TIME ZONE 'Asia/Shanghai')::date;
-- +goose StatementEnd

-- What banks and payment houses say they have paid for us, as they said it.
CREATE TABLE sla.reconciliations (
    id          uuid        PRIMARY KEY,
    source      text        NOT NULL CHECK (source <> ''), -- whose statement it is
    name        text        NOT NULL, -- of the file, for people
    day         date        NOT NULL, -- the business day it is of
    digest      text        NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'), -- SHA-256 of its lines
    lines       integer     NOT NULL CHECK (lines > 0),
    total_fen   bigint      NOT NULL CHECK (total_fen > 0),
    imported_by text        NOT NULL,
    imported_at timestamptz NOT NULL,
    UNIQUE (source, day, digest)
);
CREATE INDEX reconciliations_list ON sla.reconciliations (imported_at, id);
CREATE INDEX reconciliations_of_day ON sla.reconciliations (day);
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.reconciliations
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();

-- A payment is made once, so its reference is told once, whoever tells it.
CREATE TABLE sla.told_payments (
    reference         text    PRIMARY KEY CHECK (reference <> ''),
    reconciliation_id uuid    NOT NULL REFERENCES sla.reconciliations,
    day               date    NOT NULL,
    fen               bigint  NOT NULL CHECK (fen > 0)
);
CREATE INDEX told_payments_of_day ON sla.told_payments (day, reference);
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.told_payments
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();
CREATE INDEX batch_lines_paid_on ON sla.batch_lines (paid_on) WHERE state = 'paid';

-- Business days somebody has looked at. Every day up to the last closed one
-- is closed: days close in their order.
CREATE TABLE sla.days (
    day          date        PRIMARY KEY,
    state        text        NOT NULL CHECK (state IN ('open', 'signed', 'closed')),
    version      bigint      NOT NULL CHECK (version >= 2), -- a day nobody has touched is version 1
    figures      jsonb       NOT NULL, -- as it was signed or closed
    differs      boolean     NOT NULL, -- whether those differ
    signed_by    text        NOT NULL DEFAULT '',
    signed_why   text        NOT NULL DEFAULT '',
    signed_at    timestamptz,
    closed_by    text        NOT NULL DEFAULT '',
    closed_why   text        NOT NULL DEFAULT '',
    closed_at    timestamptz,
    changed_at   timestamptz NOT NULL,
    CONSTRAINT signed_says_why CHECK ((signed_by <> '') = (signed_why <> '' AND signed_at IS NOT NULL)),
    CONSTRAINT closed_by_somebody CHECK ((state = 'closed') = (closed_by <> '' AND closed_at IS NOT NULL)),
    -- A day that differs is closed by somebody else than who signed for it.
    CONSTRAINT two_for_a_difference CHECK (state <> 'closed' OR NOT differs
        OR (signed_by <> '' AND sla.person(signed_by) <> sla.person(closed_by)))
);
CREATE INDEX days_closed ON sla.days (day) WHERE state = 'closed';
-- +goose StatementBegin
CREATE FUNCTION sla.keep_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the business day % is closed', OLD.day USING ERRCODE = 'check_violation', CONSTRAINT = 'day_closed';
END $$;
-- +goose StatementEnd
CREATE TRIGGER keep_closed BEFORE UPDATE ON sla.days FOR EACH ROW WHEN (OLD.state = 'closed') EXECUTE FUNCTION sla.keep_closed();
CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON sla.days
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();

-- The business day a posting belongs to: that of the payment where one is
-- told, else that of the posting; and never a closed one, but then the next
-- that is open. Rows of before keep none.
ALTER TABLE sla.ledger_transactions ADD COLUMN booked_on date;
CREATE INDEX ledger_transactions_booked ON sla.ledger_transactions (booked_on) WHERE kind = 'paid';

-- Whoever posts and whoever closes a day agree on which days are closed by
-- this lock: posters share it, a closing has it alone.
-- +goose StatementBegin
CREATE FUNCTION sla.closed_through(alone boolean) RETURNS date LANGUAGE plpgsql AS $$
BEGIN
    IF alone THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('sla days', 0));
    ELSE
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('sla days', 0));
    END IF;
    RETURN (SELECT max(day) FROM sla.days WHERE state = 'closed');
END $$;
CREATE FUNCTION sla.open_books() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('sla.closed_through', coalesce(sla.closed_through(false)::text, ''), true);
    RETURN NULL;
END $$;
CREATE FUNCTION sla.book_on() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed date := nullif(current_setting('sla.closed_through', true), '')::date;
BEGIN
    NEW.booked_on := coalesce(NEW.booked_on, sla.business_day(NEW.posted_at));
    IF NEW.booked_on <= closed THEN
        NEW.booked_on := closed + 1;
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER open_books BEFORE INSERT ON sla.ledger_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION sla.open_books();
CREATE TRIGGER book_on BEFORE INSERT ON sla.ledger_transactions
    FOR EACH ROW EXECUTE FUNCTION sla.book_on();

ALTER TABLE sla.reconciliations ENABLE ALWAYS TRIGGER never_changed;
ALTER TABLE sla.told_payments ENABLE ALWAYS TRIGGER never_changed;
ALTER TABLE sla.days ENABLE ALWAYS TRIGGER keep_closed;
ALTER TABLE sla.days ENABLE ALWAYS TRIGGER never_removed;
ALTER TABLE sla.ledger_transactions ENABLE ALWAYS TRIGGER open_books;
ALTER TABLE sla.ledger_transactions ENABLE ALWAYS TRIGGER book_on;
