// Package store keeps an executor's queue, its index of jobs and what each snapshot draws on,
// in one SQLite database.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"sync"

	_ "modernc.org/sqlite" // the driver

	"github.com/cyclops-fpga/cyclops/executor/api"

	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// Store is the database. It is safe for concurrent use; one process may have it open.
type Store struct {
	// write serialises transactions, so that none ever polls for SQLite's lock.
	write   sync.Mutex
	durable *sql.DB // a commit is on disk when it returns
	relaxed *sql.DB // for what can be rebuilt from the jobs' directories
	read    *sql.DB
}

// Open opens the database at path, which may not exist yet.
func Open(ctx context.Context, path string) (*Store, error) {
	err := registerProof()
	if err != nil {
		return nil, fmt.Errorf("unable to open %s: %w", path, err)
	}
	if err := finishSalvage(path); err != nil {
		return nil, fmt.Errorf("unable to open %s: %w", path, err)
	}
	left := journalLeft(path)
	s := new(Store)
	for _, c := range []struct {
		db          **sql.DB
		synchronous string
		max         int
	}{{&s.durable, "FULL", 1}, {&s.relaxed, "NORMAL", 1}, {&s.read, "NORMAL", 4}} {
		*c.db, err = sql.Open("sqlite", dsn(path, c.synchronous))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("unable to open %s: %w", path, err), s.Close())
		}
		(*c.db).SetMaxOpenConns(c.max)
		(*c.db).SetMaxIdleConns(1)
	}
	if err = s.doubt(ctx, left); err == nil {
		err = errors.Join(s.settle(ctx), s.migrate(ctx))
	}
	if err == nil {
		err = s.index(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("unable to prepare %s: %w", path, err), s.Close())
	}
	return s, nil
}

// OpenBeside opens a database that another process may have open, to look at it.
func OpenBeside(ctx context.Context, path string) (*Store, error) {
	if err := registerProof(); err != nil {
		return nil, fmt.Errorf("unable to open %s: %w", path, err)
	}
	db, err := sql.Open("sqlite", dsn(path, "NORMAL"))
	if err != nil {
		return nil, fmt.Errorf("unable to open %s: %w", path, err)
	}
	s := &Store{read: db}
	var have int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&have); err != nil {
		return nil, errors.Join(fmt.Errorf("unable to open %s: %w", path, err), s.Close())
	}
	if have != version {
		return nil, errors.Join(api.Errorf(api.Incompatible, "the next call of cyclops brings it up to date", "%s is of version %d, this executor's is %d", path, have, version), s.Close())
	}
	return s, nil
}

func dsn(path, synchronous string) string {
	q := url.Values{"_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + synchronous + ")",
		"foreign_keys(ON)", "cache_size(-1024)", "temp_store(MEMORY)",
	}, "_txlock": {"immediate"}}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// Close writes what is left to the database's file and closes it.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.relaxed, s.durable} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// commit runs fn in one transaction that is on disk when commit returns.
func (s *Store) commit(ctx context.Context, fn func(*sql.Tx) error) error {
	return s.transact(ctx, s.durable, fn)
}

// note runs fn in one transaction that a power cut may undo.
func (s *Store) note(ctx context.Context, fn func(*sql.Tx) error) error {
	return s.transact(ctx, s.relaxed, fn)
}

func (s *Store) transact(ctx context.Context, db *sql.DB, fn func(*sql.Tx) error) error {
	s.write.Lock()
	defer s.write.Unlock()
	return inKernelsWords(attempt(ctx, db, fn))
}

func attempt(ctx context.Context, db *sql.DB, fn func(*sql.Tx) error) error {
	if err := failpoint.At(failpoint.StoreBegin); err != nil {
		return fmt.Errorf("unable to begin: %w", err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("unable to begin: %w", err)
	}
	err = fn(tx)
	if err == nil {
		err = failpoint.At(failpoint.StoreCommit)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("unable to commit: %w", err)
	}
	return nil
}

// Setting returns a value that SetSetting stored, or "".
func (s *Store) Setting(ctx context.Context, name string) (string, error) {
	var value string
	var sound bool
	err := s.read.QueryRowContext(ctx, `SELECT value, proof IS `+proofFunction+`(name, value) FROM settings WHERE name = ?`, name).Scan(&value, &sound)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err == nil && !sound {
		return "", damagedRow("settings", name)
	}
	return value, err
}

// SetSetting stores value durably under name.
func (s *Store) SetSetting(ctx context.Context, name, value string) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)`, name, value)
		return err
	})
}
