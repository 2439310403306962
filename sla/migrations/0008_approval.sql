-- +goose Up

-- Whose car a request is for: a keyed digest of its plate, so that one car's
-- month can be told, and the car cannot.
CREATE TABLE sla.vehicles (
    request_id uuid PRIMARY KEY,
    vehicle    text NOT NULL CHECK (vehicle <> '')
);

ALTER TABLE sla.compensations
    ADD COLUMN imported           boolean  NOT NULL DEFAULT false, -- of a past rescue that was brought in
    ADD COLUMN prepared_by        text     NOT NULL DEFAULT 'system:sla' CHECK (prepared_by <> ''),
    ADD COLUMN approvers          smallint NOT NULL DEFAULT 1 CHECK (approvers IN (1, 2)), -- how many it needs
    ADD COLUMN first_approved_by  text     NOT NULL DEFAULT '',
    ADD COLUMN first_approved_why text     NOT NULL DEFAULT '',
    ADD COLUMN queued             json     NOT NULL DEFAULT '[]', -- why the policy did not approve it by itself
    ADD COLUMN vehicle            text     NOT NULL DEFAULT '',
    ADD COLUMN month              date;    -- in which the request was opened, in the business zone
UPDATE sla.compensations c SET month = date_trunc('month', g.opened_at AT TIME ZONE 'Asia/Shanghai')::date,
        imported = g.import_id IS NOT NULL,
        prepared_by = coalesce((SELECT i.prepared_by FROM sla.imports i WHERE i.id = g.import_id), c.prepared_by)
    FROM sla.guarantees g WHERE g.id = c.guarantee_id;

-- Who somebody is, in whatever role he acts: the subject of role:subject.
-- +goose StatementBegin
CREATE FUNCTION sla.person(actor text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN nullif(substr(actor, strpos(actor, ':') + 1), '');
-- +goose StatementEnd
ALTER TABLE sla.compensations
    ALTER COLUMN prepared_by DROP DEFAULT,
    ALTER COLUMN month SET NOT NULL,
    ADD CONSTRAINT month_begins CHECK (month = date_trunc('month', month)::date),
    -- Whoever prepared it approves it neither first nor second.
    ADD CONSTRAINT approver_is_not_preparer CHECK (
        sla.person(prepared_by) IS DISTINCT FROM sla.person(approved_by) AND sla.person(prepared_by) IS DISTINCT FROM sla.person(first_approved_by)),
    -- What needs two approvers has two, and they are two persons.
    ADD CONSTRAINT two_approvers CHECK (approvers = 1 OR state NOT IN ('approved', 'batched', 'paid')
        OR (first_approved_by <> '' AND sla.person(first_approved_by) IS DISTINCT FROM sla.person(approved_by))),
    ADD CONSTRAINT first_approval_says_why CHECK ((first_approved_by = '') = (first_approved_why = '')),
    ADD CONSTRAINT first_of_two CHECK (first_approved_by = '' OR approvers = 2),
    DROP CONSTRAINT four_eyes,
    ADD CONSTRAINT four_eyes CHECK (disputed_by = ''
        OR (sla.person(disputed_by) IS DISTINCT FROM sla.person(approved_by)
            AND sla.person(disputed_by) IS DISTINCT FROM sla.person(first_approved_by)
            AND sla.person(disputed_by) IS DISTINCT FROM sla.person(voided_by)));

-- What has been approved, is on its way or paid: in all of a programme
-- (vehicle '' and month -infinity), and for one vehicle and month under it.
-- Whoever weighs a cap locks the row first, so that no two of them count on
-- the same fen.
CREATE TABLE sla.spent (
    policy  text   NOT NULL,
    vehicle text   NOT NULL,
    month   date   NOT NULL,
    fen     bigint NOT NULL CHECK (fen >= 0),
    PRIMARY KEY (policy, vehicle, month),
    CONSTRAINT programme_or_vehicle CHECK ((vehicle = '') = (month = '-infinity'))
);

-- +goose StatementBegin
CREATE FUNCTION sla.count_spent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    more bigint := 0;
BEGIN
    IF NEW.state IN ('approved', 'batched', 'paid') THEN more := NEW.fen; END IF;
    IF TG_OP = 'UPDATE' AND OLD.state IN ('approved', 'batched', 'paid') THEN more := more - OLD.fen; END IF;
    -- The programme's row before the vehicle's, as whoever weighs a cap locks them.
    UPDATE sla.spent SET fen = fen + more WHERE policy = NEW.policy AND vehicle = '' AND month = '-infinity';
    IF NOT FOUND THEN
        INSERT INTO sla.spent AS s (policy, vehicle, month, fen) VALUES (NEW.policy, '', '-infinity', more)
            ON CONFLICT (policy, vehicle, month) DO UPDATE SET fen = s.fen + excluded.fen;
    END IF;
    IF NEW.vehicle <> '' THEN
        UPDATE sla.spent SET fen = fen + more WHERE policy = NEW.policy AND vehicle = NEW.vehicle AND month = NEW.month;
        IF NOT FOUND THEN
            INSERT INTO sla.spent AS s (policy, vehicle, month, fen) VALUES (NEW.policy, NEW.vehicle, NEW.month, more)
                ON CONFLICT (policy, vehicle, month) DO UPDATE SET fen = s.fen + excluded.fen;
        END IF;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER count_spent_new AFTER INSERT ON sla.compensations FOR EACH ROW
    WHEN (NEW.state IN ('approved', 'batched', 'paid')) EXECUTE FUNCTION sla.count_spent();
CREATE TRIGGER count_spent AFTER UPDATE OF state ON sla.compensations FOR EACH ROW
    WHEN ((OLD.state IN ('approved', 'batched', 'paid')) IS DISTINCT FROM (NEW.state IN ('approved', 'batched', 'paid')))
    EXECUTE FUNCTION sla.count_spent();
INSERT INTO sla.spent SELECT policy, '', '-infinity', sum(fen) FROM sla.compensations
    WHERE state IN ('approved', 'batched', 'paid') GROUP BY policy;

-- +goose StatementBegin
CREATE FUNCTION sla.keep_amount() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what compensation % is for and how much never changes', OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'amount_never_changes';
END $$;
-- +goose StatementEnd
CREATE TRIGGER keep_amount BEFORE UPDATE ON sla.compensations FOR EACH ROW
    WHEN ((OLD.id, OLD.guarantee_id, OLD.request_id, OLD.fen, OLD.policy, OLD.policy_version, OLD.prepared_by, OLD.imported, OLD.approvers, OLD.vehicle, OLD.month)
        IS DISTINCT FROM (NEW.id, NEW.guarantee_id, NEW.request_id, NEW.fen, NEW.policy, NEW.policy_version, NEW.prepared_by, NEW.imported, NEW.approvers, NEW.vehicle, NEW.month))
    EXECUTE FUNCTION sla.keep_amount();
