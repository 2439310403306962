-- +goose Up

-- Which recording a piece of evidence is: two of the same moment are two, and
-- each can be withdrawn by itself. Zero for what is no evidence.
ALTER TABLE sla.facts
    ADD COLUMN record uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
-- An identifier is stored as uuid and written with its noun before it.
UPDATE sla.facts f SET record = substr(j.data ->> 'record_id', 5)::uuid
    FROM events.journal j WHERE f.kind = 'evidence' AND j.event_id = f.event_id;
ALTER TABLE sla.facts
    DROP CONSTRAINT facts_pkey,
    ADD CONSTRAINT facts_pkey PRIMARY KEY
        (request_id, kind, happened_at, until_at, crew_id, source, ref, by_role, said_at, level, metres, fen, provider_id, record);
