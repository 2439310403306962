-- +goose Up

-- Whose crew was sent, and when it set out: without them nobody can tell who
-- lost the time.
ALTER TABLE sla.facts
    DROP CONSTRAINT facts_kind_check,
    DROP CONSTRAINT facts_pkey,
    ADD COLUMN provider_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ADD CONSTRAINT facts_kind_check CHECK (kind IN
        ('offered', 'lapsed', 'assigned', 'departed', 'arrived', 'released', 'cancelled', 'finished', 'paused',
         'condition', 'evidence', 'approved', 'withdrawn', 'located', 'scheduled', 'handed_over',
         'mislocated', 'no_coverage', 'priced')),
    ADD CONSTRAINT facts_pkey PRIMARY KEY
        (request_id, kind, happened_at, until_at, crew_id, source, ref, by_role, said_at, level, metres, fen, provider_id);
ALTER TABLE sla.guarantees ADD COLUMN provider_id uuid; -- whose crew came, or else was sent last
CREATE INDEX guarantees_of_provider ON sla.guarantees (provider_id, stopped_at) WHERE provider_id IS NOT NULL;
