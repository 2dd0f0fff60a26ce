-- A database of schema version 1, as executors of 2026-11-21 made it.
CREATE TABLE jobs (
  seq       INTEGER PRIMARY KEY AUTOINCREMENT,
  id        TEXT NOT NULL UNIQUE,
  digest    BLOB NOT NULL,
  state     TEXT NOT NULL,
  rank      INTEGER NOT NULL,
  workspace TEXT NOT NULL,
  name      TEXT NOT NULL,
  snapshot  BLOB,
  accepted  INTEGER NOT NULL,
  started   INTEGER NOT NULL DEFAULT 0,
  ended     INTEGER NOT NULL DEFAULT 0,
  exit      INTEGER,
  signal    TEXT NOT NULL DEFAULT '',
  reason    TEXT NOT NULL DEFAULT '',
  log       INTEGER NOT NULL DEFAULT 0,
  about     BLOB NOT NULL
);
CREATE INDEX jobs_live      ON jobs (seq) WHERE ended = 0;
CREATE INDEX jobs_state     ON jobs (state, seq);
CREATE INDEX jobs_name      ON jobs (name, seq) WHERE name <> '';
CREATE INDEX jobs_workspace ON jobs (workspace, seq);
CREATE INDEX jobs_snapshot  ON jobs (snapshot) WHERE snapshot IS NOT NULL;

CREATE TABLE specs (
  seq  INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
  spec BLOB NOT NULL
);

CREATE TABLE tombstones (
  id      TEXT PRIMARY KEY,
  digest  BLOB NOT NULL,
  removed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tombstones_removed ON tombstones (removed);

CREATE TABLE packs (
  sum  BLOB PRIMARY KEY,
  size INTEGER NOT NULL
) WITHOUT ROWID;

-- A snapshot that has rows here is complete within those packs; one without files has none.
CREATE TABLE snapshots (sum BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE snapshot_packs (
  snapshot BLOB NOT NULL REFERENCES snapshots (sum) ON DELETE CASCADE,
  pack     BLOB NOT NULL REFERENCES packs (sum),
  PRIMARY KEY (snapshot, pack)
) WITHOUT ROWID;
CREATE INDEX snapshot_packs_pack ON snapshot_packs (pack);

CREATE TABLE holds (
  job   TEXT NOT NULL,
  pack  BLOB NOT NULL REFERENCES packs (sum),
  until INTEGER NOT NULL,
  PRIMARY KEY (job, pack)
) WITHOUT ROWID;
CREATE INDEX holds_pack ON holds (pack);

CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

INSERT INTO jobs VALUES (1, 'abcdefghijklmnop', x'fb3997153dd91a59043ad96f485bca5b88f009e28035c7ea1529956becee0100', 'failed', 1, 'w', 'build', x'16a0eeb0791b6c92451fd284dd9f599e0a7dbe7f6ebea6e2d2d06c7f74aec112', 1795262400000000000, 1795262401000000000, 1795262402000000000, 3, '', 'the command ended with exit code 3', 42, CAST('{"command":"make","mode":"kept"}' AS BLOB));
INSERT INTO specs VALUES (1, CAST('{"schemaVersion":1,"id":"abcdefghijklmnop"}' AS BLOB));
INSERT INTO tombstones VALUES ('qrstuvwxyz234567', x'fb3997153dd91a59043ad96f485bca5b88f009e28035c7ea1529956becee0100', 1795262400000000000);
INSERT INTO packs VALUES (x'4862f447f2c7f272fa2f4aaf89dadb3b1ac09105bd5864f8d1a0c9452bb0a226', 1234);
INSERT INTO snapshots VALUES (x'16a0eeb0791b6c92451fd284dd9f599e0a7dbe7f6ebea6e2d2d06c7f74aec112');
INSERT INTO snapshot_packs VALUES (x'16a0eeb0791b6c92451fd284dd9f599e0a7dbe7f6ebea6e2d2d06c7f74aec112', x'4862f447f2c7f272fa2f4aaf89dadb3b1ac09105bd5864f8d1a0c9452bb0a226');
INSERT INTO holds VALUES ('abcdefghijklmnoq', x'4862f447f2c7f272fa2f4aaf89dadb3b1ac09105bd5864f8d1a0c9452bb0a226', 1795262400000000000);
INSERT INTO settings VALUES ('draining', 'true');
PRAGMA user_version = 1;
