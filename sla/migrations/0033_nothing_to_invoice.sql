-- +goose Up

-- There is no invoice over nothing: a provider's month without fees and a
-- partner's without a share are settled without one.
ALTER TABLE sla.statements
    DROP CONSTRAINT invoiced_by_number,
    ADD CONSTRAINT invoiced_by_number CHECK (state NOT IN ('invoiced', 'settled') OR fapiao_number <> ''
        OR (state = 'settled' AND CASE bearer WHEN 'provider' THEN fees_fen ELSE charges_fen END = 0));
