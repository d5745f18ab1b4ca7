-- +goose Up

-- Who may report. The secret itself is kept nowhere; hash is its SHA-256.
CREATE TABLE report_tokens (
  id      TEXT PRIMARY KEY,
  name    TEXT NOT NULL, -- of a runner, or a pattern
  system  TEXT NOT NULL,
  admin   INTEGER NOT NULL,
  hash    BLOB NOT NULL,
  created INTEGER NOT NULL,
  revoked INTEGER -- NULL while it counts
) STRICT;

-- Runners that report themselves. What the board says of them is in runners.
CREATE TABLE report_runners (
  id            INTEGER PRIMARY KEY,
  name          TEXT NOT NULL UNIQUE,
  ip            TEXT NOT NULL,
  system        TEXT NOT NULL,
  namespace     TEXT NOT NULL,
  uuid          TEXT NOT NULL,
  public_key    TEXT NOT NULL,
  version       TEXT NOT NULL,
  capacity      INTEGER NOT NULL,
  eviction      INTEGER, -- milliseconds; NULL when the runner does not say
  capabilities  TEXT NOT NULL, -- JSON
  control       INTEGER NOT NULL,
  incarnation   TEXT NOT NULL,
  registered    INTEGER,
  heard         INTEGER, -- half a minute behind at most
  lost          INTEGER,
  beats         INTEGER NOT NULL,
  idle          INTEGER NOT NULL,
  problem       TEXT NOT NULL,
  problem_since INTEGER,
  requested     TEXT NOT NULL,
  observed      TEXT NOT NULL,
  commands      TEXT NOT NULL -- JSON: those not acknowledged, oldest first
) STRICT;

CREATE TABLE report_tasks (
  id      INTEGER PRIMARY KEY,
  type    TEXT NOT NULL,
  session TEXT NOT NULL,
  config  TEXT NOT NULL, -- JSON
  runner  INTEGER NOT NULL, -- 0 while it waits for one
  queued  INTEGER,
  claimed INTEGER,
  begun   INTEGER,
  ended   INTEGER,
  handed  INTEGER NOT NULL,
  failed  INTEGER NOT NULL,
  error   TEXT NOT NULL,
  words   TEXT NOT NULL -- JSON: the last lines
) STRICT;

-- One row: the next ids, so that none is given twice.
CREATE TABLE report_sequence (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  next_runner INTEGER NOT NULL,
  next_task   INTEGER NOT NULL
) STRICT;
