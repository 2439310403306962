-- +goose Up

-- What the looks of a portion of postings took, measured, and need not:
-- sorting lines to tell their accounts apart, compressing the list of what is
-- to be checked at the commit, and looking again for postings that a trigger
-- has just queued. A posting is looked up once for all its lines.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION sla.check_places() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off SET jit = off AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.transaction_id, t.key INTO wrong
        FROM (SELECT transaction_id, max(line) AS line FROM added GROUP BY transaction_id) a
        LEFT JOIN sla.ledger_transactions t ON t.id = a.transaction_id
        WHERE (a.line <= t.lines) IS NOT TRUE LIMIT 1;
    IF FOUND AND wrong.key IS NULL THEN
        RAISE EXCEPTION 'there is no ledger transaction %', wrong.transaction_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'ledger_entries_transaction_id_fkey';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'ledger transaction % has all its lines', wrong.key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_balances';
    END IF;
    SELECT a.account INTO wrong FROM (SELECT account FROM added GROUP BY account) a
        WHERE NOT EXISTS (SELECT FROM sla.ledger_accounts k WHERE k.code = a.account) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'there is no account %', wrong.account
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'ledger_entries_account_fkey';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
ALTER FUNCTION sla.queue_for_chain() SET enable_sort = off;
ALTER FUNCTION sla.queue_for_chain() SET enable_bitmapscan = off;
ALTER FUNCTION sla.check_postings() SET enable_bitmapscan = off;
ALTER FUNCTION sla.check_linked() SET enable_bitmapscan = off;
ALTER TABLE sla.ledger_pending ALTER COLUMN transaction_ids SET STORAGE EXTERNAL;

DROP TRIGGER posted ON sla.ledger_unsealed;
CREATE TRIGGER posted AFTER INSERT ON sla.ledger_unsealed
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION sla.check_linked();
ALTER TABLE sla.ledger_unsealed ENABLE ALWAYS TRIGGER posted;

-- Whoever moves a batch on has its statements go by index, and what one of
-- them has touched has none.
ALTER FUNCTION sla.keep_lines() SET enable_hashjoin = on;
