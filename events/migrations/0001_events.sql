-- +goose Up

-- What happened, for good. A row is never changed or removed; the relay alone
-- gives it its place in the feed, once. Payloads name requests and crews by
-- identifier only: no name, phone, plate or VIN is ever kept here.
CREATE TABLE events.journal (
    seq      bigint      GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    event_id uuid        NOT NULL UNIQUE,
    feed_no  bigint      UNIQUE CHECK (feed_no > 0),
    type     text        NOT NULL CHECK (type <> ''),
    topic    text        NOT NULL CHECK (topic <> ''),
    key      text        NOT NULL,
    subject  text        NOT NULL,
    actor    text        NOT NULL CHECK (actor LIKE '_%:_%'),
    at       timestamptz NOT NULL,
    version  bigint      NOT NULL CHECK (version >= 0),
    data     json        NOT NULL
);
COMMENT ON TABLE events.journal IS 'Append-only record of every event; feed_no is the gapless order of commit.';
COMMENT ON COLUMN events.journal.seq IS 'Insertion order. Rows may become visible out of it: never remember it as a position.';
COMMENT ON COLUMN events.journal.at IS 'Business time of the event.';
CREATE INDEX journal_subject ON events.journal (subject, seq);

-- +goose StatementBegin
CREATE FUNCTION events.journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.feed_no IS NULL AND NEW.feed_no IS NOT NULL
       AND (NEW.seq, NEW.event_id, NEW.type, NEW.topic, NEW.key, NEW.subject, NEW.actor, NEW.at, NEW.version, NEW.data::text)
         = (OLD.seq, OLD.event_id, OLD.type, OLD.topic, OLD.key, OLD.subject, OLD.actor, OLD.at, OLD.version, OLD.data::text) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'events.journal is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE ON events.journal
    FOR EACH ROW EXECUTE FUNCTION events.journal_is_append_only();
CREATE TRIGGER journal_no_truncate BEFORE TRUNCATE ON events.journal
    FOR EACH STATEMENT EXECUTE FUNCTION events.journal_is_append_only();

-- What the broker has not acknowledged yet. feed_no is empty until numbered.
CREATE TABLE events.outbox (
    seq     bigint PRIMARY KEY REFERENCES events.journal,
    feed_no bigint UNIQUE
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_scale_factor = 0.2);
CREATE INDEX outbox_unnumbered ON events.outbox (seq) WHERE feed_no IS NULL;
COMMENT ON TABLE events.outbox IS 'Journal rows that still have to be published.';

-- The last number given. Its row lock makes numbering one at a time.
CREATE TABLE events.feed (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    last_no bigint  NOT NULL CHECK (last_no >= 0)
);
INSERT INTO events.feed (last_no) VALUES (0);
COMMENT ON TABLE events.feed IS 'One row: the highest feed_no.';

-- Which consumer group has applied which event. Kept as long as the journal:
-- a broker that lost its offsets may send anything again.
CREATE TABLE events.inbox (
    consumer_group text NOT NULL CHECK (consumer_group <> ''),
    event_id       uuid NOT NULL,
    PRIMARY KEY (consumer_group, event_id)
);
COMMENT ON TABLE events.inbox IS 'Events a consumer group has applied; makes a repeat do nothing.';

-- Records nobody could apply. A record of the intake topic holds what its
-- sender wrote, names and phones included, so its content is erased in time.
CREATE TABLE events.dead_letters (
    id             uuid        PRIMARY KEY,
    consumer_group text        NOT NULL,
    topic          text        NOT NULL,
    "partition"    integer     NOT NULL,
    "offset"       bigint      NOT NULL,
    record_at      timestamptz NOT NULL,
    event_id       uuid,
    key            bytea,
    headers        json,
    value          bytea,
    error          text        NOT NULL,
    at             timestamptz NOT NULL,
    retried_at     timestamptz,
    erased_at      timestamptz CHECK (erased_at IS NULL OR (key IS NULL AND headers IS NULL AND value IS NULL)),
    -- A rebuilt broker counts its offsets anew: record_at tells the two apart.
    UNIQUE (consumer_group, topic, "partition", "offset", record_at)
);
COMMENT ON TABLE events.dead_letters IS 'Records set aside because no retry can mend them; times are wall time.';
CREATE INDEX dead_letters_kept ON events.dead_letters (at) WHERE erased_at IS NULL;
