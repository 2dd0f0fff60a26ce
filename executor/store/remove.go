package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// TombstoneTime is how long the id of a removed job is remembered at least.
const TombstoneTime = 7 * 24 * time.Hour

// TombstonesKept is how many are remembered however old they are: the clock may be set, and a job
// whose id is forgotten too early runs a second time if its client sends it again.
const TombstonesKept = 10_000

// ErrPinned says that a job is pinned.
var ErrPinned = errors.New("it is pinned")

// Freed is a job that was removed, with what nothing names any more once it is gone; the files are
// the caller's to delete.
type Freed struct {
	Job       Job
	Packs     []Pack
	Workspace string // a workspace that no job names any more; empty: still in use
	Err       error  // why the job stays, if it does
}

// Remove deletes ended jobs and whatever only they named, and leaves tombstones: all in one commit.
// A job that has to stay keeps none of the others. The answers are in the order of ids.
func (s *Store) Remove(ctx context.Context, ids []string, now time.Time) ([]Freed, error) {
	all := make([]Freed, len(ids))
	err := s.commit(ctx, func(tx *sql.Tx) error {
		if err := removeAll(ctx, tx, ids, now, all); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM tombstones WHERE removed < min(?, (SELECT removed FROM tombstones ORDER BY removed DESC LIMIT 1 OFFSET ?))`,
			nano(now.Add(-TombstoneTime)), TombstonesKept-1)
		return err
	})
	return all, err
}

// errTried takes a removal back that was only tried.
var errTried = errors.New("tried")

// Try says what Remove would free of jobs that are removed in this order, and removes nothing.
func (s *Store) Try(ctx context.Context, ids []string, now time.Time) ([]Freed, error) {
	all := make([]Freed, len(ids))
	err := s.note(ctx, func(tx *sql.Tx) error {
		if err := removeAll(ctx, tx, ids, now, all); err != nil {
			return err
		}
		return errTried
	})
	if errors.Is(err, errTried) {
		err = nil
	}
	return all, err
}

func removeAll(ctx context.Context, tx *sql.Tx, ids []string, now time.Time, all []Freed) error {
	for i, id := range ids {
		if err := removeOne(ctx, tx, id, now, &all[i]); err != nil {
			return fmt.Errorf("unable to remove job %s: %w", id, err)
		}
	}
	return nil
}

func removeOne(ctx context.Context, tx *sql.Tx, id string, now time.Time, f *Freed) error {
	j, err := scan(tx.QueryRowContext(ctx, `SELECT `+selected+` FROM jobs WHERE id = ?`, id))
	if f.Job = j; err != nil {
		f.Err = err // that it is not there, or that it cannot be read, is no reason to keep others
		return nil
	}
	if f.Err = removable(j); f.Err != nil {
		return nil
	}
	if err := bury(ctx, tx, j, now); err != nil {
		return err
	}
	if f.Packs, err = dropSnapshot(ctx, tx, j.Snapshot, now); err != nil {
		return err
	}
	f.Workspace, err = unusedWorkspace(ctx, tx, j.Workspace)
	return err
}

func removable(j Job) error {
	switch {
	case !j.State.Ended():
		return fmt.Errorf("it is %s", j.State)
	case j.About.Pinned:
		return ErrPinned
	}
	return nil
}

func bury(ctx context.Context, tx *sql.Tx, j Job, now time.Time) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM jobs WHERE seq = ?`, j.Seq); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO tombstones (id, digest, removed) VALUES (?, ?, ?)`, j.ID, j.Digest[:], nano(now))
	return err
}

// dropSnapshot forgets a snapshot that no job names any more, and the packs that only it drew on.
func dropSnapshot(ctx context.Context, tx *sql.Tx, snapshot manifest.Sum, now time.Time) ([]Pack, error) {
	if snapshot.IsZero() {
		return nil, nil
	}
	var one int
	err := tx.QueryRowContext(ctx, `SELECT 1 FROM jobs WHERE snapshot = ? LIMIT 1`, snapshot[:]).Scan(&one)
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	drawn, err := packsOf(tx.QueryContext(ctx, `SELECT sum, size FROM snapshot_packs JOIN packs ON pack = sum WHERE snapshot = ?`, snapshot[:]))
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM snapshots WHERE sum = ?`, snapshot[:]); err != nil {
		return nil, err
	}
	var freed []Pack
	for _, p := range drawn {
		gone, err := packsOf(tx.QueryContext(ctx, `DELETE FROM packs WHERE sum = ? AND `+unnamed+` RETURNING sum, size`, p.Sum[:], nano(now)))
		if err != nil {
			return nil, err
		}
		freed = append(freed, gone...)
	}
	return freed, nil
}

// unnamed holds for a pack that no snapshot draws on and no job is waited for with.
const unnamed = `NOT EXISTS (SELECT 1 FROM snapshot_packs WHERE pack = sum)
	AND NOT EXISTS (SELECT 1 FROM holds WHERE pack = sum AND until >= ?)`

func unusedWorkspace(ctx context.Context, tx *sql.Tx, workspace string) (string, error) {
	var one int
	err := tx.QueryRowContext(ctx, `SELECT 1 FROM jobs WHERE workspace = ? LIMIT 1`, workspace).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return workspace, nil
	}
	return "", err
}

// Sweep forgets packs that nothing names any more, among them those whose holds ran out, and returns them.
func (s *Store) Sweep(ctx context.Context, now time.Time) ([]Pack, error) {
	var packs []Pack
	err := s.commit(ctx, func(tx *sql.Tx) (err error) {
		if _, err := tx.ExecContext(ctx, `DELETE FROM holds WHERE until < ?`, nano(now)); err != nil {
			return err
		}
		packs, err = packsOf(tx.QueryContext(ctx, `DELETE FROM packs WHERE `+unnamed+` RETURNING sum, size`, nano(now)))
		return err
	})
	return packs, err
}

// Tombstone returns the digest of the document of a job that was removed and is still remembered,
// or ErrNotFound.
func (s *Store) Tombstone(ctx context.Context, id string) (manifest.Sum, error) {
	var sum manifest.Sum
	var digest []byte
	err := s.read.QueryRowContext(ctx, `SELECT digest FROM tombstones WHERE id = ?`, id).Scan(&digest)
	if errors.Is(err, sql.ErrNoRows) {
		return sum, ErrNotFound
	}
	copy(sum[:], digest)
	return sum, err
}

// Knows tells whether there is a row of a job, or a tombstone, sound or not.
func (s *Store) Knows(ctx context.Context, id string) (bool, error) {
	var one int
	err := s.read.QueryRowContext(ctx, `SELECT 1 FROM jobs WHERE id = ?1 UNION ALL SELECT 1 FROM tombstones WHERE id = ?1 LIMIT 1`, id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Unknown returns those of ids, which are in order, of which Knows says no. It walks once over all that there
// is: asked for one at a time, a million jobs take longer than a daemon has for its start.
func (s *Store) Unknown(ctx context.Context, ids []string) (unknown []string, err error) {
	rest, last := ids, ""
	err = s.each(ctx, `SELECT id FROM jobs UNION SELECT id FROM tombstones ORDER BY id`, func(rows *sql.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if id < last { // what was looked for in it would not be found, and be indexed twice
			return damagedRow("jobs", id)
		}
		last = id
		for ; len(rest) > 0 && rest[0] < id; rest = rest[1:] {
			unknown = append(unknown, rest[0])
		}
		if len(rest) > 0 && rest[0] == id {
			rest = rest[1:]
		}
		return nil
	})
	return append(unknown, rest...), err
}

// Restore indexes jobs that were found in jobs/ but not in the database, with their documents: all
// of them or none.
func (s *Store) Restore(ctx context.Context, jobs iter.Seq2[Job, []byte]) error {
	return s.note(ctx, func(tx *sql.Tx) error {
		for j, spec := range jobs {
			if err := insert(ctx, tx, &j, spec); err != nil {
				return err
			}
		}
		return nil
	})
}

// Removed returns the ids of jobs that were removed and are still remembered.
func (s *Store) Removed(ctx context.Context) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id FROM tombstones`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
