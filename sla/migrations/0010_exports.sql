-- +goose Up

-- What was taken out of the house as a file: who, when, what was asked for,
-- and what it came to. The row is written before the first line leaves, so
-- that an export which breaks off, or a process that dies, leaves a trace too.
CREATE TABLE sla.exports (
    id          uuid        PRIMARY KEY,
    what        text        NOT NULL,
    format      text        NOT NULL CHECK (format IN ('csv', 'xlsx')),
    filter      text        NOT NULL, -- JSON object, as asked for
    zone        text        NOT NULL, -- the times' zone
    made_by     text        NOT NULL,
    made_at     timestamptz NOT NULL,
    finished_at timestamptz,
    lines       bigint      NOT NULL DEFAULT 0 CHECK (lines >= 0),
    total_fen   bigint      NOT NULL DEFAULT 0,
    digest      text        NOT NULL DEFAULT '', -- SHA-256 of the lines as plain CSV, hexadecimal
    ledger_seq  bigint      NOT NULL DEFAULT 0,  -- head of the ledger's chain as read
    ledger_hash text        NOT NULL DEFAULT '',
    failed      text        NOT NULL DEFAULT '', -- why it broke off
    CONSTRAINT whole_or_failed CHECK (finished_at IS NULL OR (digest <> '') = (failed = ''))
);
CREATE INDEX exports_list ON sla.exports (made_at, id);

-- +goose StatementBegin
CREATE FUNCTION sla.refuse_second_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL
        AND (NEW.id, NEW.what, NEW.format, NEW.filter, NEW.zone, NEW.made_by, NEW.made_at)
          = (OLD.id, OLD.what, OLD.format, OLD.filter, OLD.zone, OLD.made_by, OLD.made_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the record of export % stands', OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'never_changed';
END $$;
-- +goose StatementEnd
CREATE TRIGGER ends_once BEFORE UPDATE ON sla.exports
    FOR EACH ROW EXECUTE FUNCTION sla.refuse_second_end();
CREATE TRIGGER never_changed BEFORE DELETE OR TRUNCATE ON sla.exports
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();
