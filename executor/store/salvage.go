package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/durable"
)

// salvaged lists what is taken over from a damaged database, what others refer to first. What packs
// hold is looked up in the packs again: a row that is missing there would call a snapshot complete
// that is not.
var salvaged = [...]string{"settings", "tombstones", "jobs", "specs"}

// Salvage copies a damaged database into the directory damaged, and puts one in its place that has
// its sound rows and is Partial. Nobody may have it open.
func Salvage(ctx context.Context, path, damaged string) error {
	if err := keepDamaged(path, damaged); err != nil {
		return fmt.Errorf("unable to keep the damaged %s: %w", path, err)
	}
	next := path + ".new"
	if err := removeDatabase(next); err != nil {
		return fmt.Errorf("unable to salvage %s: %w", path, err)
	}
	s, err := Open(ctx, next)
	if err != nil {
		return err
	}
	// What cannot be read is lost here and found again in the jobs' directories.
	_ = s.takeFrom(ctx, path)
	if err := errors.Join(s.settle(ctx), s.Close(), removeDatabase(path), os.Rename(next, path), durable.SyncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("unable to salvage %s: %w", path, err)
	}
	return nil
}

// keepDamaged copies the database as it is, for who wants to look at it.
func keepDamaged(path, damaged string) error {
	if err := os.MkdirAll(damaged, 0o700); err != nil {
		return err
	}
	to := ""
	for n := 1; to == ""; n++ {
		name := filepath.Join(damaged, fmt.Sprintf("%s-%d", filepath.Base(path), n))
		if _, err := os.Lstat(name); err != nil {
			to = name
		}
	}
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(path+suffix, to+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// takeFrom copies sound rows from the database at path.
func (s *Store) takeFrom(ctx context.Context, path string) error {
	old, err := sql.Open("sqlite", dsn(path, "NORMAL"))
	if err != nil {
		return err
	}
	defer old.Close()
	old.SetMaxOpenConns(1)
	var errs []error
	for _, t := range tables() {
		for _, name := range salvaged {
			if t.name != name {
				continue
			}
			// Damage in the middle of a table ends a walk: the other half is reached from its end.
			for _, order := range []string{"", " DESC"} {
				errs = append(errs, s.takeTable(ctx, old, t, order))
			}
		}
	}
	return errors.Join(errs...)
}

func (s *Store) takeTable(ctx context.Context, old *sql.DB, t table, order string) error {
	rows, err := old.QueryContext(ctx, `SELECT `+strings.Join(t.columns, ", ")+` FROM `+t.name+
		` WHERE `+t.sound()+` ORDER BY `+strings.Join(t.key, order+", ")+order)
	if err != nil {
		return err
	}
	defer rows.Close()
	insert := `INSERT OR IGNORE INTO ` + t.name + ` (` + strings.Join(t.columns, ", ") + `) VALUES (?` + strings.Repeat(", ?", len(t.columns)-1) + `)`
	return s.note(ctx, func(tx *sql.Tx) error {
		for rows.Next() {
			values := make([]any, len(t.columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				break
			}
			_, _ = tx.ExecContext(ctx, insert, values...) // a document without its job's row has nowhere to go
		}
		return nil
	})
}

// Forget drops a pack that is damaged or gone, with the snapshots that draw on it, so that they are asked for again.
func (s *Store) Forget(ctx context.Context, pack Pack) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		for _, query := range []string{
			`DELETE FROM snapshots WHERE sum IN (SELECT snapshot FROM snapshot_packs WHERE pack = ?)`,
			`DELETE FROM snapshot_packs WHERE pack = ?`,
			`DELETE FROM holds WHERE pack = ?`,
			`DELETE FROM packs WHERE sum = ?`,
		} {
			if _, err := tx.ExecContext(ctx, query, pack.Sum[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// SetSpec puts a job's document in the place of one that is damaged.
func (s *Store) SetSpec(ctx context.Context, id string, spec []byte) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		var seq int64
		if err := tx.QueryRowContext(ctx, `SELECT seq FROM jobs WHERE id = ?`, id).Scan(&seq); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO specs (seq, spec) VALUES (?, ?)`, seq, spec)
		return err
	})
}

// SetRecord notes the digest of a manifest that was written again.
func (s *Store) SetRecord(ctx context.Context, j Job) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		return changeOne(tx.ExecContext(ctx, `UPDATE jobs SET record = ? WHERE id = ?`, sumOrNull(j.Record), j.ID))
	})
}

func soundJob() string { return tables()[0].sound() }

// EachEnded calls do with the jobs that have ended, oldest first. Damaged rows are left out.
func (s *Store) EachEnded(ctx context.Context, do func(Job) error) error {
	for last := int64(0); ; {
		jobs, err := s.query(ctx, `SELECT `+selected+` FROM jobs WHERE ended > 0 AND seq > ? AND `+soundJob()+` ORDER BY seq LIMIT 200`, last)
		if err != nil || len(jobs) == 0 {
			return err
		}
		for _, j := range jobs {
			if err := do(j); err != nil {
				return err
			}
			last = j.Seq
		}
	}
}

// Snapshots returns a job for each snapshot.
func (s *Store) Snapshots(ctx context.Context) (all []Job, err error) {
	return s.query(ctx, `SELECT `+selected+` FROM jobs WHERE seq IN (SELECT max(seq) FROM jobs WHERE snapshot IS NOT NULL GROUP BY snapshot) AND `+soundJob()+` ORDER BY seq`)
}
