-- +goose Up

-- What others bear of a compensation: the provider at fault, the partner
-- whose request it was. One row per compensation and bearer, so that nobody
-- is charged twice for one thing; it is taken back with the compensation, or
-- when the bearer wins his dispute, and never charged again.
CREATE TABLE sla.chargebacks (
    compensation_id uuid        NOT NULL REFERENCES sla.compensations,
    bearer          text        NOT NULL CHECK (bearer IN ('provider', 'partner')),
    bearer_id       uuid        NOT NULL,
    request_id      uuid        NOT NULL,
    area            text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('charged', 'reversed')),
    version         bigint      NOT NULL CHECK (version >= 1),
    fen             bigint      NOT NULL CHECK (fen > 0),
    fault_pct       integer     NOT NULL CHECK (fault_pct BETWEEN 0 AND 100), -- the bearer's part of the fault; 0 for a partner, who bears by agreement
    attribution     json        NOT NULL,
    policy          text        NOT NULL,
    policy_version  integer     NOT NULL,
    charged_at      timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL,
    reversed_by     text        NOT NULL DEFAULT '',
    reversed_why    text        NOT NULL DEFAULT '',
    PRIMARY KEY (compensation_id, bearer, bearer_id),
    CONSTRAINT reversal_says_why CHECK ((state = 'reversed') = (reversed_by <> '' AND reversed_why <> ''))
);
CREATE INDEX chargebacks_list ON sla.chargebacks (charged_at, compensation_id, bearer_id);
CREATE INDEX chargebacks_of ON sla.chargebacks (bearer_id, charged_at, compensation_id);

-- +goose StatementBegin
CREATE FUNCTION sla.keep_charge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was charged back for % never changes', OLD.compensation_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'charge_never_changes';
END $$;
-- +goose StatementEnd
CREATE TRIGGER keep_charge BEFORE UPDATE ON sla.chargebacks FOR EACH ROW
    WHEN ((OLD.compensation_id, OLD.bearer, OLD.bearer_id, OLD.fen, OLD.fault_pct, OLD.charged_at) IS DISTINCT FROM
          (NEW.compensation_id, NEW.bearer, NEW.bearer_id, NEW.fen, NEW.fault_pct, NEW.charged_at) OR OLD.state = 'reversed')
    EXECUTE FUNCTION sla.keep_charge();
CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON sla.chargebacks
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();
