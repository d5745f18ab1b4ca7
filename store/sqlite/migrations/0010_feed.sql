-- +goose Up

-- The order in which transitions were recorded, over all runners: a reader that has seen one goes on after it. Numbers are given inside
-- the one transaction there is at a time, so that they become visible in their order; none is ever given twice.
ALTER TABLE transitions ADD COLUMN id INTEGER NOT NULL DEFAULT 0;

-- Those of before are numbered by their time.
CREATE TABLE numbered (
  runner INTEGER NOT NULL,
  at     INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  n      INTEGER NOT NULL,
  PRIMARY KEY (runner, at, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO numbered (runner, at, seq, n)
SELECT runner, at, seq, row_number() OVER (ORDER BY at, runner, seq) FROM transitions;

UPDATE transitions SET id = (SELECT n FROM numbered
  WHERE numbered.runner = transitions.runner AND numbered.at = transitions.at AND numbered.seq = transitions.seq);

DROP TABLE numbered;

CREATE UNIQUE INDEX transitions_id ON transitions (id);

-- The latest number that was given.
ALTER TABLE meta ADD COLUMN feed INTEGER NOT NULL DEFAULT 0;

UPDATE meta SET feed = coalesce((SELECT max(id) FROM transitions), 0);
