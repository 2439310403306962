-- +goose Up

-- The balance of a posting is checked once, for its head, and no more for each
-- of its lines as well: a month's payments are a million postings. What the
-- checks per line kept out is kept out by two rules that cost nothing: a line
-- has a place of its own (the primary key), and none lies beyond the number
-- of lines the head announces. So a posting that balanced is full.
DROP TRIGGER balances ON sla.ledger_entries;
-- +goose StatementBegin
CREATE FUNCTION sla.check_places() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT t.key INTO wrong FROM added a JOIN sla.ledger_transactions t ON t.id = a.transaction_id WHERE a.line > t.lines LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger transaction % has all its lines', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_balances';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER within_posting AFTER INSERT ON sla.ledger_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION sla.check_places();

ALTER TABLE sla.compensations
    ADD COLUMN bounces     smallint NOT NULL DEFAULT 0 CHECK (bounces BETWEEN 0 AND 35), -- how often its payment came back
    ADD COLUMN bounced_why text     NOT NULL DEFAULT '',
    ADD COLUMN bounced_at  timestamptz,
    ADD CONSTRAINT bounce_says_why CHECK ((bounces = 0) = (bounced_at IS NULL) AND (bounces = 0) = (bounced_why = ''));

-- Payments that go out together.
CREATE TABLE sla.batches (
    id            uuid        PRIMARY KEY,
    state         text        NOT NULL CHECK (state IN ('draft', 'sealed', 'approved', 'submitted', 'settled', 'discarded')),
    version       bigint      NOT NULL CHECK (version >= 1),
    title         text        NOT NULL CHECK (title <> ''),
    lines         bigint      NOT NULL DEFAULT 0 CHECK (lines >= 0),
    total_fen     bigint      NOT NULL DEFAULT 0 CHECK (total_fen >= 0),
    digest        text        NOT NULL DEFAULT '', -- SHA-256 of the sealed lines, hexadecimal
    created_by    text        NOT NULL CHECK (created_by LIKE '_%:_%'),
    created_at    timestamptz NOT NULL,
    sealed_by     text        NOT NULL DEFAULT '',
    sealed_at     timestamptz,
    approved_by   text        NOT NULL DEFAULT '',
    approved_why  text        NOT NULL DEFAULT '',
    approved_at   timestamptz,
    submitted_by  text        NOT NULL DEFAULT '',
    submitted_at  timestamptz,
    ended_by      text        NOT NULL DEFAULT '', -- who discarded, rejected or settled it
    ended_why     text        NOT NULL DEFAULT '',
    ended_at      timestamptz,
    released_at   timestamptz, -- when the last line of a discarded batch was free again
    paid_lines    bigint      NOT NULL DEFAULT 0 CHECK (paid_lines >= 0),
    paid_fen      bigint      NOT NULL DEFAULT 0 CHECK (paid_fen >= 0),
    bounced_lines bigint      NOT NULL DEFAULT 0 CHECK (bounced_lines >= 0),
    bounced_fen   bigint      NOT NULL DEFAULT 0 CHECK (bounced_fen >= 0),
    key           text        NOT NULL UNIQUE, -- of the call that opened it
    input_hash    bytea       NOT NULL,
    changed_at    timestamptz NOT NULL,
    CONSTRAINT sealed_is_counted CHECK ((state IN ('sealed', 'approved', 'submitted', 'settled'))
        <= (lines > 0 AND total_fen > 0 AND digest ~ '^[0-9a-f]{64}$' AND sealed_by <> '' AND sealed_at IS NOT NULL)),
    CONSTRAINT approved_says_why CHECK ((state IN ('approved', 'submitted', 'settled'))
        <= (approved_by <> '' AND approved_why <> '' AND approved_at IS NOT NULL)),
    CONSTRAINT submitted_by_somebody CHECK ((state IN ('submitted', 'settled')) <= (submitted_by <> '' AND submitted_at IS NOT NULL)),
    CONSTRAINT ended_by_somebody CHECK ((state IN ('settled', 'discarded')) = (ended_by <> '' AND ended_at IS NOT NULL)),
    -- Who opened or sealed it is not who approves it, in whatever role.
    CONSTRAINT second_person CHECK (approved_by = ''
        OR (sla.person(approved_by) <> sla.person(created_by) AND sla.person(approved_by) <> sla.person(sealed_by))),
    CONSTRAINT no_more_results_than_lines CHECK (paid_lines + bounced_lines <= lines AND paid_fen + bounced_fen <= total_fen),
    CONSTRAINT results_after_submission CHECK (paid_lines + bounced_lines = 0 OR state IN ('submitted', 'settled')),
    CONSTRAINT settled_is_complete CHECK (state <> 'settled' OR (paid_lines + bounced_lines = lines AND paid_fen + bounced_fen = total_fen))
);
CREATE INDEX batches_list ON sla.batches (created_at, id);
CREATE INDEX batches_to_release ON sla.batches (id) WHERE state = 'discarded' AND released_at IS NULL;

-- +goose StatementBegin
CREATE FUNCTION sla.keep_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'draft' AND (NEW.lines, NEW.total_fen, NEW.digest, NEW.sealed_by, NEW.sealed_at)
        IS DISTINCT FROM (OLD.lines, OLD.total_fen, OLD.digest, OLD.sealed_by, OLD.sealed_at)
       OR OLD.approved_by <> '' AND (NEW.approved_by, NEW.approved_why, NEW.approved_at)
        IS DISTINCT FROM (OLD.approved_by, OLD.approved_why, OLD.approved_at)
       OR (NEW.id, NEW.title, NEW.created_by, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.title, OLD.created_by, OLD.created_at) THEN
        RAISE EXCEPTION 'batch % is %; what was sealed and approved stands', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'batch_frozen';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER keep_batch BEFORE UPDATE ON sla.batches FOR EACH ROW EXECUTE FUNCTION sla.keep_batch();
CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON sla.batches
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();

-- The payments of a batch. A line that has bounced or been released leaves
-- room for another, elsewhere; one that is open or paid does not: no two
-- batches can pay one compensation.
CREATE TABLE sla.batch_lines (
    batch_id        uuid     NOT NULL REFERENCES sla.batches,
    compensation_id uuid     NOT NULL REFERENCES sla.compensations,
    request_id      uuid     NOT NULL,
    attempt         smallint NOT NULL CHECK (attempt BETWEEN 1 AND 35),
    reference       text     NOT NULL CHECK (reference ~ '^[0-9a-z]{32}$'), -- what the payment is called outside
    fen             bigint   NOT NULL CHECK (fen > 0),
    state           text     NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paid', 'bounced', 'released')),
    result_id       uuid,
    paid_on         date, -- business date of the payment
    why             text     NOT NULL DEFAULT '', -- of a bounce
    PRIMARY KEY (batch_id, compensation_id),
    CONSTRAINT result_says_what CHECK (CASE state
        WHEN 'paid' THEN result_id IS NOT NULL AND paid_on IS NOT NULL
        WHEN 'bounced' THEN result_id IS NOT NULL AND paid_on IS NULL AND why <> ''
        ELSE result_id IS NULL AND paid_on IS NULL END)
);
CREATE UNIQUE INDEX one_live_line ON sla.batch_lines (compensation_id) WHERE state IN ('open', 'paid');
CREATE UNIQUE INDEX one_reference ON sla.batch_lines (reference) WHERE state <> 'released';

-- +goose StatementBegin
CREATE FUNCTION sla.only_in_draft() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM touched l JOIN sla.batches b ON b.id = l.batch_id WHERE b.state <> 'draft') THEN
        RAISE EXCEPTION 'lines are added and removed in a draft alone'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'batch_frozen';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION sla.keep_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM before o JOIN sla.batches b ON b.id = o.batch_id
        LEFT JOIN touched n ON n.batch_id = o.batch_id AND n.compensation_id = o.compensation_id
        WHERE n.batch_id IS NULL OR o.state <> 'open'
            OR (n.request_id, n.attempt, n.reference, n.fen) IS DISTINCT FROM (o.request_id, o.attempt, o.reference, o.fen)
            OR NOT (n.state IN ('paid', 'bounced') AND b.state = 'submitted' OR n.state = 'released' AND b.state = 'discarded')) THEN
        RAISE EXCEPTION 'a line gets its result once, and nothing else of it changes'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'batch_frozen';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER only_in_draft_new AFTER INSERT ON sla.batch_lines
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION sla.only_in_draft();
CREATE TRIGGER only_in_draft_old AFTER DELETE ON sla.batch_lines
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION sla.only_in_draft();
CREATE TRIGGER keep_lines AFTER UPDATE ON sla.batch_lines
    REFERENCING OLD TABLE AS before NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION sla.keep_lines();
CREATE TRIGGER never_removed BEFORE TRUNCATE ON sla.batch_lines
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();

-- How a submitted batch gets to whoever pays. The key is stored before
-- anything is sent, and is what makes a repeated sending pay nobody twice.
CREATE TABLE sla.payouts (
    batch_id   uuid        PRIMARY KEY REFERENCES sla.batches,
    key        text        NOT NULL UNIQUE,
    via        text        NOT NULL CHECK (via <> ''),
    state      text        NOT NULL CHECK (state IN ('waiting', 'sending', 'sent', 'failed')),
    booked_to  uuid,        -- the compensation up to which lines are posted as submitted
    booked_at  timestamptz, -- when the last of them was
    attempts   integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_at    timestamptz NOT NULL, -- not to be tried before
    failure    text        NOT NULL DEFAULT '',
    receipt    text        NOT NULL DEFAULT '', -- what the other side said
    sent_at    timestamptz,
    changed_at timestamptz NOT NULL,
    CONSTRAINT booked_before_sent CHECK (state = 'waiting' OR booked_at IS NOT NULL OR state = 'failed'),
    CONSTRAINT sent_is_dated CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT failed_says_why CHECK (state <> 'failed' OR failure <> '')
);
CREATE INDEX payouts_due ON sla.payouts (next_at) WHERE state IN ('waiting', 'sending');

-- Results as they came in, one row for each file or call.
CREATE TABLE sla.payout_results (
    id            uuid        PRIMARY KEY,
    batch_id      uuid        NOT NULL REFERENCES sla.batches,
    name          text        NOT NULL, -- of the file, for people
    digest        text        NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'), -- SHA-256 of its lines
    lines         integer     NOT NULL CHECK (lines > 0),
    repeated      integer     NOT NULL CHECK (repeated >= 0), -- lines whose result was known, and the same
    paid_lines    integer     NOT NULL,
    paid_fen      bigint      NOT NULL,
    bounced_lines integer     NOT NULL,
    bounced_fen   bigint      NOT NULL,
    recorded_by   text        NOT NULL,
    recorded_at   timestamptz NOT NULL,
    UNIQUE (batch_id, digest)
);
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.payout_results
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();
ALTER TABLE sla.batch_lines ADD FOREIGN KEY (result_id) REFERENCES sla.payout_results;

ALTER TABLE sla.ledger_transactions ADD FOREIGN KEY (batch_id) REFERENCES sla.batches;

-- Not even a session that switches ordinary triggers off gets past these.
ALTER TABLE sla.batches ENABLE ALWAYS TRIGGER keep_batch;
ALTER TABLE sla.batches ENABLE ALWAYS TRIGGER never_removed;
ALTER TABLE sla.batch_lines ENABLE ALWAYS TRIGGER only_in_draft_new;
ALTER TABLE sla.batch_lines ENABLE ALWAYS TRIGGER only_in_draft_old;
ALTER TABLE sla.batch_lines ENABLE ALWAYS TRIGGER keep_lines;
ALTER TABLE sla.batch_lines ENABLE ALWAYS TRIGGER never_removed;
ALTER TABLE sla.payout_results ENABLE ALWAYS TRIGGER never_changed;
