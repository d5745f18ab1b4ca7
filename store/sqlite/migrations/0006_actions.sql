-- +goose Up

-- Who took a runner out of service, why and until when. JSON.
ALTER TABLE runners ADD COLUMN mark TEXT NOT NULL DEFAULT '{}';

ALTER TABLE report_runners ADD COLUMN mark TEXT NOT NULL DEFAULT '{}';

-- Who did what, and what came of it. An entry of an action is written before anything is done; while it is under way result is blank.
CREATE TABLE audit (
  id        INTEGER PRIMARY KEY AUTOINCREMENT, -- never given again, so that pages can go by it
  at        INTEGER NOT NULL, -- Unix milliseconds, as is ended
  person    TEXT NOT NULL,
  groups    TEXT NOT NULL DEFAULT '[]', -- JSON
  role      TEXT NOT NULL DEFAULT '',
  via       TEXT NOT NULL DEFAULT '',
  token     TEXT NOT NULL DEFAULT '', -- the id of the API token that was used, never the token
  verb      TEXT NOT NULL,
  cluster   TEXT NOT NULL DEFAULT '',
  system    TEXT NOT NULL DEFAULT '',
  namespace TEXT NOT NULL DEFAULT '',
  name      TEXT NOT NULL DEFAULT '',
  object    TEXT NOT NULL DEFAULT '',
  note      TEXT NOT NULL DEFAULT '',
  before    TEXT NOT NULL DEFAULT '',
  after     TEXT NOT NULL DEFAULT '',
  result    TEXT NOT NULL DEFAULT '', -- done, refused, failed
  problem   TEXT NOT NULL DEFAULT '',
  ended     INTEGER,
  key       TEXT UNIQUE,              -- of an action: a repeat of the request finds the first
  action    TEXT NOT NULL DEFAULT '', -- JSON: what was asked for, so that it can be taken up after a crash
  outcome   TEXT NOT NULL DEFAULT ''  -- JSON: what was answered
) STRICT;

CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_open ON audit (id) WHERE result = '' AND key IS NOT NULL;

-- Who is on a failure. A row goes when the runner recovers.
CREATE TABLE acknowledgements (
  cluster   TEXT NOT NULL,
  system    TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name      TEXT NOT NULL,
  person    TEXT NOT NULL,
  note      TEXT NOT NULL,
  at        INTEGER NOT NULL,
  PRIMARY KEY (cluster, system, namespace, name)
) STRICT, WITHOUT ROWID;
