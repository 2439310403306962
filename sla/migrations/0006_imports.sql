-- +goose Up

-- Imports of past rescues: which file, what came of it, and, if it is to be
-- paid, who prepared it and who of finance decided.
CREATE TABLE sla.imports (
    id             uuid        PRIMARY KEY,
    source         text        NOT NULL CHECK (source <> ''),
    file           text        NOT NULL,
    digest         text        NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'), -- SHA-256 of the file
    policy         text        NOT NULL,
    policy_version integer     NOT NULL,
    payable        boolean     NOT NULL,
    state          text        NOT NULL CHECK (state IN ('loading', 'loaded', 'prepared', 'approved', 'rejected')),
    version        bigint      NOT NULL CHECK (version >= 1),
    rescues        integer     NOT NULL DEFAULT 0 CHECK (rescues >= 0),
    late           integer     NOT NULL DEFAULT 0 CHECK (late BETWEEN 0 AND rescues),
    owed_fen       bigint      NOT NULL DEFAULT 0 CHECK (owed_fen >= 0), -- by the verdicts
    prepared_by    text        NOT NULL CHECK (prepared_by LIKE '_%:_%'),
    prepared_at    timestamptz NOT NULL,
    decided_by     text        NOT NULL DEFAULT '',
    decided_why    text        NOT NULL DEFAULT '',
    decided_at     timestamptz,
    accrued_to     uuid,        -- the guarantee up to which an approved import has accrued
    accrued_at     timestamptz, -- when the last of them had
    changed_at     timestamptz NOT NULL,
    FOREIGN KEY (policy, policy_version) REFERENCES sla.policies (name, version),
    CONSTRAINT decided_says_why CHECK ((state IN ('approved', 'rejected')) = (decided_by <> '' AND decided_why <> '' AND decided_at IS NOT NULL)),
    CONSTRAINT only_payable_is_decided CHECK (payable OR state IN ('loading', 'loaded')),
    CONSTRAINT payable_is_prepared CHECK (NOT payable OR state <> 'loaded'),
    CONSTRAINT accrues_once_approved CHECK (state = 'approved' OR (accrued_to IS NULL AND accrued_at IS NULL)),
    -- Whoever prepared it does not decide it, in whatever role.
    CONSTRAINT import_four_eyes CHECK (decided_by = ''
        OR substr(decided_by, strpos(decided_by, ':')) <> substr(prepared_by, strpos(prepared_by, ':')))
);
CREATE INDEX imports_list ON sla.imports (prepared_at, id);
CREATE INDEX imports_of_file ON sla.imports (source, digest);
CREATE INDEX imports_accruing ON sla.imports (decided_at) WHERE state = 'approved' AND accrued_at IS NULL;

-- One row for each past rescue. Where it comes from and what it is called
-- there is its natural key: the same rescue is never brought in twice.
CREATE TABLE sla.past_rescues (
    source      text  NOT NULL,
    reference   text  NOT NULL,
    request_id  uuid  NOT NULL UNIQUE,
    import_id   uuid  NOT NULL REFERENCES sla.imports,
    provider_id uuid,
    digest      bytea NOT NULL CHECK (octet_length(digest) = 32), -- of what the source said of it
    PRIMARY KEY (source, reference)
);
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.past_rescues
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();

ALTER TABLE sla.guarantees ADD COLUMN import_id uuid REFERENCES sla.imports;
CREATE INDEX guarantees_of_import ON sla.guarantees (import_id, id) WHERE import_id IS NOT NULL;

-- History raises no alarm and stands in no live list, so the indexes that
-- those walk leave it out.
DROP INDEX sla.guarantees_armed, sla.guarantees_expected_late, sla.guarantees_list, sla.guarantees_list_state, sla.guarantees_review;
CREATE INDEX guarantees_armed ON sla.guarantees (due_at) WHERE state = 'armed' AND import_id IS NULL;
CREATE INDEX guarantees_expected_late ON sla.guarantees (due_at)
    WHERE state = 'armed' AND at_risk_at IS NULL AND expected_at > due_at AND import_id IS NULL;
CREATE INDEX guarantees_list ON sla.guarantees (due_at, id) WHERE import_id IS NULL;
CREATE INDEX guarantees_list_state ON sla.guarantees (state, due_at, id) WHERE import_id IS NULL;
CREATE INDEX guarantees_review ON sla.guarantees (due_at, id) WHERE review <> '' AND import_id IS NULL;
CREATE INDEX guarantees_list_past ON sla.guarantees (due_at, id) WHERE import_id IS NOT NULL;
