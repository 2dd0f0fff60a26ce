package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Pack is a pack's digest and size in bytes.
type Pack struct {
	Sum  manifest.Sum
	Size int64
}

// HoldTime is how long packs wait for the job that they were sent for.
const HoldTime = 24 * time.Hour

// Acceptance is everything that makes a job accepted; it is stored in one transaction.
type Acceptance struct {
	Job   Job
	Spec  []byte
	Packs []Pack // that its snapshot draws on
	New   bool   // the snapshot was not complete before
}

// Accept stores a job durably with what its snapshot draws on, and ends the holds for it.
func (s *Store) Accept(ctx context.Context, a Acceptance) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		if a.New {
			if err := addSnapshot(ctx, tx, a.Job.Snapshot, a.Packs); err != nil {
				return err
			}
		}
		if err := insert(ctx, tx, &a.Job, a.Spec); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM holds WHERE job = ?`, a.Job.ID)
		return err
	})
}

func addPacks(ctx context.Context, tx *sql.Tx, packs []Pack) error {
	for _, p := range packs {
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO packs (sum, size) VALUES (?, ?)`, p.Sum[:], p.Size); err != nil {
			return fmt.Errorf("unable to insert pack %s: %w", p.Sum, err)
		}
	}
	return nil
}

func addSnapshot(ctx context.Context, tx *sql.Tx, snapshot manifest.Sum, packs []Pack) error {
	if err := addPacks(ctx, tx, packs); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO snapshots (sum) VALUES (?)`, snapshot[:]); err != nil {
		return err
	}
	for _, p := range packs {
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO snapshot_packs (snapshot, pack) VALUES (?, ?)`, snapshot[:], p.Sum[:]); err != nil {
			return fmt.Errorf("unable to insert pack of snapshot %s: %w", snapshot, err)
		}
	}
	return nil
}

// AddSnapshot records that snapshot is complete within packs. The next durable commit makes it so too.
func (s *Store) AddSnapshot(ctx context.Context, snapshot manifest.Sum, packs []Pack) error {
	return s.note(ctx, func(tx *sql.Tx) error { return addSnapshot(ctx, tx, snapshot, packs) })
}

// Hold keeps packs for a job that is to be submitted, until HoldTime after now.
func (s *Store) Hold(ctx context.Context, job string, packs []Pack, now time.Time) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		if err := addPacks(ctx, tx, packs); err != nil {
			return err
		}
		for _, p := range packs {
			if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO holds (job, pack, until) VALUES (?, ?, ?)`, job, p.Sum[:], nano(now.Add(HoldTime))); err != nil {
				return err
			}
		}
		return nil
	})
}

// Held returns the packs that are held for a job.
func (s *Store) Held(ctx context.Context, job string) ([]Pack, error) {
	return s.packs(ctx, `SELECT sum, size FROM holds JOIN packs ON pack = sum WHERE job = ?`, job)
}

// Snapshot returns the packs within which a snapshot is complete, or ErrNotFound.
func (s *Store) Snapshot(ctx context.Context, snapshot manifest.Sum) ([]Pack, error) {
	var one int
	err := s.read.QueryRowContext(ctx, `SELECT 1 FROM snapshots WHERE sum = ?`, snapshot[:]).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return s.packs(ctx, `SELECT sum, size FROM snapshot_packs JOIN packs ON pack = sum WHERE snapshot = ?`, snapshot[:])
}

// NewestPacks returns up to limit packs that the snapshots of the newest jobs draw on.
func (s *Store) NewestPacks(ctx context.Context, limit int) ([]Pack, error) {
	return s.packs(ctx, `SELECT DISTINCT sum, size FROM
		(SELECT snapshot FROM jobs WHERE snapshot IS NOT NULL ORDER BY seq DESC LIMIT ?1)
		JOIN snapshot_packs USING (snapshot) JOIN packs ON pack = sum LIMIT ?1`, limit)
}

// HasPack tells whether a pack is known.
func (s *Store) HasPack(ctx context.Context, sum manifest.Sum) (bool, error) {
	found, err := s.packs(ctx, `SELECT sum, size FROM packs WHERE sum = ?`, sum[:])
	return len(found) > 0, err
}

// Packs returns every pack.
func (s *Store) Packs(ctx context.Context) ([]Pack, error) {
	return s.packs(ctx, `SELECT sum, size FROM packs`)
}

func (s *Store) packs(ctx context.Context, query string, args ...any) ([]Pack, error) {
	return packsOf(s.read.QueryContext(ctx, query, args...))
}

func packsOf(rows *sql.Rows, err error) ([]Pack, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var packs []Pack
	for rows.Next() {
		var sum []byte
		var p Pack
		if err := rows.Scan(&sum, &p.Size); err != nil {
			return nil, err
		}
		copy(p.Sum[:], sum)
		packs = append(packs, p)
	}
	return packs, rows.Err()
}

// Repack makes a snapshot draw on one pack in place of those it drew on.
func (s *Store) Repack(ctx context.Context, snapshot manifest.Sum, into Pack) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		if err := addPacks(ctx, tx, []Pack{into}); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM snapshot_packs WHERE snapshot = ?`, snapshot[:]); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO snapshot_packs (snapshot, pack) VALUES (?, ?)`, snapshot[:], into.Sum[:])
		return err
	})
}
