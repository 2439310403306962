-- +goose Up

ALTER TABLE dispatch.requests
    ADD COLUMN swaps integer NOT NULL DEFAULT 0 CHECK (swaps >= 0),
    ADD COLUMN held  jsonb   CHECK (held IS NULL OR state IN ('open', 'stranded'));
COMMENT ON COLUMN dispatch.requests.swaps IS 'How often its crew was turned to another request; limited.';
COMMENT ON COLUMN dispatch.requests.held IS 'Why it waits although crews could go.';
CREATE INDEX requests_calls ON dispatch.requests (area, opened_at, id);
