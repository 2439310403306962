-- +goose Up

-- What a vehicle's month has used up of its cap.
CREATE INDEX compensations_of_vehicle ON sla.compensations (vehicle, month) WHERE vehicle <> '';
