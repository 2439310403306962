-- +goose Up

-- What the owner has bought, by which a promise may be chosen, and the weather
-- mode that was declared when the promise was made.
ALTER TABLE dispatch.requests
    ADD COLUMN product         text NOT NULL DEFAULT '',
    ADD COLUMN promise_weather text NOT NULL DEFAULT '';
