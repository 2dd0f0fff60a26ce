//go:build linux

// Package space keeps room on the disk for what must still be written when it is full: how jobs
// ended, and the removal of those that are no longer needed.
package space

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// size is how many bytes are kept: a removal takes some pages of the database and of its journal.
const size = 2 << 20

// Reserve is a file that is there to be given up. It is safe for concurrent use.
type Reserve struct {
	path string
	mu   sync.Mutex
	kept bool // the file is whole
}

// Keep makes the file at path. On a disk that is full already there is none yet.
func Keep(path string) *Reserve {
	r := &Reserve{path: path}
	r.refill()
	return r
}

// Use does what must be written. On a full disk the reserve is given up for it, and taken again as
// soon as there is room.
func (r *Reserve) Use(write func() error) error {
	err := write()
	if !IsFull(err) {
		r.refill()
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept && os.Remove(r.path) == nil {
		r.kept = false
		err = write()
	}
	r.fill()
	return err
}

func (r *Reserve) refill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fill()
}

// fill makes the file unless it is whole. File systems that cannot reserve have none: there the
// disk is as full as it is. r.mu is held.
func (r *Reserve) fill() {
	if r.kept {
		return
	}
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if r.kept = !IsFull(unix.Fallocate(int(f.Fd()), 0, 0, size)); !r.kept {
		os.Remove(r.path)
	}
}

// IsFull tells whether err says that no space, no inode or no quota is left.
func IsFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// Failed is a disk that did not keep what was written, or takes nothing: what it still promises is
// not to be believed until the executor was started again.
type Failed struct{ cause error }

// Fail makes a Failed of an error that tells of it, and returns nil for any other.
func Fail(err error) *Failed {
	for _, bad := range []error{unix.EIO, unix.EROFS, unix.EUCLEAN, unix.ENXIO, unix.ENODEV} {
		if errors.Is(err, bad) {
			return &Failed{cause: err}
		}
	}
	return nil
}

// FailedUnder is what somebody else met, in words.
func FailedUnder(whom, said string) *Failed { return &Failed{cause: errors.New(whom + ": " + said)} }

func (f *Failed) Error() string { return fmt.Sprintf("the disk failed: %v", f.cause) }

// Unwrap returns what the disk said.
func (f *Failed) Unwrap() error { return f.cause }
