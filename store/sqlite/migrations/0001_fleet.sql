-- +goose Up

-- The program's mark ("trks"): a SQLite file of another program is refused by it.
PRAGMA application_id = 1953655667;

-- One row for the whole file.
CREATE TABLE meta (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  recorded_at INTEGER NOT NULL
) STRICT;

-- Every runner that the board has known. It outlives the runner, because its transitions do.
CREATE TABLE refs (
  id        INTEGER PRIMARY KEY,
  cluster   TEXT NOT NULL,
  system    TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name      TEXT NOT NULL,
  UNIQUE (cluster, system, namespace, name)
) STRICT;

-- The fleet as it is. Times are Unix milliseconds, NULL where there is none.
CREATE TABLE runners (
  id          INTEGER PRIMARY KEY REFERENCES refs (id),
  cluster     TEXT NOT NULL,
  system      TEXT NOT NULL,
  namespace   TEXT NOT NULL,
  name        TEXT NOT NULL,
  health      TEXT NOT NULL,
  reason      TEXT NOT NULL,
  why         TEXT NOT NULL,
  since       INTEGER,
  version     TEXT NOT NULL,
  requested   TEXT NOT NULL,
  observed    TEXT NOT NULL,
  raw         TEXT NOT NULL,
  message     TEXT NOT NULL,
  container   TEXT NOT NULL,
  next        INTEGER,
  unproven    INTEGER NOT NULL,
  inspect     TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  recovered   INTEGER,
  failures    TEXT NOT NULL -- JSON: Unix milliseconds, oldest first
) STRICT;

CREATE TABLE components (
  runner        INTEGER NOT NULL REFERENCES runners (id) ON DELETE CASCADE,
  name          TEXT NOT NULL,
  kind          TEXT NOT NULL,
  object        TEXT NOT NULL,
  health        TEXT NOT NULL,
  reason        TEXT NOT NULL,
  why           TEXT NOT NULL,
  since         INTEGER,
  version       TEXT NOT NULL,
  image         TEXT NOT NULL,
  ready         INTEGER NOT NULL,
  desired       INTEGER NOT NULL,
  restarts      INTEGER NOT NULL,
  raw           TEXT NOT NULL,
  message       TEXT NOT NULL,
  container     TEXT NOT NULL,
  next          INTEGER,
  unproven      INTEGER NOT NULL,
  inspect       TEXT NOT NULL,
  probe_url     TEXT NOT NULL,
  probe_status  INTEGER NOT NULL,
  probe_problem TEXT NOT NULL,
  probe_took    INTEGER NOT NULL, -- milliseconds
  probe_at      INTEGER,
  PRIMARY KEY (runner, name)
) STRICT;

CREATE TABLE workloads (
  runner     INTEGER NOT NULL REFERENCES runners (id) ON DELETE CASCADE,
  namespace  TEXT NOT NULL,
  name       TEXT NOT NULL,
  uid        TEXT NOT NULL,
  component  TEXT NOT NULL,
  health     TEXT NOT NULL,
  reason     TEXT NOT NULL,
  why        TEXT NOT NULL,
  since      INTEGER,
  phase      TEXT NOT NULL,
  node       TEXT NOT NULL,
  created    INTEGER,
  raw        TEXT NOT NULL,
  message    TEXT NOT NULL,
  container  TEXT NOT NULL,
  next       INTEGER,
  unproven   INTEGER NOT NULL,
  inspect    TEXT NOT NULL,
  containers TEXT NOT NULL, -- JSON
  PRIMARY KEY (runner, namespace, name, uid)
) STRICT;

CREATE TABLE sources (
  cluster TEXT NOT NULL,
  name    TEXT NOT NULL,
  state   TEXT NOT NULL,
  since   INTEGER,
  heard   INTEGER,
  problem TEXT NOT NULL,
  limits  TEXT NOT NULL, -- JSON
  scope   TEXT NOT NULL,
  PRIMARY KEY (cluster, name)
) STRICT;

-- What was. Clustered by runner and time, so that the latest of one runner are neighbours and need no index beside the rows.
CREATE TABLE transitions (
  runner      INTEGER NOT NULL REFERENCES refs (id),
  at          INTEGER NOT NULL,
  seq         INTEGER NOT NULL, -- the order of transitions within one millisecond
  kind        TEXT NOT NULL,
  component   TEXT NOT NULL,
  workload    TEXT NOT NULL,
  from_value  TEXT NOT NULL,
  to_value    TEXT NOT NULL,
  health      TEXT NOT NULL,
  reason      TEXT NOT NULL,
  why         TEXT NOT NULL,
  since       INTEGER,
  raw         TEXT NOT NULL,
  message     TEXT NOT NULL,
  container   TEXT NOT NULL,
  next        INTEGER,
  unproven    INTEGER NOT NULL,
  inspect     TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  PRIMARY KEY (runner, at, seq)
) STRICT, WITHOUT ROWID;
