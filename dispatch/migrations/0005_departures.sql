-- +goose Up

-- Where a crew set off from for a request, and what was predicted then: with
-- the proven arrival, what a finished drive teaches of the roads.
CREATE TABLE dispatch.departures (
    request_id uuid             NOT NULL REFERENCES dispatch.requests,
    crew_id    uuid             NOT NULL REFERENCES dispatch.crews,
    lat        double precision CHECK (lat BETWEEN -90 AND 90),
    lng        double precision CHECK (lng BETWEEN -180 AND 180),
    model_ms   bigint           NOT NULL CHECK (model_ms >= 0),
    learned_ms bigint           NOT NULL CHECK (learned_ms >= 0),
    stood_s    double precision NOT NULL DEFAULT 0 CHECK (stood_s >= 0),
    ended_in   xid8,
    PRIMARY KEY (request_id, crew_id),
    CHECK ((lat IS NULL) = (lng IS NULL))
);
COMMENT ON COLUMN dispatch.departures.lat IS 'Null when no fresh position was known.';
COMMENT ON COLUMN dispatch.departures.model_ms IS 'The drive by the straight-line model as the crew set off; learned_ms as corrected by what was learned until then.';
COMMENT ON COLUMN dispatch.departures.stood_s IS 'How long the crew was seen standing on its way, in samples a minute apart.';
COMMENT ON COLUMN dispatch.departures.ended_in IS 'Transaction in which the job was finished; null until then, and for good when it was not. Readers go on as those of crews.changed_in do.';
CREATE INDEX departures_ended_in ON dispatch.departures (ended_in) WHERE ended_in IS NOT NULL;
