-- +goose Up

-- Links that hand out a manifest. The token itself is never kept; the text goes when the link is dead, and the row stays for a while, so
-- that a dead link is told from one that never was. Times are Unix milliseconds; 0 for never.
CREATE TABLE manifest_links (
  id        TEXT    NOT NULL PRIMARY KEY,
  hash      BLOB    NOT NULL UNIQUE, -- SHA-256 of the token
  file      TEXT    NOT NULL,
  cluster   TEXT    NOT NULL,
  system    TEXT    NOT NULL,
  namespace TEXT    NOT NULL,
  name      TEXT    NOT NULL,
  sha256    TEXT    NOT NULL, -- of the text, in hex
  yaml      TEXT    NOT NULL CHECK (length(yaml) <= 262144),
  by        TEXT    NOT NULL,
  made      INTEGER NOT NULL,
  expires   INTEGER NOT NULL,
  revoked   INTEGER NOT NULL DEFAULT 0,
  single    INTEGER NOT NULL, -- 1: it can be used once
  uses      INTEGER NOT NULL DEFAULT 0,
  last_used INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX manifest_links_made ON manifest_links (made);
