-- +goose Up

-- Facts that people record beside those dispatch tells: pauses and conditions
-- with a reference, by which evidence, approval and withdrawal speak of them.
ALTER TABLE sla.facts
    DROP CONSTRAINT facts_kind_check,
    DROP CONSTRAINT facts_pkey,
    ADD COLUMN ref     uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ADD COLUMN by_role text        NOT NULL DEFAULT '',
    ADD COLUMN said_at timestamptz NOT NULL DEFAULT '-infinity', -- -infinity: as it happened
    ADD COLUMN level   text        NOT NULL DEFAULT '',
    ADD COLUMN metres  bigint      NOT NULL DEFAULT 0 CHECK (metres >= 0),
    ADD COLUMN fen     bigint      NOT NULL DEFAULT 0 CHECK (fen >= 0),
    ADD CONSTRAINT facts_kind_check CHECK (kind IN
        ('offered', 'lapsed', 'assigned', 'arrived', 'released', 'cancelled', 'finished', 'paused',
         'condition', 'evidence', 'approved', 'withdrawn', 'located', 'scheduled', 'handed_over',
         'mislocated', 'no_coverage', 'priced')),
    ADD CONSTRAINT speaks_of_something CHECK (kind NOT IN ('approved', 'withdrawn') OR ref <> '00000000-0000-0000-0000-000000000000'),
    -- All that a fact says is its identity: facts that differ in anything are
    -- two, whichever is heard first.
    ADD CONSTRAINT facts_pkey PRIMARY KEY
        (request_id, kind, happened_at, until_at, crew_id, source, ref, by_role, said_at, level, metres, fen);
CREATE INDEX facts_of_ref ON sla.facts (ref) WHERE ref <> '00000000-0000-0000-0000-000000000000';

-- What a promise was chosen by, besides what was kept before.
ALTER TABLE sla.guarantees
    ADD COLUMN road_class text NOT NULL DEFAULT '',
    ADD COLUMN problem    text NOT NULL DEFAULT '',
    ADD COLUMN product    text NOT NULL DEFAULT '',
    ADD COLUMN weather    text NOT NULL DEFAULT '';
