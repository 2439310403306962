-- +goose Up

ALTER TABLE dispatch.requests
    ADD COLUMN released_at timestamptz,
    ADD COLUMN warning     jsonb;
COMMENT ON COLUMN dispatch.requests.released_at IS 'When the last crew was taken off the request: it waits for an acceptance since then.';
COMMENT ON COLUMN dispatch.requests.warning IS 'What endangers the promise, as last told; NULL when nothing does.';
