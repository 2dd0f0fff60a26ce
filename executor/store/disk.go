package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
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

// journalLeft tells whether the last process left a journal, as one does that was killed.
func journalLeft(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

// doubt records, if a journal was left, that jobs may be missing: SQLite ends its reading of a
// journal at the first byte that is not what was written, as if it had ended there, and what was
// committed behind that is gone without a word. It is recorded before settle cuts the journal.
func (s *Store) doubt(ctx context.Context, left bool) error {
	if !left {
		return nil
	}
	return s.commit(ctx, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&have); err != nil {
			return err
		}
		if have == 0 || have > version {
			return nil // it is new, or migrate refuses it
		}
		return setPartial(ctx, tx, newer)
	})
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
