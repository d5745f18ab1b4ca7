-- +goose Up

-- Who signs in with a password kept here.
CREATE TABLE users (
  name    TEXT PRIMARY KEY, -- in lower case
  role    TEXT NOT NULL,
  hash    TEXT NOT NULL, -- a PHC string of argon2id
  created INTEGER NOT NULL, -- Unix milliseconds, as are all times here
  changed INTEGER NOT NULL
) STRICT;

-- Sign-ins that count. The word in the cookie is kept nowhere; hash is its SHA-256.
CREATE TABLE sessions (
  hash       BLOB PRIMARY KEY,
  name       TEXT NOT NULL,
  role       TEXT NOT NULL,
  via        TEXT NOT NULL,
  membership TEXT NOT NULL, -- JSON: the provider's groups
  token      TEXT NOT NULL, -- of a wall, else blank
  created    INTEGER NOT NULL,
  seen       INTEGER NOT NULL, -- a minute behind at most
  expires    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_name ON sessions (name);

-- What lets programs and wall screens in. The secret itself is kept nowhere; hash is its SHA-256.
CREATE TABLE tokens (
  id      TEXT PRIMARY KEY,
  kind    TEXT NOT NULL, -- api or wall
  name    TEXT NOT NULL,
  role    TEXT NOT NULL,
  made_by TEXT NOT NULL,
  form    TEXT NOT NULL UNIQUE, -- the word of the form that made it
  hash    BLOB NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER, -- NULL for never
  used    INTEGER, -- NULL for never; a minute behind at most
  revoked INTEGER -- NULL while it counts
) STRICT;
