-- +goose Up

-- What a runner offers to a workload that looks for a place. JSON.
ALTER TABLE runners ADD COLUMN offer TEXT NOT NULL DEFAULT '{}';

-- Findings that somebody lives with, and until when. One that has ended stays to be read; the next of its kind replaces it.
CREATE TABLE acceptances (
  cluster   TEXT NOT NULL,
  system    TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name      TEXT NOT NULL,
  code      TEXT NOT NULL,
  object    TEXT NOT NULL,
  note      TEXT NOT NULL,
  at        INTEGER NOT NULL, -- Unix milliseconds, as is until
  until     INTEGER NOT NULL,
  PRIMARY KEY (cluster, system, namespace, name, code, object)
) STRICT, WITHOUT ROWID;

-- Since when who runs which version: few transitions are of these kinds, and no other needs to be looked at.
CREATE INDEX transitions_version ON transitions (runner, component, at) WHERE kind IN ('version', 'added');
