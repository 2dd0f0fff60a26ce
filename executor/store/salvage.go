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
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/cyclops-fpga/cyclops/executor/durable"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
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
	err := salvage(ctx, path)
	if err == nil {
		err = replaceDatabase(path)
	}
	if err != nil {
		return fmt.Errorf("unable to salvage %s: %w", path, err)
	}
	return nil
}

// nextOf is where the one that takes a damaged database's place is made.
func nextOf(path string) string { return path + ".new" }

// salvage makes that one. The damaged database stays until it is whole: a disk that is full now
// must not cost what can be taken over later.
func salvage(ctx context.Context, path string) error {
	if err := removeDatabase(nextOf(path)); err != nil {
		return err
	}
	s, err := Open(ctx, nextOf(path))
	if err != nil {
		return err
	}
	if err = failpoint.Do(failpoint.SalvageTake, func() error { return s.takeFrom(ctx, path) }); err == nil {
		err = s.settle(ctx)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return errors.Join(err, removeDatabase(nextOf(path)))
	}
	return durable.SyncDir(filepath.Dir(path))
}

// replaceDatabase has the new database take the place of the damaged one. That goes first, and its
// journal after it: a journal must never lie beside a database that it is not of.
func replaceDatabase(path string) error {
	if err := failpoint.At(failpoint.SalvageDrop); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := removeDatabase(path); err != nil {
		return err
	}
	if err := failpoint.Do(failpoint.SalvageRename, func() error { return os.Rename(nextOf(path), path) }); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// finishSalvage goes on where a crash ended replaceDatabase: only there is there the new one alone.
func finishSalvage(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := os.Lstat(nextOf(path)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return replaceDatabase(path)
}

// keepDamaged copies the database as it is, for who wants to look at it.
func keepDamaged(path, damaged string) error {
	if err := failpoint.At(failpoint.SalvageKeep); err != nil {
		return err
	}
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
			return errors.Join(err, removeDatabase(to)) // half of it helps nobody and fills the disk at each start
		}
	}
	return durable.SyncDir(damaged)
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
	if _, err = io.Copy(dst, src); err == nil {
		err = dst.Sync()
	}
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

// takeFrom copies sound rows from the database at path. What cannot be read of it is lost here and
// found again in the jobs' directories; what cannot be written is an error.
func (s *Store) takeFrom(ctx context.Context, path string) error {
	old, err := sql.Open("sqlite", dsn(path, "NORMAL"))
	if err != nil {
		return err
	}
	defer old.Close()
	old.SetMaxOpenConns(1)
	for _, t := range tables() {
		for _, name := range salvaged {
			if t.name != name {
				continue
			}
			// Damage in the middle of a table ends a walk: the other half is reached from its end.
			for _, order := range []string{"", " DESC"} {
				if err := s.takeTable(ctx, old, t, order); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *Store) takeTable(ctx context.Context, old *sql.DB, t table, order string) error {
	rows, err := old.QueryContext(ctx, `SELECT `+strings.Join(t.columns, ", ")+` FROM `+t.name+
		` WHERE `+t.sound()+` ORDER BY `+strings.Join(t.key, order+", ")+order)
	if err != nil {
		return fullDisk(err)
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
			if _, err := tx.ExecContext(ctx, insert, values...); err != nil && !unwanted(err) {
				return err
			}
		}
		return errors.Join(ctx.Err(), fullDisk(rows.Err()))
	})
}

// unwanted tells of a row that has nowhere to go, as a document without its job's.
func unwanted(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}

// fullDisk returns err if it passes once there is room, and nil if it tells of damage.
func fullDisk(err error) error {
	if err = inKernelsWords(err); errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
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

// Unresolved returns a job for each snapshot of which it is not known what it draws on.
func (s *Store) Unresolved(ctx context.Context) (all []Job, err error) {
	return s.query(ctx, `SELECT `+selected+` FROM jobs WHERE seq IN (SELECT max(seq) FROM jobs WHERE snapshot IS NOT NULL
		AND snapshot NOT IN (SELECT sum FROM snapshots) GROUP BY snapshot) AND `+soundJob()+` ORDER BY seq`)
}
