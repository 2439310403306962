-- +goose Up

-- A version takes effect once a second person has activated it: what approves
-- payments by itself must not be one person's doing. The service's own
-- policies come with the program and need nobody.
ALTER TABLE sla.policies
    ADD COLUMN effective_to timestamptz, -- NULL: until another version takes over
    ADD CONSTRAINT effective_for_a_while CHECK (effective_to > effective_from),
    ADD CONSTRAINT policies_added_by UNIQUE (name, version, added_by);
CREATE TABLE sla.policy_activations (
    name          text        NOT NULL,
    version       integer     NOT NULL,
    added_by      text        NOT NULL,
    activated_at  timestamptz NOT NULL,
    activated_by  text        NOT NULL CHECK (activated_by <> ''),
    activated_why text        NOT NULL CHECK (activated_why <> ''),
    PRIMARY KEY (name, version),
    FOREIGN KEY (name, version, added_by) REFERENCES sla.policies (name, version, added_by),
    -- One person with two roles is one person.
    CONSTRAINT activated_by_another CHECK (
        (activated_by LIKE 'system:%' AND added_by LIKE 'system:%')
        OR substr(activated_by, strpos(activated_by, ':')) <> substr(added_by, strpos(added_by, ':')))
);
INSERT INTO sla.policy_activations (name, version, added_by, activated_at, activated_by, activated_why)
SELECT name, version, added_by, added_at, 'system:migration', 'It was in force before versions had to be activated.'
FROM sla.policies;
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.policy_activations
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();

-- How the amount came about, and what it was held against. A fixed amount may
-- be owed for calling off in time, when nobody could come.
ALTER TABLE sla.guarantees
    ADD COLUMN started_at        timestamptz, -- NULL: the clock waits for its start
    ADD COLUMN raw_fen           bigint NOT NULL DEFAULT 0 CHECK (raw_fen >= 0),
    ADD COLUMN uncapped_fen      bigint NOT NULL DEFAULT 0 CHECK (uncapped_fen >= 0),
    ADD COLUMN excluded          text   NOT NULL DEFAULT '',
    ADD COLUMN spent_vehicle_fen bigint NOT NULL DEFAULT 0 CHECK (spent_vehicle_fen >= 0),
    DROP CONSTRAINT only_late_pays;
UPDATE sla.guarantees SET started_at = opened_at, raw_fen = owed_fen, uncapped_fen = owed_fen;
ALTER TABLE sla.guarantees
    ADD CONSTRAINT only_broken_pays CHECK (owed_fen = 0 OR outcome IN ('late', 'void')),
    ADD CONSTRAINT owed_after_cuts CHECK (owed_fen <= uncapped_fen AND uncapped_fen <= raw_fen),
    ADD CONSTRAINT late_has_started CHECK (outcome <> 'late' OR started_at IS NOT NULL),
    ADD CONSTRAINT only_late_is_excused CHECK (excluded = '' OR outcome = 'late');
CREATE INDEX guarantees_opened ON sla.guarantees (opened_at, id);
