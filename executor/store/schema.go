package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// version is that of the schema; a database of a later one is not touched.
//
//	1  2026-11-21  first version
//	2  2026-11-28  a proof in every row, and the digest of its manifest in that of a job
const version = 2

// The hot rows are small: what only people read is in about, the job document in specs.
// Times are Unix nanoseconds, 0 for none.
const schema1 = `
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

// schema2 is what version 2 adds.
func schema2() string {
	out := "ALTER TABLE jobs ADD COLUMN record BLOB;\n"
	for _, t := range tables() {
		out += t.prove()
	}
	return out
}

// partial is the setting of a database in which jobs may be missing that jobs/ has. A new one is:
// another may have been there before.
const partial = "partial"

// What partial is set to: all jobs may be missing, or only what a journal had that was left.
const (
	all   = "true"
	newer = "newer"
)

func setPartial(ctx context.Context, tx *sql.Tx, value string) error {
	_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO settings (name, value) VALUES (?, ?)`, partial, value)
	return err
}

// Doubt records that jobs may be missing that jobs/ has, so that the next daemon looks.
func (s *Store) Doubt(ctx context.Context) error {
	return s.commit(ctx, func(tx *sql.Tx) error { return setPartial(ctx, tx, newer) })
}

func (s *Store) migrate(ctx context.Context) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&have); err != nil {
			return err
		}
		if kept := keptVersion(ctx, tx); kept != "" && kept != strconv.Itoa(have) {
			return api.Errorf(api.Corrupt, damagedHint, "jobs.db says that it is of version %d and was made of version %s", have, kept)
		}
		if have > version {
			return api.Errorf(api.Incompatible, "cyclops install HOST brings an executor that knows it",
				"the database is of version %d, executor %s knows up to %d", have, api.BuildVersion(), version)
		}
		steps := []string{schema1, schema2()}[have:]
		for _, step := range steps {
			if _, err := tx.ExecContext(ctx, step); err != nil {
				return err
			}
		}
		if have == 0 {
			if err := setPartial(ctx, tx, all); err != nil {
				return err
			}
		}
		if len(steps) == 0 {
			return nil
		}
		if err := failpoint.At(failpoint.SchemaCommit); err != nil {
			return fmt.Errorf("unable to bring the database to version %d: %w", version, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)`, schemaSetting, strconv.Itoa(version)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	})
}

// schemaSetting keeps a copy of the version: a damaged one looks like that of a later executor.
const schemaSetting = "schema"

func keptVersion(ctx context.Context, tx *sql.Tx) (kept string) {
	// Before version 2 there is none.
	_ = tx.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = ? AND proof IS `+proofFunction+`(name, value)`, schemaSetting).Scan(&kept)
	return kept
}

// Whole records that every job of jobs/ is in the database.
func (s *Store) Whole(ctx context.Context) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM settings WHERE name = ?`, partial)
		return err
	})
}

// Partial tells whether jobs may be missing that jobs/ has, and whether no more than the journal
// of a process that was killed may have lost.
func (s *Store) Partial(ctx context.Context) (missing, few bool, err error) {
	value, err := s.Setting(ctx, partial)
	return value != "", value == newer, err
}
