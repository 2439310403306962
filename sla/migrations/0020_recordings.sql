-- +goose Up

-- Who recorded which fact of a request, and what he said beside it. The fact
-- itself stands in sla.facts; here is the person, who the facts do not name.
CREATE TABLE sla.recordings (
    id             uuid        PRIMARY KEY,
    request_id     uuid        NOT NULL,
    kind           text        NOT NULL,
    source         text        NOT NULL DEFAULT '',
    happened_at    timestamptz NOT NULL,
    until_at       timestamptz,
    ref            uuid,        -- the recording or condition it is part of or speaks of
    metres         bigint      NOT NULL DEFAULT 0,
    fen            bigint      NOT NULL DEFAULT 0,
    note           text        NOT NULL DEFAULT '',
    actor          text        NOT NULL CHECK (actor LIKE '_%:_%'),
    recorded_at    timestamptz NOT NULL,
    key            text,        -- of whoever may repeat himself
    input_hash     bytea       CHECK (octet_length(input_hash) = 32),
    -- Of an approval: whose recording it approves.
    approves       uuid,
    approves_actor text,
    UNIQUE (id, actor),
    FOREIGN KEY (approves, approves_actor) REFERENCES sla.recordings (id, actor),
    CONSTRAINT approval_approves CHECK ((kind = 'approved') = (approves IS NOT NULL) AND (approves IS NULL) = (approves_actor IS NULL)),
    CONSTRAINT key_and_hash CHECK ((key IS NULL) = (input_hash IS NULL)),
    CONSTRAINT second_person CHECK (approves IS NULL OR sla.person(actor) IS DISTINCT FROM sla.person(approves_actor))
);
CREATE UNIQUE INDEX recordings_key ON sla.recordings (actor, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX approved_once ON sla.recordings (approves) WHERE approves IS NOT NULL;
CREATE UNIQUE INDEX withdrawn_once ON sla.recordings (ref) WHERE kind = 'withdrawn';
CREATE UNIQUE INDEX closed_once ON sla.recordings (ref) WHERE kind = 'paused' AND ref IS NOT NULL;
CREATE INDEX recordings_of ON sla.recordings (request_id, recorded_at, id);
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.recordings
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();

-- Conditions declared for a region and a time. What is said anew of one is a
-- further revision; the last holds.
CREATE TABLE sla.conditions (
    id          uuid        NOT NULL,
    revision    integer     NOT NULL CHECK (revision >= 1),
    condition   text        NOT NULL CHECK (condition IN ('weather_alert', 'closure', 'remote_area', 'storm_mode')),
    level       text        NOT NULL DEFAULT '',
    areas       text[]      NOT NULL, -- empty: everywhere
    from_at     timestamptz NOT NULL,
    until_at    timestamptz,          -- NULL while it lasts
    evidence    text[]      NOT NULL,
    note        text        NOT NULL CHECK (note <> ''),
    actor       text        NOT NULL CHECK (actor LIKE '_%:_%'),
    declared_at timestamptz NOT NULL,
    key         text,
    input_hash  bytea       CHECK (octet_length(input_hash) = 32),
    PRIMARY KEY (id, revision),
    CONSTRAINT lasts_a_while CHECK (until_at >= from_at),
    CONSTRAINT only_alerts_have_levels CHECK ((condition = 'weather_alert') = (level <> ''))
);
CREATE UNIQUE INDEX conditions_key ON sla.conditions (actor, key) WHERE key IS NOT NULL;
CREATE INDEX conditions_in_force ON sla.conditions (from_at, until_at);
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.conditions
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();

-- How far a revision has come among the requests it concerns.
CREATE TABLE sla.condition_spread (
    id       uuid    NOT NULL,
    revision integer NOT NULL,
    reached  uuid,        -- the last request that has it
    done_at  timestamptz, -- when all had it
    PRIMARY KEY (id, revision),
    FOREIGN KEY (id, revision) REFERENCES sla.conditions
);
CREATE INDEX condition_spread_open ON sla.condition_spread (id, revision) WHERE done_at IS NULL;
