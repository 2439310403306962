-- +goose Up

-- What caps have spent is counted once per statement, not once per row: a
-- programme has one row, and approving five hundred compensations at once
-- changed it five hundred times, each walking over the versions before it.
DROP TRIGGER count_spent_new ON sla.compensations;
DROP TRIGGER count_spent ON sla.compensations;

-- It goes by key, whatever the planner believes of a table that grows a
-- thousandfold between two of its counts.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION sla.count_spent() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    changes sla.spent[];
    one     sla.spent;
BEGIN
    -- For whom, which car and how much never changes, so what one version
    -- counted for is what the other counts for.
    IF TG_OP = 'INSERT' THEN
        changes := ARRAY(SELECT ROW(policy, vehicle, month, sum(fen))::sla.spent FROM added
            WHERE state IN ('approved', 'batched', 'paid') GROUP BY policy, vehicle, month);
    ELSE
        changes := ARRAY(SELECT ROW(policy, vehicle, month, sum(fen))::sla.spent FROM (
                SELECT policy, vehicle, month, fen FROM added WHERE state IN ('approved', 'batched', 'paid')
                UNION ALL
                SELECT policy, vehicle, month, -fen FROM taken WHERE state IN ('approved', 'batched', 'paid')) AS both_ways
            GROUP BY policy, vehicle, month HAVING sum(fen) <> 0);
    END IF;
    -- Programmes before cars and each in order, as whoever weighs a cap locks them.
    FOR one IN
        SELECT policy, coalesce(vehicle, ''), coalesce(month, '-infinity'), sum(fen) FROM unnest(changes)
        GROUP BY GROUPING SETS ((policy), (policy, vehicle, month)) HAVING GROUPING(vehicle) = 1 OR vehicle <> ''
        ORDER BY vehicle IS NOT NULL, policy COLLATE "C", vehicle COLLATE "C", month
    LOOP
        UPDATE sla.spent SET fen = fen + one.fen WHERE policy = one.policy AND vehicle = one.vehicle AND month = one.month;
        IF NOT FOUND THEN
            INSERT INTO sla.spent AS s VALUES (one.policy, one.vehicle, one.month, one.fen)
                ON CONFLICT (policy, vehicle, month) DO UPDATE SET fen = s.fen + excluded.fen;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER count_spent_new AFTER INSERT ON sla.compensations
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION sla.count_spent();
CREATE TRIGGER count_spent AFTER UPDATE ON sla.compensations
    REFERENCING OLD TABLE AS taken NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION sla.count_spent();
