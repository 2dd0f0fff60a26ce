package store

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// inKernelsWords adds the error number to what SQLite has numbers of its own for, so that a full or
// broken disk is known as one wherever it is met.
func inKernelsWords(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch code := e.Code(); {
	case code == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR_SHMSIZE:
		return fmt.Errorf("%w: %w", err, syscall.ENOSPC)
	case code&0xff == sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%w: %w", err, syscall.EROFS)
	case code&0xff == sqlite3.SQLITE_IOERR || code&0xff == sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: %w", err, syscall.EIO)
	}
	return err
}

// settle writes what the last process left in the journal to the database's own file, and syncs
// that: a commit whose sync failed then can be read now, and nobody may believe it before that.
func (s *Store) settle(ctx context.Context) error {
	var busy, pages, moved int
	if err := s.durable.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved); err != nil {
		return inKernelsWords(err)
	}
	if busy != 0 {
		return errors.New("another process has it open")
	}
	return nil
}
