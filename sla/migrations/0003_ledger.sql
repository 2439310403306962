-- +goose Up

INSERT INTO sla.ledger_accounts (code, side, name_zh, name_en) VALUES
    ('provider_receivable', 'debit', '应收服务商追偿款', 'Charged back to providers'),
    ('partner_share', 'debit', '应收合作方分担款', 'Borne by partners'),
    ('payout_clearing', 'credit', '付款在途', 'Payments on their way'),
    ('cash', 'debit', '银行存款', 'Cash');

-- A posting is about a compensation, a batch, or both; later also about what
-- a provider is charged.
ALTER TABLE sla.ledger_transactions
    ALTER COLUMN compensation_id DROP NOT NULL,
    ADD COLUMN batch_id uuid;
ALTER TABLE sla.ledger_entries
    ADD COLUMN currency text NOT NULL DEFAULT 'CNY' CHECK (currency ~ '^[A-Z]{3}$');
CREATE INDEX ledger_transactions_list ON sla.ledger_transactions (posted_at, id);
CREATE INDEX ledger_transactions_of_batch ON sla.ledger_transactions (batch_id) WHERE batch_id IS NOT NULL;

-- As before, and: the lines balance in each currency by itself, and a
-- reversal mirrors what it reverses line by line.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION sla.check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head  sla.ledger_transactions;
    of_id uuid;
    n     bigint;
    debit numeric;
    off   text;
BEGIN
    IF TG_TABLE_NAME = 'ledger_entries' THEN of_id := NEW.transaction_id; ELSE of_id := NEW.id; END IF;
    SELECT * INTO head FROM sla.ledger_transactions WHERE id = of_id;
    SELECT coalesce(sum(c), 0), coalesce(sum(d), 0), string_agg(currency || ' ' || s, ', ') FILTER (WHERE s <> 0)
        INTO n, debit, off FROM (
            SELECT currency, count(*) AS c, sum(fen) AS s, sum(fen) FILTER (WHERE fen > 0) AS d
            FROM sla.ledger_entries WHERE transaction_id = of_id GROUP BY currency) AS by_currency;
    IF n <> head.lines OR off IS NOT NULL OR debit <> head.total_fen THEN
        RAISE EXCEPTION 'ledger transaction % does not balance: % of % lines, left over %, debits % of % fen',
            head.key, n, head.lines, coalesce(off, 'nothing'), debit, head.total_fen
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_balances';
    END IF;
    IF head.reverses_id IS NOT NULL AND EXISTS (
        (SELECT account, currency, fen FROM sla.ledger_entries WHERE transaction_id = of_id)
        EXCEPT ALL
        (SELECT account, currency, -fen FROM sla.ledger_entries WHERE transaction_id = head.reverses_id)) THEN
        RAISE EXCEPTION 'ledger transaction % does not mirror the one it reverses', head.key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'reversal_mirrors';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- The chain over what has been posted. A posting is chained shortly after it
-- has committed, not within its own transaction: that would make every
-- posting wait for the one before it to commit.
CREATE TABLE sla.ledger_chain (
    seq            bigint      PRIMARY KEY CHECK (seq >= 1), -- without gaps
    transaction_id uuid        NOT NULL UNIQUE REFERENCES sla.ledger_transactions,
    prev_hash      bytea       NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash           bytea       NOT NULL CHECK (octet_length(hash) = 32),
    sealed_at      timestamptz NOT NULL
);
CREATE TABLE sla.ledger_unsealed (
    transaction_id uuid PRIMARY KEY REFERENCES sla.ledger_transactions
);
INSERT INTO sla.ledger_unsealed SELECT id FROM sla.ledger_transactions;

-- +goose StatementBegin
CREATE FUNCTION sla.queue_for_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sla.ledger_unsealed SELECT id FROM added;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER queue_for_chain AFTER INSERT ON sla.ledger_transactions
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION sla.queue_for_chain();

CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.ledger_chain
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();

-- Not even a session that switches ordinary triggers off gets past these.
ALTER TABLE sla.ledger_transactions ENABLE ALWAYS TRIGGER never_changed;
ALTER TABLE sla.ledger_entries ENABLE ALWAYS TRIGGER never_changed;
ALTER TABLE sla.ledger_chain ENABLE ALWAYS TRIGGER never_changed;

-- Whatever roles were let in before: none of them may change what is posted.
-- +goose StatementBegin
DO $$
DECLARE
    granted record;
BEGIN
    REVOKE UPDATE, DELETE, TRUNCATE ON sla.ledger_transactions, sla.ledger_entries, sla.ledger_chain FROM PUBLIC;
    FOR granted IN
        SELECT DISTINCT grantee FROM information_schema.role_table_grants
        WHERE table_schema = 'sla' AND table_name LIKE 'ledger%' AND grantee NOT IN ('PUBLIC', current_user)
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON sla.ledger_transactions, sla.ledger_entries, sla.ledger_chain FROM %I', granted.grantee);
    END LOOP;
END $$;
-- +goose StatementEnd
