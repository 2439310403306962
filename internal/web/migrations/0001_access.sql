-- +goose Up

-- Who may call. The token itself is shown once and never kept: only its
-- SHA-256. A row is revoked, not removed, so that the journal's actors stay
-- explainable.
CREATE TABLE access.tokens (
    id           uuid        PRIMARY KEY,
    hash         bytea       NOT NULL UNIQUE CHECK (length(hash) = 32),
    role         text        NOT NULL CHECK (role IN ('owner', 'crew', 'provider', 'partner', 'operator', 'finance', 'admin')),
    subject      text        NOT NULL CHECK (subject <> ''),
    name         text        NOT NULL CHECK (name <> ''),
    development  boolean     NOT NULL,
    issued_by    text        NOT NULL CHECK (issued_by LIKE '_%:_%'),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz CHECK (expires_at > created_at),
    revoked_at   timestamptz CHECK (revoked_at >= created_at),
    revoked_by   text        CHECK (revoked_by LIKE '_%:_%'),
    last_used_at timestamptz,
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
COMMENT ON TABLE access.tokens IS 'Opaque tokens by their hash: in which role and as whom their bearer acts.';
COMMENT ON COLUMN access.tokens.development IS 'Made by rescued dev; production refuses to start with one that is live.';
COMMENT ON COLUMN access.tokens.last_used_at IS 'Coarse: written behind, about once a minute.';
CREATE INDEX tokens_development ON access.tokens (id) WHERE development AND revoked_at IS NULL;

-- Keys of the server itself, shared by all replicas, made at first need.
CREATE TABLE access.secrets (
    name       text        PRIMARY KEY CHECK (name <> ''),
    value      bytea       NOT NULL CHECK (length(value) = 32),
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE access.secrets IS 'Random 32-byte server keys, such as the one that signs tracking links.';
