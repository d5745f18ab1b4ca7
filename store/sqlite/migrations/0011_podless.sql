-- +goose Up

-- Since when a component has been seen without any pod although it wants some: the grace of its next one goes on over a restart.
ALTER TABLE components ADD COLUMN podless INTEGER;
