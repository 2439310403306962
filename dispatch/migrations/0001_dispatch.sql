-- +goose Up

-- Companies that run crews.
CREATE TABLE dispatch.providers (
    id            uuid        PRIMARY KEY,
    name          text        NOT NULL CHECK (name <> ''),
    phone         text        NOT NULL,
    registered_at timestamptz NOT NULL,
    registered_by text        NOT NULL,
    idem_key      text        CHECK (idem_key <> ''),
    idem_hash     bytea,
    CHECK ((idem_key IS NULL) = (idem_hash IS NULL)),
    CONSTRAINT providers_idempotency UNIQUE (registered_by, idem_key)
);

-- Clients that open requests on behalf of owners.
CREATE TABLE dispatch.partners (
    id            uuid        PRIMARY KEY,
    name          text        NOT NULL CHECK (name <> ''),
    registered_at timestamptz NOT NULL,
    registered_by text        NOT NULL,
    idem_key      text        CHECK (idem_key <> ''),
    idem_hash     bytea,
    CHECK ((idem_key IS NULL) = (idem_hash IS NULL)),
    CONSTRAINT partners_idempotency UNIQUE (registered_by, idem_key)
);

CREATE TABLE dispatch.crews (
    id             uuid             PRIMARY KEY,
    version        bigint           NOT NULL CHECK (version > 0),
    state          text             NOT NULL CHECK (state IN ('off_duty', 'available', 'held', 'engaged', 'finishing')),
    provider_id    uuid             NOT NULL REFERENCES dispatch.providers,
    name           text             NOT NULL CHECK (name <> ''),
    phone          text             NOT NULL,
    plate          text             NOT NULL,
    vehicle        text             NOT NULL,
    capabilities   bigint           NOT NULL,
    auto_accept    boolean          NOT NULL,
    fixed_at       timestamptz,
    fix_lat        double precision CHECK (fix_lat BETWEEN -90 AND 90),
    fix_lng        double precision CHECK (fix_lng BETWEEN -180 AND 180),
    fix_accuracy_m double precision CHECK (fix_accuracy_m >= 0),
    registered_at  timestamptz      NOT NULL,
    changed_at     timestamptz      NOT NULL,
    registered_by  text             NOT NULL,
    idem_key       text             CHECK (idem_key <> ''),
    idem_hash      bytea,
    changed_in     xid8             NOT NULL DEFAULT pg_current_xact_id(),
    CHECK (num_nulls(fixed_at, fix_lat, fix_lng, fix_accuracy_m) IN (0, 4)),
    CHECK ((idem_key IS NULL) = (idem_hash IS NULL)),
    CONSTRAINT crews_idempotency UNIQUE (registered_by, idem_key)
);
COMMENT ON COLUMN dispatch.crews.capabilities IS 'One bit per capability, in the order of the program''s list.';
COMMENT ON COLUMN dispatch.crews.fixed_at IS 'Device time of the last sampled position; about a minute behind the live index.';
COMMENT ON COLUMN dispatch.crews.changed_in IS 'Transaction of the last change. A replica reads on from the oldest one that was still open at its last reading, so none is lost.';
CREATE INDEX crews_changed_in ON dispatch.crews (changed_in);
CREATE INDEX crews_provider ON dispatch.crews (provider_id, id);

CREATE TABLE dispatch.requests (
    id              uuid             PRIMARY KEY,
    version         bigint           NOT NULL CHECK (version > 0),
    state           text             NOT NULL CHECK (state IN ('open', 'stranded', 'offered', 'assigned', 'en_route', 'on_scene', 'done', 'cancelled')),
    area            text             NOT NULL CHECK (area <> ''),
    area_name       text             NOT NULL,
    tier            text             NOT NULL CHECK (tier IN ('urban', 'county')),
    priority        smallint         NOT NULL CHECK (priority BETWEEN 0 AND 2),
    opened_by       text             NOT NULL CHECK (opened_by LIKE '_%:_%'),
    owner_id        uuid             NOT NULL,
    partner_id      uuid             REFERENCES dispatch.partners,
    partner_ref     text             NOT NULL,
    contact_name    text             NOT NULL,
    contact_phone   text             NOT NULL,
    plate           text             NOT NULL CHECK (plate <> ''),
    vin             text             NOT NULL,
    make            text             NOT NULL,
    model           text             NOT NULL,
    energy          text             NOT NULL CHECK (energy IN ('ice', 'bev', 'phev', 'erev')),
    weight_class    text             NOT NULL CHECK (weight_class IN ('light', 'medium', 'heavy')),
    problem         text             NOT NULL,
    live_lane       boolean          NOT NULL,
    children        boolean          NOT NULL,
    alone_at_night  boolean          NOT NULL,
    injury          boolean          NOT NULL,
    need            bigint           NOT NULL,
    lat             double precision NOT NULL CHECK (lat BETWEEN -90 AND 90),
    lng             double precision NOT NULL CHECK (lng BETWEEN -180 AND 180),
    given_lat       double precision NOT NULL,
    given_lng       double precision NOT NULL,
    datum           text             NOT NULL CHECK (datum IN ('wgs84', 'gcj02', 'bd09')),
    address         text             NOT NULL,
    accuracy_m      double precision NOT NULL CHECK (accuracy_m >= 0),
    road_class      text             NOT NULL CHECK (road_class IN ('urban', 'rural', 'motorway')),
    direction       text             NOT NULL,
    note            text             NOT NULL,
    destination     jsonb,
    opened_at       timestamptz      NOT NULL,
    promise_minutes integer          NOT NULL CHECK (promise_minutes > 0),
    due_at          timestamptz      NOT NULL,
    policy          text             NOT NULL CHECK (policy <> ''),
    policy_version  integer          NOT NULL,
    promise_rule    text             NOT NULL,
    promise_reason  text             NOT NULL,
    crew_id         uuid             REFERENCES dispatch.crews,
    round           integer          NOT NULL CHECK (round >= 0),
    assigned_at     timestamptz,
    expected_at     timestamptz,
    departed_at     timestamptz,
    arrived_at      timestamptz,
    arrival_source  text             NOT NULL CHECK (arrival_source IN ('', 'gps', 'owner', 'code', 'tap', 'operator')),
    evidence        jsonb            NOT NULL,
    unproven_at     timestamptz,
    stranded_at     timestamptz,
    stranded_why    jsonb,
    closed_at       timestamptz,
    outcome         text             NOT NULL CHECK (outcome IN ('', 'fixed', 'towed', 'gone_on_arrival', 'unsuccessful')),
    reason          text             NOT NULL,
    arrival_code    text             NOT NULL CHECK (arrival_code ~ '^[0-9]{4}$'),
    code_tries      integer          NOT NULL CHECK (code_tries >= 0),
    tracking_epoch  integer          NOT NULL,
    changed_at      timestamptz      NOT NULL,
    idem_key        text             CHECK (idem_key <> ''),
    idem_hash       bytea,
    opened_wall_at  timestamptz      NOT NULL,
    offered_wall_at timestamptz,
    CHECK (due_at > opened_at),
    CHECK ((state IN ('assigned', 'en_route', 'on_scene', 'done')) <= (crew_id IS NOT NULL AND assigned_at IS NOT NULL)),
    CHECK ((state IN ('open', 'stranded', 'offered')) <= (crew_id IS NULL AND assigned_at IS NULL AND arrived_at IS NULL)),
    CHECK ((state IN ('on_scene', 'done')) <= (arrived_at IS NOT NULL)),
    CHECK ((state IN ('done', 'cancelled')) = (closed_at IS NOT NULL)),
    CHECK ((state = 'stranded') = (stranded_at IS NOT NULL)),
    CHECK ((state = 'done') = (outcome <> '')),
    CHECK ((arrived_at IS NULL) = (arrival_source = '')),
    CHECK ((idem_key IS NULL) = (idem_hash IS NULL)),
    CONSTRAINT requests_idempotency UNIQUE (opened_by, idem_key)
);
COMMENT ON COLUMN dispatch.requests.opened_wall_at IS 'Wall clock, to measure this system''s own speed; never used in a decision. So is offered_wall_at.';
COMMENT ON COLUMN dispatch.requests.crew_id IS 'The crew bound to the request, or the last one once it is closed.';
CREATE UNIQUE INDEX requests_one_open_per_plate ON dispatch.requests (plate) WHERE state NOT IN ('done', 'cancelled');
CREATE UNIQUE INDEX requests_one_active_per_crew ON dispatch.requests (crew_id) WHERE state IN ('assigned', 'en_route', 'on_scene');
CREATE INDEX requests_waiting ON dispatch.requests (area, priority, opened_at) WHERE state IN ('open', 'stranded');
CREATE INDEX requests_live ON dispatch.requests (state) WHERE state NOT IN ('done', 'cancelled');
CREATE INDEX requests_of_crew ON dispatch.requests (crew_id, opened_at);
CREATE INDEX requests_of_owner ON dispatch.requests (owner_id, opened_at);
CREATE INDEX requests_of_partner ON dispatch.requests (partner_id, opened_at);

CREATE TABLE dispatch.offers (
    id          uuid             PRIMARY KEY,
    version     bigint           NOT NULL CHECK (version > 0),
    state       text             NOT NULL CHECK (state IN ('pending', 'accepted', 'declined', 'expired', 'withdrawn')),
    request_id  uuid             NOT NULL REFERENCES dispatch.requests,
    crew_id     uuid             NOT NULL REFERENCES dispatch.crews,
    round       integer          NOT NULL CHECK (round > 0),
    made_at     timestamptz      NOT NULL,
    expires_at  timestamptz      NOT NULL,
    expected_at timestamptz      NOT NULL,
    travel_s    integer          NOT NULL CHECK (travel_s >= 0),
    metres      double precision NOT NULL CHECK (metres >= 0),
    why         text             NOT NULL,
    ended_at    timestamptz,
    reason      text             NOT NULL,
    CHECK (expires_at > made_at),
    CHECK ((state = 'pending') = (ended_at IS NULL)),
    CONSTRAINT offers_never_twice UNIQUE (request_id, crew_id),
    CONSTRAINT offers_round UNIQUE (request_id, round)
);
CREATE UNIQUE INDEX offers_one_pending_per_request ON dispatch.offers (request_id) WHERE state = 'pending';
CREATE UNIQUE INDEX offers_one_pending_per_crew ON dispatch.offers (crew_id) WHERE state = 'pending';
CREATE INDEX offers_running_out ON dispatch.offers (expires_at) WHERE state = 'pending';

-- Who was weighed for a request and why not, each time that led to something:
-- an offer, or the finding that nobody can take it.
CREATE TABLE dispatch.considered (
    request_id uuid        NOT NULL REFERENCES dispatch.requests,
    version    bigint      NOT NULL,
    at         timestamptz NOT NULL,
    crews      jsonb       NOT NULL,
    counts     jsonb       NOT NULL,
    PRIMARY KEY (request_id, version)
);
COMMENT ON COLUMN dispatch.considered.version IS 'Version of the request that the round led to.';

-- Positions of engaged crews near their car: the evidence of an arrival.
CREATE TABLE dispatch.fixes (
    crew_id    uuid             NOT NULL REFERENCES dispatch.crews,
    fixed_at   timestamptz      NOT NULL,
    lat        double precision NOT NULL CHECK (lat BETWEEN -90 AND 90),
    lng        double precision NOT NULL CHECK (lng BETWEEN -180 AND 180),
    accuracy_m double precision NOT NULL CHECK (accuracy_m >= 0),
    PRIMARY KEY (crew_id, fixed_at)
);

-- What somebody said about an arrival.
CREATE TABLE dispatch.words (
    id         uuid        PRIMARY KEY,
    request_id uuid        NOT NULL REFERENCES dispatch.requests,
    crew_id    uuid        NOT NULL REFERENCES dispatch.crews,
    source     text        NOT NULL CHECK (source IN ('owner', 'code', 'tap', 'operator')),
    at         timestamptz NOT NULL,
    note       text        NOT NULL,
    said_by    text        NOT NULL,
    said_at    timestamptz NOT NULL,
    dismissed  boolean     NOT NULL DEFAULT false
);
CREATE INDEX words_of_request ON dispatch.words (request_id, crew_id);
COMMENT ON COLUMN dispatch.words.at IS 'When the crew is said to have been there.';
COMMENT ON COLUMN dispatch.words.dismissed IS 'A tap that an operator did not believe; it is weighed no more.';

-- The covered areas as imported, file by file. The sets since the last one
-- that replaces all before it make up the present cover.
CREATE TABLE dispatch.areas (
    version     bigint      PRIMARY KEY CHECK (version > 0),
    mode        text        NOT NULL CHECK (mode IN ('replace', 'add')),
    name        text        NOT NULL,
    file        bytea       NOT NULL,
    digest      text        NOT NULL,
    places      integer     NOT NULL CHECK (places > 0),
    imported_at timestamptz NOT NULL,
    imported_by text        NOT NULL
);
