-- +goose Up

-- The requests of a car: what its month has used up counts what was imported.
CREATE INDEX vehicles_of_car ON sla.vehicles (vehicle);
