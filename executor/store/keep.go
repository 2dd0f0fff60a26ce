package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Pin keeps jobs from being removed, or lets them go again, in one commit. The answer has, in the
// order of ids, the job as it is now, or why there is none.
func (s *Store) Pin(ctx context.Context, ids []string, pinned bool) ([]Pinned, error) {
	var all []Pinned
	err := s.commit(ctx, func(tx *sql.Tx) error {
		all = make([]Pinned, len(ids))
		for i, id := range ids {
			j, err := scan(tx.QueryRowContext(ctx, `SELECT `+selected+` FROM jobs WHERE id = ?`, id))
			if err != nil {
				all[i].Err = err
				continue
			}
			j.About.Pinned = pinned
			if err := setAbout(ctx, tx, j); err != nil {
				return fmt.Errorf("unable to pin job %s: %w", id, err)
			}
			all[i].Job = j
		}
		return nil
	})
	return all, err
}

// Pinned is a job that was pinned, or unpinned.
type Pinned struct {
	Job Job
	Err error // why it was not
}

func setAbout(ctx context.Context, tx *sql.Tx, j Job) error {
	about, err := json.Marshal(j.About)
	if err != nil {
		return err
	}
	return changeOne(tx.ExecContext(ctx, `UPDATE jobs SET about = ? WHERE seq = ?`, about, j.Seq))
}

// Ended returns up to limit ended jobs that ended after the job last, oldest end first; the zero
// Job begins. Damaged rows are left out: they must not end retention.
func (s *Store) Ended(ctx context.Context, last Job, limit int) ([]Job, error) {
	return s.query(ctx, `SELECT `+selected+` FROM jobs WHERE ended > 0 AND (ended, seq) > (?, ?) AND `+soundJob()+` ORDER BY ended, seq LIMIT ?`,
		nano(last.Ended), last.Seq, limit)
}

// Named tells whether a job names a workspace: as its own, or by being isolated under that id.
func (s *Store) Named(ctx context.Context, workspace string) (bool, error) {
	var one int
	err := s.read.QueryRowContext(ctx, `SELECT 1 FROM jobs WHERE workspace = ?1 UNION ALL SELECT 1 FROM jobs WHERE id = ?1 LIMIT 1`, workspace).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// UnnamedPacks returns the packs that Sweep would forget.
func (s *Store) UnnamedPacks(ctx context.Context, now time.Time) ([]Pack, error) {
	return s.packs(ctx, `SELECT sum, size FROM packs WHERE `+unnamed, nano(now))
}

// ForgetPack forgets a pack unless something names it, and tells whether it is unknown now.
func (s *Store) ForgetPack(ctx context.Context, sum manifest.Sum, now time.Time) (bool, error) {
	var one int
	err := s.commit(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM holds WHERE pack = ? AND until < ?`, sum[:], nano(now)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM packs WHERE sum = ? AND `+unnamed, sum[:], nano(now)); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM packs WHERE sum = ?`, sum[:]).Scan(&one)
	})
	return err == nil && one == 0, err
}

// IdlePackBytes is the size of the packs that no job draws on that has not ended.
func (s *Store) IdlePackBytes(ctx context.Context, now time.Time) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT COALESCE(SUM(size), 0) FROM packs
		WHERE sum NOT IN (SELECT pack FROM jobs JOIN snapshot_packs USING (snapshot) WHERE ended = 0)
		AND NOT EXISTS (SELECT 1 FROM holds WHERE pack = sum AND until >= ?)`, nano(now)).Scan(&n)
	return n, err
}
