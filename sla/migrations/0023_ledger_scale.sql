-- +goose Up

-- A month's payments are a million postings, and most of the time of posting
-- one went into looks at it row by row: seven foreign keys and a balance.
-- Here each statement is looked at once, whole. What is refused stays what it
-- was, and is refused of a session that switches ordinary triggers off too,
-- which foreign keys were not.
--
-- The looks go by key, whatever the planner believes of tables that grow a
-- thousandfold between two of its counts: a plan is kept for the session, and
-- the one for two lines reads the whole ledger for them when it is wrong.

-- What a posting names is never removed, as a foreign key would have it.
CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON sla.compensations
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();
CREATE TRIGGER never_removed BEFORE UPDATE OF code OR DELETE OR TRUNCATE ON sla.ledger_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();
ALTER TABLE sla.compensations ENABLE ALWAYS TRIGGER never_removed;
ALTER TABLE sla.ledger_accounts ENABLE ALWAYS TRIGGER never_removed;

-- What a transaction has posted and not shown to balance yet. A row lives
-- within its transaction: the check that its insertion defers to the commit
-- takes it away, and comes whatever else becomes of the row.
CREATE TABLE sla.ledger_pending (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_ids uuid[] NOT NULL
);
-- It is read back at once: compressing it costs more than it saves.
ALTER TABLE sla.ledger_pending ALTER COLUMN transaction_ids SET STORAGE EXTERNAL;

-- +goose StatementBegin
CREATE FUNCTION sla.check_postings() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    head  sla.ledger_transactions;
    n     bigint;
    debit numeric;
    off   text;
BEGIN
    -- Lines of one currency are added up here; what is not plain is looked at
    -- by itself: each currency alone, and a reversal line by line.
    FOR head IN
        SELECT t.* FROM unnest(NEW.transaction_ids) AS u (id) JOIN sla.ledger_transactions t ON t.id = u.id
        CROSS JOIN LATERAL (
            SELECT count(*) AS n, sum(fen) AS over, sum(fen) FILTER (WHERE fen > 0) AS debit, min(currency) AS one, max(currency) AS other
            FROM sla.ledger_entries WHERE transaction_id = t.id) e
        WHERE t.reverses_id IS NOT NULL OR (e.n, e.over, e.debit, e.one) IS DISTINCT FROM (t.lines, 0, t.total_fen, e.other)
    LOOP
        SELECT coalesce(sum(c), 0), coalesce(sum(d), 0), string_agg(currency || ' ' || s, ', ') FILTER (WHERE s <> 0)
            INTO n, debit, off FROM (
                SELECT currency, count(*) AS c, sum(fen) AS s, sum(fen) FILTER (WHERE fen > 0) AS d
                FROM sla.ledger_entries WHERE transaction_id = head.id GROUP BY currency) AS by_currency;
        IF n <> head.lines OR off IS NOT NULL OR debit <> head.total_fen THEN
            RAISE EXCEPTION 'ledger transaction % does not balance: % of % lines, left over %, debits % of % fen',
                head.key, n, head.lines, coalesce(off, 'nothing'), debit, head.total_fen
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_balances';
        END IF;
        IF head.reverses_id IS NOT NULL AND EXISTS (
            (SELECT account, currency, fen FROM sla.ledger_entries WHERE transaction_id = head.id)
            EXCEPT ALL
            (SELECT account, currency, -fen FROM sla.ledger_entries WHERE transaction_id = head.reverses_id)) THEN
            RAISE EXCEPTION 'ledger transaction % does not mirror the one it reverses', head.key
                USING ERRCODE = 'check_violation', CONSTRAINT = 'reversal_mirrors';
        END IF;
    END LOOP;
    DELETE FROM sla.ledger_pending WHERE id = NEW.id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
DROP TRIGGER balances ON sla.ledger_transactions;
DROP FUNCTION sla.check_balance();
CREATE CONSTRAINT TRIGGER balances AFTER INSERT ON sla.ledger_pending
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sla.check_postings();

-- The heads: what they are about is there, and they are queued for the chain
-- and for the check of their balance.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION sla.queue_for_chain() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off SET jit = off AS $$
DECLARE
    wrong text;
BEGIN
    SELECT a.key INTO wrong FROM added a
        WHERE a.compensation_id IS NOT NULL AND NOT EXISTS (SELECT FROM sla.compensations c WHERE c.id = a.compensation_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger transaction % is about no compensation there is', wrong
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'ledger_transactions_compensation_id_fkey';
    END IF;
    SELECT a.batch_id INTO wrong FROM (SELECT DISTINCT batch_id FROM added WHERE batch_id IS NOT NULL) a
        WHERE NOT EXISTS (SELECT FROM sla.batches b WHERE b.id = a.batch_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'there is no batch % to post for', wrong
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'ledger_transactions_batch_id_fkey';
    END IF;
    INSERT INTO sla.ledger_unsealed SELECT id FROM added;
    INSERT INTO sla.ledger_pending (transaction_ids) SELECT array_agg(id) FROM added HAVING count(*) > 0;
    RETURN NULL;
END $$;
-- +goose StatementEnd
ALTER TABLE sla.ledger_transactions
    DROP CONSTRAINT ledger_transactions_compensation_id_fkey,
    DROP CONSTRAINT ledger_transactions_batch_id_fkey,
    DROP CONSTRAINT ledger_transactions_reverses_id_key;
-- Few postings reverse another.
CREATE UNIQUE INDEX ledger_transactions_reverses_id_key ON sla.ledger_transactions (reverses_id) WHERE reverses_id IS NOT NULL;

-- The lines: their posting is there and has room for them, and so are their
-- accounts. A posting is looked up once for all its lines, and nothing is
-- sorted to tell their accounts apart.
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
ALTER TABLE sla.ledger_entries
    DROP CONSTRAINT ledger_entries_transaction_id_fkey,
    DROP CONSTRAINT ledger_entries_account_fkey;

-- The chain and its queue hold postings that are there.
-- +goose StatementBegin
CREATE FUNCTION sla.check_linked() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    wrong uuid;
BEGIN
    SELECT a.transaction_id INTO wrong FROM added a
        WHERE NOT EXISTS (SELECT FROM sla.ledger_transactions t WHERE t.id = a.transaction_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'there is no ledger transaction % to chain', wrong
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_TABLE_NAME || '_transaction_id_fkey';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
ALTER TABLE sla.ledger_unsealed DROP CONSTRAINT ledger_unsealed_transaction_id_fkey;
ALTER TABLE sla.ledger_chain DROP CONSTRAINT ledger_chain_transaction_id_fkey;
-- What the trigger of postings queues has just been posted.
CREATE TRIGGER posted AFTER INSERT ON sla.ledger_unsealed
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION sla.check_linked();
CREATE TRIGGER posted AFTER INSERT ON sla.ledger_chain
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION sla.check_linked();

-- Not even a session that switches ordinary triggers off gets past these.
ALTER TABLE sla.ledger_pending ENABLE ALWAYS TRIGGER balances;
ALTER TABLE sla.ledger_transactions ENABLE ALWAYS TRIGGER queue_for_chain;
ALTER TABLE sla.ledger_entries ENABLE ALWAYS TRIGGER within_posting;
ALTER TABLE sla.ledger_unsealed ENABLE ALWAYS TRIGGER posted;
ALTER TABLE sla.ledger_chain ENABLE ALWAYS TRIGGER posted;

-- What a batch is filled from, in its order: the million that is batched
-- already is not walked over for each portion.
CREATE INDEX compensations_payable ON sla.compensations (accrued_at, id) WHERE state = 'approved';

-- Both sides hold as many lines as a file of results, and a plan that was made
-- for two of them would hold each against each. Whoever moves a batch on has
-- his statements go by index, and what one of them has touched has none.
ALTER FUNCTION sla.keep_lines() SET enable_nestloop = off;
ALTER FUNCTION sla.keep_lines() SET enable_hashjoin = on;
