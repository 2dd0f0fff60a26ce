package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// version is that of the schema below; a database of a later one is not touched.
const version = 1

// The hot rows are small: what only people read is in about, the job document in specs.
// Times are Unix nanoseconds, 0 for none.
const schema = `
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
`

// indexes only make questions quick, so that a database of any version can have them.
const indexes = `
CREATE INDEX IF NOT EXISTS jobs_ended ON jobs (ended) WHERE ended > 0;
`

// index makes the indexes that are lacking.
func (s *Store) index(ctx context.Context) error {
	return s.note(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, indexes)
		return err
	})
}

func (s *Store) migrate(ctx context.Context) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&have); err != nil {
			return err
		}
		switch {
		case have == version:
			return nil
		case have > version:
			return api.Errorf(api.Incompatible, "cyclops install HOST brings an executor that knows it",
				"the database is of version %d, executor %s knows up to %d", have, api.BuildVersion(), version)
		}
		_, err := tx.ExecContext(ctx, schema+fmt.Sprintf("PRAGMA user_version = %d;", version))
		return err
	})
}
