-- +goose Up

-- The proof of each failure, taken when it was seen. The words that pages list and filter by stand here; what only the page of one
-- failure shows stands in proofs, so that many rows are read quickly.
CREATE TABLE evidence (
  id          TEXT PRIMARY KEY,
  runner      INTEGER NOT NULL REFERENCES refs (id),
  at          INTEGER NOT NULL,
  incarnation TEXT NOT NULL,
  namespace   TEXT NOT NULL,
  name        TEXT NOT NULL,
  uid         TEXT NOT NULL,
  component   TEXT NOT NULL,
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
  image       TEXT NOT NULL,
  node        TEXT NOT NULL,
  fingerprint TEXT NOT NULL
) STRICT;
CREATE INDEX evidence_by_reason ON evidence (reason, at);
CREATE INDEX evidence_by_runner ON evidence (runner, at);
CREATE INDEX evidence_by_time ON evidence (at);

CREATE TABLE proofs (
  evidence TEXT PRIMARY KEY,
  proof    TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;

-- Ends of logs, masked. They may arrive before what they belong to is recorded.
CREATE TABLE logs (
  evidence  TEXT NOT NULL,
  container TEXT NOT NULL,
  previous  INTEGER NOT NULL,
  at        INTEGER NOT NULL, -- when it was recorded
  text      TEXT NOT NULL,
  problem   TEXT NOT NULL,
  PRIMARY KEY (evidence, container, previous)
) STRICT, WITHOUT ROWID;

-- How each runner (component '') and each component is, and up to when that is counted in rollups. What is open since then is
-- counted when it is read, so that a runner that does not change costs nothing.
CREATE TABLE standings (
  runner    INTEGER NOT NULL REFERENCES refs (id),
  component TEXT NOT NULL,
  condition TEXT NOT NULL,    -- a health, or disabled
  counted   INTEGER NOT NULL,
  failed    INTEGER,          -- since when it has not been well after a failure
  PRIMARY KEY (runner, component)
) STRICT, WITHOUT ROWID;

-- When somebody looked: stretches in which this program ran and the sources of a cluster answered.
CREATE TABLE observed (
  cluster TEXT NOT NULL,
  started INTEGER NOT NULL,
  until   INTEGER NOT NULL,
  PRIMARY KEY (cluster, started)
) STRICT, WITHOUT ROWID;

-- Milliseconds in each health, by hours: a row is of one hour, or of several that are alike. hour counts from the Unix epoch.
CREATE TABLE rollups (
  runner     INTEGER NOT NULL REFERENCES refs (id),
  component  TEXT NOT NULL,
  hour       INTEGER NOT NULL,
  hours      INTEGER NOT NULL,
  healthy    INTEGER NOT NULL,
  degraded   INTEGER NOT NULL,
  unhealthy  INTEGER NOT NULL,
  unknown    INTEGER NOT NULL,
  disabled   INTEGER NOT NULL,
  unseen     INTEGER NOT NULL,
  failures   INTEGER NOT NULL,
  recoveries INTEGER NOT NULL,
  recovering INTEGER NOT NULL,
  PRIMARY KEY (runner, component, hour)
) STRICT, WITHOUT ROWID;

-- What is known of the fleet now is where counting begins.
INSERT INTO standings (runner, component, condition, counted)
SELECT id, '', CASE observed WHEN 'disabled' THEN 'disabled' ELSE health END, unixepoch() * 1000 FROM runners;
INSERT INTO standings (runner, component, condition, counted)
SELECT runner, name, health, unixepoch() * 1000 FROM components;
