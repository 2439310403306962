-- +goose Up

-- Which import a compensation came with, instead of whether it did, so that
-- what one file owes can be looked at, and approved, by itself.
DROP TRIGGER keep_amount ON sla.compensations;
ALTER TABLE sla.compensations ADD COLUMN import_id uuid REFERENCES sla.imports;
UPDATE sla.compensations c SET import_id = g.import_id FROM sla.guarantees g WHERE g.id = c.guarantee_id AND g.import_id IS NOT NULL;
ALTER TABLE sla.compensations DROP COLUMN imported;
CREATE INDEX compensations_of_import ON sla.compensations (import_id, accrued_at, id) WHERE import_id IS NOT NULL;
CREATE TRIGGER keep_amount BEFORE UPDATE ON sla.compensations FOR EACH ROW
    WHEN ((OLD.id, OLD.guarantee_id, OLD.request_id, OLD.fen, OLD.policy, OLD.policy_version, OLD.prepared_by, OLD.import_id, OLD.approvers, OLD.vehicle, OLD.month)
        IS DISTINCT FROM (NEW.id, NEW.guarantee_id, NEW.request_id, NEW.fen, NEW.policy, NEW.policy_version, NEW.prepared_by, NEW.import_id, NEW.approvers, NEW.vehicle, NEW.month))
    EXECUTE FUNCTION sla.keep_amount();
