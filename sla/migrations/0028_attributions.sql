-- +goose Up

-- What was known of a rescue when others were charged their part of what it
-- owes: the events that had told it by then. What is heard later charges nobody
-- anew, so without this nobody could work the charges out again. One row per
-- compensation that others may bear a part of, whoever then bore any: it is
-- attributed once.
CREATE TABLE sla.attributions (
    compensation_id uuid        PRIMARY KEY REFERENCES sla.compensations,
    told            uuid[]      NOT NULL, -- events, in ascending order
    attributed_at   timestamptz NOT NULL
);
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON sla.attributions
    FOR EACH STATEMENT EXECUTE FUNCTION sla.refuse_change();

-- Those approved before rest on what had been heard by then.
INSERT INTO sla.attributions (compensation_id, told, attributed_at)
    SELECT c.id, coalesce((SELECT array_agg(DISTINCT f.event_id) FROM sla.facts f WHERE f.request_id = c.request_id AND f.heard_at <= a.at), '{}'), a.at
    FROM sla.compensations c JOIN sla.policies p ON p.name = c.policy AND p.version = c.policy_version
    CROSS JOIN LATERAL (
        SELECT min(j.at) AS at FROM events.journal j
        WHERE j.subject = 'req_' || c.request_id AND j.type = 'cn.rescue.compensation.changed.v1'
            AND j.data ->> 'compensation_id' = 'cmp_' || c.id AND j.data ->> 'state' = 'approved') a
    WHERE a.at IS NOT NULL
        AND (coalesce((p.document::json #>> '{bearers,provider_pct}')::int, 0) > 0 OR coalesce((p.document::json #>> '{bearers,partner_pct}')::int, 0) > 0);
