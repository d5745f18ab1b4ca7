-- +goose Up

-- What a runner's system says of it, and what makes its green untrustworthy. JSON: lists of objects.
ALTER TABLE runners ADD COLUMN facts TEXT NOT NULL DEFAULT '[]';
ALTER TABLE runners ADD COLUMN findings TEXT NOT NULL DEFAULT '[]';
